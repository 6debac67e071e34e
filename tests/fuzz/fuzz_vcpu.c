/*
 * A hostile guest over a hostile monitor: any sequence of exits into the
 * kernel's vCPU loop, on the unit tests' machine, the monitor making any calls
 * and ending its upcalls mostly in ways that fit. world.c's assertions hold (no
 * bad MSR or XCR0 reaches the host, closed and open alternate); and here:
 * what enters the guest is a state and an event that a processor could have.
 */
// SOURCES-OF: tests/unit/test_syscall.c
// LIBS: -lcmocka
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 12000
// MAX_LEN: 200
#include "fuzz.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

#define EXITS 3 /* of one run of the loop */

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct vcpu *v;
static struct {
	struct vcpu vcpu;
	struct vm vm;
	struct world_area area;
	struct hw_fake hw;
	struct abi_vm vm_page;
	struct abi_vcpu page;
} saved;

static struct fuzz_in *input;

static void monitor(struct vcpu *vcpu);

/* What the guest's registers are at each exit of the script, and how it went on. */
static struct step {
	u64 rax, rcx, rdx, rip, rflags;
	u8 shadow;
	bool own_flags;
} steps[EXITS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	world_setup(16);
	world_boot();
	world_start(0);
	v = world.v;
	saved.vcpu = *v;
	saved.vm = *v->vm;
	saved.area = *world_area(v);
	saved.hw = hw;
	saved.vm_page = *v->vm->page;
	saved.page = *v->page;
	for (u32 i = 0; i < WORLD_SCRIPT; i++) /* monitor() fills in what it does */
		world.calls[i] = (struct world_call){ USER_SYSCALL, 0, 0, 0, 0, monitor };
	return 0;
}

static void restore(void)
{
	struct timer_queue *q;

	hw = saved.hw;
	q = &this_percpu()->timers;
	timer_cancel(q, &v->monitor_timer);
	timer_cancel(q, &v->lapic_timer);
	timer_cancel(q, &v->nudge);
	*v = saved.vcpu;
	*v->vm = saved.vm;
	*world_area(v) = saved.area;
	*v->vm->page = saved.vm_page;
	*v->page = saved.page;
	percpus[hw.cpu].vcpu = v;
	hw.fpu[hw.cpu] = v->fpu;
	world_forget();
}

/* ---------------------------------------------------------- the monitor */

static const u8 usual_end[ABI_UPCALL_COUNT] = {
	[ABI_UP_START] = ABI_FIN_NONE,	    [ABI_UP_EVENT] = ABI_FIN_NONE,
	[ABI_UP_PIO_IN] = ABI_FIN_IN,	    [ABI_UP_PIO_OUT] = ABI_FIN_OUT,
	[ABI_UP_PIO_STRING] = ABI_FIN_REGS, [ABI_UP_MMIO] = ABI_FIN_REG,
	[ABI_UP_CR] = ABI_FIN_CR,	    [ABI_UP_DR] = ABI_FIN_DR,
	[ABI_UP_RDMSR] = ABI_FIN_MSR,	    [ABI_UP_WRMSR] = ABI_FIN_MSR,
	[ABI_UP_INTACK] = ABI_FIN_INTACK,   [ABI_UP_EOI] = ABI_FIN_NONE,
	[ABI_UP_PEEK] = ABI_FIN_PEEK,
};

/* Arguments that fit, mostly. */
static void make_finish(struct world_call *c)
{
	u8 how = fuzz_u8(input);
	u64 kind = usual_end[v->page->reason % ABI_UPCALL_COUNT], a = fuzz_u8(input), b = 0,
	    r10 = 0;

	if ((how & 0xf0) == 0xf0)
		kind = how & 15;
	else if ((how & 0xe0) == 0xc0 && kind != ABI_FIN_NONE && kind != ABI_FIN_INTACK &&
		 kind != ABI_FIN_PEEK)
		kind = ABI_FIN_FAULT;
	switch (kind) {
	case ABI_FIN_IN: a = fuzz_u64(input); break;
	case ABI_FIN_REG:
	case ABI_FIN_CR:
	case ABI_FIN_DR:
		a &= how & 4 ? 0xff : 15;
		if (kind == ABI_FIN_DR && (a & ~1u) == 4)
			a = 7;
		b = how & 1 ? fuzz_u64(input) : fuzz_u32(input);
		r10 = how & 2 ? 3 : 2;
		break;
	case ABI_FIN_REGS:
		for (u32 i = 0; i < 16; i++)
			v->page->gpr[i] = i * 0x1111;
		v->page->rflags = fuzz_u64(input);
		v->page->rip = fuzz_u32(input);
		a &= 15;
		break;
	case ABI_FIN_MSR: a = fuzz_u64(input); break;
	case ABI_FIN_FAULT:
		a %= 33;
		b = fuzz_u16(input);
		r10 = fuzz_u32(input);
		break;
	case ABI_FIN_INTACK:
	case ABI_FIN_PEEK: a += how & 1; break;
	case ABI_FIN_LAPIC_READ:
	case ABI_FIN_LAPIC_WRITE:
		a <<= 4;
		b = how & 1 ? fuzz_u32(input) : 3;
		r10 = 3;
		break;
	}
	c->nr = ABI_SYS_FINISH;
	c->a = kind;
	c->b = a;
	c->c = b;
	v->uctx.gpr[HV_R10] = r10;
}

