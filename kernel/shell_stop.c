/*
 * The shell's commands that end things: stop, kill, poweroff, reboot. A guest
 * that is asked to power off takes its time; meanwhile the command steps with
 * the shell (shell_go_on), so the machine's other duties go on, a VM on CPU 0
 * among them, and Ctrl-C gives the prompt back.
 */
#include "kernel/shell_stop.h"

#include "kernel/control.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_format.h"

static struct vm *stopping;	  /* whom `stop` waits for */
static const char *(*then)(void); /* what follows when all VMs are off */
static const char *then_what;	  /* "power off" */

static u32 in_seconds(ns_t ns)
{
	return (u32)((ns + 999999999) / 1000000000);
}

static bool stop_step(bool interrupted)
{
	const char *name = vm_name(stopping), *note = vm_stop_note(stopping);
	ns_t left;

	if (vm_shutting_down(stopping, &left)) {
		if (interrupted)
			shell_printf("%s has %u s left to power off\n", name, in_seconds(left));
		return !interrupted;
	}
	shell_printf("%s stopped%s%s\n", name, note ? ": " : "", note ? note : "");
	return false;
}

void cmd_stop(int argc UNUSED, char **argv)
{
	const char *why = NULL;
	char text[128];
	ns_t left;

	stopping = shell_find_vm(argv[1]);
	if (!stopping)
		return;
	if (vm_shutdown(stopping, &why) != OK) {
		shell_printf("cannot stop %s: %s\n", argv[1], why ? why : "unknown reason");
		return;
	}
	if (vm_shutting_down(stopping, &left) && left) {
		str_format(text, sizeof(text),
			   "%s is asked to power off and has %u s; Ctrl-C: do not wait", argv[1],
			   in_seconds(left));
		shell_wrap(text, 0, 0);
	}
	shell_go_on(stop_step);
}

void cmd_kill(int argc UNUSED, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	const char *why = NULL;

	if (!vm)
		return;
	if (vm_stop(vm, &why) == OK)
		shell_printf("%s killed\n", argv[1]);
	else
		shell_printf("cannot kill %s: %s\n", argv[1], why ? why : "unknown reason");
}

/* --------------------------------------------------------- the machine */

/* Are all VMs off? If not: how many are asked to power off, how long the slowest may take. */
static bool all_off(u32 *asked, ns_t *longest)
{
	bool off = true;
	ns_t left;

	*asked = 0;
	*longest = 0;
	for (u32 i = 0; i < vm_count(); i++) {
		off &= !vm_shutting_down(vm_at(i), &left);
		*asked += left != 0;
		*longest = MAX(*longest, left);
	}
	return off;
}

static bool end_step(bool interrupted)
{
	ns_t left;
	u32 n;

	if (interrupted) {
		shell_printf("no %s; the VMs go on powering off\n", then_what);
		return false;
	}
	if (!all_off(&n, &left))
		return true;
	shell_printf("cannot %s: %s\n", then_what, then());
	return false;
}

static void end_machine(const char *doing, const char *what, const char *(*fn)(void))
{
	ns_t left;
	u32 n;

	then = fn;
	then_what = what;
	host_shutdown();
	if (!all_off(&n, &left) && n)
		shell_printf("%u VM%s asked to power off, at most %u s; Ctrl-C: no %s\n", n,
			     n == 1 ? " is" : "s are", in_seconds(left), what);
	shell_printf("%s\n", doing);
	shell_go_on(end_step);
}

void cmd_poweroff(int argc UNUSED, char **argv UNUSED)
{
	end_machine("powering off", "power off", host_poweroff);
}

void cmd_reboot(int argc UNUSED, char **argv UNUSED)
{
	end_machine("rebooting", "reboot", host_reboot);
}
