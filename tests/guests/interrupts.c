/*
 * Interrupt delivery: self-IPIs by priority, TPR and CR8, nesting and EOI,
 * the shadow of STI (also over instructions that exit), NMIs and their
 * blocking, HLT, level and edge lines through the IOAPIC, error status. APM Vol. 2 chapters 8 and 16; 82093AA.
 */
#include "lib.h"

const char guest_name[] = "interrupts";

static volatile u32 order[16], orders;
static volatile u64 irq_rip;

static void note_order(struct frame *f)
{
	if (orders < 16)
		order[orders++] = (u32)f->vector;
}

static void note_rip(struct frame *f)
{
	irq_rip = f->rip;
}

static void open_window(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

static void check_ipi_order(const char *mode)
{
	static const u8 sent[] = { 0x51, 0x91, 0x61, 0xe1, 0x62 };
	static const u8 taken[] = { 0xe1, 0x91, 0x62, 0x61, 0x51 };

	orders = 0;
	for (u32 i = 0; i < 5; i++) {
		irq_hook[sent[i]] = note_order;
		apic_self_ipi(sent[i]);
		CHECK(apic_in_irr(sent[i]), "%s: vector %x is not in IRR", mode, sent[i]);
	}
	CHECK(!orders, "%s: an interrupt came with IF = 0", mode);
	open_window();
	CHECK(orders == 5, "%s: %u of 5 self-IPIs", mode, orders);
	for (u32 i = 0; i < 5; i++)
		CHECK(order[i] == taken[i], "%s: number %u was %x, not %x", mode, i, order[i],
		      taken[i]);
	/* The same vector twice while pending: one interrupt. */
	irq_count[0x51] = 0;
	apic_self_ipi(0x51);
	apic_self_ipi(0x51);
	open_window();
	CHECK(irq_count[0x51] == 1, "%s: twice pending came %u times", mode, irq_count[0x51]);
}

static void check_tpr(const char *mode)
{
	irq_count[0x95] = 0;
	write_cr8(9);
	CHECK(apic_read(LAPIC_TPR) == 0x90, "%s: TPR %x after CR8 = 9", mode, apic_read(LAPIC_TPR));
	CHECK(apic_read(LAPIC_PPR) == 0x90, "%s: PPR %x after CR8 = 9", mode, apic_read(LAPIC_PPR));
	apic_self_ipi(0x95);
	open_window();
	CHECK(!irq_count[0x95], "%s: vector 0x95 passes CR8 = 9", mode);
	CHECK(apic_in_irr(0x95), "%s: vector 0x95 is lost", mode);
	sti();
	write_cr8(8); /* opens it */
	asm volatile("nop; nop; cli");
	CHECK(irq_count[0x95] == 1, "%s: 0x95 came %u times after CR8 = 8", mode, irq_count[0x95]);
	apic_write(LAPIC_TPR, 0xa0);
	CHECK(read_cr8() == 10, "%s: CR8 is %lu after TPR = 0xa0", mode, read_cr8());
	apic_self_ipi(0x95);
	open_window();
	CHECK(irq_count[0x95] == 1, "%s: vector 0x95 passes TPR = 0xa0", mode);
	apic_write(LAPIC_TPR, 0);
	open_window();
	CHECK(irq_count[0x95] == 2, "%s: 0x95 did not come after TPR = 0", mode);
	CHECK(!bulkhead || try_cr8(16) == 13, "CR8 takes 16");
}

static volatile u32 low_seen_early;

static void nest(struct frame *f)
{
	(void)f;
	apic_self_ipi(0x62);
	apic_self_ipi(0xb2);
	sti(); /* no EOI yet: 0xb2 may pass, 0x62 may not */
	asm volatile("nop; nop");
	cli();
	low_seen_early = irq_count[0x62];
}

static void check_nesting(const char *mode)
{
	irq_count[0x62] = irq_count[0xb2] = 0;
	irq_hook[0xa1] = nest;
	apic_self_ipi(0xa1);
	open_window();
	CHECK(irq_count[0xb2] == 1, "%s: a higher vector does not nest", mode);
	CHECK(!low_seen_early, "%s: a lower vector nests", mode);
	CHECK(irq_count[0x62] == 1, "%s: the lower vector is lost", mode);
	for (u32 i = 0; i < 8; i++)
		CHECK(!apic_read(LAPIC_ISR + 16 * i), "%s: ISR word %u is not empty", mode, i);
}

/* Where an interrupt that is pending before STI is taken: after the next instruction. */
#define SHADOW(what, insn, open) \
	do { \
		u64 expected = 0; \
		u32 a_ = 0; \
		irq_rip = 0; \
		irq_count[0x71] = 0; \
		apic_self_ipi(0x71); \
		asm volatile("movq $1f, %0\n\t" open "\n\t" insn "\n1:\tnop\n\tnop\n\tcli" \
			     : "=&r"(expected), "+a"(a_) \
			     : \
			     : "rbx", "rcx", "rdx", "memory"); \
		CHECK(irq_count[0x71] == 1, what ": came %u times", irq_count[0x71]); \
		CHECK(irq_rip == expected, what ": taken at %lx, not %lx", irq_rip, expected); \
	} while (0)

static void check_shadows(void)
{
	irq_hook[0x71] = note_rip;
	SHADOW("STI; NOP", "nop", "sti");
	SHADOW("STI; CPUID", "cpuid", "sti");
	SHADOW("STI; IN", "inb $0x21, %%al", "sti");
	SHADOW("STI; OUT", "outb %%al, $0x80", "sti");
	SHADOW("STI; RDMSR", "rdmsr", "movl $0x1b, %%ecx; sti");
	SHADOW("STI; MMIO", "movl (%%rdx), %%eax", "movl $0xfee00020, %%edx; sti");
	SHADOW("STI; IOAPIC", "movl (%%rdx), %%eax", "movl $0xfec00000, %%edx; sti");
	SHADOW("STI; HLT", "hlt", "sti");
	/* CLI within STI's shadow leaves no gap. */
	irq_count[0x71] = 0;
	apic_self_ipi(0x71);
	asm volatile("sti; cli" : : : "memory");
	CHECK(!irq_count[0x71], "STI; CLI lets an interrupt in");
	open_window();
	CHECK(irq_count[0x71] == 1, "the interrupt after STI; CLI is lost");
	/* POPF has no shadow. */
	SHADOW("POPF", "", "pushq $0x202; popfq");
}

/* The timer fires while STI's shadow is up as often as not: taken a NOP early, or late, or lost,
 * an interrupt that should have ended a HLT is one that HLT sleeps through. */
static void check_shadow_against_timer(void)
{
	u64 expected;

	irq_hook[0x72] = note_rip;
	apic_write(LAPIC_LVT_TIMER, 0x72);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb);
	for (u32 round = 0; round < 500; round++) {
		u32 tries = 100000000;

		irq_count[0x72] = 0;
		apic_write(LAPIC_TIMER_INITIAL, 1000 + 7 * round);
		do
			asm volatile("movq $1f, %0; sti; nop; 1: cli"
				     : "=r"(expected)
				     :
				     : "memory");
		while (!irq_count[0x72] && --tries);
		CHECK(irq_count[0x72] == 1, "round %u: the timer came %u times", round,
		      irq_count[0x72]);
		CHECK(irq_rip == expected, "round %u: the timer was taken at %lx, not %lx", round,
		      irq_rip, expected);
	}
}