static void make_call(struct world_call *c)
{
	c->nr = fuzz_u8(input) % (ABI_SYSCALL_COUNT + 1);
	c->a = fuzz_u16(input);
	c->b = fuzz_u32(input);
	c->c = fuzz_u8(input);
	switch (c->nr) {
	case ABI_SYS_FINISH:
	case ABI_SYS_SET_STATE: c->nr = ABI_SYS_GET_STATE; break;
	case ABI_SYS_MSI:
		c->a = 0xfee00000;
		c->b &= 0xc7ff;
		break;
	case ABI_SYS_EXTINT: c->a &= 1; break;
	case ABI_SYS_NMI: c->a &= 1; break;
	case ABI_SYS_TIMER: c->a <<= 10; break;
	case ABI_SYS_STOP: c->a = c->a < 0x8000 ? 99 : c->a & 7; break;
	}
}

static u32 calls_left;

static void monitor(struct vcpu *vcpu)
{
	struct world_call *c = &world.calls[world.call_next - 1];

	(void)vcpu;
	if (calls_left && fuzz_u8(input) & 1) {
		calls_left--;
		make_call(c);
	} else {
		make_finish(c);
	}
}

/* ------------------------------------------------------------ the guest */

static void guest(struct vcpu *vcpu)
{
	const struct step *s = &steps[world.exit_next - 1];

	vcpu->hv.gpr[HV_RAX] = s->rax;
	vcpu->hv.gpr[HV_RCX] = s->rcx;
	vcpu->hv.gpr[HV_RDX] = s->rdx;
	vcpu->hv.rip = s->rip;
	if (s->own_flags)
		vcpu->hv.rflags = s->rflags;
	vcpu->hv.shadow = s->shadow;
}

static u32 msr_of(struct fuzz_in *in)
{
	static const u32 numbers[] = { 0x10,	   0x1b,       0x3b,	   0x6e0,      0x8b,
				       0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100,
				       0xc0000101, 0xc0000102, 0xc0000103, 0x174,      0x175,
				       0x176,	   0x277,      0x2ff,	   0x200,      0xfe,
				       0x4b564d00, 0x4b564d01, 0x11,	   0x12,       0x1a0,
				       0xc0010015, 0xc001001f, 0x48,	   0x49,       0xda0 };
	u8 how = fuzz_u8(in);

	if (how < 0xa0)
		return numbers[how % ARRAY_SIZE(numbers)];
	return how < 0xe0 ? 0x800u + (fuzz_u8(in) & 0x3f) : fuzz_u32(in);
}

static u64 register_of(struct fuzz_in *in)
{
	static const u64 edge[] = { 0,		1,	    7,	    0xfee00900,
				    0xfee00d00, 0x80050033, 0x20,   0x6f0,
				    0x80000001, 0xd,	    0x500,  0xd01,
				    0xffffffff, 0x3,	    0x7fff, 0xe0000 };
	u8 how = fuzz_u8(in);

	return how < 0xc0 ? edge[how % ARRAY_SIZE(edge)] : fuzz_u64(in);
}

static struct hv_event event_of(struct fuzz_in *in)
{
	static const u8 types[] = { HV_EVENT_EXTINT, HV_EVENT_NMI, HV_EVENT_EXCEPTION,
				    HV_EVENT_SOFT };
	struct hv_event e = { .valid = 1, .type = types[fuzz_u8(in) & 3] };

	e.vector = e.type == HV_EVENT_NMI	  ? 2
		   : e.type == HV_EVENT_EXCEPTION ? fuzz_u8(in) % 20
						  : fuzz_u8(in);
	if (e.type == HV_EVENT_EXCEPTION && e.vector == 2)
		e.vector = 3;
	if (e.type == HV_EVENT_EXCEPTION && 0x27d00u >> e.vector & 1) {
		e.has_error = 1;
		e.error = fuzz_u8(in);
	}
	return e;
}

