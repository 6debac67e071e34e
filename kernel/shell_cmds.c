/*
 * The shell's commands (docs/admin.md): each reads kernel/control.h and
 * prints. Tables fit 80 columns; numbers are plain, so that scripts can read
 * them. CPU 0 only.
 */
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_crash.h"
#include "kernel/shell_dump.h"
#include "kernel/shell_extra.h"
#include "kernel/shell_format.h"
#include "kernel/shell_info.h"
#include "kernel/shell_json.h"
#include "kernel/shell_stop.h"
#include "kernel/shell_top.h"
#include "kernel/string.h"
#include "kernel/version.h"

#define MAX_ROWS 96 /* exit reasons */

typedef unsigned long long ull;

/* -------------------------------------------------------------------- list */

static void cmd_list(int argc, char **argv)
{
	int json = shell_json_asked(argc, argv, 1, "list [--json]");
	char cpus[24], memory[16], uptime[16];
	u32 i, n, name = 4, reason;
	struct vm_info v;
	bool fits;

	if (json) {
		if (json > 0)
			shell_json_list();
		return;
	}
	for (i = 0; i < vm_count(); i++)
		name = MAX(name, (u32)strlen(vm_name(vm_at(i))));
	name = MIN(name, 14u);
	reason = SHELL_WIDTH - 1 - name - 45; /* the other columns and their gaps */
	shell_printf("%-*s %-8s %-*s %5s %7s %7s %12s\n", (int)name, "NAME", "STATE", (int)reason,
		     "REASON", "CPUS", "MEMORY", "UPTIME", "EXITS");
	for (i = 0; i < vm_count(); i++) {
		vm_describe(vm_at(i), &v);
		n = (u32)strlen(v.name);
		if (n > name)
			shell_printf("%s\n", v.name);
		fits = strlen(v.reason) <= reason;
		if (v.uptime)
			shell_show_time(v.uptime, uptime, sizeof(uptime));
		else
			str_format(uptime, sizeof(uptime), "-");
		shell_printf("%-*s %-8s %-*s %5s %7s %7s %12llu\n", (int)name,
			     n > name ? "" : v.name, v.state, (int)reason,
			     fits ? v.reason : "(see below)",
			     shell_show_cpus(&v, cpus, sizeof(cpus)),
			     shell_show_memory(v.memory, memory, sizeof(memory)), uptime,
			     (ull)v.exits);
		if (!fits)
			shell_wrap(v.reason, 4, 4);
	}
	if (vm_count() == 0)
		shell_printf("no VMs; bulkhead.toml names them\n");
}

/* ------------------------------------------------------- console, start, stop */

static void cmd_console(int argc UNUSED, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	struct vm_info v;
	char text[128];

	if (!vm)
		return;
	vm_describe(vm, &v);
	if (!v.port || !v.port->tx) {
		shell_printf("%s has no console: %s%s%s\n", v.name, v.state, *v.reason ? ", " : "",
			     v.reason);
		return;
	}
	str_format(text, sizeof(text), "[console of %s, %s; Ctrl-] leaves, twice sends one]",
		   v.name, v.state);
	shell_wrap(text, 0, 4);
	console_focus(v.port);
}

static void control(const char *name, const char *verb, const char *done,
		    enum err (*fn)(struct vm *vm, const char **why))
{
	struct vm *vm = shell_find_vm(name);
	const char *why = NULL;

	if (!vm)
		return;
	if (fn(vm, &why) == OK)
		shell_printf("%s %s\n", name, done);
	else
		shell_printf("cannot %s %s: %s\n", verb, name, why ? why : "unknown reason");
}

static void cmd_start(int argc UNUSED, char **argv)
{
	control(argv[1], "start", "started", vm_start);
}

static void cmd_reset(int argc UNUSED, char **argv)
{
	control(argv[1], "reset", "reset", vm_reset);
}

static void cmd_pause(int argc UNUSED, char **argv)
{
	control(argv[1], "pause", "paused", vm_pause);
}

static void cmd_resume(int argc UNUSED, char **argv)
{
	control(argv[1], "resume", "resumed", vm_resume);
}

static void cmd_nmi(int argc UNUSED, char **argv)
{
	control(argv[1], "send an NMI to", "got an NMI", vm_nmi);
}

