/*
 * A guest that computes and asks for nothing, between two marks of
 * tests/bench/count.c: no exit in between is its own doing.
 */
#include "tests/guests/lib.h"

#define SETTLE 40000000u /* rounds of three instructions: what lib.c's set-up left runs out */
#define ROUNDS 100000000u
#define MARK() asm volatile("nopl 0x42484d4b(%%rax)" ::: "memory")

const char guest_name[] = "compute";

static void compute(u32 n)
{
	asm volatile("1:\tnop\n\tdec %0\n\tjnz 1b" : "+r"(n));
}

void guest_main(void)
{
	compute(SETTLE);
	MARK();
	compute(ROUNDS);
	MARK();
}