static volatile u32 nmi_depth, nmi_max, nmis;

static bool on_nmi(struct frame *f)
{
	if (f->vector != 2)
		return false;
	nmis++;
	if (++nmi_depth > nmi_max)
		nmi_max = nmi_depth;
	if (nmis == 1) {
		u32 r[4];

		/* Another one meanwhile: it waits for the IRET, exits or not. */
		if (x2apic)
			wrmsr(0x830, (u64)apic_id() << 32 | 0x400);
		else
			apic_write(LAPIC_ICR, 0x400);
		cpuid(0, 0, r);
		inb(0x21);
	}
	nmi_depth--;
	return true;
}

static void check_nmi(const char *mode)
{
	u32 pm = pm_read();

	nmis = nmi_max = nmi_depth = 0;
	trap_hook = on_nmi;
	if (x2apic) {
		wrmsr(0x830, (u64)apic_id() << 32 | 0x400);
	} else {
		apic_write(LAPIC_ICR_HIGH, apic_id() << 24);
		apic_write(LAPIC_ICR, 0x400);
	}
	while (nmis < 2 && pm_since(pm) < PM_US(3000000))
		cpu_pause();
	trap_hook = NULL;
	CHECK(nmis == 2, "%s: %u NMIs instead of 2", mode, nmis);
	CHECK(nmi_max == 1, "%s: an NMI interrupts the NMI handler", mode);
}

