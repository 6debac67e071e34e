/*
 * What a CPU does for good (kernel/loop.c), and the parts of kernel/control.c
 * that wait or end: sleep and scrubbing, CPU 0's share, time-outs, power off;
 * and the watchdog over monitors (kernel/watchdog.c).
 */
// SOURCES-OF: tests/unit/test_syscall.c
// SOURCES: kernel/watchdog.c tests/unit/fake/wire_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/log.h"
#include "arch/trap.h"
#include "arch/x86.h"
#include "fake_log.h"
#include "kernel/host.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "wire_fake.h"
#include "world.h"

static jmp_buf out;			     /* of cpu_loop() */
static bool (*enough)(void);		     /* leave it now? */
static u32 off_calls, reboot_calls, running; /* VMs that ran when the host ended */

/* The other CPU gets its turns. */
static void other_cpu(void)
{
	u32 cpu = hw.cpu;

	hw.tsc += 1000;
	hw.cpu = !cpu;
	percpu_sync();
	hw.cpu = cpu;
}

static void leave_when_enough(void)
{
	hw.tsc += 1000;
	if (enough())
		longjmp(out, 1);
}

static void loop_until(u32 cpu, bool (*condition)(void))
{
	void (*before)(void) = hw.window;

	enough = condition;
	hw.window = leave_when_enough;
	hw.cpu = cpu;
	if (!setjmp(out))
		cpu_loop();
	hw.window = before;
}

static void power_off(void)
{
	off_calls++;
	for (u32 i = 0; i < vms_count; i++)
		running += vms[i].state != VM_OFF;
}

static void reboot(void)
{
	reboot_calls++;
	power_off();
}

static const struct host_facts facts = {
	.total = GIB(2),
	.files = MIB(3),
	.image = MIB(1),
	.platform = "a machine",
	.poweroff = power_off,
	.reboot = reboot,
};

static int setup(void **state)
{
	(void)state;
	world_setup(24);
	world_boot();
	host_init(&facts);
	hw.window = other_cpu;
	off_calls = reboot_calls = running = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hw.window = other_cpu;
	world_teardown();
	return 0;
}

static bool slept(void)
{
	return hw.hlts > 0;
}

static void an_idle_cpu_scrubs_and_then_sleeps(void **state)
{
	(void)state;
	assert_int_not_equal(pages_stats().dirty, 0);
	loop_until(1, slept);
	assert_int_equal(pages_stats().dirty, 0);
	assert_int_equal(hw.hlts, 1);
}

static struct hv_exit hlt(void)
{
	return (struct hv_exit){ .reason = HV_EXIT_HLT, .insn_len = 1 };
}

static void an_owned_cpu_does_nothing_else(void **state)
{
	u64 dirty;

	(void)state;
	world_start(0); /* alpha, on CPU 1 */
	dirty = pages_stats().dirty;
	assert_int_not_equal(dirty, 0);
	world_exit(hlt());
	loop_until(1, slept);
	assert_int_equal(world.entry_count, 1);
	assert_true(world.v->halted);
	assert_int_equal(pages_stats().dirty, dirty);
}

/* It sleeps; CPU 0 starts a VM; it wakes up with it. */
static bool ran(void)
{
	static bool asked;

	if (hw.hlts == 1 && !asked) {
		asked = true;
		hw.cpu = 0;
		hw.window = NULL;
		assert_int_equal(vm_begin_start(&vms[0]), OK);
		for (u32 i = 0; i < 1000 && vms[0].state != VM_RUNNING; i++)
			host_step();
		assert_int_equal(vms[0].state, VM_RUNNING);
		assert_ptr_equal(percpus[1].assigned, vms[0].vcpus[0]);
		hw.window = leave_when_enough;
		hw.cpu = 1;
	}
	return world.entry_count > 0;
}

static void allow_interrupts(struct vcpu *v) /* or it would be halted for ever */
{
	v->hv.rflags |= RFLAGS_IF;
}

