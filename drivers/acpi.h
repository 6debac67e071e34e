/*
 * The machine's ACPI tables, read once into one plain structure (ACPI 6.5
 * chapter 5). Tables are firmware's word: every length is checked, a broken
 * table is skipped with a log line, and with no tables at all the PC's
 * constants stand.
 */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include "arch/types.h"

#define ACPI_MAX_CPUS 256
#define ACPI_MAX_IOAPICS 16
#define ACPI_MAX_NMIS 16

/* Generic address structure, the parts that we use. */
struct acpi_gas {
	u8 space; /* 0 memory, 1 port, 2 PCI configuration */
	u8 width; /* bits */
	u64 addr; /* 0: there is none */
};

struct acpi_ioapic {
	u32 id;
	u32 gsi_base;
	hpa_t base;
};

/* How an ISA interrupt arrives. */
struct acpi_irq {
	u32 gsi;
	bool level, low;
};

struct acpi_nmi {
	u32 cpu_uid; /* ~0: all */
	u8 lint;
	bool level, low;
};

struct acpi_info {
	bool present; /* an RSDP and a root table with right checksums */
	bool madt, fadt;
	u32 cpu_count; /* enabled ones in the MADT */
	u32 cpu_apic_id[ACPI_MAX_CPUS];
	hpa_t lapic_base;
	bool has_8259;
	u32 ioapic_count;
	struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
	struct acpi_irq isa[16];
	u32 nmi_count;
	struct acpi_nmi nmi[ACPI_MAX_NMIS];
	hpa_t hpet;	   /* registers; 0: unknown */
	u32 pm_timer_port; /* 0: none */
	bool pm_timer_32bit;
	u32 pm1a_control, pm1b_control; /* ports; 0: none */
	u32 smi_command;		/* port; 0: ACPI mode is on already */
	u8 acpi_enable;			/* value for it */
	bool reset_supported;
	struct acpi_gas reset;
	u8 reset_value;
	bool s5_known;
	u8 s5_typa, s5_typb;
	hpa_t mcfg; /* the table itself; 0: none */
	char oem[7];
};

/* Memory at pa, readable for size bytes, or NULL; called with growing sizes. */
typedef const void *acpi_map_fn(hpa_t pa, size_t size);

/* Never fails: out holds what could be found, and constants for the rest. */
void acpi_parse(hpa_t rsdp, acpi_map_fn *map, struct acpi_info *out);

#endif
