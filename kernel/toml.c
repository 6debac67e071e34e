/*
 * The reader of the TOML subset (kernel/toml.h): one pass, no recursion. Lines,
 * tables, keys and arrays are here, single values in toml_scalar.c.
 *
 * TOML 1.0.0: what is refused is refused by name and place, then reading goes
 * on at the next line that looks like a key or a table, so that one run shows
 * all that is wrong. Keys behind a broken table header belong to nobody.
 */
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/toml_scan.h"

#define KEY_MAX 64 /* bytes of a decoded key, the NUL included */

/* The column of pos, which lies in the current line: characters, from 1. */
static u32 column(const struct toml *t, u32 pos)
{
	u32 i, col = 1;

	for (i = t->line_start; i < pos; i++)
		col += ((u8)t->text[i] & 0xc0) != 0x80;
	return col;
}

static void vcomplain(struct toml *t, u32 line, u32 col, const char *fmt, va_list ap)
{
	char text[160];

	str_vformat(text, sizeof(text), fmt, ap);
	t->failed = true;
	if (t->table != TOML_NONE)
		t->node[t->table].broken = 1;
	t->complain(t, line, col, t->table, text);
}

static void PRINTF(4, 5) complain(struct toml *t, u32 line, u32 col, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(t, line, col, fmt, ap);
	va_end(ap);
}

/* Complain about what stands at pos of the current line; returns false. */
bool toml_fail(struct toml *t, u32 pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(t, t->line, column(t, pos), fmt, ap);
	va_end(ap);
	return false;
}

/* ------------------------------------------------------------- the tree */

u32 toml_node_new(struct toml *t, enum toml_kind kind)
{
	struct toml_node *n = &t->node[t->count];

	if (t->count == TOML_MAX_NODES) {
		toml_fail(t, t->pos, "the file holds more than %u keys and values: make it shorter",
			  TOML_MAX_NODES);
		t->pos = t->len;
		return TOML_NONE;
	}
	memset(n, 0, sizeof(*n));
	n->kind = (u8)kind;
	n->next = n->child = n->last = TOML_NONE;
	n->line = n->vline = t->line;
	n->col = n->vcol = column(t, t->pos);
	return t->count++;
}

static void node_append(struct toml *t, u32 parent, u32 child)
{
	struct toml_node *p = &t->node[parent];

	if (p->child == TOML_NONE)
		p->child = (u16)child;
	else
		t->node[p->last].next = (u16)child;
	p->last = (u16)child;
}

/* The last child of parent with the key of node; TOML_NONE: there is none. */
static u32 node_same_key(const struct toml *t, u32 parent, u32 node)
{
	char key[KEY_MAX], other[KEY_MAX];
	u32 n = toml_key(t, node, key, sizeof(key));
	u32 i, found = TOML_NONE;

	for (i = t->node[parent].child; i != TOML_NONE; i = t->node[i].next)
		if (toml_key(t, i, other, sizeof(other)) == n && memcmp(key, other, n) == 0)
			found = i;
	return found;
}

/* ------------------------------------------------------ spaces and comments */

static void skip_blanks(struct toml *t)
{
	while (toml_peek(t) == ' ' || toml_peek(t) == '\t')
		t->pos++;
}

/* Step over LF or CR LF; false: there is none here. */
static bool newline(struct toml *t)
{
	if (toml_peek(t) == '\r' && toml_at(t, t->pos + 1) == '\n')
		t->pos++;
	if (toml_peek(t) != '\n')
		return false;
	t->line_start = ++t->pos;
	t->line++;
	return true;
}

/* A comment, if one begins here. */
static bool comment(struct toml *t)
{
	if (toml_peek(t) != '#')
		return true;
	while (toml_peek(t) != TOML_END && !toml_at_newline(t))
		if (!toml_plain_char(t))
			return false;
	return true;
}

/* Spaces, comments and line ends, as between an array's values. */
static bool skip_lines(struct toml *t)
{
	do {
		skip_blanks(t);
		if (!comment(t))
			return false;
	} while (newline(t));
	return true;
}

