/*
 * The instruction decoder: see decode.h. Two tables say per opcode byte what
 * follows it; one function per map then says what the operands mean. Prefixes,
 * ModRM and SIB as in SDM Vol. 2 chapter 2.
 */
#include "vmm/decode.h"

enum {
	M = 0x01,   /* a ModRM byte follows */
	I8 = 0x02,  /* an 8-bit immediate, */
	IZ = 0x04,  /* one of 16 or 32 bits by operand size, */
	I16 = 0x08, /* one of 16 bits */
	B = 0x10,   /* byte operands */
	N64 = 0x20, /* undefined in 64-bit mode */
	PFX = 0x40, /* a prefix */
	BAD = 0x80, /* undefined, or not for us: x87, VEX, EVEX, XOP, SSE */
};

/* clang-format off */
#define ALU(base) \
	[base] = M | B, [base + 1] = M, [base + 2] = M | B, [base + 3] = M, \
	[base + 4] = I8 | B, [base + 5] = IZ
/* An even opcode on bytes, the odd one beside it on words. */
#define PAIR(op, attr) [op] = (attr) | B, [op + 1] = (attr)

static const u8 one_byte[256] = {
	ALU(0x00), ALU(0x08), ALU(0x10), ALU(0x18), ALU(0x20), ALU(0x28), ALU(0x30), ALU(0x38),
	[0x06] = N64, [0x07] = N64, [0x0e] = N64, /* PUSH, POP segment */
	[0x16] = N64, [0x17] = N64, [0x1e] = N64, [0x1f] = N64,
	[0x26] = PFX, [0x2e] = PFX, [0x36] = PFX, [0x3e] = PFX,
	[0x27] = N64, [0x2f] = N64, [0x37] = N64, [0x3f] = N64, /* DAA and so on */
	[0x40 ... 0x4f] = N64, /* INC, DEC; a REX prefix was seen earlier */
	[0x60] = N64, [0x61] = N64, /* PUSHA, POPA */
	[0x62] = M | N64, /* BOUND */
	[0x63] = M, /* ARPL, MOVSXD */
	[0x64 ... 0x67] = PFX,
	[0x68] = IZ, [0x69] = M | IZ, [0x6a] = I8, [0x6b] = M | I8, /* PUSH, IMUL */
	PAIR(0x6c, 0), PAIR(0x6e, 0), /* INS, OUTS */
	[0x70 ... 0x7f] = I8, /* Jcc */
	[0x80] = M | I8 | B, [0x81] = M | IZ, [0x82] = M | I8 | B | N64, [0x83] = M | I8,
	PAIR(0x84, M), PAIR(0x86, M), PAIR(0x88, M), PAIR(0x8a, M), /* TEST XCHG MOV MOV */
	[0x8c ... 0x8f] = M, /* MOV, LEA, MOV, POP */
	[0x9a] = N64, /* CALL far */
	PAIR(0xa0, 0), PAIR(0xa2, 0), PAIR(0xa4, 0), PAIR(0xa6, 0), /* MOV MOV MOVS CMPS */
	[0xa8] = I8 | B, [0xa9] = IZ, /* TEST */
	PAIR(0xaa, 0), PAIR(0xac, 0), PAIR(0xae, 0), /* STOS LODS SCAS */
	[0xb0 ... 0xb7] = I8 | B, /* MOV; b8 to bf: read_moffs() and so on below */
	PAIR(0xc0, M | I8), /* shifts */
	[0xc2] = I16, /* RET */
	[0xc4] = M | N64, [0xc5] = M | N64, /* LES, LDS */
	[0xc6] = M | I8 | B, [0xc7] = M | IZ, /* MOV */
	[0xc8] = I16 | I8, [0xca] = I16, [0xcd] = I8, [0xce] = N64, /* ENTER RETF INT INTO */
	PAIR(0xd0, M), PAIR(0xd2, M), /* shifts */
	[0xd4] = I8 | N64, [0xd5] = I8 | N64, [0xd6] = BAD, /* AAM, AAD */
	[0xd8 ... 0xdf] = BAD, /* x87 */
	[0xe0 ... 0xe7] = I8, /* LOOP, JCXZ, IN, OUT */
	[0xe8] = IZ, [0xe9] = IZ, [0xea] = N64, [0xeb] = I8, /* CALL, JMP */
	[0xf0] = PFX, [0xf2] = PFX, [0xf3] = PFX,
	PAIR(0xf6, M), PAIR(0xfe, M), /* groups 3, 4, 5 */
};

