// SOURCES: kernel/shell*.c kernel/line*.c kernel/console*.c kernel/log.c kernel/print.c tests/unit/fake/control_fake.c tests/unit/fake/wire_fake.c
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

#define LONGEST "a-name-of-thirty-one-characters"

static void fits(const char *out)
{
	u32 col = 0;

	for (; *out; out++) {
		if (*out == '\033') /* of CSI, a parameter or none, a letter */
			out = strpbrk(out, "HJKm");
		else
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
	v->info.memory = v->config.memory = MIB(256);
	strcpy(v->config.name, name);
	strcpy(v->config.kernel, "/bulkhead/vmlinuz");
	v->config.valid = true;
}

static int fresh(void **state)
{
	(void)state;
	fake_vm_count = fake_cpu_count = fake_file_count = 0;
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

#define COMMANDS \
	"help, list, console, start, stop, kill, reset, pause, resume, nmi, info, stats, top, dump, " \
	"trace, crash, mem, cpus, files, log, set, history, version, reboot, poweroff"

static void wrong_input(void **state)
{
	char words[300] = "list";

	(void)state;
	assert_string_equal(command(""), "");
	assert_string_equal(command("   "), "");
	assert_string_equal(command("dir"), "no command \"dir\"; commands: " COMMANDS "\r\n");
	assert_string_equal(command("stop gamma"), "no VM \"gamma\"; VMs: alpha, beta\r\n");
	assert_string_equal(command("stop"), "stop needs a VM; VMs: alpha, beta\r\n");
	assert_string_equal(command("stop alpha beta"), "\"beta\" is too much; usage: stop VM\r\n");
	assert_string_equal(command("list all"), "\"all\" is too much; usage: list [--json]\r\n");
	assert_string_equal(command("Stop alpha"),
			    "no command \"Stop\"; commands: " COMMANDS "\r\n");
	fake_vm_count = 0;
	assert_string_equal(command("start alpha"), "no VM \"alpha\"; there are no VMs\r\n");
	assert_string_equal(command("start"), "start needs a VM; there are no VMs\r\n");
	assert_string_equal(command("list 1 2 3 4 5 6 7 8 9 10 11"),
			    "\"2\" is too much; usage: list [--json]\r\n");
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
	assert_string_equal(command("pause alpha"), "alpha paused\r\n");
	assert_string_equal(command("resume alpha"), "alpha resumed\r\n");
	assert_string_equal(command("nmi alpha"), "alpha got an NMI\r\n");
	fake_vms[0].refuse = "it is running already";
	assert_string_equal(command("start alpha"),
			    "cannot start alpha: it is running already\r\n");
	assert_string_equal(command("poweroff"),
			    "powering off\r\ncannot power off: this is a test\r\n");
	assert_string_equal(command("reboot"), "rebooting\r\ncannot reboot: this is a test\r\n");
	assert_string_equal(
		fake_calls,
		"start beta;stop alpha;kill alpha;reset alpha;pause alpha;resume alpha;nmi alpha;"
		"start alpha;shutdown;poweroff;shutdown;reboot;");
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
	add_vm(LONGEST, "failed",
	       "monitor: page fault at 0x0000000000001234, reading, RIP 0x0000000000405678 in "
	       "device_write");
	fake_vms[2].info.memory = GIB(1023);
	fake_vms[2].info.uptime = 400ull * 86400 * 1000000000;
	fake_vms[2].info.exits = 999999999999ull;
	out = command("list");
	fits(out);
	assert_non_null(strstr(out, "\r\n" LONGEST "\r\n"));
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

static void json(void **state)
{
	struct vm *v = &fake_vms[0];
	const char *out;

	(void)state;
	v->busy = 5;
	strcpy(fake_vms[1].info.reason, "a \"b\\ \t");
	fake_vms[1].info.restarts = 4;
	fake_vms[1].info.restart_in = 6500000000ull;
	out = command("list --json");
	fits(out);
	assert_string_equal(
		out, "{\"version\":\"unit\",\"uptime_ns\":3723000000000,\"vms\":[\r\n"
		     "{\"name\":\"alpha\",\"state\":\"running\",\"reason\":\"\",\"cpus\":[1],\r\n"
		     "\"memory_bytes\":268435456,\"uptime_ns\":12345000000,\"exits\":1234567,\r\n"
		     "\"restarts\":0,\"restart_in_ns\":0,\"busy_ns\":5},\r\n"
		     "{\"name\":\"beta\",\"state\":\"stopped\",\"reason\":\"a \\\"b\\\\ \\u0009\","
		     "\"cpus\":[2],\r\n"
		     "\"memory_bytes\":268435456,\"uptime_ns\":0,\"exits\":0,\r\n"
		     "\"restarts\":4,\"restart_in_ns\":6500000000,\"busy_ns\":0}]}\r\n");
	v->rows[0] = (struct stat_row){ "CPUID", 10 };
	v->rows[1] = (struct stat_row){ "HLT", 0 };
	v->row_count = 2;
	v->kernel = 7;
	v->vcpu = (struct vcpu_info){ 1, "halted", 10, 3 };
	out = command("stats alpha --json");
	fits(out);
	assert_non_null(strstr(out, "\r\n\"busy_ns\":5,\"guest_ns\":0,\"kernel_ns\":7,"
				    "\"monitor_ns\":0,\r\n"
				    "\"exits_by_reason\":{\r\n\"CPUID\":10,\"HLT\":0},\r\n"
				    "\"vcpus\":[\r\n{\"cpu\":1,\"state\":\"halted\",\"exits\":10,"
				    "\"upcalls\":3}]}\r\n"));
	assert_string_equal(command("stats --json alpha"), out);
	out = command("stats --json"); /* an array of all */
	fits(out);
	assert_memory_equal(out, "[{\"name\":\"alpha\",", 17);
	assert_non_null(strstr(out, "\"upcalls\":3}]},\r\n{\"name\":\"beta\","));
	assert_string_equal(out + strlen(out) - 6, "[]}]\r\n");
	assert_string_equal(command("stats alpha all"),
			    "\"all\" is too much; usage: stats VM [--json]\r\n");
	assert_string_equal(command("stats gamma --json"), "no VM \"gamma\"; VMs: alpha, beta\r\n");
	fake_vm_count = 0;
	assert_non_null(strstr(command("list --json"), ",\"vms\":[]}\r\n"));
}

static void dump(void **state)
{
	struct vcpu_dump *d = &fake_vms[0].dump;
	const char *out;

	(void)state;
	d->cpu = 1;
	d->halted = true;
	d->rip = 0xffffffff81234567;
	for (u32 i = 0; i < HV_GPRS; i++)
		d->gpr[i] = 0x1000 + i;
	d->state.seg[HV_CS] = (struct hv_segment){ 0x10, 0xa9b, 0xffffffff, 0 };
	d->state.cr3 = 0xabc000;
	d->exit_count = 2;
	d->exits[0] = (struct exit_record){ 0x42, 3, 0 };
	d->exits[1] = (struct exit_record){ 0x44, 5, 0x3f8 };
	d->stack = 0xffffc90000001fe8;
	d->stack_len = 24;
	for (u32 i = 0; i < 24; i++)
		d->bytes[i] = (u8)i;
	out = command("dump alpha");
	fits(out);
	assert_memory_equal(out, "alpha: vCPU 0 on CPU 1, halted\r\n  rip ffffffff81234567  ", 56);
	assert_non_null(strstr(out, "\r\n  rax 0000000000001000  rcx 0000000000001001"
				    "  rdx 0000000000001002\r\n"));
	assert_non_null(strstr(out, "  r15 000000000000100f\r\n  cr0 "));
	assert_non_null(strstr(out, "cr3 0000000000abc000\r\n"));
	assert_non_null(
		strstr(out, "\r\n  cs 0010 base 0000000000000000 limit ffffffff attr a9b\r\n"));
	assert_non_null(strstr(out, "below\r\n  CPUID      rip 0000000000000042  0\r\n"
				    "  PIO        rip 0000000000000044  3f8\r\n"));
	assert_non_null(
		strstr(out, "\r\nstack\r\n  ffffc90000001fe8: 0706050403020100 0f0e0d0c0b0a0908\r\n"
			    "  ffffc90000001ff8: 1716151413121110\r\n"));
	d->stack_len = 0;
	assert_non_null(strstr(command("dump alpha"), "  ffffc90000001fe8: not in RAM\r\n"));
	fake_vms[1].refuse = "it is not running";
	assert_string_equal(command("dump beta"), "cannot dump beta: it is not running\r\n");
}

static void trace(void **state)
{
	struct vm *v = &fake_vms[0];
	const char *out;

	(void)state;
	v->vcpu = (struct vcpu_info){ 1, "runs", 0, 0 };
	assert_string_equal(command("trace alpha show"),
			    "alpha has no trace; trace alpha on begins one\r\n");
	assert_string_equal(command("trace alpha on"), "trace of alpha: on\r\n");
	v->exit_count = 2;
	v->exits[0] = (struct trace_entry){ 500, 0xffffffff81000000, 1, 3, 0 };
	v->exits[1] = (struct trace_entry){ 12345678900000, 2, 3, 5, 0x3f8 };
	assert_string_equal(
		command("trace alpha show"),
		"trace of alpha: vCPU 0, CPU 1, on, 2 exits, the last 2 follow\r\n"
		"     0.000000500 CPUID      ffffffff81000000 00000000 0000000000000001\r\n"
		" 12345.678900000 PIO        0000000000000002 000003f8 0000000000000003\r\n"
		"end of trace\r\n");
	assert_string_equal(command("trace"), "trace needs a VM; VMs: alpha, beta\r\n");
	assert_string_equal(command("trace alpha off"), "trace of alpha: off\r\n");
	assert_string_equal(command("trace alpha maybe"),
			    "trace what? on, off or show, not \"maybe\"\r\n");
	assert_string_equal(command("trace alpha"),
			    "trace needs more; usage: trace VM on|off|show\r\n");
	fake_vms[1].refuse = "it is not running";
	assert_string_equal(command("trace beta on"), "cannot trace beta: it is not running\r\n");
	assert_string_equal(fake_calls, "trace alpha;untrace alpha;trace beta;");
	add_vm(LONGEST, "running", "");
	out = command("trace " LONGEST " show");
	fits(out);
	assert_string_equal(out,
			    LONGEST " has no trace; trace\r\n    " LONGEST " on begins one\r\n");
	command("trace " LONGEST " on");
	fake_vms[2].vcpu = v->vcpu;
	fake_vms[2].exit_count = 2;
	out = command("trace " LONGEST " show");
	fits(out);
	out = strstr(out, "trace of");
	out = out ? strstr(out, " 2 exits, ") : NULL;
	assert_non_null(out);
	assert_memory_equal(strstr(out, "\r\n"), "\r\n    ", 6);
}

static void top(void **state)
{
	struct vm *v = &fake_vms[0];
	const char *out;
	u32 before;

	(void)state;
	fake_uptime = 3723000000000ull;
	fake_cpu_count = 5;
	for (u32 i = 0; i < 5; i++)
		fake_cpus[i] = (struct cpu_info){
			.apic_id = i, .state = "idle", .cpu0 = i == 0, .up = 1000000000
		};
	fake_cpus[4].busy = 250000000;
	v->info.uptime = 10000000000ull;
	v->busy = 5000000000ull;
	v->kernel = 1000000000;
	v->info.exits = 20000;
	type("top\r");
	out = settle();
	fits(out);
	assert_non_null(strstr(out, "\033[H\033[2JBulkhead, up 1h02m; any key ends\033[K\r\n"));
	/* since its start */
	assert_non_null(strstr(out, "\nalpha                running   50.0%  40.0%  10.0%   0.0%"
				    "      2000    10.0s\033[K\r\n"));
	assert_non_null(strstr(out, "\nbeta                 stopped    0.0%   0.0%   0.0%   0.0%"
				    "         0        -\033[K\r\n"));
	assert_non_null(
		strstr(out, "\r\n  3    0.0% idle         4   25.0% idle   \033[K\r\n\033[J"));
	assert_null(strstr(out, SHELL_PROMPT));
	assert_int_equal(fake_wake_at, fake_uptime + 1000000000);
	assert_string_equal(settle(), ""); /* not before it is time */
	/* since the last picture; a computing guest's time counts as it goes by */
	fake_uptime += 1000000000;
	v->info.uptime += 1000000000;
	v->busy += 930000000;
	v->kernel += 10000000;
	v->monitor += 20000000;
	v->info.exits += 1234;
	fake_cpus[4].up += 1000000000; /* all of it asleep */
	fake_cpus[4].busy--;
	log_info("alpha: something");
	out = settle();
	assert_memory_equal(out, "\033[HBulk", 7);
	assert_non_null(strstr(out, "   4    0.0% idle   \033[K\r\n\033[J"));
	assert_non_null(strstr(out, "running   93.0%  90.0%   1.0%   2.0%      1234    11.0s"));
	assert_null(strstr(out, "something")); /* the log waits */
	/* it began anew in between: no nonsense */
	fake_uptime += 1000000000;
	v->info.uptime = v->busy = 500000000;
	v->kernel = v->monitor = 0;
	v->info.exits = 7;
	out = settle();
	assert_non_null(strstr(out, "running   50.0%  50.0%   0.0%   0.0%         7     0.5s"));
	/* a line that is busy is not given more */
	wires_fake[0].room = 100;
	before = wires_fake[0].out_len;
	for (u32 i = 0; i < 100; i++) {
		fake_uptime += 100000000;
		console_pump();
		shell_poll();
	}
	assert_int_equal(wires_fake[0].out_len, before + 100);
	assert_true(console_shell_backlog() < 1000); /* of one picture */
	wires_fake[0].room = ~0u;
	settle();
	/* a cursor key ends it, and leaves nothing behind */
	type("\x1b[A");
	out = settle();
	assert_non_null(strstr(out, "alpha: something\r\nbulkhead> "));
	assert_string_equal(command("stop alpha"), "alpha stopped\r\n");
	type("\x1b[A\r");
	assert_non_null(strstr(settle(), "alpha stopped")); /* but the next one counts */
	fake_uptime += 5000000000;
	assert_string_equal(settle(), "");
	/* Esc does so too, and takes nothing of the next command along */
	type("top\r");
	settle();
	type("\x1b");
	settle();
	assert_string_equal(command("stop alpha"), "alpha stopped\r\n");
}

/* Everything there is, in 24 lines. */
static void top_of_many(void **state)
{
	u32 lines = 0;
	const char *out;

	(void)state;
	while (fake_vm_count < 16)
		add_vm("a-name-of-thirty-one-characters", "running", "");
	fake_cpu_count = 8;
	type("top\r");
	out = settle();
	fits(out);
	for (; (out = strchr(out, '\n')) != NULL; out++)
		lines++;
	assert_in_range(lines, 18, 23); /* the echo is one */
	type("q");
	assert_non_null(strstr(settle(), "\r\nbulkhead> "));
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
	add_vm(LONGEST, "running", "");
	fake_vms[2].info.mem_guest = GIB(1023);
	out = command("mem");
	fits(out);
	assert_non_null(
		strstr(out, "\r\nalpha                 262144       100        28        40        "
			    "16\r\n"));
	assert_non_null(strstr(out, "\r\n" LONGEST "\r\n                  1072693248         0"));
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

static void info(void **state)
{
	struct vm *v = &fake_vms[0];
	const char *out;

	(void)state;
	fake_cpu_count = 2;
	fake_cpus[1].apic_id = 5;
	fake_file_count = 1;
	fake_files[0] = (struct file_info){ "/bulkhead/vmlinuz", 8123456, NULL };
	v->config.line = 12;
	v->config.initrd_count = 2;
	strcpy(v->config.initrd[0], "/bulkhead/initrd.img");
	strcpy(v->config.initrd[1], "/bulkhead/more.img");
	for (u32 i = 0; i < 60; i++)
		strcat(v->config.cmdline, "word=yes ");
	v->config.on_reboot = v->config.on_watchdog = POLICY_RESTART;
	v->config.watchdog = true;
	v->config.stop_timeout = 30;
	v->vcpu = (struct vcpu_info){ 1, "halted", 77, 55 };
	v->guest = 1234567890;
	v->info.mem_guest = MIB(256);
	out = command("info alpha");
	fits(out);
	assert_memory_equal(out, "alpha: running, up 12.3s\r\nconfigured, line 12 of the file\r\n",
			    50);
	assert_non_null(strstr(out, "\r\n  kernel       /bulkhead/vmlinuz (8123456 bytes)\r\n"));
	assert_non_null(strstr(out, "\r\n  initrd       /bulkhead/more.img\r\n"));
	assert_non_null(strstr(out, "\r\n  cmdline      word=yes word=yes"));
	assert_non_null(strstr(out, "word=yes\r\n               word=yes"));
	assert_non_null(strstr(out, "\r\n  on_reboot    restart\r\n"));
	assert_non_null(strstr(out, "\r\n  watchdog     yes\r\n  on_watchdog  reset\r\n"
				    "  stop_timeout 30 s\r\n"));
	assert_non_null(strstr(out, "\r\n  vCPU 0       CPU 1 (APIC id 5), halted, 77 exits, "
				    "55 upcalls\r\n"));
	assert_non_null(strstr(out, "\r\n  TSC          2400.123 MHz\r\n"));
	assert_non_null(strstr(out, "\r\n  guest time   1.234567 s\r\n"));
	v->info.name = "a-name-of-31-characters-exactly";
	strcpy(v->info.reason, "triple fault at ffffffff81000000; restart 3 in 4 s");
	fits(command("info a-name-of-31-characters-exactly"));
	v->info.name = "alpha";
	v->info.reason[0] = '\0';
	v->config.valid = false;
	v->vcpu.state = NULL;
	fake_files[0].missing = "Not Found";
	memset(v->config.cmdline, 'x', 300); /* nowhere to break */
	v->complaints[0] = "kernel \"/bulkhead/vmlinuz\": Not Found";
	v->complaints[1] = "needs CPU 9, but this machine has the CPUs 0 to 3: take one of these";
	v->complaint_line = 14;
	out = command("info alpha");
	fits(out);
	assert_non_null(strstr(out,
			       "configured (refused), line 12 of the file\r\n"
			       "  refused      line 14: kernel \"/bulkhead/vmlinuz\": Not Found\r\n"
			       "  refused      line 15: needs CPU 9, "));
	assert_non_null(strstr(out, "vmlinuz (missing: Not Found)\r\n"));
	assert_non_null(strstr(out, "\r\n  vCPUs        none\r\n"));
}

static void cpus(void **state)
{
	(void)state;
	fake_cpu_count = 3;
	fake_cpus[0] = (struct cpu_info){ 0, "busy", true, 1, 3, 2, { "ASID", 15, 3, 41 } };
	fake_cpus[1] = (struct cpu_info){ 2, "guest", false, 999, 1000, 3, { "ASID", 15, 15, 9 } };
	fake_cpus[2] = (struct cpu_info){ 250, "idle", false, 0, 1000, 0, { "ASID", 15, 0, 0 } };
	fake_vms[1].config.valid = false; /* what was refused owns nothing */
	assert_string_equal(
		command("cpus"),
		"CPU APIC-ID  VM                              STATE        USE\r\n"
		"  0       0  -                               busy       33.3%  and console\r\n"
		"  1       2  alpha                           guest      99.9%\r\n"
		"  2     250  -                               idle        0.0%\r\n"
		"\r\n"
		"CPU  TIMERS      ASID     OF  GENERATION\r\n"
		"  0       2         3     15          41\r\n"
		"  1       3        15     15           9\r\n"
		"  2       0         0     15           0\r\n");
}

static void files(void **state)
{
	(void)state;
	assert_string_equal(command("files"), "no files; bulkhead.toml names them\r\n");
	fake_file_count = 3;
	fake_files[0] = (struct file_info){ "/bulkhead/vmlinuz", 8123456, NULL };
	fake_files[1] = (struct file_info){ "/bulkhead/initrd.img", 0, "Not Found" };
	fake_files[2] = (struct file_info){ "/bulkhead/other", 1, NULL };
	fake_vms[1].config.initrd_count = 1;
	strcpy(fake_vms[1].config.initrd[0], "/bulkhead/initrd.img");
	assert_string_equal(command("files"),
			    "/bulkhead/vmlinuz\r\n    8123456 bytes; for alpha, beta\r\n"
			    "/bulkhead/initrd.img\r\n    missing: Not Found; for beta\r\n"
			    "/bulkhead/other\r\n    1 bytes; for -\r\n");
}

static void set(void **state)
{
	(void)state;
	assert_string_equal(command("set log_level debug"), "log_level debug, was info\r\n");
	assert_int_equal(log_get_level(), LOG_DEBUG);
	assert_string_equal(command("set log_level loud"),
			    "no level \"loud\"; levels: error, warn, info, debug\r\n");
	assert_string_equal(command("set colour red"),
			    "nothing is called \"colour\"; there is: log_level\r\n");
	assert_int_equal(log_get_level(), LOG_DEBUG);
	assert_string_equal(command("set log_level info"), "log_level info, was debug\r\n");
	assert_non_null(strstr(command("set log_level"), "usage: set log_level error|warn|"));
}

static void history(void **state)
{
	(void)state;
	command("version");
	command("version");
	command("no such");
	assert_string_equal(command("history"), "  1  version\r\n  2  no such\r\n  3  history\r\n");
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
	const char *out;
	char buf[32];
	u32 n;

	(void)state;
	assert_non_null(
		strstr(command("console beta"), "beta has no console: stopped, powered off\r\n"));
	add_vm(LONGEST, "starting", "");
	fake_vms[2].info.port = &alpha;
	type("console " LONGEST "\r\x1d");
	wire_step = CONSOLE_ESCAPE_NS / 4;
	out = settle();
	wire_step = 0;
	fits(out);
	assert_non_null(
		strstr(out, LONGEST ", starting; Ctrl-] leaves, twice\r\n    sends one]\r\n"));
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
	type("se\tl\td\t\r"); /* words that the command names itself */
	assert_non_null(strstr(settle(), "log_level debug, was info\r\n"));
	type("set log_level \t\t");
	assert_non_null(strstr(settle(), "\r\nerror  warn  info  debug  \r\nbulkhead> set log_"));
	type("info info\t\x03");
	settle();
	log_set_level(LOG_INFO);
	type("\t\x03");
	fits(settle());
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
			    "^C\r\nalpha has 700 s left to power off\r\nbulkhead> ");
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
			    "^C\r\nno power off; the VMs go on powering off\r\nbulkhead> ");
	assert_string_equal(fake_calls, "shutdown;");
	fake_vms[0].stop_polls = fake_vms[1].stop_polls = 20;
	assert_string_equal(wait_shown("reboot\r") + 8,
			    "2 VMs are asked to power off, at most 20 s; Ctrl-C: no reboot\r\n"
			    "rebooting\r\ncannot reboot: this is a test\r\nbulkhead> ");
	assert_string_equal(fake_calls, "shutdown;shutdown;reboot;");
	/* one of them is stopped without being asked: it is waited for, but not counted */
	fake_vms[0].stop_polls = 20;
	fake_vms[1].stop_polls = 30;
	fake_vms[1].unasked = true;
	assert_string_equal(wait_shown("reboot\r") + 8,
			    "1 VM is asked to power off, at most 20 s; Ctrl-C: no reboot\r\n"
			    "rebooting\r\ncannot reboot: this is a test\r\nbulkhead> ");
	assert_int_equal(fake_vms[1].stop_polls, 0);
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
		cmocka_unit_test_setup(json, fresh),
		cmocka_unit_test_setup(dump, fresh),
		cmocka_unit_test_setup(trace, fresh),
		cmocka_unit_test_setup(top, fresh),
		cmocka_unit_test_setup(top_of_many, fresh),
		cmocka_unit_test_setup(mem, fresh),
		cmocka_unit_test_setup(help_and_version, fresh),
		cmocka_unit_test_setup(info, fresh),
		cmocka_unit_test_setup(cpus, fresh),
		cmocka_unit_test_setup(files, fresh),
		cmocka_unit_test_setup(set, fresh),
		cmocka_unit_test_setup(history, fresh),
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
