/*
 * The real IOAPICs (82093AA): a global system interrupt to a vector on one
 * CPU. All pins are masked at init. BSP during init; later under the caller's lock.
 */
#ifndef DRIVERS_IOAPIC_H
#define DRIVERS_IOAPIC_H

#include "arch/types.h"

struct acpi_info;

/* Maps and masks every IOAPIC of the MADT, or the PC's one at 0xFEC00000. */
void ioapic_init(const struct acpi_info *acpi);
/* ERR_NODEV when no IOAPIC has that GSI, ERR_INVAL for an APIC id that it cannot address. */
enum err ioapic_route(u32 gsi, u8 vector, u32 apic_id, bool level, bool low) MUST_CHECK;

#endif
