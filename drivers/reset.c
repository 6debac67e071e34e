/*
 * Power-off and reboot (ACPI 6.5 4.8.3.2 and 4.8.3.6, and the PC's older
 * ways). Each attempt is followed by a bounded wait for the machine to go.
 * The tables are read once, at reset_init(); nothing else is shared.
 */
#include "drivers/reset.h"
#include "arch/cpu.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/x86.h"
#include "drivers/acpi.h"

#define SCI_EN BIT(0)
#define SLP_EN BIT(13)
#define SLP_TYP_SHIFT 10
#define SLP_TYP_MASK (7u << SLP_TYP_SHIFT)
#define WAIT_US 50000u
#define PIIX4_PM1_CONTROL 0xb004 /* QEMU's i440FX; Bochs' too */

static struct acpi_info info;
static volatile u8 *reset_memory;

void reset_init(const struct acpi_info *acpi)
{
	info = *acpi;
	if (info.reset_supported && info.reset.space == 0)
		reset_memory = kmap_mmio(info.reset.addr, 1, false);
}

/* Some firmware hands over before ACPI mode is on: PM1 control is dead then. */
static void enable_acpi(void)
{
	if (!info.smi_command || !info.acpi_enable || (inw((u16)info.pm1a_control) & SCI_EN))
		return;
	outb((u16)info.smi_command, info.acpi_enable);
	for (u32 i = 0; i < 100 && !(inw((u16)info.pm1a_control) & SCI_EN); i++)
		cpu_delay_us(1000);
}

static void sleep_by(u32 port, u8 type)
{
	u32 value;

	if (!port)
		return;
	value = inw((u16)port) & ~(u32)SLP_TYP_MASK;
	value |= (u32)type << SLP_TYP_SHIFT;
	outw((u16)port, (u16)value);
	outw((u16)port, (u16)(value | SLP_EN));
}

void reset_poweroff(void)
{
	static const char bochs[] = "Shutdown";

	if (info.pm1a_control && info.s5_known) {
		enable_acpi();
		sleep_by(info.pm1a_control, info.s5_typa);
		sleep_by(info.pm1b_control, info.s5_typb);
		cpu_delay_us(WAIT_US);
	}
	for (u32 i = 0; bochs[i]; i++)
		outb(0x8900, (u8)bochs[i]);
	cpu_delay_us(WAIT_US);
	if (!info.present) {
		outw(PIIX4_PM1_CONTROL, SLP_EN);
		cpu_delay_us(WAIT_US);
	}
	log_error("this machine does not power off");
}

static void reset_by_acpi(void)
{
	if (!info.reset_supported)
		return;
	if (info.reset.space == 1 && info.reset.addr <= 0xffff)
		outb((u16)info.reset.addr, info.reset_value);
	else if (info.reset.space == 0 && reset_memory)
		*reset_memory = info.reset_value;
	cpu_delay_us(WAIT_US);
}

static void reset_by_8042(void)
{
	for (u32 i = 0; i < 1000 && (inb(0x64) & 2); i++)
		cpu_delay_us(10);
	outb(0x64, 0xfe);
	cpu_delay_us(WAIT_US);
}

static void reset_by_cf9(void)
{
	outb(0xcf9, 0x02);
	cpu_delay_us(100);
	outb(0xcf9, 0x06);
	cpu_delay_us(WAIT_US);
}

void reset_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} PACKED none = { 0, 0 };

	cli();
	reset_by_acpi();
	reset_by_8042();
	reset_by_cf9();
	__asm__ volatile("lidt %0\n\tint3" ::"m"(none));
	cpu_halt();
}
