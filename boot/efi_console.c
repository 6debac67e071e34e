/*
 * The loader's words: ConOut (UEFI 2.10, 12.4), boot_info.log, and COM1 for
 * what keeps Bulkhead from starting. Firmware whose console is already on a
 * serial line is not told twice: the ConOut variable's device path says so.
 */
#include "boot/efi_loader.h"

#include "arch/x86.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define LINE 240
#define COM1 0x3f8
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define LSR_THRE 0x20
#define REFUSE_SECONDS 3
#define KEY_POLLS 25
#define KEY_POLL_US 10000
#define SCAN_ESC_KEY 0x17

static EFI_GUID global_variable = EFI_GLOBAL_VARIABLE;

static void console_write(const char *text)
{
	CHAR16 wide[LINE + 3];
	u32 n = 0;

	if (!loader.st->ConOut)
		return;
	while (n < LINE && text[n]) {
		wide[n] = (u8)text[n] < 0x80 ? (CHAR16)text[n] : L'?';
		n++;
	}
	wide[n++] = L'\r';
	wide[n++] = L'\n';
	wide[n] = 0;
	loader.st->ConOut->OutputString(loader.st->ConOut, wide);
}

void prompt(const char *text)
{
	console_write(text);
}

static void log_append(const char *text)
{
	struct boot_info *info = loader.info;
	u32 n = (u32)strlen(text);

	if (!info || info->log_len + n + 2 > BOOT_LOG_SIZE)
		return;
	memcpy(info->log + info->log_len, text, n);
	info->log_len += n;
	info->log[info->log_len++] = '\n';
	info->log[info->log_len] = '\0';
}

void say(const char *fmt, ...)
{
	char text[LINE];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	console_write(text);
	log_append(text);
}

/* Device path nodes (UEFI 2.10, 10.3): messaging, UART. */
static bool path_has_uart(const u8 *path, UINTN size)
{
	while (size >= 4) {
		u32 length = path[2] | (u32)path[3] << 8;

		if (path[0] == 3 && path[1] == 14)
			return true;
		if (length < 4 || length > size)
			return false;
		path += length;
		size -= length;
	}
	return false;
}

static bool console_is_serial(void)
{
	static u8 path[1024];
	UINTN size = sizeof(path);

	return !EFI_ERROR(loader.st->RuntimeServices->GetVariable(L"ConOut", &global_variable, NULL,
								  &size, path)) &&
	       path_has_uart(path, size);
}

/* Bounded: a port that is not there reads as all ones and takes everything. */
static void com1_write(const char *text)
{
	outb(COM1 + UART_LCR, 0x80); /* 115200 8n1 */
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + UART_LCR, 0x03);
	outb(COM1 + UART_MCR, 0x03);
	for (; *text; text++) {
		for (u32 i = 0; i < 20000 && !(inb(COM1 + UART_LSR) & LSR_THRE); i++)
			cpu_pause();
		outb(COM1, (u8)*text);
	}
}

EFI_STATUS refuse(EFI_STATUS status, const char *fmt, ...)
{
	char text[LINE], line[LINE + 32];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_format(line, sizeof(line), "Bulkhead cannot start: %s", text);
	console_write(line);
	if (!console_is_serial()) {
		com1_write(line);
		com1_write("\r\n");
	}
	loader.bs->Stall(REFUSE_SECONDS * 1000000);
	return status;
}

const char *status_text(EFI_STATUS status)
{
	switch (status) {
	case EFI_SUCCESS: return "success";
	case EFI_NOT_FOUND: return "not found";
	case EFI_NO_MEDIA: return "no medium";
	case EFI_MEDIA_CHANGED: return "the medium was changed";
	case EFI_DEVICE_ERROR: return "device error";
	case EFI_VOLUME_CORRUPTED: return "the file system is damaged";
	case EFI_VOLUME_FULL: return "the volume is full";
	case EFI_WRITE_PROTECTED: return "the medium is write-protected";
	case EFI_ACCESS_DENIED: return "access denied";
	case EFI_OUT_OF_RESOURCES: return "out of memory";
	case EFI_UNSUPPORTED: return "not supported by the firmware";
	case EFI_INVALID_PARAMETER: return "invalid parameter";
	default: return "firmware error";
	}
}

/*
 * A terminal may answer a firmware's query with an escape sequence that
 * nobody typed ("ESC [ 24 ; 80 R"): what follows an ESC within the same burst
 * does not count. An idle or noisy line yields NULs and non-ASCII: ignored.
 */
bool key_pressed(void)
{
	SIMPLE_INPUT_INTERFACE *in = loader.st->ConIn;
	bool after_esc = false;
	bool esc_alone = false;

	if (!in)
		return false;
	for (u32 i = 0; i < KEY_POLLS; i++) {
		EFI_INPUT_KEY key = { 0, 0 };

		while (!EFI_ERROR(in->ReadKeyStroke(in, &key))) {
			CHAR16 c = key.UnicodeChar;

			if (key.ScanCode == SCAN_ESC_KEY || c == 0x1b) {
				after_esc = esc_alone = true;
				continue;
			}
			esc_alone = false;
			if (after_esc)
				continue;
			if (key.ScanCode || (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' ||
			    c == '\t' || c == 8)
				return true;
		}
		if (esc_alone) /* the Esc key itself */
			return true;
		after_esc = false;
		loader.bs->Stall(KEY_POLL_US);
	}
	return false;
}