static const u8 two_byte[256] = {
	[0x00 ... 0x03] = M, /* groups 6, 7; LAR, LSL */
	[0x04] = BAD,
	[0x0a] = BAD, [0x0c] = BAD,
	[0x0d] = M, /* PREFETCHW */
	[0x0e ... 0x1e] = BAD,
	[0x1f] = M, /* NOP */
	[0x20 ... 0x23] = M, /* MOV CR, DR */
	[0x24 ... 0x2f] = BAD,
	[0x36 ... 0x3f] = BAD, /* of these 38 is seen earlier */
	[0x40 ... 0x4f] = M, /* CMOVcc */
	[0x50 ... 0x7f] = BAD,
	[0x80 ... 0x8f] = IZ, /* Jcc */
	[0x90 ... 0x9f] = M | B, /* SETcc */
	[0xa3] = M, [0xa4] = M | I8, [0xa5] = M, /* BT SHLD SHLD */
	[0xa6] = BAD, [0xa7] = BAD,
	[0xab] = M, [0xac] = M | I8, [0xad ... 0xaf] = M, /* BTS SHRD SHRD group15 IMUL */
	PAIR(0xb0, M), /* CMPXCHG */
	[0xb2 ... 0xb8] = M, [0xb9] = BAD, [0xba] = M | I8, /* LSS BTR LFS LGS MOVZX POPCNT */
	[0xbb ... 0xbf] = M, /* BTC BSF BSR MOVSX */
	PAIR(0xc0, M), /* XADD */
	[0xc2] = BAD, [0xc3] = M, [0xc4 ... 0xc6] = BAD, [0xc7] = M, /* MOVNTI, group 9 */
	[0xd0 ... 0xff] = BAD,
};
/* clang-format on */

struct dec {
	const u8 *bytes;
	u32 pos;
	enum insn_mode mode;
	u8 attr;
	u8 rex, p66;
	u8 mod, reg, rm; /* of ModRM; reg without REX.R, rm without REX.B */
	bool seg_set;	 /* an override was met; insn.seg holds it */
	struct insn *in;
};

static u64 read_imm(struct dec *d, u32 size) /* sign-extended */
{
	u64 value = 0;

	for (u32 i = 0; i < size; i++)
		value |= (u64)d->bytes[d->pos++] << (8 * i);
	return (u64)((s64)(value << (64 - 8 * size)) >> (64 - 8 * size));
}

static void set_base(struct dec *d, u32 base)
{
	d->in->base = (u8)base;
	if (!d->seg_set && (base == ABI_RSP || base == ABI_RBP))
		d->in->seg = ABI_SS;
}

static void read_address16(struct dec *d)
{
	static const u8 base[8] = { ABI_RBX, ABI_RBX, ABI_RBP, ABI_RBP,
				    ABI_RSI, ABI_RDI, ABI_RBP, ABI_RBX };
	static const u8 index[8] = { ABI_RSI,	 ABI_RDI,    ABI_RSI,	 ABI_RDI,
				     ABI_NO_GPR, ABI_NO_GPR, ABI_NO_GPR, ABI_NO_GPR };

	if (d->mod == 0 && d->rm == 6) {
		d->in->disp = (s64)read_imm(d, 2);
		return;
	}
	set_base(d, base[d->rm]);
	d->in->index = index[d->rm];
	if (d->mod)
		d->in->disp = (s64)read_imm(d, d->mod);
}

static void read_address(struct dec *d)
{
	struct insn *in = d->in;
	u32 rex_b = (d->rex & 1u) << 3;
	u32 base = d->rm | rex_b;

	if (in->asize == 2) {
		read_address16(d);
		return;
	}
	if (d->rm == 4) {
		u8 sib = d->bytes[d->pos++];
		u32 index = ((sib >> 3) & 7) | (d->rex & 2u) << 2;

		if (index != 4) {
			in->index = (u8)index;
			in->scale = sib >> 6;
		}
		base = (sib & 7) | rex_b;
		if ((sib & 7) == 5 && d->mod == 0) {
			in->disp = (s64)read_imm(d, 4);
			return;
		}
	} else if (d->rm == 5 && d->mod == 0) {
		in->rip_relative = d->mode == INSN_64;
		in->disp = (s64)read_imm(d, 4);
		return;
	}
	set_base(d, base);
	if (d->mod)
		in->disp = (s64)read_imm(d, d->mod == 1 ? 1 : 4);
}

