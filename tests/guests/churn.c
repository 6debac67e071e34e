/*
 * Holds all that a VM's end must give back: its LAPIC timer, the PIT and the
 * RTC tick, the power button is enabled and obeyed. Says `alive` once it has had
 * several ticks of each; the word on the command line says how it goes on: none:
 * it sleeps; "busy": it computes; "die": a triple fault; "again": a reset.
 */
#include "lib.h"

const char guest_name[] = "churn";

#define VEC_LAPIC 0x50
#define VEC_PIT 0x51
#define VEC_RTC 0x52
#define VEC_SCI 0x60
#define POWER_BUTTON 0x100
#define S5 5 /* as acpioff finds it in the DSDT */

extern u8 null_idt[];

static u16 events; /* PM1_STS, PM1_EN behind it */
static volatile u16 seen;

static u8 cmos_read(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void cmos_write(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static void on_rtc(struct frame *f)
{
	(void)f;
	cmos_read(0xc);
}

static void on_sci(struct frame *f)
{
	u16 sts = inw(events);

	(void)f;
	seen |= sts;
	outw(events, sts);
}

static void route(u32 pin, u8 vector, bool level)
{
	ioapic_route(pin, (u64)apic_id() << 56 | (level ? 0x8000 : 0) | vector);
}

static void start_timers(void)
{
	apic_write(LAPIC_LVT_TIMER, 0x20000 | VEC_LAPIC); /* periodic */
	apic_write(LAPIC_TIMER_INITIAL, 5000000);
	route(2, VEC_PIT, false);
	outb(0x43, 0x34); /* channel 0, mode 2, 200 Hz */
	outb(0x40, 5966 & 0xff);
	outb(0x40, 5966 >> 8);
	irq_hook[VEC_RTC] = on_rtc;
	route(8, VEC_RTC, false);
	cmos_write(0xa, 0x29); /* 128 Hz */
	cmos_write(0xb, cmos_read(0xb) | 0x40);
	cmos_read(0xc);
}

static void listen(void)
{
	events = (u16)acpi_field("FACP", 56, 4);
	irq_hook[VEC_SCI] = on_sci;
	route(9, VEC_SCI, true);
	outw(events, 0xffff);
	outw((u16)(events + 2), POWER_BUTTON);
}

static void step(bool busy)
{
	sti();
	for (u32 i = 0; busy && i < 100000; i++)
		cpu_pause();
	if (!busy)
		asm volatile("hlt");
	cli();
}

void guest_main(void)
{
	bool busy = option("busy"), alive = false;

	print("READY %s\n", guest_name);
	listen();
	start_timers();
	while (!(seen & POWER_BUTTON)) {
		step(busy);
		if (alive || irq_count[VEC_LAPIC] < 3 || irq_count[VEC_PIT] < 3 ||
		    irq_count[VEC_RTC] < 3)
			continue;
		alive = true;
		print("alive\n");
		if (option("die"))
			asm volatile("lidt (%0); ud2" : : "r"(null_idt));
		if (option("again"))
			outb(0xcf9, 6);
	}
	outw(pm_control, (u16)(S5 << 10 | 0x2000));
	spin_us(1000000);
	fail("still running");
}
