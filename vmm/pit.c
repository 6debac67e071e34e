/*
 * The 8254, computed: a channel is its count and the clock tick at which that
 * was loaded, everything else follows from the time. Nothing runs while nobody
 * looks. The host's timer is set for IRQ 0 only while its next edge can reach
 * a CPU (irq_wanted()); a timer that is under way when that ends is left to
 * run out, which costs one wake-up instead of two calls for every interrupt.
 *
 * Edges that fall together (the guest did not take the last one, or asked for
 * less than TICK_MIN between them) coalesce into one and are not made up for.
 * In the periodic modes the IRQ wire stays high between edges. A guest that
 * reads a request bit or unmasks IRQ 0 finds what the chip would have done.
 * No lock: upcalls of a VM never overlap.
 */
#include "vmm/pit.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define TICK_MIN 100000u  /* ns between two host timers for IRQ 0 */
#define REFRESH_NS 15085u /* half a period of port B's refresh toggle */

/* port B */
#define PORT_B_GATE2 0x01u
#define PORT_B_WRITABLE 0x0fu
#define PORT_B_REFRESH 0x10u
#define PORT_B_OUT2 0x20u

struct channel {
	u8 mode; /* 0 to 5 */
	u8 rw;	 /* 1 low byte, 2 high byte, 3 low then high */
	bool bcd, gate;
	bool write_high, read_high; /* the second byte is due */
	u8 low;			    /* the first byte written */
	u32 written;		    /* last complete count written, 1 to 65536; 0: none */
	u32 count;    /* counting element was loaded with this; 0: not yet (or not triggered) */
	bool pending; /* .written waits for .reload (modes 2, 3) or a trigger (1, 5) */
	s64 reload;   /* tick */
	s64 start;    /* tick at which the counting element held .count */
	s64 held;     /* ticks counted until the gate closed (modes 0, 2, 3, 4) */
	u64 seen;     /* rising edges of OUT since .start that were accounted */
	bool count_latched, status_latched;
	u8 status;
	u16 latch;
};

static struct channel chan[3];
static u8 port_b; /* the bits that can be written */
static struct vtimer timer;
static ns_t last_wakeup;

static s64 tick_at(ns_t ns)
{
	return (s64)ns_to_ticks(ns, BOARD_PIT_HZ);
}

