/*
 * Accesses to emulated memory: one instruction per upcall, all its memory
 * operands opened (and checked) before anything is changed. Instruction
 * semantics as in SDM Vol. 2. String instructions are in vmm/string_op.c.
 */
#include "vmm/emulate.h"

#include "vmm/access.h"
#include "vmm/alu.h"
#include "vmm/board.h"
#include "vmm/fetch.h"
#include "vmm/iomap.h"
#include "vmm/operand.h"
#include "vmm/string_op.h"
#include "vmm/sys.h"
#include "vmm/walk.h"

/* Opens the memory operand, which must be what this exit is about. */
static void open(struct abi_vcpu *v, const struct insn *in, u32 size, enum access_kind kind,
		 struct access *a)
{
	operand_open(v, in, size, kind, a);
	if (unlikely(!access_touches(a, v->gpa)))
		fetch_stale(v);
}

static NORETURN void done(const struct insn *in)
{
	sys_finish(ABI_FIN_REG, ABI_NO_GPR, 0, in->len);
}

static NORETURN void done_regs(const struct insn *in)
{
	sys_finish(ABI_FIN_REGS, in->len, 0, 0);
}

static NORETURN void done_dst(struct abi_vcpu *v, const struct insn *in, u64 value)
{
	u64 old = v->gpr[in->dst_reg & 15];

	sys_finish(ABI_FIN_REG, in->dst_reg, operand_merge(old, value, in->size, in->dst_high),
		   in->len);
}

/* A plain 32-bit access to one of the LAPIC's registers is the kernel's. */
static inline bool is_lapic(gpa_t gpa, u32 size)
{
	return gpa - BOARD_LAPIC < BOARD_LAPIC_SIZE && size == 4 && !(gpa & 0xf);
}

/*
 * What nearly all exits are: 64-bit code, one page, translated not long ago.
 * Does what do_mov() does, or returns having done nothing.
 */
static inline void try_mov(struct abi_vcpu *v, const struct insn *in)
{
	u32 user = v->cpl == 3 ? PF_USER : 0;
	u64 lin = operand_offset(v, in, 0);
	const struct walk_hit *h;
	gpa_t gpa;

	if (in->seg >= ABI_FS)
		lin += v->state.seg[in->seg].base;
	if (fetch_mode(v) != INSN_64 || (lin & (PAGE_SIZE - 1)) + in->size > PAGE_SIZE)
		return;
	h = walk_cached(v, lin, in->dst == OPND_MEM ? PF_WRITE | user : user);
	if (!h || (h->gpa ^ v->gpa) >= PAGE_SIZE)
		return;
	gpa = h->gpa | (lin & (PAGE_SIZE - 1));

	if (gpa - BOARD_LAPIC < BOARD_LAPIC_SIZE) {
		if (!is_lapic(gpa, in->size))
			return;
		if (in->dst == OPND_MEM)
			sys_finish(ABI_FIN_LAPIC_WRITE, gpa - BOARD_LAPIC, operand_src(v, in),
				   in->len);
		sys_finish(ABI_FIN_LAPIC_READ, gpa - BOARD_LAPIC, in->dst_reg, in->len);
	}
	if (h->ram)
		return;
	if (in->dst != OPND_MEM)
		done_dst(v, in, iomap_read(IO_MMIO, gpa, in->size));
	iomap_write(IO_MMIO, gpa, in->size, operand_src(v, in));
	done(in);
}

static NOINLINE NORETURN void do_mov(struct abi_vcpu *v, const struct insn *in)
{
	struct access a;

	if (in->dst == OPND_MEM) {
		u64 value = operand_src(v, in);

		open(v, in, in->size, ACCESS_WRITE, &a);
		if (is_lapic(a.gpa[0], a.size))
			sys_finish(ABI_FIN_LAPIC_WRITE, a.gpa[0] - BOARD_LAPIC, value, in->len);
		access_write(&a, value);
		done(in);
	}
	open(v, in, in->size, ACCESS_READ, &a);
	if (is_lapic(a.gpa[0], a.size))
		sys_finish(ABI_FIN_LAPIC_READ, a.gpa[0] - BOARD_LAPIC, in->dst_reg, in->len);
	done_dst(v, in, access_read(&a));
}

