/*
 * The host's log: a ring of time-stamped lines (arch/log.h writes to it), and
 * who reads it: the console as lines come (a sink), the shell's `log`, and a
 * panic's last words.
 *
 * Any CPU may write at any time. One lock guards the ring; it is given up on
 * after a bounded wait, so that a CPU stopped in the middle of a line cannot
 * silence a panic.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "arch/log.h"
#include "arch/types.h"

#define LOG_RING_SIZE 32768
#define LOG_LINE_MAX 256  /* bytes of one line's text; longer ones end in "..." */
#define LOG_SHOWN_MAX 320 /* of one line as it is shown: stamp, level, newline, NUL */

/* Time stamps come from now (ns since boot); NULL: all 0. */
void log_set_clock(ns_t (*now)(void));

/* Lines above this level are not kept at all. LOG_INFO at the start. */
void log_set_level(enum log_level max);
enum log_level log_get_level(void);

/* Called after each new line, with it as it is shown (newline at its end), on
 * the CPU that wrote it and without the lock. NULL: none. */
void log_set_sink(void (*sink)(const char *line, u32 n));

/* Take over the loader's lines (boot_info.log) with the stamp 0, sink included. */
void log_replay(const char *text, u32 n);

/* A walk over the ring, oldest line first. Lines that are overwritten while
 * the walk goes on are passed over and counted in lost. */
struct log_reader {
	u64 pos;
	u64 lost; /* bytes */
};

void log_reader_oldest(struct log_reader *r);
void log_reader_end(struct log_reader *r); /* only lines yet to come */
/* The next line as it is shown (newline, NUL); returns its length, 0: no more. */
u32 log_next(struct log_reader *r, char *buf, u32 size);

/* The last lines, through emit, without taking the lock: for panic only
 * (which should first log_set_sink(NULL) and print by console_panic_write). */
void log_tail(u32 lines, void (*emit)(const char *s, u32 n));

#endif
