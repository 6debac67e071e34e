/*
 * The configuration and the files that it names, from the volume that the
 * loader was started from (UEFI 2.10, 13.4 and 13.5). Each file gets whole
 * pages with a zeroed tail; one that is missing is recorded with the reason
 * and does not keep the others from starting.
 */
#include "boot/efi_loader.h"

#include "kernel/config.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define CONFIG_PATH "/bulkhead/bulkhead.toml"
#define READ_STEP MIB(4) /* some firmware fails on larger reads */
#define PATH_MAX 128

static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID file_info_guid = EFI_FILE_INFO_ID;

EFI_STATUS volume_open(EFI_FILE_HANDLE *root)
{
	EFI_LOADED_IMAGE_PROTOCOL *image;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;
	EFI_STATUS status;

	status = loader.bs->HandleProtocol(loader.image, &loaded_image_guid, (void **)&image);
	if (EFI_ERROR(status))
		return status;
	status = loader.bs->HandleProtocol(image->DeviceHandle, &file_system_guid, (void **)&fs);
	if (EFI_ERROR(status))
		return status;
	return fs->OpenVolume(fs, root);
}

/* UTF-8 with '/' -> UCS-2 with '\'; what UCS-2 cannot say becomes '?'. */
static void path_widen(CHAR16 *wide, const char *path)
{
	const u8 *s = (const u8 *)path;
	u32 n = 0;

	while (*s && n < PATH_MAX - 1) {
		u32 c = *s++;

		if (c >= 0xe0 && c < 0xf0 && (s[0] & 0xc0) == 0x80 && (s[1] & 0xc0) == 0x80) {
			c = (c & 0xf) << 12 | (s[0] & 0x3fu) << 6 | (s[1] & 0x3fu);
			s += 2;
		} else if (c >= 0xc0 && c < 0xe0 && (s[0] & 0xc0) == 0x80) {
			c = (c & 0x1f) << 6 | (s[0] & 0x3fu);
			s += 1;
		} else if (c >= 0x80) {
			c = '?';
		}
		wide[n++] = c == '/' ? L'\\' : (CHAR16)c;
	}
	wide[n] = 0;
}

static EFI_STATUS file_size(EFI_FILE_HANDLE file, u64 *size, bool *folder)
{
	/* room for the longest name after the fixed part */
	static u64 buffer[(sizeof(EFI_FILE_INFO) + 1024) / 8];
	EFI_FILE_INFO *info = (EFI_FILE_INFO *)buffer;
	UINTN room = sizeof(buffer);
	EFI_STATUS status = file->GetInfo(file, &file_info_guid, &room, info);

	if (EFI_ERROR(status))
		return status;
	*size = info->FileSize;
	*folder = info->Attribute & EFI_FILE_DIRECTORY;
	return EFI_SUCCESS;
}

static EFI_STATUS file_read(EFI_FILE_HANDLE file, u8 *to, u64 size)
{
	while (size > 0) {
		UINTN n = MIN(size, READ_STEP);
		EFI_STATUS status = file->Read(file, &n, to);

		if (EFI_ERROR(status))
			return status;
		if (n == 0) /* shorter than its own size */
			return EFI_VOLUME_CORRUPTED;
		to += n;
		size -= n;
	}
	return EFI_SUCCESS;
}

/*
 * Load a whole file into kept pages with `extra` zero bytes behind it. False:
 * why says what was wrong, in words for the administrator.
 */
static bool file_load(EFI_FILE_HANDLE root, const char *path, u64 extra, hpa_t *base, u64 *size,
		      char *why, u32 why_size)
{
	CHAR16 wide[PATH_MAX];
	EFI_FILE_HANDLE file;
	EFI_STATUS status;
	bool folder = false;
	u8 *to = NULL;

	path_widen(wide, path);
	status = root->Open(root, &file, wide, EFI_FILE_MODE_READ, 0);
	if (status == EFI_NOT_FOUND) {
		str_format(why, why_size, "there is no such file on the boot volume");
		return false;
	}
	if (EFI_ERROR(status)) {
		str_format(why, why_size, "it cannot be opened: %s", status_text(status));
		return false;
	}
	status = file_size(file, size, &folder);
	if (EFI_ERROR(status)) {
		str_format(why, why_size, "it cannot be read: %s", status_text(status));
	} else if (folder) {
		str_format(why, why_size, "it is a folder");
	} else if (*size + extra == 0) {
		str_format(why, why_size, "it is empty");
	} else {
		to = pages_keep(*size + extra, BOOT_MEM_FILE);
		if (!to) {
			str_format(why, why_size, "its %llu KiB do not fit into memory",
				   (unsigned long long)(*size >> 10));
		} else {
			status = file_read(file, to, *size);
			if (EFI_ERROR(status)) {
				str_format(why, why_size, "it cannot be read: %s",
					   status_text(status));
				to = NULL; /* its pages stay allocated: nobody misses them */
			}
		}
	}
	file->Close(file);
	*base = (uintptr_t)to;
	if (!to)
		*size = 0;
	return to != NULL;
}

static void file_want(EFI_FILE_HANDLE root, const char *path)
{
	struct boot_info *info = loader.info;
	struct boot_file *f;

	if (!path[0])
		return;
	for (u32 i = 0; i < info->file_count; i++) {
		if (!strcmp(info->files[i].path, path))
			return;
	}
	if (info->file_count == BOOT_MAX_FILES) {
		say("%s: not loaded, %u files are the limit", path, BOOT_MAX_FILES);
		return;
	}
	f = &info->files[info->file_count++];
	str_format(f->path, sizeof(f->path), "%s", path);
	if (file_load(root, path, 0, &f->base, &f->size, f->why, sizeof(f->why))) {
		say("Loaded %s, %llu KiB", path, (unsigned long long)((f->size + 1023) >> 10));
	} else {
		f->missing = 1;
		say("%s: %s", path, f->why);
	}
}

void files_load(void)
{
	struct boot_info *info = loader.info;
	struct config *config;
	EFI_FILE_HANDLE root;
	EFI_STATUS status = volume_open(&root);
	char why[96];

	str_format(info->config_path, sizeof(info->config_path), "%s", CONFIG_PATH);
	if (EFI_ERROR(status)) {
		say("The volume that Bulkhead was started from cannot be read: %s",
		    status_text(status));
		return;
	}
	if (!file_load(root, CONFIG_PATH, 1, &info->config_base, &info->config_size, why,
		       sizeof(why))) {
		say("%s: %s", CONFIG_PATH, why);
		root->Close(root);
		return;
	}
	config = pages_take(sizeof(*config));
	if (config) {
		/* complaints are the kernel's to make, once it has a console */
		config_parse(config, (const char *)(uintptr_t)info->config_base, info->config_size);
		for (u32 i = 0; i < config->vm_count; i++) {
			file_want(root, config->vm[i].kernel);
			for (u32 k = 0; k < config->vm[i].initrd_count; k++)
				file_want(root, config->vm[i].initrd[k]);
		}
		pages_give(config, sizeof(*config));
	}
	root->Close(root);
}
