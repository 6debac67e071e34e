/*
 * An instruction's operands: general registers in their four widths, immediate
 * values, and where its memory operand lies.
 */
#ifndef VMM_OPERAND_H
#define VMM_OPERAND_H

#include "vmm/access.h"
#include "vmm/decode.h"

/* A register's value, high: of AH to BH. Not cut to a size. */
static inline u64 operand_gpr(const struct abi_vcpu *v, u32 reg, bool high)
{
	return v->gpr[reg & 15] >> (high ? 8 : 0);
}

/* What a register of old value holds after size bytes were written to it. */
static inline u64 operand_merge(u64 old, u64 value, u32 size, bool high)
{
	switch (size) {
	case 8: return value;
	case 4: return (u32)value; /* the upper half is zeroed */
	case 2: return (old & ~0xffffull) | (value & 0xffff);
	}
	if (high)
		return (old & ~0xff00ull) | (value & 0xff) << 8;
	return (old & ~0xffull) | (value & 0xff);
}

static inline void operand_set_gpr(struct abi_vcpu *v, u32 reg, u64 value, u32 size, bool high)
{
	v->gpr[reg & 15] = operand_merge(v->gpr[reg & 15], value, size, high);
}

/* The source, register or immediate, cut to .src_size. */
static ALWAYS_INLINE u64 operand_src(const struct abi_vcpu *v, const struct insn *in)
{
	u64 value = in->src == OPND_IMM ? in->imm : operand_gpr(v, in->src_reg, in->src_high);

	return value & size_mask(in->src_size);
}

/* The memory operand's offset in its segment, plus more bytes. */
static ALWAYS_INLINE u64 operand_offset(const struct abi_vcpu *v, const struct insn *in, s64 more)
{
	u64 off = (u64)in->disp + (u64)more;

	if (in->base != ABI_NO_GPR)
		off += v->gpr[in->base & 15];
	if (in->index != ABI_NO_GPR)
		off += v->gpr[in->index & 15] << in->scale;
	if (in->rip_relative)
		off += v->rip + in->len;
	return off & size_mask(in->asize);
}

/* Opens the memory operand. Ends the upcall as access_open does. */
static inline void operand_open(struct abi_vcpu *v, const struct insn *in, u32 size,
				enum access_kind kind, struct access *out)
{
	access_open(v, in->seg, operand_offset(v, in, 0), size, kind, false, out);
}

#endif
