/*
 * The life of VMs: resumable jobs on CPU 0 that build a VM's spaces and vCPUs
 * chunk by chunk and take them down again (vm.h). Each step is bounded, so
 * the shell and the other VMs' jobs go on in between.
 */
#include "kernel/vm.h"

#include "arch/cpu.h"
#include "arch/fpu.h"
#include "arch/frames.h"
#include "arch/log.h"
#include "arch/x86.h"
#include "kernel/monitor.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/time.h"

struct vm vms[CONFIG_MAX_VMS];
u32 vms_count;
const struct config *vms_config;

const char *vm_state_name(const struct vm *vm)
{
	static const char *const names[] = {
#define X(name, text) text,
		VM_STATES(X)
#undef X
	};

	if (!vm->valid)
		return "invalid";
	if (vm->state == VM_OFF && vm_end_failed(vm->end))
		return "failed";
	if (vm->state == VM_STARTING && vm->restart_at)
		return "waiting";
	return names[vm->state];
}

static void host_cpuid(u32 leaf, u32 sub, u32 r[4])
{
	cpuid_count(leaf, sub, r);
}

/* An event for the monitor of a VM that runs. */
static void tell(struct vm *vm, u32 event)
{
	__atomic_fetch_or(&vm->vcpus[0]->events, event, __ATOMIC_RELAXED);
	vcpu_request(vm->vcpus[0], VCPU_REQ_UPCALL);
	percpu_kick(vm->vcpus[0]->cpu);
}

static void rx_ready(struct console_port *port)
{
	struct vm *vm = port->arg;

	if (vm_is_up(vm))
		tell(vm, ABI_EV_CONSOLE);
}

static bool find_files(struct vm *vm, vm_file_fn *find)
{
	const struct vm_config *c = vm->config;

	if (!find(c->kernel, &vm->kernel))
		return false;
	for (u32 i = 0; i < c->initrd_count; i++)
		if (!find(c->initrd[i], &vm->modules[i]))
			return false;
	vm->module_count = c->initrd_count;
	return true;
}

_Static_assert(CONFIG_MEMORY_MAX <= SPACE_RAM_MAX, "what is accepted can be had");

void vms_init(const struct config *c, vm_file_fn *find)
{
	vms_config = c;
	vms_count = c->vm_count;
	for (u32 i = 0; i < c->vm_count; i++) {
		struct vm *vm = &vms[i];

		vm->config = &c->vm[i];
		vm->id = (u16)(i + 1);
		vm->valid = vm->config->valid && find_files(vm, find);
		str_format(vm->reason, sizeof(vm->reason), "%s",
			   vm->valid ? vm_end_text(VM_END_NEVER_STARTED)
				     : "refused by the configuration");
		vm->crash = kpage_alloc(0); /* the host's: it outlives every run */
		vm->scrollback = kpages_alloc(CONSOLE_SCROLLBACK_SIZE / PAGE_SIZE, vm->id);
		if (!vm->scrollback) {
			vm->valid = false;
			str_format(vm->reason, sizeof(vm->reason), "no memory for its console");
			continue;
		}
		console_port_init(&vm->port, vm->config->name, vm->scrollback,
				  CONSOLE_SCROLLBACK_SIZE);
		vm->port.arg = vm;
		vm->port.rx_ready = rx_ready;
	}
}

/* ---------------------------------------------------------- starting */

static void fill_file(struct abi_file *out, const struct vm_file *f, u64 *va)
{
	out->addr = *va;
	out->size = f->size;
	str_format(out->path, sizeof(out->path), "%s", f->path);
	*va += ALIGN_UP(f->size, CHUNK_SIZE) + CHUNK_SIZE;
}

