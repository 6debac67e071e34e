/*
 * The Gregorian calendar, in days since 1970-01-01.
 */
#ifndef VMM_CALENDAR_H
#define VMM_CALENDAR_H

#include "vmm/lib.h"

struct calendar {
	s32 year;  /* 0 to 99999 */
	u32 month; /* 1 to 12 */
	u32 day;   /* 1 to 31 */
};

/* Days since 1970 of a second since 1970, rounded down. */
s64 calendar_days(s64 second);

/* The date of a day. Years outside 0 to 99999 come out as the nearest of them. */
void calendar_date(s64 days, struct calendar *date);

/*
 * The day of a date. Values out of range do no harm: a month counts as the
 * nearest that exists, a day as so many days after the month's beginning.
 */
s64 calendar_count(const struct calendar *date);

u32 calendar_weekday(s64 days); /* 0: Sunday */

#endif
