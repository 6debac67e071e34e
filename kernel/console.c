/*
 * The console mux (kernel/console.h): its wires, the focus, and input.
 *
 * Input: wires -> mux.typed -> the port that has the input, byte by byte, so
 * that what is pasted behind "console VM" reaches the VM. Output is
 * console_out.c's.
 */
#include "kernel/console_mux.h"
#include "kernel/string.h"

struct console_mux mux;

void console_wake(void)
{
	if (mux.kick)
		mux.kick();
}

void console_init(struct console_port *shell, char *memory, u32 size)
{
	memset(&mux, 0, sizeof(mux));
	console_port_init(shell, "shell", memory, size);
	shell->crlf = true;
	mux.shell = mux.input = mux.output = shell;
}

void console_set_clock(ns_t (*fn)(void))
{
	mux.now = fn;
}

void console_set_kick(void (*fn)(void))
{
	mux.kick = fn;
}

void console_set_return(void (*fn)(struct console_port *left))
{
	mux.on_return = fn;
}

enum err console_add_wire(struct console_wire *w)
{
	if (mux.wires == CONSOLE_MAX_WIRES)
		return ERR_NOMEM;
	w->sent = mux.out_head;
	w->lost = 0;
	w->waiting = w->stalled = false;
	w->note_len = w->note_sent = 0;
	mux.wire[mux.wires++] = w;
	return OK;
}

/* ----------------------------------------------------------------- focus */

void console_focus(struct console_port *p)
{
	mux.escape = false;
	mux.taken_at = console_now();
	mux.taken_mark = mux.typed_tail;
	if (!p || p == mux.shell) {
		mux.input = mux.shell;
		console_show(mux.shell);
		return;
	}
	if (mux.output != mux.shell)
		console_show(mux.shell);
	mux.input = p;
	mux.next = p;
	mux.switch_at = mux.shell->written;
}

struct console_port *console_focused(void)
{
	return mux.input;
}

static void leave(void)
{
	struct console_port *left = mux.input;
	bool shown = mux.output == left;

	console_focus(mux.shell);
	if (shown)
		console_port_write(mux.shell, "\n", 1);
	if (mux.on_return)
		mux.on_return(left);
}

/* ----------------------------------------------------------------- input */

/* No room for one more read of a wire. */
static bool typed_full(void)
{
	return mux.typed_head - mux.typed_tail > CONSOLE_TYPED_SIZE - CONSOLE_READ;
}

/* True: a wire may have more. What there is no room for stays with the driver,
 * which holds the sender off. */
static bool read_wires(void)
{
	bool more = false;
	u32 i, k, n, room;
	char buf[CONSOLE_READ];

	for (i = 0; i < mux.wires; i++) {
		room = CONSOLE_TYPED_SIZE - (mux.typed_head - mux.typed_tail);
		n = room ? mux.wire[i]->rx(buf, MIN(room, (u32)sizeof(buf))) : 0;
		for (k = 0; k < n; k++)
			mux.typed[mux.typed_head++ % CONSOLE_TYPED_SIZE] = buf[k];
		more |= n && n == MIN(room, (u32)sizeof(buf));
		if (n < MIN(room, (u32)sizeof(buf)) && mux.wire[i]->brk && mux.wire[i]->brk()) {
			mux.typed_break = true;
			mux.typed_break_at = mux.typed_head;
			more = true;
		}
	}
	return more;
}

static bool escape_is_typed(void)
{
	u32 i;

	for (i = mux.typed_tail; i != mux.typed_head; i++)
		if (mux.typed[i % CONSOLE_TYPED_SIZE] == CONSOLE_ESCAPE)
			return true;
	return false;
}

bool console_take_key(char key)
{
	u32 i;

	if (mux.input != mux.shell)
		return false;
	for (i = mux.typed_tail; i != mux.typed_head; i++) {
		if (mux.typed[i % CONSOLE_TYPED_SIZE] == key) {
			mux.typed_tail = i + 1;
			return true;
		}
	}
	return false;
}

/* Has the guest taken less than CONSOLE_READ bytes within CONSOLE_STALL_NS? A
 * trickle does not count: Ctrl-] may be behind what it leaves with the sender. */
