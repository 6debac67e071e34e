/*
 * Storms, without an end: each of them makes the hypervisor work as often as a
 * guest can. A letter on the console says which: i, self-IPIs; n, NMIs to itself;
 * t, the LAPIC timer's shortest period; p, port accesses; l, a level-triggered
 * line that its handler never acknowledges. Says `raging` when the first thousand
 * have come.
 */
#include "lib.h"

const char guest_name[] = "storm";

#define VECTOR 0x50
#define ENOUGH 1000

static volatile u32 came;
static u32 said;

static bool on_trap(struct frame *f)
{
	if (f->vector != 2)
		return false;
	came++;
	return true;
}

static void on_irq(struct frame *f)
{
	(void)f;
	came++;
}

static void say(void)
{
	if (said || came < ENOUGH)
		return;
	said = 1;
	print("raging\n");
}

static void __attribute__((noreturn)) ipi(void)
{
	sti();
	for (;; say())
		apic_self_ipi(VECTOR);
}

static void __attribute__((noreturn)) nmi(void)
{
	apic_write(LAPIC_ICR_HIGH, apic_id() << 24);
	for (;; say())
		apic_write(LAPIC_ICR, 0x400);
}

static void __attribute__((noreturn)) timer(void)
{
	apic_write(LAPIC_LVT_TIMER, 0x20000 | VECTOR);
	apic_write(LAPIC_TIMER_INITIAL, 1);
	sti();
	for (;; say())
		cpu_pause();
}

static void __attribute__((noreturn)) pio(void)
{
	for (;; say()) {
		outb(0x80, 0);
		inb(0x21);
		inl(pm_port);
		came += 3;
	}
}

/* COM1's transmitter-empty interrupt; IIR, which would end it, is never read. */
static void __attribute__((noreturn)) level(void)
{
	ioapic_route(4, (u64)apic_id() << 56 | 0x8000 | VECTOR);
	outb(COM1 + 4, 0xb);
	outb(COM1 + 1, 2);
	sti();
	for (;;) {
		cpu_pause();
		if (!said && came >= ENOUGH) {
			cli();
			outb(COM1 + 1, 0);
			say();
			outb(COM1 + 1, 2);
			sti();
		}
	}
}

void guest_main(void)
{
	int c;

	trap_hook = on_trap;
	irq_hook[VECTOR] = on_irq;
	print("READY %s\n", guest_name);
	while ((c = get_char()) <= 0) /* a NUL is the line's, not a letter */
		cpu_pause();
	switch (c) {
	case 'i': ipi();
	case 'n': nmi();
	case 't': timer();
	case 'p': pio();
	case 'l': level();
	default: fail("no storm \"%c\"", c);
	}
}
