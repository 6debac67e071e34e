/*
 * A paused VM (kernel/vm_pause.c): its vCPU is off its CPU between two
 * upcalls, its guest's clocks stand still, and nothing that waits is lost.
 */
// SOURCES: kernel/vcpu.c kernel/events.c kernel/exits*.c kernel/upcall.c kernel/syscall.c kernel/vm*.c
// SOURCES: kernel/space.c kernel/monitor.c kernel/pages*.c kernel/loop.c kernel/control.c
// SOURCES: kernel/inspect.c kernel/restart.c kernel/crashlog.c kernel/crash.c kernel/time.c kernel/timer.c kernel/lapic*.c
// SOURCES: kernel/msrs.c kernel/cpuid*.c kernel/control_regs.c kernel/console*.c kernel/print.c
// SOURCES: arch/mmu.c arch/svm/svm_exit.c tests/unit/fake/world.c tests/unit/fake/fake_log.c
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
#include "kernel/host.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

/* The other CPU gets its turns while the shell waits. */
static void other_cpu(void)
{
	struct vcpu *v;

	hw.tsc += 1000;
	if (hw.cpu)
		return;
	hw.cpu = 1;
	percpu_sync();
	v = percpus[1].vcpu;
	if (v && world.call_next < world.call_count)
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
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_teardown();
	return 0;
}

static void pause(u32 i)
{
	const char *why = "";

	hw.cpu = 0;
	assert_int_equal(vm_pause(&vms[i], &why), OK);
	assert_string_equal(vm_state_name(&vms[i]), "paused");
	assert_null(percpus[vms[i].config->cpus[0]].vcpu);
}

/* Attached again, on its own CPU. */
static void resume(u32 i)
{
	const char *why = "";

	hw.cpu = 0;
	assert_int_equal(vm_resume(&vms[i], &why), OK);
	assert_string_equal(vm_state_name(&vms[i]), "running");
	hw.cpu = vms[i].config->cpus[0];
	percpu_sync();
	irq_window();
	assert_ptr_equal(percpus[hw.cpu].vcpu, vms[i].vcpus[0]);
}

static void time_stands_still(void **state)
{
	struct vm *vm = &vms[0];
	struct vcpu *v;
	struct vm_info info;
	u64 guest, uptime, lapic_left, monitor_left;

	(void)state;
	world_start(0);
	v = world.v;
	world_call(ABI_SYS_TIMER, vm_guest_time(vm) + 5000000000, 0, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	vcpu_upcall(v, ABI_UP_EVENT);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	vcpu_lapic_effects(v, lapic_write(&v->lapic, 0xf0, 0x1ff, 0));
	vcpu_lapic_effects(v, lapic_write(&v->lapic, 0x3e0, 0xb, 0));
	vcpu_lapic_effects(v, lapic_write(&v->lapic, 0x320, 0x40, 0));
	vcpu_lapic_effects(v,
			   lapic_write(&v->lapic, 0x380, 3000000000u, vcpu_guest_tsc(v, hw.tsc)));
	assert_true(timer_is_set(&v->lapic_timer) && timer_is_set(&v->monitor_timer));
	lapic_left = v->lapic_timer.deadline - hw.tsc;
	monitor_left = v->monitor_timer.deadline - hw.tsc;
	pause(0);
	assert_false(timer_is_set(&v->lapic_timer) || timer_is_set(&v->monitor_timer));
	guest = vcpu_guest_tsc(v, vm->parked_tsc);
	vm_describe(vm, &info);
	uptime = info.uptime;
	hw.tsc += 100 * tsc_hz;
	vm_describe(vm, &info);
	assert_int_equal(info.uptime, uptime);
	assert_string_equal(info.state, "paused");
	assert_in_range(vm_guest_time(vm), time_delta(guest) - 10, time_delta(guest) + 10);
	resume(0);
	/* within what the test's own steps take */
	assert_in_range(vcpu_guest_tsc(v, hw.tsc), guest, guest + 100000);
	assert_int_equal(world_area(v)->tsc_offset, v->tsc_offset);
	assert_int_equal(vm->page->tsc_offset, v->tsc_offset);
	assert_int_equal(vm->page->tsc_base, vm->tsc_start);
	assert_int_equal(vm->page->tsc_base + vm->page->tsc_offset, 0);
	assert_in_range(v->lapic_timer.deadline - hw.tsc, lapic_left - 100000, lapic_left);
	assert_in_range(v->monitor_timer.deadline - hw.tsc, monitor_left - 100000, monitor_left);
	vm_describe(vm, &info);
	assert_in_range(info.uptime, uptime, uptime + 100000);
}

static void an_upcall_is_finished_first(void **state)
{
	struct vcpu *v;

	(void)state;
	world_start(0);
	v = world.v;
	vcpu_upcall(v, ABI_UP_EVENT);
	hw.cpu = 0;
	assert_int_equal(vm_begin_pause(&vms[0]), OK);
	assert_string_equal(vm_state_name(&vms[0]), "pausing");
	hw.cpu = 1;
	percpu_sync();
	assert_ptr_equal(percpus[1].vcpu, v); /* its monitor may have read its clock */
	world_forget();
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	vcpu_unrequest(v, VCPU_REQ_LEAVE);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_WORK);
	assert_int_equal(world.entry_count, 0); /* and not into the guest again */
	percpu_sync();
	assert_null(percpus[1].vcpu);
	hw.cpu = 0;
	host_step();
	assert_int_equal(vms[0].state, VM_PAUSED);
	resume(0);
	world_exit((struct hv_exit){ .reason = HV_EXIT_CPUID, .insn_len = 2 });
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_true(world.entry_count >= 1);
}

