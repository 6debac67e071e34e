/*
 * The DSDT's body: what stands on the board, in AML (ACPI 6.5, chapter 20).
 */
#ifndef VMM_ACPI_DSDT_H
#define VMM_ACPI_DSDT_H

#include "kernel/abi.h"

/* Writes the definition block (without table header) to buf. Returns its
 * length; 0: it needs more than cap bytes. */
u32 dsdt_build(u8 *buf, u32 cap);

#endif