/* ------------------------------------------------------------------- stats */

/* Largest first. */
static void sort_rows(struct stat_row *rows, u32 n)
{
	struct stat_row row;
	u32 i, k;

	for (i = 1; i < n; i++) {
		row = rows[i];
		for (k = i; k && rows[k - 1].count < row.count; k--)
			rows[k] = rows[k - 1];
		rows[k] = row;
	}
}

static void print_time(const char *what, ns_t ns, ns_t all)
{
	char share[16];

	shell_printf("  %-20s %10llu.%06llu s %7s\n", what, (ull)(ns / 1000000000),
		     (ull)(ns / 1000 % 1000000), shell_show_share(ns, all, share, sizeof(share)));
}

static void cmd_stats(int argc, char **argv)
{
	bool first = strcmp(argv[1], "--json") == 0; /* of all VMs, or before the name */
	int json = first ? 1 : shell_json_asked(argc, argv, 2, "stats VM [--json]");
	struct vm *vm;
	static struct stat_row rows[MAX_ROWS];
	ns_t guest = 0, kernel = 0, monitor = 0;
	char text[16];
	struct vm_info v;
	u32 i, n;
	u64 sum = 0;

	if (json < 0)
		return;
	if (first && argc == 2) {
		shell_json_all_stats();
		return;
	}
	vm = shell_find_vm(argv[first ? 2 : 1]);
	if (!vm)
		return;
	if (json) {
		shell_json_stats(vm);
		shell_printf("\n");
		return;
	}
	vm_describe(vm, &v);
	shell_printf("%s: %s%s%s%s, %llu exits\n", v.name, v.state, v.uptime ? ", up " : "",
		     v.uptime ? shell_show_time(v.uptime, text, sizeof(text)) : "",
		     v.uptime || !v.exits ? "" : " (last run)", (ull)v.exits);
	n = vm_stat_rows(vm, rows, MAX_ROWS);
	sort_rows(rows, n);
	for (i = 0; i < n; i++)
		sum += rows[i].count;
	shell_printf("exits by reason\n");
	for (i = 0; i < n && rows[i].count; i++)
		shell_printf("  %-20s %19llu %7s\n", rows[i].name, (ull)rows[i].count,
			     shell_show_share(rows[i].count, sum, text, sizeof(text)));
	if (sum == 0)
		shell_printf("  none\n");
	vm_times(vm, &guest, &kernel, &monitor);
	shell_printf("time in\n");
	print_time("guest", guest, guest + kernel + monitor);
	print_time("kernel", kernel, guest + kernel + monitor);
	print_time("monitor", monitor, guest + kernel + monitor);
}

/* --------------------------------------------------------------------- mem */

static void print_mem(const char *what, u64 bytes)
{
	shell_printf("%-34s %12llu\n", what, (ull)(bytes >> 10));
}

static void cmd_mem(int argc UNUSED, char **argv UNUSED)
{
	u64 own, per_vm = 0, guests = 0, vm_own;
	struct host_mem m;
	struct vm_info v;
	u32 i;

	host_memory(&m);
	own = m.image + m.structs;
	shell_printf("%-17s %10s %9s %9s %9s %9s  (KiB)\n", "VM", "GUEST-RAM", "MONITOR", "TABLES",
		     "KERNEL", "CONSOLE");
	for (i = 0; i < vm_count(); i++) {
		vm_describe(vm_at(i), &v);
		vm_own = v.mem_monitor + v.mem_tables + v.mem_kernel + v.mem_scrollback;
		guests += v.mem_guest;
		per_vm += vm_own;
		if (strlen(v.name) > 17)
			shell_printf("%s\n", v.name);
		shell_printf("%-17s %10llu %9llu %9llu %9llu %9llu\n",
			     strlen(v.name) > 17 ? "" : v.name, (ull)(v.mem_guest >> 10),
			     (ull)(v.mem_monitor >> 10), (ull)(v.mem_tables >> 10),
			     (ull)(v.mem_kernel >> 10), (ull)(v.mem_scrollback >> 10));
	}
	shell_printf("\n%-34s %12s\n", "MACHINE", "KiB");
	print_mem("RAM in all", m.total);
	print_mem("  kept by firmware", m.firmware);
	print_mem("  pool: free", m.free);
	print_mem("  pool: waits for scrubbing", m.dirty);
	print_mem("  too small to use", m.lost);
	print_mem("  guest images", m.files);
	print_mem("  guest RAM", guests);
	print_mem("  hypervisor", own + per_vm);
	print_mem("    kernel and monitor image", m.image);
	print_mem("    page tables, stacks, structures", m.structs);
	print_mem("    for its VMs", per_vm);
}

