// SOURCES: kernel/config.c kernel/config_keys.c kernel/config_check.c kernel/toml.c kernel/toml_scalar.c kernel/print.c
#include "kernel/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/print.h"

static struct config c;

static void parse(const char *text)
{
	config_parse(&c, text, strlen(text));
}

/* All complaints as "line:col text\n". */
static const char *said(void)
{
	static char out[8192];
	size_t n = 0;
	u32 i;

	out[0] = '\0';
	for (i = 0; i < c.error_count; i++)
		n += (size_t)str_format(out + n, sizeof(out) - n, "%u:%u %s\n", c.errors[i].line,
					c.errors[i].col, c.errors[i].text);
	return out;
}

#define GOOD_VM(name, cpu) \
	"[[vm]]\nname = \"" name "\"\ncpus = [" #cpu "]\nmemory = \"256M\"\nkernel = \"k\"\n"

/* A [[vm]] that lacks nothing but what line 6 adds. */
#define VM_WITH(line) GOOD_VM("alpha", 1) line "\n"

static const struct {
	const char *text, *want;
} refused[] = {
	{ "x = 1", "1:1 'x' stands before the first table: bring it under [host] or [[vm]]\n" },
	{ "[vms]", "1:1 unknown table 'vms': the tables are [host] and [[vm]]\n" },
	{ "[[host]]", "1:1 there is one host: write [host]\n" },
	{ "[host]\nconsole = 1",
	  "2:11 'console' must be a string, not an integer: write console = \"com1\"\n" },
	{ "[host]\nconsole = \"com5\"",
	  "2:11 \"com5\" is no console: write \"com1\" to \"com4\", or the port of a 16550 UART such "
	  "as \"io:0x3f8\"\n" },
	{ "[host]\nconsole = \"io:0xffff\"",
	  "2:11 \"io:0xffff\" is no console: write \"com1\" to \"com4\", or the port of a 16550 UART "
	  "such as \"io:0x3f8\"\n" },
	{ "[host]\nconsole = \"io:0x\"",
	  "2:11 \"io:0x\" is no console: write \"com1\" to \"com4\", or the port of a 16550 UART such "
	  "as \"io:0x3f8\"\n" },
	{ "[host]\nbaud = 4800",
	  "2:8 4800 baud are not possible: 9600, 19200, 38400, 57600 and 115200 are\n" },
	{ "[host]\nbaud = \"9600\"",
	  "2:8 'baud' must be an integer, not a string: write baud = 115200\n" },
	{ "[host]\nlog_level = \"all\"",
	  "2:13 'log_level' must be \"error\", \"warn\", \"info\" or \"debug\"\n" },
	{ "[host]\non_panic = true", "2:12 'on_panic' must be \"halt\" or \"reboot\"\n" },
	{ "[host]\nconsol = \"com1\"", "2:1 unknown key 'consol': did you mean 'console'?\n" },
	{ "[host]\nmemory = \"1G\"", "2:1 'memory' belongs under [[vm]]\n" },
	{ "[host]\nspeed = 9600",
	  "2:1 unknown key 'speed': the keys here are console, baud, log_level, on_panic\n" },
	{ "\n[[vm]]", "2:1 VM vm?1: 'name' is missing: add a line such as name = \"alpha\"\n"
		      "2:1 VM vm?1: 'cpus' is missing: add a line such as cpus = [1]\n"
		      "2:1 VM vm?1: 'memory' is missing: add a line such as memory = \"256M\"\n"
		      "2:1 VM vm?1: 'kernel' is missing: add a line such as kernel = "
		      "\"bulkhead/vmlinuz\"\n" },
	{ "[vm]\nname = \"a\"\ncpus = [1]\nmemory = \"2M\"\nkernel = \"k\"",
	  "1:1 VM vm?1: a VM is written with two brackets: [[vm]]\n" },
	{ "[[vm]]\nname = \"Alpha\"\ncpus = [1]\nmemory = \"2M\"\nkernel = \"k\"",
	  "2:8 VM vm?1: \"Alpha\" is no name: use 1 to 31 of a-z, 0-9, '_' and '-'\n" },
	{ "[[vm]]\nname = \"a23456789b123456789c123456789d12\"\ncpus = [1]\nmemory = \"2M\"\nkernel = \"k\"",
	  "2:8 VM vm?1: \"a23456789b123456789c123456789d12\" is no name: use 1 to 31 of a-z, 0-9, '_' "
	  "and '-'\n" },
	{ "[[vm]]\nname = 5\ncpus = [1]\nmemory = \"2M\"\nkernel = \"k\"",
	  "2:8 VM vm?1: 'name' must be a string, not an integer: write name = \"alpha\"\n" },
	{ GOOD_VM("a", 1) GOOD_VM("a", 2),
	  "7:8 VM vm?2: the name \"a\" is taken by the VM of line 1: choose another\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = 1\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:8 VM a: 'cpus' must be an array, not an integer: write cpus = [1]\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = []\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:8 VM a: 'cpus' is empty: name one CPU, such as [1]\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1, 2]\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:8 VM a: 'cpus' names 2 CPUs: a VM has exactly one in this version\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [64]\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:9 VM a: there is no CPU 64: CPUs are numbered from 0 to at most 63\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [-1]\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:9 VM a: there is no CPU -1: CPUs are numbered from 0 to at most 63\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [\"1\"]\nmemory = \"2M\"\nkernel = \"k\"",
	  "3:9 VM a: 'cpus' must be an integer, not a string: write cpus = [1]\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = 256\nkernel = \"k\"",
	  "4:10 VM a: 'memory' must be a string, not an integer: write memory = \"256M\"\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"256\"\nkernel = \"k\"",
	  "4:10 VM a: \"256\" is no amount of memory: write a whole number and M or G, such as "
	  "\"256M\"\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"1.5G\"\nkernel = \"k\"",
	  "4:10 VM a: \"1.5G\" is no amount of memory: write a whole number and M or G, such as "
	  "\"256M\"\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"0M\"\nkernel = \"k\"",
	  "4:10 VM a: \"0M\" is not possible: from \"2M\" to \"170G\" is\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"171G\"\nkernel = \"k\"",
	  "4:10 VM a: \"171G\" is not possible: from \"2M\" to \"170G\" is\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"999999999999G\"\nkernel = \"k\"",
	  "4:10 VM a: \"999999999999G\" is not possible: from \"2M\" to \"170G\" is\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"3M\"\nkernel = \"k\"",
	  "4:10 VM a: \"3M\" is not a multiple of 2M (memory comes in 2 MiB pages): write \"4M\"\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"2M\"\nkernel = \"\"",
	  "5:10 VM a: 'kernel' is empty: write a path from the partition's root, such as "
	  "\"bulkhead/vmlinuz\"\n" },
	{ "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"2M\"\nkernel = [\"k\"]",
	  "5:10 VM a: 'kernel' must be a string, not an array: write kernel = \"bulkhead/vmlinuz\"\n" },
	{ VM_WITH("initrd = true"),
	  "6:10 VM alpha: 'initrd' must be a string, or an array of strings for Multiboot modules\n" },
	{ VM_WITH("initrd = [\"a\", 2]"),
	  "6:16 VM alpha: 'initrd' must be a string, not an integer: "
	  "write initrd = [\"bulkhead/module1\"]\n" },
	{ VM_WITH("initrd = ['1','2','3','4','5','6','7','8','9','a','b','c','d','e','f','g']"),
	  "6:71 VM alpha: 'initrd' names more than 15 files\n" },
	{ VM_WITH("cmdline = \"a\\nb\""),
	  "6:11 VM alpha: 'cmdline' holds the control character 0x0a: remove it\n" },
	{ VM_WITH("cmdline = \"a\\u0000b\""),
	  "6:11 VM alpha: 'cmdline' holds the control character 0x00: remove it\n" },
	{ VM_WITH("autostart = \"yes\""),
	  "6:13 VM alpha: 'autostart' must be true or false, without quotes\n" },
	{ VM_WITH("debug_exit = 1"),
	  "6:14 VM alpha: 'debug_exit' must be true or false, without quotes\n" },
	{ VM_WITH("on_crash = \"reboot\""),
	  "6:12 VM alpha: 'on_crash' must be \"stop\", \"restart\" or \"pause\"\n" },
	{ VM_WITH("on_reboot = 0"),
	  "6:13 VM alpha: 'on_reboot' must be \"stop\" or \"restart\"\n" },
	{ VM_WITH("watchdog = \"on\""),
	  "6:12 VM alpha: 'watchdog' must be true or false, without quotes\n" },
	{ VM_WITH("on_watchdog = \"restart\""),
	  "6:15 VM alpha: 'on_watchdog' must be \"reset\", \"stop\", \"pause\" or \"nmi\"\n" },
	{ VM_WITH("stop_timeout = -1"),
	  "6:16 VM alpha: -1 seconds are not possible: from 0 to 3600 are\n" },
	{ VM_WITH("stop_timeout = 3601"),
	  "6:16 VM alpha: 3601 seconds are not possible: from 0 to 3600 are\n" },
	{ VM_WITH("stop_timeout = \"10\""),
	  "6:16 VM alpha: 'stop_timeout' must be an integer, not a string: write stop_timeout = 10\n" },
	{ VM_WITH("on_reboot = \"pause\""),
	  "6:13 VM alpha: 'on_reboot' must be \"stop\" or \"restart\"\n" },
	{ VM_WITH("memroy = \"1G\""),
	  "6:1 VM alpha: unknown key 'memroy': did you mean 'memory'?\n" },
	{ VM_WITH("on_panic = \"halt\""), "6:1 VM alpha: 'on_panic' belongs under [host]\n" },
	{ VM_WITH("disk = \"a\""),
	  "6:1 VM alpha: unknown key 'disk': the keys here are name, cpus, memory, kernel, initrd, "
	  "cmdline, autostart, on_crash, on_reboot, watchdog, on_watchdog, stop_timeout, debug_exit\n" },
	/* what gets printed drives no terminal */
	{ VM_WITH("\"\\u001b[2J\\u009b\" = 1"),
	  "6:1 VM alpha: unknown key '?[2J?"
	  "?': the keys here are name, cpus, memory, kernel, initrd, "
	  "cmdline, autostart, on_crash, on_reboot, watchdog, on_watchdog, stop_timeout, debug_exit\n" },
	/* syntax and sense at once; a line that cannot be read is not missing */
	{ "[host]\nlog = 1.5\n[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = 2M\nkernel = 1",
	  "2:7 floating-point numbers are not used here\n"
	  "6:10 2M is no value: a text needs quotes, such as \"2M\"\n"
	  "7:10 VM a: 'kernel' must be a string, not an integer: write kernel = "
	  "\"bulkhead/vmlinuz\"\n" },
};

