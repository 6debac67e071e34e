/* Ends by the keyboard controller's reset line. */
#include "lib.h"

const char guest_name[] = "reset8042";

void guest_main(void)
{
	print("READY %s\n", guest_name);
	outb(0x64, 0xfe);
	spin_us(1000000);
	fail("still running");
}
