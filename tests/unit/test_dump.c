/*
 * Looking at a vCPU: dumps of running, paused and crashed VMs (kernel/dump.c),
 * and the ring of exits (kernel/trace.c).
 */
// SOURCES: kernel/vcpu.c kernel/events.c kernel/exits*.c kernel/upcall.c kernel/syscall.c kernel/vm*.c
// SOURCES: kernel/space.c kernel/monitor.c kernel/pages*.c kernel/loop.c kernel/control.c
// SOURCES: kernel/inspect.c kernel/restart.c kernel/crashlog.c kernel/crash.c kernel/dump.c kernel/trace.c
// SOURCES: kernel/time.c kernel/timer.c kernel/lapic*.c kernel/msrs.c kernel/cpuid*.c
// SOURCES: kernel/control_regs.c kernel/console*.c kernel/print.c arch/mmu.c arch/svm/svm_exit.c
// SOURCES: tests/unit/fake/world.c tests/unit/fake/fake_log.c tests/unit/fake/fake_panic.c
// SOURCES: tests/unit/fake/fake_kdirect.c
// FLAGS: -Itests/unit/fake/hw
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "kernel/host.h"
#include "kernel/inspect.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/trace.h"
#include "world.h"

static struct vcpu_dump dump;
static const char *why;

/* The other CPU runs while CPU 0 waits, as long as its monitor has something to do. */
static void other_cpu(void)
{
	struct vcpu *v;

	hw.tsc += 100000;
	if (hw.cpu)
		return;
	hw.cpu = 1;
	percpu_sync();
	v = percpus[1].vcpu;
	if (v && (world.call_next < world.call_count || v->ended))
		(void)vcpu_run(v);
	percpu_sync();
	hw.cpu = 0;
}

static int setup(void **state)
{
	(void)state;
	world_setup(24);
	world_boot();
	hw.window = other_cpu;
	memset(&dump, 0xff, sizeof(dump));
	why = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_teardown();
	return 0;
}

/* What the monitor finds on the guest's stack. */
static void fill_page(struct vcpu *v)
{
	assert_int_equal(v->page->reason, ABI_UP_PEEK);
	assert_int_equal(v->page->gpa, v->dump.stack);
	assert_int_equal(v->page->value, DUMP_STACK);
	for (u32 i = 0; i < DUMP_STACK; i++)
		v->page->log[i] = (char)i;
	v->uctx.gpr[HV_R10] = 0;
}

static void peeked(u32 len)
{
	world.calls[world.call_count++] = (struct world_call){
		USER_SYSCALL, ABI_SYS_FINISH, ABI_FIN_PEEK, len, 0, fill_page
	};
}

/* VM 0 stands in 64-bit code with a stack. */
static struct vcpu *guest(void)
{
	struct vcpu *v;

	world_start(0);
	v = world.v;
	world_area(v)->s.efer = EFER_LMA | EFER_LME;
	world_area(v)->s.seg[HV_CS].attr = HV_ATTR_L;
	world_area(v)->s.cr3 = 0x1234000;
	v->hv.gpr[HV_RSP] = 0xffffc90000001ff8;
	v->hv.gpr[HV_R15] = 15;
	v->hv.rip = 0xffffffff81000000;
	hw.cpu = 0;
	return v;
}

static void check_dump(u32 len)
{
	assert_int_equal(dump.cpu, 1);
	assert_int_equal(dump.rip, 0xffffffff81000000);
	assert_int_equal(dump.gpr[HV_R15], 15);
	assert_int_equal(dump.state.cr3, 0x1234000);
	assert_int_equal(dump.stack, 0xffffc90000001ff8);
	assert_int_equal(dump.stack_len, len);
	for (u32 i = 0; i < len; i++)
		assert_int_equal(dump.bytes[i], (u8)i);
}