static NORETURN void do_extend(struct abi_vcpu *v, const struct insn *in) /* MOVZX, MOVSX */
{
	u32 shift = 64 - 8u * in->src_size;
	struct access a;
	u64 value;

	open(v, in, in->src_size, ACCESS_READ, &a);
	value = access_read(&a) << shift;
	done_dst(v, in, in->op == OP_MOVSX ? (u64)((s64)value >> shift) : value >> shift);
}

static NORETURN void do_movbe(struct abi_vcpu *v, const struct insn *in)
{
	u32 shift = 64 - 8u * in->size;
	struct access a;

	if (in->dst == OPND_MEM) {
		open(v, in, in->size, ACCESS_WRITE, &a);
		access_write(&a, __builtin_bswap64(operand_src(v, in)) >> shift);
		done(in);
	}
	open(v, in, in->size, ACCESS_READ, &a);
	done_dst(v, in, __builtin_bswap64(access_read(&a)) >> shift);
}

/* ADD to CMP and TEST, with memory on either side. */
static NORETURN void do_binary(struct abi_vcpu *v, const struct insn *in)
{
	bool writes = in->op != OP_CMP && in->op != OP_TEST;
	u64 dst, src, result;
	struct access a;

	if (in->dst == OPND_MEM) {
		open(v, in, in->size, writes ? ACCESS_WRITE : ACCESS_READ, &a);
		dst = access_read(&a);
		src = operand_src(v, in);
	} else {
		open(v, in, in->size, ACCESS_READ, &a);
		dst = operand_gpr(v, in->dst_reg, in->dst_high);
		src = access_read(&a);
	}
	result = alu_binary((enum insn_op)in->op, dst, src, in->size, &v->rflags);
	if (writes && in->dst == OPND_MEM)
		access_write(&a, result);
	else if (writes)
		operand_set_gpr(v, in->dst_reg, result, in->size, in->dst_high);
	done_regs(in);
}

static NORETURN void do_unary(struct abi_vcpu *v, const struct insn *in)
{
	struct access a;

	open(v, in, in->size, ACCESS_WRITE, &a);
	access_write(&a, alu_unary((enum insn_op)in->op, access_read(&a), in->size, &v->rflags));
	done_regs(in);
}

static NORETURN void do_exchange(struct abi_vcpu *v, const struct insn *in) /* XCHG, XADD */
{
	u64 src = operand_src(v, in), old;
	struct access a;

	open(v, in, in->size, ACCESS_WRITE, &a);
	old = access_read(&a);
	if (in->op == OP_XADD)
		src = alu_binary(OP_ADD, old, src, in->size, &v->rflags);
	access_write(&a, src);
	operand_set_gpr(v, in->src_reg, old, in->size, in->src_high);
	done_regs(in);
}

static NORETURN void do_cmpxchg(struct abi_vcpu *v, const struct insn *in)
{
	u64 old, acc = v->gpr[ABI_RAX] & size_mask(in->size);
	struct access a;

	open(v, in, in->size, ACCESS_WRITE, &a);
	old = access_read(&a);
	alu_binary(OP_CMP, acc, old, in->size, &v->rflags);
	if (acc == old) {
		access_write(&a, operand_src(v, in));
	} else {
		access_write(&a, old); /* there is always a write */
		operand_set_gpr(v, ABI_RAX, old, in->size, false);
	}
	done_regs(in);
}

