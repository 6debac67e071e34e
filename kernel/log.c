/*
 * The host's log (kernel/log.h): records of stamp, level and text in a byte
 * ring; the oldest give way. Positions count bytes ever written, so a reader
 * that fell behind notices.
 */
#include "kernel/log.h"
#include "arch/spinlock.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/utf8.h"

/* A holder needs microseconds; who has not got the lock after this many tries
 * writes without it (its holder was stopped by a panic). */
#define LOCK_TRIES 20000000

_Static_assert(LOG_ERROR == 0 && LOG_WARN == 1 && LOG_INFO == 2 && LOG_DEBUG == 3,
	       "host_config.log_level numbers them so");
_Static_assert((LOG_RING_SIZE & (LOG_RING_SIZE - 1)) == 0, "positions are masked");

struct record {
	ns_t stamp;
	u16 len; /* bytes of text that follow */
	u8 level;
	u8 pad[5];
};

static struct spinlock lock; /* guards the ring */
static char ring[LOG_RING_SIZE];
static u64 head;	    /* position behind the newest record */
static u64 tail;	    /* position of the oldest record */
static ns_t (*clock)(void); /* set at boot */
static void (*sink)(const char *line, u32 n);
static enum log_level level_max = LOG_INFO;

void log_set_clock(ns_t (*now)(void))
{
	clock = now;
}

void log_set_level(enum log_level max)
{
	level_max = max;
}

enum log_level log_get_level(void)
{
	return level_max;
}

void log_set_sink(void (*fn)(const char *line, u32 n))
{
	__atomic_store_n(&sink, fn, __ATOMIC_RELEASE);
}

static bool lock_bounded(void)
{
	u32 i;

	for (i = 0; i < LOCK_TRIES; i++) {
		if (spin_trylock(&lock))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static void unlock(bool locked)
{
	if (locked)
		spin_unlock(&lock);
}

static void ring_put(u64 pos, const void *data, u32 n)
{
	const char *p = data;

	for (; n; n--)
		ring[pos++ % LOG_RING_SIZE] = *p++;
}

static void ring_get(u64 pos, void *data, u32 n)
{
	char *p = data;

	for (; n; n--)
		*p++ = ring[pos++ % LOG_RING_SIZE];
}

/* The record at pos; false: pos is at the end, or there is no sense in it. */
static bool record_at(u64 pos, struct record *r)
{
	if (pos + sizeof(*r) > head)
		return false;
	ring_get(pos, r, sizeof(*r));
	return r->len <= LOG_LINE_MAX && pos + sizeof(*r) + r->len <= head;
}

static void store(const struct record *r, const char *text)
{
	u32 need = (u32)sizeof(*r) + r->len;
	struct record old;

	while (head + need - tail > LOG_RING_SIZE) {
		if (!record_at(tail, &old)) {
			tail = head;
			break;
		}
		tail += sizeof(old) + old.len;
	}
	ring_put(head, r, sizeof(*r));
	ring_put(head + sizeof(*r), text, r->len);
	head += need;
}

/* One line as it is shown; returns its length. */
static u32 show(const struct record *r, const char *text, char *buf, u32 size)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "" };
	u64 us = r->stamp / 1000;
	int n = str_format(buf, size, "[%5llu.%06llu] %s%.*s", (unsigned long long)(us / 1000000),
			   (unsigned long long)(us % 1000000), prefix[r->level & 3], (int)r->len,
			   text);
	u32 len = MIN((u32)n, size - 2);

	buf[len++] = '\n';
	buf[len] = '\0';
	return len;
}

/* Texts come from guests' monitors as well: nothing that drives a terminal. */
static u32 clean(char *s, u32 n)
{
	u32 i, k;

	while (n && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	for (i = 0; i < n; i += k) {
		k = utf8_len(s + i, n - i);
		if (k == 0 || (u8)s[i] < ' ' || s[i] == 0x7f ||
		    ((u8)s[i] == 0xc2 && (u8)s[i + 1] < 0xa0)) {
			s[i] = s[i] == '\t' || s[i] == '\n' ? ' ' : '?';
			k = 1;
		}
	}
	return n;
}

/* text has room for LOG_LINE_MAX bytes and is changed. */
static void add_line(enum log_level level, ns_t stamp, char *text, u32 n)
{
	void (*fn)(const char *line, u32 n) = __atomic_load_n(&sink, __ATOMIC_ACQUIRE);
	struct record r = { .stamp = stamp, .level = (u8)level };
	char line[LOG_SHOWN_MAX];
	bool locked;

	r.len = (u16)clean(text, n);
	locked = lock_bounded();
	store(&r, text);
	unlock(locked);
	if (fn)
		fn(line, show(&r, text, line, sizeof(line)));
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX + 1];
	va_list ap;
	int n;

	if (level > level_max)
		return;
	va_start(ap, fmt);
	n = str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > LOG_LINE_MAX) {
		n = LOG_LINE_MAX;
		memcpy(text + n - 3, "...", 3);
	}
	add_line(level, clock ? clock() : 0, text, (u32)n);
}

void log_replay(const char *text, u32 n)
{
	char line[LOG_LINE_MAX];
	u32 i, len = 0;

	for (i = 0; i <= n; i++) {
		if (i < n && text[i] != '\n') {
			if (len < sizeof(line) && text[i] != '\r')
				line[len++] = text[i];
			continue;
		}
		if (len)
			add_line(LOG_INFO, 0, line, len);
		len = 0;
	}
}

void log_reader_oldest(struct log_reader *r)
{
	r->lost = 0;
	r->pos = __atomic_load_n(&tail, __ATOMIC_RELAXED);
}

void log_reader_end(struct log_reader *r)
{
	r->lost = 0;
	r->pos = __atomic_load_n(&head, __ATOMIC_RELAXED);
}

u32 log_next(struct log_reader *r, char *buf, u32 size)
{
	char text[LOG_LINE_MAX];
	struct record rec;
	bool locked = lock_bounded(), found;

	if (r->pos < tail) {
		r->lost += tail - r->pos;
		r->pos = tail;
	}
	found = record_at(r->pos, &rec);
	if (found) {
		ring_get(r->pos + sizeof(rec), text, rec.len);
		r->pos += sizeof(rec) + rec.len;
	}
	unlock(locked);
	return found ? show(&rec, text, buf, size) : 0;
}

void log_tail(u32 lines, void (*emit)(const char *s, u32 n))
{
	char text[LOG_LINE_MAX], line[LOG_SHOWN_MAX];
	struct record r;
	u32 count = 0;
	u64 pos;

	for (pos = tail; record_at(pos, &r); pos += sizeof(r) + r.len)
		count++;
	for (pos = tail; record_at(pos, &r); pos += sizeof(r) + r.len) {
		if (count-- > lines)
			continue;
		ring_get(pos + sizeof(r), text, r.len);
		emit(line, show(&r, text, line, sizeof(line)));
	}
}
