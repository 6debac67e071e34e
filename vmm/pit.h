/*
 * The 8254 interval timer and port 0x61 (Intel 8254 datasheet): channel 0 to
 * IRQ 0, channel 2 with its gate and output in port B.
 */
#ifndef VMM_PIT_H
#define VMM_PIT_H

#include "vmm/lib.h"

/* As firmware leaves it: channel 0 at 18.2 Hz. Claims its ports. */
void pit_init(void);

#endif