static bool guest_stalled(void)
{
	return !mux.now || console_now() - mux.taken_at >= CONSOLE_STALL_NS;
}

/* One typed byte to a guest's port; false: it must wait. Held bytes never
 * keep a Ctrl-] from being seen: if one is among them, or if no more can be
 * held and the guest does not read, the oldest are dropped. */
static bool route_byte(struct console_port *p, char c)
{
	if (console_port_type(p, c))
		return true;
	if (!escape_is_typed() && !(typed_full() && guest_stalled()))
		return false;
	p->rx_dropped++;
	mux.taken_mark++; /* nobody took it */
	return true;
}

/* A BREAK that came while the shell had the input is behind the tail by now:
 * nobody's. */
static bool break_is_next(void)
{
	bool is = mux.typed_break && mux.typed_break_at == mux.typed_tail;

	if (mux.typed_break && (s32)(mux.typed_break_at - mux.typed_tail) <= 0)
		mux.typed_break = false;
	return is;
}

/* Bring what was typed to the guest that has the input. True: go on soon. */
static bool route(void)
{
	struct console_port *p = mux.input;
	bool got = false, second;
	u32 budget = CONSOLE_STEP;
	char c;

	__atomic_store_n(&mux.held, false, __ATOMIC_RELAXED);
	for (;;) {
		if (break_is_next()) {
			console_port_type_break(p);
			got = true;
		}
		if (mux.typed_tail == mux.typed_head || !budget--)
			break;
		c = mux.typed[mux.typed_tail % CONSOLE_TYPED_SIZE];
		second = mux.escape && c == CONSOLE_ESCAPE;
		if (mux.escape && !second)
			break; /* the byte is the shell's */
		if (c == CONSOLE_ESCAPE && !second) {
			mux.escape = true;
			mux.escape_since = console_now();
			mux.typed_tail++;
			continue;
		}
		mux.escape = false;
		if (!route_byte(p, c)) {
			__atomic_store_n(&mux.held, true, __ATOMIC_RELAXED);
			break;
		}
		mux.typed_tail++;
		got = true;
	}
	if (!mux.held || mux.typed_tail - mux.taken_mark >= CONSOLE_READ) {
		mux.taken_at = console_now();
		mux.taken_mark = mux.typed_tail;
	}
	if (got && p->rx_ready)
		p->rx_ready(p);
	if (mux.escape && (mux.typed_tail != mux.typed_head || !mux.now ||
			   console_now() - mux.escape_since >= CONSOLE_ESCAPE_NS))
		leave();
	return mux.escape || (mux.typed_tail != mux.typed_head && !mux.held);
}

/* ------------------------------------------------------------------ pump */

bool console_pump(void)
{
	bool more = read_wires(), full = typed_full(), pending, waits;
	u32 i;

	if (mux.input != mux.shell)
		more |= route();
	else if (mux.typed_tail == mux.typed_head)
		mux.typed_break = false; /* the shell knows no BREAK */
	more |= full && !typed_full();	 /* for what a wire has kept */
	console_fill();
	for (i = 0; i < mux.wires; i++)
		console_drain_wire(mux.wire[i]);
	pending = console_output_pending();
	/* whether the guest still reads is to be looked at again */
	waits = !pending && mux.input != mux.shell && mux.held && typed_full();
	mux.stuck = !more && (waits || console_output_stuck());
	return pending || more;
}

bool console_stuck(void)
{
	return mux.stuck;
}

void console_flush(void)
{
	ns_t start = console_now();
	u32 tries;

	for (tries = 0; tries < 20 * CONSOLE_STALL_POLLS; tries++) {
		console_pump();
		if (!console_output_pending() ||
		    (mux.now && console_now() - start >= CONSOLE_FLUSH_NS))
			return;
	}
}

u32 console_shell_backlog(void)
{
	struct console_port *p = mux.shell;
	u64 n;

	spin_lock(&p->lock);
	n = MIN(p->written - p->shown, (u64)p->tx_size);
	spin_unlock(&p->lock);
	return (u32)n;
}

void console_log_sink(const char *line, u32 n)
{
	if (mux.shell)
		console_port_write(mux.shell, line, n);
}
