/*
 * Events that meet (kernel/events.c): an exception that is intercepted while
 * another event is being delivered, in the exit forms of both vendors; the
 * double-fault table; and exceptions whose delivery raises them for ever.
 */
// SOURCES-OF: tests/unit/test_vcpu.c
// SOURCES: arch/vmx/vmx_exit.c
// FLAGS: -Itests/unit/fake/vmx
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/svm/svm_exit.h"
#include "arch/vmx/vmx_exit.h"
#include "arch/x86.h"
#include "kernel/percpu.h"
#include "world.h"

u64 fake_vmcs[0x8000];

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

/* ------------------------------------------------- exits of both vendors */

/* Event and error code as EXITINTINFO has them; an exception by its exit code. */
static struct hv_exit svm_exit(u64 cut, u8 vector)
{
	struct hv_vcpu h = { .rip = 0x1000 };
	struct vmcb b = { .exit_code = 0x40 + vector, .exit_int_info = cut };

	svm_decode_exit(&h, &b, true);
	return h.exit;
}

/* The same by the IDT-vectoring information and the interruption information. */
static struct hv_exit vmx_exit(u64 cut, u8 vector)
{
	struct hv_vcpu h = { .rip = 0x1000 };
	struct vmx_vcpu x = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	vmwrite(VMCS_IDT_VECTORING_INFO, (u32)cut);
	vmwrite(VMCS_IDT_VECTORING_ERROR, cut >> 32);
	vmwrite(VMCS_EXIT_INTR_INFO, 0x80000300 | vector | (vector == EXC_AC ? 0x800 : 0));
	vmwrite(VMCS_EXIT_INTR_ERROR, 0);
	vmx_decode_exit(&h, &x, 0);
	return h.exit;
}

static struct hv_exit (*const vendors[])(u64 cut, u8 vector) = { svm_exit, vmx_exit };

#define CUT_EXTINT 0x80000051ull
#define CUT_NMI 0x80000202ull
#define CUT_PF 0x0000000680000b0eull
#define CUT_AC 0x80000b11ull
#define CUT_INT80 0x80000480ull

static void expect_event(const struct hv_event *e, u32 type, u32 vector)
{
	assert_int_equal(e->valid, 1);
	assert_int_equal(e->type, type);
	assert_int_equal(e->vector, vector);
}

static void if_off(struct vcpu *w)
{
	w->hv.rflags &= ~RFLAGS_IF;
}

static void if_on(struct vcpu *w)
{
	w->hv.rflags |= RFLAGS_IF;
}

#define INTR ((struct hv_exit){ .reason = HV_EXIT_INTR })

/* --------------------------------------------------------------- tests */

/* The exception first; the interrupt, which was acknowledged, when its handler
 * lets it; and whatever else waits only after that. */
static void an_interrupt_is_kept(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(vendors); i++) {
		world_forget();
		if_on(v);
		world_exit(vendors[i](CUT_EXTINT, EXC_DB));
		world_exit_fn(INTR, if_off); /* in #DB's handler */
		world_exit(INTR);
		world_exit_fn(INTR, if_on); /* its IRET */
		world_run();
		expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, EXC_DB);
		assert_int_equal(world.entries[1].want_window, 1);
		assert_false(world.entries[2].inject.valid);
		assert_int_equal(world.entries[2].want_window, 1);
		assert_false(world.entries[3].inject.valid);
		expect_event(&world.entries[4].inject, HV_EVENT_EXTINT, 0x51);
		world_exit(INTR);
		world_run();
		assert_false(world_entered()->inject.valid); /* once */
	}
}

static void a_kept_interrupt_comes_before_others(void **state)
{
	(void)state;
	world_exit(svm_exit(CUT_EXTINT, EXC_AC));
	world_exit(INTR);
	world_run();
	expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, EXC_AC);
	assert_int_equal(world.entries[1].inject.has_error, 1);
	/* the guest's IF is on: it comes at the next entry, and this one waits for it */
	expect_event(&world.entries[2].inject, HV_EVENT_EXTINT, 0x51);
	world_forget();
	world_exit(svm_exit(CUT_EXTINT, EXC_AC));
	lapic_deliver(&v->lapic, 0xe1, false);
	world_exit_fn(INTR, if_off);
	world_exit_fn(INTR, if_on);
	world_exit(INTR);
	world_run();
	expect_event(&world.entries[3].inject, HV_EVENT_EXTINT, 0x51);
	expect_event(&world.entries[4].inject, HV_EVENT_EXTINT, 0xe1);
}

static void a_kept_interrupt_wakes(void **state)
{
	(void)state;
	if_off(v);
	world_exit(svm_exit(CUT_EXTINT, EXC_DB));
	world_exit_fn((struct hv_exit){ .reason = HV_EXIT_HLT, .insn_len = 1 }, if_on);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_EXTINT, 0x51);
	assert_false(v->halted);
}

