/*
 * The life of VMs (kernel/vm.c, control.c, loop.c): start, stop, reset and
 * restart by policy, no memory at any point, and nothing ever lost.
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
// LIBS: -Wl,--wrap=kpage_alloc,--wrap=kpages_alloc,--wrap=chunk_alloc,--wrap=upage_alloc
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "kernel/budget.h"
#include "kernel/host.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

/* One allocation in the middle of a start fails: world.fail_at counts to it. */
static bool fails(void)
{
	return ++world.allocs == world.fail_at;
}

void *__real_kpage_alloc(u16 owner);
void *__wrap_kpage_alloc(u16 owner);
void *__wrap_kpage_alloc(u16 owner)
{
	return fails() ? NULL : __real_kpage_alloc(owner);
}

void *__real_kpages_alloc(u32 n, u16 owner);
void *__wrap_kpages_alloc(u32 n, u16 owner);
void *__wrap_kpages_alloc(u32 n, u16 owner)
{
	return fails() ? NULL : __real_kpages_alloc(n, owner);
}

enum err __real_chunk_alloc(u16 owner, hpa_t *out);
enum err __wrap_chunk_alloc(u16 owner, hpa_t *out);
enum err __wrap_chunk_alloc(u16 owner, hpa_t *out)
{
	return fails() ? ERR_NOMEM : __real_chunk_alloc(owner, out);
}

enum err __real_upage_alloc(u16 owner, hpa_t *out);
enum err __wrap_upage_alloc(u16 owner, hpa_t *out);
enum err __wrap_upage_alloc(u16 owner, hpa_t *out)
{
	return fails() ? ERR_NOMEM : __real_upage_alloc(owner, out);
}

