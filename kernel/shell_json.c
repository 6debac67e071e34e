/*
 * JSON (RFC 8259) for scripts (kernel/shell_json.h). Output is one value in
 * lines of its own; the log does not come in between.
 */
#include "kernel/shell_json.h"

#include "kernel/control.h"
#include "kernel/inspect.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/version.h"

#define MAX_ROWS 96 /* exit reasons */

typedef unsigned long long ull;

int shell_json_asked(int argc, char **argv, int at, const char *usage)
{
	if (argc <= at)
		return 0;
	if (strcmp(argv[at], "--json") == 0)
		return 1;
	shell_printf("\"%s\" is too much; usage: %s\n", argv[at], usage);
	return -1;
}

static void json_string(const char *s)
{
	shell_printf("\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			shell_printf("\\%c", *s);
		else if ((u8)*s < ' ' || *s == 0x7f)
			shell_printf("\\u%04x", (u8)*s);
		else
			shell_write(s, 1);
	}
	shell_printf("\"");
}

static void json_text(const char *key, const char *value)
{
	shell_printf("\"%s\":", key);
	json_string(value);
	shell_printf(",");
}

/* What `list` and `stats` have in common; goes on with a comma. */
static void json_vm(const struct vm_info *v)
{
	u32 i;

	json_text("name", v->name);
	json_text("state", v->state);
	json_text("reason", v->reason);
	shell_printf("\"cpus\":[");
	for (i = 0; i < v->cpu_count; i++)
		shell_printf("%s%u", i ? "," : "", v->cpus[i]);
	shell_printf("],\n\"memory_bytes\":%llu,\"uptime_ns\":%llu,\"exits\":%llu,\n",
		     (ull)v->memory, (ull)v->uptime, (ull)v->exits);
	shell_printf("\"restarts\":%u,\"restart_in_ns\":%llu,", v->restarts, (ull)v->restart_in);
}

void shell_json_list(void)
{
	struct vm_info v;
	u32 i;

	shell_printf("{");
	json_text("version", BULKHEAD_VERSION);
	shell_printf("\"uptime_ns\":%llu,\"vms\":[", (ull)host_uptime());
	for (i = 0; i < vm_count(); i++) {
		vm_describe(vm_at(i), &v);
		shell_printf("%s\n{", i ? "," : "");
		json_vm(&v);
		shell_printf("\"busy_ns\":%llu}", (ull)vm_busy(vm_at(i)));
	}
	shell_printf("]}\n");
}

void shell_json_stats(struct vm *vm)
{
	static struct stat_row rows[MAX_ROWS];
	ns_t guest = 0, kernel = 0, monitor = 0;
	struct vcpu_info c;
	struct vm_info v;
	u32 i, n;

	vm_describe(vm, &v);
	vm_times(vm, &guest, &kernel, &monitor);
	shell_printf("{");
	json_vm(&v);
	shell_printf(
		"\n\"busy_ns\":%llu,\"guest_ns\":%llu,\"kernel_ns\":%llu,\"monitor_ns\":%llu,\n"
		"\"exits_by_reason\":{",
		(ull)vm_busy(vm), (ull)guest, (ull)kernel, (ull)monitor);
	n = vm_stat_rows(vm, rows, MAX_ROWS);
	for (i = 0; i < n; i++)
		shell_printf("%s%s\"%s\":%llu", i ? "," : "", i % 4 ? "" : "\n", rows[i].name,
			     (ull)rows[i].count);
	shell_printf("},\n\"vcpus\":[");
	for (i = 0; i < vm_vcpu_count(vm); i++) {
		vm_vcpu(vm, i, &c);
		shell_printf("%s\n{\"cpu\":%u,", i ? "," : "", c.cpu);
		json_text("state", c.state);
		shell_printf("\"exits\":%llu,\"upcalls\":%llu}", (ull)c.exits, (ull)c.upcalls);
	}
	shell_printf("]}");
}

void shell_json_all_stats(void)
{
	shell_printf("[");
	for (u32 i = 0; i < vm_count(); i++) {
		shell_printf(i ? ",\n" : "");
		shell_json_stats(vm_at(i));
	}
	shell_printf("]\n");
}