static void complaints(void **state)
{
	u32 i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		parse(refused[i].text);
		assert_string_equal(said(), refused[i].want);
		for (k = 0; k < c.vm_count; k++)
			assert_false(c.vm[k].valid && c.errors[0].vm == (int)k);
	}
}

static void long_texts(void **state)
{
	char text[2048];
	int n;

	(void)state;
	n = str_format(text, sizeof(text), "%scmdline = \"", GOOD_VM("a", 1));
	memset(text + n, 'x', 1023);
	strcpy(text + n + 1023, "\"\n");
	parse(text);
	assert_string_equal(said(), "");
	assert_int_equal(strlen(c.vm[0].cmdline), 1023);
	strcpy(text + n + 1023, "x\"\n");
	parse(text);
	assert_string_equal(said(),
			    "6:11 VM a: 'cmdline' is 1024 bytes long: at most 1023 are possible\n");
	n = str_format(text, sizeof(text),
		       "[[vm]]\nname = \"a\"\ncpus = [1]\nmemory = \"2M\"\nkernel = '");
	memset(text + n, 'x', 112);
	strcpy(text + n + 112, "'\n");
	parse(text);
	assert_string_equal(said(),
			    "5:10 VM a: 'kernel' is 112 bytes long: at most 111 are possible\n");
}

