/*
 * The guest's ACPI tables (ACPI 6.5, chapter 5), written into the reserved
 * hole below 1 MiB, with the RSDP where a legacy scan finds it.
 */
#ifndef VMM_ACPI_TABLES_H
#define VMM_ACPI_TABLES_H

#include "kernel/abi.h"

/* Writes all tables for vm->vcpus processors; returns the RSDP's guest-physical
 * address, 0 when guest RAM does not reach there. */
gpa_t acpi_build(void);

#endif
