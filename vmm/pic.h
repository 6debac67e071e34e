/*
 * The pair of 8259A interrupt controllers with ELCR (Intel 8259A datasheet;
 * ELCR as in the 82371). Wires come from vmm/irq.h, INTR goes to LINT0.
 */
#ifndef VMM_PIC_H
#define VMM_PIC_H

#include "vmm/lib.h"

/* As firmware leaves them: vectors 0x08 and 0x70, all masked. Claims its ports. */
void pic_init(void);

/* Drives input irq, 0 to 15. For vmm/irq.c. */
void pic_set(u32 irq, bool level);

/* Whether a rising edge on irq would change INTR, now or once others are served. */
bool pic_wanted(u32 irq);

/*
 * The interrupt acknowledge cycle: -> the vector. If nothing asks any more,
 * the spurious vector of the chip that could not answer (IR7, not in service).
 */
u32 pic_ack(void);

#endif
