/*
 * PCI configuration mechanism #1: on the bus are its host bridge and the
 * functions that are added (PCI Local Bus 3.0, 3.2.2.3).
 */
#ifndef VMM_PCIHOST_H
#define VMM_PCIHOST_H

#include "vmm/lib.h"

/* Configuration space of a device's only function. */
struct pci_function {
	u32 (*read)(u32 reg);		  /* aligned to 4, below 256 */
	void (*write)(u32 reg, u8 value); /* one byte, any offset below 256 */
};

/* device: 1 to 31, after pcihost_init(); kept by pointer. */
void pcihost_add(u32 device, const struct pci_function *f);

void pcihost_init(void); /* claims its ports, the reset control register among them */

#endif
