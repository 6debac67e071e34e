/*
 * The vCPU loop (kernel/vcpu.c, exits*.c, upcall.c) over a fake vendor and a
 * fake monitor: which event is injected when, what the kernel answers itself,
 * how each upcall may end, and who is asked to leave when.
 */
// SOURCES: kernel/vcpu.c kernel/events.c kernel/exits*.c kernel/upcall.c kernel/syscall.c kernel/vm*.c
// SOURCES: kernel/space.c kernel/monitor.c kernel/pages*.c kernel/loop.c kernel/control.c
// SOURCES: kernel/restart.c
// SOURCES: kernel/crash.c kernel/time.c kernel/timer.c kernel/lapic*.c kernel/msrs.c
// SOURCES: kernel/cpuid*.c kernel/control_regs.c kernel/console*.c kernel/print.c arch/mmu.c
// SOURCES: arch/svm/svm_exit.c tests/unit/fake/world.c tests/unit/fake/fake_log.c
// SOURCES: tests/unit/fake/fake_panic.c tests/unit/fake/fake_kdirect.c
// SOURCES: kernel/dump.c kernel/trace.c
// FLAGS: -Itests/unit/fake/hw
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/fpu.h"
#include "arch/x86.h"
#include "fake_log.h"
#include "fake_panic.h"
#include "kernel/percpu.h"
#include "world.h"

#define EXIT(name, ...) ((struct hv_exit){ .reason = HV_EXIT_##name, ##__VA_ARGS__ })

static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	world_setup(16);
	world_boot();
	world_start(0);
	v = world.v;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_teardown();
	return 0;
}

static void expect_event(const struct hv_event *e, u32 type, u32 vector)
{
	assert_int_equal(e->valid, 1);
	assert_int_equal(e->type, type);
	assert_int_equal(e->vector, vector);
}

static void expect_no_event(const struct hv_event *e)
{
	assert_int_equal(e->valid, 0);
}

static void raise(u8 vector)
{
	lapic_deliver(&v->lapic, vector, false);
	vcpu_request(v, VCPU_REQ_EVENT);
}

static void expect_end(enum vm_end end)
{
	assert_true(v->ended);
	assert_int_equal(v->vm->end, end);
}

static void if_off(struct vcpu *w)
{
	w->hv.rflags &= ~RFLAGS_IF;
}

static void if_on(struct vcpu *w)
{
	w->hv.rflags |= RFLAGS_IF;
}

/* ------------------------------------------------------------- events */

static void an_interrupt_is_injected(void **state)
{
	(void)state;
	raise(0x51);
	raise(0x92);
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_EXTINT, 0x92);
	/* the lower one is masked by the one in service: no window for it */
	assert_int_equal(world.entries[0].want_window, 0);
	assert_int_equal(lapic_pending(&v->lapic), -1);
	assert_int_equal(v->lapic.isr_top, 0x92);
}

static void a_window_is_asked_for(void **state)
{
	(void)state;
	if_off(v);
	raise(0x51);
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_exit_fn(EXIT(WINDOW), if_on);
	world_run();
	expect_no_event(&world.entries[0].inject);
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(world.entries[1].want_window, 1); /* and goes on being so */
	expect_event(&world.entries[2].inject, HV_EVENT_EXTINT, 0x51);
	assert_int_equal(world.entries[2].want_window, 0);
}

static void shadow_blocks_interrupts(void **state)
{
	(void)state;
	v->hv.shadow = 1;
	raise(0x51);
	world_run();
	expect_no_event(&world.entries[0].inject);
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(world.entries[0].shadow, 1);
}

static void an_nmi_comes_before_interrupts(void **state)
{
	(void)state;
	if_off(v);
	v->nmi_pending = true;
	raise(0x51);
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_NMI, 2);
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(world.entries[0].watch_iret, 1);
	assert_true(v->nmi_blocked);
	assert_false(v->nmi_pending);
}

static void a_second_nmi_waits_for_iret(void **state)
{
	(void)state;
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_run();
	world_forget();
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_exit(EXIT(IRET));
	world_run();
	expect_no_event(&world.entries[0].inject);
	assert_int_equal(world.entries[0].watch_iret, 1);
	/* at the IRET: blocked until it has run, and someone looks again soon */
	expect_no_event(&world.entries[1].inject);
	assert_int_equal(world.entries[1].watch_iret, 0);
	assert_true(timer_is_set(&v->nudge));
	assert_true(v->nmi_blocked); /* the exit came before the IRET ran */
	world_forget();
	v->hv.rip = 0x5000;
	hw.tsc += 1000000;
	world_exit(EXIT(INTR));
	world_run();
	expect_event(&world.entries[1].inject, HV_EVENT_NMI, 2);
	assert_int_equal(world.entries[1].watch_iret, 1);
}

static void an_nmi_behind_an_exception_is_not_forgotten(void **state)
{
	(void)state;
	v->nmi_pending = true;
	vcpu_inject(v, 13, true, 0);
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_EXCEPTION, 13);
	assert_true(v->nmi_pending);
	assert_true(timer_is_set(&v->nudge));
	world_forget();
	hw.tsc += 1000000;
	world_exit(EXIT(INTR));
	world_run();
	expect_event(&world_entered()->inject, HV_EVENT_NMI, 2);
}

static void an_exception_comes_first(void **state)
{
	(void)state;
	raise(0x51);
	world_exit(EXIT(UD));
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_EXTINT, 0x51);
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, 6);
	assert_int_equal(world.entries[1].inject.has_error, 0);
	world_forget();
	v->lapic.isr_top = -1;
	v->lapic.ppr = 0;
	raise(0x61);
	vcpu_inject_gp(v);
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_EXCEPTION, 13);
	assert_int_equal(world.entries[0].inject.has_error, 1);
	assert_int_equal(world.entries[0].want_window, 1);
}

static void a_cut_event_is_delivered_again(void **state)
{
	static const struct hv_event again[] = {
		{ 1, HV_EVENT_EXTINT, 0x33, 0, 0 },
		{ 1, HV_EVENT_NMI, 2, 0, 0 },
		{ 1, HV_EVENT_EXCEPTION, 14, 1, 6 },
	};
	static const struct hv_event soft[] = {
		{ 1, HV_EVENT_SOFT, 0x80, 0, 0 },
		{ 1, HV_EVENT_EXCEPTION, 3, 0, 0 },
		{ 1, HV_EVENT_EXCEPTION, 4, 0, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(again); i++) {
		world_forget();
		raise((u8)(0x40 + 0x10 * i)); /* waits behind it */
		v->hv.rflags &= ~RFLAGS_IF;
		world_exit(EXIT(INTR, .cut = again[i]));
		world_run();
		assert_memory_equal(&world.entries[1].inject, &again[i], sizeof(again[i]));
		assert_int_equal(world.entries[1].want_window, 1);
	}
	for (u32 i = 0; i < ARRAY_SIZE(soft); i++) {
		world_forget();
		world_exit(EXIT(INTR, .cut = soft[i]));
		world_run();
		expect_no_event(&world.entries[1].inject);
	}
}

static void delivery_through_mmio_ends_the_vm(void **state)
{
	(void)state;
	world_exit(EXIT(NPF, .npf.gpa = 0xd0000000, .cut = { 1, HV_EVENT_EXTINT, 0x33, 0, 0 }));
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	expect_end(VM_END_EMULATION);
	assert_int_equal(world.upcall_count, 0);
}

/* ---------------------------------------------------------------- HLT */

static void hlt_waits_for_an_interrupt(void **state)
{
	(void)state;
	v->hv.shadow = 1; /* STI; HLT */
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	assert_true(v->halted);
	assert_int_equal(v->hv.rip, 0x1001);
	assert_int_equal(v->hv.shadow, 0);
	assert_string_equal(vm_state_name(v->vm), "running");
	/* nothing deliverable: it sleeps on */
	vcpu_request(v, VCPU_REQ_EVENT);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_HALTED);
	raise(0x51);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_false(v->halted);
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x51);
	assert_int_equal(world_entered()->rip, 0x1001);
}

