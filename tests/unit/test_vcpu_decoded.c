/*
 * What a vendor that decodes operands and has NMI windows brings to the vCPU
 * loop (kernel/exits.c): control registers without the monitor, the end of an
 * NMI's handler seen after it.
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

#include "arch/x86.h"
#include "fake_log.h"
#include "world.h"

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

static void write_cr(u32 nr, u64 value)
{
	world_exit((struct hv_exit){
		.reason = HV_EXIT_CR,
		.insn_len = 3,
		.cr = { .nr = (u8)nr, .write = 1, .decoded = 1, .value = value } });
	world_run();
}

/* The guest does it again: RIP stays, the monitor is not asked. */
static void a_legal_write_is_granted(void **state)
{
	u64 rip = v->hv.rip;
	u32 upcalls = world.upcall_count;

	(void)state;
	write_cr(0, CR0_PE | CR0_NE | CR0_CD);
	assert_int_equal(world_area(v)->granted[0], CR0_PE | CR0_NE | CR0_CD);
	assert_int_equal(world_entered()->rip, rip);
	assert_false(world_entered()->inject.valid);
	assert_int_equal(world.upcall_count, upcalls);
}

static void an_illegal_one_is_not(void **state)
{
	u64 rip = v->hv.rip;

	(void)state;
	write_cr(4, CR4_VMXE);
	assert_int_equal(world_area(v)->granted[4], 0);
	assert_true(world_entered()->inject.valid);
	assert_int_equal(world_entered()->inject.vector, EXC_GP);
	assert_int_equal(world_entered()->rip, rip);
}

static void nw_without_cd_is_not(void **state)
{
	(void)state;
	write_cr(0, CR0_PE | CR0_NW);
	assert_int_equal(world_area(v)->granted[0], 0);
	assert_int_equal(world_entered()->inject.vector, EXC_GP);
}

static void cr8_is_the_kernel_s(void **state)
{
	u64 rip = v->hv.rip;

	(void)state;
	write_cr(8, 9);
	assert_int_equal(lapic_get_cr8(&v->lapic), 9);
	assert_int_equal(world_entered()->rip, rip + 3);
	world_exit((struct hv_exit){ .reason = HV_EXIT_CR,
				     .insn_len = 4,
				     .cr = { .nr = 8, .decoded = 1, .gpr = HV_R12 } });
	world_run();
	assert_int_equal(world_entered()->gpr[HV_R12], 9);
	assert_int_equal(world_entered()->rip, rip + 7);
	write_cr(8, 16);
	assert_int_equal(world_entered()->inject.vector, EXC_GP);
}

static void an_nmi_window_ends_the_nmi(void **state)
{
	(void)state;
	v->nmi_blocked = true;
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	world_exit((struct hv_exit){ .reason = HV_EXIT_NMI_WINDOW });
	world_run();
	assert_int_equal(world.entries[0].watch_iret, 1);
	assert_int_equal(world_entered()->inject.type, HV_EVENT_NMI);
	assert_true(v->nmi_blocked);
	assert_false(v->nmi_pending);
}

static void a_refused_state_has_its_reason(void **state)
{
	(void)state;
	world_exit(
		(struct hv_exit){ .reason = HV_EXIT_INVALID, .raw = { .why = "guest CS: type" } });
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_ENDED);
	assert_non_null(strstr(v->vm->reason, "guest CS: type"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_legal_write_is_granted),   T(an_illegal_one_is_not),
		T(nw_without_cd_is_not),       T(cr8_is_the_kernel_s),
		T(an_nmi_window_ends_the_nmi), T(a_refused_state_has_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
