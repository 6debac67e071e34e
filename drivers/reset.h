/*
 * The end: power off (ACPI S5, then what emulators know) and reboot (ACPI
 * reset register, 8042, 0xCF9, triple fault). Any CPU, also from a panic.
 */
#ifndef DRIVERS_RESET_H
#define DRIVERS_RESET_H

#include "arch/types.h"

struct acpi_info;

/* Keeps what it needs of the tables. */
void reset_init(const struct acpi_info *acpi);
/* Returns if nothing worked. */
void reset_poweroff(void);
NORETURN void reset_reboot(void);

#endif