static void hlt_behind_a_pending_interrupt(void **state)
{
	(void)state;
	if_off(v);
	raise(0x51);
	world_exit_fn(EXIT(HLT, .insn_len = 1), if_on);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world.entries[1].inject, HV_EVENT_EXTINT, 0x51);
}

static void a_masked_interrupt_does_not_wake(void **state)
{
	(void)state;
	lapic_set_cr8(&v->lapic, 6);
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	raise(0x51);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_HALTED);
	raise(0x71);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x71);
}

static void an_nmi_wakes(void **state)
{
	(void)state;
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_NMI, 2);
}

static void hlt_without_interrupts_is_the_end(void **state)
{
	(void)state;
	if_off(v);
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	expect_end(VM_END_HALTED);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_ENDED);
}

static void but_a_watchdog_may_wake(void **state)
{
	(void)state;
	world.config.vm[0].watchdog = true;
	if_off(v);
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_NMI, 2);
}

static void a_timer_wakes(void **state)
{
	(void)state;
	/* TSC-deadline mode, vector 0x40, 1 ms from now */
	v->lapic.lvt[LVT_TIMER] = 2u << 17 | 0x40;
	v->hv.gpr[HV_RAX] = (u32)(vcpu_guest_tsc(v, hw.tsc) + 1000000);
	v->hv.gpr[HV_RDX] = (vcpu_guest_tsc(v, hw.tsc) + 1000000) >> 32;
	world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = MSR_TSC_DEADLINE));
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	assert_true(hw.armed[1] > hw.tsc && hw.armed[1] <= hw.tsc + 1000000);
	hw.tsc = hw.armed[1];
	irq_window();
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x40);
}

/* However a guest sets its clock and its deadline, the host's timer is never
 * due for ever: irq_window() of the fake fails if it is. */
static void deadlines_cannot_wrap(void **state)
{
	static const u64 values[] = { 1, ~0ull, ~0ull - 1, 1ull << 63, ~0ull - 1000000 };

	(void)state;
	v->lapic.lvt[LVT_TIMER] = 2u << 17 | 0x40;
	for (u32 i = 0; i < ARRAY_SIZE(values); i++)
		for (u32 n = 0; n < ARRAY_SIZE(values); n++) {
			world_forget();
			v->msrs.tsc_adjust = values[n];
			vcpu_update_tsc(v);
			world_finish(ABI_FIN_NONE, 0, 0, 0); /* the monitor hears of it */
			v->hv.gpr[HV_RAX] = (u32)values[i];
			v->hv.gpr[HV_RDX] = values[i] >> 32;
			world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = MSR_TSC_DEADLINE));
			for (u32 k = 0; k < 3; k++)
				world_exit(EXIT(INTR));
			world_run();
		}
}

/* --------------------------------------------------- exits answered here */

static void cpuid_is_answered_closed(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 0xffffffff40000000;
	v->hv.gpr[HV_RCX] = 5;
	v->hv.shadow = 1;
	v->hv.rflags |= RFLAGS_RF;
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_run();
	assert_int_equal(world.entries[1].gpr[HV_RAX], 0x40000001);
	assert_int_equal(world.entries[1].gpr[HV_RBX], 0x4b4d564b);
	assert_int_equal(world.entries[1].gpr[HV_RCX], 0x564b4d56);
	assert_int_equal(world.entries[1].gpr[HV_RDX], 0x4d);
	assert_int_equal(world.entries[1].rip, 0x1002);
	assert_int_equal(world.entries[1].shadow, 0);
	assert_int_equal(world.entries[1].rflags & RFLAGS_RF, 0);
	assert_int_equal(hw.opens, 1); /* at the end of the script alone */
	assert_int_equal(v->stats.exits[HV_EXIT_CPUID], 1);
}

static void cpuid_shows_the_guests_own_osxsave(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 1;
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_run();
	assert_int_equal(v->hv.gpr[HV_RCX] & BIT(27), 0);
	world_forget();
	world_area(v)->s.cr4 = CR4_OSXSAVE;
	v->hv.gpr[HV_RAX] = 1;
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_run();
	assert_int_equal(v->hv.gpr[HV_RCX] & BIT(27), BIT(27));
}

static void cpuid_needs_no_xsave(void **state)
{
	(void)state;
	v->vm->cpuid.xcr0 = 0;
	hw.has[CPU_XSAVE] = false;
	v->hv.gpr[HV_RAX] = 0xd;
	v->hv.gpr[HV_RCX] = 0;
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_run();
	hw.has[CPU_XSAVE] = true;
	assert_int_equal(v->stats.exits[HV_EXIT_CPUID], 1);
}

static void rdmsr_of(u32 index)
{
	world_forget();
	v->hv.rip = 0x1000;
	v->hv.gpr[HV_RAX] = v->hv.gpr[HV_RDX] = ~0ull;
	world_exit(EXIT(RDMSR, .insn_len = 2, .msr.index = index));
	world_run();
}

static u64 edx_eax(void)
{
	assert_int_equal(v->hv.gpr[HV_RAX] >> 32, 0);
	assert_int_equal(v->hv.gpr[HV_RDX] >> 32, 0);
	return v->hv.gpr[HV_RDX] << 32 | v->hv.gpr[HV_RAX];
}

static void wrmsr_value(u32 index, u64 value)
{
	world_forget();
	v->hv.rip = 0x1000;
	v->hv.gpr[HV_RAX] = 0xabcd000000000000 | (u32)value; /* upper halves are ignored */
	v->hv.gpr[HV_RDX] = 0xdcba000000000000 | value >> 32;
	world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = index));
	if (index == MSR_TSC || index == MSR_TSC_ADJUST)
		world_finish(ABI_FIN_NONE, 0, 0, 0); /* of the event that follows */
	world_run();
}

static void expect_gp(void)
{
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, 13);
	assert_int_equal(world.entries[1].inject.has_error, 1);
	assert_int_equal(world.entries[1].inject.error, 0);
	assert_int_equal(world.entries[1].rip, 0x1000);
}

static void expect_done(void)
{
	expect_no_event(&world.entries[1].inject);
	assert_int_equal(world.entries[1].rip, 0x1002);
	assert_int_equal(hw.opens, 1);
}

