/* Ends by the reset control register. */
#include "lib.h"

const char guest_name[] = "resetcf9";

void guest_main(void)
{
	print("READY %s\n", guest_name);
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	spin_us(1000000);
	fail("still running");
}
