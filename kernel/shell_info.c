/*
 * The shell's commands that look closer (docs/admin.md): info, cpus, files,
 * and set and history. They read kernel/inspect.h and print. CPU 0 only.
 */
#include "kernel/shell_info.h"

#include "kernel/config.h"
#include "kernel/control.h"
#include "kernel/inspect.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_format.h"
#include "kernel/string.h"

typedef unsigned long long ull;

/* -------------------------------------------------------------------- info */

/* "  key  value", a long value in several lines of the same indent. */
static void item(const char *key, const char *fmt, ...) PRINTF(2, 3);
static void item(const char *key, const char *fmt, ...)
{
	char text[CONFIG_CMDLINE_SIZE + 64];
	const u32 room = SHELL_WIDTH - 1 - 15;
	const char *s = text;
	va_list ap;
	u32 n;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	do {
		n = MIN((u32)strlen(s), room);
		while (s[n] && n > room / 2 && s[n] != ' ')
			n--;
		if (s[n] && s[n] != ' ') /* no blank to break at */
			n = room;
		shell_printf("  %-12s %.*s\n", key, (int)n, s);
		s += n;
		s += *s == ' ';
		key = "";
	} while (*s);
}

static void item_file(const char *key, const char *path)
{
	struct file_info f;
	u32 i;

	for (i = 0; i < host_file_count(); i++) {
		host_file(i, &f);
		if (strcmp(f.path, path) != 0)
			continue;
		if (f.missing)
			item(key, "%s (missing: %s)", path, f.missing);
		else
			item(key, "%s (%llu bytes)", path, (ull)f.size);
		return;
	}
	item(key, "%s", *path ? path : "-");
}

static void info_plan(const struct vm *vm, const struct vm_info *v)
{
	const struct vm_config *c = vm_plan(vm);
	static const char *const policy[] = { "stop", "restart", "pause" };
	const char *complaint;
	char text[64];
	u32 i, line;

	shell_printf("configured%s, line %u of the file\n", c->valid ? "" : " (refused)", c->line);
	for (i = 0; (complaint = vm_complaint(vm, i, &line)) != NULL; i++)
		item("refused", "line %u: %s", line, complaint);
	item("cpus", "%s", shell_show_cpus(v, text, sizeof(text)));
	item("memory", "%s", shell_show_memory(c->memory, text, sizeof(text)));
	item_file("kernel", c->kernel);
	for (i = 0; i < c->initrd_count; i++)
		item_file("initrd", c->initrd[i]);
	item("cmdline", "%s", c->cmdline);
	item("autostart", "%s", c->autostart ? "yes" : "no");
	item("on_crash", "%s", policy[c->on_crash]);
	item("on_reboot", "%s", policy[c->on_reboot]);
	item("watchdog", "%s", c->watchdog ? "yes" : "no");
	item("on_watchdog", "%s",
	     c->watchdog_nmi			? "nmi"
	     : c->on_watchdog == POLICY_RESTART ? "reset"
						: policy[c->on_watchdog]);
	item("stop_timeout", "%u s", c->stop_timeout);
	item("debug_exit", "%s", c->debug_exit ? "yes" : "no");
}

static void item_time(const char *key, ns_t ns)
{
	item(key, "%llu.%06llu s", (ull)(ns / 1000000000), (ull)(ns / 1000 % 1000000));
}

static void info_found(const struct vm *vm, const struct vm_info *v)
{
	ns_t guest = 0, kernel = 0, monitor = 0;
	struct cpu_info cpu;
	struct vcpu_info c;
	char key[16];
	u32 i;

	shell_printf("found\n");
	for (i = 0; i < vm_vcpu_count(vm); i++) {
		vm_vcpu(vm, i, &c);
		host_cpu(c.cpu, &cpu);
		str_format(key, sizeof(key), "vCPU %u", i);
		item(key, "CPU %u (APIC id %u), %s, %llu exits, %llu upcalls", c.cpu, cpu.apic_id,
		     c.state, (ull)c.exits, (ull)c.upcalls);
	}
	if (i == 0)
		item("vCPUs", "none");
	if (v->restarts)
		item("restarts", "%u", v->restarts);
	item("TSC", "%llu.%03llu MHz", (ull)(host_tsc_hz() / 1000000),
	     (ull)(host_tsc_hz() / 1000 % 1000));
	item_time("guest time", vm_guest_time(vm));
	vm_times(vm, &guest, &kernel, &monitor);
	item_time("in guest", guest);
	item_time("in kernel", kernel);
	item_time("in monitor", monitor);
	item("memory", "%llu KiB: RAM %llu, monitor %llu, tables %llu, kernel %llu, console %llu",
	     (ull)((v->mem_guest + v->mem_monitor + v->mem_tables + v->mem_kernel +
		    v->mem_scrollback) >>
		   10),
	     (ull)(v->mem_guest >> 10), (ull)(v->mem_monitor >> 10), (ull)(v->mem_tables >> 10),
	     (ull)(v->mem_kernel >> 10), (ull)(v->mem_scrollback >> 10));
	if (v->port)
		item("console",
		     "%llu bytes written, %llu of them not shown yet, %llu dropped input",
		     (ull)v->port->written, (ull)(v->port->written - v->port->shown),
		     (ull)v->port->rx_dropped);
}

