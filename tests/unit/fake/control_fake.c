/*
 * kernel/control.h for the shell's unit tests (control_fake.h).
 */
#include "control_fake.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct vm fake_vms[20];
u32 fake_vm_count;
struct host_mem fake_mem;
struct cpu_info fake_cpus[8];
u32 fake_cpu_count;
struct file_info fake_files[8];
u32 fake_file_count;
const char *fake_crash;
char fake_calls[256];
void (*fake_during)(void);
u32 fake_polls;

static void called(const char *what, const char *whom)
{
	size_t n = strlen(fake_calls);

	snprintf(fake_calls + n, sizeof(fake_calls) - n, "%s%s%s;", what, *whom ? " " : "", whom);
	if (fake_during)
		fake_during();
}

u32 vm_count(void)
{
	return fake_vm_count;
}

struct vm *vm_at(u32 i)
{
	return &fake_vms[i];
}

const char *vm_name(const struct vm *vm)
{
	return vm->info.name;
}

void vm_describe(const struct vm *vm, struct vm_info *out)
{
	*out = vm->info;
}

static enum err act(struct vm *vm, const char *what, const char **why)
{
	called(what, vm->info.name);
	if (!vm->refuse)
		return OK;
	*why = vm->refuse;
	return ERR_PERM;
}

enum err vm_start(struct vm *vm, const char **why)
{
	return act(vm, "start", why);
}

enum err vm_stop(struct vm *vm, const char **why)
{
	return act(vm, "kill", why);
}

enum err vm_shutdown(struct vm *vm, const char **why)
{
	return act(vm, "stop", why);
}

bool vm_shutting_down(const struct vm *vm, ns_t *left)
{
	u32 *polls = &((struct vm *)vm)->stop_polls;

	*left = vm->unasked ? 0 : *polls * 1000000000ull;
	if (!*polls)
		return false;
	--*polls;
	return true;
}

const char *vm_stop_note(const struct vm *vm)
{
	return vm->note;
}

void host_shutdown(void)
{
	called("shutdown", "");
}

enum err vm_reset(struct vm *vm, const char **why)
{
	return act(vm, "reset", why);
}

enum err vm_pause(struct vm *vm, const char **why)
{
	return act(vm, "pause", why);
}

enum err vm_resume(struct vm *vm, const char **why)
{
	return act(vm, "resume", why);
}

enum err vm_nmi(struct vm *vm, const char **why)
{
	return act(vm, "nmi", why);
}

enum err vm_dump(struct vm *vm, u32 i, struct vcpu_dump *out, const char **why)
{
	assert(i == 0);
	*out = vm->dump;
	return act(vm, "dump", why);
}

enum err vm_trace(struct vm *vm, bool on, const char **why)
{
	vm->traced = true;
	vm->tracing = on;
	return act(vm, on ? "trace" : "untrace", why);
}

bool vm_trace_info(const struct vm *vm, u32 i, struct trace_info *out)
{
	*out = (struct trace_info){ vm->tracing, vm->exit_count };
	return i == 0 && vm->traced;
}

u32 vm_trace_read(const struct vm *vm, u32 i, u64 *pos, struct trace_entry *out, u32 max)
{
	assert(i == 0 && max == 1);
	if (*pos == vm->exit_count)
		return 0;
	*out = vm->exits[(*pos)++];
	return 1;
}

ns_t time_delta(u64 ticks)
{
	return ticks; /* of 1 GHz */
}

const char *hv_reason_name(u32 reason)
{
	return reason == 3 ? "CPUID" : "PIO";
}

u32 host_cpu_count(void)
{
	return fake_cpu_count;
}

void host_cpu(u32 i, struct cpu_info *out)
{
	*out = fake_cpus[i];
}

u32 host_file_count(void)
{
	return fake_file_count;
}

void host_file(u32 i, struct file_info *out)
{
	*out = fake_files[i];
}

const char *vm_complaint(const struct vm *vm, u32 n, u32 *line)
{
	*line = vm->complaint_line + n;
	return n < 2 ? vm->complaints[n] : NULL;
}

const struct vm_config *vm_plan(const struct vm *vm)
{
	return &vm->config;
}

u32 vm_vcpu_count(const struct vm *vm)
{
	return vm->vcpu.state ? 1 : 0;
}

void vm_vcpu(const struct vm *vm, u32 i, struct vcpu_info *out)
{
	(void)i;
	*out = vm->vcpu;
}

ns_t vm_busy(const struct vm *vm)
{
	return vm->busy;
}

ns_t vm_guest_time(const struct vm *vm)
{
	return vm->guest;
}

u64 host_tsc_hz(void)
{
	return 2400123456;
}

u32 vm_stat_rows(const struct vm *vm, struct stat_row *rows, u32 max)
{
	u32 n = MIN(vm->row_count, max);

	memcpy(rows, vm->rows, n * sizeof(*rows));
	return n;
}

void vm_times(const struct vm *vm, ns_t *guest, ns_t *kernel, ns_t *monitor)
{
	*guest = vm->guest;
	*kernel = vm->kernel;
	*monitor = vm->monitor;
}

const char *vm_crash_text(const struct vm *vm, u32 *len)
{
	*len = vm->crash ? (u32)strlen(vm->crash) : 0;
	return vm->crash;
}

const char *host_crash_text(u32 *len)
{
	*len = fake_crash ? (u32)strlen(fake_crash) : 0;
	return fake_crash;
}

void host_memory(struct host_mem *out)
{
	*out = fake_mem;
}

ns_t fake_uptime = 3723000000000ull, fake_wake_at;

ns_t host_uptime(void)
{
	return fake_uptime;
}

void host_wake_at(ns_t at)
{
	fake_wake_at = at;
}

const char *host_platform(void)
{
	return "Fake CPU, 4 CPUs";
}

void host_poll(void)
{
	fake_polls++;
}

const char *host_poweroff(void)
{
	called("poweroff", "");
	return "this is a test";
}

const char *host_reboot(void)
{
	called("reboot", "");
	return "this is a test";
}
