/*
 * The Gregorian calendar: see vmm/calendar.h. Years are counted from 1 March,
 * so that the leap day is a year's last day.
 */
#include "vmm/calendar.h"

#define DAY_S 86400
#define CYCLE_DAYS 146097 /* in 400 years */
#define EPOCH 719468	  /* 1970-01-01 in days since 0000-03-01 */

static s64 div_floor(s64 a, s64 b)
{
	return a / b - (a % b < 0);
}

s64 calendar_days(s64 second)
{
	return div_floor(second, DAY_S);
}

/* Days from 1 March of a year 0 to the first of month m after March (0 to 11). */
static u32 month_start(u32 m)
{
	return (m * 306 + 5) / 10;
}

s64 calendar_count(const struct calendar *date)
{
	u32 month = date->month < 1 ? 1 : date->month > 12 ? 12 : date->month;
	s64 year = date->year - (month < 3);
	s64 leaps = div_floor(year, 4) - div_floor(year, 100) + div_floor(year, 400);

	return year * 365 + leaps + month_start((month + 9) % 12) + date->day - 1 - EPOCH;
}

void calendar_date(s64 days, struct calendar *date)
{
	s64 cycles, year;
	u32 day, m;

	days += EPOCH;
	if (days < -60) /* 0000-01-01, 60 days before 0000-03-01 */
		days = -60;
	if (days > (s64)CYCLE_DAYS * 250 - 61) /* 99999-12-31, the same of 100000 */
		days = (s64)CYCLE_DAYS * 250 - 61;
	cycles = div_floor(days, CYCLE_DAYS);
	day = (u32)(days - cycles * CYCLE_DAYS);
	/* each term takes back what a leap day, a missing one, a kept one adds */
	year = (day - day / 1460 + day / 36524 - day / (CYCLE_DAYS - 1)) / 365;
	day -= (u32)(year * 365 + year / 4 - year / 100);
	m = (day * 10 + 5) / 306;
	date->day = day - month_start(m) + 1;
	date->month = m < 10 ? m + 3 : m - 9;
	date->year = (s32)(cycles * 400 + year + (date->month < 3));
}

u32 calendar_weekday(s64 days)
{
	return (u32)((days + 4) - 7 * div_floor(days + 4, 7)); /* 1970 began on a Thursday */
}
