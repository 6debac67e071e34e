/*
 * What to do about a bug of the kernel itself: stop everything and say what is
 * known. kernel/panic.c implements it. A guest's or monitor's mistake never
 * comes here.
 */
#ifndef ARCH_PANIC_H
#define ARCH_PANIC_H

#include "arch/types.h"

struct trap_frame;

NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);
/* The same, with the registers of the exception that led here. */
NORETURN void panic_trap(const struct trap_frame *frame, const char *fmt, ...) PRINTF(2, 3);
/* True once some CPU panics: NMIs and VEC_HALT then stop their CPU. */
bool panic_active(void);

#define ASSERT(c) \
	do { \
		if (unlikely(!(c))) \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c); \
	} while (0)

#endif