void cmd_info(int argc UNUSED, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	char line[192], text[16];
	struct vm_info v;

	if (!vm)
		return;
	vm_describe(vm, &v);
	str_format(line, sizeof(line), "%s: %s%s%s%s%s", v.name, v.state, *v.reason ? ", " : "",
		   v.reason, v.uptime ? ", up " : "",
		   v.uptime ? shell_show_time(v.uptime, text, sizeof(text)) : "");
	shell_wrap(line, 0, 2);
	info_plan(vm, &v);
	info_found(vm, &v);
}

/* -------------------------------------------------------------------- cpus */

/* The VMs that the configuration gives this CPU to: "alpha", or "-". */
static const char *owner_of(u32 cpu)
{
	struct vm_info v;
	u32 i, k;

	for (i = 0; i < vm_count(); i++) {
		vm_describe(vm_at(i), &v);
		for (k = 0; k < v.cpu_count; k++)
			if (v.cpus[k] == cpu && vm_plan(vm_at(i))->valid)
				return v.name;
	}
	return "-";
}

/* What is handed out on each CPU: timers, and address space identifiers. */
static void print_ids(void)
{
	struct cpu_info c;

	for (u32 i = 0; i < host_cpu_count(); i++) {
		host_cpu(i, &c);
		if (i == 0)
			shell_printf("\n%3s %7s  %8s %6s %11s\n", "CPU", "TIMERS",
				     c.ids.count ? c.ids.name : "-", "OF", "GENERATION");
		shell_printf("%3u %7u  %8u %6u %11llu\n", i, c.timers, c.ids.given, c.ids.count,
			     (ull)c.ids.generation);
	}
}

void cmd_cpus(int argc UNUSED, char **argv UNUSED)
{
	struct cpu_info c;
	char share[16];
	u32 i;

	shell_printf("%3s %7s  %-31s %-8s %7s\n", "CPU", "APIC-ID", "VM", "STATE", "USE");
	for (i = 0; i < host_cpu_count(); i++) {
		host_cpu(i, &c);
		shell_printf("%3u %7u  %-31s %-8s %7s%s\n", i, c.apic_id, owner_of(i), c.state,
			     shell_show_share(c.busy, c.up, share, sizeof(share)),
			     c.cpu0 ? "  and console" : "");
	}
	print_ids();
}

/* ------------------------------------------------------------------- files */

/* The names of the VMs that use a file, one after the other. */
static void print_users(const char *path)
{
	const struct vm_config *c;
	const char *sep = "";
	bool uses;
	u32 i, k;

	for (i = 0; i < vm_count(); i++) {
		c = vm_plan(vm_at(i));
		uses = strcmp(c->kernel, path) == 0;
		for (k = 0; k < c->initrd_count; k++)
			uses |= strcmp(c->initrd[k], path) == 0;
		if (!uses)
			continue;
		shell_printf("%s%s", sep, c->name);
		sep = ", ";
	}
	shell_printf("%s\n", *sep ? "" : "-");
}

void cmd_files(int argc UNUSED, char **argv UNUSED)
{
	struct file_info f;
	u32 i;

	if (host_file_count() == 0)
		shell_printf("no files; bulkhead.toml names them\n");
	for (i = 0; i < host_file_count(); i++) {
		host_file(i, &f);
		if (f.missing)
			shell_printf("%s\n    missing: %s; for ", f.path, f.missing);
		else
			shell_printf("%s\n    %llu bytes; for ", f.path, (ull)f.size);
		print_users(f.path);
	}
}

/* ------------------------------------------------------------ set, history */

void cmd_set(int argc UNUSED, char **argv)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	u32 i;

	if (strcmp(argv[1], "log_level") != 0) {
		shell_printf("nothing is called \"%s\"; there is: log_level\n", argv[1]);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(levels) && strcmp(levels[i], argv[2]) != 0; i++)
		;
	if (i == ARRAY_SIZE(levels)) {
		shell_printf("no level \"%s\"; levels: error, warn, info, debug\n", argv[2]);
		return;
	}
	shell_printf("log_level %s, was %s\n", levels[i], levels[log_get_level()]);
	log_set_level((enum log_level)i);
}

void cmd_history(int argc UNUSED, char **argv UNUSED)
{
	const char *s;
	u32 i;

	for (i = 0; (s = shell_history(i)) != NULL; i++)
		shell_printf("%3u  %s\n", i + 1, s);
}