static void msrs_are_an_allow_list(void **state)
{
	static const u32 unknown[] = { 0x2,	   0xe7,       0x48,	   0x49,       0x480, 0x79,
				       0xc0010114, 0xc0010117, 0xc0000105, 0xffffffff, 0xda0, 0xc1 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(unknown); i++) {
		rdmsr_of(unknown[i]);
		expect_gp();
		assert_int_equal(v->hv.gpr[HV_RAX], ~0ull);
		wrmsr_value(unknown[i], 0);
		expect_gp();
	}
	assert_int_equal(world.upcall_count, 0);
}

static void state_msrs(void **state)
{
	(void)state;
	wrmsr_value(MSR_LSTAR, 0xffffffff81000000);
	expect_done();
	rdmsr_of(MSR_LSTAR);
	expect_done();
	assert_int_equal(edx_eax(), 0xffffffff81000000);
	wrmsr_value(MSR_LSTAR, 0x0001000000000000); /* not canonical */
	expect_gp();
	rdmsr_of(MSR_APIC_BASE);
	expect_done();
	assert_int_equal(edx_eax(), 0xfee00900);
}

static void efer_is_checked(void **state)
{
	struct hv_state *s = &world_area(v)->s;

	(void)state;
	wrmsr_value(MSR_EFER, EFER_LME | EFER_SCE | EFER_NXE);
	expect_done();
	assert_int_equal(s->efer, EFER_LME | EFER_SCE | EFER_NXE);
	wrmsr_value(MSR_EFER, EFER_LME | EFER_LMA);
	expect_done();
	assert_int_equal(s->efer, EFER_LME); /* LMA is not writable */
	wrmsr_value(MSR_EFER, EFER_LME | EFER_SVME);
	expect_gp();
	s->cr0 |= CR0_PG | CR0_PE;
	s->efer |= EFER_LMA;
	wrmsr_value(MSR_EFER, EFER_NXE); /* LME while paging */
	expect_gp();
	assert_int_equal(s->efer, EFER_LME | EFER_LMA);
}

static void the_tsc_moves(void **state)
{
	u64 base = v->tsc_base_offset;

	(void)state;
	wrmsr_value(MSR_TSC_ADJUST, 5000);
	assert_int_equal(world_entered()->rip, 0x1002);
	assert_int_equal(v->tsc_offset, base + 5000);
	assert_int_equal(world_area(v)->tsc_offset, base + 5000);
	assert_int_equal(v->vm->page->tsc_offset, base + 5000);
	rdmsr_of(MSR_TSC_ADJUST);
	assert_int_equal(edx_eax(), 5000);
	wrmsr_value(MSR_TSC, 0x123456789abc);
	assert_in_range(vcpu_guest_tsc(v, hw.tsc), 0x123456789abc, 0x123456789abc + 1000);
	rdmsr_of(MSR_TSC);
	assert_in_range(edx_eax(), 0x123456789abc, 0x123456789abc + 2000);
	/* and ADJUST shows what was added, mod 2^64 */
	rdmsr_of(MSR_TSC_ADJUST);
	assert_int_equal(edx_eax(), v->tsc_offset - base);
}

/* The monitor publishes a clock by the TSC: it is told before the guest goes on. */
static void the_monitor_hears_of_a_tsc_move(void **state)
{
	static const u32 msrs[] = { MSR_TSC, MSR_TSC_ADJUST };

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		world_forget();
		v->hv.gpr[HV_RAX] = 12345 + i;
		v->hv.gpr[HV_RDX] = 0;
		world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = msrs[i]));
		world_finish(ABI_FIN_NONE, 0, 0, 0);
		world_run();
		assert_int_equal(world.upcall_count, 1);
		assert_int_equal(world.reasons[0], ABI_UP_EVENT);
		assert_int_equal(v->page->events, ABI_EV_TSC);
		assert_int_equal(world.entry_count, 2);
	}
	/* the same value again moves nothing */
	world_forget();
	world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = MSR_TSC_ADJUST));
	world_run();
	assert_int_equal(world.upcall_count, 0);
}

/* The counting LAPIC timer knows nothing of the TSC. */
static void a_moving_tsc_keeps_the_timer(void **state)
{
	u64 armed;

	(void)state;
	v->lapic.lvt[LVT_TIMER] = 0x40; /* one-shot */
	vcpu_lapic_effects(v, lapic_write(&v->lapic, LAPIC_TIMER_INIT, 1000000,
					  vcpu_guest_tsc(v, hw.tsc)));
	armed = v->lapic_timer.deadline;
	assert_true(armed > hw.tsc);
	wrmsr_value(MSR_TSC, 0x7000000000000000);
	assert_in_range(v->lapic_timer.deadline, armed - 100, armed + 100);
	wrmsr_value(MSR_TSC_ADJUST, 0);
	assert_in_range(v->lapic_timer.deadline, armed - 100, armed + 100);
}

static void tsc_aux_follows(void **state)
{
	(void)state;
	wrmsr_value(MSR_TSC_AUX, 7);
	expect_done();
	assert_int_equal(hw.tsc_aux, 7);
	wrmsr_value(MSR_TSC_AUX, 1ull << 32);
	expect_gp();
	assert_int_equal(hw.tsc_aux, 7);
}

static void xsetbv_is_checked(void **state)
{
	static const u64 bad[] = { 0, 2, 5, 0xe7, 1ull << 63 | 1, 0x200 | 1 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		world_forget();
		v->hv.rip = 0x1000;
		v->hv.gpr[HV_RAX] = (u32)bad[i];
		v->hv.gpr[HV_RDX] = bad[i] >> 32;
		v->hv.gpr[HV_RCX] = 0;
		world_exit(EXIT(XSETBV, .insn_len = 3));
		world_run();
		expect_gp();
		assert_int_equal(hw.xcr0[1], 1);
	}
	world_forget();
	v->hv.gpr[HV_RAX] = 7;
	v->hv.gpr[HV_RDX] = 0;
	v->hv.gpr[HV_RCX] = 1; /* XCR1 */
	world_exit(EXIT(XSETBV, .insn_len = 3));
	world_run();
	expect_gp();
	world_forget();
	v->hv.gpr[HV_RCX] = 0xffffffff00000000;
	world_area(v)->cpl = 3;
	world_exit(EXIT(XSETBV, .insn_len = 3));
	world_run();
	expect_gp();
	assert_int_equal(hw.xcr0[1], 1);
	world_forget();
	world_area(v)->cpl = 0;
	world_exit(EXIT(XSETBV, .insn_len = 3));
	world_run();
	assert_int_equal(hw.xcr0[1], 7);
	assert_int_equal(v->hv.rip, 0x1003);
}

static void the_rest_is_refused_or_skipped(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 5;
	world_exit(EXIT(HYPERCALL, .insn_len = 3));
	world_exit(EXIT(SKIP, .insn_len = 2));
	world_exit(EXIT(GP));
	world_exit(EXIT(UD));
	world_run();
	assert_int_equal(world.entries[1].gpr[HV_RAX], 0 - 1000ull);
	assert_int_equal(world.entries[1].rip, 0x1003);
	assert_int_equal(world.entries[2].rip, 0x1005);
	expect_event(&world.entries[3].inject, HV_EVENT_EXCEPTION, 13);
	expect_event(&world.entries[4].inject, HV_EVENT_EXCEPTION, 6);
	assert_int_equal(hw.opens, 1);
}

