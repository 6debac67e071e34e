/*
 * What `cpus`, `info`, `files` and `top` are told (kernel/inspect.h).
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
#include "kernel/inspect.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

static int setup(void **state)
{
	(void)state;
	world_setup(24);
	world_boot();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_teardown();
	return 0;
}

static const char *state_of_cpu(u32 i)
{
	struct cpu_info c;

	host_cpu(i, &c);
	return c.state;
}

static void cpus_say_what_they_do(void **state)
{
	struct percpu *p = &percpus[1];
	struct cpu_info c;

	(void)state;
	assert_int_equal(host_cpu_count(), cpu_count);
	assert_int_equal(host_tsc_hz(), tsc_hz);
	p->timers.count = 3;
	assert_string_equal(state_of_cpu(1), "busy");
	/* it has slept for a second, and sleeps for another */
	hw.tsc += 4 * tsc_hz;
	p->slept = tsc_hz;
	p->sleep_start = hw.tsc - tsc_hz;
	host_cpu(1, &c);
	assert_string_equal(c.state, "idle");
	assert_int_equal(c.apic_id, 1);
	assert_int_equal(c.timers, 3);
	assert_string_equal(c.ids.name, "ASID");
	assert_false(c.cpu0);
	assert_in_range(c.up - c.busy, 1999000000, 2001000000);
	p->sleep_start = 0;
	world_start(0);
	assert_string_equal(state_of_cpu(1), "guest");
	p->sleep_start = hw.tsc;
	assert_string_equal(state_of_cpu(1), "halted");
	cpus[1].online = 0;
	assert_string_equal(state_of_cpu(1), "offline");
	cpus[1].online = 1;
	p->sleep_start = 0;
	p->timers.count = 0;
}

static const char *state_of_vcpu(const struct vm *vm)
{
	struct vcpu_info c;

	vm_vcpu(vm, 0, &c);
	assert_int_equal(c.cpu, 1);
	return c.state;
}

static void complaints_are_the_vms_own(void **state)
{
	struct config *c = &world.config;
	u32 line = 0;

	(void)state;
	assert_null(vm_complaint(&vms[0], 0, &line));
	c->error_count = 4;
	c->errors[0] = (struct config_error){ 3, 1, 1, "one" };
	c->errors[1] = (struct config_error){ 4, 1, 0, "two" };
	c->errors[2] = (struct config_error){ 5, 1, -1, "three" };
	c->errors[3] = (struct config_error){ 6, 1, 1, "four" };
	assert_string_equal(vm_complaint(&vms[1], 0, &line), "one");
	assert_int_equal(line, 3);
	assert_string_equal(vm_complaint(&vms[1], 1, &line), "four");
	assert_int_equal(line, 6);
	assert_null(vm_complaint(&vms[1], 2, &line));
	assert_string_equal(vm_complaint(&vms[0], 0, &line), "two");
	assert_null(vm_complaint(&vms[0], 1, &line));
	c->error_count = 0;
}

static void vcpus_say_what_they_do(void **state)
{
	struct vm *vm = &vms[0];
	struct vcpu_info c;
	struct vcpu *v;
	ns_t time;

	(void)state;
	assert_int_equal(vm_vcpu_count(vm), 0);
	assert_int_equal(vm_guest_time(vm), 0);
	world_start(0);
	v = world.v;
	assert_int_equal(vm_vcpu_count(vm), 1);
	assert_ptr_equal(vm_plan(vm), vm->config);
	assert_string_equal(state_of_vcpu(vm), "runs");
	v->upcall_active = true;
	assert_string_equal(state_of_vcpu(vm), "in its monitor");
	v->upcall_active = false;
	v->halted = true;
	assert_string_equal(state_of_vcpu(vm), "halted");
	v->halted = false;
	v->stats.exits[HV_EXIT_CPUID] = 2;
	v->stats.exits[HV_EXIT_PIO] += 3;
	v->stats.upcalls = 4;
	vm_vcpu(vm, 0, &c);
	assert_true(c.exits >= 5 && c.upcalls == 4);
	v->stats.run.ticks = tsc_hz;
	assert_in_range(vm_busy(vm), 999000000, 1001000000);
	/* a kept VM's guest has no time */
	world.config.vm[0].on_crash = POLICY_PAUSE;
	vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault");
	assert_string_equal(state_of_vcpu(vm), "ended");
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_ENDED);
	world_until(0, VM_KEPT);
	time = vm_guest_time(vm);
	hw.tsc += 10 * tsc_hz;
	assert_int_equal(vm_guest_time(vm), time);
	assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
	world_until(0, VM_OFF);
}

static void one_file(u32 i, struct file_info *out)
{
	*out = (struct file_info){ "/bulkhead/vmlinuz", 100 + i, NULL };
}

static void files_are_the_hosts(void **state)
{
	static const struct host_facts facts = { .file_count = 7, .file = one_file };
	struct file_info f;

	(void)state;
	host_init(&facts);
	assert_int_equal(host_file_count(), 7);
	host_file(3, &f);
	assert_int_equal(f.size, 103);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cpus_say_what_they_do),
		T(complaints_are_the_vms_own),
		T(vcpus_say_what_they_do),
		T(files_are_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
