/*
 * Instructions of the kernel's own that must fault: TRY() executes them, and
 * expectation.vector says what came of it; -1: nothing did. One CPU at a time.
 */
#ifndef TESTS_VARIANT_ARCH_EXPECT_H
#define TESTS_VARIANT_ARCH_EXPECT_H

#include "arch/cpu.h"

struct expectation {
	u64 rip, rsp; /* where to go on: TRY() knows these two and armed by offset */
	u32 armed;
	u32 cpu;
	int vector;
	u64 error, cr2;
};
_Static_assert(offsetof(struct expectation, armed) == 16, "TRY");

extern volatile struct expectation expectation;

#define TRY(insns, rax) \
	do { \
		u64 a_ = (rax); \
\
		expectation.cpu = this_cpu()->index; \
		expectation.vector = -1; \
		__asm__ volatile("movq $9f, expectation\n\t" \
				 "movq %%rsp, expectation + 8\n\t" \
				 "movl $1, expectation + 16\n\t" insns "\n" \
				 "9:\n\t" \
				 "movl $0, expectation + 16" \
				 : "+a"(a_) \
				 : \
				 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", \
				   "cc"); \
	} while (0)

#endif