/* A bit number in a register reaches beyond the operand that it is given for. */
static NORETURN void do_bit(struct abi_vcpu *v, const struct insn *in)
{
	u32 bits = 8u * in->size, shift = 64 - bits;
	enum access_kind kind = in->op == OP_BT ? ACCESS_READ : ACCESS_WRITE;
	s64 bit = (s64)(operand_src(v, in) << shift) >> shift, more = 0;
	struct access a;
	u64 value, off;

	if (in->src == OPND_REG)
		more = (bit >> __builtin_ctz(bits)) * in->size;
	off = operand_offset(v, in, more);
	access_open(v, in->seg, off, in->size, kind, false, &a);
	if (!access_touches(&a, v->gpa))
		fetch_stale(v);
	value = alu_bit((enum insn_op)in->op, access_read(&a), (u32)bit & (bits - 1), &v->rflags);
	if (kind == ACCESS_WRITE)
		access_write(&a, value);
	done_regs(in);
}

/* PUSH and POP with a memory operand: the stack is the other one. */
static NORETURN void do_stack(struct abi_vcpu *v, const struct insn *in)
{
	u32 width = fetch_mode(v) == INSN_64 ? 8 : v->state.seg[ABI_SS].attr & ABI_ATTR_DB ? 4 : 2;
	u64 old = v->gpr[ABI_RSP], off = in->op == OP_PUSH ? old - in->size : old;
	enum access_kind kind = in->op == OP_PUSH ? ACCESS_WRITE : ACCESS_READ;
	struct access stack, mem;

	off &= size_mask(width);
	access_open(v, ABI_SS, off, in->size, kind, false, &stack);
	if (in->op == OP_PUSH) {
		operand_open(v, in, in->size, ACCESS_READ, &mem);
	} else { /* an address based on RSP counts from after the POP */
		v->gpr[ABI_RSP] = operand_merge(old, old + in->size, width, false);
		operand_open(v, in, in->size, ACCESS_WRITE, &mem);
	}
	if (!access_touches(&stack, v->gpa) && !access_touches(&mem, v->gpa))
		fetch_stale(v);
	if (in->op == OP_PUSH) {
		access_write(&stack, access_read(&mem));
		v->gpr[ABI_RSP] = operand_merge(old, off, width, false);
	} else {
		access_write(&mem, access_read(&stack));
	}
	done_regs(in);
}

/* All but MOV. */
static NOINLINE NORETURN void emulate_other(struct abi_vcpu *v, const struct insn *in)
{
	if (in->op >= OP_MOVS && in->op <= OP_SCAS)
		string_op_mmio(v, in);
	if (in->op == OP_CLFLUSH)
		done(in);
	if (in->op == OP_OTHER)
		fetch_fail(v, "cannot emulate");
	if (in->dst != OPND_MEM && in->src != OPND_MEM)
		fetch_stale(v);

	switch ((enum insn_op)in->op) {
	case OP_MOVZX:
	case OP_MOVSX: do_extend(v, in);
	case OP_MOVBE: do_movbe(v, in);
	case OP_ADD ... OP_CMP:
	case OP_TEST: do_binary(v, in);
	case OP_INC ... OP_NEG: do_unary(v, in);
	case OP_XCHG:
	case OP_XADD: do_exchange(v, in);
	case OP_CMPXCHG: do_cmpxchg(v, in);
	case OP_BT ... OP_BTC: do_bit(v, in);
	case OP_PUSH:
	case OP_POP: do_stack(v, in);
	default: fetch_fail(v, "cannot emulate");
	}
}

void emulate_mmio(struct abi_vcpu *v)
{
	const struct insn *in;

	if (unlikely(v->walk))
		sys_fail("page table in device memory: guest-physical %lx, RIP %lx", v->gpa,
			 v->rip);
	if (unlikely(v->fetch))
		fetch_fail(v, "execution in device memory");

	in = fetch_insn(v);
	if (likely(in->op == OP_MOV && (in->dst == OPND_MEM || in->src == OPND_MEM))) {
		try_mov(v, in);
		do_mov(v, in);
	}
	emulate_other(v, in);
}
