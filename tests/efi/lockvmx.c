/*
 * Firmware that has switched VT-x off and locked it, for a test: sets the lock
 * bit alone in IA32_FEATURE_CONTROL (Intel SDM Vol. 3C, 24.7) of the boot CPU,
 * then starts \bulkhead\next.efi from its own volume and comes back with what
 * that returns.
 */
#include <efi.h>
#include <efilib.h>

#define MSR_FEATURE_CONTROL 0x3a
#define LOCKED 1

static void wrmsr(UINT32 msr, UINT64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((UINT32)value), "d"((UINT32)(value >> 32)));
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_LOADED_IMAGE *self;
	EFI_DEVICE_PATH *path;
	EFI_HANDLE next;
	EFI_STATUS status;

	InitializeLib(image, system);
	wrmsr(MSR_FEATURE_CONTROL, LOCKED);
	status = BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&self);
	if (EFI_ERROR(status))
		return status;
	path = FileDevicePath(self->DeviceHandle, L"\\bulkhead\\next.efi");
	status = BS->LoadImage(FALSE, image, path, NULL, 0, &next);
	if (EFI_ERROR(status))
		return status;
	return BS->StartImage(next, NULL, NULL);
}
