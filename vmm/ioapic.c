/*
 * The I/O APIC. Pin polarity is ignored: wires are active high here. As on the
 * chip, an edge on a masked pin is lost. The guest's programming is passed on
 * as it is in the message; the kernel checks that. ExtINT entries send their
 * message, but no PIC hangs behind them (its INTR goes to LINT0).
 * No lock: upcalls of a VM never overlap.
 */
#include "vmm/ioapic.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/sys.h"

#define PINS BOARD_IOAPIC_PINS
#define VERSION 0x20u

/* MMIO offsets */
#define IOREGSEL 0x00u
#define IOWIN 0x10u
#define IOEOI 0x40u

/* a redirection entry's low half */
#define RTE_VECTOR 0xffu
#define RTE_LOGICAL 0x800u
#define RTE_REMOTE_IRR 0x4000u
#define RTE_LEVEL 0x8000u
#define RTE_MASK 0x10000u
#define RTE_WRITABLE 0x1afffu /* not delivery status, remote IRR */
#define RTE_HIGH_WRITABLE 0xff000000u

enum delivery { DELIVER_FIXED, DELIVER_LOWEST, DELIVER_NMI = 4, DELIVER_INIT, DELIVER_EXTINT = 7 };

/* interrupt messages, SDM Vol. 3A "Message Signalled Interrupts" */
#define MSI_ADDRESS 0xfee00000u
#define MSI_LOGICAL 0x4u
#define MSI_LOWEST 0x8u
#define MSI_ASSERT 0x4000u
#define MSI_LEVEL 0x8000u

static struct {
	u8 select; /* IOREGSEL */
	u32 id;
	u32 pins; /* levels */
	struct {
		u32 low, high;
	} entry[PINS];
} io;

static u32 delivery_of(u32 low)
{
	return low >> 8 & 7;
}

/* Level triggering exists for these two; others are sent once per edge. */
static bool by_level(u32 low)
{
	return low & RTE_LEVEL && delivery_of(low) <= DELIVER_LOWEST;
}

static void send(u32 pin)
{
	u32 low = io.entry[pin].low, mode = delivery_of(low);
	u32 address = MSI_ADDRESS | io.entry[pin].high >> 24 << 12;

	if (mode == 2 || mode == 3 || mode == 6) /* SMI has no handler, others no meaning */
		return;
	if (low & RTE_LOGICAL)
		address |= MSI_LOGICAL;
	if (mode == DELIVER_LOWEST)
		address |= MSI_LOWEST;
	sys_msi(address,
		(low & (RTE_VECTOR | 0x700)) | MSI_ASSERT | (by_level(low) ? MSI_LEVEL : 0));
}

/* A level-triggered pin that is high asks, until its message is under way. */
static void look(u32 pin)
{
	u32 low = io.entry[pin].low;

	if (!(io.pins >> pin & 1) || low & (RTE_MASK | RTE_REMOTE_IRR) || !by_level(low))
		return;
	io.entry[pin].low |= RTE_REMOTE_IRR;
	send(pin);
}

void ioapic_set(u32 pin, bool level)
{
	u32 bit, low;

	if (pin >= PINS)
		return;
	bit = 1u << pin;
	low = io.entry[pin].low;
	if (!level) {
		io.pins &= ~bit;
		return;
	}
	if (by_level(low)) {
		io.pins |= bit;
		look(pin);
	} else if (!(io.pins & bit)) {
		io.pins |= bit;
		if (!(low & RTE_MASK))
			send(pin);
	}
}

bool ioapic_wanted(u32 pin)
{
	return pin < PINS && !(io.entry[pin].low & RTE_MASK);
}

void ioapic_eoi(u8 vector)
{
	for (u32 pin = 0; pin < PINS; pin++) {
		u32 low = io.entry[pin].low;

		if (!(low & RTE_REMOTE_IRR) || (low & RTE_VECTOR) != vector)
			continue;
		io.entry[pin].low = low & ~RTE_REMOTE_IRR;
		look(pin);
	}
}

static u32 reg_read(void)
{
	u32 n = io.select - 0x10u;

	switch (io.select) {
	case 0:			    /* identification */
	case 2: return io.id << 24; /* arbitration */
	case 1: return (PINS - 1) << 16 | VERSION;
	}
	if (n >= 2 * PINS)
		return 0;
	return n & 1 ? io.entry[n / 2].high : io.entry[n / 2].low;
}

static void write_low(u32 pin, u32 value)
{
	u32 old = io.entry[pin].low;
	u32 low = (value & RTE_WRITABLE) | (old & RTE_REMOTE_IRR);
	bool mask_changes = (old ^ low) & RTE_MASK;

	if (!by_level(low)) /* how older kernels end a stuck interrupt */
		low &= ~RTE_REMOTE_IRR;
	if (mask_changes && pin == BOARD_GSI_PIT)
		irq_sync(BOARD_IRQ_PIT); /* edges so far meet the old mask */
	io.entry[pin].low = low;
	if (mask_changes && pin == BOARD_GSI_PIT)
		irq_sync(BOARD_IRQ_PIT);
	look(pin);
}

static void reg_write(u32 value)
{
	u32 n = io.select - 0x10u;

	if (io.select == 0)
		io.id = value >> 24 & 15;
	if (n >= 2 * PINS)
		return;
	if (n & 1)
		io.entry[n / 2].high = value & RTE_HIGH_WRITABLE;
	else
		write_low(n / 2, value);
}

/* Registers are 32 bits wide, on 16-byte boundaries. */
static u64 mmio_read(void *dev, u64 off, u32 size)
{
	u32 value = 0;

	(void)dev;
	(void)size;
	switch (off & ~3ull) {
	case IOREGSEL: value = io.select; break;
	case IOWIN: value = reg_read(); break;
	}
	return value >> (8 * (off & 3));
}

static void mmio_write(void *dev, u64 off, u32 size, u64 value)
{
	u32 mask = size < 4 ? (u32)size_mask(size) : ~0u;

	(void)dev;
	switch (off) {
	case IOREGSEL: io.select = (u8)value; break;
	case IOWIN: reg_write(((u32)value & mask) | (mask == ~0u ? 0 : reg_read() & ~mask)); break;
	case IOEOI: ioapic_eoi((u8)value); break;
	}
}

void ioapic_init(void)
{
	io.select = 0;
	io.id = BOARD_IOAPIC_ID;
	io.pins = 0;
	for (u32 pin = 0; pin < PINS; pin++) {
		io.entry[pin].low = RTE_MASK;
		io.entry[pin].high = 0;
	}
	io_claim(IO_MMIO, &(struct io_range){ BOARD_IOAPIC, BOARD_IOAPIC_SIZE, NULL, mmio_read,
					      mmio_write, "ioapic" });
}