static struct hv_exit exit_of(struct fuzz_in *in, struct step *s)
{
	struct hv_exit x = { .reason = fuzz_u8(in) % HV_EXIT_COUNT, .insn_len = 2 };
	u8 how = fuzz_u8(in);

	*s = (struct step){ .rax = register_of(in),
			    .rcx = how & 0x80 ? register_of(in) : 0,
			    .rdx = how & 1 ? register_of(in) : 0,
			    .rip = 0x1000 + fuzz_u8(in),
			    .rflags = 2 | (how & 2 ? RFLAGS_IF : 0) | (how & 4 ? RFLAGS_TF : 0) |
				      (how & 8 ? BIT(16) : 0),
			    .own_flags = how & 16,
			    .shadow = how >> 5 & 1 };
	switch (x.reason) {
	case HV_EXIT_PIO:
		x.pio.port = fuzz_u16(in);
		x.pio.size = (u8)(1u << fuzz_u8(in) % 3);
		x.pio.in = how >> 6 & 1;
		x.pio.string = fuzz_u8(in) & 1;
		break;
	case HV_EXIT_NPF: x.npf.gpa = fuzz_u32(in); break;
	case HV_EXIT_RDMSR:
	case HV_EXIT_WRMSR:
		x.msr.index = msr_of(in);
		s->rcx = x.msr.index;
		break;
	case HV_EXIT_CR:
	case HV_EXIT_DR:
		x.cr.nr = how & 1 ? 0 : fuzz_u8(in) & 1 ? 4 : 8;
		x.cr.write = x.cr.nr == 0 || how & 2;
		x.cr.decoded = x.reason == HV_EXIT_CR && how & 4;
		x.cr.gpr = fuzz_u8(in) & 15;
		x.cr.value = register_of(in);
		break;
	case HV_EXIT_EXC:
		x.exc.vector = how & 1 ? 1 : 17;
		x.exc.has_error = x.exc.vector == 17;
		break;
	default: break;
	}
	if (fuzz_u8(in) > 0xd0)
		x.cut = event_of(in);
	return x;
}

/* ------------------------------------------------------- what must hold */

static void check_state(void)
{
	const struct hv_state *s = &world_area(v)->s;
	const struct cpuid_table *t = &v->vm->cpuid;

	FUZZ_CHECK(!(s->cr0 >> 32) && (!(s->cr0 & CR0_PG) || s->cr0 & CR0_PE));
	FUZZ_CHECK(!(s->cr4 & ~t->cr4));
	FUZZ_CHECK(!(s->efer & ~(t->efer | EFER_LMA)) && !(s->efer & EFER_SVME));
	FUZZ_CHECK(!(s->dr6 >> 32) && !(s->dr7 >> 32));
	FUZZ_CHECK(v->tsc_offset == v->tsc_base_offset + v->msrs.tsc_adjust);
	FUZZ_CHECK(world_area(v)->tsc_offset == v->tsc_offset);
	FUZZ_CHECK(v->hv.tpr == lapic_get_cr8(&v->lapic));
	FUZZ_CHECK(hw.xcr0[hw.cpu] & XCR0_X87);
	FUZZ_CHECK(!hw.closed);
	FUZZ_CHECK(v->vm->page->tsc_offset == v->tsc_offset);
}

/* Of one entry into the guest. cut: the exit before it was within a delivery. */
static void check_entry(const struct world_entry *e, bool cut)
{
	const struct hv_event *i = &e->inject;

	FUZZ_CHECK(e->rflags & 2);
	FUZZ_CHECK(e->tpr < 16);
	if (!i->valid)
		return;
	FUZZ_CHECK(i->type == HV_EVENT_EXTINT || i->type == HV_EVENT_NMI ||
		   i->type == HV_EVENT_EXCEPTION);
	if (i->type == HV_EVENT_EXCEPTION)
		FUZZ_CHECK(i->vector < 32 && i->vector != 2);
	if (i->type == HV_EVENT_NMI) {
		FUZZ_CHECK(i->vector == 2);
		FUZZ_CHECK(cut || !e->shadow);
	}
	if (i->type == HV_EVENT_EXTINT && !cut)
		FUZZ_CHECK(e->rflags & RFLAGS_IF && !e->shadow);
	if (i->type != HV_EVENT_EXCEPTION)
		FUZZ_CHECK(!i->has_error);
}