static void a_sleeping_cpu_takes_what_it_is_given(void **state)
{
	(void)state;
	world_finish(ABI_FIN_NONE, 0, 0, 0); /* the START upcall */
	world_exit_fn(hlt(), allow_interrupts);
	loop_until(1, ran);
	assert_ptr_equal(percpus[1].vcpu, vms[0].vcpus[0]);
	assert_null(percpus[1].assigned);
	world.v = vms[0].vcpus[0];
}

static u64 share_armed;

/* In CPU 0's guest: so much time passes that the share is over. */
static void a_long_while(struct vcpu *v)
{
	(void)v;
	share_armed = hw.armed[0];
	hw.tsc += time_ticks(1000000);
}

static bool other_is_up(void)
{
	hw.cpu = 1;
	percpu_sync();
	hw.cpu = 0;
	return vms[0].state == VM_RUNNING && world.exit_next == world.exit_count;
}

static void cpu_0_shares_itself(void **state)
{
	u64 began;

	(void)state;
	world_start(1); /* beta, on CPU 0 */
	for (u32 i = 0; i < 3; i++)
		world_exit_fn((struct hv_exit){ .reason = HV_EXIT_INTR }, a_long_while);
	world_exit(hlt());
	hw.cpu = 0;
	assert_int_equal(vm_begin_start(&vms[0]), OK);
	began = hw.tsc;
	loop_until(0, other_is_up);	      /* alpha's start goes on between the guest's runs */
	assert_int_not_equal(share_armed, 0); /* and takes the CPU back in time */
	assert_in_range(share_armed, began, began + time_ticks(10000000));
	assert_ptr_equal(percpus[0].vcpu, vms[1].vcpus[0]);
}

/* A command that waits does not hold up the VM on CPU 0, nor does one that writes. */
static void cpu_0_shares_itself_in_a_command(void **state)
{
	const char *why;

	(void)state;
	world_start(1); /* beta, on CPU 0 */
	world.at_rest = true;
	hw.cpu = 0;
	assert_int_equal(vm_start(&vms[0], &why), OK);
	assert_int_not_equal(world.rested, 0);
	world.rested = 0;
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	assert_int_not_equal(world.rested, 0);
	world.rested = 0;
	share_armed = 0;
	world_exit_fn((struct hv_exit){ .reason = HV_EXIT_INTR }, a_long_while);
	host_poll();
	assert_int_not_equal(share_armed, 0); /* it takes the CPU back in time */
}

static void a_slow_line_lets_cpu_0_sleep(void **state)
{
	static struct console_port port;
	static char memory[256];

	(void)state;
	wire_setup(&port, memory, sizeof(memory), 1);
	while (pages_scrub_step())
		;
	console_port_write(&port, "0123456789abcdef0123456789abcdef", 32);
	wires_fake[0].room = 20;
	hw.armed[0] = 0;
	loop_until(0, slept);
	assert_int_equal(wires_fake[0].out_len, 20);
	/* until the wire's interrupt, or for so long */
	assert_in_range(hw.armed[0], hw.tsc, hw.tsc + time_ticks(CONSOLE_RETRY_NS));
	wires_fake[0].room = ~0u;
	hw.hlts = 0;
	loop_until(0, slept);
	assert_int_equal(wires_fake[0].out_len, 32);
}

/* Nobody but CPU 0 runs, and time goes by. */
static void slow(void)
{
	hw.tsc += time_ticks(1000000000);
}

static void waiting_ends(void **state)
{
	const char *why = NULL;

	(void)state;
	world_start(0);
	hw.cpu = 0;
	hw.window = slow;
	assert_int_equal(vm_stop(&vms[0], &why), ERR_TIMEOUT);
	assert_non_null(strstr(why, "still"));
	assert_int_equal(vm_start(&vms[0], &why), ERR_PERM);
	assert_non_null(strstr(why, "stopping"));
	hw.window = other_cpu;
	world_until(0, VM_OFF);
	assert_int_equal(vm_start(&vms[0], &why), OK);
	hw.window = slow;
	assert_int_equal(vm_reset(&vms[0], &why), ERR_TIMEOUT);
	assert_non_null(strstr(why, "still"));
	hw.window = other_cpu;
	world_until(0, VM_RUNNING);
}