/* CPU 0 itself must run its vCPU to the upcall's end. */
static void cpu_0_finishes_its_upcall(void **state)
{
	(void)state;
	world_start(1);
	vcpu_upcall(world.v, ABI_UP_EVENT);
	world_forget();
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	pause(1);
	assert_int_equal(world.call_next, 1);
	assert_int_equal(world.entry_count, 0);
	resume(1);
}

static void a_monitor_that_fails_meanwhile(void **state)
{
	const char *why = NULL;

	(void)state;
	world_start(0);
	vcpu_upcall(world.v, ABI_UP_EVENT);
	world_forget();
	world_call(ABI_SYS_FINISH, 99, 0, 0);
	hw.cpu = 0;
	assert_int_equal(vm_pause(&vms[0], &why), ERR_PERM);
	assert_string_equal(why, "it ended meanwhile, see list");
	world_until(0, VM_OFF);
	assert_int_equal(vms[0].end, VM_END_MONITOR);
}

static void refused(void **state)
{
	const char *why = NULL;

	(void)state;
	assert_int_equal(vm_pause(&vms[0], &why), ERR_PERM);
	assert_string_equal(why, "it is not running");
	assert_int_equal(vm_resume(&vms[0], &why), ERR_PERM);
	assert_string_equal(why, "it is not paused");
	assert_int_equal(vm_nmi(&vms[0], &why), ERR_PERM);
	world_start(0);
	assert_int_equal(vm_resume(&vms[0], &why), ERR_PERM);
	pause(0);
	assert_int_equal(vm_pause(&vms[0], &why), ERR_PERM);
	assert_string_equal(why, "it is paused");
	assert_int_equal(vm_start(&vms[0], &why), ERR_PERM);
	assert_string_equal(why, "it is paused");
}

static void stop_and_reset(void **state)
{
	const char *why = NULL;

	(void)state;
	world_start(0);
	pause(0);
	assert_int_equal(vm_reset(&vms[0], &why), OK);
	assert_int_equal(vms[0].state, VM_RUNNING);
	assert_false(vms[0].vcpus[0]->requests & VCPU_REQ_PAUSE);
	world_forget();
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	pause(0);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	assert_string_equal(vms[0].reason, "stopped by the administrator");
	/* while it is on its way out */
	world_forget();
	world_start(0);
	hw.cpu = 0;
	assert_int_equal(vm_begin_pause(&vms[0]), OK);
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	assert_int_equal(vms[0].state, VM_OFF);
}