static void exceptions_are_given_back(void **state)
{
	(void)state;
	world_exit(EXIT(EXC, .exc.vector = 1));
	world_exit(EXIT(EXC, .exc.vector = 17, .exc.has_error = 1));
	world_run();
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, 1);
	assert_int_equal(world.entries[1].inject.has_error, 0);
	expect_event(&world.entries[2].inject, HV_EVENT_EXCEPTION, 17);
	assert_int_equal(world.entries[2].inject.has_error, 1);
}

static void single_steps_go_on(void **state)
{
	(void)state;
	v->hv.rflags |= RFLAGS_TF;
	world_exit(EXIT(CPUID, .insn_len = 2));
	world_run();
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, 1);
	assert_int_equal(world_area(v)->s.dr6, 0xffff4ff0);
	/* HLT: the trap comes first and wakes */
	world_forget();
	v->hv.rflags |= RFLAGS_TF;
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_false(v->halted);
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, 1);
}

static void fatal_exits(void **state)
{
	static const struct {
		u32 reason;
		enum vm_end end;
	} fatal[] = {
		{ HV_EXIT_SHUTDOWN, VM_END_TRIPLE_FAULT },
		{ HV_EXIT_TASK, VM_END_EMULATION },
		{ HV_EXIT_INVALID, VM_END_BAD_STATE },
		{ HV_EXIT_UNKNOWN, VM_END_BAD_STATE },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(fatal); i++) {
		u32 errors = fake_log_count[0];

		world_forget();
		v->ended = false;
		world_exit((struct hv_exit){ .reason = fatal[i].reason });
		assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
		expect_end(fatal[i].end);
		assert_true(fake_log_count[0] > errors); /* with a crash record */
	}
}

static void a_machine_check_is_the_hosts(void **state)
{
	(void)state;
	world_exit(EXIT(EXC, .exc.vector = 18));
	expect_assert_failure(world_run());
	assert_non_null(strstr(fake_panic_text, "machine check"));
}

static void leave_is_honoured(void **state)
{
	(void)state;
	vcpu_request(v, VCPU_REQ_LEAVE);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_WORK);
	assert_int_equal(world.entry_count, 0);
	assert_int_equal(v->requests & VCPU_REQ_LEAVE, 0);
	/* also from a loop of exits that never opens */
	for (u32 i = 0; i < 10; i++)
		world_exit(EXIT(SKIP, .insn_len = 2));
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_int_equal(world.entry_count, 11);
}

static void kick(struct vcpu *w)
{
	vcpu_request(w, VCPU_REQ_LEAVE);
}

static void leave_between_closed_exits(void **state)
{
	(void)state;
	world_exit_fn(EXIT(CPUID, .insn_len = 2), kick);
	world_exit(EXIT(SKIP, .insn_len = 2));
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_WORK);
	assert_int_equal(world.entry_count, 1);
}

/* ------------------------------------------------------------ upcalls */

static void pio_in_merges(void **state)
{
	static const struct {
		u8 size;
		u64 rax;
	} cases[] = {
		{ 1, 0x11223344556677aa },
		{ 2, 0x112233445566bbaa },
		{ 4, 0xddccbbaa },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		world_forget();
		v->hv.rip = 0x1000;
		v->hv.gpr[HV_RAX] = 0x1122334455667788;
		world_exit(EXIT(PIO, .insn_len = 2,
				.pio = { .port = 0x1f0, .size = cases[i].size, .in = 1 }));
		world_finish(ABI_FIN_IN, 0xffffeeeeddccbbaa, 0, 0);
		world_run();
		assert_int_equal(world.reasons[0], ABI_UP_PIO_IN);
		assert_int_equal(v->page->port, 0x1f0);
		assert_int_equal(v->page->size, cases[i].size);
		assert_int_equal(v->hv.gpr[HV_RAX], cases[i].rax);
		assert_int_equal(v->hv.rip, 0x1002);
	}
	assert_int_equal(v->stats.upcalls, 1 + ARRAY_SIZE(cases)); /* START, too */
}

static void pio_out_shows_its_value(void **state)
{
	const u64 rax = 0x1122334455667788;

	(void)state;
	for (u32 size = 1; size <= 4; size *= 2) {
		world_forget();
		v->hv.rip = 0x1000;
		v->hv.gpr[HV_RAX] = rax;
		world_exit(EXIT(PIO, .insn_len = 1, .pio = { .port = 0x3f8, .size = (u8)size }));
		world_finish(ABI_FIN_OUT, 0, 0, 0);
		world_run();
		assert_int_equal(world.reasons[0], ABI_UP_PIO_OUT);
		assert_int_equal(v->page->value, rax);
		assert_int_equal(v->hv.rip, 0x1001);
		assert_int_equal(v->page->port, 0x3f8);
		assert_int_equal(v->page->size, size);
		assert_int_equal(v->hv.gpr[HV_RAX], rax);
	}
}

static void mmio_shows_all_registers(void **state)
{
	(void)state;
	for (u32 i = 0; i < HV_GPRS; i++)
		v->hv.gpr[i] = 0x100 + i;
	world_area(v)->s.cr3 = 0x7000;
	world_area(v)->cpl = 3;
	v->hv.shadow = 1;
	world_exit(EXIT(NPF, .npf = { .gpa = 0xfec00010, .write = 1, .walk = 1, .fetch = 1 }));
	world_finish(ABI_FIN_REG, ABI_RBX, 0x1234567890, 3);
	world_run();
	assert_int_equal(world.reasons[0], ABI_UP_MMIO);
	assert_int_equal(v->page->gpa, 0xfec00010);
	assert_int_equal(v->page->write, 1);
	assert_int_equal(v->page->walk, 1);
	assert_int_equal(v->page->fetch, 1);
	assert_int_equal(v->page->cpl, 3);
	assert_int_equal(v->page->state.cr3, 0x7000);
	for (u32 i = 0; i < HV_GPRS; i++)
		assert_int_equal(v->page->gpr[i], 0x100 + i);
	assert_int_equal(v->hv.gpr[HV_RBX], 0x1234567890);
	assert_int_equal(v->hv.rip, 0x1003);
	assert_int_equal(v->hv.shadow, 0);
}

static void mmio_without_a_register(void **state)
{
	u64 before[HV_GPRS];

	(void)state;
	memcpy(before, v->hv.gpr, sizeof(before));
	world_exit(EXIT(NPF, .npf.gpa = 0xfec00010));
	world_finish(ABI_FIN_REG, ABI_NO_GPR, 0x1234, 15);
	world_run();
	assert_memory_equal(before, v->hv.gpr, sizeof(before));
	assert_int_equal(v->hv.rip, 0x100f);
}

