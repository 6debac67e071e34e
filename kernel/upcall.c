/*
 * Upcalls: an exit that the kernel does not own is handed to the VM's monitor
 * in ring 3, and its SYS_FINISH says how the guest goes on (kernel/abi.h).
 *
 * The finish is checked against the kernel's own copy of what is pending;
 * nothing is read back from the shared page but the registers of FINISH_REGS,
 * which are the guest's own and so need no trust. Runs open, on the vCPU's
 * CPU, in the VM's address space.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "kernel/budget.h"
#include "kernel/control_regs.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/vcpu.h"
#include "kernel/vm.h"

#define FIN(name) BIT(ABI_FIN_##name)

/* Which ends fit which upcall. FAULT may end whatever an instruction caused. */
static const u32 allowed[ABI_UPCALL_COUNT] = {
	[ABI_UP_START] = FIN(NONE) | FIN(REGS),
	[ABI_UP_EVENT] = FIN(NONE),
	[ABI_UP_PIO_IN] = FIN(NONE) | FIN(IN) | FIN(FAULT),
	[ABI_UP_PIO_OUT] = FIN(NONE) | FIN(OUT) | FIN(FAULT),
	[ABI_UP_PIO_STRING] = FIN(NONE) | FIN(REGS) | FIN(FAULT),
	[ABI_UP_MMIO] =
		FIN(NONE) | FIN(REG) | FIN(REGS) | FIN(FAULT) | FIN(LAPIC_READ) | FIN(LAPIC_WRITE),
	[ABI_UP_CR] = FIN(NONE) | FIN(CR) | FIN(REG) | FIN(REGS) | FIN(FAULT),
	[ABI_UP_DR] = FIN(NONE) | FIN(DR) | FIN(REG) | FIN(FAULT),
	[ABI_UP_RDMSR] = FIN(MSR) | FIN(FAULT),
	[ABI_UP_WRMSR] = FIN(MSR) | FIN(FAULT),
	[ABI_UP_INTACK] = FIN(INTACK),
	[ABI_UP_EOI] = FIN(NONE),
	[ABI_UP_PEEK] = FIN(PEEK),
};

_Static_assert(sizeof(struct hv_state) == sizeof(struct abi_state), "one layout");
_Static_assert(offsetof(struct hv_state, cr0) == offsetof(struct abi_state, cr0), "one layout");
_Static_assert(offsetof(struct hv_state, dr) == offsetof(struct abi_state, dr), "one layout");
_Static_assert((int)HV_R15 == (int)ABI_R15 && (int)HV_TR == (int)ABI_TR, "one order");

void vcpu_fill_regs(struct vcpu *v)
{
	struct abi_vcpu *p = v->page;

	/* in this order, or the compiler reads them all first, into more registers
	 * than there are */
#pragma GCC unroll 16
	for (u32 i = 0; i < HV_GPRS; i++)
		WRITE_ONCE(p->gpr[i], READ_ONCE(v->hv.gpr[i]));
	p->rip = v->hv.rip;
	p->rflags = v->hv.rflags;
	hv->get_mmu(&v->hv, (struct hv_state *)&p->state, &p->cpl);
}

static void fill_page(struct vcpu *v, u32 reason)
{
	const struct hv_exit *x = &v->hv.exit;
	struct abi_vcpu *p = v->page;

	switch (reason) {
	case ABI_UP_PIO_STRING:
		p->port = x->pio.port;
		p->size = x->pio.size;
		vcpu_fill_regs(v);
		break;
	case ABI_UP_RDMSR:
	case ABI_UP_WRMSR:
		p->msr = x->msr.index;
		p->value = (u32)v->hv.gpr[HV_RAX] | v->hv.gpr[HV_RDX] << 32;
		break;
	case ABI_UP_CR:
	case ABI_UP_DR:
		vcpu_fill_regs(v);
		hv->get_state(&v->hv, (struct hv_state *)&p->state);
		break;
	case ABI_UP_PEEK:
		p->gpa = v->dump.stack;
		p->value = DUMP_STACK;
		vcpu_fill_regs(v);
		break;
	case ABI_UP_EOI:
		p->vector = v->eoi_vector;
		v->eoi_pending = false;
		break;
	}
}

static inline void begin(struct vcpu *v, u32 reason)
{
	struct abi_vcpu *p = v->page;

	p->reason = reason;
	p->events = 0;
	if (unlikely(__atomic_load_n(&v->events, __ATOMIC_RELAXED)))
		p->events = __atomic_exchange_n(&v->events, 0, __ATOMIC_ACQ_REL);
	v->upcall = reason;
	v->upcall_active = true;
	v->upcall_start = v->stats.monitor.ticks;
	v->uctx.resume = USER_FRESH;
	v->stats.upcalls++;
}

