/* Ends by a triple fault: an exception without any handler. */
#include "lib.h"

const char guest_name[] = "triplefault";

extern u8 null_idt[];

void guest_main(void)
{
	print("READY %s\n", guest_name);
	asm volatile("lidt (%0); ud2" : : "r"(null_idt));
	fail("still running");
}
