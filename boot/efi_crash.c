/*
 * The record of a panic of the run before (kernel/crashlog.h): it lies in
 * memory reserved at a fixed address, which a warm reset leaves alone. If one
 * is there, it is kept for the kernel to show and written to the boot volume.
 * Nothing of this ever keeps the machine from starting (UEFI 2.10, 7.2, 13.5).
 */
#include "boot/efi_loader.h"

#include "kernel/crashlog.h"
#include "kernel/string.h"

#define FILE_NAME L"\\bulkhead\\crash.txt"
#define FILE_SHOWN "/bulkhead/crash.txt"

/* Where firmware hardly ever has something; the first that is free counts, and
 * is the same at each boot of a machine. */
static const EFI_PHYSICAL_ADDRESS places[] = { MIB(16), MIB(32), MIB(64), MIB(256), MIB(1024) };

static EFI_STATUS reserve(EFI_PHYSICAL_ADDRESS *at)
{
	EFI_STATUS status = EFI_NOT_FOUND;

	for (u32 i = 0; i < ARRAY_SIZE(places) && EFI_ERROR(status); i++) {
		*at = places[i];
		status = loader.bs->AllocatePages(AllocateAddress, EfiReservedMemoryType,
						  CRASHLOG_SIZE / PAGE_SIZE, at);
	}
	return status;
}

static EFI_STATUS write_file(const char *text, u32 len)
{
	EFI_FILE_HANDLE root, file;
	EFI_STATUS status = volume_open(&root), closed;
	UINTN n = len;

	if (EFI_ERROR(status))
		return status;
	/* the old one may be longer; what Delete says does not matter: it closes, too */
	if (!EFI_ERROR(root->Open(root, &file, FILE_NAME, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE,
				  0)))
		file->Delete(file);
	status = root->Open(root, &file, FILE_NAME,
			    EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE | EFI_FILE_MODE_CREATE, 0);
	if (!EFI_ERROR(status)) {
		status = file->Write(file, &n, (void *)text);
		closed = file->Close(file);
		if (!EFI_ERROR(status))
			status = n == len ? closed : EFI_VOLUME_FULL;
	}
	root->Close(root);
	return status;
}

void crash_collect(void)
{
	EFI_PHYSICAL_ADDRESS at;
	struct crashlog *c;
	EFI_STATUS status = reserve(&at);
	char *text;
	u32 len;

	if (EFI_ERROR(status))
		return; /* a panic will leave no record */
	c = (struct crashlog *)(uintptr_t)at;
	loader.info->crash_area = at;
	len = crashlog_check(c, CRASHLOG_SIZE);
	text = len ? pages_keep(len + 1, BOOT_MEM_FILE) : NULL;
	if (text) {
		memcpy(text, c->text, len);
		loader.info->crash_text = (uintptr_t)text;
		loader.info->crash_len = len;
		status = write_file(text, len);
		if (EFI_ERROR(status))
			say("The last run ended in a panic; " FILE_SHOWN " cannot be written: %s",
			    status_text(status));
		else
			say("The last run ended in a panic: see " FILE_SHOWN);
	}
	crashlog_clear(c);
}
