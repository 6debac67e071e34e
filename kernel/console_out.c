/*
 * The way out of the console mux (kernel/console.h): the shown port's ring ->
 * mux.out -> each wire at its own pace. The slowest live wire sets the pace; a
 * stalled one is left behind and told how much it missed.
 */
#include "kernel/console_mux.h"
#include "kernel/print.h"

#define COPY 256u     /* bytes moved under one hold of a port's lock */
#define NOTE_ROOM 64u /* kept free in mux.out for a marker */
#define PANIC_TRIES 200000u

void console_show(struct console_port *p)
{
	__atomic_store_n(&mux.output, p, __ATOMIC_RELAXED);
	mux.next = NULL;
}

static void out_put(const char *s, u32 n)
{
	while (n--)
		mux.out[mux.out_head++ % CONSOLE_OUT_SIZE] = *s++;
}

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
	return mux.wires ? CONSOLE_OUT_SIZE - (u32)(mux.out_head - (live ? slowest : fastest)) : 0;
}

static void out_lost(u64 lost)
{
	char note[48];
	int n = str_format(note, sizeof(note), "\r\n[… %llu bytes lost]\r\n",
			   (unsigned long long)lost);

	out_put(note, (u32)n);
}

void console_fill(void)
{
	struct console_port *p;
	u32 room, n, i, moved = 0;
	char buf[COPY];
	u64 lost;

	while (moved < CONSOLE_STEP && (room = out_room()) > 2 * NOTE_ROOM) {
		p = mux.output;
		if (mux.next && p->shown >= mux.switch_at) {
			console_port_rewind(mux.next);
			console_show(mux.next);
			continue;
		}
		n = console_port_take(p, buf, MIN(COPY, (room - NOTE_ROOM) / 2),
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
	ns_t t = console_now();

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
	u32 i = (u32)(w->sent % CONSOLE_OUT_SIZE);

	if (w->note_sent < w->note_len) {
		*s = w->note + w->note_sent;
		return w->note_len - w->note_sent;
	}
	*s = mux.out + i;
	return (u32)MIN(mux.out_head - w->sent, (u64)(CONSOLE_OUT_SIZE - i));
}

static void wire_took(struct console_wire *w, u32 n)
{
	w->waiting = w->stalled = false;
	if (w->note_sent < w->note_len)
		w->note_sent += n;
	else
		w->sent += n;
}

void console_drain_wire(struct console_wire *w)
{
	u32 n, took, moved = 0;
	const char *s;

	if (mux.out_head - w->sent > CONSOLE_OUT_SIZE) { /* overtaken while it was stalled */
		w->lost += mux.out_head - w->sent;
		w->sent = mux.out_head;
		w->note_sent = 0;
		w->note_len =
			(u32)str_format(w->note, sizeof(w->note), "\r\n[… %llu bytes lost]\r\n",
					(unsigned long long)w->lost);
	}
	while (moved < CONSOLE_STEP && (n = wire_next(w, &s)) != 0) {
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

bool console_output_pending(void)
{
	const char *s;
	u32 i;

	for (i = 0; i < mux.wires; i++)
		if (!mux.wire[i]->stalled && wire_next(mux.wire[i], &s))
			return true;
	return console_alive() && (mux.next || console_port_pending(mux.output));
}

bool console_output_stuck(void)
{
	bool waits = false;
	const char *s;
	u32 i;

	for (i = 0; i < mux.wires; i++) {
		if (mux.wire[i]->stalled || !wire_next(mux.wire[i], &s))
			continue;
		if (!mux.wire[i]->waiting)
			return false;
		waits = true;
	}
	return waits;
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