static void read_modrm(struct dec *d)
{
	u8 modrm = d->bytes[d->pos++];

	d->mod = modrm >> 6;
	d->reg = (modrm >> 3) & 7;
	d->rm = modrm & 7;
}

/* A register operand: number, and whether it is one of AH to BH. */
static u8 reg_number(const struct dec *d, u32 n, u32 rex_bit, u32 size, u8 *high)
{
	*high = size == 1 && !d->rex && n >= 4;
	if (*high)
		return (u8)(n - 4);
	return (u8)(n | (d->rex & rex_bit ? 8 : 0));
}

static void dst_reg(struct dec *d, u32 size)
{
	d->in->dst = OPND_REG;
	d->in->dst_reg = reg_number(d, d->reg, 4, size, &d->in->dst_high);
}

static void src_reg(struct dec *d, u32 size)
{
	d->in->src = OPND_REG;
	d->in->src_reg = reg_number(d, d->reg, 4, size, &d->in->src_high);
}

static void dst_rm(struct dec *d, u32 size)
{
	if (d->mod != 3) {
		d->in->dst = OPND_MEM;
		return;
	}
	d->in->dst = OPND_REG;
	d->in->dst_reg = reg_number(d, d->rm, 1, size, &d->in->dst_high);
}

static void src_rm(struct dec *d, u32 size)
{
	if (d->mod != 3) {
		d->in->src = OPND_MEM;
		return;
	}
	d->in->src = OPND_REG;
	d->in->src_reg = reg_number(d, d->rm, 1, size, &d->in->src_high);
}

static void rm_reg(struct dec *d, enum insn_op op) /* op r/m, r */
{
	d->in->op = op;
	dst_rm(d, d->in->size);
	src_reg(d, d->in->size);
}

static void reg_rm(struct dec *d, enum insn_op op) /* op r, r/m */
{
	d->in->op = op;
	dst_reg(d, d->in->size);
	src_rm(d, d->in->size);
}

static void rm_imm(struct dec *d, enum insn_op op) /* op r/m, imm */
{
	d->in->op = op;
	dst_rm(d, d->in->size);
	d->in->src = OPND_IMM;
}

static void acc_imm(struct dec *d, enum insn_op op) /* op rAX, imm */
{
	d->in->op = op;
	d->in->dst = OPND_REG;
	d->in->dst_reg = ABI_RAX;
	d->in->src = OPND_IMM;
}

/* The default operand size is 8 for PUSH, POP and near branches in 64-bit mode. */
static void stack_size(struct dec *d)
{
	if (d->mode == INSN_64)
		d->in->size = d->p66 && !(d->rex & 8) ? 2 : 8;
}

static bool group_f6(struct dec *d) /* F6, F7: TEST NOT NEG MUL IMUL DIV IDIV */
{
	if (d->reg < 2) { /* TEST, the only one with an immediate */
		d->attr |= d->attr & B ? I8 : IZ;
		rm_imm(d, OP_TEST);
	} else if (d->reg < 4) {
		d->in->op = d->reg == 2 ? OP_NOT : OP_NEG;
		dst_rm(d, d->in->size);
	}
	return true;
}

static bool group_fe(struct dec *d) /* FE, FF: INC DEC CALL CALLF JMP JMPF PUSH */
{
	if (d->reg < 2) {
		d->in->op = d->reg ? OP_DEC : OP_INC;
		dst_rm(d, d->in->size);
		return true;
	}
	if (d->attr & B || d->reg == 7)
		return false;
	if ((d->reg == 3 || d->reg == 5) && d->mod == 3)
		return false;
	if (d->reg == 6) {
		d->in->op = OP_PUSH;
		stack_size(d);
		src_rm(d, d->in->size);
	}
	return true;
}

static void string_op(struct dec *d, enum insn_op op)
{
	d->in->op = op;
	if ((op == OP_INS || op == OP_OUTS) && d->in->size == 8)
		d->in->size = 4;
}

