/*
 * PCI configuration mechanism #1. Only 32-bit writes reach the address
 * register; among its ports, bytes at 0xCF9 are the reset control register.
 * A device that is not there reads as all ones. No lock: upcalls never overlap.
 */
#include "vmm/pcihost.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/reset.h"

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_DEVICE(a) ((a) >> 11 & 0x1f)
#define ADDRESS_ELSEWHERE 0x00ff0700u /* another bus or function than 0 */

/* offsets in the bridge's configuration header */
#define COMMAND 0x04u
#define INTERRUPT_LINE 0x3cu
#define COMMAND_WRITABLE 0x0146u /* memory, master (both read 1), parity, SERR */
#define COMMAND_FIXED 0x0006u

static u32 address;
static u16 command;
static u8 interrupt_line;
static const struct pci_function *functions[32]; /* by device; NULL: none */

static u32 bridge_read(u32 reg) /* aligned to 4 */
{
	switch (reg) {
	case 0x00: return BOARD_PCI_HOST_ID;
	case COMMAND: return command;
	case 0x08: return 0x06000000; /* class: host bridge, revision 0 */
	case INTERRUPT_LINE: return interrupt_line;
	default: return 0;
	}
}

static void bridge_write(u32 reg, u8 value)
{
	switch (reg) {
	case COMMAND: command = (u16)((command & 0xff00) | value); break;
	case COMMAND + 1: command = (u16)((command & 0x00ff) | value << 8); break;
	case INTERRUPT_LINE: interrupt_line = value; break;
	default: return;
	}
	command = (command & COMMAND_WRITABLE) | COMMAND_FIXED;
}

/* What the address register points to; NULL: nobody. */
static const struct pci_function *selected(void)
{
	if ((address & (ADDRESS_ENABLE | ADDRESS_ELSEWHERE)) != ADDRESS_ENABLE)
		return NULL;
	return functions[ADDRESS_DEVICE(address)];
}

static u64 data_read(void *dev, u64 off, u32 size)
{
	const struct pci_function *f = selected();

	(void)dev;
	(void)size; /* off + size is within the register */
	return f ? f->read(address & 0xfc) >> (8 * (off & 3)) : ~0ull;
}

static void data_write(void *dev, u64 off, u32 size, u64 value)
{
	const struct pci_function *f = selected();

	(void)dev;
	for (u32 i = 0; f && i < size && off + i < 4; i++)
		f->write((address & 0xfc) + (u32)off + i, (u8)(value >> (8 * i)));
}

static u64 address_read(void *dev, u64 off, u32 size)
{
	u32 shift = 8 * (u32)(BOARD_RESET - BOARD_PCI_ADDR - off);

	(void)dev;
	if (size == 4)
		return address;
	/* narrower: nothing but the reset register answers */
	if (off > 1 || off + size < 2)
		return ~0ull;
	return ~(0xffull << shift) | (u64)reset_control_read() << shift;
}

static void address_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	if (size == 4)
		address = (u32)value & ADDRESS_WRITABLE;
	else if (off <= 1 && off + size >= 2)
		reset_control_write((u8)(value >> (8 * (1 - off))));
}

void pcihost_add(u32 device, const struct pci_function *f)
{
	functions[device % ARRAY_SIZE(functions)] = f;
}

void pcihost_init(void)
{
	static const struct pci_function bridge = { bridge_read, bridge_write };

	memset(functions, 0, sizeof(functions));
	pcihost_add(0, &bridge);
	address = 0;
	command = COMMAND_FIXED;
	interrupt_line = 0;
	io_claim(IO_PORT, &(struct io_range){ BOARD_PCI_ADDR, 4, NULL, address_read, address_write,
					      "pci address" });
	io_claim(IO_PORT,
		 &(struct io_range){ BOARD_PCI_DATA, 4, NULL, data_read, data_write, "pci data" });
}
