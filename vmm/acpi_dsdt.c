/*
 * The DSDT in AML (ACPI 6.5: 20.2 grammar, 6.4 resource descriptors), put
 * together by a few emitters so that its addresses come from board.h and no
 * compiler's output is kept. Package lengths take the three-byte form
 * throughout: they can be filled in afterwards.
 */
#include "vmm/acpi_dsdt.h"

#include "vmm/board.h"
#include "vmm/lib.h"

struct aml {
	u8 *buf;
	u32 len, cap; /* len goes on counting beyond cap */
};

enum {
	AML_ZERO = 0x00,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_EXT = 0x5b,
	AML_EXT_DEVICE = 0x82,
};

/* ------------------------------------------------------------ emitters */

static void put(struct aml *a, u32 bytes, u64 value)
{
	for (u32 i = 0; i < bytes; i++, a->len++)
		if (a->len < a->cap)
			a->buf[a->len] = (u8)(value >> (8 * i));
}

/* A path: segments of four characters, with or without a root in front. */
static void put_path(struct aml *a, const char *path)
{
	while (*path)
		put(a, 1, (u8)*path++);
}

static u32 open_package(struct aml *a)
{
	u32 at = a->len;

	put(a, 3, 0);
	return at;
}

static void close_package(struct aml *a, u32 at)
{
	u32 length = a->len - at; /* counts its own bytes */

	if (a->len > a->cap)
		return;
	a->buf[at] = (u8)(2u << 6 | (length & 0xf));
	a->buf[at + 1] = (u8)(length >> 4);
	a->buf[at + 2] = (u8)(length >> 12);
}

static void put_name(struct aml *a, const char *path)
{
	put(a, 1, AML_NAME);
	put_path(a, path);
}

/* Name (path, value) */
static void name_integer(struct aml *a, const char *path, u32 value)
{
	put_name(a, path);
	if (value == 0) {
		put(a, 1, AML_ZERO);
	} else if (value <= 0xff) {
		put(a, 1, AML_BYTE);
		put(a, 1, value);
	} else {
		put(a, 1, AML_DWORD);
		put(a, 4, value);
	}
}

/* Name (_HID, EisaId (id)): three letters and four hexadecimal digits. */
static void name_hid(struct aml *a, const char *path, const char *id)
{
	u32 value = 0;

	for (u32 i = 0; i < 3; i++)
		value = value << 5 | ((u32)(id[i] - '@') & 0x1f);
	for (u32 i = 3; i < 7; i++)
		value = value << 4 | (u32)(id[i] >= 'A' ? id[i] - 'A' + 10 : id[i] - '0');
	put_name(a, path);
	put(a, 1, AML_DWORD);
	put(a, 4, __builtin_bswap32(value)); /* kept in big-endian order */
}

static u32 open_device(struct aml *a, const char *name, const char *hid)
{
	u32 at;

	put(a, 1, AML_EXT);
	put(a, 1, AML_EXT_DEVICE);
	at = open_package(a);
	put_path(a, name);
	name_hid(a, "_HID", hid);
	return at;
}

/* ------------------------------------------------- resource descriptors */

/* Name (_CRS, ResourceTemplate () {...}) */
static u32 open_crs(struct aml *a)
{
	u32 at;

	put_name(a, "_CRS");
	put(a, 1, AML_BUFFER);
	at = open_package(a);
	put(a, 1, AML_WORD);
	put(a, 2, 0); /* the size, filled in by close_crs() */
	return at;
}

static void close_crs(struct aml *a, u32 at)
{
	u32 start = at + 6, size;

	put(a, 2, 0x0079); /* end tag; checksum 0: none */
	size = a->len - start;
	if (a->len <= a->cap) {
		a->buf[at + 4] = (u8)size;
		a->buf[at + 5] = (u8)(size >> 8);
	}
	close_package(a, at);
}

static void crs_io(struct aml *a, u32 port, u32 count)
{
	put(a, 2, 0x0147); /* 16-bit decode */
	put(a, 2, port);
	put(a, 2, port);
	put(a, 1, 1); /* alignment */
	put(a, 1, count);
}

/* Edge-triggered, active high, not shared. */
static void crs_irq(struct aml *a, u32 irq)
{
	put(a, 1, 0x22);
	put(a, 2, 1u << irq);
}

static void crs_memory(struct aml *a, u32 base, u32 size)
{
	put(a, 1, 0x86);
	put(a, 2, 9);
	put(a, 1, 1); /* read and write */
	put(a, 4, base);
	put(a, 4, size);
}

#define RES_MEMORY 0u
#define RES_IO 1u
#define RES_BUS 2u
#define RES_FIXED 0x0cu /* both ends fixed; produced for children */

