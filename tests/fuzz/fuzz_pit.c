/*
 * The 8254, which vmm/pit.c computes from the time, against one that counts
 * clock by clock as the datasheet describes: counts and status that are latched,
 * OUT of channel 2 in port B, and channel 0's interrupts, of which some may
 * coalesce but none be invented or lost.
 */
// SOURCES: vmm/pit.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp,indirect-calls
// RUNS: 8000
// MAX_LEN: 100
#include "fuzz.h"
#include "machine.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/pit.h"

static bool irq_line;
static u32 irq_edges;

void irq_set(u32 irq, bool level)
{
	FUZZ_CHECK(irq == BOARD_IRQ_PIT);
	irq_edges += level && !irq_line;
	irq_line = level;
}

bool irq_wanted(u32 irq)
{
	(void)irq;
	return true;
}

void irq_lazy(u32 irq, void (*sync)(void))
{
	(void)irq;
	(void)sync;
}

struct counter {
	u32 mode, rw;
	bool bcd, gate;
	u32 written; /* count register, 1 to modulus; 0: none */
	bool null;   /* it was not taken over yet */
	bool load;   /* will be at the next clock */
	bool counting, out, done;
	u32 count;  /* the counting element */
	u32 period; /* mode 3: what the running period was loaded with */
	u32 rises;
};
static struct counter counter[3];
static u64 clock_now;

static u32 modulus(const struct counter *c)
{
	return c->bcd ? 10000 : 65536;
}

static void set_out(struct counter *c, bool out)
{
	c->rises += out && !c->out;
	c->out = out;
}

static void take_over(struct counter *c)
{
	c->load = c->null = c->done = false;
	c->counting = true;
	c->count = c->period = c->written;
	if (c->mode == 0 || c->mode == 1)
		set_out(c, false);
	else
		set_out(c, true);
	if (c->mode == 3)
		c->count &= ~1u;
}

/* Half a period of mode 3 is over. */
static void next_half(struct counter *c)
{
	bool out = !c->out;

	c->period = c->written;
	c->null = false;
	c->count = c->written & ~1u;
	set_out(c, out);
}

/* It will stand still until something is written. */
static bool stands(const struct counter *c)
{
	return !c->load && (!c->counting || (!c->gate && c->mode != 1 && c->mode != 5));
}

static void clock_tick(struct counter *c)
{
	if (c->load) {
		take_over(c);
		return;
	}
	if (c->mode == 2) {
		if (c->count == 1) { /* the low clock is over */
			c->count = c->written;
			c->null = false;
			set_out(c, true);
		} else if (--c->count == 1) {
			set_out(c, false);
		}
		return;
	}
	if (c->mode == 3) {
		/* an odd count is high for one clock more than low */
		bool last = c->out && c->period & 1 ? c->count == 0 : c->count == 2;

		if (last)
			next_half(c);
		else
			c->count -= 2;
		return;
	}
	c->count = (c->count + modulus(c) - 1) % modulus(c);
	if (c->mode < 2) {
		if (!c->count)
			set_out(c, true);
	} else if (!c->done && !c->count) { /* the strobe */
		c->done = true;
		set_out(c, false);
	} else {
		set_out(c, true);
	}
}

static void go_on(u32 clocks)
{
	u64 until = clock_now + clocks;

	for (u32 i = 0; i < 3; i++)
		for (u32 k = 0; k < clocks && !stands(&counter[i]); k++)
			clock_tick(&counter[i]);
	clock_now = until;
	run_to(ticks_to_ns(until, BOARD_PIT_HZ));
}

static void control(u32 i, u32 mode, u32 rw, bool bcd)
{
	struct counter *c = &counter[i];
	bool gate = c->gate, out = c->out;
	u32 rises = c->rises;

	out8(BOARD_PIT + 3, i << 6 | rw << 4 | mode << 1 | bcd);
	*c = (struct counter){
		.mode = mode, .rw = rw, .bcd = bcd, .gate = gate, .out = out, .rises = rises
	};
	set_out(c, mode != 0);
	c->null = true;
}