static bool periodic(const struct channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool triggered_by_gate(const struct channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* Clock ticks that the counting element has seen since it was loaded. */
static u64 elapsed(const struct channel *c, s64 now)
{
	s64 ticks = c->gate || triggered_by_gate(c) ? now - c->start : c->held;

	return ticks > 0 ? (u64)ticks : 0;
}

/* Mode 3: how long OUT is high. */
static u32 high_half(u32 count)
{
	return (count + 1) / 2;
}

/* Rising edges of OUT since the count was loaded. */
static u64 rises(const struct channel *c, s64 now)
{
	u64 ticks;

	if (!c->count)
		return 0;
	ticks = elapsed(c, now);
	if (periodic(c))
		return ticks < c->count ? 0 : ticks / c->count;
	return ticks >= c->count + (c->mode >= 4 ? 1u : 0u);
}

static bool out(const struct channel *c, s64 now)
{
	u64 ticks;

	if (!c->count)
		return c->mode != 0;
	ticks = elapsed(c, now);
	switch (c->mode) {
	case 0:
	case 1: return ticks >= c->count;
	case 2: return !c->gate || ticks % c->count != c->count - 1;
	case 3: return !c->gate || ticks % c->count < high_half(c->count);
	default: return ticks != c->count;
	}
}

static void load(struct channel *c, s64 start)
{
	c->count = c->written;
	c->start = start;
	c->held = 0;
	c->seen = 0;
	c->pending = false;
}

/*
 * Brings a channel up to now: a new count that was to follow the running
 * (half) period takes over. Returns whether OUT rose since the last call.
 */
static bool settle(struct channel *c, s64 now)
{
	bool rose = false;
	u64 count;

	if (c->pending && periodic(c) && c->gate && now >= c->reload) {
		bool at_rise = c->mode == 2 || out(c, c->reload);

		rose = rises(c, c->reload) > c->seen;
		/* in mode 3 it may begin with the low half */
		load(c, at_rise ? c->reload : c->reload - high_half(c->written));
	}
	count = rises(c, now);
	rose |= count > c->seen;
	c->seen = count;
	return rose;
}

/* A complete count was written. */
static void count_written(struct channel *c, u32 value, s64 now)
{
	u64 phase;

	if (c->bcd)
		value = (value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 +
			(value & 15);
	c->written = value ? value : c->bcd ? 10000 : 65536;
	c->pending = true;
	if (triggered_by_gate(c))
		return;
	if (!periodic(c) || !c->count || !c->gate || now < c->start) {
		load(c, now + 1);
		return;
	}
	phase = elapsed(c, now) % c->count;
	c->reload = now - (s64)phase + c->count;
	if (c->mode == 3 && phase < high_half(c->count))
		c->reload -= c->count - high_half(c->count);
}

static void set_gate(struct channel *c, bool gate, s64 now)
{
	if (c->gate == gate)
		return;
	settle(c, now);
	if (!gate) {
		c->held = (s64)elapsed(c, now);
		c->gate = false;
		return;
	}
	c->gate = true;
	if (!c->written)
		return;
	if (triggered_by_gate(c) || periodic(c))
		load(c, now + 1);
	else
		c->start = now - c->held;
}

static u16 count_value(const struct channel *c, s64 now)
{
	u32 modulus = c->bcd ? 10000 : 65536, value, half;
	u64 ticks;

	if (!c->count)
		return 0;
	ticks = elapsed(c, now);
	switch (c->mode) {
	case 2: value = c->count - (u32)(ticks % c->count); break;
	case 3:
		ticks %= c->count;
		half = high_half(c->count);
		value = (c->count & ~1u) - 2 * (u32)(ticks < half ? ticks : ticks - half);
		break;
	default: value = (c->count + modulus - (u32)(ticks % modulus)) % modulus; break;
	}
	if (!c->bcd)
		return (u16)value;
	value %= modulus;
	return (u16)(value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 |
		     value % 10);
}

/* ------------------------------------------------------------- IRQ 0 */

static void arm(s64 now)
{
	const struct channel *c = &chan[0];
	s64 next;
	ns_t at;

	if (!irq_wanted(BOARD_IRQ_PIT))
		return;
	if (!c->count || (!periodic(c) && c->seen)) {
		vtimer_cancel(&timer);
		return;
	}
	next = c->start + (s64)((c->seen + 1) * c->count) + (c->mode == 4 ? 1 : 0);
	if (c->pending && c->reload < next)
		next = c->reload;
	if (next <= now) /* count 1: every tick */
		next = now + 1;
	at = ticks_to_ns((u64)next, BOARD_PIT_HZ);
	vtimer_set(&timer, periodic(c) ? max_u64(at, last_wakeup + TICK_MIN) : at);
}

/* Accounts for channel 0's edges up to now, and for the next one if it matters. */
static void sync_at(ns_t ns)
{
	s64 now = tick_at(ns);

	if (settle(&chan[0], now)) {
		irq_set(BOARD_IRQ_PIT, false);
		irq_set(BOARD_IRQ_PIT, true);
	}
	arm(now);
}

static void sync(void)
{
	sync_at(vm_now());
}

static void timer_fired(void *arg)
{
	(void)arg;
	last_wakeup = vm_now();
	sync_at(last_wakeup);
}

/* ----------------------------------------------------------- registers */

static void control_written(u8 value, s64 now)
{
	struct channel *c = &chan[value >> 6];
	bool gate = c->gate;

	*c = (struct channel){
		.gate = gate, .bcd = value & 1, .mode = value >> 1 & 7, .rw = value >> 4 & 3
	};
	if (c->mode > 5)
		c->mode -= 4;
	if (c == &chan[0]) {
		irq_set(BOARD_IRQ_PIT, c->mode != 0); /* where OUT goes at once */
		arm(now);
	}
}

static void latch_count(struct channel *c, s64 now)
{
	if (c->count_latched)
		return;
	c->count_latched = true;
	c->latch = count_value(c, now);
}

static void latch_status(struct channel *c, s64 now)
{
	bool null = !c->count || c->pending || (c->gate && now < c->start);

	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (u8)(out(c, now) << 7 | null << 6 | c->rw << 4 | c->mode << 1 | c->bcd);
}

static void read_back(u8 value, s64 now)
{
	for (u32 i = 0; i < 3; i++) {
		if (!(value >> (i + 1) & 1))
			continue;
		settle(&chan[i], now);
		if (!(value & 0x20))
			latch_count(&chan[i], now);
		if (!(value & 0x10))
			latch_status(&chan[i], now);
	}
}

static u8 read_byte(u32 reg)
{
	struct channel *c = &chan[reg & 3];
	ns_t ns;
	u16 value;

	if (reg > 2)
		return 0xff; /* the control word cannot be read */
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->count_latched) {
		value = c->latch;
	} else {
		ns = vm_now();
		if (c == &chan[0])
			sync_at(ns);
		else
			settle(c, tick_at(ns));
		value = count_value(c, tick_at(ns));
	}
	if (c->rw == 3 && !c->read_high) {
		c->read_high = true;
		return (u8)value;
	}
	c->read_high = false;
	c->count_latched = false;
	return (u8)(c->rw == 1 ? value : value >> 8);
}

static void write_byte(u32 reg, u8 value)
{
	ns_t ns = vm_now();
	s64 now = tick_at(ns);
	struct channel *c = &chan[reg & 3];

	sync_at(ns); /* channel 0 as it was until now */
	if (reg > 2) {
		if (value >> 6 == 3)
			read_back(value, now);
		else if (!(value & 0x30)) {
			settle(&chan[value >> 6], now);
			latch_count(&chan[value >> 6], now);
		} else
			control_written(value, now);
		return;
	}
	settle(c, now);
	if (c->rw == 3 && !c->write_high) {
		c->write_high = true;
		c->low = value;
		if (c->mode != 0)
			return;
		c->count = 0; /* stops, OUT goes low */
	} else {
		c->write_high = false;
		count_written(c, c->rw == 1 ? value : (u32)value << 8 | (c->rw == 3 ? c->low : 0u),
			      now);
	}
	if (c == &chan[0]) {
		if (c->mode == 0)
			irq_set(BOARD_IRQ_PIT, false);
		arm(now);
	}
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

static u64 port_b_read(void *dev, u64 off, u32 size)
{
	ns_t ns = vm_now();
	s64 now = tick_at(ns);
	u8 value = port_b;

	(void)dev;
	(void)off;
	(void)size;
	settle(&chan[2], now);
	if (ns / REFRESH_NS & 1)
		value |= PORT_B_REFRESH;
	if (out(&chan[2], now))
		value |= PORT_B_OUT2;
	return value;
}

static void port_b_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	(void)size;
	port_b = value & PORT_B_WRITABLE;
	set_gate(&chan[2], value & PORT_B_GATE2, tick_at(vm_now()));
}

void pit_init(void)
{
	s64 now = tick_at(vm_now());

	chan[0] = (struct channel){ .mode = 3, .rw = 3, .gate = true };
	chan[1] = (struct channel){ .mode = 2, .rw = 1, .gate = true };
	chan[2] = (struct channel){ .mode = 3, .rw = 3 };
	count_written(&chan[0], 0, now);
	count_written(&chan[1], 18, now); /* DRAM refresh, once */
	port_b = 0;
	last_wakeup = 0;
	timer = (struct vtimer){ .fn = timer_fired };
	irq_lazy(BOARD_IRQ_PIT, sync);
	irq_set(BOARD_IRQ_PIT, true);
	io_claim(IO_PORT, &(struct io_range){ BOARD_PIT, 4, NULL, port_read, port_write, "pit" });
	io_claim(IO_PORT,
		 &(struct io_range){ BOARD_PORT_B, 1, NULL, port_b_read, port_b_write, "port b" });
}