/* An address window that a bridge passes on, by 2- or 4-byte numbers. */
static void crs_window(struct aml *a, u32 bytes, u32 type, u32 type_flags, u32 first, u32 last)
{
	put(a, 1, bytes == 2 ? 0x88 : 0x87);
	put(a, 2, 3 + 5 * bytes);
	put(a, 1, type);
	put(a, 1, RES_FIXED);
	put(a, 1, type_flags);
	put(a, bytes, 0); /* granularity */
	put(a, bytes, first);
	put(a, bytes, last);
	put(a, bytes, 0); /* translation */
	put(a, bytes, last - first + 1);
}

/* -------------------------------------------------------------- the board */

/* A device of one row of ports and one interrupt. */
static void legacy_device(struct aml *a, const char *name, const char *hid, u32 port, u32 count,
			  u32 irq)
{
	u32 dev = open_device(a, name, hid), crs = open_crs(a);

	crs_io(a, port, count);
	crs_irq(a, irq);
	close_crs(a, crs);
	close_package(a, dev);
}

static void pic_device(struct aml *a)
{
	u32 dev = open_device(a, "PIC_", "PNP0000"), crs = open_crs(a);

	crs_io(a, BOARD_PIC0, 2);
	crs_io(a, BOARD_PIC1, 2);
	crs_io(a, BOARD_ELCR, 2);
	crs_irq(a, BOARD_IRQ_CASCADE);
	close_crs(a, crs);
	close_package(a, dev);
}

static void uart_device(struct aml *a)
{
	u32 dev = open_device(a, "COM1", "PNP0501"), crs;

	name_integer(a, "_UID", 1);
	crs = open_crs(a);
	crs_io(a, BOARD_COM1, 8);
	crs_irq(a, BOARD_IRQ_COM1);
	close_crs(a, crs);
	close_package(a, dev);
}

/* What no driver asks for, but nothing else may be put upon. */
static void motherboard_device(struct aml *a)
{
	u32 dev = open_device(a, "MBRD", "PNP0C02"), crs = open_crs(a);

	crs_io(a, BOARD_PORT_B, 1);
	crs_io(a, BOARD_POST, 1);
	crs_io(a, BOARD_PORT_A, 1);
	crs_io(a, BOARD_PM, BOARD_PM_SIZE);
	crs_memory(a, BOARD_IOAPIC, BOARD_IOAPIC_SIZE);
	crs_memory(a, BOARD_LAPIC, BOARD_LAPIC_SIZE);
	close_crs(a, crs);
	close_package(a, dev);
}

static void pci_root(struct aml *a)
{
	u32 dev = open_device(a, "PCI0", "PNP0A03"), crs, routes;

	name_integer(a, "_UID", 0);
	name_integer(a, "_BBN", 0);
	crs = open_crs(a);
	crs_window(a, 2, RES_BUS, 0, 0, 0);
	crs_io(a, BOARD_PCI_ADDR, 8);
	crs_window(a, 2, RES_IO, 3, 0, BOARD_PCI_ADDR - 1);
	crs_window(a, 2, RES_IO, 3, BOARD_PCI_ADDR + 8, 0xffff);
	crs_window(a, 4, RES_MEMORY, 1, BOARD_PCI_MMIO, BOARD_PCI_MMIO_END - 1);
	close_crs(a, crs);

	put_name(a, "_PRT"); /* no device has an INTx wire */
	put(a, 1, AML_PACKAGE);
	routes = open_package(a);
	put(a, 1, 0);
	close_package(a, routes);

	pic_device(a);
	legacy_device(a, "TIMR", "PNP0100", BOARD_PIT, 4, BOARD_IRQ_PIT);
	legacy_device(a, "RTC_", "PNP0B00", BOARD_RTC, 2, BOARD_IRQ_RTC);
	uart_device(a);
	motherboard_device(a);
	close_package(a, dev);
}

/* \_S5: the SLP_TYP value for PM1a and for an absent PM1b, two reserved. */
static void soft_off(struct aml *a)
{
	u32 package;

	put_name(a, "\\_S5_");
	put(a, 1, AML_PACKAGE);
	package = open_package(a);
	put(a, 1, 4);
	for (u32 i = 0; i < 2; i++) {
		put(a, 1, AML_BYTE);
		put(a, 1, BOARD_SLP_TYP_S5);
	}
	put(a, 2, AML_ZERO);
	close_package(a, package);
}

u32 dsdt_build(u8 *buf, u32 cap)
{
	struct aml a = { buf, 0, cap };
	u32 scope;

	soft_off(&a);
	put(&a, 1, AML_SCOPE);
	scope = open_package(&a);
	put_path(&a, "\\_SB_");
	pci_root(&a);
	close_package(&a, scope);
	return a.len <= cap ? a.len : 0;
}
