/*
 * A port of the console mux (kernel/console.h): its scrollback, which any CPU
 * writes and CPU 0 shows, and the ring of what was typed for it. The port's
 * lock guards both.
 */
#include "kernel/console_mux.h"
#include "kernel/print.h"
#include "kernel/string.h"

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
	wake |= before / CONSOLE_STEP != p->written / CONSOLE_STEP;
	spin_unlock(&p->lock);
	if (wake && __atomic_load_n(&mux.output, __ATOMIC_RELAXED) == p)
		console_wake();
}

static u32 typed_read(char *buf, u32 max)
{
	u32 n = 0;

	while (n < max && mux.typed_tail != mux.typed_head)
		buf[n++] = mux.typed[mux.typed_tail++ % CONSOLE_TYPED_SIZE];
	return n;
}

u32 console_port_read(struct console_port *p, char *buf, u32 max)
{
	u32 n = 0;

	if (p == mux.shell)
		return mux.input == p ? typed_read(buf, max) : 0;
	spin_lock(&p->lock);
	while (n < max && p->rx_tail != p->rx_head &&
	       !(p->rx_break && p->rx_break_at == p->rx_tail))
		buf[n++] = p->rx[p->rx_tail++ % CONSOLE_RX_SIZE];
	spin_unlock(&p->lock);
	if (n && __atomic_load_n(&mux.held, __ATOMIC_RELAXED))
		console_wake();
	return n;
}

bool console_port_break(struct console_port *p)
{
	bool is;

	spin_lock(&p->lock);
	is = p->rx_break && p->rx_break_at == p->rx_tail;
	p->rx_break &= !is;
	spin_unlock(&p->lock);
	return is;
}

void console_port_type_break(struct console_port *p)
{
	spin_lock(&p->lock);
	p->rx_break = true;
	p->rx_break_at = p->rx_head;
	spin_unlock(&p->lock);
}

bool console_port_ready(struct console_port *p)
{
	if (p == mux.shell)
		return mux.input == p && mux.typed_tail != mux.typed_head;
	return __atomic_load_n(&p->rx_tail, __ATOMIC_RELAXED) !=
		       __atomic_load_n(&p->rx_head, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&p->rx_break, __ATOMIC_RELAXED);
}

void console_port_flush_rx(struct console_port *p)
{
	spin_lock(&p->lock);
	p->rx_tail = p->rx_head;
	p->rx_break = false;
	spin_unlock(&p->lock);
}

bool console_port_type(struct console_port *p, char c)
{
	bool room;

	spin_lock(&p->lock);
	room = p->rx_head - p->rx_tail < CONSOLE_RX_SIZE;
	if (room)
		p->rx[p->rx_head++ % CONSOLE_RX_SIZE] = c;
	spin_unlock(&p->lock);
	return room;
}

u32 console_port_take(struct console_port *p, char *buf, u32 n, u64 stop, u64 *lost)
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

void console_port_rewind(struct console_port *p)
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

bool console_port_pending(struct console_port *p)
{
	bool pending;

	spin_lock(&p->lock);
	pending = p->written != p->shown;
	spin_unlock(&p->lock);
	return pending;
}
