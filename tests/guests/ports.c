/*
 * All 65536 ports, read and written in one, two and four bytes: what no
 * device claims reads all ones; nothing hangs or ends the VM. Left out of
 * the writes: the ports whose purpose is to end it. With "coarse" on the
 * command line every 29th port beyond the devices; Bochs needs minutes else.
 */
#include "lib.h"

const char guest_name[] = "ports";

/* The virtual board's devices; see vmm/board.h. */
static const struct {
	u16 first, last;
} devices[] = {
	{ 0x20, 0x21 },	  { 0x40, 0x43 },   { 0x60, 0x61 },   { 0x64, 0x64 }, { 0x70, 0x71 },
	{ 0x80, 0x80 },	  { 0x92, 0x92 },   { 0xa0, 0xa1 },   { 0xe9, 0xe9 }, { 0xf4, 0xf4 },
	{ 0x3f8, 0x3ff }, { 0x4d0, 0x4d1 }, { 0xcf8, 0xcff },
};

static bool touches(u32 port, u32 size, u32 first, u32 last)
{
	return port <= last && port + size > first;
}

static bool is_device(u32 port, u32 size)
{
	for (u32 i = 0; i < ARRAY_SIZE(devices); i++)
		if (touches(port, size, devices[i].first, devices[i].last))
			return true;
	/* The ACPI block: PM1 events, control, PM timer, wherever the FADT says. */
	return touches(port, size, pm_control & ~0x3fu, pm_control | 0x3f) ||
	       touches(port, size, pm_port & ~0x3fu, pm_port | 0x3f);
}

static bool ends_vm(u32 port, u32 size)
{
	return touches(port, size, 0x64, 0x64) || touches(port, size, 0x92, 0x92) ||
	       touches(port, size, 0xf4, 0xf7) || touches(port, size, 0xcf9, 0xcf9) ||
	       touches(port, size, pm_control & ~0x3fu, pm_control | 0x3f);
}

/* Devices are at the low ports; the last ones are where wide accesses end. */
static bool is_left_out(u32 port)
{
	return port >= 0x1000 && port < 0xffe0 && port % 29;
}

static void write_port(u16 port, u32 size, u32 v)
{
	if (size == 1)
		outb(port, (u8)v);
	else if (size == 2)
		outw(port, (u16)v);
	else
		outl(port, v);
}

static u32 read_port(u16 port, u32 size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void guest_main(void)
{
	static const u32 ones[] = { 0, 0xff, 0xffff, 0, 0xffffffff };
	u32 reads = 0, empty = 0;
	bool coarse = option("coarse");

	for (u32 size = 1; size <= 4; size *= 2) {
		for (u32 port = 0; port + size <= 65536; port++) {
			u32 v;

			if (coarse && is_left_out(port))
				continue;
			if (!bulkhead && size > 1 && is_device(port, size))
				continue; /* QEMU's own devices assert */
			v = read_port((u16)port, size);
			reads++;
			if (bulkhead && !is_device(port, size)) {
				empty++;
				CHECK(v == ones[size], "port %x, %u bytes: %x", port, size, v);
			}
			if (!ends_vm(port, size) && !is_device(port, size))
				write_port((u16)port, size, 0x5a5a5a5a);
		}
	}
	/* The last ports, wider than what is left of them. */
	if (!bulkhead)
		return;
	inw(0xffff);
	inl(0xfffd);
	outl(0xffff, 0);
	for (u32 port = 0; port < 65536; port++)
		if (is_device(port, 1) && !ends_vm(port, 1) && port != DEBUG_PORT)
			outb((u16)port, 0);
	serial_init();
	pic_init(0x20);
	print("%u reads, %u of them from ports that are nobody's\n", reads, empty);
}