static void running(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	peeked(200);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(200);
	assert_false(dump.ended);
	assert_int_equal(vms[0].state, VM_RUNNING);
	assert_ptr_equal(percpus[1].vcpu, v);
	/* and again, with nothing there */
	world_forget();
	peeked(0);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(0);
}

static void on_cpu_0(void **state)
{
	(void)state;
	world_start(1);
	hw.cpu = 0;
	hw.window = NULL;
	peeked(8);
	assert_int_equal(vm_dump(&vms[1], 0, &dump, &why), OK);
	assert_int_equal(dump.cpu, 0);
	assert_int_equal(dump.stack_len, 8);
}

static void paused(void **state)
{
	struct vcpu *v = guest();
	u64 time;

	(void)state;
	v->halted = true;
	assert_int_equal(vm_pause(&vms[0], &why), OK);
	time = vm_guest_time(&vms[0]);
	hw.tsc += 100 * tsc_hz;
	peeked(256);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(256);
	assert_true(dump.halted);
	assert_int_equal(world.entry_count, 0); /* the guest has not run */
	assert_int_equal(vms[0].state, VM_PAUSED);
	assert_null(percpus[1].vcpu);
	assert_in_range(vm_guest_time(&vms[0]), time, time + 5000000);
	assert_int_equal(vm_resume(&vms[0], &why), OK);
}

static void time_goes_by(void)
{
	hw.tsc += 1000000;
}

/* There it is CPU 0 itself that attaches, runs and detaches it. */
static void paused_on_cpu_0(void **state)
{
	(void)state;
	world_start(1);
	hw.cpu = 0;
	hw.window = time_goes_by;
	assert_int_equal(vm_pause(&vms[1], &why), OK);
	peeked(8);
	assert_int_equal(vm_dump(&vms[1], 0, &dump, &why), OK);
	assert_int_equal(dump.stack_len, 8);
	assert_int_equal(world.entry_count, 0);
	assert_int_equal(vms[1].state, VM_PAUSED);
	assert_null(percpus[0].vcpu);
	/* and crashed */
	world.config.vm[1].on_crash = POLICY_PAUSE;
	assert_int_equal(vm_resume(&vms[1], &why), OK);
	vcpu_end(vms[1].vcpus[0], VM_END_TRIPLE_FAULT, 0, "triple fault");
	world_until(1, VM_KEPT);
	world_forget();
	peeked(4);
	assert_int_equal(vm_dump(&vms[1], 0, &dump, &why), OK);
	assert_int_equal(dump.stack_len, 4);
	assert_int_equal(vms[1].state, VM_KEPT);
	assert_int_equal(vm_stop(&vms[1], &why), OK);
}

