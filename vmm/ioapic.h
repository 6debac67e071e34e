/*
 * The I/O APIC (Intel 82093AA, with the version 0x20 EOI register): 24 pins to
 * interrupt messages.
 */
#ifndef VMM_IOAPIC_H
#define VMM_IOAPIC_H

#include "vmm/lib.h"

/* All pins masked. Claims its MMIO page. */
void ioapic_init(void);

/* Drives a pin. For vmm/irq.c. */
void ioapic_set(u32 pin, bool level);

/* Whether an edge on the pin would be sent as a message. */
bool ioapic_wanted(u32 pin);

/* A local APIC ended a level-triggered vector: pins that are still high ask again. */
void ioapic_eoi(u8 vector);

#endif
