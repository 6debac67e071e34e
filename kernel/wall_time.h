/*
 * Calendar to seconds since 1970-01-01 UTC (proleptic Gregorian). Pure.
 */
#ifndef KERNEL_WALL_TIME_H
#define KERNEL_WALL_TIME_H

#include "arch/types.h"

/* 0: a field is out of its range, so the clock is not to be trusted. */
s64 wall_time(u32 year, u32 month, u32 day, u32 hour, u32 minute, u32 second);

#endif
