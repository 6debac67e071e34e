/*
 * Listens to the ACPI power button (ACPI 6.5, 4.8.3.1): enabled in PM1_EN, seen
 * as an SCI through the IOAPIC and in PM1_STS, which is cleared by writing it;
 * then powers off by \_S5. With the word "deaf" in its command line it takes
 * the interrupt and stays.
 */
#include "lib.h"

const char guest_name[] = "powerbutton";

#define VECTOR 0x60
#define SCI 9
#define POWER_BUTTON 0x100
#define S5 5 /* as acpioff finds it in the DSDT */

static u16 events; /* PM1_STS, PM1_EN behind it */
static volatile u16 seen;

static void on_sci(struct frame *f UNUSED)
{
	u16 sts = inw(events);

	seen |= sts;
	outw(events, sts); /* level-triggered: low again */
}

void guest_main(void)
{
	events = (u16)acpi_field("FACP", 56, 4);
	if (!events || !pm_control || acpi_field("FACP", 46, 2) != SCI) {
		fail("no PM1 events (%x), no PM1 control (%x) or another SCI", events, pm_control);
		return;
	}
	CHECK(!(acpi_field("FACP", 112, 4) & 0x10), "the power button is no fixed feature");
	apic_init();
	irq_hook[VECTOR] = on_sci;
	ioapic_route(SCI, (u64)apic_id() << 56 | 0x8000 | VECTOR);
	outw(events, 0xffff);
	outw((u16)(events + 2), POWER_BUTTON);
	print("READY %s\n", guest_name);
	while (!(seen & POWER_BUTTON))
		asm volatile("sti; hlt; cli" : : : "memory");
	print("PRESSED, %u interrupt%s\n", irq_count[VECTOR], irq_count[VECTOR] == 1 ? "" : "s");
	if (option("deaf"))
		for (;;)
			asm volatile("sti; hlt; cli" : : : "memory");
	outw(pm_control, (u16)(S5 << 10 | 0x2000));
	spin_us(1000000);
	fail("still running");
}