static void defaults(void **state)
{
	const struct vm_config *v = &c.vm[0];

	(void)state;
	parse("");
	assert_int_equal(c.error_count + c.vm_count, 0);
	assert_string_equal(c.host.console, "com1");
	assert_int_equal(c.host.console_io, 0x3f8);
	assert_int_equal(c.host.log_level, 2);
	assert_int_equal(c.host.baud, 115200);
	assert_false(c.host.panic_reboot);
	parse(GOOD_VM("alpha", 1));
	assert_int_equal(c.error_count, 0);
	assert_true(v->valid);
	assert_string_equal(v->name, "alpha");
	assert_int_equal(v->cpu_count, 1);
	assert_int_equal(v->cpus[0], 1);
	assert_int_equal(v->memory, MIB(256));
	assert_string_equal(v->kernel, "k");
	assert_int_equal(v->initrd_count, 0);
	assert_string_equal(v->cmdline, "");
	assert_true(v->autostart);
	assert_int_equal(v->on_crash, POLICY_STOP);
	assert_int_equal(v->on_reboot, POLICY_RESTART);
	assert_int_equal(v->stop_timeout, 10);
	assert_false(v->watchdog);
	assert_int_equal(v->on_watchdog, POLICY_RESTART);
	assert_false(v->watchdog_nmi);
	assert_false(v->debug_exit);
}

