/*
 * A watchdog that stock Linux drives: the Intel 6300ESB's, a PCI function with
 * two timers in a row (driver i6300esb). Only with ABI_VM_WATCHDOG.
 */
#ifndef VMM_WATCHDOG_H
#define VMM_WATCHDOG_H

#include "vmm/lib.h"

void watchdog_init(void); /* PCI device 1, and the PCI window of MMIO */

#endif
