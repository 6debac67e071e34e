// SOURCES: kernel/shell.c kernel/shell_cmds.c kernel/shell_stop.c kernel/shell_crash.c kernel/line.c kernel/console*.c kernel/log.c kernel/print.c tests/unit/fake/control_fake.c tests/unit/fake/wire_fake.c
#include "kernel/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control_fake.h"
#include "kernel/log.h"
#include "wire_fake.h"

static struct console_port port, alpha;
static char memory[CONSOLE_SHELL_SIZE], alpha_memory[4096];

/* What main's loop does, until nothing moves; then the wire's new text. */
static const char *settle(void)
{
	u32 i, from = wires_fake[0].out_len;

	for (i = 0; i < 5000; i++) {
		bool more = console_pump();

		if (!shell_poll() && !more)
			break;
	}
	assert_true(i < 5000);
	return wires_fake[0].out + from;
}

static void type(const char *s)
{
	wire_type(s, (u32)strlen(s));
}

/* A command's output, between its echo and the next prompt. */
static const char *command(const char *s)
{
	static char out[200000];
	const char *all;
	char echo[64];
	size_t n;

	type(s);
	type("\r");
	all = settle();
	snprintf(echo, sizeof(echo), "%s\r\n", s);
	assert_memory_equal(all, echo, strlen(echo));
	all += strlen(echo);
	n = strlen(all);
	assert_true(n >= strlen(SHELL_PROMPT));
	assert_string_equal(all + n - strlen(SHELL_PROMPT), "bulkhead> ");
	n -= strlen(SHELL_PROMPT);
	memcpy(out, all, n);
	out[n] = '\0';
	return out;
}

static void fits(const char *out)
{
	u32 col = 0;

	for (; *out; out++) {
		col = *out == '\n' || *out == '\r' ? 0 : col + 1;
		assert_true(col < 80);
	}
}

static void add_vm(const char *name, const char *state, const char *reason)
{
	struct vm *v = &fake_vms[fake_vm_count++];

	memset(v, 0, sizeof(*v));
	v->info.name = name;
	v->info.state = state;
	strcpy(v->info.reason, reason);
	v->info.cpus[0] = fake_vm_count;
	v->info.cpu_count = 1;
	v->info.memory = MIB(256);
}

static int fresh(void **state)
{
	(void)state;
	fake_vm_count = 0;
	fake_calls[0] = '\0';
	fake_during = NULL;
	add_vm("alpha", "running", "");
	add_vm("beta", "stopped", "powered off");
	fake_vms[0].info.uptime = 12345000000ull;
	fake_vms[0].info.exits = 1234567;
	console_port_init(&alpha, "alpha", alpha_memory, sizeof(alpha_memory));
	fake_vms[0].info.port = &alpha;
	wire_setup(&port, memory, sizeof(memory), 1);
	log_set_sink(NULL);
	shell_init(&port);
	shell_start();
	assert_string_equal(settle(),
			    "\r\nBulkhead's shell; \"help\" lists the commands.\r\nbulkhead> ");
	return 0;
}

static void wrong_input(void **state)
{
	char words[300] = "list";

	(void)state;
	assert_string_equal(command(""), "");
	assert_string_equal(command("   "), "");
	assert_string_equal(command("dir"),
			    "no command \"dir\"; commands: help, list, console, start, stop, kill, "
			    "reset, stats, crash, mem, log, version, reboot, poweroff\r\n");
	assert_string_equal(command("stop gamma"), "no VM \"gamma\"; VMs: alpha, beta\r\n");
	assert_string_equal(command("stop"), "stop needs a VM; VMs: alpha, beta\r\n");
	assert_string_equal(command("stop alpha beta"), "\"beta\" is too much; usage: stop VM\r\n");
	assert_string_equal(command("list all"), "\"all\" is too much; usage: list\r\n");
	assert_string_equal(
		command("Stop alpha"),
		"no command \"Stop\"; commands: help, list, console, start, stop, kill, "
		"reset, stats, crash, mem, log, version, reboot, poweroff\r\n");
	fake_vm_count = 0;
	assert_string_equal(command("start alpha"), "no VM \"alpha\"; there are no VMs\r\n");
	assert_string_equal(command("start"), "start needs a VM; there are no VMs\r\n");
	assert_string_equal(command("list 1 2 3 4 5 6 7 8 9 10 11"),
			    "\"1\" is too much; usage: list\r\n");
	memset(words + 4, ' ', 280);
	type(words);
	type("\r");
	assert_non_null(strstr(settle(),
			       "\r\nthat line is too long; at most 255 characters\r\nbulkhead> "));
	assert_string_equal(fake_calls, "");
}

