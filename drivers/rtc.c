/*
 * The CMOS real-time clock (MC146818): read twice until both agree, as the
 * update flag alone is racy. Assumed to run in UTC. Ports 0x70 and 0x71.
 */
#include "drivers/rtc.h"
#include "arch/x86.h"
#include "kernel/wall_time.h"

#define TRIES 10u
#define UPDATE_POLLS 20000u

enum {
	SECOND = 0,
	MINUTE = 2,
	HOUR = 4,
	DAY = 7,
	MONTH = 8,
	YEAR = 9,
	STATUS_A = 10,
	STATUS_B = 11
};

#define A_UPDATING 0x80u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define HOUR_PM 0x80u

static u8 cmos(u8 reg)
{
	outb(0x70, reg | 0x80); /* bit 7: NMIs stay off while we look */
	return inb(0x71);
}

static u32 from_bcd(u32 v)
{
	return (v & 15) + (v >> 4) * 10;
}

static void read_all(u8 v[6])
{
	static const u8 regs[6] = { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR };

	for (u32 i = 0; i < UPDATE_POLLS && (cmos(STATUS_A) & A_UPDATING); i++)
		;
	for (u32 i = 0; i < 6; i++)
		v[i] = cmos(regs[i]);
}

static bool same(const u8 a[6], const u8 b[6])
{
	u8 differ = 0;

	for (u32 i = 0; i < 6; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

s64 rtc_read(void)
{
	u8 a[6], b[6];
	u8 status;
	u32 v[6];
	bool pm;

	read_all(a);
	for (u32 i = 0;; i++) {
		read_all(b);
		if (same(a, b))
			break;
		if (i == TRIES)
			return 0;
		read_all(a);
	}
	status = cmos(STATUS_B);
	outb(0x70, 0); /* NMIs on again */
	pm = !(status & B_24H) && (a[2] & HOUR_PM);
	if (!(status & B_24H))
		a[2] &= (u8)~HOUR_PM;
	for (u32 i = 0; i < 6; i++)
		v[i] = status & B_BINARY ? a[i] : from_bcd(a[i]);
	if (!(status & B_24H))
		v[2] = v[2] % 12 + (pm ? 12 : 0);
	if (v[5] > 99)
		return 0;
	return wall_time(2000 + v[5], v[4], v[3], v[2], v[1], v[0]);
}