/* One exit that the kernel answers itself: an exception at it, or the next instruction. */
static void check_answer(const struct hv_exit *x, const struct step *s, bool busy)
{
	const struct world_entry *e = &world.entries[1];
	bool raised = e->inject.valid && e->inject.type == HV_EVENT_EXCEPTION;
	u64 flags = s->own_flags ? s->rflags : world.entries[0].rflags;

	if (busy || world.entry_count < 2 || world.upcall_count || x->cut.valid)
		return;
	switch (x->reason) {
	case HV_EXIT_CPUID:
		FUZZ_CHECK(e->rip == s->rip + x->insn_len);
		if ((u32)s->rax == 1)
			FUZZ_CHECK(!(e->gpr[HV_RCX] & BIT(5))); /* VMX */
		if ((u32)s->rax == 0x80000001)
			FUZZ_CHECK(!(e->gpr[HV_RCX] & BIT(2))); /* SVM */
		for (u32 i = 0; i < 4; i++)
			FUZZ_CHECK(!(e->gpr[i] >> 32));
		break;
	case HV_EXIT_UD: FUZZ_CHECK(raised && e->inject.vector == 6 && e->rip == s->rip); break;
	case HV_EXIT_GP: FUZZ_CHECK(raised && e->inject.vector == 13 && e->rip == s->rip); break;
	case HV_EXIT_SKIP: FUZZ_CHECK(e->rip == s->rip + x->insn_len); break;
	case HV_EXIT_RDMSR:
	case HV_EXIT_WRMSR:
	case HV_EXIT_XSETBV:
		if (e->rip == s->rip)
			FUZZ_CHECK(raised && e->inject.vector == 13 && e->inject.has_error &&
				   e->inject.error == 0);
		else
			FUZZ_CHECK(e->rip == s->rip + x->insn_len &&
				   (!raised || (e->inject.vector == 1 && flags & RFLAGS_TF)));
		break;
	}
}

/* An interrupt that could be taken was taken, or an exit was asked for, or it is known of. */
static void check_nothing_lost(void)
{
	const struct world_entry *last = &world.entries[world.entry_count - 1];

	if (v->held || !world.entry_count || v->requests & VCPU_REQ_EVENT)
		return;
	if (lapic_pending(&v->lapic) < 0 && !(v->extint && lapic_lint0_extint(&v->lapic)))
		return;
	FUZZ_CHECK(last->inject.valid || last->want_window);
}

static void round_(struct fuzz_in *in)
{
	u32 n = 1 + fuzz_u8(in) % EXITS;
	bool busy = v->hv.inject.valid || v->requests || v->held;
	bool in_nmi = v->nmi_blocked && !v->nmi_iret && !busy && !v->hv.exit.cut.valid;
	enum vcpu_leave why = VCPU_LEAVE_WORK;

	world_forget();
	for (u32 i = 0; i < n; i++)
		world_exit_fn(exit_of(in, &steps[i]), guest);
	world.call_count = WORLD_SCRIPT;
	calls_left = 4;
	for (u32 i = 0; i < 40; i++) {
		why = vcpu_run(v);
		if (why != VCPU_LEAVE_WORK || world.exit_next == world.exit_count)
			break;
	}
	if (why == VCPU_LEAVE_HALTED)
		FUZZ_CHECK(v->halted);
	if (why == VCPU_LEAVE_ENDED)
		FUZZ_CHECK(v->ended && v->vm->end != VM_END_NEVER_STARTED);
	/* it always gets on: no exit is left, unless it halted or ended */
	FUZZ_CHECK(why != VCPU_LEAVE_WORK || world.exit_next == world.exit_count);
	for (u32 i = 0; i < world.entry_count; i++)
		check_entry(&world.entries[i],
			    i ? world.exits[i - 1].exit.cut.valid || i > 1 : busy);
	if (in_nmi && world.entry_count) /* until its IRET */
		FUZZ_CHECK(!world.entries[0].inject.valid ||
			   world.entries[0].inject.type != HV_EVENT_NMI);
	if (why == VCPU_LEAVE_WORK)
		check_nothing_lost();
	if (why == VCPU_LEAVE_HALTED || why == VCPU_LEAVE_ENDED) /* a dump was made first */
		FUZZ_CHECK(v->dump_state != DUMP_ASKED);
	if (n == 1)
		check_answer(&world.exits[0].exit, &steps[0], busy);
	check_state();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	restore();
	input = &in;
	hw.cpu = v->cpu;
	for (u32 i = 0; in.n && i < 30 && !v->ended; i++) {
		u8 op = fuzz_u8(&in);

		if (op & 1) {
			hw.tsc += (u64)fuzz_u16(&in) << (op >> 4);
			irq_window();
		}
		if (op & 2)
			v->halted = false; /* an interrupt that woke the CPU */
		if ((op & 12) == 12 && v->dump_state != DUMP_ASKED) { /* dump VM */
			v->dump_state = DUMP_ASKED;
			vcpu_request(v, VCPU_REQ_DUMP);
		}
		round_(&in);
	}
	return 0;
}