static void control(void **state)
{
	(void)state;
	assert_string_equal(command("start beta"), "beta started\r\n");
	assert_string_equal(command("stop alpha"), "alpha stopped\r\n");
	assert_string_equal(command("kill alpha"), "alpha killed\r\n");
	assert_string_equal(command(" reset  alpha "), "alpha reset\r\n");
	fake_vms[0].refuse = "it is running already";
	assert_string_equal(command("start alpha"),
			    "cannot start alpha: it is running already\r\n");
	assert_string_equal(command("poweroff"),
			    "powering off\r\ncannot power off: this is a test\r\n");
	assert_string_equal(command("reboot"), "rebooting\r\ncannot reboot: this is a test\r\n");
	assert_string_equal(
		fake_calls,
		"start beta;stop alpha;kill alpha;reset alpha;start alpha;shutdown;poweroff;shutdown;reboot;");
}

static void list(void **state)
{
	const char *out;

	(void)state;
	out = command("list");
	assert_string_equal(
		out,
		"NAME  STATE    REASON                         CPUS  MEMORY  UPTIME        EXITS\r\n"
		"alpha running                                    1    256M   12.3s      1234567\r\n"
		"beta  stopped  powered off                       2    256M       -            0\r\n");
	add_vm("a-name-of-thirty-one-characters", "failed",
	       "monitor: page fault at 0x0000000000001234, reading, RIP 0x0000000000405678 in "
	       "device_write");
	fake_vms[2].info.memory = GIB(1023);
	fake_vms[2].info.uptime = 400ull * 86400 * 1000000000;
	fake_vms[2].info.exits = 999999999999ull;
	out = command("list");
	fits(out);
	assert_non_null(strstr(out, "\r\na-name-of-thirty-one-characters\r\n"));
	assert_non_null(strstr(out, "(see below)"));
	assert_non_null(strstr(out, " 1023G 400d00h 999999999999\r\n    monitor: page fault at "));
	assert_non_null(strstr(out, "device_write\r\n"));
	fake_vm_count = 0;
	assert_non_null(strstr(command("list"), "\r\nno VMs; bulkhead.toml names them\r\n"));
}

static void stats(void **state)
{
	struct vm *v = &fake_vms[0];

	(void)state;
	v->rows[0] = (struct stat_row){ "CPUID", 10 };
	v->rows[1] = (struct stat_row){ "HLT", 0 };
	v->rows[2] = (struct stat_row){ "PIO", 90 };
	v->row_count = 3;
	v->guest = 9000000000ull;
	v->kernel = 750000000;
	v->monitor = 250000000;
	assert_string_equal(command("stats alpha"),
			    "alpha: running, up 12.3s, 1234567 exits\r\n"
			    "exits by reason\r\n"
			    "  PIO                                   90   90.0%\r\n"
			    "  CPUID                                 10   10.0%\r\n"
			    "time in\r\n"
			    "  guest                         9.000000 s   90.0%\r\n"
			    "  kernel                        0.750000 s    7.5%\r\n"
			    "  monitor                       0.250000 s    2.5%\r\n");
	assert_non_null(strstr(command("stats beta"), "beta: stopped, 0 exits\r\n"
						      "exits by reason\r\n  none\r\n"));
	fake_vms[1].info.exits = 7;
	assert_non_null(strstr(command("stats beta"), "beta: stopped (last run), 7 exits\r\n"));
	v->rows[0].count = UINT64_MAX / 2;
	v->guest = UINT64_MAX / 4;
	fits(command("stats alpha"));
}

