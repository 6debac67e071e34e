/*
 * How the guest fuzzer (fuzz.c) runs code that may do anything, and comes back:
 * randomness from a seed, all registers at once, a stack of its own for every
 * trap. What neither traps nor ends is ended by an NMI of the watchdog (Intel
 * 6300ESB, on_watchdog = "nmi"). Output goes by the debug port: one exit a line,
 * whatever a program has done to the serial port.
 */
#ifndef TESTS_GUESTS_FUZZ_RUN_H
#define TESTS_GUESTS_FUZZ_RUN_H

#include "lib.h"

#define PAGE 4096u
#define LANDING 2048u /* the instruction's place in its page of INT3 */
#define CODE_MAX 24u  /* its bytes */
#define EXIT_LOST 0x33

/* ----------------------------------------------------------- randomness */

static u64 state;

/* splitmix64 */
static u64 any(void)
{
	u64 z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static u32 below(u32 n)
{
	return (u32)((any() >> 32) * n >> 32);
}

static bool one_in(u32 n)
{
	return !below(n);
}

/* Values that checks get wrong: edges, single bits, sign changes. */
static u64 value(void)
{
	switch (below(8)) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return 1ull << below(64);
	case 3: return ~(1ull << below(64));
	case 4: return below(256);
	case 5: return (1ull << below(64)) - 1;
	case 6: return (u32)any();
	default: return any();
	}
}

/* ------------------------------------------- running and coming back */

static u8 code[PAGE] __attribute__((aligned(4096)));
static u8 scratch[4 * PAGE] __attribute__((aligned(4096)));
static u8 trap_stack[PAGE] __attribute__((aligned(16)));

/* What run_code() loads, in the order of the encoding; and its way back. */
u64 fuzz_regs[16], fuzz_flags, fuzz_back[7];
void *fuzz_target;
void fuzz_run(void);
void fuzz_return(void);

/* Saves what C wants kept, takes all registers from fuzz_regs, goes. Any trap comes back. */
asm(".text\n"
    "fuzz_run:\n"
    "	mov %rbx, fuzz_back\n	mov %rbp, fuzz_back+8\n	mov %r12, fuzz_back+16\n"
    "	mov %r13, fuzz_back+24\n	mov %r14, fuzz_back+32\n	mov %r15, fuzz_back+40\n"
    "	mov %rsp, fuzz_back+48\n"
    "	pushq fuzz_flags\n	popfq\n"
    "	mov fuzz_regs, %rax\n	mov fuzz_regs+8, %rcx\n	mov fuzz_regs+16, %rdx\n"
    "	mov fuzz_regs+24, %rbx\n	mov fuzz_regs+40, %rbp\n	mov fuzz_regs+48, %rsi\n"
    "	mov fuzz_regs+56, %rdi\n	mov fuzz_regs+64, %r8\n	mov fuzz_regs+72, %r9\n"
    "	mov fuzz_regs+80, %r10\n	mov fuzz_regs+88, %r11\n	mov fuzz_regs+96, %r12\n"
    "	mov fuzz_regs+104, %r13\n	mov fuzz_regs+112, %r14\n	mov fuzz_regs+120, %r15\n"
    "	mov fuzz_regs+32, %rsp\n"
    "	jmp *fuzz_target\n"
    "fuzz_return:\n"
    "	mov fuzz_back, %rbx\n	mov fuzz_back+8, %rbp\n	mov fuzz_back+16, %r12\n"
    "	mov fuzz_back+24, %r13\n	mov fuzz_back+32, %r14\n	mov fuzz_back+40, %r15\n"
    "	mov fuzz_back+48, %rsp\n"
    "	ret\n");

static volatile bool running; /* inside fuzz_run() */
static volatile u32 traps[32], interrupts;
static volatile u32 rescued; /* NMIs that ended fuzz_run() */
static volatile u32 misses;  /* NMIs elsewhere, since watch_begin() */

/* The watchdog has come where no program runs, again and again: this guest is lost. */
static void missed(void)
{
	if (++misses == 5)
		outb(EXIT_PORT, EXIT_LOST);
}

/* No breakpoints: an exit, so not at every trap. */
static void disarm(void)
{
	asm volatile("mov %0, %%dr7" : : "r"(0x400ul));
}