/* The rest of a line after a value or a table's name. */
static bool line_end(struct toml *t, const char *after)
{
	skip_blanks(t);
	if (!comment(t))
		return false;
	if (toml_peek(t) == TOML_END || newline(t))
		return true;
	return toml_fail(t, t->pos, "nothing but a comment may follow %s on its line", after);
}

/* ------------------------------------------------------- arrays and values */

static u32 array(struct toml *t)
{
	u32 node = toml_node_new(t, TOML_ARRAY), line = t->line, col = column(t, t->pos), child;

	if (node == TOML_NONE)
		return TOML_NONE;
	t->pos++;
	for (;;) {
		if (!skip_lines(t))
			return TOML_NONE;
		if (toml_peek(t) == ']')
			break;
		if (toml_peek(t) == TOML_END)
			goto not_closed;
		if (toml_peek(t) == '[' || toml_peek(t) == '{') {
			toml_fail(t, t->pos,
				  "an array may hold strings, integers and booleans only");
			return TOML_NONE;
		}
		child = toml_scalar(t);
		if (child == TOML_NONE)
			return TOML_NONE;
		node_append(t, node, child);
		if (!skip_lines(t))
			return TOML_NONE;
		if (toml_peek(t) == ',') {
			t->pos++;
		} else if (toml_peek(t) == TOML_END) {
			goto not_closed;
		} else if (toml_peek(t) != ']') {
			toml_fail(t, t->pos,
				  "a ',' or ']' is missing here, in the array that begins in "
				  "line %u",
				  line);
			return TOML_NONE;
		}
	}
	t->pos++;
	return node;

not_closed:
	complain(t, line, col, "the array that begins here is not closed: a ']' is missing");
	return TOML_NONE;
}

static u32 value(struct toml *t)
{
	switch (toml_peek(t)) {
	case '[': return array(t);
	case '{':
		toml_fail(t, t->pos,
			  "inline tables are not used here: write the keys one a line under "
			  "a [table]");
		return TOML_NONE;
	default: return toml_scalar(t);
	}
}

/* ----------------------------------------------------------- keys and tables */

static bool is_bare(u32 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || toml_is_digit(c) || c == '_' ||
	       c == '-';
}

/* A key, with where it stands. */
static bool key(struct toml *t, u32 *start, u32 *len)
{
	char text[4];

	*start = t->pos;
	if (toml_peek(t) == '"' || toml_peek(t) == '\'') {
		if (!toml_quoted(t, "the key"))
			return false;
	} else {
		while (is_bare(toml_peek(t)))
			t->pos++;
	}
	*len = t->pos - *start;
	if (*len == 0)
		return toml_fail(t, t->pos,
				 "a key or a [table] was expected here; keys are made of "
				 "letters, digits, '_' and '-'");
	if (toml_decode(t, *start, *len, text, sizeof(text)) >= KEY_MAX)
		return toml_fail(t, *start, "a key of more than %u bytes", KEY_MAX - 1);
	return true;
}

static bool header(struct toml *t)
{
	bool element;
	u32 bracket = t->pos, line = t->line, col = column(t, t->pos), start, len, node, same;
	char name[KEY_MAX];

	t->table = TOML_NONE; /* until the name is known, keys belong to nobody */
	t->pos++;
	element = toml_peek(t) == '[';
	t->pos += element;
	skip_blanks(t);
	if (!key(t, &start, &len))
		return false;
	skip_blanks(t);
	if (toml_peek(t) == '.')
		return toml_fail(t, t->pos, "dotted names are not used here");
	if (toml_peek(t) != ']' || (element && toml_at(t, t->pos + 1) != ']'))
		return toml_fail(t, t->pos, "%s is missing here", element ? "]]" : "]");
	t->pos += element ? 2 : 1;

	node = toml_node_new(t, element ? TOML_ELEMENT : TOML_TABLE);
	if (node == TOML_NONE)
		return false;
	t->node[node].line = line;
	t->node[node].col = column(t, bracket);
	t->node[node].key = start;
	t->node[node].key_len = len;
	same = node_same_key(t, 0, node);
	if (same != TOML_NONE && !(element && t->node[same].kind == TOML_ELEMENT)) {
		toml_key(t, node, name, sizeof(name));
		complain(t, line, col, "'%s' stands in line %u already: %s", name,
			 t->node[same].line,
			 t->node[same].kind == TOML_ELEMENT ? "write [[ ]] both times"
							    : "bring both together");
		/* its lines are read, for their own errors, but belong to nobody */
		return line_end(t, "a table's name");
	}
	node_append(t, 0, node);
	t->table = node;
	return line_end(t, "a table's name");
}