static void scribble(struct vcpu *w)
{
	for (u32 i = 0; i < HV_GPRS; i++)
		w->page->gpr[i] = 0x200 + i;
	w->page->rip = 0x7000;
	w->page->rflags = ~0ull;
	w->uctx.gpr[HV_R10] = 0;
}

static void regs_come_from_the_page(void **state)
{
	(void)state;
	world_exit(EXIT(NPF, .npf.gpa = 0xfec00010));
	world_finish(ABI_FIN_REGS, 4, 0, 0);
	world.calls[0].fn = scribble;
	world_run();
	for (u32 i = 0; i < HV_GPRS; i++)
		assert_int_equal(v->hv.gpr[i], 0x200 + i);
	assert_int_equal(v->hv.rip, 0x7004);
	/* reserved bits stay as hardware has them; RF ends with the instruction */
	assert_int_equal(v->hv.rflags, (0x3f7fd5 | 2) & ~RFLAGS_RF);
}

static void the_page_is_not_trusted(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 1;
	world_exit(EXIT(PIO, .insn_len = 2, .pio = { .port = 0x60, .size = 1, .in = 1 }));
	world_finish(ABI_FIN_IN, 0xffffffff, 0, 0);
	world_run();
	memset(v->page, 0xff, sizeof(*v->page)); /* a size of 255... */
	world_forget();
	v->hv.rip = 0x1000;
	v->hv.gpr[HV_RAX] = 0;
	world_exit(EXIT(PIO, .insn_len = 2, .pio = { .port = 0x60, .size = 1, .in = 1 }));
	world_finish(ABI_FIN_IN, 0xffffffff, 0, 0);
	world.calls[0].fn = scribble;
	world_run();
	assert_int_equal(v->hv.gpr[HV_RAX], 0xff);
	assert_int_equal(v->hv.rip, 0x1002);
}

static void faults_are_injected(void **state)
{
	static const u8 with_error[] = { 8, 10, 11, 12, 13, 14, 17 };

	(void)state;
	for (u32 vector = 0; vector < 32; vector++) {
		bool has = memchr(with_error, (int)vector, sizeof(with_error));

		if (vector == 2)
			continue;
		world_forget();
		v->hv.rip = 0x1000;
		world_area(v)->s.cr2 = 1;
		world_exit(EXIT(NPF, .npf.gpa = 0xfec00010));
		world_finish(ABI_FIN_FAULT, vector, 5, 0xdeadb000);
		world_run();
		expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, vector);
		assert_int_equal(world.entries[1].inject.has_error, has);
		assert_int_equal(world.entries[1].inject.error, 5);
		assert_int_equal(world.entries[1].rip, 0x1000);
		assert_int_equal(world_area(v)->s.cr2, vector == 14 ? 0xdeadb000 : 1);
	}
}

static void cr_writes_are_validated(void **state)
{
	struct hv_state *s = &world_area(v)->s;
	static const struct {
		u64 nr, value;
	} bad[] = {
		{ 0, CR0_PG },	   { 0, CR0_NW | CR0_PE },
		{ 0, 1ull << 32 }, { 0, CR0_PG | CR0_PE }, /* to long mode without PAE */
		{ 4, CR4_VMXE },   { 4, 1ull << 40 },
		{ 4, CR4_LA57 },   { 4, CR4_PCIDE },
		{ 3, 1ull << 40 }, { 8, 16 },
		{ 5, 0 },	   { 2, 0 },
	};

	(void)state;
	s->efer = EFER_LME;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct hv_state before = *s;

		world_forget();
		v->hv.rip = 0x1000;
		world_exit(EXIT(CR, .cr = { 0, 1 }));
		world_finish(ABI_FIN_CR, bad[i].nr, bad[i].value, 3);
		world_run();
		expect_gp();
		assert_memory_equal(s, &before, sizeof(before));
	}
	world_forget();
	world_exit(EXIT(CR, .cr = { 4, 1 }));
	world_finish(ABI_FIN_CR, 4, CR4_PAE, 3);
	world_exit(EXIT(CR, .cr = { 0, 1 }));
	world_finish(ABI_FIN_CR, 0, CR0_PG | CR0_PE | 0x10000000, 3);
	world_run();
	assert_int_equal(s->cr4, CR4_PAE);
	assert_int_equal(s->cr0, CR0_PG | CR0_PE | CR0_ET); /* undefined bits are ignored */
	assert_int_equal(v->hv.rip, 0x1006);
	/* in long mode PAE stays */
	world_forget();
	v->hv.rip = 0x1000;
	s->efer |= EFER_LMA;
	world_exit(EXIT(CR, .cr = { 4, 1 }));
	world_finish(ABI_FIN_CR, 4, 0, 3);
	world_run();
	expect_gp();
}

static void cr8_is_the_task_priority(void **state)
{
	(void)state;
	raise(0x51);
	if_off(v);
	world_exit(EXIT(CR, .cr = { 8, 1 }));
	world_finish(ABI_FIN_CR, 8, 5, 4);
	world_run();
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(world.entries[1].tpr, 5);
	assert_int_equal(world.entries[1].want_window, 0); /* masked now */
	world_forget();
	world_exit(EXIT(CR, .cr = { 8, 1 }));
	world_finish(ABI_FIN_CR, 8, 4, 4);
	world_run();
	assert_int_equal(world.entries[1].want_window, 1);
}

static void debug_registers(void **state)
{
	(void)state;
	world_exit(EXIT(DR, .cr = { 0, 1 }));
	world_finish(ABI_FIN_DR, 3, 0xffffffff81000000, 3);
	world_exit(EXIT(DR, .cr = { 7, 1 }));
	world_finish(ABI_FIN_DR, 7, 0x1, 3);
	world_exit(EXIT(DR, .cr = { 6, 1 }));
	world_finish(ABI_FIN_DR, 6, 0, 3);
	world_exit(EXIT(DR, .cr = { 7, 1 }));
	world_finish(ABI_FIN_DR, 7, 1ull << 32, 3);
	world_run();
	assert_int_equal(v->hv.dr[3], 0xffffffff81000000);
	assert_int_equal(world_area(v)->s.dr7, 0x401);
	assert_int_equal(world_area(v)->s.dr6, 0xffff0ff0);
	assert_int_equal(v->hv.rip, 0x1009);
	expect_event(&world_entered()->inject, HV_EVENT_EXCEPTION, 13);
}

static void msrs_of_the_monitor(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 0x11;
	v->hv.gpr[HV_RDX] = 0x22;
	world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = 0x4b564d01));
	world_finish(ABI_FIN_MSR, 0xffff, 0, 0);
	world_run();
	assert_int_equal(world.reasons[0], ABI_UP_WRMSR);
	assert_int_equal(v->page->msr, 0x4b564d01);
	assert_int_equal(v->page->value, 0x2200000011);
	assert_int_equal(v->hv.gpr[HV_RAX], 0x11); /* a write returns nothing */
	assert_int_equal(v->hv.rip, 0x1002);
	world_forget();
	world_exit(EXIT(RDMSR, .insn_len = 2, .msr.index = 0x4b564d01));
	world_finish(ABI_FIN_MSR, 0x1122334455667788, 0, 0);
	world_run();
	assert_int_equal(edx_eax(), 0x1122334455667788);
	assert_int_equal(v->hv.rip, 0x1004);
}