static bool on_trap(struct frame *f)
{
	if (f->vector == 1)
		disarm();
	if (f->vector < 32)
		traps[f->vector]++;
	else if (++interrupts & 1) /* the others stay in service: those behind them wait */
		apic_write(LAPIC_EOI, 0);
	if (!running) {
		if (f->vector == 2)
			missed();
		return f->vector == 1 || f->vector == 2 || f->vector >= 32;
	}
	rescued += f->vector == 2;
	running = false;
	f->rip = (u64)fuzz_return;
	f->cs = 8;
	f->ss = 0x10;
	f->rflags = 2;
	f->rsp = (u64)(trap_stack + sizeof(trap_stack) - 64);
	return true;
}

static struct {
	u16 limit;
	u64 base;
} __attribute__((packed)) idt_pointer, gdt_pointer_64;

/* Every vector gets a stack of its own (IST1): a program's RSP may point anywhere. */
static void own_tables(void)
{
	static u64 gdt_copy[8];
	static u32 tss[26];
	u64 base = (u64)tss;

	asm volatile("sidt %0; sgdt %1" : "=m"(idt_pointer), "=m"(gdt_pointer_64));
	memcpy(gdt_copy, (void *)gdt_pointer_64.base, 32);
	gdt_copy[4] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		      (base >> 24 & 0xff) << 56;
	gdt_copy[5] = base >> 32;
	gdt_pointer_64.base = (u64)gdt_copy;
	gdt_pointer_64.limit = 6 * 8 - 1;
	*(u64 *)(tss + 9) = (u64)(trap_stack + sizeof(trap_stack));
	for (u32 i = 0; i < 256; i++)
		((u8 *)idt_pointer.base)[16 * i + 4] = 1;
	asm volatile("lgdt %0; ltr %%ax" : : "m"(gdt_pointer_64), "a"(0x20));
}

/* ------------------------------------------------------- the watchdog */

static volatile u8 *watch_regs;

static void watch_config(u32 reg)
{
	outl(0xcf8, 0x80000000 | 1 << 11 | (reg & 0xfc));
}

static void watch_write(u32 reg, u32 value)
{
	*(volatile u16 *)(watch_regs + 0xc) = 0x80;
	*(volatile u16 *)(watch_regs + 0xc) = 0x86;
	*(volatile u32 *)(watch_regs + reg) = value;
}

/* What hangs from here on is ended; what hung before is forgotten. */
static void watch_begin(void)
{
	misses = 0;
	if (watch_regs)
		watch_write(0xc, 0x100);
}

/* ticks: of 0.97 us, of each of its two timers; 0: off */
static void watch_enable(u32 ticks)
{
	watch_config(0);
	if (inl(0xcfc) != 0x25ab8086)
		return;
	watch_config(4);
	outw(0xcfc, 2);
	watch_config(0x10);
	watch_regs = (u8 *)(u64)inl(0xcfc);
	watch_config(0x60);
	outw(0xcfc, 4);
	watch_write(0, ticks);
	watch_write(4, ticks);
	watch_config(0x68);
	outb(0xcfc, ticks ? 2 : 0);
}

/* -------------------------------------------------------------- output */

static char line_out[512];
static u32 line_len;

static void say(const char *s)
{
	while (*s && line_len < sizeof(line_out))
		line_out[line_len++] = *s++;
}

static void say_number(u64 v)
{
	char buf[21], *p = buf + sizeof(buf) - 1;

	*p = 0;
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	say(p);
}

static void say_line(void)
{
	const char *from = line_out;

	say("\r\n");
	asm volatile("rep outsb" : "+S"(from), "+c"(line_len) : "d"(DEBUG_PORT) : "memory");
}

/* Where a pointer register may point. */
static u64 somewhere(void)
{
	switch (below(8)) {
	case 0: return LAPIC_BASE + below(PAGE);
	case 1: return IOAPIC_BASE + below(0x40);
	case 2: return 0xc0000000 + (u64)below(0x3fffffff);
	case 3: return (256ull << 30) + below(0x200000); /* the window */
	case 4: return value();
	case 5: return below(64);
	default: return (u64)scratch + PAGE + below(2 * PAGE);
	}
}

#endif
