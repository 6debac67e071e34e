/*
 * The instruction decoder against Zydis: one input in both. Where both decode,
 * lengths and operands must agree; where one does not, the reason must be on a
 * short list below. The includer defines DECODE_FAILED(what).
 */
#ifndef FAKE_DECODE_PEER_H
#define FAKE_DECODE_PEER_H

#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "vmm/decode.h"

struct test {
	u8 bytes[INSN_BUF];
	enum insn_mode mode;
	struct insn in;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static void failed(const struct test *t, const char *what)
{
	printf("mode %d:", t->mode);
	for (u32 i = 0; i < 15; i++)
		printf(" %02x", t->bytes[i]);
	printf("\nours: len %u op %u size %u asize %u dst %u src %u; Zydis: %s len %u\n", t->in.len,
	       t->in.op, t->in.size, t->in.asize, t->in.dst, t->in.src,
	       ZydisMnemonicGetString(t->z.mnemonic), t->z.length);
	DECODE_FAILED(what);
}

#define CHECK(c) \
	do { \
		if (!(c)) \
			failed(t, #c); \
	} while (0)

static const ZydisMnemonic mnemonic_of[] = {
	[OP_ADD] = ZYDIS_MNEMONIC_ADD,	       [OP_OR] = ZYDIS_MNEMONIC_OR,
	[OP_ADC] = ZYDIS_MNEMONIC_ADC,	       [OP_SBB] = ZYDIS_MNEMONIC_SBB,
	[OP_AND] = ZYDIS_MNEMONIC_AND,	       [OP_SUB] = ZYDIS_MNEMONIC_SUB,
	[OP_XOR] = ZYDIS_MNEMONIC_XOR,	       [OP_CMP] = ZYDIS_MNEMONIC_CMP,
	[OP_MOV] = ZYDIS_MNEMONIC_MOV,	       [OP_MOVZX] = ZYDIS_MNEMONIC_MOVZX,
	[OP_MOVSX] = ZYDIS_MNEMONIC_MOVSX,     [OP_MOVBE] = ZYDIS_MNEMONIC_MOVBE,
	[OP_TEST] = ZYDIS_MNEMONIC_TEST,       [OP_INC] = ZYDIS_MNEMONIC_INC,
	[OP_DEC] = ZYDIS_MNEMONIC_DEC,	       [OP_NOT] = ZYDIS_MNEMONIC_NOT,
	[OP_NEG] = ZYDIS_MNEMONIC_NEG,	       [OP_XCHG] = ZYDIS_MNEMONIC_XCHG,
	[OP_XADD] = ZYDIS_MNEMONIC_XADD,       [OP_CMPXCHG] = ZYDIS_MNEMONIC_CMPXCHG,
	[OP_BT] = ZYDIS_MNEMONIC_BT,	       [OP_BTS] = ZYDIS_MNEMONIC_BTS,
	[OP_BTR] = ZYDIS_MNEMONIC_BTR,	       [OP_BTC] = ZYDIS_MNEMONIC_BTC,
	[OP_PUSH] = ZYDIS_MNEMONIC_PUSH,       [OP_POP] = ZYDIS_MNEMONIC_POP,
	[OP_CLFLUSH] = ZYDIS_MNEMONIC_CLFLUSH, [OP_MOV_CR] = ZYDIS_MNEMONIC_MOV,
	[OP_MOV_DR] = ZYDIS_MNEMONIC_MOV,      [OP_LMSW] = ZYDIS_MNEMONIC_LMSW,
	[OP_SMSW] = ZYDIS_MNEMONIC_SMSW,       [OP_CLTS] = ZYDIS_MNEMONIC_CLTS,
	[OP_INVLPG] = ZYDIS_MNEMONIC_INVLPG,
};

static const ZydisMnemonic string_of[][4] = {
	[OP_MOVS - OP_MOVS] = { ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD,
				ZYDIS_MNEMONIC_MOVSQ },
	[OP_CMPS - OP_MOVS] = { ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD,
				ZYDIS_MNEMONIC_CMPSQ },
	[OP_STOS - OP_MOVS] = { ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD,
				ZYDIS_MNEMONIC_STOSQ },
	[OP_LODS - OP_MOVS] = { ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD,
				ZYDIS_MNEMONIC_LODSQ },
	[OP_SCAS - OP_MOVS] = { ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD,
				ZYDIS_MNEMONIC_SCASQ },
	[OP_INS - OP_MOVS] = { ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_INSD, 0 },
	[OP_OUTS -
		OP_MOVS] = { ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW, ZYDIS_MNEMONIC_OUTSD, 0 },
};

static bool is_string(u8 op)
{
	return op >= OP_MOVS && op <= OP_OUTS;
}

static u32 log2_of(u32 size)
{
	return (u32)__builtin_ctz(size);
}

/* The number of a general register of any width, with its being a high byte. */
static u8 gpr_of(ZydisRegister reg, u8 *high)
{
	*high = 0;
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		*high = 1;
		return (u8)(reg - ZYDIS_REGISTER_AH);
	}
	if (reg == ZYDIS_REGISTER_NONE)
		return ABI_NO_GPR;
	return (u8)ZydisRegisterGetId(
		ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

static u8 seg_of(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_ES: return ABI_ES;
	case ZYDIS_REGISTER_CS: return ABI_CS;
	case ZYDIS_REGISTER_SS: return ABI_SS;
	case ZYDIS_REGISTER_DS: return ABI_DS;
	case ZYDIS_REGISTER_FS: return ABI_FS;
	case ZYDIS_REGISTER_GS: return ABI_GS;
	default: return 0xff;
	}
}

static void check_mem(const struct test *t, const ZydisDecodedOperand *z)
{
	const struct insn *in = &t->in;
	u8 high;
	u64 mask = size_mask(in->asize);

	CHECK(z->type == ZYDIS_OPERAND_TYPE_MEMORY);
	CHECK(seg_of(z->mem.segment) == in->seg);
	if (z->mem.base == ZYDIS_REGISTER_R13D && t->z.raw.modrm.mod == 0)
		return; /* Zydis 4.0 forgets "no base" here, and the displacement with it */
	if (z->mem.base == ZYDIS_REGISTER_RIP || z->mem.base == ZYDIS_REGISTER_EIP) {
		CHECK(in->rip_relative && in->base == ABI_NO_GPR);
	} else {
		CHECK(!in->rip_relative);
		CHECK(gpr_of(z->mem.base, &high) == in->base);
	}
	CHECK(gpr_of(z->mem.index, &high) == in->index);
	if (in->index != ABI_NO_GPR)
		CHECK(z->mem.scale == (in->asize == 2 ? 1 : 1 << in->scale));
	CHECK(((u64)z->mem.disp.value & mask) == ((u64)in->disp & mask));
}

static void check_operand(const struct test *t, u8 kind, u8 reg, u8 high, u32 size,
			  const ZydisDecodedOperand *z)
{
	u8 z_high;

	switch (kind) {
	case OPND_REG:
		CHECK(z->type == ZYDIS_OPERAND_TYPE_REGISTER);
		CHECK(gpr_of(z->reg.value, &z_high) == reg && z_high == high);
		if (!(t->in.op == OP_MOVSX && t->in.size == 2)) /* SDM: MOVSXD r16, r/m16 */
			CHECK(z->size == 8 * size);
		break;
	case OPND_CR:
		CHECK(z->type == ZYDIS_OPERAND_TYPE_REGISTER);
		CHECK(ZydisRegisterGetId(z->reg.value) == reg);
		break;
	case OPND_MEM:
		check_mem(t, z);
		if (t->in.op != OP_INVLPG && t->in.op != OP_CLFLUSH && t->in.op != OP_SMSW &&
		    !(t->in.op == OP_MOVSX && t->in.size == 2))
			CHECK(z->size == 8 * size);
		break;
	case OPND_IMM:
		CHECK(z->type == ZYDIS_OPERAND_TYPE_IMMEDIATE);
		CHECK(((z->imm.value.u ^ t->in.imm) & size_mask(size == 8 ? 8 : size)) == 0 ||
		      ((z->imm.value.u ^ t->in.imm) & 0xff) == 0);
		break;
	}
}

static void check_operands(const struct test *t)
{
	const struct insn *in = &t->in;
	const ZydisDecodedOperand *op = t->op;

	if (in->op == OP_OTHER)
		return;
	CHECK(in->asize * 8 == t->z.address_width);
	if (is_string(in->op)) {
		CHECK(t->z.mnemonic == string_of[in->op - OP_MOVS][log2_of(in->size)]);
		for (u32 i = 0; i < t->z.operand_count; i++) { /* the (R)SI side */
			u8 high;

			if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			    gpr_of(op[i].mem.base, &high) == ABI_RSI)
				CHECK(seg_of(op[i].mem.segment) == in->seg);
		}
		CHECK(!!in->rep ==
			      !!(t->z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
						    ZYDIS_ATTRIB_HAS_REPNE)) ||
		      in->rep == 0xf2);
		return;
	}
	if (t->z.mnemonic != mnemonic_of[in->op])
		CHECK((in->op == OP_MOVSX && t->z.mnemonic == ZYDIS_MNEMONIC_MOVSXD) ||
		      (in->op == OP_MOV && t->z.mnemonic == ZYDIS_MNEMONIC_MOVNTI) ||
		      (in->op == OP_CLFLUSH && (t->z.mnemonic == ZYDIS_MNEMONIC_CLFLUSHOPT ||
						t->z.mnemonic == ZYDIS_MNEMONIC_CLWB)));
	if (in->dst != OPND_NONE) {
		check_operand(t, in->dst, in->dst_reg, in->dst_high, in->size, &op[0]);
		if (in->src != OPND_NONE)
			check_operand(t, in->src, in->src_reg, in->src_high, in->src_size, &op[1]);
	} else if (in->src != OPND_NONE) {
		check_operand(t, in->src, in->src_reg, in->src_high, in->src_size, &op[0]);
	}
}

