/*
 * kernel/control.h for the shell's unit tests (control_fake.h).
 */
#include "control_fake.h"

#include <stdio.h>
#include <string.h>

struct vm fake_vms[20];
u32 fake_vm_count;
struct host_mem fake_mem;
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

	*left = *polls * 1000000000ull;
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

ns_t host_uptime(void)
{
	return 3723000000000ull;
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
