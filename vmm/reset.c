/*
 * Ways to reset a PC that are no keyboard controller. A reset ends the VM after
 * the access; what follows is the kernel's decision. A20 is remembered, not
 * obeyed. No lock: upcalls of a VM never overlap.
 */
#include "vmm/reset.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/sys.h"

#define CONTROL_RESET 0x04u
#define CONTROL_WRITABLE 0x0au /* which kind of reset */

#define PORT_A_RESET 0x01u
#define PORT_A_A20 0x02u
#define PORT_A_WRITABLE 0x0au

static u8 control, port_a;

u8 reset_control_read(void)
{
	return control;
}

void reset_control_write(u8 value)
{
	control = value & CONTROL_WRITABLE;
	if (value & CONTROL_RESET)
		sys_stop(ABI_STOP_RESET, 0);
}

static u64 port_a_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	(void)size;
	return port_a;
}

static void port_a_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	(void)size;
	port_a = value & PORT_A_WRITABLE;
	if (value & PORT_A_RESET)
		sys_stop(ABI_STOP_RESET, 0);
}

void reset_init(void)
{
	control = 0;
	port_a = PORT_A_A20;
	io_claim(IO_PORT,
		 &(struct io_range){ BOARD_PORT_A, 1, NULL, port_a_read, port_a_write, "port a" });
}
