/*
 * The host's crash record: the text of a panic, in memory that the loader
 * reserves at the same place at each boot, so that it outlives a warm reset.
 * The kernel writes it while nothing else works any more; the loader looks for
 * it at the next boot and trusts no byte of it. Pure; both link it.
 */
#ifndef KERNEL_CRASHLOG_H
#define KERNEL_CRASHLOG_H

#include "arch/types.h"

#define CRASHLOG_SIZE KIB(16)

struct crashlog {
	u32 magic, len; /* of text */
	u32 crc;	/* CRC-32 of these bytes, as far as it got */
	u32 pad;
	char text[];
};

/* A new record in size bytes, empty. */
void crashlog_begin(struct crashlog *c, u32 size);
/* n bytes more, as many as fit. The record is whole after each call. */
void crashlog_append(struct crashlog *c, u32 size, const char *s, u32 n);
/* Bytes of text of a whole record; 0: there is none. */
u32 crashlog_check(const struct crashlog *c, u32 size) MUST_CHECK;
/* So that it is found once only. */
void crashlog_clear(struct crashlog *c);

#endif
