/*
 * The kernel's last words: stop the other CPUs, say what is known, then halt
 * or reboot. Nothing here takes a lock or waits unboundedly. The first CPU
 * that panics speaks; others stop, and a panic within the panic ends it.
 */
#include "kernel/panic.h"
#include "arch/cpu.h"
#include "arch/hv.h"
#include "arch/trap.h"
#include "arch/x86.h"
#include "kernel/crashlog.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/stop.h"
#include "kernel/symbols.h"
#include "kernel/version.h"

#define LOG_LINES 24u
#define STACK_WORDS (KSTACK_SIZE / 8) /* looked at */
#define STACK_NAMES 32u		      /* shown */
#define REBOOT_DELAY_US 3000000u

bool panic_reboot;

extern const u8 __text_start[], __text_end[];

static void (*sink)(const char *s, u32 n);
static void (*reboot_fn)(void);
static struct crashlog *record; /* uncached: what is written is in memory */
static struct cpu *owner;	/* who panics; atomic */
static bool nested;

void panic_set_sink(void (*write)(const char *s, u32 n))
{
	sink = write;
}

void panic_set_reboot(void (*reboot)(void))
{
	reboot_fn = reboot;
}

bool panic_active(void)
{
	return __atomic_load_n(&owner, __ATOMIC_ACQUIRE) != NULL;
}

void panic_set_record(struct crashlog *area)
{
	record = area;
}

static void emit(const char *s, u32 n)
{
	if (record)
		crashlog_append(record, CRASHLOG_SIZE, s, n);
	if (sink)
		sink(s, n);
}

static void say(const char *fmt, ...) PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = str_vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		emit(line, MIN((u32)n, (u32)sizeof(line) - 1));
}

static bool is_code(u64 addr)
{
	return addr >= (u64)__text_start && addr < (u64)__text_end;
}

static void say_address(const char *what, u64 addr)
{
	u64 offset;
	const char *name = is_code(addr) ? symbol_lookup(addr, &offset) : NULL;

	if (name)
		say("%s %016llx %s+%#llx\n", what, (unsigned long long)addr, name,
		    (unsigned long long)offset);
	else
		say("%s %016llx\n", what, (unsigned long long)addr);
}

static void say_registers(const struct trap_frame *f)
{
	static const char names[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15" };

	if (f) {
		say_address("rip", f->rip);
		for (u32 i = 0; i < 16; i++)
			say("%s %016llx%s", names[i],
			    (unsigned long long)(i == 4 ? f->rsp : f->gpr[i]),
			    i % 4 == 3 ? "\n" : "  ");
		say("cs %04llx  ss %04llx  rflags %08llx  vector %llu  error %llx\n",
		    (unsigned long long)f->cs, (unsigned long long)f->ss,
		    (unsigned long long)f->rflags, (unsigned long long)f->vector,
		    (unsigned long long)f->error);
	}
	say("cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx\n",
	    (unsigned long long)read_cr0(), (unsigned long long)read_cr2(),
	    (unsigned long long)read_cr3(), (unsigned long long)read_cr4(),
	    (unsigned long long)rdmsr(MSR_EFER));
}

/* One word of a stack that may have ended in a guard page: fault-fixed. */
static bool peek(u64 addr, u64 *value)
{
	bool ok = false;

	__asm__ volatile("1: movq (%2), %1\n\t"
			 "movb $1, %b0\n"
			 "2:\n\t" EXTABLE("1b", "2b")
			 : "+r"(ok), "=&r"(*value)
			 : "r"(addr)
			 : "memory");
	return ok;
}

/* Without frame pointers: every word that points into a function. */
static void say_stack(u64 sp)
{
	u64 word, last = 0;
	u32 shown = 0, again = 0;

	say("stack %016llx:\n", (unsigned long long)sp);
	if (!peek(sp, &word)) /* in the guard below a stack: go up to it */
		sp = ALIGN_UP(sp, KSTACK_SIZE);
	for (u32 i = 0; i < STACK_WORDS && shown < STACK_NAMES; i++) {
		if (!peek((sp & ~7ull) + i * 8, &word))
			break;
		if (!is_code(word))
			continue;
		if (word == last) { /* recursion */
			again++;
			continue;
		}
		if (again)
			say("    %u times more\n", again);
		again = 0;
		last = word;
		say_address("   ", word);
		shown++;
	}
	if (again)
		say("    %u times more\n", again);
}

NORETURN static void finish(void)
{
	if (panic_reboot && reboot_fn) {
		emit("rebooting\n", 10);
		cpu_delay_us(REBOOT_DELAY_US);
		if (hv)
			hv->cpu_off();
		reboot_fn();
	}
	emit("halted\n", 7);
	cpu_halt();
}

NORETURN static void panic_common(const struct trap_frame *f, u64 sp, const char *text)
{
	struct cpu *self = this_cpu();
	struct cpu *none = NULL;

	cli();
	if (!self)
		self = &cpus[0]; /* before cpu_init_bsp() */
	if (!__atomic_compare_exchange_n(&owner, &none, self, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (none != self)
			cpu_halt();
		if (!nested) {
			nested = true;
			emit("panic within the panic\n", 23);
			finish();
		}
		for (;;)
			__asm__ volatile("cli\n\thlt");
	}
	if (record)
		crashlog_begin(record, CRASHLOG_SIZE);
	say("\n*** PANIC on CPU %u: %s\n", self->index, text);
	say("Bulkhead %s\n", BULKHEAD_VERSION);
	cpus_stop();
	for (u32 i = 0; i < cpu_count; i++)
		if (&cpus[i] != self && cpu_runs(&cpus[i]))
			say("CPU %u does not stop\n", i);
	say_registers(f);
	say_stack(sp);
	say("last log lines:\n");
	log_tail(LOG_LINES, emit);
	finish();
}

void panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	panic_common(NULL, (u64)__builtin_frame_address(0), text);
}

void panic_trap(const struct trap_frame *frame, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	panic_common(frame, frame->rsp, text);
}
