/*
 * A console wire for unit tests (wire_fake.h).
 */
#include "wire_fake.h"

#include <assert.h>
#include <string.h>

struct wire_fake wires_fake[2];
ns_t wire_now, wire_step;
u32 wire_kicks;

static u32 rx(struct wire_fake *w, char *buf, u32 max)
{
	u32 n = MIN(max, w->in_len - w->in_pos);

	memcpy(buf, w->in + w->in_pos, n);
	w->in_pos += n;
	return n;
}

static u32 tx(struct wire_fake *w, const char *buf, u32 n)
{
	w->tx_calls++;
	n = MIN(MIN(n, w->room), 16u); /* a 16550's FIFO */
	if (w->room != ~0u)
		w->room -= n;
	assert(w->out_len + n < WIRE_OUT_SIZE);
	memcpy(w->out + w->out_len, buf, n);
	w->out_len += n;
	w->out[w->out_len] = '\0';
	return n;
}

static u32 rx0(char *buf, u32 max)
{
	return rx(&wires_fake[0], buf, max);
}

static u32 tx0(const char *buf, u32 n)
{
	return tx(&wires_fake[0], buf, n);
}

static u32 rx1(char *buf, u32 max)
{
	return rx(&wires_fake[1], buf, max);
}

static u32 tx1(const char *buf, u32 n)
{
	return tx(&wires_fake[1], buf, n);
}

static bool brk0(void)
{
	bool is = wires_fake[0].brk && wires_fake[0].in_pos == wires_fake[0].in_len;

	wires_fake[0].brk &= !is;
	return is;
}

struct console_wire wire_fake[2] = {
	{ .name = "fake0", .rx = rx0, .brk = brk0, .tx = tx0 },
	{ .name = "fake1", .rx = rx1, .tx = tx1 },
};

static ns_t now(void)
{
	return wire_now += wire_step;
}

static void kick(void)
{
	wire_kicks++;
}

void wire_setup(struct console_port *shell, char *memory, u32 size, u32 n)
{
	u32 i;

	for (i = 0; i < 2; i++) { /* not all of their megabyte */
		struct wire_fake *w = &wires_fake[i];

		w->out[0] = '\0';
		w->out_len = w->room = w->in_len = w->in_pos = w->tx_calls = 0;
		w->brk = false;
	}
	wire_now = 1;
	wire_step = wire_kicks = 0;
	console_init(shell, memory, size);
	console_set_clock(now);
	console_set_kick(kick);
	for (i = 0; i < n; i++) {
		wires_fake[i].room = ~0u;
		assert(console_add_wire(&wire_fake[i]) == OK);
	}
}

void wire_type(const char *s, u32 n)
{
	struct wire_fake *w = &wires_fake[0];

	memmove(w->in, w->in + w->in_pos, w->in_len - w->in_pos);
	w->in_len -= w->in_pos;
	w->in_pos = 0;
	assert(w->in_len + n <= sizeof(w->in));
	memcpy(w->in + w->in_len, s, n);
	w->in_len += n;
}

const char *wire_said(void)
{
	static u32 told;
	u32 from, i;

	if (told > wires_fake[0].out_len)
		told = 0;
	from = told;
	for (i = 0; i < 1000 && console_pump(); i++)
		;
	told = wires_fake[0].out_len;
	return wires_fake[0].out + from;
}
