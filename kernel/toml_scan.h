/*
 * What the two halves of the TOML reader share (toml.c, toml_scalar.c); not
 * for others.
 */
#ifndef KERNEL_TOML_SCAN_H
#define KERNEL_TOML_SCAN_H

#include "kernel/toml.h"

#define TOML_END 0x100 /* toml_peek(): the text is over */

static inline u32 toml_at(const struct toml *t, u32 pos)
{
	return pos < t->len ? (u8)t->text[pos] : TOML_END;
}

static inline u32 toml_peek(const struct toml *t)
{
	return toml_at(t, t->pos);
}

static inline bool toml_at_newline(const struct toml *t)
{
	return toml_peek(t) == '\n' || (toml_peek(t) == '\r' && toml_at(t, t->pos + 1) == '\n');
}

static inline bool toml_is_digit(u32 c)
{
	return c >= '0' && c <= '9';
}

/* toml.c: complain about what stands at pos of the current line; false. */
bool toml_fail(struct toml *t, u32 pos, const char *fmt, ...) PRINTF(3, 4);
/* A node that stands at the reader's position; TOML_NONE after a complaint. */
u32 toml_node_new(struct toml *t, enum toml_kind kind);

/* toml_scalar.c. Step over one character of a comment or a string. */
bool toml_plain_char(struct toml *t);
/* Step over a string in quotes of either kind; what: for complaints. */
bool toml_quoted(struct toml *t, const char *what);
/* A value that is no array: a node without a key, or TOML_NONE after a
 * complaint. */
u32 toml_scalar(struct toml *t);
/* Decode a bare word or a checked string in quotes; returns its whole length. */
u32 toml_decode(const struct toml *t, u32 pos, u32 len, char *buf, u32 n);

#endif
