/*
 * The console mux (kernel/console.h).
 *
 * Input: wires -> mux.typed -> the port that has the input, byte by byte, so
 * that what is pasted behind "console VM" reaches the VM. Output: a port's
 * ring -> mux.out -> each wire at its own pace. The slowest live wire sets the
 * pace; a stalled one is left behind and told how much it missed.
 */
#include "kernel/console.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define OUT_SIZE 2048u	 /* on its way to the wires */
#define TYPED_SIZE 4096u /* on its way to a port */
#define COPY 256u	 /* bytes moved under one hold of a port's lock */
#define STEP 1024u	 /* bytes moved per call of console_pump, each way */
#define NOTE_ROOM 64u	 /* kept free in mux.out for a marker */
#define PANIC_TRIES 200000u

/* All of it CPU 0's, except what is marked. */
static struct {
	struct console_port *shell;
	struct console_port *input;  /* gets what is typed */
	struct console_port *output; /* is shown; atomic, read on any CPU */
	struct console_port *next;   /* is shown once the shell's port is at switch_at */
	u64 switch_at;
	struct console_wire *wire[CONSOLE_MAX_WIRES];
	u32 wires;
	ns_t (*now)(void);
	void (*kick)(void);
	void (*on_return)(struct console_port *left);
	u64 out_head; /* position behind the newest byte of out */
	u32 typed_head, typed_tail;
	bool escape; /* Ctrl-] came; a second one may follow */
	ns_t escape_since;
	bool held; /* typed bytes wait for room in a port; atomic */
	char out[OUT_SIZE];
	char typed[TYPED_SIZE];
} mux;

static ns_t now(void)
{
	return mux.now ? mux.now() : 0;
}

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

/* ----------------------------------------------------------------- ports */

void console_port_init(struct console_port *p, const char *name, char *memory, u32 size)
{
	memset(p, 0, sizeof(*p));
	str_format(p->name, sizeof(p->name), "%s", name);
	p->tx = memory;
	while (size & (size - 1))
		size &= size - 1; /* a power of two, whatever came */
	p->tx_size = size;
}

void console_port_write(struct console_port *p, const char *s, u32 n)
{
	bool wake;
	u64 before;
	u32 i, part;

	if (n == 0)
		return;
	spin_lock(&p->lock);
	before = p->written;
	wake = p->shown == before;
	while (n) {
		i = (u32)p->written & (p->tx_size - 1);
		part = MIN(n, p->tx_size - i);
		memcpy(p->tx + i, s, part);
		p->written += part;
		s += part;
		n -= part;
	}
	/* CPU 0 goes on by itself while it knows of more to show, unless all wires
	 * were stalled: now and then it is to try again */
	wake |= before / STEP != p->written / STEP;
	spin_unlock(&p->lock);
	if (wake && __atomic_load_n(&mux.output, __ATOMIC_RELAXED) == p)
		console_wake();
}

static u32 typed_read(char *buf, u32 max)
{
	u32 n = 0;

	while (n < max && mux.typed_tail != mux.typed_head)
		buf[n++] = mux.typed[mux.typed_tail++ % TYPED_SIZE];
	return n;
}

u32 console_port_read(struct console_port *p, char *buf, u32 max)
{
	u32 n = 0;

	if (p == mux.shell)
		return mux.input == p ? typed_read(buf, max) : 0;
	spin_lock(&p->lock);
	while (n < max && p->rx_tail != p->rx_head)
		buf[n++] = p->rx[p->rx_tail++ % CONSOLE_RX_SIZE];
	spin_unlock(&p->lock);
	if (n && __atomic_load_n(&mux.held, __ATOMIC_RELAXED))
		console_wake();
	return n;
}

bool console_port_ready(struct console_port *p)
{
	if (p == mux.shell)
		return mux.input == p && mux.typed_tail != mux.typed_head;
	return __atomic_load_n(&p->rx_tail, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&p->rx_head, __ATOMIC_RELAXED);
}

void console_port_flush_rx(struct console_port *p)
{
	spin_lock(&p->lock);
	p->rx_tail = p->rx_head;
	spin_unlock(&p->lock);
}

/* False: no room. */
static bool port_type(struct console_port *p, char c)
{
	bool room;

	spin_lock(&p->lock);
	room = p->rx_head - p->rx_tail < CONSOLE_RX_SIZE;
	if (room)
		p->rx[p->rx_head++ % CONSOLE_RX_SIZE] = c;
	spin_unlock(&p->lock);
	return room;
}

/* Up to n bytes that have not been shown, no further than stop (0: no such
 * limit); lost: how many before them are gone. */
static u32 port_take(struct console_port *p, char *buf, u32 n, u64 stop, u64 *lost)
{
	u64 oldest, end;
	u32 i;

	spin_lock(&p->lock);
	oldest = p->written > p->tx_size ? p->written - p->tx_size : 0;
	*lost = p->shown < oldest ? oldest - p->shown : 0;
	p->shown += *lost;
	end = stop && stop < p->written ? stop : p->written;
	for (i = 0; i < n && p->shown < end; i++)
		buf[i] = p->tx[p->shown++ & (p->tx_size - 1)];
	spin_unlock(&p->lock);
	return i;
}

