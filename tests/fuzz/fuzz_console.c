/*
 * The console mux: ports written at will, keys typed, the focus moved, a wire
 * that takes few bytes or none. Every call ends and does a bounded amount; what
 * the focused port wrote last comes out of a wire that missed nothing; the shell
 * reads only while it has the focus.
 */
// SOURCES-OF: tests/unit/test_console.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 12000
// MAX_LEN: 160
#include "fuzz.h"

#include "wire_fake.h"

#define PORTS 3

static struct console_port port[PORTS]; /* 0: the shell's */
static char memory[PORTS][4096];
static u32 said[PORTS]; /* bytes written: each names its port and a number */
static u32 returned;
static bool missed; /* wire 0 was left behind once */

static void on_return(struct console_port *left)
{
	FUZZ_CHECK(left == &port[1] || left == &port[2]);
	returned++;
}

/* Bytes of port i: letters of its own, so that a stranger's would be seen. */
static void say(u32 i, u32 n)
{
	static const char first[PORTS] = { 'A', 'a', '0' };
	char text[300];

	n = MIN(n, (u32)sizeof(text));
	for (u32 k = 0; k < n; k++)
		text[k] = (char)(first[i] + said[i]++ % 10);
	console_port_write(&port[i], text, n);
}

/* Pumping ends, and moves a bounded amount each time. */
static void pump(u32 times)
{
	for (u32 i = 0; i < times; i++) {
		u32 before = wires_fake[0].out_len;

		if (!console_pump())
			return;
		FUZZ_CHECK(wires_fake[0].out_len - before <= 8192);
	}
}

/* What a guest's port wrote last stands at the end of a wire that missed nothing. */
static void check_tail(void)
{
	const struct console_port *p = console_focused();
	const struct wire_fake *w = &wires_fake[0];
	u64 n = MIN(p->written, 60ull);

	FUZZ_CHECK(p->shown == p->written);
	if (p == &port[0] || wire_fake[0].stalled || missed)
		return;
	FUZZ_CHECK(w->out_len >= n);
	for (u64 i = 0; i < n; i++)
		FUZZ_CHECK(w->out[w->out_len - n + i] ==
			   p->tx[(p->written - n + i) & (p->tx_size - 1)]);
}

static void type(struct fuzz_in *in)
{
	char keys[64];
	u32 n = fuzz_below(in, sizeof(keys));

	fuzz_bytes(in, keys, n);
	if (wires_fake[0].in_len - wires_fake[0].in_pos + n < sizeof(wires_fake[0].in))
		wire_type(keys, n);
}

static void read_port(u32 i, u32 max)
{
	char buf[256];
	u32 n;

	if (i)
		console_port_break(&port[i]); /* bytes behind one come afterwards */
	n = console_port_read(&port[i], buf, MIN(max, (u32)sizeof(buf)));

	FUZZ_CHECK(n <= max);
	if (i == 0 && console_focused() != &port[0])
		FUZZ_CHECK(n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 calls;

	wire_setup(&port[0], memory[0], sizeof(memory[0]), 1 + (fuzz_u8(&in) & 1));
	console_set_return(on_return);
	for (u32 i = 1; i < PORTS; i++)
		console_port_init(&port[i], i == 1 ? "alpha" : "beta", memory[i],
				  sizeof(memory[i]));
	memset(said, 0, sizeof(said));
	returned = 0;
	missed = false;
	for (calls = 0; in.n && calls < 200; calls++) {
		u8 op = fuzz_u8(&in);
		u32 i = op >> 4 & 3;

		i = i == 3 ? 0 : i;
		switch (op & 7) {
		case 0: say(i, fuzz_u8(&in)); break;
		case 1: say(i, fuzz_u16(&in) % 300); break;
		case 2: type(&in); break;
		case 3: console_focus(op & 0x80 ? NULL : &port[i]); break;
		case 4: read_port(i, fuzz_u8(&in)); break;
		case 5: pump(1 + fuzz_below(&in, 4)); break;
		case 6: /* the wire gets full, or is free again; time goes on */
			wires_fake[i & 1].room = op & 0x80 ? ~0u : fuzz_u8(&in);
			wire_now += (u64)fuzz_u16(&in) << (op >> 4 & 7) << 8;
			break;
		case 7:
			if (op & 0x80)
				console_port_flush_rx(&port[i]);
			else if (op & 0x40)
				wire_step = fuzz_u16(&in) << 10;
			else
				FUZZ_CHECK(console_shell_backlog() <= sizeof(memory[0]));
			break;
		}
		missed |= wire_fake[0].lost || wire_fake[0].stalled;
		FUZZ_CHECK(console_focused() >= &port[0] && console_focused() < &port[PORTS]);
		for (u32 k = 0; k < PORTS; k++)
			FUZZ_CHECK(port[k].rx_head - port[k].rx_tail <= CONSOLE_RX_SIZE &&
				   port[k].shown <= port[k].written);
	}
	/* with free wires everything of the focused port goes out, in few steps */
	wires_fake[0].room = wires_fake[1].room = ~0u;
	wire_step = 1000000; /* a Ctrl-] waits for a second one for a while */
	wire_now += 10000000000ull;
	for (calls = 0; console_pump() && calls < 2000; calls++)
		for (u32 k = 0; k < PORTS; k++)
			read_port(k, 256);
	FUZZ_CHECK(calls < 2000);
	check_tail();
	return 0;
}
