/*
 * The guest fuzzer: executes programs of random operations, each made from a
 * seed, so that a seed does the same again. A line `p TEXT` on the console is
 * answered with `pong TEXT`; `r SEED COUNT TICKS MASKED` runs COUNT programs from SEED
 * on, says the seed of each before it starts, and then ends with PASS. What hangs is
 * ended by the watchdog, whose two timers get TICKS of 0.97 us; MASKED says how often
 * interrupts are off (fuzz_ops.h). Between two programs
 * all is put back that is known to last. Whatever a program does to this guest (a
 * triple fault, a power-off, a hang) is its own loss; a neighbour and the host are
 * judged.
 */
#include "fuzz_ops.h"

const char guest_name[] = "fuzz";

/* What the next program is not to find. */
static void clean_up(void)
{
	while (changes) {
		changes--;
		try_wrmsr(changed[changes].msr, changed[changes].value);
	}
	for (u32 reg = 0x10; reg < 0x40; reg += 2)
		if (routed >> reg & 3)
			ioapic_write(reg, LVT_MASKED);
	routed = 0;
	try_wrmsr(MSR_APIC_BASE, 0xfee00100);
	try_wrmsr(MSR_APIC_BASE, 0xfee00900);
	x2apic = false; /* that was a reset of the LAPIC */
	apic_write(LAPIC_SVR, 0x1ff);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb);
	if (pic_touched)
		pic_init(0x20);
	if (serial_touched)
		serial_init();
	if (armed)
		disarm();
	pic_touched = serial_touched = armed = false;
	for (u32 msr = 0xc0000100; msr <= 0xc0000102; msr++) /* bases of FS and GS */
		wrmsr(msr, 0);
	window_dir[0] = 0;
	asm volatile("invlpg (%0); fninit" : : "r"(256ull << 30) : "memory");
}

static void fill(void *to, u64 with, u64 bytes)
{
	bytes /= 8;
	asm volatile("rep stosq" : "+D"(to), "+c"(bytes) : "a"(with) : "memory");
}

static void program(u64 seed)
{
	static void (*const operations[])(void) = {
		random_instruction, random_instruction, memory_access,	     memory_access,
		port_access,	    msr_access,		system_instruction,  hypercall,
		cpuid_leaf,	    table_entry,	interrupt_operation,
	};

	state = seed * 0xd1342543de82ef95 + 1;
	fill(scratch, any(), sizeof(scratch));
	fill(code, ~0ull / 255 * 0xcc, sizeof(code));
	outl(0xcf8, 0x80000000 | below(64) * 4); /* the host bridge, not the watchdog */
	if (seed & 1)				 /* three exits: not each time */
		watch_begin();
	for (u32 i = 0; i < OPERATIONS; i++) {
		u32 before = rescued, which = below(ARRAY_SIZE(operations));

		operations[which]();
		if (rescued != before) {
			say("rescued ");
			say_number(seed);
			say(" operation ");
			say_number(which);
			say_line();
		}
	}
	clean_up();
}

/* ------------------------------------------------------------- console */

static u64 number(const char **p)
{
	u64 v = 0;

	while (**p == ' ')
		(*p)++;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		v = v * 10 + (u64)(**p - '0');
	return v;
}

static void read_line(char *line, u32 size)
{
	u32 n = 0;
	int c;

	while ((c = get_char()) != '\n' && c != '\r') {
		if (c >= 0 && n + 1 < size)
			line[n++] = (char)c;
		for (u32 i = 0; c < 0 && i < 1000; i++)
			cpu_pause();
	}
	line[n] = 0;
}

/* How often each trap came since the last time. */
static void say_traps(u64 seed)
{
	say("traps ");
	say_number(seed);
	for (u32 i = 0; i < 32; i++) {
		if (!traps[i])
			continue;
		say(" #");
		say_number(i);
		say("=");
		say_number(traps[i]);
		traps[i] = 0;
	}
	say(" interrupts=");
	say_number(interrupts);
	interrupts = 0;
	say_line();
}

static void run(u64 seed, u64 count, u32 ticks)
{
	watch_enable(ticks);
	for (u64 i = 1; i <= count; i++, seed++) {
		say("seed ");
		say_number(seed);
		say_line();
		program(seed);
		if (i % 32 == 0 || i == count)
			say_traps(seed);
	}
	watch_enable(0);
}

void guest_main(void)
{
	char line[80];
	const char *p = line + 1;
	u64 seed, count;
	u32 ticks;

	own_tables();
	trap_hook = on_trap;
	base_cr0 = read_cr0();
	base_cr3 = read_cr3();
	base_cr4 = read_cr4();
	base_efer = rdmsr(MSR_EFER);
	print("READY %s\n", guest_name);
	for (;;) {
		read_line(line, sizeof(line));
		if (*line == 'r')
			break;
		if (*line == 'p') {
			say("pong ");
			say(line + 1);
			say_line();
		}
	}
	seed = number(&p);
	count = number(&p);
	ticks = (u32)number(&p);
	masked = (u32)number(&p);
	run(seed, count, ticks);
}
