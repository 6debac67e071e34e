/*
 * What only firmware knows, beside memory and CPUs: the ACPI root pointer
 * (from the configuration table alone: the legacy scan fails on UEFI
 * machines), the date, the vendor (UEFI 2.10, 4.6 and 8.3).
 */
#include "boot/efi_loader.h"

#include "arch/x86.h"
#include "kernel/wall_time.h"
#include "kernel/print.h"
#include "kernel/string.h"

static EFI_GUID acpi_2 = ACPI_20_TABLE_GUID;
static EFI_GUID acpi_1 = ACPI_TABLE_GUID;

static hpa_t table_find(const EFI_GUID *guid)
{
	EFI_SYSTEM_TABLE *st = loader.st;

	for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
		if (!memcmp(&st->ConfigurationTable[i].VendorGuid, guid, sizeof(*guid)))
			return (hpa_t)(uintptr_t)st->ConfigurationTable[i].VendorTable;
	}
	return 0;
}

static void clock_read(struct boot_info *info)
{
	EFI_TIME t;

	memset(&t, 0, sizeof(t));
	if (EFI_ERROR(loader.st->RuntimeServices->GetTime(&t, NULL)))
		return;
	info->wall_time_tsc = rdtsc();
	info->wall_time = wall_time(t.Year, t.Month, t.Day, t.Hour, t.Minute, t.Second);
	/* local time = UTC - TimeZone minutes; unspecified: taken for UTC */
	if (info->wall_time && t.TimeZone != EFI_UNSPECIFIED_TIMEZONE && t.TimeZone >= -1440 &&
	    t.TimeZone <= 1440)
		info->wall_time += (s64)t.TimeZone * 60;
}

void firmware_collect(void)
{
	struct boot_info *info = loader.info;
	const CHAR16 *vendor = loader.st->FirmwareVendor;
	char name[40];
	u32 n = 0;

	for (; vendor && vendor[n] && n < sizeof(name) - 1; n++)
		name[n] = vendor[n] >= 0x20 && vendor[n] < 0x7f ? (char)vendor[n] : '?';
	name[n] = '\0';
	str_format(info->firmware, sizeof(info->firmware), "%s, UEFI %u.%u", n ? name : "unknown",
		   loader.st->Hdr.Revision >> 16, (loader.st->Hdr.Revision & 0xffff) / 10);
	info->rsdp = table_find(&acpi_2);
	if (!info->rsdp)
		info->rsdp = table_find(&acpi_1);
	clock_read(info);
	say("Firmware: %s%s", info->firmware, info->rsdp ? "" : ", no ACPI tables");
}
