/*
 * A sum of spans of time, in TSC ticks, that is started and stopped at every
 * exit. While it runs it holds the sum less the TSC at its start. No sum is
 * as large as the TSC, so that is a negative number: how a reader on another
 * CPU tells, from the one word, that it runs.
 */
#ifndef KERNEL_STOPWATCH_H
#define KERNEL_STOPWATCH_H

#include "arch/types.h"
#include "arch/x86.h"

struct stopwatch {
	u64 ticks;
};

/* One CPU starts and stops it, by turns. */
static inline void stopwatch_start(struct stopwatch *w)
{
	w->ticks -= rdtsc();
}

static inline void stopwatch_stop(struct stopwatch *w)
{
	w->ticks += rdtsc();
}

/* The sum as of now, in ticks. Any CPU: its TSC may be a little behind. */
static inline u64 stopwatch_read(const struct stopwatch *w)
{
	s64 ticks = (s64)READ_ONCE(w->ticks);

	if (ticks < 0)
		ticks += (s64)rdtsc();
	return ticks < 0 ? 0 : (u64)ticks;
}

#endif