static void everything(void **state)
{
	const struct vm_config *v = &c.vm[0];

	(void)state;
	parse("[host]\nconsole = \"io:0xE000\"\nbaud = 19_200\nlog_level = \"debug\"\non_panic = \"reboot\"\n"
	      "[[vm]]\nname = \"a-b_0\"\ncpus = [ 63, ]\nmemory = \"2G\"\nkernel = '\\k\\linux'\n"
	      "initrd = [\n \"m1\", # one\n 'm2',\n]\ncmdline = \"a \\\"b\\\"\"\nautostart = false\n"
	      "on_crash = \"restart\"\non_reboot = \"stop\"\nstop_timeout = 0\nwatchdog = true\non_watchdog = \"nmi\"\ndebug_exit = true\n");
	assert_string_equal(said(), "");
	assert_string_equal(c.host.console, "io:0xE000");
	assert_int_equal(c.host.console_io, 0xe000);
	assert_int_equal(c.host.baud, 19200);
	assert_int_equal(c.host.log_level, 3);
	assert_true(c.host.panic_reboot);
	assert_string_equal(v->name, "a-b_0");
	assert_int_equal(v->cpus[0], 63);
	assert_int_equal(v->memory, GIB(2));
	assert_string_equal(v->kernel, "\\k\\linux");
	assert_int_equal(v->initrd_count, 2);
	assert_string_equal(v->initrd[1], "m2");
	assert_string_equal(v->cmdline, "a \"b\"");
	assert_false(v->autostart);
	assert_int_equal(v->on_crash, POLICY_RESTART);
	assert_int_equal(v->on_reboot, POLICY_STOP);
	assert_int_equal(v->stop_timeout, 0);
	assert_true(v->watchdog);
	assert_true(v->watchdog_nmi);
	assert_true(v->debug_exit);
	assert_int_equal(v->line, 6);
}

static void one_bad_vm_leaves_the_others(void **state)
{
	(void)state;
	parse(GOOD_VM(
		"alpha",
		1) "[[vm]]\nname = \"beta\"\ncpus = [2]\nmemory = 1G\nkernel = \"k\"\n" GOOD_VM("gamma",
												3));
	assert_int_equal(c.vm_count, 3);
	assert_true(c.vm[0].valid);
	assert_false(c.vm[1].valid);
	assert_true(c.vm[2].valid);
	assert_string_equal(c.vm[1].name, "beta");
	assert_int_equal(c.error_count, 1);
	assert_int_equal(c.errors[0].vm, 1);
	/* keys behind a broken header go to nobody, least of all to the VM before */
	parse(GOOD_VM("alpha", 1) "[[vm]\nname = \"beta\"\ncpus = [2]\n");
	assert_int_equal(c.vm_count, 1);
	assert_true(c.vm[0].valid);
	assert_int_equal(c.vm[0].cpu_count, 1);
	assert_string_equal(said(), "6:5 ]] is missing here\n");
	/* a key twice: which one was meant is not guessed */
	parse(VM_WITH("memory = \"1G\""));
	assert_false(c.vm[0].valid);
	assert_string_equal(said(), "6:1 'memory' stands in line 4 already: remove one of them\n");
}

