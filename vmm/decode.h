/*
 * The instruction decoder: real, protected 16/32-bit and 64-bit mode, the
 * one-byte map without x87 and the general and system part of the 0F map (SDM
 * Vol. 2 appendix A, APM Vol. 3). Pure: no state, no guest access. Exact
 * lengths; what it does not know it refuses, it never guesses.
 */
#ifndef VMM_DECODE_H
#define VMM_DECODE_H

#include "kernel/abi.h"
#include "vmm/lib.h"

#define INSN_MAX 15 /* bytes an instruction may have */
#define INSN_BUF 40 /* bytes that insn_decode() may look at */

enum insn_mode { INSN_16, INSN_32, INSN_64 };

enum insn_op {
	OP_OTHER, /* only the length is meant to be used */
	OP_ADD,
	OP_OR,
	OP_ADC,
	OP_SBB,
	OP_AND,
	OP_SUB,
	OP_XOR,
	OP_CMP, /* as /0 to /7 */
	OP_MOV, /* MOVNTI too */
	OP_MOVZX,
	OP_MOVSX,
	OP_MOVBE,
	OP_TEST,
	OP_INC,
	OP_DEC,
	OP_NOT,
	OP_NEG,
	OP_XCHG,
	OP_XADD,
	OP_CMPXCHG,
	OP_BT,
	OP_BTS,
	OP_BTR,
	OP_BTC,
	OP_PUSH,
	OP_POP,	    /* the memory forms */
	OP_CLFLUSH, /* CLFLUSHOPT and CLWB too */
	OP_MOVS,
	OP_CMPS,
	OP_STOS,
	OP_LODS,
	OP_SCAS,
	OP_INS,
	OP_OUTS,
	OP_MOV_CR,
	OP_MOV_DR,
	OP_LMSW,
	OP_SMSW,
	OP_CLTS,
	OP_INVLPG,
};

enum insn_operand {
	OPND_NONE,
	OPND_REG,
	OPND_MEM,
	OPND_IMM,
	OPND_CR, /* or debug register, by .op */
};

/*
 * For all but OP_OTHER. String instructions have no operands here: their
 * addresses are implied, .seg is the (overridable) segment of the RSI side.
 */
struct insn {
	u8 len;
	u8 op;	     /* enum insn_op */
	u8 size;     /* operand size in bytes: 1, 2, 4, 8; MOVZX/MOVSX: the destination's */
	u8 src_size; /* MOVZX/MOVSX: the source's; else = size */
	u8 asize;    /* address size in bytes: 2, 4, 8 */
	u8 seg;	     /* enum abi_seg of the memory operand */
	u8 rep;	     /* 0, 0xf2 or 0xf3 */
	u8 lock;
	u8 dst, src;	       /* enum insn_operand */
	u8 dst_reg, src_reg;   /* number of OPND_REG or OPND_CR */
	u8 dst_high, src_high; /* it is AH, CH, DH or BH: bits 8-15 of dst_reg */
	u8 base, index;	       /* enum abi_gpr, ABI_NO_GPR: none */
	u8 scale;	       /* index is shifted left by this */
	u8 rip_relative;       /* disp counts from the next instruction */
	s64 disp;
	u64 imm; /* sign-extended, or as .size says */
};

enum insn_status {
	INSN_OK,
	INSN_SHORT, /* needs more than n bytes to tell */
	INSN_BAD,   /* undefined, over-long, or not known here */
};

/* bytes: n valid of INSN_BUF readable ones (zero the rest). */
enum insn_status insn_decode(struct insn *out, const u8 *bytes, u32 n, enum insn_mode mode);

#endif