/* The other CPU gets its turns while the shell waits. */
static void other_cpu(void)
{
	hw.tsc += 1000;
	if (hw.cpu)
		return;
	hw.cpu = 1;
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

static int setup_refused(void **state)
{
	(void)state;
	world_setup(24);
	strcpy(world.config.vm[1].kernel, "missing");
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

static bool holds_nothing(const struct vm *vm)
{
	return !pages_owned(vm->id, PAGE_CHUNK) && !pages_owned(vm->id, PAGE_USER) &&
	       pages_owned(vm->id, PAGE_KERNEL) == CONSOLE_SCROLLBACK_SIZE &&
	       !timer_is_set(&vm->wake);
}

/* ------------------------------------------------------- start and stop */

static void a_vm_starts_and_stops(void **state)
{
	struct vm *vm = &vms[0];
	const char *why;
	struct vm_info info;

	(void)state;
	assert_string_equal(vm_state_name(vm), "stopped");
	assert_string_equal(vm->reason, "not started");
	assert_int_equal(vm_start(vm, &why), OK);
	assert_string_equal(vm_state_name(vm), "running");
	assert_string_equal(vm->reason, "");
	assert_int_equal(pages_owned(vm->id, PAGE_CHUNK), vm->config->memory);
	hw.cpu = 1;
	percpu_sync();
	hw.cpu = 0;
	assert_ptr_equal(percpus[1].vcpu, vm->vcpus[0]);
	vm_describe(vm, &info);
	assert_int_equal(info.mem_guest, vm->config->memory);
	assert_in_range(info.mem_tables, 4 * PAGE_SIZE, 32 * PAGE_SIZE);
	assert_int_equal(info.mem_kernel, vcpu_footprint() + 3 * PAGE_SIZE);
	/* one-vCPU VMs stay below 512 KiB (issue 2) */
	assert_true(info.mem_kernel + info.mem_tables + info.mem_monitor + info.mem_scrollback <
		    KIB(512));
	assert_int_equal(vm_start(vm, &why), ERR_PERM);
	assert_string_equal(why, "it is running");
	assert_int_equal(vm_stop(vm, &why), OK);
	assert_string_equal(vm_state_name(vm), "stopped");
	assert_string_equal(vm->reason, "stopped by the administrator");
	assert_null(percpus[1].vcpu);
	assert_true(holds_nothing(vm));
	assert_int_equal(vm_stop(vm, &why), ERR_PERM);
	assert_string_equal(why, "it is not running");
	assert_int_equal(vm_reset(vm, &why), ERR_PERM);
}

static void the_vm_page(void **state)
{
	const struct abi_vm *p;

	(void)state;
	world.config.vm[0].debug_exit = true;
	strcpy(world.config.vm[0].cmdline, "quiet console=ttyS0");
	world_start(0);
	p = vms[0].page;
	assert_int_equal(p->version, ABI_VERSION);
	assert_int_equal(p->flags, ABI_VM_DEBUG_EXIT);
	assert_int_equal(p->vcpus, 1);
	assert_int_equal(p->ram_low, 3 * CHUNK_SIZE);
	assert_int_equal(p->ram_high, 0);
	assert_int_equal(p->phys_bits, 46);
	assert_int_equal(p->tsc_base + p->tsc_offset, 0);
	assert_in_range(p->wall_base, 1700000000, 1700000010);
	assert_string_equal(p->name, "alpha");
	assert_string_equal(p->cmdline, "quiet console=ttyS0");
	assert_int_equal(p->kernel.addr, ABI_FILE_BASE);
	assert_int_equal(p->kernel.size, 8192);
	assert_int_equal(p->module_count, 1);
	assert_true(p->modules[0].addr >= ABI_FILE_BASE + 8192);
	assert_string_equal(p->modules[0].path, "initrd");
}

static void ram_above_the_hole(void **state)
{
	struct vm *vm = &vms[0];
	hpa_t hpa;

	(void)state;
	/* as if 3 GiB were there already */
	assert_int_equal(vm_begin_start(vm), OK);
	host_step();
	assert_int_equal(vm->cursor, CHUNK_SIZE);
	world.config.vm[0].memory = ABI_RAM_LOW_MAX + 2 * CHUNK_SIZE;
	vm->cursor = ABI_RAM_LOW_MAX - CHUNK_SIZE;
	for (u32 i = 0; i < 3; i++)
		host_step();
	assert_int_equal(vm->cursor, world.config.vm[0].memory);
	assert_true(mmu_walk(&vm->space.nested, ABI_RAM_LOW_MAX - 1, &hpa, NULL, NULL));
	assert_false(mmu_walk(&vm->space.nested, ABI_RAM_LOW_MAX, &hpa, NULL, NULL));
	assert_true(mmu_walk(&vm->space.nested, ABI_RAM_HIGH_BASE, &hpa, NULL, NULL));
	assert_true(mmu_walk(&vm->space.nested, ABI_RAM_HIGH_BASE + CHUNK_SIZE, &hpa, NULL, NULL));
	assert_true(
		mmu_walk(&vm->space.user, ABI_GUEST_BASE + ABI_RAM_HIGH_BASE, &hpa, NULL, NULL));
}

static void twenty_times_and_nothing_lost(void **state)
{
	struct page_stats first = { 0 }, now;
	const char *why;

	(void)state;
	world.at_rest = true; /* beta runs while a command waits */
	for (u32 i = 0; i < 20; i++) {
		assert_int_equal(vm_start(&vms[0], &why), OK);
		assert_int_equal(vm_start(&vms[1], &why), OK);
		assert_int_equal(vm_stop(&vms[i & 1], &why), OK);
		assert_int_equal(vm_stop(&vms[!(i & 1)], &why), OK);
		while (pages_scrub_step())
			;
		now = pages_stats();
		if (i)
			assert_memory_equal(&now, &first, sizeof(now));
		first = now;
	}
}

static void no_memory_at_any_point(void **state)
{
	struct vm *vm = &vms[0];
	const char *why;
	u32 n;

	(void)state;
	for (n = 1; n < 1000; n++) {
		world.allocs = 0;
		world.fail_at = n;
		if (vm_start(vm, &why) == OK)
			break;
		assert_string_equal(why, "not enough memory, see mem");
		assert_int_equal(vm->state, VM_OFF);
		assert_int_equal(vm->end, VM_END_NO_MEMORY);
		assert_true(holds_nothing(vm));
		assert_null(vm->page);
		assert_int_equal(vm->vcpu_count, 0);
	}
	assert_in_range(n, 20, 999);
	assert_int_equal(vm->state, VM_RUNNING);
}

static void a_pool_that_is_too_small(void **state)
{
	const char *why;

	(void)state;
	world.at_rest = true; /* beta runs while a command waits */
	world.config.vm[0].memory = 100 * CHUNK_SIZE;
	assert_int_equal(vm_start(&vms[0], &why), ERR_NOMEM);
	assert_true(holds_nothing(&vms[0]));
	/* the other one is not hurt */
	assert_int_equal(vm_start(&vms[1], &why), OK);
}

static void stopped_while_starting(void **state)
{
	struct vm *vm = &vms[0];

	(void)state;
	for (u32 steps = 0; steps < 10; steps++) {
		assert_int_equal(vm_begin_start(vm), OK);
		for (u32 i = 0; i < steps; i++)
			host_step();
		assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
		world_until(0, VM_OFF);
		assert_int_equal(vm->end, VM_END_STOPPED);
		assert_true(holds_nothing(vm));
		assert_null(percpus[1].vcpu);
		assert_null(percpus[1].assigned);
	}
}

static void reset_at_any_point(void **state)
{
	struct vm *vm = &vms[0];

	(void)state;
	for (u32 steps = 0; steps < 10; steps++) {
		assert_int_equal(vm_begin_start(vm), OK);
		for (u32 i = 0; i < steps; i++)
			host_step();
		assert_int_equal(vm_begin_stop(vm, VM_END_RESET_ADMIN), OK);
		if (vm->state != VM_STARTING)
			world_until(0, VM_STARTING);
		world_until(0, VM_RUNNING);
		assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
		world_until(0, VM_OFF);
		assert_true(holds_nothing(vm));
	}
}

static void no_memory_to_reset(void **state)
{
	struct vm *vm = &vms[0];
	const char *why = NULL;

	(void)state;
	assert_int_equal(vm_start(vm, &why), OK);
	world.allocs = 0;
	world.fail_at = 5;
	assert_int_equal(vm_reset(vm, &why), ERR_NOMEM);
	assert_string_equal(why, vm_end_text(VM_END_NO_MEMORY));
	assert_int_equal(vm->state, VM_OFF);
	assert_true(holds_nothing(vm));
}

/* --------------------------------------------------- how it ends, and then */

/* The vCPU of VM i ends for that reason, on its own CPU. */
static void end_it(u32 i, enum vm_end end)
{
	struct vcpu *v = vms[i].vcpus[0];

	hw.cpu = v->cpu;
	vcpu_end(v, end, 3, "as the test %s", "says");
	assert_int_equal(vcpu_run(v), VCPU_LEAVE_ENDED);
	percpu_sync();
	hw.cpu = 0;
}

static void every_end_and_every_policy(void **state)
{
	static const struct {
		enum vm_end end;
		bool on_reboot, on_crash;
	} ends[] = {
		{ VM_END_POWEROFF, false, false },  { VM_END_DEBUG_EXIT, false, false },
		{ VM_END_BAD_IMAGE, false, false }, { VM_END_HALTED, false, false },
		{ VM_END_RESET, true, false },	    { VM_END_TRIPLE_FAULT, false, true },
		{ VM_END_BAD_STATE, false, true },  { VM_END_EMULATION, false, true },
		{ VM_END_MONITOR, false, true },
	};
	struct vm *vm = &vms[0];
	struct vm_config *c = &world.config.vm[0];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++)
		for (u32 policies = 0; policies < 4; policies++) {
			bool restarts;

			c->on_reboot = policies & 1 ? POLICY_RESTART : POLICY_STOP;
			c->on_crash = policies & 2 ? POLICY_RESTART : POLICY_STOP;
			restarts = (ends[i].on_reboot && policies & 1) ||
				   (ends[i].on_crash && policies & 2);
			world_forget();
			world_start(0);
			end_it(0, ends[i].end);
			world_until(0, restarts ? VM_STARTING : VM_OFF);
			assert_int_equal(vm->end, ends[i].end);
			assert_int_equal(vm->end_code, 3);
			assert_string_equal(vm->reason, "as the test says");
			assert_true(holds_nothing(vm));
			assert_string_equal(vm_state_name(vm), restarts && ends[i].on_crash
								       ? "waiting"
							       : restarts	  ? "starting"
							       : ends[i].on_crash ? "failed"
										  : "stopped");
			if (restarts) {
				world_until(0, VM_RUNNING);
				assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
				world_until(0, VM_OFF);
			}
		}
}

static void a_crashed_vm_waits_and_wakes(void **state)
{
	struct vm *vm = &vms[0];
	u64 crashed;

	(void)state;
	world.config.vm[0].on_crash = POLICY_RESTART;
	world_start(0);
	end_it(0, VM_END_TRIPLE_FAULT);
	world_until(0, VM_STARTING);
	crashed = hw.tsc;
	assert_false(host_step());	     /* nothing to do: CPU 0 may sleep... */
	assert_true(hw.armed[0] >= crashed); /* ...because something will wake it */
	assert_in_range(hw.armed[0], crashed + tsc_hz / 2, crashed + tsc_hz + tsc_hz / 2);
	percpus[0].work = false;
	hw.tsc = hw.armed[0];
	irq_window();
	assert_true(percpus[0].work);
	host_step();
	assert_true(vm->cursor > 0);
}

static void stop_and_reset_while_it_waits(void **state)
{
	struct vm *vm = &vms[0];
	const char *why;

	(void)state;
	world.config.vm[0].on_crash = POLICY_RESTART;
	for (u32 reset = 0; reset < 2; reset++) {
		world_forget();
		world_start(0);
		end_it(0, VM_END_TRIPLE_FAULT);
		world_until(0, VM_STARTING);
		host_step();
		if (!reset) {
			assert_int_equal(vm_stop(vm, &why), OK);
			assert_int_equal(vm->state, VM_OFF);
			assert_true(holds_nothing(vm));
			hw.tsc += 5 * tsc_hz;
			host_step();
			assert_int_equal(vm->state, VM_OFF);
		} else {
			u64 at = hw.tsc;

			assert_int_equal(vm_reset(vm, &why), OK);
			assert_int_equal(vm->state, VM_RUNNING);
			assert_true(hw.tsc - at < tsc_hz / 2);
			/* that began anew */
			assert_int_equal(vm->restarts.total, 0);
			assert_int_equal(vm->restarts.crashes, 0);
		}
	}
}

/* Crashes and restarts until it is given up; the waits are as they should be. */
static void a_vm_that_dies_at_once_is_given_up(void **state)
{
	struct vm *vm = &vms[0];
	struct vm_info info;
	const char *why;

	(void)state;
	world.config.vm[0].on_crash = POLICY_RESTART;
	for (u32 round = 0; round < 2; round++) {
		world_forget();
		world_start(0);
		for (u32 i = 0; i < RESTART_LIMIT; i++) {
			u64 crashed = hw.tsc;
			ns_t wait = MIN(RESTART_FIRST_NS << i, RESTART_MAX_NS);

			end_it(0, VM_END_TRIPLE_FAULT);
			world_until(0, VM_STARTING);
			vm_describe(vm, &info);
			assert_int_equal(info.restarts, i + 1);
			assert_in_range(info.restart_in, wait / 10 * 9, wait);
			assert_string_equal(info.state, "waiting");
			assert_non_null(strstr(info.reason, "as the test says; restart "));
			hw.tsc += time_ticks(wait / 2);
			host_step();
			assert_int_equal(vm->cursor, 0);
			hw.tsc += time_ticks(wait / 2);
			world_until(0, VM_RUNNING);
			assert_true(hw.tsc - crashed > time_ticks(wait));
			vm_describe(vm, &info);
			assert_true(strncmp(info.reason, "restarted ", 10) == 0);
			assert_int_equal(info.restart_in, 0);
		}
		end_it(0, VM_END_TRIPLE_FAULT);
		world_until(0, VM_OFF);
		assert_non_null(strstr(vm->reason, "; given up after 6 restarts"));
		assert_string_equal(vm_state_name(vm), "failed");
		assert_true(holds_nothing(vm));
		hw.tsc += 100 * tsc_hz;
		host_step();
		assert_int_equal(vm->state, VM_OFF);
	}
	/* the administrator's start begins anew, and so does a run that lasted */
	assert_int_equal(vm_start(vm, &why), OK);
	assert_int_equal(vm->restarts.total, 0);
}

static void a_reset_loop_slows_down(void **state)
{
	struct vm *vm = &vms[0];

	(void)state;
	world.config.vm[0].on_reboot = POLICY_RESTART;
	world_start(0);
	for (u32 i = 0; i < 20; i++) {
		end_it(0, VM_END_RESET);
		world_until(0, VM_STARTING);
		assert_int_equal(vm->restart_at != 0, i != 0);
		if (i) {
			assert_true(vm->restart_at - time_now() <= RESTART_MAX_NS);
			hw.tsc += time_ticks(vm->restart_at - time_now()) + 1;
		}
		world_until(0, VM_RUNNING);
	}
	/* one that lasted */
	hw.tsc += time_ticks(RESTART_GOOD_NS);
	end_it(0, VM_END_RESET);
	world_until(0, VM_STARTING);
	assert_int_equal(vm->restart_at, 0);
}

static void a_crashed_vm_is_kept(void **state)
{
	struct vm *vm = &vms[0];
	const char *why;

	(void)state;
	world.config.vm[0].on_crash = POLICY_PAUSE;
	for (u32 reset = 0; reset < 2; reset++) {
		world_forget();
		world_start(0);
		end_it(0, VM_END_TRIPLE_FAULT);
		world_until(0, VM_KEPT);
		for (u32 i = 0; i < 10; i++)
			assert_false(host_step());
		assert_int_equal(vm->state, VM_KEPT);
		assert_string_equal(vm_state_name(vm), "crashed");
		assert_string_equal(vm->reason, "as the test says");
		assert_int_equal(vm->vcpu_count, 1);
		assert_null(percpus[1].vcpu);
		assert_int_equal(pages_owned(vm->id, PAGE_CHUNK), vm->config->memory);
		assert_true(vm_exits(vm) > 0);
		assert_int_equal(vm_start(vm, &why), ERR_PERM);
		assert_non_null(strstr(why, "stop or reset it"));
		vm->port.rx_ready(&vm->port); /* typed at it: nothing happens */
		if (reset) {
			assert_int_equal(vm_reset(vm, &why), OK);
			assert_int_equal(vm->state, VM_RUNNING);
			continue;
		}
		assert_int_equal(vm_stop(vm, &why), OK);
		assert_string_equal(vm_state_name(vm), "failed");
		assert_string_equal(vm->reason, "as the test says");
		assert_true(holds_nothing(vm));
	}
	/* a reset by the guest is no crash */
	world.config.vm[0].on_reboot = POLICY_STOP;
	world.v = vm->vcpus[0];
	end_it(0, VM_END_RESET);
	world_until(0, VM_OFF);
}

/* A shutdown of VM 0 has begun; its monitor is told at its next upcall. */
static void press(u32 seconds)
{
	const char *why;
	ns_t left;

	world.config.vm[0].stop_timeout = seconds;
	world_forget();
	world_start(0);
	hw.cpu = 0;
	hw.kicks[1] = 0;
	assert_int_equal(vm_shutdown(&vms[0], &why), OK);
	assert_true(vm_shutting_down(&vms[0], &left));
	if (!seconds)
		return;
	assert_in_range(left, seconds * 1000000000ull - 1000000, seconds * 1000000000ull);
	assert_int_equal(vms[0].vcpus[0]->events, ABI_EV_POWER_BUTTON);
	assert_true(vms[0].vcpus[0]->requests & VCPU_REQ_UPCALL);
	assert_int_equal(hw.kicks[1], 1);
}

static void a_guest_that_powers_off(void **state)
{
	struct vm *vm = &vms[0];
	struct vm_info info;
	ns_t left;

	(void)state;
	press(10);
	for (u32 i = 0; i < 10; i++)
		host_step();
	vm_describe(vm, &info);
	assert_string_equal(info.state, "running");
	assert_string_equal(info.reason, "asked to power off, 10 s left");
	end_it(0, VM_END_POWEROFF);
	world_until(0, VM_OFF);
	assert_false(vm_shutting_down(vm, &left));
	assert_int_equal(left, 0);
	assert_string_equal(vm_stop_note(vm), "as the test says");
	assert_true(holds_nothing(vm));
	hw.tsc += 20 * tsc_hz;
	assert_false(host_step());
	assert_int_equal(vm->state, VM_OFF);
}

static void a_guest_that_does_not(void **state)
{
	struct vm *vm = &vms[0];
	const char *why;
	ns_t left;

	(void)state;
	press(7);
	assert_false(host_step()); /* CPU 0 may sleep; the timer wakes it */
	assert_in_range(hw.armed[0], hw.tsc + 6 * tsc_hz, hw.tsc + 8 * tsc_hz);
	/* again: the time does not begin anew */
	hw.tsc += 3 * tsc_hz;
	assert_int_equal(vm_shutdown(vm, &why), OK);
	assert_true(vm_shutting_down(vm, &left));
	assert_in_range(left, 3900000000ull, 4000000000ull);
	hw.tsc += 4 * tsc_hz;
	host_step();
	assert_int_equal(vm->state, VM_STOPPING);
	/* and once more: how it went is still told */
	assert_int_equal(vm_shutdown(vm, &why), OK);
	world_until(0, VM_OFF);
	assert_int_equal(vm->end, VM_END_STOPPED);
	assert_string_equal(vm_stop_note(vm), "it did not power off in time");
	assert_true(holds_nothing(vm));
}

static void a_guest_without_a_power_button(void **state)
{
	struct vm *vm = &vms[0];

	(void)state;
	press(10);
	world.v = vm->vcpus[0];
	world_call(ABI_SYS_STOP, ABI_STOP_UNHEARD, 0, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	hw.cpu = 1;
	assert_int_equal(vcpu_run(world.v), VCPU_LEAVE_ENDED);
	percpu_sync();
	hw.cpu = 0;
	world_until(0, VM_OFF);
	assert_int_equal(vm->end, VM_END_STOPPED);
	assert_string_equal(vm_state_name(vm), "stopped");
	assert_string_equal(vm_stop_note(vm), "it does not listen to the power button");
}

/* Whatever comes up while it is being stopped: it does not come back, and is not kept. */
static void no_policy_against_a_shutdown(void **state)
{
	static const enum vm_end ends[] = { VM_END_RESET, VM_END_TRIPLE_FAULT, VM_END_MONITOR };
	struct vm *vm = &vms[0];
	const char *why;

	(void)state;
	world.config.vm[0].on_reboot = POLICY_RESTART;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		world.config.vm[0].on_crash = i == 1 ? POLICY_RESTART : POLICY_PAUSE;
		press(10);
		end_it(0, ends[i]);
		world_until(0, VM_OFF);
		assert_int_equal(vm->end, ends[i]);
	}
	/* but the administrator's reset counts, and the next run is like any other */
	press(10);
	assert_int_equal(vm_reset(vm, &why), OK);
	assert_int_equal(vm->state, VM_RUNNING);
	hw.tsc += 20 * tsc_hz;
	host_step();
	assert_int_equal(vm->state, VM_RUNNING);
	world.v = vm->vcpus[0];
	end_it(0, VM_END_RESET);
	world_until(0, VM_STARTING);
	assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
	/* who does not run, or is given no time, is stopped at once */
	press(0);
	assert_int_equal(vm->state, VM_STOPPING);
	world_until(0, VM_OFF);
	assert_null(vm_stop_note(vm));
	assert_int_equal(vm_shutdown(vm, &why), ERR_PERM);
	assert_string_equal(why, "it is not running");
}

static void the_last_crash_is_kept(void **state)
{
	struct vm *vm = &vms[0];
	const char *text;
	u32 len, first;

	(void)state;
	assert_null(vm_crash_text(vm, &len));
	world_start(0);
	world_exit((struct hv_exit){ .reason = HV_EXIT_CPUID, .insn_len = 2 });
	world_run();
	end_it(0, VM_END_TRIPLE_FAULT);
	text = vm_crash_text(vm, &len);
	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	assert_memory_equal(text, "as the test says\nat ", 20);
	assert_non_null(strstr(text, "\nvCPU 0 on CPU 1: rip "));
	assert_non_null(strstr(text, "\nr12 "));
	assert_non_null(strstr(text, "  exit CPUID"));
	world_until(0, VM_OFF);
	assert_ptr_equal(vm_crash_text(vm, &len), text);
	/* a later run that ends well leaves it, one that crashes replaces it */
	first = len;
	world_forget();
	world_start(0);
	end_it(0, VM_END_POWEROFF);
	world_until(0, VM_OFF);
	vm_crash_text(vm, &len);
	assert_int_equal(len, first);
	world_forget();
	world_start(0);
	end_it(0, VM_END_MONITOR);
	assert_ptr_equal(vm_crash_text(vm, &len), text);
	assert_non_null(strstr(text, "\nmonitor, upcall "));
	assert_null(strstr(text, "exit CPUID"));
	world_until(0, VM_OFF);
	/* full, or not there at all */
	vm->crash->len = sizeof(vm->crash->text) - 1;
	world_forget();
	world_start(0);
	for (u32 i = 0; i < 5000; i++)
		vms[0].vcpus[0]->trace_next++;
	end_it(0, VM_END_BAD_STATE);
	vm_crash_text(vm, &len);
	assert_true(len < sizeof(vm->crash->text));
	assert_int_equal(strlen(text), len);
}

static void the_host_asks_all(void **state)
{
	struct vm_info info;
	const char *why;
	ns_t left;

	(void)state;
	world.config.vm[0].stop_timeout = 10;
	world.config.vm[1].stop_timeout = 10;
	assert_int_equal(vm_start(&vms[0], &why), OK);
	assert_int_equal(vm_begin_start(&vms[1]), OK);
	host_shutdown();
	assert_true(vm_shutting_down(&vms[0], &left));
	assert_true(left > 9000000000ull);
	world_until(1, VM_OFF); /* it had not even started */
	vm_describe(&vms[0], &info);
	assert_string_equal(info.state, "running");
	host_shutdown();
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	host_shutdown();
	assert_int_equal(vms[0].state, VM_OFF);
}

/* Told to stop when it has ended already and would come back: by each way to say so. */
static void it_does_not_come_back(void **state)
{
	static const struct {
		enum vm_end end;
		enum vm_state in;
	} on_its_way[] = {
		{ VM_END_RESET, VM_RELEASING },
		{ VM_END_TRIPLE_FAULT, VM_RELEASING },
		{ VM_END_RESET_ADMIN, VM_RELEASING },
		{ VM_END_RESET_ADMIN, VM_STOPPING },
	};
	struct vm *vm = &vms[0];
	const char *why = NULL;

	(void)state;
	world.config.vm[0].on_crash = world.config.vm[0].on_reboot = POLICY_RESTART;
	world.config.vm[0].stop_timeout = 10;
	for (u32 i = 0; i < ARRAY_SIZE(on_its_way) * 3; i++) {
		enum vm_end end = on_its_way[i / 3].end;

		world_forget();
		world_start(0);
		hw.cpu = 0;
		if (end == VM_END_RESET_ADMIN)
			assert_int_equal(vm_begin_stop(vm, end), OK);
		else
			end_it(0, end);
		world_until(0, on_its_way[i / 3].in);
		assert_int_equal(vm_reset(vm, &why), ERR_PERM);
		assert_string_equal(why, "it is stopping");
		if (i % 3 == 0)
			assert_int_equal(vm_stop(vm, &why), OK);
		else if (i % 3 == 1)
			assert_int_equal(vm_shutdown(vm, &why), OK);
		else
			host_shutdown();
		for (u32 n = 0; n < 100 && vm->state != VM_OFF && vm->state != VM_STARTING; n++)
			host_step();
		assert_int_equal(vm->state, VM_OFF);
		assert_int_equal(vm->end, end == VM_END_RESET_ADMIN ? VM_END_STOPPED : end);
		assert_true(holds_nothing(vm));
		hw.tsc += 5 * tsc_hz;
		host_step();
		assert_int_equal(vm->state, VM_OFF);
	}
	/* and the next run is like any other */
	world_forget();
	world_start(0);
	end_it(0, VM_END_RESET);
	world_until(0, VM_STARTING);
}

static void stop_beats_a_crash_at_the_same_time(void **state)
{
	struct vm *vm = &vms[0];

	(void)state;
	world.config.vm[0].on_crash = world.config.vm[0].on_reboot = POLICY_RESTART;
	world_start(0);
	vcpu_end(vm->vcpus[0], VM_END_TRIPLE_FAULT, 0, "triple fault");
	hw.cpu = 0;
	assert_int_equal(vm_begin_stop(vm, VM_END_STOPPED), OK);
	world_until(0, VM_OFF);
	assert_int_equal(vm->end, VM_END_STOPPED);
	hw.tsc += 5 * tsc_hz;
	host_step();
	assert_int_equal(vm->state, VM_OFF);
}

static void one_crash_leaves_the_other(void **state)
{
	(void)state;
	world_start(1);
	world_forget();
	world_start(0);
	end_it(0, VM_END_MONITOR);
	world_until(0, VM_OFF);
	assert_int_equal(vms[1].state, VM_RUNNING);
	assert_ptr_equal(percpus[0].vcpu, vms[1].vcpus[0]);
	world.v = vms[1].vcpus[0];
	world_forget();
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_int_equal(world.entry_count, 1);
	hw.cpu = 0;
}

static void stop_in_the_middle_of_an_upcall(void **state)
{
	struct vcpu *v;
	const char *why;

	(void)state;
	assert_int_equal(vm_start(&vms[0], &why), OK);
	hw.cpu = 1;
	percpu_sync();
	v = vms[0].vcpus[0];
	world_user(USER_IRQ, NULL);
	vcpu_request(v, VCPU_REQ_LEAVE);
	hw.kicked[1] = true;
	assert_true(v->upcall_active);
	hw.cpu = 0;
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	assert_true(holds_nothing(&vms[0]));
}

static void numbers_outlive_the_vcpu(void **state)
{
	struct stat_row rows[HV_EXIT_COUNT];
	ns_t guest, kernel, monitor;
	const char *why;

	(void)state;
	world_start(0);
	world_exit((struct hv_exit){ .reason = HV_EXIT_CPUID, .insn_len = 2 });
	world_run();
	hw.cpu = 0;
	assert_int_equal(vm_stat_rows(&vms[0], rows, HV_EXIT_COUNT), HV_EXIT_COUNT);
	assert_int_equal(rows[HV_EXIT_CPUID].count, 1);
	assert_string_equal(rows[HV_EXIT_CPUID].name, "CPUID");
	assert_int_equal(vm_stat_rows(&vms[0], rows, 3), 3);
	assert_int_equal(vm_exits(&vms[0]), 3); /* two INTR that ended the scripts */
	assert_int_equal(vm_stop(&vms[0], &why), OK);
	vm_stat_rows(&vms[0], rows, HV_EXIT_COUNT);
	assert_int_equal(rows[HV_EXIT_CPUID].count, 1);
	assert_int_equal(vm_exits(&vms[0]), 3);
	vm_times(&vms[0], &guest, &kernel, &monitor);
	assert_true(guest && kernel && monitor);
}

static void input_wakes_the_vcpu(void **state)
{
	struct vm *vm = &vms[0];
	u32 kicks;

	(void)state;
	vm->port.rx_ready(&vm->port); /* nobody there yet */
	world_start(0);
	hw.cpu = 0;
	kicks = hw.kicks[1];
	vm->port.rx_ready(&vm->port);
	assert_int_equal(vm->vcpus[0]->events, ABI_EV_CONSOLE);
	assert_true(vm->vcpus[0]->requests & VCPU_REQ_UPCALL);
	assert_int_equal(hw.kicks[1], kicks + 1);
}

static void a_refused_vm_stays_off(void **state)
{
	const char *why;

	(void)state;
	assert_string_equal(vm_state_name(&vms[1]), "invalid");
	assert_int_equal(vm_start(&vms[1], &why), ERR_INVAL);
	assert_non_null(strstr(why, "configuration"));
	assert_int_equal(vm_start(&vms[0], &why), OK);
}

static void poweroff_stops_all(void **state)
{
	static struct host_facts facts;
	const char *why;

	(void)state;
	world.at_rest = true;	    /* beta runs while a command waits */
	facts.poweroff = other_cpu; /* returns: this machine cannot */
	facts.reboot = other_cpu;
	host_init(&facts);
	assert_int_equal(vm_start(&vms[0], &why), OK);
	assert_int_equal(vm_begin_start(&vms[1]), OK);
	assert_non_null(host_poweroff());
	assert_int_equal(vms[0].state, VM_OFF);
	assert_int_equal(vms[1].state, VM_OFF);
	assert_non_null(host_reboot());
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_vm_starts_and_stops),
		T(the_vm_page),
		T(ram_above_the_hole),
		T(twenty_times_and_nothing_lost),
		T(no_memory_at_any_point),
		T(a_pool_that_is_too_small),
		T(stopped_while_starting),
		T(reset_at_any_point),
		T(no_memory_to_reset),
		T(every_end_and_every_policy),
		T(a_crashed_vm_waits_and_wakes),
		T(stop_and_reset_while_it_waits),
		T(a_vm_that_dies_at_once_is_given_up),
		T(a_reset_loop_slows_down),
		T(a_crashed_vm_is_kept),
		T(a_guest_that_powers_off),
		T(a_guest_that_does_not),
		T(a_guest_without_a_power_button),
		T(no_policy_against_a_shutdown),
		T(the_host_asks_all),
		T(the_last_crash_is_kept),
		T(it_does_not_come_back),
		T(stop_beats_a_crash_at_the_same_time),
		T(one_crash_leaves_the_other),
		T(stop_in_the_middle_of_an_upcall),
		T(numbers_outlive_the_vcpu),
		T(input_wakes_the_vcpu),
		cmocka_unit_test_setup_teardown(a_refused_vm_stays_off, setup_refused, teardown),
		T(poweroff_stops_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