static void many(void **state)
{
	static char text[8192];
	u32 i, n = 0;

	(void)state;
	for (i = 0; i < 17; i++)
		n += (u32)str_format(text + n, sizeof(text) - n,
				     "[[vm]]\nname='v%u'\ncpus=[%u]\nmemory='2M'\nkernel='k'\n", i,
				     i);
	parse(text);
	assert_int_equal(c.vm_count, 16);
	assert_string_equal(said(), "81:1 more than 16 VMs\n");
	for (i = n = 0; i < 70; i++)
		n += (u32)str_format(text + n, sizeof(text) - n, "k%u = %u\n", i, i);
	parse(text);
	assert_int_equal(c.error_count, CONFIG_MAX_ERRORS);
	assert_int_equal(c.errors_dropped, 6);
}

/* ------------------------------------------------------------- the machine */

static const char *file_problem(void *arg, const char *path)
{
	return strcmp(path, arg) == 0 ? "there is no such file" : NULL;
}

static bool small_pages;

static void check(u32 cpus, u64 memory, const char *missing)
{
	struct machine_facts m = { cpus, memory, file_problem, (void *)missing, small_pages };

	config_check_machine(&c, &m);
}

static void cpus_of_the_machine(void **state)
{
	(void)state;
	parse(GOOD_VM("alpha", 1) GOOD_VM("beta", 4) GOOD_VM("gamma", 1) GOOD_VM("delta", 0));
	check(4, GIB(4), "");
	assert_string_equal(
		said(), "8:8 VM beta: there is no CPU 4: this machine's CPUs are 0 to 3\n"
			"13:8 VM gamma: CPU 1 belongs to VM alpha (line 1) already: give each its "
			"own\n");
	assert_true(c.vm[0].valid && !c.vm[1].valid && !c.vm[2].valid && c.vm[3].valid);
	assert_int_equal(c.errors[1].vm, 2);
}

static void memory_of_the_machine(void **state)
{
	(void)state;
	parse(GOOD_VM(
		"alpha",
		1) "[[vm]]\nname = \"beta\"\ncpus = [2]\nmemory = \"1G\"\nkernel = \"k\"\n" GOOD_VM("gamma",
												    3));
	check(4, MIB(1024) + 5, "");
	assert_string_equal(said(),
			    "9:10 VM beta: wants 1024M of memory, but 764M of 1024M are left: "
			    "give it less, or those before it\n");
	assert_true(c.vm[0].valid && !c.vm[1].valid && c.vm[2].valid);
	parse(GOOD_VM("alpha", 1));
	check(4, MIB(258), "");
	assert_string_equal(said(), "");
	parse(GOOD_VM("alpha", 1));
	check(4, MIB(258) - 1, "");
	assert_int_equal(c.error_count, 1);
	/* a table for each 2 MiB, and those come out of 2 MiB */
	small_pages = true;
	parse(GOOD_VM("alpha", 1));
	check(4, MIB(260) - 1, "");
	assert_int_equal(c.error_count, 1);
	parse(GOOD_VM("alpha", 1));
	check(4, MIB(260), "");
	assert_string_equal(said(), "");
	small_pages = false;
}

static void files_of_the_machine(void **state)
{
	char buf[128];

	(void)state;
	parse(VM_WITH("initrd = [\"a\", \"b\"]") GOOD_VM("beta", 2));
	check(4, GIB(4), "b");
	assert_string_equal(said(), "6:16 VM alpha: initrd \"b\": there is no such file\n");
	assert_true(!c.vm[0].valid && c.vm[1].valid);
	config_error_format(&c.errors[0], "bulkhead.toml", buf, sizeof(buf));
	assert_string_equal(buf,
			    "bulkhead.toml:6:16: VM alpha: initrd \"b\": there is no such file");
	parse(GOOD_VM("alpha", 1) GOOD_VM("beta", 2));
	check(4, GIB(4), "k");
	assert_string_equal(said(), "5:10 VM alpha: kernel \"k\": there is no such file\n"
				    "10:10 VM beta: kernel \"k\": there is no such file\n");
}

static void size(void **state)
{
	(void)state;
	assert_true(sizeof(struct config) < 192 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complaints),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(one_bad_vm_leaves_the_others),
		cmocka_unit_test(many),
		cmocka_unit_test(cpus_of_the_machine),
		cmocka_unit_test(memory_of_the_machine),
		cmocka_unit_test(files_of_the_machine),
		cmocka_unit_test(size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
