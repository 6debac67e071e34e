/*
 * The MC146818 real-time clock with its CMOS RAM: IRQ 8. UTC, from the VM
 * page's wall clock plus what the guest has set, for this run only.
 */
#ifndef VMM_RTC_H
#define VMM_RTC_H

#include "vmm/lib.h"

void rtc_init(void); /* claims its ports */

#endif
