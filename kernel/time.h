/*
 * Host time: nanoseconds since the kernel was entered, from the TSC, and the
 * conversions that guests' clocks are built from. Set up once by time_init.
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "arch/types.h"

/* tsc_hz (arch/cpu.h) is known. tsc0: the TSC at the kernel's entry; wall: seconds
 * since 1970 UTC at TSC wall_tsc, 0 unknown. */
void time_init(u64 tsc0, s64 wall, u64 wall_tsc);

/* 0 before time_init. Any CPU. */
ns_t time_now(void);
ns_t time_of_tsc(u64 tsc);  /* of that host TSC */
ns_t time_delta(u64 ticks); /* so many TSC ticks in ns */
u64 time_ticks(ns_t ns);    /* and back */
/* Seconds since 1970 UTC, and the rest in *nsec, at host TSC tsc. */
s64 time_wall(u64 tsc, u32 *nsec);

/* ns = (ticks * mul) >> shift, with a 128-bit product. */
void time_scale(u64 hz, u32 *mul, u32 *shift);
/* KVM pvclock's form: ns = ((ticks << shift) * mul) >> 32, a negative shift to the right. */
void time_scale_pvclock(u64 hz, u32 *mul, s32 *shift);

/* a * b / c without overflow in between; ~0 when the result does not fit. */
static inline u64 mul_div(u64 a, u64 b, u64 c)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	u64 low = (u64)product, high = (u64)(product >> 64), rem;

	if (high >= c)
		return ~0ull;
	__asm__("divq %4" : "=a"(low), "=d"(rem) : "a"(low), "d"(high), "r"(c) : "cc");
	return low;
}

#endif