static void the_host_ends_after_its_vms(void **state)
{
	(void)state;
	world_start(0);
	hw.cpu = 0;
	assert_non_null(strstr(host_poweroff(), "by hand"));
	assert_int_equal(off_calls, 1);
	assert_int_equal(running, 0);
	assert_int_equal(vms[0].state, VM_OFF);
	world_start(1);
	hw.cpu = 0;
	assert_non_null(strstr(host_reboot(), "button"));
	assert_int_equal(reboot_calls, 1);
	assert_int_equal(running, 0);
}

static void a_vm_that_does_not_stop_is_told(void **state)
{
	(void)state;
	world_start(0);
	hw.cpu = 0;
	hw.window = slow;
	host_poweroff();
	assert_int_equal(off_calls, 1); /* it does not hold the host up */
	assert_int_equal(running, 1);
	assert_int_not_equal(fake_log_count[LOG_WARN], 0);
}

static void what_the_host_says(void **state)
{
	struct host_mem mem;
	struct stat_row rows[HV_EXIT_COUNT];
	ns_t guest, kernel, monitor;
	u64 exits = 0;

	(void)state;
	assert_int_equal(vm_count(), 2);
	assert_ptr_equal(vm_at(1), &vms[1]);
	assert_string_equal(vm_name(vm_at(0)), "alpha");
	assert_string_equal(host_platform(), "a machine");
	world_start(0);
	world_exit(hlt());
	world_run();
	assert_int_equal(vm_stat_rows(&vms[0], rows, HV_EXIT_COUNT), HV_EXIT_COUNT);
	for (u32 i = 0; i < HV_EXIT_COUNT; i++) {
		exits += rows[i].count;
		assert_non_null(rows[i].name);
	}
	assert_int_equal(exits, vm_exits(&vms[0]));
	assert_int_equal(vm_stat_rows(&vms[0], rows, 2), 2);
	vm_times(&vms[0], &guest, &kernel, &monitor);
	assert_int_not_equal(guest + kernel + monitor, 0);
	assert_true(guest + kernel + monitor <= host_uptime());
	host_memory(&mem);
	assert_int_equal(mem.total, GIB(2));
	assert_int_equal(mem.files, MIB(3));
	assert_int_equal(mem.free + mem.dirty + mem.structs + mem.lost +
				 pages_owned(1, PAGE_CHUNK) + pages_owned(1, PAGE_USER) +
				 pages_owned(1, PAGE_KERNEL) + pages_owned(2, PAGE_KERNEL),
			 24 * CHUNK_SIZE);
}

static void a_second_goes_by(void)
{
	hw.cpu = 0;
	hw.tsc += time_ticks(1000000000);
	irq_window();
	hw.cpu = 1;
}

static void the_watchdog_looks_at_upcalls(void **state)
{
	(void)state;
	world_start(0); /* on CPU 1, which has no tick */
	hw.window = NULL;
	hw.kicks[1] = 0;
	hw.cpu = 0;
	watchdog_start();
	world.host_timers = 1;
	a_second_goes_by();
	a_second_goes_by();
	assert_int_equal(hw.kicks[1], 0); /* a guest that computes is left in peace */
	vcpu_upcall(world.v, ABI_UP_EVENT);
	a_second_goes_by();
	assert_int_equal(hw.kicks[1], 0);
	a_second_goes_by(); /* the same one still */
	assert_int_equal(hw.kicks[1], 1);
	vcpu_upcall(world.v, ABI_UP_EVENT); /* another one */
	a_second_goes_by();
	assert_int_equal(hw.kicks[1], 1);
	world.v->upcall_active = false;
	hw.kicked[1] = false;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_idle_cpu_scrubs_and_then_sleeps),
		T(an_owned_cpu_does_nothing_else),
		T(a_sleeping_cpu_takes_what_it_is_given),
		T(cpu_0_shares_itself),
		T(cpu_0_shares_itself_in_a_command),
		T(a_slow_line_lets_cpu_0_sleep),
		T(waiting_ends),
		T(the_host_ends_after_its_vms),
		T(a_vm_that_does_not_stop_is_told),
		T(what_the_host_says),
		T(the_watchdog_looks_at_upcalls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
