/*
 * The virtual PC's interrupt wires: from a device's line to the 8259 pair and
 * the IOAPIC at once, as on a board with both. Wires are active high here,
 * whatever polarity a guest programs.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include "vmm/lib.h"

/* All wires low, no lazy source. */
void irq_init(void);

/*
 * Drives a wire. irq: 0 to 15 the ISA lines (2, the cascade, is nobody's),
 * 16 to 23 the IOAPIC pins of that number; others are ignored.
 */
void irq_set(u32 irq, bool level);

/* Whether a rising edge on this wire could reach a CPU or change anything now. */
bool irq_wanted(u32 irq);

/*
 * Registers the one source (the PIT) that computes its edges instead of being
 * woken for each. sync() brings its wire up to date and looks at irq_wanted().
 */
void irq_lazy(u32 irq, void (*sync)(void));

/*
 * For PIC and IOAPIC: somebody is about to look at this wire's request, or
 * its mask changes (call before and after).
 */
void irq_sync(u32 irq);

#endif
