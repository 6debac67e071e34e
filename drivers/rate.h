/*
 * Finds the TSC's rate by comparing it with clocks of known rate, in spite of
 * what steals time meanwhile: SMIs, or another hypervisor's host. No hardware
 * access of its own: sources and TSC are read through functions.
 */
#ifndef DRIVERS_RATE_H
#define DRIVERS_RATE_H

#include "arch/types.h"

#define RATE_ROUNDS 8u

struct rate_source {
	const char *name;
	u64 hz, mask;			      /* counts up, modulo mask + 1 */
	u64 (*read)(void);		      /* NULL: not there */
	bool (*start)(struct rate_source *s); /* called once before the first read; may be NULL.
						 It fills in the rest; false: not there */
	u64 rates[RATE_ROUNDS];		      /* what it has given, TSC ticks per second */
	u32 count;
};

struct rate_result {
	u64 hz;		      /* 0: nothing gave any rate */
	const char *by, *and; /* the two that agreed; NULL: one alone, nobody to agree with */
};

/*
 * Measures against each source in turn until two different ones have agreed.
 * Bounded: RATE_ROUNDS times 8 ms for each source that counts, some thousand
 * reads for each that does not.
 */
struct rate_result rate_find(struct rate_source *sources, u32 n, u64 (*tsc)(void));

#endif