/* Operands of the one-byte map, after ModRM. False: undefined. */
static bool operands_one_byte(struct dec *d, u8 opcode)
{
	struct insn *in = d->in;

	if (opcode < 0x40 && (opcode & 7) < 6) {
		enum insn_op op = (enum insn_op)(OP_ADD + (opcode >> 3));

		if ((opcode & 7) < 2)
			rm_reg(d, op);
		else if ((opcode & 7) < 4)
			reg_rm(d, op);
		else
			acc_imm(d, op);
		return true;
	}
	switch (opcode) {
	case 0x62: /* BOUND; with a register EVEX */
	case 0xc4: /* LES, LDS; with a register VEX */
	case 0xc5:
	case 0x8d: /* LEA */ return d->mod != 3;
	case 0x63:
		if (d->mode == INSN_64) { /* MOVSXD */
			in->op = OP_MOVSX;
			in->src_size = in->size == 2 ? 2 : 4;
			dst_reg(d, in->size);
			src_rm(d, in->src_size);
		}
		return true;
	case 0x6c:
	case 0x6d: string_op(d, OP_INS); return true;
	case 0x6e:
	case 0x6f: string_op(d, OP_OUTS); return true;
	case 0x80 ... 0x83: rm_imm(d, (enum insn_op)(OP_ADD + d->reg)); return true;
	case 0x84:
	case 0x85: rm_reg(d, OP_TEST); return true;
	case 0x86:
	case 0x87: rm_reg(d, OP_XCHG); return true;
	case 0x88:
	case 0x89: rm_reg(d, OP_MOV); return true;
	case 0x8a:
	case 0x8b: reg_rm(d, OP_MOV); return true;
	case 0x8c: /* MOV from and to a segment register */ return d->reg < 6;
	case 0x8e: return d->reg < 6 && d->reg != ABI_CS;
	case 0x8f: /* /0 is POP; the others are XOP */
		if (d->reg)
			return false;
		in->op = OP_POP;
		stack_size(d);
		dst_rm(d, in->size);
		return true;
	case 0x9a: /* far pointers: offset, then selector */
	case 0xea: d->attr |= IZ | I16; return true;
	case 0xa0 ... 0xa3: /* MOV between rAX and an absolute address */
		in->op = OP_MOV;
		in->disp = (s64)read_imm(d, in->asize);
		if (opcode < 0xa2) {
			in->dst = OPND_REG;
			in->src = OPND_MEM;
			in->dst_reg = ABI_RAX;
		} else {
			in->dst = OPND_MEM;
			in->src = OPND_REG;
			in->src_reg = ABI_RAX;
		}
		return true;
	case 0xa4:
	case 0xa5: string_op(d, OP_MOVS); return true;
	case 0xa6:
	case 0xa7: string_op(d, OP_CMPS); return true;
	case 0xa8:
	case 0xa9: acc_imm(d, OP_TEST); return true;
	case 0xaa:
	case 0xab: string_op(d, OP_STOS); return true;
	case 0xac:
	case 0xad: string_op(d, OP_LODS); return true;
	case 0xae:
	case 0xaf: string_op(d, OP_SCAS); return true;
	case 0xb8 ... 0xbf: /* the only 64-bit immediates */
		in->imm = read_imm(d, in->size);
		return true;
	case 0xc6:
	case 0xc7: rm_imm(d, OP_MOV); return d->reg == 0;
	case 0xe8:
	case 0xe9: /* vendors differ on the size of a branch with 66 */
		return !(d->mode == INSN_64 && d->p66);
	case 0xf6:
	case 0xf7: return group_f6(d);
	case 0xfe:
	case 0xff: return group_fe(d);
	}
	return true;
}

static bool group_0f01(struct dec *d) /* memory: by reg; registers: mostly by the whole byte */
{
	struct insn *in = d->in;

	if (d->reg == 4) {
		in->op = OP_SMSW;
		dst_rm(d, in->size);
		if (in->dst == OPND_MEM)
			in->size = 2;
		return true;
	}
	if (d->reg == 6) {
		in->op = OP_LMSW;
		in->size = 2;
		src_rm(d, 2);
		return true;
	}
	if (d->mod != 3) {
		if (d->reg == 7) {
			in->op = OP_INVLPG;
			in->size = 1;
			in->src = OPND_MEM;
		}
		return d->reg != 5;
	}
	if (d->p66 || in->rep)
		return false;
	switch (0xc0 | d->reg << 3 | d->rm) {
	case 0xc1 ... 0xc4: /* VMCALL VMLAUNCH VMRESUME VMXOFF */
	case 0xc8 ... 0xcb: /* MONITOR MWAIT CLAC STAC */
	case 0xd0:	    /* XGETBV XSETBV VMFUNC */
	case 0xd1:
	case 0xd4:
	case 0xd8 ... 0xdf: /* AMD's SVM instructions */
	case 0xf9 ... 0xfc: /* RDTSCP MONITORX MWAITX CLZERO */ return true;
	case 0xf8: /* SWAPGS */ return d->mode == INSN_64;
	}
	return false;
}