static u32 digits(u32 value)
{
	return value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
}

static void write_count(u32 i, u32 value)
{
	struct counter *c = &counter[i];
	u32 code;

	if (!c->rw)
		return;
	if (c->rw == 1)
		value &= c->bcd ? ~0u : 0xff;
	if (c->bcd)
		value %= c->rw == 1 ? 100 : 10000;
	if (c->rw == 2)
		value = c->bcd ? value / 100 * 100 : value & 0xff00;
	if (value == 1 && (c->mode == 2 || c->mode == 3))
		value = 2; /* one is illegal there */
	code = c->bcd ? digits(value) : value;
	if (c->rw & 1)
		out8(BOARD_PIT + i, code);
	if (c->rw & 2)
		out8(BOARD_PIT + i, code >> 8);
	c->written = value ? value : modulus(c);
	c->null = true;
	switch (c->mode) {
	case 0:
		set_out(c, false);
		c->load = true;
		break;
	case 4: c->load = true; break;
	case 2:
	case 3: c->load |= !c->counting || !c->gate; break;
	}
}

static void set_gate(bool gate)
{
	struct counter *c = &counter[2];
	bool rises = gate && !c->gate;

	out8(BOARD_PORT_B, gate);
	if (!gate && (c->mode == 2 || c->mode == 3))
		set_out(c, true);
	c->gate = gate;
	if (rises && c->written && c->mode != 0 && c->mode != 4)
		c->load = true;
}

/* Latches status and count, reads both. */
static void look(u32 i)
{
	struct counter *c = &counter[i];
	u32 status, got = 0, want = c->count % modulus(c);

	if (!c->rw || !c->written)
		return;
	out8(BOARD_PIT + 3, 0xc0 | 2u << i);
	status = in8(BOARD_PIT + i);
	FUZZ_CHECK((status & 0x3f) == (c->rw << 4 | c->mode << 1 | c->bcd));
	FUZZ_CHECK((status >> 6 & 1) == c->null);
	if (c->rw & 1)
		got = in8(BOARD_PIT + i);
	if (c->rw & 2)
		got |= (u32)in8(BOARD_PIT + i) << 8;
	if (!c->counting)
		return;
	FUZZ_CHECK(status >> 7 == c->out);
	if (c->bcd)
		want = digits(want);
	want &= (c->rw & 1 ? 0xff : 0) | (c->rw & 2 ? 0xff00 : 0);
	FUZZ_CHECK(got == want);
	if (i == 2)
		FUZZ_CHECK((in8(BOARD_PORT_B) >> 5 & 1) == c->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 rises, edges;

	machine_reset();
	irq_line = false;
	clock_now = 0;
	memset(counter, 0, sizeof(counter));
	counter[0].gate = counter[1].gate = true;
	pit_init();
	for (u32 i = 0; i < 3; i++) /* what firmware left is not the model's */
		control(i, fuzz_below(&in, 6), 1 + fuzz_below(&in, 3), fuzz_u8(&in) & 1);
	for (u32 n = 0; in.n && n < 60 && clock_now < 6000; n++) {
		u8 op = fuzz_u8(&in);
		u32 i = (op >> 3) % 3;

		go_on(3);
		rises = counter[0].rises;
		edges = irq_edges;
		switch (op & 7) {
		case 0: control(i, fuzz_below(&in, 6), 1 + fuzz_below(&in, 3), op >> 7); break;
		case 1:
		case 2: write_count(i, op & 0x80 ? fuzz_u16(&in) : fuzz_u8(&in)); break;
		case 3: set_gate(op & 0x80); break;
		case 4: go_on(fuzz_u8(&in)); break;
		case 5: go_on(fuzz_u16(&in) % 3000); break;
		default: look(i); break;
		}
		if ((op & 7) == 4 || (op & 7) == 5) { /* only time went by */
			FUZZ_CHECK(irq_edges - edges <= counter[0].rises - rises + 1);
			if (counter[0].mode != 2 && counter[0].mode != 3)
				FUZZ_CHECK(irq_edges - edges == (counter[0].rises - rises));
		}
	}
	return 0;
}
