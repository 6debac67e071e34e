/*
 * The real IOAPICs (82093AA datasheet): two registers, index and window, onto
 * a table with one 64-bit entry per pin. Physical destination, fixed delivery.
 * Written during init; later changes under the caller's lock.
 */
#include "drivers/ioapic.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "drivers/acpi.h"

#define REG_VERSION 1
#define REG_TABLE(pin) (0x10 + 2 * (pin))
#define ENTRY_MASKED BIT(16)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_LOW BIT(13)
#define MAX_PINS 240u

static struct {
	volatile u32 *regs;
	u32 gsi_base, pins;
} chips[ACPI_MAX_IOAPICS];
static u32 chip_count;

static u32 chip_read(u32 chip, u32 reg)
{
	chips[chip].regs[0] = reg;
	return chips[chip].regs[4];
}

static void chip_write(u32 chip, u32 reg, u32 value)
{
	chips[chip].regs[0] = reg;
	chips[chip].regs[4] = value;
}

static void set_entry(u32 chip, u32 pin, u64 entry)
{
	/* masked while the halves do not match */
	chip_write(chip, REG_TABLE(pin), ENTRY_MASKED);
	chip_write(chip, REG_TABLE(pin) + 1, (u32)(entry >> 32));
	chip_write(chip, REG_TABLE(pin), (u32)entry);
}

void ioapic_init(const struct acpi_info *acpi)
{
	for (u32 i = 0; i < acpi->ioapic_count; i++) {
		volatile u32 *regs = kmap_mmio(acpi->ioapic[i].base, 0x20, false);
		u32 version;

		if (!regs)
			continue;
		chips[chip_count].regs = regs;
		chips[chip_count].gsi_base = acpi->ioapic[i].gsi_base;
		version = chip_read(chip_count, REG_VERSION);
		chips[chip_count].pins = (version >> 16 & 0xff) + 1;
		if (version == ~0u || chips[chip_count].pins > MAX_PINS) {
			log_warn("no IOAPIC answers at %#llx",
				 (unsigned long long)acpi->ioapic[i].base);
			continue;
		}
		for (u32 pin = 0; pin < chips[chip_count].pins; pin++)
			set_entry(chip_count, pin, ENTRY_MASKED);
		chip_count++;
	}
}

static bool find(u32 gsi, u32 *chip, u32 *pin)
{
	for (u32 i = 0; i < chip_count; i++) {
		if (gsi >= chips[i].gsi_base && gsi - chips[i].gsi_base < chips[i].pins) {
			*chip = i;
			*pin = gsi - chips[i].gsi_base;
			return true;
		}
	}
	return false;
}

enum err ioapic_route(u32 gsi, u8 vector, u32 apic_id, bool level, bool low)
{
	u32 chip, pin;

	if (apic_id > 0xfe)
		return ERR_INVAL;
	if (!find(gsi, &chip, &pin))
		return ERR_NODEV;
	set_entry(chip, pin,
		  (u64)apic_id << 56 | vector | (level ? ENTRY_LEVEL : 0) | (low ? ENTRY_LOW : 0));
	return OK;
}