static bool group_0fae(struct dec *d)
{
	if (d->in->rep)
		return false;
	if (d->mod == 3) /* LFENCE MFENCE SFENCE */
		return d->reg >= 5 && !d->p66;
	if (d->reg == 7 || (d->reg == 6 && d->p66)) { /* CLFLUSH, CLFLUSHOPT, CLWB */
		d->in->op = OP_CLFLUSH;
		d->in->size = 1;
		d->in->src = OPND_MEM;
		return true;
	}
	return false;
}

static bool move_control(struct dec *d, u8 opcode) /* 0F 20 to 23 */
{
	struct insn *in = d->in;
	u8 nr = (u8)(d->reg | (d->rex & 4) << 1);
	u8 gpr = (u8)(d->rm | (d->rex & 1) << 3);

	d->mod = 3; /* whatever the field says */
	in->size = d->mode == INSN_64 ? 8 : 4;
	if (opcode & 1) {
		in->op = OP_MOV_DR;
		if (nr > 7 || in->lock)
			return false;
	} else {
		in->op = OP_MOV_CR;
		if (in->lock) { /* AMD: reaches CR8 outside 64-bit mode */
			if (nr)
				return false;
			nr = 8;
		}
		if (nr > 8 || nr == 1 || (nr > 4 && nr < 8))
			return false;
	}
	if (opcode & 2) {
		in->dst = OPND_CR;
		in->dst_reg = nr;
		in->src = OPND_REG;
		in->src_reg = gpr;
	} else {
		in->dst = OPND_REG;
		in->dst_reg = gpr;
		in->src = OPND_CR;
		in->src_reg = nr;
	}
	return true;
}

static void extend(struct dec *d, enum insn_op op, u8 src_size) /* MOVZX, MOVSX */
{
	d->in->op = op;
	d->in->src_size = src_size;
	dst_reg(d, d->in->size);
	src_rm(d, src_size);
}

/* Operands of the 0F map, after ModRM. False: undefined. */
static bool operands_two_byte(struct dec *d, u8 opcode)
{
	static const u8 bit_ops[4] = { OP_BT, OP_BTS, OP_BTR, OP_BTC };
	struct insn *in = d->in;

	switch (opcode) {
	case 0x00: return d->reg < 6;
	case 0x01: return group_0f01(d);
	case 0x06: in->op = OP_CLTS; return true;
	case 0x0d: return d->mod != 3;
	case 0x20 ... 0x23: return move_control(d, opcode);
	case 0x80 ... 0x8f: return !(d->mode == INSN_64 && d->p66);
	case 0xa3: /* BT BTS BTR BTC */
	case 0xab:
	case 0xb3:
	case 0xbb: rm_reg(d, (enum insn_op)bit_ops[(opcode >> 3) & 3]); return true;
	case 0xba: rm_imm(d, (enum insn_op)bit_ops[d->reg & 3]); return d->reg >= 4;
	case 0xae: return group_0fae(d);
	case 0xb0:
	case 0xb1: rm_reg(d, OP_CMPXCHG); return true;
	case 0xb2: /* LSS, LFS, LGS */
	case 0xb4:
	case 0xb5: return d->mod != 3;
	case 0xb6:
	case 0xb7: extend(d, OP_MOVZX, opcode & 1 ? 2 : 1); return true;
	case 0xbe:
	case 0xbf: extend(d, OP_MOVSX, opcode & 1 ? 2 : 1); return true;
	case 0xb8: /* POPCNT */ return in->rep == 0xf3;
	case 0xc0:
	case 0xc1: rm_reg(d, OP_XADD); return true;
	case 0xc3: /* MOVNTI */
		in->size = d->rex & 8 ? 8 : 4;
		rm_reg(d, OP_MOV);
		return d->mod != 3 && !d->p66 && !in->rep;
	case 0xc7: /* CMPXCHG8B, CMPXCHG16B */ return d->mod != 3 && d->reg == 1;
	}
	return true;
}