void vcpu_upcall(struct vcpu *v, u32 reason)
{
	fill_page(v, reason);
	begin(v, reason);
}

void vcpu_upcall_pio(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;

	v->page->port = x->pio.port;
	v->page->size = x->pio.size;
	v->page->value = v->hv.gpr[HV_RAX];
	begin(v, x->pio.in ? ABI_UP_PIO_IN : ABI_UP_PIO_OUT);
}

void vcpu_upcall_mmio(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;
	struct abi_vcpu *p = v->page;

	p->gpa = x->npf.gpa;
	p->write = x->npf.write;
	p->walk = x->npf.walk;
	p->fetch = x->npf.fetch;
	begin(v, ABI_UP_MMIO);
	vcpu_fill_regs(v);
}

/* AL, AX or EAX; a 32-bit result clears the upper half as hardware does. */
static void finish_in(struct vcpu *v, u64 value)
{
	u64 *rax = &v->hv.gpr[HV_RAX];

	switch (v->hv.exit.pio.size) {
	case 1: *rax = (*rax & ~0xffull) | (value & 0xff); break;
	case 2: *rax = (*rax & ~0xffffull) | (value & 0xffff); break;
	default: *rax = (u32)value;
	}
	vcpu_advance(v, v->hv.exit.insn_len);
}

/* What a guest may have in RFLAGS; IF, IOPL and VM are the guest's own affair. */
#define RFLAGS_DEFINED 0x3f7fd5ull

static NOINLINE void finish_regs(struct vcpu *v, u64 len)
{
#pragma GCC unroll 16
	for (u32 i = 0; i < HV_GPRS; i++)
		v->hv.gpr[i] = v->page->gpr[i];
	v->hv.rip = v->page->rip;
	v->hv.rflags = (v->page->rflags & RFLAGS_DEFINED) | RFLAGS_FIXED;
	vcpu_advance(v, (u32)len);
}

static NOINLINE bool finish_fault(struct vcpu *v, u64 vector, u64 error, u64 cr2)
{
	const u32 with_error = BIT(EXC_DF) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP) |
			       BIT(EXC_PF) | BIT(EXC_AC);

	if (vector > 31 || vector == EXC_NMI || error > 0xffffffff)
		return false;
	if (vector == EXC_PF)
		hv->set_cr(&v->hv, 2, cr2);
	vcpu_inject(v, (u8)vector, with_error >> vector & 1, (u32)error);
	return true;
}

static NOINLINE bool finish_intack(struct vcpu *v, u64 vector)
{
	if (vector > 256)
		return false;
	vcpu_request(v, VCPU_REQ_EVENT);
	if (vector < 256)
		v->hv.inject = (struct hv_event){ .valid = 1,
						  .type = HV_EVENT_EXTINT,
						  .vector = (u8)vector };
	return true;
}

static NOINLINE bool finish_dr(struct vcpu *v, u64 nr, u64 value, u64 len)
{
	if (nr > 7 || nr == 4 || nr == 5)
		return false;
	if (nr >= 6 && value >> 32) {
		vcpu_inject_gp(v);
		return true;
	}
	if (nr == 6)
		value = dr6_fixed(value);
	else if (nr == 7)
		value = dr7_fixed(value);
	hv->set_dr(&v->hv, (u32)nr, value);
	vcpu_advance(v, (u32)len);
	return true;
}

static NOINLINE bool finish_lapic_write(struct vcpu *v, u64 offset, u64 value, u64 len)
{
	u32 effects = 0;

	if (offset >= LAPIC_MMIO_SIZE || value > 0xffffffff || len > 15)
		return false;
	if (lapic_mmio(&v->lapic))
		effects =
			lapic_write(&v->lapic, (u32)offset, (u32)value, vcpu_guest_tsc(v, rdtsc()));
	if (effects)
		vcpu_lapic_effects(v, effects);
	vcpu_advance(v, (u32)len);
	return true;
}

static NOINLINE bool finish_lapic_read(struct vcpu *v, u64 offset, u64 gpr, u64 len)
{
	u64 value = 0xffffffff;

	if (offset >= LAPIC_MMIO_SIZE || gpr > ABI_NO_GPR || len > 15)
		return false;
	if (lapic_mmio(&v->lapic))
		value = vcpu_lapic_read(v, (u32)offset, rdtsc());
	if (gpr != ABI_NO_GPR)
		v->hv.gpr[gpr] = value;
	vcpu_advance(v, (u32)len);
	return true;
}

