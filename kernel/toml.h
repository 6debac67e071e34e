/*
 * A strict subset of TOML 1.0: text -> tree of tables, keys and scalars.
 *
 * Known: comments, [table], [[table]], bare and quoted keys, basic and
 * literal strings, integers in four bases, booleans, arrays of these. All
 * else of TOML is refused by name, so that whatever is accepted here reads
 * the same elsewhere. Pure: no allocation, nothing global; nodes refer to the
 * text, which must outlive the tree.
 */
#ifndef KERNEL_TOML_H
#define KERNEL_TOML_H

#include "arch/types.h"

#define TOML_MAX_NODES 1536
#define TOML_NONE 0xffffu /* no node */

enum toml_kind {
	TOML_ROOT,    /* node 0; children: tables, and keys before the first table */
	TOML_TABLE,   /* [name] */
	TOML_ELEMENT, /* [[name]]: one node for each time it is written */
	TOML_STRING,
	TOML_INTEGER,
	TOML_BOOLEAN,
	TOML_ARRAY, /* children: scalars without a key */
};

struct toml_node {
	u8 kind;	      /* enum toml_kind */
	u8 broken;	      /* a table: a line of it could not be read */
	u16 next;	      /* the next node of the same parent, or TOML_NONE */
	u16 child, last;      /* first and last child, or TOML_NONE */
	u32 line, col;	      /* of the key (table: of its bracket); both from 1 */
	u32 vline, vcol;      /* of the value */
	u32 key, key_len;     /* offset of the key in the text, quotes included */
	u32 value, value_len; /* the same of a scalar, quotes included */
};

struct toml;

/* One complaint. table is the node it belongs to: the complaint's [[vm]]. */
typedef void toml_complain_fn(struct toml *t, u32 line, u32 col, u32 table, const char *text);

struct toml {
	const char *text;
	u32 len;
	u32 count; /* nodes in use */
	toml_complain_fn *complain;
	void *arg; /* the caller's, for complain */
	/* the reader's position */
	u32 pos, line, line_start;
	u32 table; /* the table that keys go to */
	bool failed;
	struct toml_node node[TOML_MAX_NODES];
};

/* Read text. Every complaint goes to complain, and reading goes on at the
 * next line that looks like a key or a table. True: no complaint. The tree
 * holds what was understood in either case. */
bool toml_parse(struct toml *t, const char *text, size_t len, toml_complain_fn *complain,
		void *arg);

/* Decode a key or a string into buf (NUL-terminated, cut to n - 1 bytes).
 * Returns the whole length in bytes. */
u32 toml_key(const struct toml *t, u32 node, char *buf, u32 n);
u32 toml_string(const struct toml *t, u32 node, char *buf, u32 n);
s64 toml_integer(const struct toml *t, u32 node);
bool toml_boolean(const struct toml *t, u32 node);

#endif
