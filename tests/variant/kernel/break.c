/*
 * Bugs on request: the shell commands `panic`, `host-nmi` and `cmdline` of the test
 * variant (shell_extra.h).
 */
#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/trap.h"
#include "arch/vectors.h"
#include "arch/x86.h"
#include "kernel/control.h"
#include "kernel/panic.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_extra.h"
#include "kernel/string.h"
#include "kernel/vm.h"

void uart_write(const char *buf, u32 n); /* drivers/uart.h is above the kernel */

static void __attribute__((noinline)) bug_null(void)
{
	__asm__ volatile("movq 0x10, %%rax" ::: "rax", "memory");
}

static void bug_jump(void)
{
	static u8 code[16] = { 0xc3 };

	__asm__ volatile("call *%0" ::"r"(code) : "memory");
}

static void bug_ud(void)
{
	__asm__ volatile("ud2");
}

static void bug_gp(void)
{
	__asm__ volatile("movq %%rax, (%%rax)" ::"a"(0x8000000000000000ull) : "memory");
}

static void bug_assert(void)
{
	u32 answer = 41;

	__asm__("" : "+r"(answer));
	ASSERT(answer == 42);
}

static u64 __attribute__((noinline)) deeper(u64 n)
{
	volatile u64 frame[16] = { n };

	return n == ~0ull ? 0 : deeper(n + 1) + frame[n & 15];
}

static void bug_stack(void)
{
	deeper(0);
}

/* Without an end, and deaf but to NMIs. */
static void bug_deaf(void)
{
	for (;;)
		cpu_pause();
}

static void broken_sink(const char *s, u32 n)
{
	static u32 calls;

	if (calls++ == 3)
		bug_null();
	uart_write(s, n);
}

/* The panic's own way out breaks, too. */
static void bug_nested(void)
{
	panic_set_sink(broken_sink);
	bug_assert();
}

static const struct {
	const char *name;
	void (*fn)(void);
} bugs[] = {
	{ "null", bug_null }, { "jump", bug_jump },	{ "ud", bug_ud },
	{ "gp", bug_gp },     { "assert", bug_assert }, { "stack", bug_stack },
	{ "deaf", bug_deaf }, { "nested", bug_nested },
};

static bool cpu_of(const char *text, u32 *cpu)
{
	*cpu = (u32)(*text - '0');
	if (text[1] == 0 && *cpu < cpu_count)
		return true;
	shell_printf("no CPU \"%s\"\n", text);
	return false;
}

void cmd_panic(int argc UNUSED, char **argv)
{
	static void (*chosen)(void);
	static u8 vector; /* in whose handler it happens */
	u32 cpu;

	if (!cpu_of(argv[2], &cpu))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (strcmp(argv[1], bugs[i].name) != 0)
			continue;
		if (cpu == 0) {
			bugs[i].fn();
			return;
		}
		if (chosen != bugs[i].fn)
			vector = irq_alloc(bugs[i].fn);
		chosen = bugs[i].fn;
		apic_send(cpus[cpu].apic_id, vector);
		/* no prompt between the panic's words; it stops this CPU, too */
		while (bugs[i].fn != bug_deaf)
			irq_window();
		return;
	}
	shell_printf("no bug \"%s\"\n", argv[1]);
}

void cmd_host_nmi(int argc UNUSED, char **argv)
{
	u64 before;
	u32 cpu;

	if (!cpu_of(argv[1], &cpu))
		return;
	before = READ_ONCE(cpus[cpu].nmis);
	for (u32 i = 0; i < 300; i++) {
		apic_nmi(cpus[cpu].apic_id);
		cpu_delay_us(20 + i % 64);
	}
	for (u32 i = 0; i < 20000 && READ_ONCE(cpus[cpu].nmis) == before; i++)
		cpu_delay_us(100); /* an emulator's CPU may not have run meanwhile */
	shell_printf("CPU %u took %lu NMIs\n", cpu, READ_ONCE(cpus[cpu].nmis) - before);
}

void cmd_cmdline(int argc, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	char *line;
	u32 n = 0;

	if (!vm)
		return;
	line = (char *)(u64)vm->config->cmdline;
	for (int i = 2; i < argc; i++)
		n += (u32)str_format(line + n, sizeof(vm->config->cmdline) - n, "%s%s",
				     i == 2 ? "" : " ", argv[i]);
}
