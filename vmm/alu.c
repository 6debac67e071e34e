/*
 * Arithmetic of emulated instructions: see alu.h.
 */
#include "vmm/alu.h"

#define CF BIT(0)
#define PF BIT(2)
#define AF BIT(4)
#define ZF BIT(6)
#define SF BIT(7)
#define OF BIT(11)

static u64 result_flags(u64 result, u32 size)
{
	u64 flags = 0;

	result &= size_mask(size);
	if (!result)
		flags |= ZF;
	if (result >> (8 * size - 1))
		flags |= SF;
	if (!(__builtin_popcountll(result & 0xff) & 1))
		flags |= PF;
	return flags;
}

static u64 add(u64 a, u64 b, u64 carry, u32 size, u64 *flags)
{
	u64 mask = size_mask(size), sum = (a + b + carry) & mask;
	u64 carries = (a & b) | ((a | b) & ~sum); /* out of each bit */

	*flags = result_flags(sum, size);
	if ((carries >> (8 * size - 1)) & 1)
		*flags |= CF;
	if ((((a ^ sum) & (b ^ sum)) >> (8 * size - 1)) & 1)
		*flags |= OF;
	*flags |= (a ^ b ^ sum) & AF;
	return sum;
}

static u64 subtract(u64 a, u64 b, u64 borrow, u32 size, u64 *flags)
{
	u64 mask = size_mask(size), diff = (a - b - borrow) & mask;
	u64 borrows = (~a & b) | ((~a | b) & diff);

	*flags = result_flags(diff, size);
	if ((borrows >> (8 * size - 1)) & 1)
		*flags |= CF;
	if ((((a ^ b) & (a ^ diff)) >> (8 * size - 1)) & 1)
		*flags |= OF;
	*flags |= (a ^ b ^ diff) & AF;
	return diff;
}

static void set_flags(u64 *rflags, u64 which, u64 flags)
{
	*rflags = (*rflags & ~which) | (flags & which);
}

u64 alu_binary(enum insn_op op, u64 dst, u64 src, u32 size, u64 *rflags)
{
	u64 carry = *rflags & CF, flags, result;

	dst &= size_mask(size);
	src &= size_mask(size);
	switch (op) {
	case OP_ADD: result = add(dst, src, 0, size, &flags); break;
	case OP_ADC: result = add(dst, src, carry, size, &flags); break;
	case OP_SUB:
	case OP_CMP: result = subtract(dst, src, 0, size, &flags); break;
	case OP_SBB: result = subtract(dst, src, carry, size, &flags); break;
	default:
		if (op == OP_OR)
			result = dst | src;
		else if (op == OP_XOR)
			result = dst ^ src;
		else
			result = dst & src;
		flags = result_flags(result, size);
	}
	set_flags(rflags, CF | PF | AF | ZF | SF | OF, flags);
	return result;
}

u64 alu_unary(enum insn_op op, u64 value, u32 size, u64 *rflags)
{
	u64 all = CF | PF | AF | ZF | SF | OF, flags, result;

	value &= size_mask(size);
	switch (op) {
	case OP_INC: result = add(value, 1, 0, size, &flags); break;
	case OP_DEC: result = subtract(value, 1, 0, size, &flags); break;
	case OP_NEG:
		result = subtract(0, value, 0, size, &flags);
		set_flags(rflags, all, flags);
		return result;
	default: return ~value & size_mask(size); /* NOT */
	}
	set_flags(rflags, all & ~CF, flags);
	return result;
}

u64 alu_bit(enum insn_op op, u64 value, u32 bit, u64 *rflags)
{
	set_flags(rflags, CF, (value >> bit) & 1);
	switch (op) {
	case OP_BTS: return value | BIT(bit);
	case OP_BTR: return value & ~BIT(bit);
	case OP_BTC: return value ^ BIT(bit);
	default: return value;
	}
}
