/*
 * What the administrator's tests look at from outside: says `tick <n>` ten
 * times a second by its own clock, and the longest time that it ever missed
 * between two looks at that clock; counts NMIs; keeps marks in registers and on
 * its stack. Ends with 'q' on its console.
 */
#include "lib.h"

const char guest_name[] = "ticker";

#define MARK 0x5ca1ab1e00000000u

static volatile u32 nmis;

static bool on_trap(struct frame *f)
{
	if (f->vector != 2)
		return false;
	nmis++;
	return true;
}

/* Looks at the clock until 100 ms are over; marks stand on the stack and in
 * R12 to R14 meanwhile. The longest step, in PM ticks. */
static u32 watch(u32 longest)
{
	volatile u64 marks[8];
	u32 start = pm_read(), last = 0, now;

	for (u32 i = 0; i < ARRAY_SIZE(marks); i++)
		marks[i] = MARK + i;
	while ((now = pm_since(start)) < PM_US(100000)) {
		if (now - last > longest)
			longest = now - last;
		last = now;
		asm volatile("" : : "r"(marks) : "memory");
		for (u32 i = 0; i < 50; i++)
			asm volatile("movq %0, %%r12\n\tmovq %0, %%r13\n\tmovq %0, %%r14\n\tpause"
				     :
				     : "r"(MARK)
				     : "r12", "r13", "r14");
	}
	return longest;
}

void guest_main(void)
{
	u32 longest = 0, seen = 0, n = 0;

	trap_hook = on_trap;
	print("READY %s\n", guest_name);
	for (;;) {
		int c = get_char();

		if (c == 'q')
			break;
		if (c >= 0)
			print("typed %c\n", c);
		longest = watch(longest);
		print("tick %u longest %u us\n", ++n, (u32)((u64)longest * 1000000 / PM_HZ));
		if (nmis != seen)
			print("NMI %u\n", seen = nmis);
	}
}
