/*
 * PCI configuration mechanism #1 with nothing on the bus but its host bridge
 * (PCI Local Bus 3.0, 3.2.2.3).
 */
#ifndef VMM_PCIHOST_H
#define VMM_PCIHOST_H

#include "vmm/lib.h"

void pcihost_init(void); /* claims its ports, the reset control register among them */

#endif
