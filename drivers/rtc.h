/*
 * The CMOS clock, for the date when the firmware gave none (MC146818).
 */
#ifndef DRIVERS_RTC_H
#define DRIVERS_RTC_H

#include "arch/types.h"

/* Seconds since 1970 UTC; 0 when there is no believable clock. Bounded. */
s64 rtc_read(void);

#endif
