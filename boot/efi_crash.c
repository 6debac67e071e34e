/*
 * The record of a panic of the run before (kernel/crashlog.h): it lies in
 * memory reserved at a fixed address, which a warm reset leaves alone. If one
 * is there, it is kept for the kernel to show and written to the boot volume.
 * Nothing of this ever keeps the machine from starting (UEFI 2.10, 7.2, 13.5).
 */
#include "boot/efi_loader.h"

#include "kernel/crashlog.h"
#include "kernel/string.h"

#define FILE_NAME L"crash.txt"
#define FILE_PATH L"\\bulkhead\\" FILE_NAME
#define NEW_FILE L"\\bulkhead\\crash.new"
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

static EFI_STATUS write_all(EFI_FILE_HANDLE file, const char *text, u32 len)
{
	UINTN n = len;
	EFI_STATUS status = file->Write(file, &n, (void *)text);

	if (!EFI_ERROR(status) && n != len)
		status = EFI_VOLUME_FULL;
	return EFI_ERROR(status) ? status : file->Flush(file);
}

/* A file's new name, in the same folder. */
static EFI_STATUS name_file(EFI_FILE_HANDLE file, const CHAR16 *name, UINTN size)
{
	static EFI_GUID guid = EFI_FILE_INFO_ID;
	static u64 buffer[(sizeof(EFI_FILE_INFO) + 1024) / 8];
	EFI_FILE_INFO *info = (EFI_FILE_INFO *)buffer;
	UINTN room = sizeof(buffer);
	EFI_STATUS status = file->GetInfo(file, &guid, &room, info);

	if (EFI_ERROR(status))
		return status;
	memcpy(info->FileName, name, size);
	info->Size = SIZE_OF_EFI_FILE_INFO + size;
	return file->SetInfo(file, &guid, info->Size, info);
}

/* Delete closes it, too, whatever it says. */
static void delete_file(EFI_FILE_HANDLE root, CHAR16 *path)
{
	EFI_FILE_HANDLE file;

	if (!EFI_ERROR(root->Open(root, &file, path, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE, 0)))
		file->Delete(file);
}

/* Under another name first: the old one is there until the new one is whole. */
static EFI_STATUS write_file(const char *text, u32 len)
{
	EFI_FILE_HANDLE root, file;
	EFI_STATUS status = volume_open(&root);

	if (EFI_ERROR(status))
		return status;
	delete_file(root, NEW_FILE); /* that it did not come to replace */
	status = root->Open(root, &file, NEW_FILE,
			    EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE | EFI_FILE_MODE_CREATE, 0);
	if (!EFI_ERROR(status)) {
		status = write_all(file, text, len);
		if (EFI_ERROR(status)) {
			file->Delete(file);
		} else {
			delete_file(root, FILE_PATH);
			status = name_file(file, FILE_NAME, sizeof(FILE_NAME));
			file->Close(file);
		}
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
	if (text || !len) /* else nobody has seen it yet */
		crashlog_clear(c);
}