static void fill_vm_page(struct vm *vm)
{
	struct abi_vm *p = vm->page;
	const struct vm_config *c = vm->config;
	u64 va = ABI_FILE_BASE;

	p->version = ABI_VERSION;
	p->flags = (c->debug_exit ? ABI_VM_DEBUG_EXIT : 0) | (c->watchdog ? ABI_VM_WATCHDOG : 0) |
		   (c->watchdog_nmi ? ABI_VM_WATCHDOG_NMI : 0);
	p->vcpus = c->cpu_count;
	p->ram_low = MIN(c->memory, ABI_RAM_LOW_MAX);
	p->ram_high = c->memory - p->ram_low;
	p->phys_bits = MIN(cpu_phys_bits(), 46u);
	p->tsc_hz = tsc_hz;
	time_scale(tsc_hz, &p->ns_mul, &p->ns_shift);
	time_scale_pvclock(tsc_hz, &p->tsc_mul, &p->tsc_shift);
	str_format(p->name, sizeof(p->name), "%s", c->name);
	str_format(p->cmdline, sizeof(p->cmdline), "%s", c->cmdline);
	fill_file(&p->kernel, &vm->kernel, &va);
	p->module_count = vm->module_count;
	for (u32 i = 0; i < vm->module_count; i++)
		fill_file(&p->modules[i], &vm->modules[i], &va);
}

static enum err map_files(struct vm *vm)
{
	const struct abi_vm *p = vm->page;
	enum err e = OK;

	if (vm->kernel.size)
		e = space_map_user(&vm->space, p->kernel.addr, vm->kernel.base, vm->kernel.size,
				   MMU_R);
	for (u32 i = 0; i < vm->module_count && e == OK; i++)
		if (vm->modules[i].size)
			e = space_map_user(&vm->space, p->modules[i].addr, vm->modules[i].base,
					   vm->modules[i].size, MMU_R);
	return e;
}

/* Everything but guest RAM. */
static enum err build(struct vm *vm)
{
	struct cpuid_params params = {
		.host = host_cpuid,
		.vcpus = vm->config->cpu_count,
		.tsc_hz = tsc_hz,
		.invariant_tsc = cpu_has(CPU_INVARIANT_TSC),
		.pcid = true,
		.tsc_aux = cpu_has(CPU_RDTSCP),
		.xcr0_allowed = fpu_host_xcr0(),
	};
	enum err e;

	vm->page = kpage_alloc(vm->id);
	if (!vm->page)
		return ERR_NOMEM;
	fill_vm_page(vm);
	params.phys_bits = vm->page->phys_bits;
	cpuid_build(&vm->cpuid, &params);
	e = space_map_user(&vm->space, ABI_VM_PAGE, phys_of(vm->page), PAGE_SIZE, MMU_R);
	if (e == OK)
		e = monitor_map(&vm->space);
	if (e == OK)
		e = map_files(vm);
	return e;
}

/* Guest time starts now. */
static enum err create_vcpus(struct vm *vm)
{
	vm->tsc_start = rdtsc();
	vm->page->tsc_base = vm->tsc_start;
	vm->page->tsc_offset = 0 - vm->tsc_start;
	vm->page->wall_base = time_wall(vm->tsc_start, &vm->page->wall_nsec);
	vm->vcpu_count = 0;
	for (u32 i = 0; i < vm->config->cpu_count; i++) {
		enum err e = vcpu_create(vm, i, vm->config->cpus[i], &vm->vcpus[i]);

		if (e != OK)
			return e;
		vm->vcpu_count++;
	}
	return OK;
}

static void fail_start(struct vm *vm)
{
	vm->end = VM_END_NO_MEMORY;
	str_format(vm->reason, sizeof(vm->reason), "%s", vm_end_text(vm->end));
	log_error("%s: not started: %s", vm->config->name, vm->reason);
	vm->parked = vm->vcpu_count;
	vm->state = VM_RELEASING;
}

bool vm_may_log(struct vm *vm, u32 lines)
{
	return vm_log_take(&vm->log, time_now(), lines, vm->config->name);
}

void vm_hand_over(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		__atomic_store_n(&percpus[vm->vcpus[i]->cpu].assigned, vm->vcpus[i],
				 __ATOMIC_RELEASE);
		percpu_kick(vm->vcpus[i]->cpu);
	}
}

