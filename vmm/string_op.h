/*
 * String instructions on devices: MOVS CMPS STOS LODS SCAS in emulated memory,
 * INS and OUTS. Each function ends the upcall.
 */
#ifndef VMM_STRING_OP_H
#define VMM_STRING_OP_H

#include "vmm/decode.h"

NORETURN void string_op_mmio(struct abi_vcpu *v, const struct insn *in);
NORETURN void string_op_io(struct abi_vcpu *v, const struct insn *in);

#endif