static void crashed_and_kept(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	hw.cpu = 1;
	vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault");
	world_until(0, VM_KEPT);
	peeked(16);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(16);
	assert_true(dump.ended && v->ended);
	assert_false(dump.unread);
	assert_int_equal(vms[0].state, VM_KEPT);
	assert_string_equal(vms[0].reason, "triple fault");
	assert_int_equal(vms[0].end, VM_END_TRIPLE_FAULT);
	assert_null(percpus[1].vcpu);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

/* A reset that it asks for meanwhile would wipe out what is kept. */
static void a_monitor_cannot_end_it_twice(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	world.config.vm[0].on_reboot = POLICY_RESTART;
	hw.cpu = 1;
	vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault");
	world_until(0, VM_KEPT);
	world.calls[world.call_count++] =
		(struct world_call){ USER_SYSCALL, ABI_SYS_STOP, ABI_STOP_RESET, 0, 0, NULL };
	peeked(16);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	assert_int_equal(dump.stack_len, 16);
	assert_int_equal(vms[0].state, VM_KEPT);
	assert_int_equal(vms[0].end, VM_END_TRIPLE_FAULT);
	assert_string_equal(vms[0].reason, "triple fault");
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

static void crashes_then_answers(void)
{
	struct vcpu *v = vms[0].vcpus[0];

	hw.window = other_cpu;
	hw.cpu = 1;
	vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault");
	hw.cpu = 0;
}

static void it_crashes_before_it_answers(void **state)
{
	u64 before = hw.tsc;

	(void)state;
	guest();
	world.config.vm[0].on_crash = POLICY_PAUSE;
	hw.window = crashes_then_answers;
	peeked(16);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(16);
	assert_true(dump.ended);
	assert_true(hw.tsc - before < tsc_hz);
	world_until(0, VM_KEPT);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

/* Nobody can be asked for the stack then. */
static void a_monitor_that_failed(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	hw.cpu = 1;
	vcpu_end(v, VM_END_MONITOR, 0, "its monitor failed");
	world_until(0, VM_KEPT);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(0);
	assert_true(dump.unread);
	assert_int_equal(world.call_next, 0);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

static void a_monitor_that_lies(void **state)
{
	(void)state;
	guest();
	peeked(DUMP_STACK + 1);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_PERM);
	assert_string_equal(why, "it ended meanwhile, see list");
	world_until(0, VM_OFF);
	assert_int_equal(vms[0].end, VM_END_MONITOR);
}

/* The VM that is kept for it can be looked at, without its stack. */
static void a_monitor_that_lies_and_is_kept(void **state)
{
	struct vcpu *v = guest();
	u64 before = hw.tsc;

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	peeked(DUMP_STACK + 1);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_PERM);
	assert_string_equal(why, "it ended meanwhile, see list");
	assert_true(hw.tsc - before < tsc_hz);
	world_until(0, VM_KEPT);
	assert_int_equal(v->dump_state, DUMP_IDLE);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(0);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

/* One that crashes on the look at its crash. */
static void a_monitor_that_faults_while_kept(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	hw.cpu = 1;
	vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault");
	world_until(0, VM_KEPT);
	world_user(USER_FAULT, NULL);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_PERM);
	world_until(0, VM_KEPT);
	assert_true(v->ended);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	check_dump(0);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
}

static void a_monitor_that_is_silent(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	/* the other CPU never gets a turn */
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_TIMEOUT);
	assert_string_equal(why, "its monitor does not answer");
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_BUSY);
	peeked(1);   /* late, but it harms nobody */
	other_cpu(); /* asked to leave, it does */
	other_cpu();
	assert_int_equal(v->dump_state, DUMP_DONE);
	world_forget();
	peeked(2);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	assert_int_equal(dump.stack_len, 2);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), ERR_PERM);
	assert_string_equal(why, "it is not running");
	guest();
	assert_int_equal(vm_dump(&vms[0], 1, &dump, &why), ERR_BUSY);
}

/* Outside 64-bit code the stack segment counts. */
static void sixteen_bit_stack(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	world_area(v)->s.efer = 0;
	world_area(v)->s.seg[HV_SS] = (struct hv_segment){ .base = 0x10000 };
	v->hv.gpr[HV_RSP] = 0x12345678;
	peeked(0);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	assert_int_equal(dump.stack, 0x15678);
	world_area(v)->s.seg[HV_SS] = (struct hv_segment){ .base = 0xf0000000, .attr = 0x400 };
	world_forget();
	peeked(0);
	assert_int_equal(vm_dump(&vms[0], 0, &dump, &why), OK);
	assert_int_equal(dump.stack, 0x02345678);
}

/* --------------------------------------------------------------- trace */

static void some_exits(u32 n)
{
	hw.window = NULL;
	world_forget();
	for (u32 i = 0; i < n; i++)
		world_exit((struct hv_exit){
			.reason = HV_EXIT_CPUID, .insn_len = 2, .word = world.v->stats.exits[0] });
	world_run();
}

