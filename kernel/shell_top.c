/*
 * `top` (kernel/shell_top.h): shares of the time since the last picture. Plain
 * ANSI (home, erase to the end of line and screen) within 80 by 24; a picture
 * of few VMs is some 600 bytes, which a line of 9600 baud takes in a second.
 */
#include "kernel/shell_top.h"

#include "kernel/config.h"
#include "kernel/control.h"
#include "kernel/inspect.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_format.h"
#include "kernel/string.h"

#define EVERY_NS 1000000000ull
#define ROWS 22 /* of 24: one for the cursor, one for the prompt afterwards */
#define NAME 20 /* columns */
#define EOL "\033[K\n"

typedef unsigned long long ull;

/* As of the last picture. */
static struct {
	bool drawn;
	ns_t at;
	struct {
		ns_t busy, kernel, monitor, up;
		u64 exits;
	} vm[CONFIG_MAX_VMS];
	ns_t cpu_busy[CONTROL_MAX_CPUS], cpu_up[CONTROL_MAX_CPUS];
} last;

/* What has been added; a counter that began anew is all new. */
static u64 since(u64 now, u64 before)
{
	return now >= before ? now - before : now;
}

static const char *share(ns_t part, ns_t whole, char *buf)
{
	return shell_show_share(MIN(part, whole), whole, buf, 8);
}

static void draw_vm(u32 i)
{
	char use[8], guest[8], kernel[8], monitor[8], up[16];
	ns_t g = 0, k = 0, m = 0, busy, wall, all;
	struct vm *vm = vm_at(i);
	struct vm_info v;
	u64 exits;

	vm_describe(vm, &v);
	vm_times(vm, &g, &k, &m);
	all = vm_busy(vm);
	/* a paused or stopped VM's own time does not go on */
	wall = since(host_uptime(), last.at);
	if (!last.drawn && v.uptime)
		wall = v.uptime;
	busy = v.uptime ? since(all, last.vm[i].busy) : 0;
	exits = v.uptime ? since(v.exits, last.vm[i].exits) : 0;
	shell_printf(
		"%-*.*s %-8s %6s %6s %6s %6s %9llu %8s" EOL, NAME, NAME, v.name, v.state,
		share(busy, wall, use),
		share(busy - MIN(since(k, last.vm[i].kernel) + since(m, last.vm[i].monitor), busy),
		      wall, guest),
		share(v.uptime ? since(k, last.vm[i].kernel) : 0, wall, kernel),
		share(v.uptime ? since(m, last.vm[i].monitor) : 0, wall, monitor),
		wall / 1000000 ? (ull)(exits * 1000 / (wall / 1000000)) : 0,
		v.uptime ? shell_show_time(v.uptime, up, sizeof(up)) : "-");
	last.vm[i].busy = all;
	last.vm[i].kernel = k;
	last.vm[i].monitor = m;
	last.vm[i].exits = v.exits;
}

static void draw_cpu(u32 i, bool right)
{
	struct cpu_info c;
	char use[8];

	host_cpu(i, &c);
	/* of a CPU that slept all the time, by rounding, a little less than before */
	shell_printf("%s%3u %7s %-7s", right ? "    " : "", i,
		     share(c.busy - MIN(c.busy, last.cpu_busy[i]), since(c.up, last.cpu_up[i]),
			   use),
		     c.state);
	last.cpu_busy[i] = c.busy;
	last.cpu_up[i] = c.up;
}

static void draw(void)
{
	u32 vms = MIN(vm_count(), 12u), cpus = MIN(host_cpu_count(), (u32)CONTROL_MAX_CPUS);
	u32 room = (ROWS - 4 - vms) * 3, i;
	char up[16];

	shell_printf(last.drawn ? "\033[H" : "\033[H\033[2J");
	shell_printf("Bulkhead, up %s; any key ends" EOL,
		     shell_show_time(host_uptime(), up, sizeof(up)));
	shell_printf("%-*s %-8s %6s %6s %6s %6s %9s %8s" EOL, NAME, "NAME", "STATE", "USE", "GUEST",
		     "KERNEL", "MONIT.", "EXITS/S", "UPTIME");
	for (i = 0; i < vms; i++)
		draw_vm(i);
	if (vm_count() > vms)
		shell_printf("and %u more: see list" EOL, vm_count() - vms);
	shell_printf("CPU     USE" EOL);
	for (i = 0; i < MIN(cpus, room); i++) {
		draw_cpu(i, i % 3 != 0);
		if (i % 3 == 2 || i + 1 == MIN(cpus, room))
			shell_printf(EOL);
	}
	if (cpus > room)
		shell_printf("and %u more: see cpus" EOL, cpus - room);
	shell_printf("\033[J");
	last.at = host_uptime();
	last.drawn = true;
}

void cmd_top(int argc UNUSED, char **argv UNUSED)
{
	memset(&last, 0, sizeof(last));
	shell_watch(draw, EVERY_NS);
}
