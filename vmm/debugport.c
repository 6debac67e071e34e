/*
 * Ports for test guests: see vmm/debugport.h. The exit port takes any size and
 * passes the value on as it is.
 */
#include "vmm/debugport.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/sys.h"
#include "vmm/vm.h"

static void exit_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	(void)size;
	sys_stop(ABI_STOP_DEBUG_EXIT, (u32)value);
}

static u64 console_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	(void)size;
	return BOARD_DEBUG_CONSOLE; /* how a guest finds out that the port is there */
}

static void console_write(void *dev, u64 off, u32 size, u64 value)
{
	char c = (char)value;

	(void)dev;
	(void)off;
	(void)size;
	sys_console_write(&c, 1);
}

void debugport_init(void)
{
	if (!(vm->flags & ABI_VM_DEBUG_EXIT))
		return;
	io_claim(IO_PORT,
		 &(struct io_range){ BOARD_DEBUG_EXIT, 4, NULL, NULL, exit_write, "debug exit" });
	io_claim(IO_PORT, &(struct io_range){ BOARD_DEBUG_CONSOLE, 1, NULL, console_read,
					      console_write, "debug console" });
}