static void go(struct vm *vm)
{
	vm->state = VM_RUNNING;
	vm->started = time_now();
	vm->reason[0] = 0;
	console_port_flush_rx(&vm->port);
	if (vm_may_log(vm, 1))
		log_info("%s: started on CPU %u with %lu MiB", vm->config->name,
			 vm->config->cpus[0], vm->config->memory >> 20);
	vm_hand_over(vm);
}

static void time_has_come(struct timer *t)
{
	(void)t;
	host_wake();
}

/* This CPU may sleep until then. */
static void wake_at(struct vm *vm, ns_t at)
{
	vm->wake.fn = time_has_come;
	timer_set(&this_percpu()->timers, &vm->wake, rdtsc() + time_ticks(at - time_now()) + 1);
}

static bool start_step(struct vm *vm)
{
	u64 at = vm->cursor;

	if (vm->restart_at > time_now()) {
		wake_at(vm, vm->restart_at);
		return false;
	}
	vm->restart_at = 0;
	if (at == 0) {
		vm->stop_asked = vm->told_to_stop = vm->kept = false;
		vm->stop_by = 0;
		vm->parked = 0;
		vm->vcpu_count = 0;
		if (space_create(&vm->space, vm->id, vm->config->memory) != OK || build(vm) != OK) {
			fail_start(vm);
			return true;
		}
	}
	if (at < vm->config->memory) {
		gpa_t gpa = at < ABI_RAM_LOW_MAX ? at : ABI_RAM_HIGH_BASE + (at - ABI_RAM_LOW_MAX);

		if (space_add_ram(&vm->space, gpa) != OK) {
			fail_start(vm);
			return true;
		}
		vm->cursor += CHUNK_SIZE;
		return true;
	}
	if (create_vcpus(vm) != OK)
		fail_start(vm);
	else
		go(vm);
	return true;
}

/* ---------------------------------------------------------- stopping */

/* By the administrator. */
static void set_end(struct vm *vm, enum vm_end end)
{
	vm->end = end;
	str_format(vm->reason, sizeof(vm->reason), "%s", vm_end_text(end));
}

static void begin_release(struct vm *vm)
{
	if (vm->state == VM_STOPPING)
		set_end(vm, vm->admin_end); /* whatever else came up: no restart against it */
	vm->ran = time_now() - vm->started;
	vm->last = (struct vcpu_stats){ 0 };
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_stats_add(&vm->last, &vm->vcpus[i]->stats);
	vm->state = VM_RELEASING;
}

static bool release_step(struct vm *vm)
{
	while (vm->vcpu_count)
		vcpu_destroy(vm->vcpus[--vm->vcpu_count]);
	if (space_release_step(&vm->space))
		return true;
	if (vm->page)
		kpage_free(vm->page, vm->id);
	vm->page = NULL;
	vm->cursor = 0;
	timer_cancel(&this_percpu()->timers, &vm->wake); /* nobody waits for it any more */
	if (vm_may_log(vm, 1) || vm->stop_asked)
		log_info("%s: %s", vm->config->name, vm->reason);
	vm->state = vm_plan_restart(vm) ? VM_STARTING : VM_OFF;
	return true;
}

/* Every vCPU has left its CPU. */
static void all_parked(struct vm *vm)
{
	if (vm->state == VM_RUNNING && vm_what_next(vm) == POLICY_PAUSE) {
		vm->state = VM_KEPT;
		if (!vm->kept) /* not back from a dump */
			log_info("%s: %s: kept as it is; stop or reset it", vm->config->name,
				 vm->reason);
		vm->kept = true;
	} else {
		begin_release(vm);
	}
}

/* The guest was asked to power off, and has not. */
static void stop_by_force(struct vm *vm)
{
	log_warn("%s: it did not power off within %u s: stopped", vm->config->name,
		 vm->config->stop_timeout);
	if (vm_begin_stop(vm, VM_END_STOPPED) == OK)
		vm->stop_note = "it did not power off in time";
}

