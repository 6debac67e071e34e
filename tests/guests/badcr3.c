/*
 * CR3 with a bit beyond the physical address width. #GP, says the manual (AMD
 * APM Vol. 2, 5.3.2), and PASS; QEMU's TCG refuses the state instead, which
 * ends this VM and nothing else.
 */
#include "lib.h"

const char guest_name[] = "badcr3";

void guest_main(void)
{
	print("READY %s\n", guest_name);
	CHECK(try_cr3(read_cr3() | 1ull << 63) == 13, "CR3 takes bit 63: vector %d", fault.vector);
}