static void lapic_accesses(void **state)
{
	(void)state;
	world_exit(EXIT(NPF, .npf.gpa = 0xfee00080, .npf.write = 1));
	world_finish(ABI_FIN_LAPIC_WRITE, LAPIC_TPR, 0x60, 6);
	world_exit(EXIT(NPF, .npf.gpa = 0xfee00080));
	world_finish(ABI_FIN_LAPIC_READ, LAPIC_TPR, ABI_R9, 6);
	v->hv.gpr[HV_R9] = ~0ull;
	world_run();
	assert_int_equal(v->hv.gpr[HV_R9], 0x60);
	assert_int_equal(world.entries[1].tpr, 6);
	assert_int_equal(v->hv.rip, 0x100c);
	/* in x2APIC mode the page is not there: all ones, writes are lost */
	v->lapic.apic_base |= 1u << 10;
	world_forget();
	world_exit(EXIT(NPF, .npf.gpa = 0xfee00080));
	world_finish(ABI_FIN_LAPIC_WRITE, LAPIC_TPR, 0x20, 6);
	world_exit(EXIT(NPF, .npf.gpa = 0xfee00080));
	world_finish(ABI_FIN_LAPIC_READ, LAPIC_TPR, ABI_R9, 6);
	world_run();
	assert_int_equal(v->hv.gpr[HV_R9], 0xffffffff);
	assert_int_equal(v->lapic.tpr, 0x60);
}

/* A register that does not exist, with the error LVT on: not at some later exit. */
static void a_bad_lapic_read_interrupts_at_once(void **state)
{
	(void)state;
	v->lapic.lvt[LVT_ERROR] = 0x61;
	world_exit(EXIT(NPF, .npf.gpa = 0xfee00040));
	world_finish(ABI_FIN_LAPIC_READ, 0x40, ABI_R9, 6);
	world_run();
	expect_event(&world.entries[1].inject, HV_EVENT_EXTINT, 0x61);
	/* and by the other call that reads one */
	world_forget();
	v->lapic.isr_top = -1;
	v->lapic.ppr = 0;
	v->lapic.esr_pending = 0;
	v->events = ABI_EV_TIMER;
	vcpu_request(v, VCPU_REQ_UPCALL);
	world_call(ABI_SYS_LAPIC_READ, 0x40, 0, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_run();
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x61);
}

/* ---------------------------------------------- ends that make no sense */

static const struct hv_exit exit_of[ABI_UPCALL_COUNT] = {
	[ABI_UP_PIO_IN] = { .reason = HV_EXIT_PIO, .pio = { .size = 1, .in = 1 } },
	[ABI_UP_PIO_OUT] = { .reason = HV_EXIT_PIO, .pio = { .size = 1 } },
	[ABI_UP_PIO_STRING] = { .reason = HV_EXIT_PIO, .pio = { .size = 1, .string = 1 } },
	[ABI_UP_MMIO] = { .reason = HV_EXIT_NPF },
	[ABI_UP_CR] = { .reason = HV_EXIT_CR },
	[ABI_UP_DR] = { .reason = HV_EXIT_DR },
	[ABI_UP_RDMSR] = { .reason = HV_EXIT_RDMSR, .msr.index = 0x4b564d01 },
	[ABI_UP_WRMSR] = { .reason = HV_EXIT_WRMSR, .msr.index = 0x4b564d01 },
};

#define F(name) (1u << ABI_FIN_##name)
static const u32 fits[ABI_UPCALL_COUNT] = {
	[ABI_UP_PIO_IN] = F(NONE) | F(IN) | F(FAULT),
	[ABI_UP_PIO_OUT] = F(NONE) | F(OUT) | F(FAULT),
	[ABI_UP_PIO_STRING] = F(NONE) | F(REGS) | F(FAULT),
	[ABI_UP_MMIO] = F(NONE) | F(REG) | F(REGS) | F(FAULT) | F(LAPIC_READ) | F(LAPIC_WRITE),
	[ABI_UP_CR] = F(NONE) | F(CR) | F(REG) | F(REGS) | F(FAULT),
	[ABI_UP_DR] = F(NONE) | F(DR) | F(REG) | F(FAULT),
	[ABI_UP_RDMSR] = F(MSR) | F(FAULT),
	[ABI_UP_WRMSR] = F(MSR) | F(FAULT),
	[ABI_UP_INTACK] = F(INTACK),
	[ABI_UP_EVENT] = F(NONE),
	[ABI_UP_EOI] = F(NONE),
	[ABI_UP_PEEK] = F(PEEK),
};

static void begin(u32 reason)
{
	world_forget();
	v->ended = v->upcall_active = v->extint = false;
	v->hv.inject.valid = 0;
	v->hv.rip = 0x1000;
	v->hv.rflags = RFLAGS_FIXED | RFLAGS_IF;
	v->requests = 0;
	if (exit_of[reason].reason)
		world_exit(exit_of[reason]);
	else
		vcpu_upcall(v, reason);
}

static void only_fitting_ends_are_taken(void **state)
{
	(void)state;
	for (u32 up = ABI_UP_EVENT; up < ABI_UPCALL_COUNT; up++)
		for (u32 fin = 0; fin <= ABI_FINISH_COUNT + 1; fin++) {
			bool good = fin < ABI_FINISH_COUNT && fits[up] >> fin & 1;

			begin(up);
			world_finish(fin, 0, 0, 0);
			assert_int_equal(world_run(), good ? VCPU_LEAVE_WORK : VCPU_LEAVE_ENDED);
			assert_int_equal(world.reasons[0], up);
			if (!good) {
				expect_end(VM_END_MONITOR);
				assert_int_equal(v->hv.rip, 0x1000);
				expect_no_event(&v->hv.inject);
			}
		}
}