static void an_nmi_is_kept(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(vendors); i++) {
		world_forget();
		if_off(v);
		v->nmi_blocked = true; /* since its first delivery */
		v->nmi_pending = true; /* and one more waits */
		world_exit(vendors[i](CUT_NMI, EXC_DB));
		world_exit(INTR);
		world_run();
		expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, EXC_DB);
		assert_true(timer_is_set(&v->nudge)); /* no window opens for it */
		expect_event(&world.entries[2].inject, HV_EVENT_NMI, 2);
		assert_int_equal(world.entries[2].watch_iret, 1);
		assert_true(v->nmi_blocked);
		assert_true(v->nmi_pending);
		v->nmi_pending = false;
	}
}

/* With interrupts off and an NMI kept a guest that halts is not dead. */
static void a_kept_nmi_wakes(void **state)
{
	(void)state;
	if_off(v);
	world_exit(svm_exit(CUT_NMI, EXC_DB));
	world_exit((struct hv_exit){ .reason = HV_EXIT_HLT, .insn_len = 1 });
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	expect_event(&world_entered()->inject, HV_EVENT_NMI, 2);
}

/* What an instruction raised, it will raise again. */
static void instructions_are_repeated(void **state)
{
	static const u64 cuts[] = { CUT_PF, CUT_AC, CUT_INT80 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(vendors) * ARRAY_SIZE(cuts); i++) {
		world_forget();
		world_exit(vendors[i % 2](cuts[i / 2], EXC_AC));
		world_exit(INTR);
		world_run();
		expect_event(&world.entries[1].inject, HV_EVENT_EXCEPTION, EXC_AC);
		assert_int_equal(world.entries[1].inject.error, 0);
		assert_false(world.entries[2].inject.valid);
	}
}

/* SDM table 6-4, in its words. */
enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };
static enum class class_of(u32 vector) {
	switch (vector){
		case 0 : case 10 : case 11 : case 12 : case 13 : return CONTRIBUTORY;
		case 14 : return PAGE_FAULT;
		case 8 : return DOUBLE_FAULT;
		default : return BENIGN;
	}
}

/* Table 6-5: rows first, columns second (benign, contributory, page fault). */
enum { SERIAL, DOUBLE, SHUTDOWN };
static const u8 table[4][3] = {
	[BENIGN] = { SERIAL, SERIAL, SERIAL },
	[CONTRIBUTORY] = { SERIAL, DOUBLE, SERIAL },
	[PAGE_FAULT] = { SERIAL, DOUBLE, DOUBLE },
	[DOUBLE_FAULT] = { SERIAL, SHUTDOWN, SHUTDOWN },
};

static void every_pair(void **state)
{
	(void)state;
	for (u32 first = 0; first < 20; first++) {
		for (u32 second = 0; second < 20; second++) {
			u8 want = table[class_of(first)][class_of(second) % DOUBLE_FAULT];

			if (first == 2 || second == 2 || second == 8 || want == SHUTDOWN)
				continue;
			v->hv.inject = (struct hv_event){ 1, HV_EVENT_EXCEPTION, (u8)first, 0, 0 };
			vcpu_inject(v, (u8)second, true, 7);
			expect_event(&v->hv.inject, HV_EVENT_EXCEPTION,
				     want == DOUBLE ? 8 : second);
			assert_int_equal(v->hv.inject.has_error, 1);
			assert_int_equal(v->hv.inject.error, want == DOUBLE ? 0 : 7);
			assert_false(v->ended);
		}
	}
	v->hv.inject.valid = 0;
}

static void beyond_a_double_fault(void **state)
{
	(void)state;
	/* answered closed, where it cannot come from: even so it is the end */
	world_exit((struct hv_exit){ .reason = HV_EXIT_GP,
				     .cut = { 1, HV_EVENT_EXCEPTION, EXC_DF, 1, 0 } });
	assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
	assert_int_equal(v->vm->end, VM_END_TRIPLE_FAULT);
	assert_int_equal(world.entry_count, 1);
}

static u32 windows;

static void ask_to_leave(void)
{
	if (++windows == 50)
		vcpu_request(v, VCPU_REQ_LEAVE);
}

/* CVE-2015-5307 and -8104: delivery raises the exception anew, so the guest never
 * executes an instruction, and no interrupt is recognised in it. */
static void an_endless_exception_can_be_left(void **state)
{
	(void)state;
	for (u32 i = 0; i < 4; i++) {
		windows = 0;
		hw.window = ask_to_leave;
		world_forget();
		for (u32 n = 0; n < 100; n++)
			world_exit(vendors[i % 2](i < 2 ? CUT_AC : 0, i < 2 ? EXC_AC : EXC_DB));
		assert_int_equal(vcpu_run(v), VCPU_LEAVE_WORK);
		hw.window = NULL;
		assert_int_equal(windows, 50);
		assert_int_equal(world.entry_count, 50);
		v->hv.inject.valid = 0;
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_interrupt_is_kept),
		T(a_kept_interrupt_comes_before_others),
		T(a_kept_interrupt_wakes),
		T(an_nmi_is_kept),
		T(a_kept_nmi_wakes),
		T(instructions_are_repeated),
		T(every_pair),
		T(beyond_a_double_fault),
		T(an_endless_exception_can_be_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
