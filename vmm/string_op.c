/*
 * String instructions: see string_op.h; SDM Vol. 2, REP. One upcall does a
 * bounded part of a long one; RIP then stays, and the rest exits again. The
 * registers are up to date after each element, so a fault in a later one needs
 * no undoing.
 */
#include "vmm/string_op.h"

#include "vmm/access.h"
#include "vmm/alu.h"
#include "vmm/emulate.h"
#include "vmm/fetch.h"
#include "vmm/iomap.h"
#include "vmm/operand.h"
#include "vmm/sys.h"

#define BYTES_MAX 1024 /* per upcall */
#define RFLAGS_ZF BIT(6)

struct element {
	struct abi_vcpu *v;
	const struct insn *in;
	bool progress; /* an earlier element of this upcall is done */
};

static u64 index_reg(const struct element *e, u32 reg)
{
	return e->v->gpr[reg] & size_mask(e->in->asize);
}

static void open_at(const struct element *e, u32 reg, enum access_kind kind, struct access *a)
{
	u32 seg = reg == ABI_RSI ? e->in->seg : ABI_ES;

	access_open(e->v, seg, index_reg(e, reg), e->in->size, kind, e->progress, a);
}

static void advance(const struct element *e, u32 reg)
{
	u64 step = e->in->size;

	if (e->v->rflags & RFLAGS_DF)
		step = 0 - step;
	operand_set_gpr(e->v, reg, e->v->gpr[reg] + step, e->in->asize, false);
}

/* The first element must be what the exit was about. */
static void check_first(const struct element *e, const struct access *a, const struct access *b)
{
	if (e->progress || access_touches(a, e->v->gpa) || (b && access_touches(b, e->v->gpa)))
		return;
	fetch_stale(e->v);
}

/* Counts an element. True: another one follows in this instruction. */
static bool repeat(const struct element *e)
{
	struct abi_vcpu *v = e->v;

	if (!e->in->rep)
		return false;
	operand_set_gpr(v, ABI_RCX, v->gpr[ABI_RCX] - 1, e->in->asize, false);
	if (!index_reg(e, ABI_RCX))
		return false;
	if (e->in->op == OP_CMPS || e->in->op == OP_SCAS)
		return !!(v->rflags & RFLAGS_ZF) == (e->in->rep == 0xf3);
	return true;
}

static void one_mmio(const struct element *e)
{
	struct abi_vcpu *v = e->v;
	const struct insn *in = e->in;
	struct access src, dst;

	switch (in->op) {
	case OP_MOVS:
		open_at(e, ABI_RSI, ACCESS_READ, &src);
		open_at(e, ABI_RDI, ACCESS_WRITE, &dst);
		check_first(e, &src, &dst);
		access_write(&dst, access_read(&src));
		break;
	case OP_STOS:
		open_at(e, ABI_RDI, ACCESS_WRITE, &dst);
		check_first(e, &dst, NULL);
		access_write(&dst, v->gpr[ABI_RAX] & size_mask(in->size));
		break;
	case OP_LODS:
		open_at(e, ABI_RSI, ACCESS_READ, &src);
		check_first(e, &src, NULL);
		operand_set_gpr(v, ABI_RAX, access_read(&src), in->size, false);
		break;
	case OP_CMPS: {
		u64 a;

		open_at(e, ABI_RSI, ACCESS_READ, &src);
		open_at(e, ABI_RDI, ACCESS_READ, &dst);
		check_first(e, &src, &dst);
		a = access_read(&src);
		alu_binary(OP_CMP, a, access_read(&dst), in->size, &v->rflags);
		break;
	}
	default: /* SCAS */
		open_at(e, ABI_RDI, ACCESS_READ, &dst);
		check_first(e, &dst, NULL);
		alu_binary(OP_CMP, v->gpr[ABI_RAX], access_read(&dst), in->size, &v->rflags);
	}
	if (in->op == OP_MOVS || in->op == OP_LODS || in->op == OP_CMPS)
		advance(e, ABI_RSI);
	if (in->op != OP_LODS)
		advance(e, ABI_RDI);
}

static void one_io(const struct element *e)
{
	struct abi_vcpu *v = e->v;
	struct access a;

	if (e->in->op == OP_INS) {
		open_at(e, ABI_RDI, ACCESS_WRITE, &a);
		access_write(&a, iomap_read(IO_PORT, v->port, e->in->size));
		advance(e, ABI_RDI);
	} else {
		open_at(e, ABI_RSI, ACCESS_READ, &a);
		iomap_write(IO_PORT, v->port, e->in->size, access_read(&a));
		advance(e, ABI_RSI);
	}
}

static NORETURN void run(struct abi_vcpu *v, const struct insn *in,
			 void (*one)(const struct element *e))
{
	struct element e = { .v = v, .in = in };

	if (in->rep && !index_reg(&e, ABI_RCX))
		sys_finish(ABI_FIN_REGS, in->len, 0, 0);
	for (u32 bytes = 0; bytes < BYTES_MAX; bytes += in->size) {
		one(&e);
		if (!repeat(&e))
			sys_finish(ABI_FIN_REGS, in->len, 0, 0);
		e.progress = true;
	}
	sys_finish(ABI_FIN_REGS, 0, 0, 0);
}

void string_op_mmio(struct abi_vcpu *v, const struct insn *in)
{
	run(v, in, one_mmio);
}

void string_op_io(struct abi_vcpu *v, const struct insn *in)
{
	run(v, in, one_io);
}

void emulate_pio_string(struct abi_vcpu *v)
{
	const struct insn *in = fetch_insn(v);

	if ((in->op != OP_INS && in->op != OP_OUTS) || in->size != v->size)
		fetch_stale(v);
	string_op_io(v, in);
}
