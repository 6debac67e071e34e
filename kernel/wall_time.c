/*
 * Calendar to seconds: years since 1970 by their leap days, months by a table.
 */
#include "kernel/wall_time.h"

static bool is_leap(u32 year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

s64 wall_time(u32 year, u32 month, u32 day, u32 hour, u32 minute, u32 second)
{
	static const u8 lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	s64 days = 0;

	if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || hour > 23 ||
	    minute > 59 || second > 60)
		return 0;
	if (day > (u32)lengths[month - 1] + (month == 2 && is_leap(year)))
		return 0;
	for (u32 y = 1970; y < year; y++)
		days += is_leap(y) ? 366 : 365;
	for (u32 m = 1; m < month; m++)
		days += lengths[m - 1] + (m == 2 && is_leap(year));
	days += day - 1;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