/* COM1's transmitter-empty interrupt as a level-triggered source on pin 4: it
 * stays asserted until IIR is read. */
static volatile u32 level_count;

static void on_level(struct frame *f)
{
	(void)f;
	level_count++;
	CHECK(ioapic_read(0x18) & 1 << 14, "remote IRR is clear during the interrupt");
	if (level_count == 3)
		outb(COM1 + 1, 0);
}

static void check_level(const char *mode)
{
	level_count = 0;
	irq_hook[0x58] = on_level;
	ioapic_route(4, (u64)apic_id() << 56 | 0x8000 | LVT_MASKED | 0x58);
	outb(COM1 + 4, 0xb); /* OUT2: the interrupt gate */
	outb(COM1 + 1, 2);
	wait_count(&level_count, 1, 5000);
	CHECK(!level_count, "%s: a masked pin delivers", mode);
	ioapic_write(0x18, 0x8000 | 0x58);
	CHECK(wait_count(&level_count, 3, 3000000), "%s: a line held high came %u times", mode,
	      level_count);
	wait_count(&level_count, 4, 5000);
	CHECK(level_count == 3, "%s: a lowered line came %u times", mode, level_count);
	CHECK(!(ioapic_read(0x18) & 1 << 14), "%s: remote IRR stays set", mode);
	ioapic_route(4, LVT_MASKED);
	outb(COM1 + 4, 3);
	serial_init();
}

static void check_edge(const char *mode)
{
	irq_count[0x59] = 0;
	irq_hook[0x59] = NULL;
	ioapic_route(4, (u64)apic_id() << 56 | 0x59);
	outb(COM1 + 4, 0xb);
	outb(COM1 + 1, 2);
	CHECK(wait_count(&irq_count[0x59], 1, 3000000), "%s: no edge interrupt", mode);
	wait_count(&irq_count[0x59], 2, 5000);
	CHECK(irq_count[0x59] == 1, "%s: one edge came %u times", mode, irq_count[0x59]);
	ioapic_route(4, LVT_MASKED);
	outb(COM1 + 1, 0);
	serial_init();
}

static void check_apic_errors(void)
{
	apic_write(LAPIC_ESR, 0);
	apic_self_ipi(5); /* illegal vector */
	apic_write(LAPIC_ESR, 0);
	CHECK(!bulkhead || apic_read(LAPIC_ESR) & 0x60, "ESR is %x after an illegal vector",
	      apic_read(LAPIC_ESR));
	apic_write(LAPIC_ESR, 0);
	/* A disabled APIC's LVTs are masked, and accept no IPIs. */
	apic_write(LAPIC_SVR, 0xff);
	CHECK(apic_read(LAPIC_LVT_TIMER) & LVT_MASKED, "LVT timer unmasked in a disabled APIC");
	apic_write(LAPIC_SVR, 0x1ff);
}

static void check_mode(const char *mode)
{
	check_ipi_order(mode);
	check_tpr(mode);
	check_nesting(mode);
	check_nmi(mode);
	check_level(mode);
	check_edge(mode);
}

void guest_main(void)
{
	u32 r[4];

	check_mode("xAPIC");
	check_shadows();
	check_shadow_against_timer();
	check_apic_errors();
	cpuid(1, 0, r);
	if (r[2] & 1 << 21) {
		apic_enter_x2();
		check_mode("x2APIC");
		irq_count[0x52] = 0;
		wrmsr(0x83f, 0x52); /* SELF IPI */
		open_window();
		CHECK(irq_count[0x52] == 1, "x2APIC: SELF IPI came %u times", irq_count[0x52]);
	}
}