static void mem(void **state)
{
	const char *out;

	(void)state;
	fake_mem = (struct host_mem){ .total = MIB(2048),
				      .firmware = MIB(40),
				      .free = MIB(1500),
				      .dirty = MIB(2),
				      .files = MIB(30),
				      .lost = KIB(12),
				      .image = KIB(400),
				      .structs = KIB(680) };
	fake_vms[0].info.mem_guest = MIB(256);
	fake_vms[0].info.mem_monitor = KIB(100);
	fake_vms[0].info.mem_tables = KIB(28);
	fake_vms[0].info.mem_kernel = KIB(40);
	fake_vms[0].info.mem_scrollback = KIB(16);
	out = command("mem");
	fits(out);
	assert_non_null(
		strstr(out, "\r\nalpha                 262144       100        28        40        "
			    "16\r\n"));
	assert_non_null(strstr(out, "\r\nRAM in all                              2097152\r\n"));
	assert_non_null(strstr(out, "\r\n  hypervisor                               1264\r\n"));
	assert_non_null(strstr(out, "\r\n    for its VMs                             184\r\n"));
}

static void help_and_version(void **state)
{
	const char *out = command("help");
	u32 i;

	(void)state;
	fits(out);
	for (i = 0; i < shell_command_count; i++)
		assert_non_null(strstr(out, shell_commands[i].help));
	assert_non_null(strstr(command("version"), "; Fake CPU, 4 CPUs; up 1h02m\r\n"));
}

static void long_output(void **state)
{
	const char *out;
	u32 i;

	(void)state;
	log_set_sink(NULL);
	for (i = 0; i < 3000; i++)
		log_info("line %u of many", i);
	wires_fake[0].room = 0; /* a slow wire that comes back only now and then */
	type("log\r");
	for (i = 0; i < 40; i++) {
		wires_fake[0].room += 300;
		console_pump();
		shell_poll();
	}
	wires_fake[0].room = ~0u;
	out = wires_fake[0].out;
	settle();
	assert_null(strstr(out, "lost"));
	assert_non_null(strstr(out, "line 2999 of many\r\nbulkhead> "));
	assert_non_null(strstr(out, "line 2500 of many\r\n"));
}

/* Output beyond all rings waits for the wire, and not at all for a dead one. */
static void more_than_a_ring(void **state)
{
	char block[1000];
	u32 i, before;

	(void)state;
	memset(block, 'x', sizeof(block));
	before = wires_fake[0].out_len;
	for (i = 0; i < 200; i++)
		shell_write(block, sizeof(block));
	settle();
	assert_int_equal(wires_fake[0].out_len - before, 200000);
	wires_fake[0].room = 0;
	wire_step = CONSOLE_STALL_NS / 100;
	for (i = 0; i < 200; i++)
		shell_write(block, sizeof(block));
	assert_false(console_alive());
	wires_fake[0].room = ~0u;
	assert_non_null(strstr(settle(), " bytes lost]\r\n"));
}

static void log_lines_come_between(void **state)
{
	(void)state;
	log_set_clock(NULL);
	/* at the prompt: shown at once, and no second prompt */
	log_info("alpha: powered off");
	assert_string_equal(settle(), "\r\n[    0.000000] alpha: powered off\r\n");
	log_info("beta: started");
	assert_string_equal(settle(), "[    0.000000] beta: started\r\n");
	/* what was being typed comes again */
	type("ver");
	assert_string_equal(settle(), "ver");
	log_info("third");
	assert_string_equal(settle(), "\r\n[    0.000000] third\r\nver");
	type("sion\r");
	assert_non_null(strstr(settle(), "sion\r\nBulkhead "));
}