/* --------------------------------------------------------- log and the rest */

static void cmd_log(int argc UNUSED, char **argv UNUSED)
{
	u32 lines = LOG_RING_SIZE / 16, n; /* no more can be in it */
	char text[LOG_SHOWN_MAX];
	struct log_reader r;

	log_reader_oldest(&r);
	while (lines-- && (n = log_next(&r, text, sizeof(text))) != 0)
		shell_write(text, n);
	shell_log_shown(&r);
}

static void cmd_version(int argc UNUSED, char **argv UNUSED)
{
	char up[16];

	shell_printf("Bulkhead %s; %s; up %s\n", BULKHEAD_VERSION, host_platform(),
		     shell_show_time(host_uptime(), up, sizeof(up)));
}

static void cmd_help(int argc UNUSED, char **argv UNUSED)
{
	const struct shell_command *c;
	char what[64];
	u32 i;

	for (i = 0; i < shell_command_count; i++) {
		c = &shell_commands[i];
		str_format(what, sizeof(what), "%s %s", c->name, c->args);
		if (strlen(what) > 12)
			shell_printf("%s\n%-12s %s\n", what, "", c->help);
		else
			shell_printf("%-12s %s\n", what, c->help);
	}
}

const struct shell_command shell_commands[] = {
	{ "help", "", "this list", 0, 0, cmd_help },
	{ "list", "[--json]", "the VMs: state and why, CPUs, memory, uptime, exits", 0, 1,
	  cmd_list },
	{ "console", "VM", "a VM's console; Ctrl-] leaves it, Ctrl-] twice sends one", 1, 1,
	  cmd_console },
	{ "start", "VM", "start a VM", 1, 1, cmd_start },
	{ "stop", "VM", "ask a VM to power off; stop it if it does not", 1, 1, cmd_stop },
	{ "kill", "VM", "stop a VM at once, as by pulling its plug", 1, 1, cmd_kill },
	{ "reset", "VM", "stop a VM at once and start it again", 1, 1, cmd_reset },
	{ "pause", "VM", "take a VM off its CPU; its clocks stand still", 1, 1, cmd_pause },
	{ "resume", "VM", "let a paused VM go on", 1, 1, cmd_resume },
	{ "nmi", "VM", "send an NMI to a VM's first vCPU", 1, 1, cmd_nmi },
	{ "info", "VM", "all that is configured and known about a VM", 1, 1, cmd_info },
	{ "stats", "VM [--json]", "a VM's exits by reason, and where its time went", 1, 2,
	  cmd_stats },
	{ "top", "", "what VMs and CPUs do, every second until a key", 0, 0, cmd_top },
	{ "dump", "VM", "its vCPUs' registers, last exits, guest stack", 1, 1, cmd_dump },
	{ "trace", "VM on|off|show", "record its exits with their times; show them", 2, 2,
	  cmd_trace },
	{ "crash", "[VM]", "the record of a VM's last crash, or of the host's", 0, 1, cmd_crash },
	{ "mem", "", "who owns the memory", 0, 0, cmd_mem },
	{ "cpus", "", "the processors: whose they are, how busy", 0, 0, cmd_cpus },
	{ "files", "", "what was loaded at boot, and for whom", 0, 0, cmd_files },
	{ "log", "", "the host's log", 0, 0, cmd_log },
	{ "set", "log_level error|warn|info|debug", "what the log keeps from now on", 2, 2,
	  cmd_set },
	{ "history", "", "the lines that were typed", 0, 0, cmd_history },
	{ "version", "", "version, platform, uptime", 0, 0, cmd_version },
	{ "reboot", "", "stop all VMs, restart the machine", 0, 0, cmd_reboot },
	{ "poweroff", "", "stop all VMs, switch the machine off", 0, 0, cmd_poweroff },
	SHELL_EXTRA_COMMANDS
};

const u32 shell_command_count = ARRAY_SIZE(shell_commands);
