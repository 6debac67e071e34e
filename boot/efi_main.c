/*
 * BOOTX64.EFI: finds configuration and files, collects what only firmware
 * knows, silences devices, leaves firmware and enters the kernel (UEFI 2.10,
 * sections 4, 7 and 13). Until memory_leave_firmware() everything can still
 * go back to firmware with an error.
 */
#include "boot/efi_loader.h"

struct loader loader;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_STATUS status;

	loader.image = image;
	loader.st = st;
	loader.bs = st->BootServices;
	loader.bs->SetWatchdogTimer(0, 0, 0, NULL);

	prompt("Bulkhead " BULKHEAD_VERSION);
	status = cpu_check();
	if (EFI_ERROR(status))
		return status;
	loader.info = pages_take(sizeof(*loader.info));
	if (!loader.info)
		return refuse(EFI_OUT_OF_RESOURCES, "There is no memory for Bulkhead.");
	loader.info->magic = BOOT_MAGIC;
	loader.info->version = BOOT_VERSION;

	prompt("Press any key now to start no VM.");
	firmware_collect();
	crash_collect();
	cpu_collect();
	status = kernel_load();
	if (EFI_ERROR(status))
		return status;
	files_load();
	if (key_pressed()) {
		loader.info->skip_autostart = 1;
		say("A key was pressed: no VM will be started.");
	}
	status = kernel_map();
	if (EFI_ERROR(status))
		return status;
	say("Leaving firmware: %u CPUs, %llu MiB free", loader.info->cpu_count,
	    (unsigned long long)(memory_free() >> 20));

	pci_disconnect();
	status = memory_leave_firmware();
	if (EFI_ERROR(status))
		return refuse(status, "The firmware does not let go: %s.", status_text(status));
	pci_stop_bus_masters();
	kernel_enter();
}