/* Zydis knows it and we do not: only what the decoder's map leaves out. */
static bool may_refuse(const struct test *t)
{
	if (t->z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return true; /* VEX, EVEX, XOP, 3DNow */
	if (t->z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		return (t->z.opcode >= 0xd8 && t->z.opcode <= 0xdf) || /* x87 */
		       t->z.opcode == 0xd6 ||			       /* SALC */
		       (t->z.opcode & 0xfe) == 0xc6 ||		       /* XABORT, XBEGIN */
		       ((t->z.opcode & 0xfe) == 0xe8 && t->mode == INSN_64);
	if (t->z.opcode_map != ZYDIS_OPCODE_MAP_0F)
		return t->z.mnemonic != ZYDIS_MNEMONIC_MOVBE;
	switch (t->z.opcode) {
	case 0x80 ... 0x8f: return t->mode == INSN_64;
	case 0x01: return t->z.meta.isa_ext != ZYDIS_ISA_EXT_BASE;
	}
	return (t->z.opcode >= 0x0b && t->z.opcode <= 0x1e) || /* UD2, hints, SSE */
	       (t->z.opcode >= 0x24 && t->z.opcode <= 0x2f) ||
	       (t->z.opcode >= 0x36 && t->z.opcode <= 0x3f) ||
	       (t->z.opcode >= 0x50 && t->z.opcode <= 0x7f) || t->z.opcode == 0xa6 ||
	       t->z.opcode == 0xa7 || t->z.opcode == 0xae || t->z.opcode == 0xb8 ||
	       t->z.opcode == 0xb9 || t->z.opcode >= 0xc2;
}

/* We know it and Zydis does not. */
static bool may_accept(const struct test *t)
{
	return t->in.op == OP_MOV_CR && t->in.lock; /* AMD's way to CR8 */
}

/* All checks of one input; cut: a number by which its bytes are cut short. */
static void decode_check(struct test *t, u32 cut)
{
	static const ZydisMachineMode machine[] = { ZYDIS_MACHINE_MODE_LEGACY_16,
						    ZYDIS_MACHINE_MODE_LEGACY_32,
						    ZYDIS_MACHINE_MODE_LONG_64 };
	static const ZydisStackWidth width[] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
						 ZYDIS_STACK_WIDTH_64 };
	static ZydisDecoder decoder[3];
	static bool ready;
	enum insn_status status;
	bool z_ok;

	if (!ready) {
		for (u32 i = 0; i < 3; i++)
			CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&decoder[i], machine[i], width[i])));
		ready = true;
	}
	memset(&t->z, 0, sizeof(t->z));
	z_ok = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder[t->mode], t->bytes, 15, &t->z, t->op));
	status = insn_decode(&t->in, t->bytes, 15, t->mode);

	CHECK(status != INSN_SHORT);
	if (status == INSN_OK && z_ok) {
		CHECK(t->in.len == t->z.length);
		check_operands(t);
	} else if (status == INSN_OK) {
		if (!may_accept(t))
			failed(t, "ours only");
	} else if (z_ok) {
		if (!may_refuse(t))
			failed(t, "Zydis only");
	}
	if (status == INSN_OK) { /* the same bytes, but not all there */
		u32 n = cut % (t->in.len + 1);
		u8 part[INSN_BUF] = { 0 };
		struct insn in;

		memcpy(part, t->bytes, n);
		status = insn_decode(&in, part, n, t->mode);
		if (n < t->in.len)
			CHECK(status == INSN_SHORT);
		else
			CHECK(status == INSN_OK && in.len == t->in.len);
	}
}

#endif