static bool step(struct vm *vm)
{
	switch (vm->state) {
	case VM_STARTING: return start_step(vm);
	case VM_PAUSING: return vm_pause_step(vm);
	case VM_RUNNING:
	case VM_STOPPING:
		if (__atomic_load_n(&vm->parked, __ATOMIC_ACQUIRE) == vm->vcpu_count)
			all_parked(vm);
		else if (vm->state == VM_RUNNING && vm->stop_by && time_now() >= vm->stop_by)
			stop_by_force(vm);
		else
			return false;
		return true;
	case VM_RELEASING: return release_step(vm);
	default: return false;
	}
}

bool vms_step(void)
{
	bool more = false;

	for (u32 i = 0; i < vms_count; i++)
		if (step(&vms[i])) {
			more = true;
			irq_window(); /* one may have scrubbed 2 MiB, and bytes come in */
		}
	return more;
}

enum err vm_begin_start(struct vm *vm)
{
	if (!vm->valid)
		return ERR_INVAL;
	if (vm->state != VM_OFF)
		return ERR_PERM;
	vm->cursor = 0;
	vm->restart_at = 0;
	vm->restarts = (struct restarts){ 0 };
	vm->log.used = 0; /* what people ask for is answered */
	vm->state = VM_STARTING;
	return OK;
}

/* It ends already: it shall not come back after that. */
static enum err stay_off(struct vm *vm, enum vm_end end)
{
	if (vm->state == VM_OFF || vm_end_policy(end) == VM_POLICY_ALWAYS)
		return ERR_PERM;
	vm->admin_end = end;
	if (vm->state == VM_RELEASING && vm_end_policy(vm->end) == VM_POLICY_ALWAYS)
		set_end(vm, end);
	__atomic_store_n(&vm->told_to_stop, true, __ATOMIC_RELEASE);
	return OK;
}

enum err vm_begin_stop(struct vm *vm, enum vm_end end)
{
	if (vm->state == VM_STARTING) {
		timer_cancel(&this_percpu()->timers, &vm->wake);
		if (!vm->cursor && vm_end_policy(end) == VM_POLICY_ALWAYS) {
			vm->restart_at = 0; /* nothing there yet: it just starts sooner */
			vm->restarts = (struct restarts){ 0 };
			return OK;
		}
		/* between two steps: what there is goes back */
		set_end(vm, end);
		vm->restart_at = 0;
		vm->state = vm->cursor ? VM_RELEASING : VM_OFF;
		return OK;
	}
	if (vm->state == VM_KEPT) {
		if (vm_end_policy(end) == VM_POLICY_ALWAYS)
			set_end(vm, end);
		begin_release(vm);
		return OK;
	}
	if (!vm_is_up(vm))
		return stay_off(vm, end);
	vm->state = VM_STOPPING;
	vm->stop_by = 0;
	vm->stop_note = NULL;
	vm->told_to_stop &= vm_end_policy(end) != VM_POLICY_ALWAYS;
	vm->admin_end = end;
	__atomic_store_n(&vm->stop_asked, true, __ATOMIC_RELEASE);
	vm_ask_all(vm, VCPU_REQ_LEAVE);
	return OK;
}

enum err vm_begin_shutdown(struct vm *vm)
{
	if (!vm->told_to_stop)
		vm->stop_note = NULL;
	if (!vm->config->stop_timeout || (vm->state != VM_RUNNING && vm_unpause(vm) != OK))
		return vm_begin_stop(vm, VM_END_STOPPED);
	if (!vm->stop_by) {
		vm->stop_by = time_now() + vm->config->stop_timeout * 1000000000ull;
		log_info("%s: power button pressed", vm->config->name);
	}
	__atomic_store_n(&vm->told_to_stop, true, __ATOMIC_RELEASE);
	wake_at(vm, vm->stop_by);
	tell(vm, ABI_EV_POWER_BUTTON);
	return OK;
}

u64 vm_exits(const struct vm *vm)
{
	u64 sum = 0;

	for (u32 r = 0; r < HV_EXIT_COUNT; r++) {
		sum += vm->vcpu_count ? 0 : vm->last.exits[r];
		for (u32 i = 0; i < vm->vcpu_count; i++)
			sum += vm->vcpus[i]->stats.exits[r];
	}
	return sum;
}
