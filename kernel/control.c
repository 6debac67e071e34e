/*
 * Administration over the VMs: what kernel/control.h promises, on CPU 0.
 * Start and stop begin a job and then step everybody's jobs until theirs is
 * done, so that nothing stands still meanwhile.
 */
#include "kernel/control.h"

#include "arch/log.h"
#include "arch/x86.h"
#include "kernel/host.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/vm.h"

#define WAIT_NS 30000000000ull /* a job that takes longer goes on by itself */

static const struct host_facts *facts;

void host_init(const struct host_facts *f)
{
	facts = f;
}

const struct host_facts *host_facts(void)
{
	return facts;
}

u32 vm_count(void)
{
	return vms_count;
}

struct vm *vm_at(u32 i)
{
	return &vms[i];
}

const char *vm_name(const struct vm *vm)
{
	return vm->config->name;
}

/* Its health: why it ended last, and what the restart policy made of that. */
static void describe_reason(const struct vm *vm, struct vm_info *out)
{
	ns_t now = time_now();
	u32 size = sizeof(out->reason), n;

	out->restarts = vm->restarts.total;
	if (vm->state == VM_STARTING && vm->restart_at > now)
		out->restart_in = vm->restart_at - now;
	n = (u32)str_format(out->reason, size, "%s", vm->reason);
	if (out->restart_in && n < size)
		str_format(out->reason + n, size - n, "; restart %u in %lu s", out->restarts,
			   (out->restart_in + 999999999) / 1000000000);
	else if (vm->state == VM_RUNNING && vm->stop_by > now)
		str_format(out->reason, size, "asked to power off, %lu s left",
			   (vm->stop_by - now + 999999999) / 1000000000);
	else if (vm->state == VM_RUNNING && out->restarts)
		str_format(out->reason, size, "restarted %u time%s", out->restarts,
			   out->restarts == 1 ? "" : "s");
}

static u64 trace_pages(const struct vm *vm)
{
	u64 n = 0;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		n += vm->vcpus[i]->exit_log ? TRACE_PAGES : 0;
	return n;
}

void vm_describe(const struct vm *vm, struct vm_info *out)
{
	u64 kernel = pages_owned(vm->id, PAGE_KERNEL);

	*out = (struct vm_info){
		.name = vm->config->name,
		.state = vm_state_name(vm),
		.cpu_count = vm->config->cpu_count,
		.memory = vm->config->memory,
		.exits = vm_exits(vm),
		.port = (struct console_port *)&vm->port,
	};
	describe_reason(vm, out);
	for (u32 i = 0; i < vm->config->cpu_count; i++)
		out->cpus[i] = vm->config->cpus[i];
	if (vm->state == VM_RUNNING || vm->state == VM_STOPPING || vm->state == VM_PAUSING)
		out->uptime = time_now() - vm->started;
	else if (vm->state == VM_PAUSED)
		out->uptime = time_of_tsc(vm->parked_tsc) - vm->started;
	out->mem_guest = pages_owned(vm->id, PAGE_CHUNK);
	out->mem_monitor = pages_owned(vm->id, PAGE_USER);
	out->mem_scrollback = vm->scrollback ? CONSOLE_SCROLLBACK_SIZE : 0;
	out->mem_kernel = vm->vcpu_count * vcpu_footprint() + (vm->page ? PAGE_SIZE : 0) +
			  trace_pages(vm) * PAGE_SIZE +
			  (vm->space.extents ? (vm->space.extent_pages + 1) * PAGE_SIZE : 0);
	out->mem_tables = kernel - out->mem_scrollback - out->mem_kernel;
}

/* Step everything until vm's job is done; false: it takes too long. */
static bool wait_for(const struct vm *vm, enum vm_state a, enum vm_state b)
{
	ns_t end = time_now() + WAIT_NS;

	while (vm->state != a && vm->state != b) {
		if (time_now() > end)
			return false;
		host_turn();
	}
	return true;
}

static const char *cannot(const struct vm *vm, const char *wanted)
{
	static char text[128];

	if (!vm->valid)
		return "the configuration refused it, see log";
	if (vm->state == VM_KEPT)
		return "it has crashed and is kept: stop or reset it first";
	str_format(text, sizeof(text), "it is %s%s", vm->state == VM_OFF ? "not " : "",
		   vm->state == VM_OFF ? "running" : vm_state_name(vm));
	(void)wanted;
	return text;
}

/* A start is over: was there memory for it? */
static enum err had_memory(const struct vm *vm, const char **why)
{
	if (vm->state != VM_OFF || vm->end != VM_END_NO_MEMORY)
		return OK;
	*why = vm->reason;
	return ERR_NOMEM;
}

enum err vm_start(struct vm *vm, const char **why)
{
	enum err e = vm_begin_start(vm);

	if (e != OK) {
		*why = cannot(vm, "start");
		return e;
	}
	if (!wait_for(vm, VM_RUNNING, VM_OFF)) {
		*why = "it is still being started, see list";
		return ERR_TIMEOUT;
	}
	return had_memory(vm, why);
}

enum err vm_stop(struct vm *vm, const char **why)
{
	enum err e = vm_begin_stop(vm, VM_END_STOPPED);

	if (e != OK) {
		*why = cannot(vm, "stop");
		return e;
	}
	if (!wait_for(vm, VM_OFF, VM_OFF)) {
		*why = "it is still being stopped, see list";
		return ERR_TIMEOUT;
	}
	return OK;
}

enum err vm_shutdown(struct vm *vm, const char **why)
{
	enum err e = vm_begin_shutdown(vm);

	if (e != OK)
		*why = cannot(vm, "stop");
	return e;
}

