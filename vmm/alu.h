/*
 * Arithmetic of emulated instructions: results and the six status flags (SDM
 * Vol. 1 section 3.4.3.1). Pure functions.
 */
#ifndef VMM_ALU_H
#define VMM_ALU_H

#include "vmm/decode.h"

/* ADD to CMP, TEST: dst op src. size in bytes; rflags in and out. */
u64 alu_binary(enum insn_op op, u64 dst, u64 src, u32 size, u64 *rflags);

/* INC, DEC, NOT, NEG. */
u64 alu_unary(enum insn_op op, u64 value, u32 size, u64 *rflags);

/* BT, BTS, BTR, BTC: bit counts within size. */
u64 alu_bit(enum insn_op op, u64 value, u32 bit, u64 *rflags);

#endif