/* Go back a little before what is new, to the beginning of a line. */
static void port_rewind(struct console_port *p)
{
	u64 oldest, start, pos;

	spin_lock(&p->lock);
	oldest = p->written > p->tx_size ? p->written - p->tx_size : 0;
	if (p->shown > oldest) {
		start = p->shown - MIN(p->shown - oldest, (u64)CONSOLE_REPLAY);
		for (pos = start; start && pos < p->shown; pos++) {
			if (p->tx[pos & (p->tx_size - 1)] == '\n') {
				start = pos + 1;
				break;
			}
		}
		p->shown = start;
	}
	spin_unlock(&p->lock);
}

static bool port_pending(struct console_port *p)
{
	bool pending;

	spin_lock(&p->lock);
	pending = p->written != p->shown;
	spin_unlock(&p->lock);
	return pending;
}

/* ----------------------------------------------------------------- focus */

static void set_output(struct console_port *p)
{
	__atomic_store_n(&mux.output, p, __ATOMIC_RELAXED);
	mux.next = NULL;
}

static void out_put(const char *s, u32 n)
{
	while (n--)
		mux.out[mux.out_head++ % OUT_SIZE] = *s++;
}

void console_focus(struct console_port *p)
{
	mux.escape = false;
	if (!p || p == mux.shell) {
		mux.input = mux.shell;
		set_output(mux.shell);
		return;
	}
	if (mux.output != mux.shell)
		set_output(mux.shell);
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

static bool typed_full(void)
{
	return mux.typed_head - mux.typed_tail == TYPED_SIZE;
}

/* True: a wire may have more. */
static bool read_wires(void)
{
	bool more = false;
	u32 i, k, n, room;
	char buf[64];

	for (i = 0; i < mux.wires; i++) {
		room = TYPED_SIZE - (mux.typed_head - mux.typed_tail);
		n = room ? mux.wire[i]->rx(buf, MIN(room, (u32)sizeof(buf))) : 0;
		for (k = 0; k < n; k++)
			mux.typed[mux.typed_head++ % TYPED_SIZE] = buf[k];
		more |= n && n == MIN(room, (u32)sizeof(buf));
	}
	return more;
}

static bool escape_is_typed(void)
{
	u32 i;

	for (i = mux.typed_tail; i != mux.typed_head; i++)
		if (mux.typed[i % TYPED_SIZE] == CONSOLE_ESCAPE)
			return true;
	return false;
}

/* One typed byte to a guest's port; false: it must wait. Held bytes never
 * keep a Ctrl-] from being seen: if one is among them, or if no more can be
 * held, the oldest are dropped (*drop: go on with that). */
static bool route_byte(struct console_port *p, char c, bool *drop)
{
	if (port_type(p, c))
		return true;
	*drop |= typed_full() || escape_is_typed();
	p->rx_dropped += *drop;
	return *drop;
}

/* Bring what was typed to the guest that has the input. True: go on soon. */
static bool route(void)
{
	struct console_port *p = mux.input;
	bool got = false, drop = false, second;
	u32 budget = STEP;
	char c;

	__atomic_store_n(&mux.held, false, __ATOMIC_RELAXED);
	while (mux.typed_tail != mux.typed_head && budget--) {
		c = mux.typed[mux.typed_tail % TYPED_SIZE];
		second = mux.escape && c == CONSOLE_ESCAPE;
		if (mux.escape && !second)
			break; /* the byte is the shell's */
		if (c == CONSOLE_ESCAPE && !second) {
			mux.escape = true;
			mux.escape_since = now();
			mux.typed_tail++;
			continue;
		}
		mux.escape = false;
		if (!route_byte(p, c, &drop)) {
			__atomic_store_n(&mux.held, true, __ATOMIC_RELAXED);
			break;
		}
		mux.typed_tail++;
		got = true;
	}
	if (got && p->rx_ready)
		p->rx_ready(p);
	if (mux.escape && (mux.typed_tail != mux.typed_head || !mux.now ||
			   now() - mux.escape_since >= CONSOLE_ESCAPE_NS))
		leave();
	return mux.escape || (mux.typed_tail != mux.typed_head && !mux.held);
}

/* ----------------------------------------------------------------- output */

/* How much room mux.out has, for the wires that count. */
static u32 out_room(void)
{
	u64 slowest = mux.out_head, fastest = 0;
	bool live = false;
	u32 i;

	for (i = 0; i < mux.wires; i++) {
		fastest = MAX(fastest, mux.wire[i]->sent);
		if (mux.wire[i]->stalled)
			continue;
		live = true;
		slowest = MIN(slowest, mux.wire[i]->sent);
	}
	/* all stalled: nothing is thrown away for a wire that takes nothing */
	return mux.wires ? OUT_SIZE - (u32)(mux.out_head - (live ? slowest : fastest)) : 0;
}

static void out_lost(u64 lost)
{
	char note[48];
	int n = str_format(note, sizeof(note), "\r\n[… %llu bytes lost]\r\n",
			   (unsigned long long)lost);

	out_put(note, (u32)n);
}

/* From the shown port into mux.out. */
static void fill(void)
{
	struct console_port *p;
	u32 room, n, i, moved = 0;
	char buf[COPY];
	u64 lost;

	while (moved < STEP && (room = out_room()) > 2 * NOTE_ROOM) {
		p = mux.output;
		if (mux.next && p->shown >= mux.switch_at) {
			port_rewind(mux.next);
			set_output(mux.next);
			continue;
		}
		n = port_take(p, buf, MIN(COPY, (room - NOTE_ROOM) / 2),
			      mux.next ? mux.switch_at : 0, &lost);
		if (lost)
			out_lost(lost);
		for (i = 0; i < n; i++) {
			if (p->crlf && buf[i] == '\n')
				out_put("\r", 1);
			out_put(buf + i, 1);
		}
		if (n == 0 && !lost)
			break;
		moved += n;
	}
}

static void wire_stuck(struct console_wire *w)
{
	ns_t t = now();

	if (!w->waiting) {
		w->waiting = true;
		w->since = t;
		w->polls = 0;
	}
	w->polls++;
	/* a few tries as well as time: CPU 0 may have been away for long */
	if (mux.now ? t - w->since >= CONSOLE_STALL_NS && w->polls > 16
		    : w->polls >= CONSOLE_STALL_POLLS)
		w->stalled = true;
}

/* What a wire is to get next; 0: nothing. */
static u32 wire_next(struct console_wire *w, const char **s)
{
	u32 i = (u32)(w->sent % OUT_SIZE);

	if (w->note_sent < w->note_len) {
		*s = w->note + w->note_sent;
		return w->note_len - w->note_sent;
	}
	*s = mux.out + i;
	return (u32)MIN(mux.out_head - w->sent, (u64)(OUT_SIZE - i));
}

static void wire_took(struct console_wire *w, u32 n)
{
	w->waiting = w->stalled = false;
	if (w->note_sent < w->note_len)
		w->note_sent += n;
	else
		w->sent += n;
}

static void drain_wire(struct console_wire *w)
{
	u32 n, took, moved = 0;
	const char *s;

	if (mux.out_head - w->sent > OUT_SIZE) { /* overtaken while it was stalled */
		w->lost += mux.out_head - w->sent;
		w->sent = mux.out_head;
		w->note_sent = 0;
		w->note_len =
			(u32)str_format(w->note, sizeof(w->note), "\r\n[… %llu bytes lost]\r\n",
					(unsigned long long)w->lost);
	}
	while (moved < STEP && (n = wire_next(w, &s)) != 0) {
		took = w->tx(s, n);
		if (took == 0) {
			wire_stuck(w);
			return;
		}
		wire_took(w, MIN(took, n));
		if (w->note_sent == w->note_len)
			w->lost = 0;
		moved += took;
	}
}

bool console_alive(void)
{
	u32 i;

	for (i = 0; i < mux.wires; i++)
		if (!mux.wire[i]->stalled)
			return true;
	return false;
}

/* Is there something to send that a wire would take? */
static bool output_pending(void)
{
	const char *s;
	u32 i;

	for (i = 0; i < mux.wires; i++)
		if (!mux.wire[i]->stalled && wire_next(mux.wire[i], &s))
			return true;
	return console_alive() && (mux.next || port_pending(mux.output));
}

bool console_pump(void)
{
	bool more = read_wires();
	u32 i;

	if (mux.input != mux.shell)
		more |= route();
	fill();
	for (i = 0; i < mux.wires; i++)
		drain_wire(mux.wire[i]);
	return output_pending() || more;
}

void console_flush(void)
{
	ns_t start = now();
	u32 tries;

	for (tries = 0; tries < 20 * CONSOLE_STALL_POLLS; tries++) {
		console_pump();
		if (!output_pending() || (mux.now && now() - start >= CONSOLE_FLUSH_NS))
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

/* ----------------------------------------------------------------- panic */

static bool panic_byte(struct console_wire *w, char c)
{
	u32 i;

	for (i = 0; i < PANIC_TRIES; i++) {
		if (w->tx(&c, 1))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

void console_panic_write(const char *s, u32 n)
{
	static bool dead[CONSOLE_MAX_WIRES];
	u32 i, k;

	for (i = 0; i < mux.wires; i++) {
		for (k = 0; k < n && !dead[i]; k++) {
			if (s[k] == '\n')
				dead[i] = !panic_byte(mux.wire[i], '\r');
			if (!dead[i])
				dead[i] = !panic_byte(mux.wire[i], s[k]);
		}
	}
}