static bool key_value(struct toml *t)
{
	u32 line = t->line, col = column(t, t->pos), start, len, node, same;
	char name[KEY_MAX];

	if (!key(t, &start, &len))
		return false;
	skip_blanks(t);
	if (toml_peek(t) == '.')
		return toml_fail(t, t->pos,
				 "dotted keys are not used here: write the key under its "
				 "[table]");
	if (toml_peek(t) != '=')
		return toml_fail(t, t->pos, "a '=' is missing after the key");
	t->pos++;
	skip_blanks(t);
	node = value(t);
	if (node == TOML_NONE)
		return false;
	t->node[node].line = line;
	t->node[node].col = col;
	t->node[node].key = start;
	t->node[node].key_len = len;
	if (t->table != TOML_NONE) {
		same = node_same_key(t, t->table, node);
		if (same != TOML_NONE) {
			toml_key(t, node, name, sizeof(name));
			complain(t, line, col, "'%s' stands in line %u already: remove one of them",
				 name, t->node[same].line);
		} else {
			node_append(t, t->table, node);
		}
	}
	return line_end(t, "a value");
}

/* Does the current line, from its start, look like "key =" or "[table]"? */
static bool looks_like_statement(const struct toml *t)
{
	u32 p = t->line_start, brackets = 0, start;

	while (toml_at(t, p) == ' ' || toml_at(t, p) == '\t')
		p++;
	while (toml_at(t, p) == '[' && brackets < 2) {
		p++;
		brackets++;
	}
	while (toml_at(t, p) == ' ' || toml_at(t, p) == '\t')
		p++;
	start = p;
	while (is_bare(toml_at(t, p)))
		p++;
	if (p == start)
		return false;
	while (toml_at(t, p) == ' ' || toml_at(t, p) == '\t')
		p++;
	return toml_at(t, p) == (brackets ? ']' : '=');
}

/* After a complaint in the statement that began in line: go to the next one. */
static void resynchronise(struct toml *t, u32 line)
{
	if (t->line > line && looks_like_statement(t)) {
		t->pos = t->line_start; /* the one before was not closed */
		return;
	}
	while (toml_peek(t) != TOML_END) {
		if (!newline(t)) {
			t->pos++;
			continue;
		}
		if (looks_like_statement(t))
			return;
	}
}

bool toml_parse(struct toml *t, const char *text, size_t len, toml_complain_fn *complain_fn,
		void *arg)
{
	u32 line;
	bool ok;

	t->text = text;
	t->len = len > UINT32_MAX / 2 ? UINT32_MAX / 2 : (u32)len;
	t->count = 0;
	t->complain = complain_fn;
	t->arg = arg;
	t->pos = t->line_start = 0;
	t->line = 1;
	t->failed = false;
	t->table = TOML_NONE;
	t->table = toml_node_new(t, TOML_ROOT);
	if (t->len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		toml_fail(t, 0,
			  "the file begins with a byte order mark: save it as UTF-8 without one");
		t->pos = t->line_start = 3;
	}
	while (toml_peek(t) != TOML_END) {
		skip_blanks(t);
		line = t->line;
		if (toml_peek(t) == '[')
			ok = header(t);
		else if (toml_peek(t) == '#' || toml_peek(t) == TOML_END || toml_at_newline(t))
			ok = line_end(t, "");
		else
			ok = key_value(t);
		if (!ok)
			resynchronise(t, line);
	}
	return !t->failed;
}