static bool operands_0f38(struct dec *d, u8 opcode) /* MOVBE alone */
{
	if ((opcode & 0xfe) != 0xf0 || d->mod == 3 || d->in->rep)
		return false;
	if (opcode & 1)
		rm_reg(d, OP_MOVBE);
	else
		reg_rm(d, OP_MOVBE);
	return true;
}

/* LOCK is for these, and only with a memory destination. */
static bool lock_allowed(const struct dec *d, bool cmpxchg8b)
{
	switch (d->in->op) {
	case OP_ADD ... OP_XOR:
	case OP_INC ... OP_CMPXCHG:
	case OP_BTS ... OP_BTC: return d->in->dst == OPND_MEM;
	case OP_MOV_CR: /* checked where it was decoded */ return true;
	}
	return cmpxchg8b;
}

static bool read_prefixes(struct dec *d, u8 *opcode)
{
	struct insn *in = d->in;
	bool p67 = false;

	for (;;) {
		u8 op = d->bytes[d->pos++];

		if (d->mode == INSN_64 && (op & 0xf0) == 0x40) {
			d->rex = op;
		} else if (one_byte[op] & PFX) {
			d->rex = 0; /* counts only right before the opcode */
			switch (op) {
			case 0x26:
			case 0x2e:
			case 0x36:
			case 0x3e:
				if (d->mode == INSN_64)
					break; /* no effect there */
				in->seg = (op >> 3) & 3;
				d->seg_set = true;
				break;
			case 0x64:
			case 0x65:
				in->seg = op & 1 ? ABI_GS : ABI_FS;
				d->seg_set = true;
				break;
			case 0x66: d->p66 = 1; break;
			case 0x67: p67 = true; break;
			case 0xf0: in->lock = 1; break;
			default: in->rep = op;
			}
		} else {
			*opcode = op;
			break;
		}
		if (d->pos >= INSN_MAX)
			return false;
	}

	if (d->mode == INSN_64)
		in->asize = p67 ? 4 : 8;
	else
		in->asize = (d->mode == INSN_16) != p67 ? 2 : 4;
	in->size = (d->mode == INSN_16) != d->p66 ? 2 : 4;
	if (d->rex & 8)
		in->size = 8;
	return true;
}

static bool decode(struct dec *d)
{
	struct insn *in = d->in;
	u32 map = 0;
	u8 opcode;

	if (!read_prefixes(d, &opcode))
		return false;
	d->attr = one_byte[opcode];
	if (opcode == 0x0f) {
		map = 0x0f;
		opcode = d->bytes[d->pos++];
		d->attr = two_byte[opcode];
		if (opcode == 0x38) {
			map = 0x38;
			opcode = d->bytes[d->pos++];
			d->attr = M;
		}
	}
	if (d->attr & BAD || (d->attr & N64 && d->mode == INSN_64))
		return false;
	if (d->attr & B)
		in->size = 1;
	in->src_size = in->size;

	if (d->attr & M) {
		read_modrm(d);
		if (d->mod != 3 && !(map == 0x0f && (opcode & 0xfc) == 0x20))
			read_address(d);
	}
	if (map == 0	  ? !operands_one_byte(d, opcode)
	    : map == 0x0f ? !operands_two_byte(d, opcode)
			  : !operands_0f38(d, opcode))
		return false;
	if (in->op != OP_MOVZX && in->op != OP_MOVSX)
		in->src_size = in->size;
	if (in->lock && !lock_allowed(d, map == 0x0f && opcode == 0xc7))
		return false;

	if (d->attr & IZ)
		in->imm = read_imm(d, in->size == 2 ? 2 : 4);
	if (d->attr & I16)
		d->pos += 2;
	if (d->attr & I8)
		in->imm = read_imm(d, 1);
	return d->pos <= INSN_MAX;
}

enum insn_status insn_decode(struct insn *out, const u8 *bytes, u32 n, enum insn_mode mode)
{
	struct dec d = { .bytes = bytes, .mode = mode, .in = out };
	bool good;

	*out = (struct insn){ .seg = ABI_DS, .base = ABI_NO_GPR, .index = ABI_NO_GPR };
	good = decode(&d);
	if (d.pos > n && n < INSN_MAX) /* what was looked at last is not there */
		return INSN_SHORT;
	out->len = (u8)d.pos;
	return good ? INSN_OK : INSN_BAD;
}