/* SYS_FINISH: false: it makes no sense, and nothing was done. */
static NOINLINE bool finish(struct vcpu *v)
{
	const u64 *r = v->uctx.gpr;
	u64 kind = r[HV_RDI], a = r[HV_RSI], b = r[HV_RDX], c = r[HV_R10];

	if (unlikely(kind >= ABI_FINISH_COUNT || !(allowed[v->upcall] >> kind & 1)))
		return false;
	switch (kind) {
	case ABI_FIN_NONE: return true;
	case ABI_FIN_IN: finish_in(v, a); return true;
	case ABI_FIN_OUT: vcpu_advance(v, v->hv.exit.insn_len); return true;
	case ABI_FIN_REG:
		if (a > ABI_NO_GPR || c > 15)
			return false;
		if (a != ABI_NO_GPR)
			v->hv.gpr[a] = b;
		vcpu_advance(v, (u32)c);
		return true;
	case ABI_FIN_REGS:
		if (a > 15)
			return false;
		finish_regs(v, a);
		return true;
	case ABI_FIN_CR:
		if (a > 15 || c > 15)
			return false;
		if (vcpu_write_cr(v, (u32)a, b))
			vcpu_advance(v, (u32)c);
		return true;
	case ABI_FIN_DR: return c <= 15 && finish_dr(v, a, b, c);
	case ABI_FIN_MSR:
		if (v->upcall == ABI_UP_RDMSR) {
			v->hv.gpr[HV_RAX] = (u32)a;
			v->hv.gpr[HV_RDX] = a >> 32;
		}
		vcpu_advance(v, v->hv.exit.insn_len);
		return true;
	case ABI_FIN_FAULT: return finish_fault(v, a, b, c);
	case ABI_FIN_INTACK: return finish_intack(v, a);
	case ABI_FIN_PEEK:
		if (a > DUMP_STACK)
			return false;
		vcpu_dump_end(v, (u32)a);
		return true;
	case ABI_FIN_LAPIC_READ: return finish_lapic_read(v, a, b, c);
	case ABI_FIN_LAPIC_WRITE: return finish_lapic_write(v, a, b, c);
	default: return false;
	}
}

static void monitor_fault(struct vcpu *v)
{
	const struct user_fault *f = user_fault();

	vcpu_end(v, VM_END_MONITOR, f->vector,
		 "its monitor took exception %u (error %lx) at %lx, address %lx", f->vector,
		 f->error, f->rip, f->cr2);
}

static bool over_budget(const struct vcpu *v)
{
	u64 seconds = v->upcall == ABI_UP_START ? BUDGET_START_S : BUDGET_S;

	return stopwatch_read(&v->stats.monitor) - v->upcall_start > seconds * tsc_hz;
}

/* All that ends a run of ring 3 but SYS_FINISH. False: leave the upcall for now. */
static NOINLINE bool goes_on(struct vcpu *v, enum user_exit why)
{
	switch (why) {
	case USER_SYSCALL: vcpu_syscall(v); break;
	case USER_FAULT: monitor_fault(v); break;
	default:
		if (over_budget(v))
			vcpu_end(v, VM_END_MONITOR, 0,
				 "its monitor did not come back from upcall %u", v->upcall);
		if (__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) & VCPU_REQ_LEAVE)
			return false;
	}
	return !v->ended;
}

static NOINLINE void bad_finish(struct vcpu *v)
{
	vcpu_end(v, VM_END_MONITOR, 0, "its monitor ended upcall %u by a bad call (%lx)", v->upcall,
		 v->uctx.gpr[HV_RDI]);
}

void vcpu_upcall_run(struct vcpu *v)
{
	enum user_exit why;

	stopwatch_start(&v->stats.monitor);
	do
		why = user_run(&v->uctx);
	while (unlikely(why != USER_FINISH) && goes_on(v, why));
	stopwatch_stop(&v->stats.monitor);
	if (unlikely(why != USER_FINISH)) {
		if (v->ended)
			vcpu_dump_drop(v);
		return;
	}
	v->upcall_active = false;
	if (unlikely(!finish(v))) {
		bad_finish(v);
		vcpu_dump_drop(v);
	} else if (unlikely(v->stop_asked)) {
		v->ended = true;
	}
}
