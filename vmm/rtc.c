/*
 * The MC146818 (Motorola datasheet; register D and the century byte as PCs
 * have them). The date is computed from guest time when somebody looks; flags
 * are computed too, and the host's timer is set only for an interrupt that the
 * guest enabled and that is not already pending. Bytes outside clock and
 * control registers are RAM. No lock: upcalls of a VM never overlap.
 */
#include "vmm/rtc.h"

#include "vmm/board.h"
#include "vmm/calendar.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

enum {
	RTC_SECOND,
	RTC_SECOND_ALARM,
	RTC_MINUTE,
	RTC_MINUTE_ALARM,
	RTC_HOUR,
	RTC_HOUR_ALARM,
	RTC_WEEKDAY,
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_A,
	RTC_B,
	RTC_C,
	RTC_D,
};

#define A_UIP 0x80u
#define A_DIVIDER 0x70u
#define A_RATE 0x0fu
#define B_SET 0x80u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define C_IRQ 0x80u
#define INT_PERIODIC 0x40u /* the same bits enable in B and report in C */
#define INT_ALARM 0x20u
#define INT_UPDATE 0x10u
#define INT_ALL 0x70u
#define D_VALID 0x80u
#define HOUR_PM 0x80u
#define ALARM_ANY 0xc0u

#define OSC_HZ 32768u
#define UIP_NS 2228000u /* warning (244 us) and update (1984 us) before each second */
#define DAY 86400

static struct {
	u8 index;
	u8 ram[128];	   /* clock registers: as written, valid while the clock stands */
	s64 second;	   /* seconds since 1970 at .epoch */
	s64 epoch;	   /* guest time (ns) at which .second began; may be before 0 */
	u32 weekday_shift; /* what the guest added to the true weekday */
	s64 seen_second;   /* update and alarm flags are accounted up to here, */
	u64 seen_period;   /* and the periodic flag up to here */
	s64 divider_base;  /* guest time (ns) at which the divider left reset */
	struct vtimer timer;
} rtc;

/* ------------------------------------------------------------ the clock */

static bool divider_reset(void)
{
	return (rtc.ram[RTC_A] & 0x60) == 0x60;
}

static bool stands(void)
{
	return rtc.ram[RTC_B] & B_SET || divider_reset();
}

static s64 second_at(s64 now)
{
	return rtc.second + (s64)((u64)(now - rtc.epoch) / NS_PER_S);
}

static u64 phase_at(s64 now) /* ns since the second began */
{
	return (u64)(now - rtc.epoch) % NS_PER_S;
}

