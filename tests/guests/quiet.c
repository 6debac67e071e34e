/*
 * Gives no cause for an exit: computes in registers and memory with interrupts
 * off, for good. Words on the command line: open: with interrupts on (Bochs 2.7
 * lets nobody stop a guest that has them off and does not exit); halt: sleeps
 * with interrupts on and nothing that could wake it.
 */
#include "lib.h"

const char guest_name[] = "quiet";

void guest_main(void)
{
	static volatile u64 sum;
	bool halt = option("halt");

	print("READY %s\n", guest_name);
	if (option("open"))
		sti();
	for (u64 i = 1; !halt; i++)
		sum += i * 0x9e3779b97f4a7c15;
	for (;;)
		asm volatile("sti; hlt; cli");
}
