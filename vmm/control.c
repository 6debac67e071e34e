/*
 * Intercepted control- and debug-register instructions: see control.h. Faults
 * that depend on the value are the kernel's; those that depend on the mode were
 * mostly raised by the processor, and are checked again here because another
 * vCPU may have changed the code since.
 */
#include "vmm/control.h"

#include "vmm/fetch.h"
#include "vmm/operand.h"
#include "vmm/sys.h"

#define CR0_TS BIT(3)
#define CR4_DE BIT(3)

static u64 read_cr(struct abi_vcpu *v, u32 nr)
{
	switch (nr) {
	case 0: return v->state.cr0;
	case 3: return v->state.cr3;
	case 4: return v->state.cr4;
	}
	sys_get_state();
	return nr == 2 ? v->state.cr2 : v->state.cr8;
}

static NORETURN void move_cr(struct abi_vcpu *v, const struct insn *in)
{
	u64 mask = size_mask(in->size);

	if (in->dst == OPND_CR)
		sys_finish(ABI_FIN_CR, in->dst_reg, v->gpr[in->src_reg & 15] & mask, in->len);
	sys_finish(ABI_FIN_REG, in->dst_reg, read_cr(v, in->src_reg) & mask, in->len);
}

/* Can set CR0's bit 0, never clear it. */
static NORETURN void load_msw(struct abi_vcpu *v, const struct insn *in)
{
	struct access a;
	u64 msw;

	if (in->src == OPND_MEM) {
		operand_open(v, in, 2, ACCESS_READ, &a);
		msw = access_read(&a);
	} else {
		msw = v->gpr[in->src_reg & 15];
	}
	sys_finish(ABI_FIN_CR, 0, (v->state.cr0 & ~0xeull) | (msw & 0xf), in->len);
}

static NORETURN void store_msw(struct abi_vcpu *v, const struct insn *in)
{
	struct access a;

	if (in->dst == OPND_MEM) {
		operand_open(v, in, 2, ACCESS_WRITE, &a);
		access_write(&a, v->state.cr0 & 0xffff);
		sys_finish(ABI_FIN_REG, ABI_NO_GPR, 0, in->len);
	}
	sys_finish(ABI_FIN_REG, in->dst_reg,
		   operand_merge(v->gpr[in->dst_reg & 15], v->state.cr0, in->size, false), in->len);
}

void control_cr(struct abi_vcpu *v)
{
	const struct insn *in = fetch_insn(v);

	if (v->cpl && in->op != OP_SMSW)
		finish_fault(VEC_GP, 0, 0);
	switch (in->op) {
	case OP_MOV_CR: move_cr(v, in);
	case OP_LMSW: load_msw(v, in);
	case OP_SMSW: store_msw(v, in);
	case OP_CLTS: sys_finish(ABI_FIN_CR, 0, v->state.cr0 & ~CR0_TS, in->len);
	}
	fetch_stale(v);
}

static u64 read_dr(struct abi_vcpu *v, u32 nr)
{
	sys_get_state();
	switch (nr) {
	case 6: return v->state.dr6;
	case 7: return v->state.dr7;
	}
	return v->state.dr[nr & 3];
}

void control_dr(struct abi_vcpu *v)
{
	const struct insn *in = fetch_insn(v);
	u64 mask;
	u32 nr;

	if (in->op != OP_MOV_DR)
		fetch_stale(v);
	if (v->cpl)
		finish_fault(VEC_GP, 0, 0);
	nr = in->dst == OPND_CR ? in->dst_reg : in->src_reg;
	if (nr == 4 || nr == 5) { /* other names of 6 and 7, unless debug extensions are on */
		if (v->state.cr4 & CR4_DE)
			finish_fault(VEC_UD, 0, 0);
		nr += 2;
	}
	mask = size_mask(in->size);
	if (in->dst == OPND_CR)
		sys_finish(ABI_FIN_DR, nr, v->gpr[in->src_reg & 15] & mask, in->len);
	sys_finish(ABI_FIN_REG, in->dst_reg, read_dr(v, nr) & mask, in->len);
}