static void log_within(void)
{
	log_info("alpha: gone");
	assert_false(shell_poll()); /* host_poll may come back to us */
}

static void log_lines_of_a_command(void **state)
{
	(void)state;
	log_set_clock(NULL);
	fake_during = log_within;
	assert_string_equal(command("stop alpha"),
			    "alpha stopped\r\n[    0.000000] alpha: gone\r\n");
	/* `log` has shown what came before it */
	fake_during = NULL;
	log_info("once");
	type("log\r");
	console_pump();
	settle();
	assert_string_equal(command(""), "");
}

static void console(void **state)
{
	char buf[32];
	u32 n;

	(void)state;
	assert_non_null(
		strstr(command("console beta"), "beta has no console: stopped, powered off\r\n"));
	console_port_write(&alpha, "login: ", 7);
	type("console alpha\rroot\r");
	assert_string_equal(settle(),
			    "console alpha\r\n[console of alpha, running; Ctrl-] leaves, twice "
			    "sends one]\r\nlogin: ");
	n = console_port_read(&alpha, buf, sizeof(buf));
	assert_int_equal(n, 5);
	assert_memory_equal(buf, "root\r", 5);
	/* log lines wait until we are back; then comes one prompt */
	log_set_clock(NULL);
	log_info("alpha: powered off");
	assert_string_equal(settle(), "");
	type("\x1d");
	wire_step = CONSOLE_ESCAPE_NS / 4;
	assert_string_equal(settle(), "\r\n[    0.000000] alpha: powered off\r\nbulkhead> ");
	assert_string_equal(command("start alpha"), "alpha started\r\n");
	type("console alpha\r");
	assert_non_null(strstr(settle(), "]\r\nlogin: "));
	type("\x1dlist\r");
	assert_non_null(strstr(settle(), "bulkhead> list\r\nNAME "));
}

static void tab(void **state)
{
	(void)state;
	type("stop al\t\r");
	settle();
	type("con\tbe\t\x03");
	settle();
	assert_string_equal(fake_calls, "stop alpha;");
	type("x\t \t list al\t\x03");
	settle();
	type("list a\t\x03");
	assert_string_equal(settle(), "list a\a^C\r\nbulkhead> ");
}

static void pasted(void **state)
{
	const char *out;
	u32 i, n = 0;

	(void)state;
	for (i = 0; i < 300; i++)
		type("start beta\r");
	settle();
	out = wires_fake[0].out;
	while ((out = strstr(out, "beta started\r\n")) != NULL) {
		n++;
		out++;
	}
	assert_int_equal(n, 300);
}

static void crash_records(void **state)
{
	static char line[400];

	(void)state;
	fake_crash = NULL;
	assert_string_equal(command("crash"),
			    "host: no record of a panic in the run before this one\r\n"
			    "no VM has crashed\r\n");
	assert_string_equal(command("crash beta"), "beta has not crashed\r\n");
	fake_vms[0].crash = "triple fault\nrip 10\n";
	fake_vms[1].crash = "no end of the line";
	fake_crash = "\n*** PANIC on CPU 1: \033[2Jx\n";
	assert_string_equal(command("crash alpha"), "triple fault\r\nrip 10\r\n");
	assert_string_equal(command("crash beta"), "no end of the line\r\n");
	assert_string_equal(command("crash"), "the run before this one ended in a panic:\r\n"
					      "\r\n*** PANIC on CPU 1: ?[2Jx\r\n"
					      "VMs that have crashed: alpha, beta\r\n");
	memset(line, 'x', sizeof(line) - 1);
	fake_vms[0].crash = line;
	assert_int_equal(strlen(command("crash alpha")), sizeof(line) - 1 + 2);
	assert_non_null(strstr(command("crash gamma"), "no VM \"gamma\""));
}

/* What is shown of a command that goes on, up to where it waits. */
static const char *wait_shown(const char *s)
{
	u32 from = wires_fake[0].out_len;

	type(s);
	for (u32 i = 0; i < 100; i++) {
		console_pump();
		shell_poll();
	}
	return wires_fake[0].out + from;
}

