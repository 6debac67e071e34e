/*
 * ACPI fixed hardware (ACPI 6.5, 4.8): PM1 event and control, PM timer, one
 * general-purpose event block. Always in ACPI mode. SCI.
 */
#ifndef VMM_PM_H
#define VMM_PM_H

#include "vmm/lib.h"

void pm_init(void); /* claims its ports */

/* Presses the power button: an SCI, if the guest wants one; false: it does not. */
bool pm_power_button(void);

#endif
