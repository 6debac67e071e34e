/*
 * Interrupt wires. One word holds their levels, so that a chip hears of changes
 * only. No lock: upcalls of a VM never overlap.
 */
#include "vmm/irq.h"

#include "vmm/board.h"
#include "vmm/ioapic.h"
#include "vmm/pic.h"

static u32 levels; /* bit n: wire n is high */
static u32 lazy_irq;
static void (*lazy_sync)(void); /* of lazy_irq; NULL: none */

static u32 pin_of(u32 irq)
{
	return irq == BOARD_IRQ_PIT ? BOARD_GSI_PIT : irq;
}

void irq_init(void)
{
	levels = 0;
	lazy_sync = NULL;
}

void irq_set(u32 irq, bool level)
{
	if (irq >= BOARD_IOAPIC_PINS || irq == BOARD_IRQ_CASCADE)
		return;
	if ((levels >> irq & 1) == level)
		return;
	levels ^= 1u << irq;
	if (irq < BOARD_ISA_IRQS)
		pic_set(irq, level);
	ioapic_set(pin_of(irq), level);
}

bool irq_wanted(u32 irq)
{
	return (irq < BOARD_ISA_IRQS && pic_wanted(irq)) || ioapic_wanted(pin_of(irq));
}

void irq_lazy(u32 irq, void (*sync)(void))
{
	lazy_irq = irq;
	lazy_sync = sync;
}

void irq_sync(u32 irq)
{
	if (lazy_sync && irq == lazy_irq)
		lazy_sync();
}