static void bad_arguments_of_finish(void **state)
{
	static const struct {
		u32 up;
		u64 fin, a, b, c;
	} bad[] = {
		{ ABI_UP_MMIO, ABI_FIN_REG, ABI_NO_GPR + 1, 0, 2 },
		{ ABI_UP_MMIO, ABI_FIN_REG, 0, 0, 16 },
		{ ABI_UP_MMIO, ABI_FIN_REG, 0, 0, 1ull << 32 },
		{ ABI_UP_MMIO, ABI_FIN_REG, ~0ull, 0, 2 },
		{ ABI_UP_MMIO, ABI_FIN_REGS, 16, 0, 0 },
		{ ABI_UP_MMIO, ABI_FIN_FAULT, 32, 0, 0 },
		{ ABI_UP_MMIO, ABI_FIN_FAULT, 2, 0, 0 },
		{ ABI_UP_MMIO, ABI_FIN_FAULT, 13, 1ull << 32, 0 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_READ, 4096, 0, 3 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_READ, 0x20, 17, 3 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_READ, 0x20, 0, 16 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_WRITE, ~0ull, 0, 3 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_WRITE, 0x80, 1ull << 32, 3 },
		{ ABI_UP_MMIO, ABI_FIN_LAPIC_WRITE, 0x80, 0, 16 },
		{ ABI_UP_CR, ABI_FIN_CR, 0, 1, 16 },
		{ ABI_UP_CR, ABI_FIN_CR, 1ull << 32, CR0_PE, 3 },
		{ ABI_UP_DR, ABI_FIN_DR, 4, 0, 3 },
		{ ABI_UP_DR, ABI_FIN_DR, 8, 0, 3 },
		{ ABI_UP_DR, ABI_FIN_DR, 1ull << 32, 0, 3 },
		{ ABI_UP_DR, ABI_FIN_DR, 0, 0, 16 },
		{ ABI_UP_INTACK, ABI_FIN_INTACK, 257, 0, 0 },
		{ ABI_UP_INTACK, ABI_FIN_INTACK, ~0ull, 0, 0 },
		{ ABI_UP_PEEK, ABI_FIN_PEEK, DUMP_STACK + 1, 0, 0 },
		{ ABI_UP_PEEK, ABI_FIN_PEEK, ~0ull, 0, 0 },
		{ ABI_UP_MMIO, 1ull << 32, 0, 0, 0 },
		{ ABI_UP_MMIO, ~0ull, 0, 0, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct world_area before = *world_area(v);
		u64 gpr[HV_GPRS];

		begin(bad[i].up);
		memcpy(gpr, v->hv.gpr, sizeof(gpr));
		world_finish((enum abi_finish)bad[i].fin, bad[i].a, bad[i].b, bad[i].c);
		world.calls[0].a = bad[i].fin;
		assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
		expect_end(VM_END_MONITOR);
		assert_int_equal(v->hv.rip, 0x1000);
		assert_memory_equal(gpr, v->hv.gpr, sizeof(gpr));
		assert_memory_equal(&before, world_area(v), sizeof(before));
		expect_no_event(&v->hv.inject);
	}
}

static void a_fault_ends_this_vm_only(void **state)
{
	(void)state;
	world.fault = (struct user_fault){ 14, 6, 0x400123, 0x10 };
	world_exit(exit_of[ABI_UP_MMIO]);
	world_user(USER_FAULT, NULL);
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	expect_end(VM_END_MONITOR);
	assert_non_null(strstr(v->vm->reason, "exception 14"));
	assert_int_equal(vms[1].end, VM_END_NEVER_STARTED);
	assert_int_equal(vms[1].state, VM_OFF);
}

/* ------------------------------------------------- upcalls without exits */

static void mark_events(struct vcpu *w)
{
	assert_int_equal(w->page->events, ABI_EV_TIMER | ABI_EV_CONSOLE);
	w->uctx.gpr[HV_R10] = 0;
}

static void events_are_passed(void **state)
{
	(void)state;
	v->events = ABI_EV_TIMER | ABI_EV_CONSOLE;
	vcpu_request(v, VCPU_REQ_UPCALL);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world.calls[0].fn = mark_events;
	world_run();
	assert_int_equal(world.reasons[0], ABI_UP_EVENT);
	assert_int_equal(v->events, 0);
	assert_int_equal(v->hv.rip, 0x1000);
	/* any other upcall carries them as well, and no empty one follows */
	world_forget();
	v->events = ABI_EV_TIMER | ABI_EV_CONSOLE;
	world_exit_fn(exit_of[ABI_UP_PIO_OUT], NULL);
	v->requests &= ~VCPU_REQ_UPCALL;
	world_finish(ABI_FIN_OUT, 0, 0, 0);
	world.calls[0].fn = mark_events;
	world_run();
	assert_int_equal(world.upcall_count, 1);
}

static void events_reach_a_halted_vcpu(void **state)
{
	(void)state;
	world_exit(EXIT(HLT, .insn_len = 1));
	assert_int_equal(world_run(), VCPU_LEAVE_HALTED);
	v->events = ABI_EV_TIMER;
	vcpu_request(v, VCPU_REQ_UPCALL);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_HALTED);
	assert_int_equal(world.reasons[0], ABI_UP_EVENT);
	/* and what the monitor raises there wakes it */
	v->events = ABI_EV_TIMER;
	vcpu_request(v, VCPU_REQ_UPCALL);
	world_call(ABI_SYS_MSI, 0xfee00000, 0x41, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x41);
}

static void a_level_eoi_is_told(void **state)
{
	(void)state;
	lapic_deliver(&v->lapic, 0x33, true);
	vcpu_request(v, VCPU_REQ_EVENT);
	v->lapic.apic_base |= 1u << 10; /* x2APIC */
	v->hv.gpr[HV_RAX] = v->hv.gpr[HV_RDX] = 0;
	world_exit(EXIT(WRMSR, .insn_len = 2, .msr.index = 0x80b));
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_run();
	expect_event(&world.entries[0].inject, HV_EVENT_EXTINT, 0x33);
	assert_int_equal(world.reasons[0], ABI_UP_EOI);
	assert_int_equal(v->page->vector, 0x33);
	assert_int_equal(v->hv.rip, 0x1002);
	assert_false(v->eoi_pending);
	assert_int_equal(world.upcall_count, 1);
}

static void wire_down(struct vcpu *w)
{
	w->extint = false;
	w->uctx.gpr[HV_R10] = 0;
}

static void the_pic_is_acknowledged(void **state)
{
	(void)state;
	v->extint = true;
	raise(0x51); /* waits behind it */
	world_finish(ABI_FIN_INTACK, 0x08, 0, 0);
	world.calls[0].fn = wire_down;
	world_run();
	assert_int_equal(world.reasons[0], ABI_UP_INTACK);
	expect_event(&world.entries[0].inject, HV_EVENT_EXTINT, 0x08);
	assert_int_equal(world.entries[0].want_window, 1);
}

static void a_spurious_interrupt_is_none(void **state)
{
	(void)state;
	v->extint = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_finish(ABI_FIN_INTACK, 256, 0, 0);
	world.calls[0].fn = wire_down;
	world_run();
	expect_no_event(&world.entries[0].inject);
	assert_int_equal(world.entries[0].want_window, 0);
}

static void the_pic_waits_for_its_window(void **state)
{
	(void)state;
	if_off(v);
	v->extint = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_exit_fn(EXIT(WINDOW), if_on);
	world_finish(ABI_FIN_INTACK, 0x08, 0, 0);
	world.calls[0].fn = wire_down;
	world_run();
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(world.upcall_count, 1);
	expect_event(&world.entries[1].inject, HV_EVENT_EXTINT, 0x08);
	/* masked at LINT0: nothing */
	world_forget();
	v->lapic.lvt[LVT_LINT0] |= 0x10000;
	v->extint = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_run();
	assert_int_equal(world.upcall_count, 0);
}

/* ------------------------------------------------------- interruptions */

static void an_interrupted_upcall_goes_on(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 0;
	world_exit(exit_of[ABI_UP_PIO_IN]);
	world_user(USER_IRQ, NULL);
	world_finish(ABI_FIN_IN, 0x5a, 0, 0);
	world_run();
	assert_int_equal(world.upcall_count, 1); /* entered afresh but once */
	assert_int_equal(v->hv.gpr[HV_RAX], 0x5a);
}