/* It goes on for that; one that has no time to is stopped as it is. */
static void it_is_asked_to_power_off(void **state)
{
	struct vm *vm = &vms[0];
	const char *why = NULL;
	ns_t left;

	(void)state;
	for (u32 host = 0; host < 2; host++) {
		world.config.vm[0].stop_timeout = 10;
		world_forget();
		world_start(0);
		pause(0);
		hw.tsc += 100 * tsc_hz;
		if (host)
			host_shutdown();
		else
			assert_int_equal(vm_shutdown(vm, &why), OK);
		assert_string_equal(vm_state_name(vm), "running");
		assert_true(vm_shutting_down(vm, &left));
		assert_in_range(left, 9900000000ull, 10000000000ull);
		assert_int_equal(vm->vcpus[0]->events, ABI_EV_POWER_BUTTON);
		assert_false(vm->vcpus[0]->requests & VCPU_REQ_PAUSE);
		hw.cpu = 1;
		percpu_sync();
		hw.cpu = 0;
		assert_ptr_equal(percpus[1].vcpu, vm->vcpus[0]);
		assert_true(vm_guest_time(vm) < 1000000000);
		assert_int_equal(vm_stop(vm, &why), OK);
	}
	world.config.vm[0].stop_timeout = 0;
	world_forget();
	world_start(0);
	pause(0);
	assert_int_equal(vm_shutdown(vm, &why), OK);
	assert_int_equal(vm->state, VM_STOPPING);
}

/* The time that it was given does not stand still. */
static void not_while_it_powers_off(void **state)
{
	struct vm *vm = &vms[0];
	const char *why = NULL;
	struct vm_info info;

	(void)state;
	world.config.vm[0].stop_timeout = 10;
	world_start(0);
	hw.cpu = 0;
	assert_int_equal(vm_shutdown(vm, &why), OK);
	assert_int_equal(vm_pause(vm, &why), ERR_PERM);
	assert_string_equal(why, "it is asked to power off");
	vm_describe(vm, &info);
	assert_string_equal(info.state, "running");
	assert_string_equal(info.reason, "asked to power off, 10 s left");
	assert_false(vm->vcpus[0]->requests & VCPU_REQ_PAUSE);
	assert_int_equal(vm_reset(vm, &why), OK); /* which takes that back */
	world_forget();
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	pause(0);
}

static void what_waits_is_not_lost(void **state)
{
	const char *why = NULL;
	struct vcpu *v;

	(void)state;
	world_start(0);
	v = world.v;
	pause(0);
	assert_int_equal(vm_nmi(&vms[0], &why), OK);
	vms[0].port.rx_ready(&vms[0].port);
	assert_null(percpus[1].vcpu); /* that brought it nowhere */
	hw.window = NULL;
	resume(0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_exit((struct hv_exit){ .reason = HV_EXIT_CPUID, .insn_len = 2 });
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_int_equal(world.reasons[0], ABI_UP_EVENT);
	assert_int_equal(v->page->events, ABI_EV_CONSOLE);
	assert_int_equal(world.entries[0].inject.type, HV_EVENT_NMI);
	assert_true(world.entries[0].inject.valid);
}

static void a_halted_vcpu(void **state)
{
	struct vcpu *v;

	(void)state;
	world_start(0);
	v = world.v;
	v->halted = true;
	pause(0);
	resume(0);
	assert_true(v->halted);
	hw.window = NULL;
	vcpu_unrequest(v, VCPU_REQ_LEAVE);
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_HALTED);
}

static void use_is_counted(void **state)
{
	struct cpu_info c;
	ns_t before;

	(void)state;
	world_start(0);
	before = vm_busy(&vms[0]);
	assert_int_equal(vm_busy(&vms[0]), before); /* it does not run */
	stopwatch_start(&world.v->stats.run);
	hw.tsc += tsc_hz; /* computes for a second without an exit */
	assert_in_range(vm_busy(&vms[0]), before + 1000000000, before + 1000100000);
	stopwatch_stop(&world.v->stats.run);
	percpus[1].slept = tsc_hz / 4;
	percpus[1].sleep_start = hw.tsc;
	hw.tsc += tsc_hz / 4;
	host_cpu(1, &c);
	assert_string_equal(c.state, "halted");
	assert_in_range(c.up - c.busy, 500000000, 500100000);
	percpus[1].sleep_start = 0;
	host_cpu(1, &c);
	assert_string_equal(c.state, "guest");
	assert_int_equal(c.ids.given, 1);
	assert_int_equal(c.timers, percpus[1].timers.count);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(time_stands_still),
		T(an_upcall_is_finished_first),
		T(cpu_0_finishes_its_upcall),
		T(a_monitor_that_fails_meanwhile),
		T(refused),
		T(stop_and_reset),
		T(it_is_asked_to_power_off),
		T(not_while_it_powers_off),
		T(what_waits_is_not_lost),
		T(a_halted_vcpu),
		T(use_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