static void trace(void **state)
{
	struct trace_entry e[TRACE_SIZE + 1];
	struct trace_info info;
	struct vm *vm = &vms[0];
	struct vm_info before, with;
	u64 pos = 0, total, last;
	u32 n;

	(void)state;
	assert_int_equal(vm_trace(vm, true, &why), ERR_PERM);
	assert_false(vm_trace_info(vm, 0, &info));
	guest();
	assert_int_equal(vm_trace_read(vm, 0, &pos, e, 8), 0);
	vm_describe(vm, &before);
	assert_int_equal(vm_trace(vm, true, &why), OK);
	vm_describe(vm, &with);
	assert_int_equal(with.mem_kernel - before.mem_kernel, TRACE_PAGES * PAGE_SIZE);
	assert_int_equal(with.mem_tables, before.mem_tables);
	assert_int_equal(vm_trace_read(vm, 0, &pos, e, 8), 0);
	some_exits(5);
	n = vm_trace_read(vm, 0, &pos, e, 8);
	assert_in_range(n, 5, 6);
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(e[i].reason, HV_EXIT_CPUID);
		assert_int_equal(e[i].rip, 0xffffffff81000000 + 2 * i);
		assert_true(i == 0 || e[i].ticks > e[i - 1].ticks);
	}
	assert_int_equal(vm_trace_read(vm, 0, &pos, e, 8), 0);
	/* by the guest's clock, which a pause holds */
	last = e[4].ticks;
	hw.cpu = 0;
	hw.window = other_cpu;
	assert_int_equal(vm_pause(vm, &why), OK);
	hw.tsc += 100 * tsc_hz;
	assert_int_equal(vm_resume(vm, &why), OK);
	hw.cpu = 1;
	percpu_sync();
	some_exits(1);
	pos--;
	n = vm_trace_read(vm, 0, &pos, e, 8);
	assert_true(n >= 2 && e[0].ticks >= last && e[n - 1].ticks < last + tsc_hz);
	/* more than it holds: the newest stay */
	for (u32 i = 0; i < 6; i++)
		some_exits(200);
	assert_true(vm_trace_info(vm, 0, &info));
	assert_true(info.on);
	assert_in_range(info.exits, 1205, 1220);
	n = vm_trace_read(vm, 0, &pos, e, TRACE_SIZE + 1);
	assert_int_equal(n, TRACE_SIZE - 1);
	assert_int_equal(pos, info.exits);
	assert_int_equal(e[n - 2].rip, world.entries[world.entry_count - 2].rip);
	/* off: it stays, and nothing is added */
	assert_int_equal(vm_trace(vm, false, &why), OK);
	total = info.exits;
	some_exits(5);
	assert_true(vm_trace_info(vm, 0, &info));
	assert_false(info.on);
	assert_int_equal(info.exits, total);
	hw.window = other_cpu;
	hw.cpu = 0;
	assert_int_equal(vm_stop(vm, &why), OK); /* teardown looks for lost pages */
	assert_false(vm_trace_info(vm, 0, &info));
}

/* An NMI's IRET and tracing share a test: neither hides the other. */
static void trace_and_iret(void **state)
{
	struct vcpu *v = guest();

	(void)state;
	assert_int_equal(vm_trace(&vms[0], true, &why), OK);
	v->nmi_blocked = v->nmi_iret = true;
	v->iret_rip = v->hv.rip;
	some_exits(1);
	assert_false(v->nmi_iret || v->nmi_blocked);
	assert_true(v->tracing);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(running),
		T(on_cpu_0),
		T(paused),
		T(paused_on_cpu_0),
		T(crashed_and_kept),
		T(a_monitor_cannot_end_it_twice),
		T(it_crashes_before_it_answers),
		T(a_monitor_that_failed),
		T(a_monitor_that_lies),
		T(a_monitor_that_lies_and_is_kept),
		T(a_monitor_that_faults_while_kept),
		T(a_monitor_that_is_silent),
		T(refused),
		T(sixteen_bit_stack),
		T(trace),
		T(trace_and_iret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
