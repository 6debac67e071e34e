/*
 * The TSC's rate from other clocks (drivers/rate.h). What steals time makes a
 * single measurement wrong in three ways, and each has its answer: an end that
 * is not known exactly (the most exact of some reads is taken, and one that is
 * still vague is dropped), a counter that has wrapped unseen (another source
 * must agree), and a gap longer than half a counter (the next round).
 */
#include "drivers/rate.h"

#define MEASURE_US 8000u
#define ALIVE_READS 3000u
#define CHANGES 4u
#define MAX_READS 100000u
#define SPIN 200u      /* between reads, which are slow in emulators */
#define TOLERANCE 200u /* sources agree within 1/200 */
#define MIN_HZ 10000000ull
#define MAX_HZ 20000000000ull
#define ALONE_ROUNDS 3u /* then the others are given up */

struct mark {
	u64 tsc, width; /* TSC ticks; the moment lies within width */
	u64 value;
};

/* A moment when the source's value changes, of a few the most exact. False: it stands still. */
static bool mark(const struct rate_source *s, u64 (*tsc)(void), struct mark *m)
{
	u64 last = s->read() & s->mask;
	u32 changes = 0;

	m->width = ~0ull;
	for (u32 i = 0; i < ALIVE_READS && changes < CHANGES; i++) {
		u64 before = tsc();
		u64 v = s->read() & s->mask;
		u64 width = tsc() - before;

		if (v == last)
			continue;
		last = v;
		changes++;
		if (width < m->width)
			*m = (struct mark){ before + width / 2, width, v };
	}
	return changes > 0;
}

static bool wait(const struct rate_source *s, u64 from)
{
	u64 want = s->hz * MEASURE_US / 1000000;

	for (u32 i = 0; i < MAX_READS; i++) {
		if (((s->read() - from) & s->mask) >= want)
			return true;
		for (volatile u32 j = 0; j < SPIN; j++)
			;
	}
	return false;
}

/* TSC ticks per second by this source, or 0 when it stands still, races or was disturbed. */
static u64 measure(const struct rate_source *s, u64 (*tsc)(void))
{
	struct mark from, to;
	u64 ticks, counts, hz;

	if (!mark(s, tsc, &from) || !wait(s, from.value) || !mark(s, tsc, &to))
		return 0;
	ticks = to.tsc - from.tsc;
	counts = (to.value - from.value) & s->mask;
	if (counts == 0 || counts > s->mask / 2 || ticks > ~0ull / s->hz)
		return 0;
	/* half of each width is the error, which must not exceed the tolerance */
	if (from.width + to.width > ticks / (TOLERANCE / 2))
		return 0;
	hz = ticks * s->hz / counts;
	return hz >= MIN_HZ && hz <= MAX_HZ ? hz : 0;
}

static bool agrees(const struct rate_source *s, u64 hz)
{
	for (u32 i = 0; i < s->count; i++) {
		u64 a = s->rates[i], d = a > hz ? a - hz : hz - a;

		if (d <= MAX(a, hz) / TOLERANCE)
			return true;
	}
	return false;
}

/* The middle one of what it gave: sorted in place. */
static u64 median(struct rate_source *s)
{
	for (u32 i = 1; i < s->count; i++) {
		u64 r = s->rates[i];
		u32 j = i;

		for (; j && s->rates[j - 1] > r; j--)
			s->rates[j] = s->rates[j - 1];
		s->rates[j] = r;
	}
	return s->rates[s->count / 2];
}

/* The TSC's rate does not change: measurements of different rounds may agree. */
static bool one_round(struct rate_source *sources, u32 n, u64 (*tsc)(void), struct rate_result *r)
{
	for (u32 i = 0; i < n; i++) {
		struct rate_source *s = &sources[i];
		u64 hz;

		if (s->start && !s->start(s))
			s->read = NULL;
		s->start = NULL;
		hz = s->read ? measure(s, tsc) : 0;
		if (!hz)
			continue;
		for (u32 k = 0; k < n; k++) {
			if (k != i && agrees(&sources[k], hz)) {
				*r = (struct rate_result){ hz, s->name, sources[k].name };
				return true;
			}
		}
		s->rates[s->count++] = hz;
	}
	return false;
}

struct rate_result rate_find(struct rate_source *sources, u32 n, u64 (*tsc)(void))
{
	struct rate_result r = { 0, NULL, NULL };

	for (u32 i = 0; i < RATE_ROUNDS; i++) {
		u32 alive = 0;

		if (one_round(sources, n, tsc, &r))
			return r;
		for (u32 k = 0; k < n; k++)
			alive += sources[k].count > 0;
		if (alive < 2 && i + 1 >= ALONE_ROUNDS)
			break;
	}
	for (u32 k = 0; k < n && !r.hz; k++) {
		if (sources[k].count)
			r = (struct rate_result){ median(&sources[k]), sources[k].name, NULL };
	}
	return r;
}