bool vm_shutting_down(const struct vm *vm, ns_t *left)
{
	ns_t now = time_now();

	*left = vm->state == VM_RUNNING && vm->stop_by > now ? vm->stop_by - now : 0;
	return vm->state != VM_OFF;
}

const char *vm_stop_note(const struct vm *vm)
{
	if (vm->stop_note)
		return vm->stop_note;
	return vm->end == VM_END_STOPPED ? NULL : vm->reason;
}

void host_shutdown(void)
{
	for (u32 i = 0; i < vms_count; i++)
		if (vms[i].state != VM_OFF && vm_begin_shutdown(&vms[i]) != OK)
			log_warn("%s: it cannot be stopped", vm_name(&vms[i]));
}

enum err vm_reset(struct vm *vm, const char **why)
{
	enum err e = vm_begin_stop(vm, VM_END_RESET_ADMIN);

	if (e != OK) {
		*why = cannot(vm, "reset");
		return e;
	}
	/* first out of RUNNING, then into it again */
	if (!wait_for(vm, VM_STARTING, VM_OFF) || !wait_for(vm, VM_RUNNING, VM_OFF)) {
		*why = "it is still being reset, see list";
		return ERR_TIMEOUT;
	}
	return had_memory(vm, why);
}

enum err vm_pause(struct vm *vm, const char **why)
{
	ns_t end = time_now() + WAIT_NS;
	enum err e = vm_begin_pause(vm);

	if (e != OK) {
		*why = vm->state == VM_RUNNING ? "it is asked to power off" : cannot(vm, "pause");
		return e;
	}
	while (vm->state == VM_PAUSING) {
		if (time_now() > end) {
			*why = "its monitor is still busy, see list";
			return ERR_TIMEOUT;
		}
		host_turn();
	}
	if (vm->state == VM_PAUSED)
		return OK;
	*why = "it ended meanwhile, see list";
	return ERR_PERM;
}

enum err vm_resume(struct vm *vm, const char **why)
{
	enum err e = vm_unpause(vm);

	if (e != OK)
		*why = "it is not paused";
	return e;
}

enum err vm_nmi(struct vm *vm, const char **why)
{
	if (!vm_is_up(vm)) {
		*why = cannot(vm, "nmi");
		return ERR_PERM;
	}
	vcpu_request(vm->vcpus[0], VCPU_REQ_NMI);
	percpu_kick(vm->vcpus[0]->cpu);
	return OK;
}

u32 vm_stat_rows(const struct vm *vm, struct stat_row *rows, u32 max)
{
	u32 n = 0;

	for (u32 r = 0; r < HV_EXIT_COUNT && n < max; r++, n++) {
		rows[n].name = hv_reason_name(r);
		rows[n].count = vm->vcpu_count ? 0 : vm->last.exits[r];
		for (u32 i = 0; i < vm->vcpu_count; i++)
			rows[n].count += vm->vcpus[i]->stats.exits[r];
	}
	return n;
}

void vm_times(const struct vm *vm, ns_t *guest, ns_t *kernel, ns_t *monitor)
{
	struct vcpu_stats sum = { 0 };
	ns_t run;

	if (!vm->vcpu_count)
		sum = vm->last;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_stats_add(&sum, &vm->vcpus[i]->stats);
	run = time_delta(sum.run.ticks);
	*guest = time_delta(sum.guest.ticks);
	*monitor = time_delta(sum.monitor.ticks);
	/* not all read at the same moment */
	*kernel = run > *guest + *monitor ? run - *guest - *monitor : 0;
}

const char *vm_crash_text(const struct vm *vm, u32 *len)
{
	*len = vm->crash ? __atomic_load_n(&vm->crash->len, __ATOMIC_ACQUIRE) : 0;
	return *len ? vm->crash->text : NULL;
}

const char *host_crash_text(u32 *len)
{
	*len = facts->crash_len;
	return facts->crash;
}

void host_memory(struct host_mem *out)
{
	struct page_stats s = pages_stats();
	u64 vm_user = 0, vm_kernel = 0;

	for (u32 i = 0; i < vms_count; i++) {
		vm_user += pages_owned(vms[i].id, PAGE_USER);
		vm_kernel += pages_owned(vms[i].id, PAGE_KERNEL);
	}
	*out = (struct host_mem){
		.total = facts->total,
		.firmware = facts->firmware,
		.free = s.free,
		.dirty = s.dirty,
		.files = facts->files,
		.image = facts->image,
		.lost = s.lost,
	};
	/* split chunks are the hypervisor's but for the pages that VMs hold */
	out->structs = s.kernel + s.user - vm_user - vm_kernel;
}

ns_t host_uptime(void)
{
	return time_now();
}

const char *host_platform(void)
{
	return facts->platform;
}

static void woken(struct timer *t UNUSED)
{
	host_wake();
}

void host_wake_at(ns_t at)
{
	static struct timer timer = { .fn = woken };
	ns_t now = time_now();

	timer_set(&this_percpu()->timers, &timer,
		  rdtsc() + time_ticks(at > now ? at - now : 0) + 1);
}

void host_poll(void)
{
	host_turn();
}

static void stop_all(void)
{
	const char *why;

	for (u32 i = 0; i < vms_count; i++)
		if (vms[i].state != VM_OFF && vm_stop(&vms[i], &why) != OK)
			log_warn("%s: %s", vm_name(&vms[i]), why);
}

const char *host_poweroff(void)
{
	stop_all();
	log_info("power off");
	console_flush();
	facts->poweroff();
	return "this machine knows no way to power off: switch it off by hand";
}

const char *host_reboot(void)
{
	stop_all();
	log_info("reboot");
	console_flush();
	facts->reboot();
	return "this machine knows no way to reboot: use its reset button";
}