static u8 encode(u32 value)
{
	value %= 100;
	return (u8)(rtc.ram[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static u32 decode(u8 byte)
{
	return rtc.ram[RTC_B] & B_BINARY ? byte : (byte >> 4) * 10u + (byte & 15);
}

static u8 encode_hour(u32 hour)
{
	if (rtc.ram[RTC_B] & B_24H)
		return encode(hour);
	return (u8)(encode(hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static u32 decode_hour(u8 byte)
{
	if (rtc.ram[RTC_B] & B_24H)
		return decode(byte);
	return decode(byte & 0x7f) % 12 + (byte & HOUR_PM ? 12 : 0);
}

/* The clock's registers into .ram. */
static void show(s64 now)
{
	s64 second = second_at(now);
	s64 days = calendar_days(second);
	u32 rest = (u32)(second - days * DAY);
	struct calendar date;

	calendar_date(days, &date);
	rtc.ram[RTC_SECOND] = encode(rest % 60);
	rtc.ram[RTC_MINUTE] = encode(rest / 60 % 60);
	rtc.ram[RTC_HOUR] = encode_hour(rest / 3600);
	rtc.ram[RTC_WEEKDAY] = encode((calendar_weekday(days) + rtc.weekday_shift) % 7 + 1);
	rtc.ram[RTC_DAY] = encode(date.day);
	rtc.ram[RTC_MONTH] = encode(date.month);
	rtc.ram[RTC_YEAR] = encode((u32)date.year % 100);
	rtc.ram[BOARD_RTC_CENTURY] = encode((u32)date.year / 100);
}

/* The clock from its registers; a date that does not exist counts on from the last that does. */
static void take(void)
{
	struct calendar date = {
		.year = (s32)(decode(rtc.ram[BOARD_RTC_CENTURY]) * 100 + decode(rtc.ram[RTC_YEAR])),
		.month = decode(rtc.ram[RTC_MONTH]),
		.day = decode(rtc.ram[RTC_DAY]),
	};
	s64 days = calendar_count(&date);

	rtc.second = days * DAY + decode_hour(rtc.ram[RTC_HOUR]) * 3600 +
		     decode(rtc.ram[RTC_MINUTE]) * 60 + decode(rtc.ram[RTC_SECOND]);
	days = calendar_days(rtc.second);
	rtc.weekday_shift = (decode(rtc.ram[RTC_WEEKDAY]) + 13 - calendar_weekday(days)) % 7;
}

/* ----------------------------------------------------- flags and IRQ 8 */

/* Oscillator ticks between periodic interrupts; 0: none. */
static u32 period_ticks(void)
{
	u32 rate = rtc.ram[RTC_A] & A_RATE;

	if (!rate || divider_reset())
		return 0;
	if (rate < 3)
		rate += 7;
	return 1u << (rate - 1);
}

static u64 periods_at(s64 now)
{
	u32 ticks = period_ticks();

	return ticks ? ns_to_ticks((u64)(now - rtc.divider_base), OSC_HZ) / ticks : 0;
}

static bool alarm_field(u8 alarm, u32 wanted, u32 value)
{
	return (alarm & ALARM_ANY) == ALARM_ANY || wanted == value;
}

/* The first second after this one (since 1970) at which the alarm strikes; -1: never. */
static s64 alarm_after(s64 second)
{
	u8 as = rtc.ram[RTC_SECOND_ALARM], am = rtc.ram[RTC_MINUTE_ALARM];
	u8 ah = rtc.ram[RTC_HOUR_ALARM];
	u32 ws = decode(as), wm = decode(am), wh = decode_hour(ah);
	s64 days = calendar_days(second + 1);
	u32 from = (u32)(second + 1 - days * DAY);

	/* by minutes, today's rest and then a whole day; seconds are not searched */
	for (u32 minute = from / 60; minute < 2 * DAY / 60; minute++) {
		u32 s = minute == from / 60 ? from % 60 : 0;

		if (!alarm_field(ah, wh, minute / 60 % 24)) {
			minute += 59 - minute % 60;
			continue;
		}
		if (!alarm_field(am, wm, minute % 60))
			continue;
		if ((as & ALARM_ANY) != ALARM_ANY) {
			if (ws < s || ws > 59)
				continue;
			s = ws;
		}
		return days * DAY + minute * 60 + s;
	}
	return -1;
}

/* Sets register C's flags for what has happened up to now, and the wire. */
static void account(s64 now)
{
	u64 periods = periods_at(now);
	u8 c = rtc.ram[RTC_C];

	if (periods > rtc.seen_period)
		c |= INT_PERIODIC;
	rtc.seen_period = periods;
	if (!stands()) {
		s64 second = second_at(now);

		if (second > rtc.seen_second) {
			s64 alarm = c & INT_ALARM ? -1 : alarm_after(rtc.seen_second);

			c |= INT_UPDATE;
			if (alarm != -1 && alarm <= second)
				c |= INT_ALARM;
		}
		rtc.seen_second = second;
	}
	if (c & rtc.ram[RTC_B] & INT_ALL)
		c |= C_IRQ;
	else
		c &= (u8)~C_IRQ;
	rtc.ram[RTC_C] = c;
	irq_set(BOARD_IRQ_RTC, c & C_IRQ);
}

/* Guest time at which this second (since 1970) begins. */
static s64 ns_of(s64 second)
{
	return rtc.epoch + (second - rtc.second) * (s64)NS_PER_S;
}

static void arm(void)
{
	u8 enabled = rtc.ram[RTC_B] & INT_ALL;
	u32 ticks = period_ticks();
	u64 at = ~0ull;

	if (rtc.ram[RTC_C] & C_IRQ) /* nothing new until register C is read */
		enabled = 0;
	if (enabled & INT_PERIODIC && ticks)
		at = (u64)rtc.divider_base + ticks_to_ns((rtc.seen_period + 1) * ticks, OSC_HZ);
	if (enabled & INT_UPDATE && !stands())
		at = min_u64(at, (u64)ns_of(rtc.seen_second + 1));
	if (enabled & INT_ALARM && !stands()) {
		s64 alarm = alarm_after(rtc.seen_second);

		if (alarm != -1)
			at = min_u64(at, (u64)ns_of(alarm));
	}
	if (at == ~0ull)
		vtimer_cancel(&rtc.timer);
	else
		vtimer_set(&rtc.timer, at);
}

static void timer_fired(void *arg)
{
	(void)arg;
	account((s64)vm_now());
	arm();
}

/* ----------------------------------------------------------- registers */

static bool is_clock(u8 reg)
{
	return reg == BOARD_RTC_CENTURY || (reg <= RTC_YEAR && reg != RTC_SECOND_ALARM &&
					    reg != RTC_MINUTE_ALARM && reg != RTC_HOUR_ALARM);
}

static u8 data_read(void)
{
	s64 now = (s64)vm_now();
	u8 reg = rtc.index, value;

	if (is_clock(reg)) {
		if (!stands())
			show(now);
		return rtc.ram[reg];
	}
	switch (reg) {
	case RTC_A:
		if (!stands() && phase_at(now) >= NS_PER_S - UIP_NS)
			return rtc.ram[RTC_A] | A_UIP;
		return rtc.ram[RTC_A];
	case RTC_C:
		account(now);
		value = rtc.ram[RTC_C];
		rtc.ram[RTC_C] = 0;
		irq_set(BOARD_IRQ_RTC, false);
		arm();
		return value;
	case RTC_D: return D_VALID;
	}
	return rtc.ram[reg];
}

/* A new value for A or B, which stop and start the clock and give bytes their meaning. */
static void control_written(u8 reg, u8 value, s64 now)
{
	bool stood = stands(), was_reset = divider_reset();
	u64 phase = phase_at(now);

	if (!stood)
		show(now); /* in the present format, and what stays when it stops */
	if (reg == RTC_B && value & B_SET)
		value &= (u8)~INT_UPDATE;
	rtc.ram[reg] = value;
	if (was_reset && !divider_reset()) {
		rtc.divider_base = now;
		phase = NS_PER_S / 2; /* the first update comes half a second later */
	}
	rtc.seen_period = periods_at(now);
	if (stood && !stands()) {
		take();
		rtc.epoch = now - (s64)phase;
		rtc.seen_second = rtc.second;
	}
}

static void data_write(u8 value)
{
	s64 now = (s64)vm_now();
	u8 reg = rtc.index;

	account(now);
	if (is_clock(reg)) {
		u64 phase = phase_at(now);

		if (!stands())
			show(now);
		rtc.ram[reg] = value;
		if (!stands()) {
			take();
			rtc.epoch = now - (s64)phase;
			rtc.seen_second = rtc.second;
		}
	} else if (reg == RTC_A || reg == RTC_B) {
		control_written(reg, reg == RTC_A ? value & (u8)~A_UIP : value, now);
	} else if (reg != RTC_C && reg != RTC_D) {
		rtc.ram[reg] = value;
	}
	account(now);
	arm();
}

static u8 read_byte(u32 reg)
{
	return reg ? data_read() : 0xff; /* the index port is write-only */
}

static void write_byte(u32 reg, u8 value)
{
	if (reg)
		data_write(value);
	else
		rtc.index = value & 0x7f; /* bit 7, the NMI mask, masks nothing here */
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	return io_split_read(off, size, read_byte);
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	io_split_write(off, size, value, write_byte);
}

/* ----------------------------------------------------------- CMOS RAM */

static void put16(u32 at, u64 value)
{
	value = min_u64(value, 0xffff);
	rtc.ram[at] = (u8)value;
	rtc.ram[at + 1] = (u8)(value >> 8);
}

/* What PC firmware leaves behind: memory sizes, equipment, checksum. */
static void fill_cmos(void)
{
	u64 low = vm->ram_low, high = vm->ram_high >> 16;
	u64 above_1m = low > MIB(1) ? low - MIB(1) : 0;
	u32 sum = 0;

	rtc.ram[0x14] = 0x02; /* equipment: an x87 */
	put16(0x15, 640);     /* KiB of base memory */
	put16(0x17, min_u64(above_1m, MIB(63)) >> 10);
	put16(0x30, min_u64(above_1m, MIB(63)) >> 10);
	put16(0x34, low > MIB(16) ? (low - MIB(16)) >> 16 : 0); /* 64 KiB above 16 MiB */
	/* 64 KiB above 4 GiB, 24 bits */
	rtc.ram[0x5b] = (u8)high;
	rtc.ram[0x5c] = (u8)(high >> 8);
	rtc.ram[0x5d] = (u8)(high >> 16);
	for (u32 i = 0x10; i < 0x2e; i++)
		sum += rtc.ram[i];
	rtc.ram[0x2e] = (u8)(sum >> 8);
	rtc.ram[0x2f] = (u8)sum;
}

void rtc_init(void)
{
	s64 now = (s64)vm_now();

	memset(&rtc, 0, sizeof(rtc));
	rtc.timer.fn = timer_fired;
	rtc.ram[RTC_A] = 0x26; /* 32 kHz oscillator, 1024 Hz */
	rtc.ram[RTC_B] = B_24H;
	rtc.second = vm->wall_base;
	rtc.epoch = -(s64)(vm->wall_nsec % NS_PER_S);
	rtc.seen_second = second_at(now);
	rtc.seen_period = periods_at(now);
	fill_cmos();
	io_claim(IO_PORT, &(struct io_range){ BOARD_RTC, 2, NULL, port_read, port_write, "rtc" });
}