static void a_guest_is_asked_to_stop(void **state)
{
	(void)state;
	fake_vms[0].stop_polls = 5;
	fake_vms[0].note = "powered off";
	assert_string_equal(wait_shown("stop alpha\r") + 12,
			    "alpha is asked to power off and has 5 s; Ctrl-C: do not wait\r\n"
			    "alpha stopped: powered off\r\nbulkhead> ");
	/* typed meanwhile: it waits for its turn */
	fake_vms[0].stop_polls = 30;
	assert_string_equal(wait_shown("stop alpha\rversion\r") + 12,
			    "alpha is asked to power off and has 30 s; Ctrl-C: do not wait\r\n"
			    "alpha stopped: powered off\r\n"
			    "bulkhead> version\r\n"
			    "Bulkhead unit; Fake CPU, 4 CPUs; up 1h02m\r\nbulkhead> ");
	/* log lines are shown while it waits, and Ctrl-C ends that */
	fake_vms[0].stop_polls = 1000;
	fake_calls[0] = '\0';
	assert_string_equal(wait_shown("stop alpha\r") + 12,
			    "alpha is asked to power off and has 1000 s; Ctrl-C: do not wait\r\n");
	log_info("beta: something else");
	assert_string_equal(wait_shown(""), "[    0.000000] beta: something else\r\n");
	fake_vms[0].stop_polls = 700;
	assert_string_equal(wait_shown("list\r\003"),
			    "alpha has 700 s left to power off\r\nbulkhead> ");
	assert_string_equal(fake_calls, "stop alpha;");
	assert_string_equal(wait_shown("stop beta\r") + 11, "beta stopped\r\nbulkhead> ");
	fake_vms[1].refuse = "it is not running";
	assert_string_equal(command("stop beta"), "cannot stop beta: it is not running\r\n");
	assert_string_equal(command("kill beta"), "cannot kill beta: it is not running\r\n");
}

static void the_guests_stop_before_the_machine(void **state)
{
	(void)state;
	fake_vms[0].stop_polls = 1000;
	fake_vms[1].stop_polls = 500;
	assert_string_equal(wait_shown("poweroff\r") + 10,
			    "2 VMs are asked to power off, at most 1000 s; Ctrl-C: no power off\r\n"
			    "powering off\r\n");
	assert_string_equal(fake_calls, "shutdown;");
	assert_string_equal(wait_shown("\003"),
			    "no power off; the VMs go on powering off\r\nbulkhead> ");
	assert_string_equal(fake_calls, "shutdown;");
	fake_vms[0].stop_polls = fake_vms[1].stop_polls = 20;
	assert_string_equal(wait_shown("reboot\r") + 8,
			    "2 VMs are asked to power off, at most 20 s; Ctrl-C: no reboot\r\n"
			    "rebooting\r\ncannot reboot: this is a test\r\nbulkhead> ");
	assert_string_equal(fake_calls, "shutdown;shutdown;reboot;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(wrong_input, fresh),
		cmocka_unit_test_setup(a_guest_is_asked_to_stop, fresh),
		cmocka_unit_test_setup(crash_records, fresh),
		cmocka_unit_test_setup(the_guests_stop_before_the_machine, fresh),
		cmocka_unit_test_setup(control, fresh),
		cmocka_unit_test_setup(list, fresh),
		cmocka_unit_test_setup(stats, fresh),
		cmocka_unit_test_setup(mem, fresh),
		cmocka_unit_test_setup(help_and_version, fresh),
		cmocka_unit_test_setup(long_output, fresh),
		cmocka_unit_test_setup(more_than_a_ring, fresh),
		cmocka_unit_test_setup(log_lines_come_between, fresh),
		cmocka_unit_test_setup(log_lines_of_a_command, fresh),
		cmocka_unit_test_setup(console, fresh),
		cmocka_unit_test_setup(tab, fresh),
		cmocka_unit_test_setup(pasted, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
