/*
 * How fast the TSC counts, measured against the machine's other clocks: ACPI
 * PM timer (ACPI 4.8.3.3), PIT channel 2 (8254), HPET (IA-PC HPET 1.0a). Two are
 * compared; dead ones cost a bounded time.
 */
#ifndef DRIVERS_CLOCK_H
#define DRIVERS_CLOCK_H

#include "arch/types.h"

struct acpi_info;

/* Sets tsc_hz (arch/cpu.h), to a guess at worst; logs what was used. BSP, after kspace_init(). */
void clock_init(const struct acpi_info *acpi);
#endif
