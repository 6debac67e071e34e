/* Host time from the TSC: see time.h. Written once at boot, then read-only. */
#include "kernel/time.h"

#include "arch/cpu.h"
#include "arch/x86.h"

#define NS 1000000000ull

static u64 tsc_zero;
static s64 wall_seconds;
static u64 wall_at;

void time_init(u64 tsc0, s64 wall, u64 wall_tsc)
{
	tsc_zero = tsc0;
	wall_seconds = wall;
	wall_at = wall_tsc;
}

ns_t time_delta(u64 ticks)
{
	return tsc_hz ? mul_div(ticks, NS, tsc_hz) : 0;
}

u64 time_ticks(ns_t ns)
{
	return mul_div(ns, tsc_hz, NS);
}

ns_t time_of_tsc(u64 tsc)
{
	return time_delta(tsc - tsc_zero);
}

ns_t time_now(void)
{
	return time_of_tsc(rdtsc());
}

s64 time_wall(u64 tsc, u32 *nsec)
{
	ns_t since = tsc > wall_at ? time_delta(tsc - wall_at) : 0;

	*nsec = (u32)(since % NS);
	return wall_seconds + (s64)(since / NS);
}

void time_scale(u64 hz, u32 *mul, u32 *shift)
{
	u32 s = 32;

	while (s && mul_div(NS, 1ull << s, hz) >> 32)
		s--;
	*mul = (u32)mul_div(NS, 1ull << s, hz);
	*shift = s;
}

void time_scale_pvclock(u64 hz, u32 *mul, s32 *shift)
{
	u64 scaled = hz;

	*shift = 0;
	while (scaled > 2 * NS) {
		scaled >>= 1;
		(*shift)--;
	}
	while (scaled <= NS) {
		scaled <<= 1;
		(*shift)++;
	}
	*mul = (u32)((NS << 32) / scaled);
}
