/*
 * A tree of kernel/toml.h as JSON, for comparing it with what Python's tomllib
 * makes of the same document: put_root() writes `tree` to dump_to.
 */
#ifndef FAKE_TOML_DUMP_H
#define FAKE_TOML_DUMP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/toml.h"

static FILE *dump_to;
static struct toml tree; /* what is dumped */

static void put_text(const char *s, size_t n)
{
	putc('"', dump_to);
	for (; n; n--, s++) {
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			fprintf(dump_to, "\\u%04x", (unsigned char)*s);
		else
			putc(*s, dump_to);
	}
	putc('"', dump_to);
}

static void put_string(const char *s)
{
	put_text(s, strlen(s));
}

static void put_key(u32 node)
{
	char key[80];
	u32 n = toml_key(&tree, node, key, sizeof(key));

	put_text(key, n);
	fprintf(dump_to, ": ");
}

static void put_scalar(u32 node)
{
	u32 n;
	char *s;

	switch (tree.node[node].kind) {
	case TOML_STRING:
		n = toml_string(&tree, node, NULL, 0);
		s = malloc(n + 1);
		toml_string(&tree, node, s, n + 1);
		put_text(s, n);
		free(s);
		break;
	case TOML_INTEGER: fprintf(dump_to, "%lld", (long long)toml_integer(&tree, node)); break;
	case TOML_BOOLEAN:
		fprintf(dump_to, "%s", toml_boolean(&tree, node) ? "true" : "false");
		break;
	default: abort();
	}
}

static void put_value(u32 node)
{
	u32 i;

	if (tree.node[node].kind != TOML_ARRAY) {
		put_scalar(node);
		return;
	}
	fprintf(dump_to, "[");
	for (i = tree.node[node].child; i != TOML_NONE; i = tree.node[i].next) {
		put_scalar(i);
		if (tree.node[i].next != TOML_NONE)
			fprintf(dump_to, ", ");
	}
	fprintf(dump_to, "]");
}

static void put_table(u32 node)
{
	u32 i;

	fprintf(dump_to, "{");
	for (i = tree.node[node].child; i != TOML_NONE; i = tree.node[i].next) {
		put_key(i);
		put_value(i);
		if (tree.node[i].next != TOML_NONE)
			fprintf(dump_to, ", ");
	}
	fprintf(dump_to, "}");
}

static bool same_key(u32 a, u32 b)
{
	char x[80], y[80];
	u32 n = toml_key(&tree, a, x, sizeof(x));

	return toml_key(&tree, b, y, sizeof(y)) == n && memcmp(x, y, n) == 0;
}

/* All [[name]] of one name become one list, where the first of them stands. */
static void put_elements(u32 first)
{
	u32 i;

	fprintf(dump_to, "[");
	for (i = first; i != TOML_NONE; i = tree.node[i].next) {
		if (!same_key(first, i))
			continue;
		if (i != first)
			fprintf(dump_to, ", ");
		put_table(i);
	}
	fprintf(dump_to, "]");
}

static void put_root(void)
{
	bool comma = false;
	u32 i, k;

	fprintf(dump_to, "{");
	for (i = tree.node[0].child; i != TOML_NONE; i = tree.node[i].next) {
		for (k = tree.node[0].child; !same_key(k, i); k = tree.node[k].next)
			;
		if (k != i)
			continue;
		if (comma)
			fprintf(dump_to, ", ");
		comma = true;
		put_key(i);
		if (tree.node[i].kind == TOML_ELEMENT)
			put_elements(i);
		else if (tree.node[i].kind == TOML_TABLE)
			put_table(i);
		else
			put_value(i);
	}
	fprintf(dump_to, "}");
}

#endif