static void a_preempted_upcall_goes_on(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 0;
	world_exit(exit_of[ABI_UP_PIO_IN]);
	world_user(USER_IRQ, kick);
	world_user(USER_IRQ, NULL);
	world_finish(ABI_FIN_IN, 0x5a, 0, 0);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_WORK);
	assert_true(v->upcall_active);
	assert_int_equal(v->hv.gpr[HV_RAX], 0);
	/* the CPU may do other things for long: that is not the monitor's time */
	hw.tsc += 100 * tsc_hz;
	world_run();
	assert_false(v->ended);
	assert_int_equal(world.upcall_count, 1);
	assert_int_equal(v->hv.gpr[HV_RAX], 0x5a);
}

static void spend(struct vcpu *w)
{
	(void)w;
	hw.tsc += 2 * tsc_hz;
}

static void a_monitor_that_hangs_is_ended(void **state)
{
	(void)state;
	world_exit(exit_of[ABI_UP_PIO_IN]);
	for (u32 i = 0; i < 4; i++)
		world_user(USER_IRQ, spend);
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	expect_end(VM_END_MONITOR);
	assert_int_equal(world.call_next, 3);
}

static void stop_waits_for_finish(void **state)
{
	(void)state;
	v->hv.gpr[HV_RAX] = 0;
	world_exit(exit_of[ABI_UP_PIO_IN]);
	world_call(ABI_SYS_STOP, ABI_STOP_POWEROFF, 0, 0);
	world_finish(ABI_FIN_IN, 0x5a, 0, 0);
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	expect_end(VM_END_POWEROFF);
	assert_int_equal(v->hv.gpr[HV_RAX], 0x5a);
	assert_int_equal(world.entry_count, 1);
}

static void accounts_add_up(void **state)
{
	u64 start = hw.tsc, before = v->stats.run.ticks, guest = v->stats.guest.ticks;
	u64 monitor = v->stats.monitor.ticks, run;

	(void)state;
	for (u32 i = 0; i < 20; i++) {
		world_exit(exit_of[ABI_UP_PIO_IN]);
		world_finish(ABI_FIN_IN, 0, 0, 0);
		world_exit(EXIT(CPUID, .insn_len = 2));
	}
	world_run();
	run = v->stats.run.ticks - before;
	guest = v->stats.guest.ticks - guest;
	monitor = v->stats.monitor.ticks - monitor;
	assert_in_range(run, (hw.tsc - start) * 9 / 10, hw.tsc - start);
	assert_true(guest >= 40 && monitor >= 20 && guest + monitor < run);
	assert_int_equal(v->trace_next, world.entry_count + 1);
}

/* While the guest runs, and on a CPU whose TSC is a little behind. */
static void a_running_account_is_read(void **state)
{
	struct stopwatch w = { 0 };
	u64 now = hw.tsc;

	(void)state;
	assert_int_equal(stopwatch_read(&w), 0);
	stopwatch_start(&w);
	hw.tsc = now + 1000;
	assert_in_range(stopwatch_read(&w), 990, 1010);
	hw.tsc = now - 500;
	assert_int_equal(stopwatch_read(&w), 0);
	hw.tsc = now + 2000;
	stopwatch_stop(&w);
	assert_in_range(w.ticks, 1990, 2010);
	hw.tsc = now + 5000;
	assert_int_equal(stopwatch_read(&w), w.ticks);
	stopwatch_start(&w);
	hw.tsc = now + 6000;
	assert_in_range(stopwatch_read(&w), 2980, 3020);
	stopwatch_stop(&w);
}

static void attach_and_detach(void **state)
{
	(void)state;
	assert_int_equal(hw.cr3[1], v->vm->space.user.root);
	assert_true(world_area(v)->loaded);
	assert_int_equal(hw.ibpb, 1);
	xsetbv(0, 7);
	timer_set(&this_percpu()->timers, &v->monitor_timer, hw.tsc + 1000);
	vcpu_detach(v);
	assert_int_equal(v->xcr0, 7);
	assert_int_equal(hw.xcr0[1], fpu_host_xcr0());
	assert_false(timer_is_set(&v->monitor_timer));
	assert_false(world_area(v)->loaded);
	assert_null(this_percpu()->vcpu);
	vcpu_attach(v);
	assert_int_equal(hw.xcr0[1], 7);
	assert_int_equal(v->requests, VCPU_REQ_EVENT | VCPU_REQ_UPCALL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_interrupt_is_injected),
		T(a_window_is_asked_for),
		T(shadow_blocks_interrupts),
		T(an_nmi_comes_before_interrupts),
		T(a_second_nmi_waits_for_iret),
		T(an_nmi_behind_an_exception_is_not_forgotten),
		T(an_exception_comes_first),
		T(a_cut_event_is_delivered_again),
		T(delivery_through_mmio_ends_the_vm),
		T(hlt_waits_for_an_interrupt),
		T(hlt_behind_a_pending_interrupt),
		T(a_masked_interrupt_does_not_wake),
		T(an_nmi_wakes),
		T(hlt_without_interrupts_is_the_end),
		T(but_a_watchdog_may_wake),
		T(a_timer_wakes),
		T(deadlines_cannot_wrap),
		T(cpuid_is_answered_closed),
		T(cpuid_shows_the_guests_own_osxsave),
		T(cpuid_needs_no_xsave),
		T(msrs_are_an_allow_list),
		T(state_msrs),
		T(efer_is_checked),
		T(the_tsc_moves),
		T(the_monitor_hears_of_a_tsc_move),
		T(a_moving_tsc_keeps_the_timer),
		T(tsc_aux_follows),
		T(xsetbv_is_checked),
		T(the_rest_is_refused_or_skipped),
		T(exceptions_are_given_back),
		T(single_steps_go_on),
		T(fatal_exits),
		T(a_machine_check_is_the_hosts),
		T(leave_is_honoured),
		T(leave_between_closed_exits),
		T(pio_in_merges),
		T(pio_out_shows_its_value),
		T(mmio_shows_all_registers),
		T(mmio_without_a_register),
		T(regs_come_from_the_page),
		T(the_page_is_not_trusted),
		T(faults_are_injected),
		T(cr_writes_are_validated),
		T(cr8_is_the_task_priority),
		T(debug_registers),
		T(msrs_of_the_monitor),
		T(lapic_accesses),
		T(a_bad_lapic_read_interrupts_at_once),
		T(only_fitting_ends_are_taken),
		T(bad_arguments_of_finish),
		T(a_fault_ends_this_vm_only),
		T(events_are_passed),
		T(events_reach_a_halted_vcpu),
		T(a_level_eoi_is_told),
		T(the_pic_is_acknowledged),
		T(a_spurious_interrupt_is_none),
		T(the_pic_waits_for_its_window),
		T(an_interrupted_upcall_goes_on),
		T(a_preempted_upcall_goes_on),
		T(a_monitor_that_hangs_is_ended),
		T(stop_waits_for_finish),
		T(accounts_add_up),
		T(a_running_account_is_read),
		T(attach_and_detach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
