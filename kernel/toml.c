/*
 * The reader of the TOML subset (kernel/toml.h): one pass, no recursion.
 *
 * TOML 1.0.0: what is refused is refused by name and place, then reading goes
 * on at the next line that looks like a key or a table, so that one run shows
 * all that is wrong. Keys behind a broken table header belong to nobody.
 */
#include "kernel/toml.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/utf8.h"

#define KEY_MAX 64 /* bytes of a decoded key, the NUL included */
#define END 0x100  /* peek(): the text is over */

static u32 at(const struct toml *t, u32 pos)
{
	return pos < t->len ? (u8)t->text[pos] : END;
}

static u32 peek(const struct toml *t)
{
	return at(t, t->pos);
}

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
static bool PRINTF(3, 4) fail(struct toml *t, u32 pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(t, t->line, column(t, pos), fmt, ap);
	va_end(ap);
	return false;
}

/* ------------------------------------------------------------- the tree */

static u32 node_new(struct toml *t, enum toml_kind kind)
{
	struct toml_node *n = &t->node[t->count];

	if (t->count == TOML_MAX_NODES) {
		fail(t, t->pos, "the file holds more than %u keys and values: make it shorter",
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
	while (peek(t) == ' ' || peek(t) == '\t')
		t->pos++;
}

/* Step over LF or CR LF; false: there is none here. */
static bool newline(struct toml *t)
{
	if (peek(t) == '\r' && at(t, t->pos + 1) == '\n')
		t->pos++;
	if (peek(t) != '\n')
		return false;
	t->line_start = ++t->pos;
	t->line++;
	return true;
}

static bool at_newline(const struct toml *t)
{
	return peek(t) == '\n' || (peek(t) == '\r' && at(t, t->pos + 1) == '\n');
}

/* Step over one character of a comment or a string. */
static bool plain_char(struct toml *t)
{
	u32 c = peek(t), n = utf8_len(t->text + t->pos, t->len - t->pos);

	if (n == 0)
		return fail(t, t->pos, "byte 0x%02x is not UTF-8: save the file as UTF-8", c);
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return fail(t, t->pos, "control character 0x%02x: remove it", c);
	t->pos += n;
	return true;
}

/* A comment, if one begins here. */
static bool comment(struct toml *t)
{
	if (peek(t) != '#')
		return true;
	while (peek(t) != END && !at_newline(t))
		if (!plain_char(t))
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
	if (peek(t) == END || newline(t))
		return true;
	return fail(t, t->pos, "nothing but a comment may follow %s on its line", after);
}

/* -------------------------------------------------------------- strings */

static bool is_hex(u32 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static u32 hex_value(u32 c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static u32 hex_number(const struct toml *t, u32 pos, u32 digits)
{
	u32 value = 0;

	for (; digits; digits--, pos++)
		value = value << 4 | hex_value(at(t, pos));
	return value;
}

/* Step over an escape sequence of a basic string; pos is at its backslash. */
static bool escape(struct toml *t)
{
	u32 start = t->pos, c = at(t, start + 1), digits, i, value;

	if (c == 'b' || c == 't' || c == 'n' || c == 'f' || c == 'r' || c == '"' || c == '\\') {
		t->pos += 2;
		return true;
	}
	if (c != 'u' && c != 'U')
		return fail(t, start, "no such escape sequence: write a backslash as \\\\, or "
				      "put the text in 'single quotes'");
	digits = c == 'u' ? 4 : 8;
	for (i = 0; i < digits; i++)
		if (!is_hex(at(t, start + 2 + i)))
			return fail(t, start, "\\%c needs %u hexadecimal digits", c, digits);
	value = hex_number(t, start + 2, digits);
	if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return fail(t, start, "U+%04X is no Unicode character", value);
	t->pos += 2 + digits;
	return true;
}

/* A string in quotes of either kind; pos is at the first one. what: for
 * complaints. */
static bool quoted(struct toml *t, const char *what)
{
	u32 start = t->pos, quote = peek(t);

	if (at(t, start + 1) == quote && at(t, start + 2) == quote)
		return fail(t, start, "multi-line strings are not used here: write one line in "
				      "single or double quotes");
	t->pos++;
	for (;;) {
		if (peek(t) == END || at_newline(t))
			return fail(t, start, "%s is not closed: a %c is missing at its end", what,
				    quote);
		if (peek(t) == quote)
			break;
		if (!(quote == '"' && peek(t) == '\\' ? escape(t) : plain_char(t)))
			return false;
	}
	t->pos++;
	return true;
}

static u32 utf8_put(u32 c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* One character of a basic string at *pos, decoded; its length in out. */
static u32 decode_escape(const struct toml *t, u32 *pos, char out[4])
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	u32 c = at(t, *pos + 1), digits = c == 'u' ? 4 : 8, i;

	for (i = 0; i < sizeof(from) - 1; i++) {
		if (c == (u32)from[i]) {
			*pos += 2;
			out[0] = to[i];
			return 1;
		}
	}
	i = utf8_put(hex_number(t, *pos + 2, digits), out);
	*pos += 2 + digits;
	return i;
}

/* Decode a bare word or a checked string in quotes. */
static u32 decode(const struct toml *t, u32 pos, u32 len, char *buf, u32 n)
{
	u32 end = pos + len, out = 0, i, k;
	char c[4], quote = len ? t->text[pos] : 0;

	if (quote == '"' || quote == '\'') {
		pos++;
		end--;
	}
	while (pos < end) {
		k = 1;
		if (quote == '"' && t->text[pos] == '\\')
			k = decode_escape(t, &pos, c);
		else
			c[0] = t->text[pos++];
		for (i = 0; i < k; i++, out++)
			if (out + 1 < n)
				buf[out] = c[i];
	}
	if (n)
		buf[MIN(out, n - 1)] = '\0';
	return out;
}

u32 toml_key(const struct toml *t, u32 node, char *buf, u32 n)
{
	return decode(t, t->node[node].key, t->node[node].key_len, buf, n);
}

u32 toml_string(const struct toml *t, u32 node, char *buf, u32 n)
{
	return decode(t, t->node[node].value, t->node[node].value_len, buf, n);
}

/* ------------------------------------------------------------ other scalars */

static bool is_digit(u32 c)
{
	return c >= '0' && c <= '9';
}

/* Bytes up to the next space, comma, bracket or comment. */
static u32 word_len(const struct toml *t)
{
	u32 n = 0, c;

	while ((c = at(t, t->pos + n)) != END && c > ' ' && c != ',' && c != ']' && c != '#' &&
	       c != '[' && c != '=' && c != 0x7f)
		n++;
	return n;
}

enum number { NUMBER_OK, NUMBER_MALFORMED, NUMBER_TOO_BIG };

/* An integer by TOML's rules; s need not end in a NUL. */
static enum number read_integer(const char *s, u32 n, s64 *out)
{
	u64 value = 0, limit = INT64_MAX, base = 10, digit;
	bool negative = false, big = false;
	u32 i = 0, first;

	if (n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o' || s[1] == 'b')) {
		base = s[1] == 'x' ? 16 : s[1] == 'o' ? 8 : 2;
		i = 2;
	} else if (n && (s[0] == '+' || s[0] == '-')) {
		negative = s[0] == '-';
		limit += negative;
		i = 1;
	}
	first = i;
	if (first == n || (base == 10 && s[first] == '0' && n > first + 1))
		return NUMBER_MALFORMED;
	for (; i < n; i++) {
		/* an underscore stands between two digits */
		if (s[i] == '_' && i > first && i + 1 < n && s[i - 1] != '_')
			continue;
		if (!is_hex((u8)s[i]) || (digit = hex_value((u8)s[i])) >= base)
			return NUMBER_MALFORMED;
		big |= value > (limit - digit) / base;
		value = value * base + digit;
	}
	if (big)
		return NUMBER_TOO_BIG;
	*out = (s64)(negative ? -value : value);
	return NUMBER_OK;
}

s64 toml_integer(const struct toml *t, u32 node)
{
	s64 value = 0;

	if (read_integer(t->text + t->node[node].value, t->node[node].value_len, &value) !=
	    NUMBER_OK)
		return 0;
	return value;
}

bool toml_boolean(const struct toml *t, u32 node)
{
	return t->text[t->node[node].value] == 't';
}

static bool word_is(const char *s, u32 n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

static bool word_has(const char *s, u32 n, char c)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (s[i] == c)
			return true;
	return false;
}

/* What is wrong with a word that is no value. */
static bool bad_word(struct toml *t, const char *s, u32 n)
{
	bool number = n && (is_digit((u8)s[0]) || s[0] == '+' || s[0] == '-');
	u32 i, sign = n && (s[0] == '+' || s[0] == '-'), shown = MIN(n, 32u);

	for (i = 0; i < shown; i++)
		if ((u8)s[i] < ' ' || (u8)s[i] >= 0x7f)
			shown = i; /* complaints are plain ASCII */
	if (n == 0)
		return fail(t, t->pos, "a value is missing here");
	if (number && n > 4 && (s[4] == '-' || s[2] == ':'))
		return fail(t, t->pos, "dates and times are not used here");
	if (word_is(s + sign, n - sign, "inf") || word_is(s + sign, n - sign, "nan"))
		return fail(t, t->pos, "floating-point numbers are not used here");
	if (number && n > sign && is_digit((u8)s[sign])) {
		for (i = sign; i < n && (is_digit((u8)s[i]) || s[i] == '_'); i++)
			;
		if (i == n && s[sign] == '0')
			return fail(t, t->pos, "an integer must not begin with 0: write %s",
				    "0o17 for octal, 17 for decimal");
		if (i == n)
			return fail(t, t->pos, "an underscore must stand between two digits");
		if (s[i] == '.' || ((s[i] == 'e' || s[i] == 'E') && !word_has(s, n, 'x')))
			return fail(t, t->pos, "floating-point numbers are not used here");
	}
	return fail(t, t->pos, "%.*s is no value: a text needs quotes, such as \"%.*s\"",
		    (int)shown, s, (int)shown, s);
}

/* A scalar: a node without a key, or TOML_NONE after a complaint. */
static u32 scalar(struct toml *t)
{
	const char *s = t->text + t->pos;
	u32 start = t->pos, c = peek(t), n, node;
	enum toml_kind kind = TOML_STRING;
	enum number number;
	s64 value;

	if (c == '"' || c == '\'') {
		node = node_new(t, kind);
		if (node == TOML_NONE || !quoted(t, "the text"))
			return TOML_NONE;
	} else {
		n = word_len(t);
		if (word_is(s, n, "true") || word_is(s, n, "false")) {
			kind = TOML_BOOLEAN;
		} else {
			kind = TOML_INTEGER;
			number = read_integer(s, n, &value);
			if (number == NUMBER_TOO_BIG)
				fail(t, start, "%.*s needs more than 64 bits", (int)MIN(n, 40u), s);
			else if (number == NUMBER_MALFORMED)
				bad_word(t, s, n);
			if (number != NUMBER_OK)
				return TOML_NONE;
		}
		node = node_new(t, kind);
		if (node == TOML_NONE)
			return TOML_NONE;
		t->pos += n;
	}
	t->node[node].value = start;
	t->node[node].value_len = t->pos - start;
	return node;
}

/* ------------------------------------------------------- arrays and values */

static u32 array(struct toml *t)
{
	u32 node = node_new(t, TOML_ARRAY), line = t->line, col = column(t, t->pos), child;

	if (node == TOML_NONE)
		return TOML_NONE;
	t->pos++;
	for (;;) {
		if (!skip_lines(t))
			return TOML_NONE;
		if (peek(t) == ']')
			break;
		if (peek(t) == END)
			goto not_closed;
		if (peek(t) == '[' || peek(t) == '{') {
			fail(t, t->pos, "an array may hold strings, integers and booleans only");
			return TOML_NONE;
		}
		child = scalar(t);
		if (child == TOML_NONE)
			return TOML_NONE;
		node_append(t, node, child);
		if (!skip_lines(t))
			return TOML_NONE;
		if (peek(t) == ',') {
			t->pos++;
		} else if (peek(t) == END) {
			goto not_closed;
		} else if (peek(t) != ']') {
			fail(t, t->pos, "a ',' or ']' is missing here, in the array that begins in "
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
	switch (peek(t)) {
	case '[': return array(t);
	case '{':
		fail(t, t->pos, "inline tables are not used here: write the keys one a line under "
				"a [table]");
		return TOML_NONE;
	default: return scalar(t);
	}
}

/* ----------------------------------------------------------- keys and tables */

static bool is_bare(u32 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '-';
}

/* A key, with where it stands. */
static bool key(struct toml *t, u32 *start, u32 *len)
{
	char text[4];

	*start = t->pos;
	if (peek(t) == '"' || peek(t) == '\'') {
		if (!quoted(t, "the key"))
			return false;
	} else {
		while (is_bare(peek(t)))
			t->pos++;
	}
	*len = t->pos - *start;
	if (*len == 0)
		return fail(t, t->pos, "a key or a [table] was expected here; keys are made of "
				       "letters, digits, '_' and '-'");
	if (decode(t, *start, *len, text, sizeof(text)) >= KEY_MAX)
		return fail(t, *start, "a key of more than %u bytes", KEY_MAX - 1);
	return true;
}

static bool header(struct toml *t)
{
	bool element;
	u32 bracket = t->pos, line = t->line, col = column(t, t->pos), start, len, node, same;
	char name[KEY_MAX];

	t->table = TOML_NONE; /* until the name is known, keys belong to nobody */
	t->pos++;
	element = peek(t) == '[';
	t->pos += element;
	skip_blanks(t);
	if (!key(t, &start, &len))
		return false;
	skip_blanks(t);
	if (peek(t) == '.')
		return fail(t, t->pos, "dotted names are not used here");
	if (peek(t) != ']' || (element && at(t, t->pos + 1) != ']'))
		return fail(t, t->pos, "%s is missing here", element ? "]]" : "]");
	t->pos += element ? 2 : 1;

	node = node_new(t, element ? TOML_ELEMENT : TOML_TABLE);
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
			 t->node[same].kind == TOML_ELEMENT ? "write [[ ]] both times" :
							      "bring both together");
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
	if (peek(t) == '.')
		return fail(t, t->pos, "dotted keys are not used here: write the key under its "
				       "[table]");
	if (peek(t) != '=')
		return fail(t, t->pos, "a '=' is missing after the key");
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

	while (at(t, p) == ' ' || at(t, p) == '\t')
		p++;
	while (at(t, p) == '[' && brackets < 2) {
		p++;
		brackets++;
	}
	while (at(t, p) == ' ' || at(t, p) == '\t')
		p++;
	start = p;
	while (is_bare(at(t, p)))
		p++;
	if (p == start)
		return false;
	while (at(t, p) == ' ' || at(t, p) == '\t')
		p++;
	return at(t, p) == (brackets ? ']' : '=');
}

/* After a complaint in the statement that began in line: go to the next one. */
static void resynchronise(struct toml *t, u32 line)
{
	if (t->line > line && looks_like_statement(t)) {
		t->pos = t->line_start; /* the one before was not closed */
		return;
	}
	while (peek(t) != END) {
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
	t->table = node_new(t, TOML_ROOT);
	if (t->len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		fail(t, 0, "the file begins with a byte order mark: save it as UTF-8 without one");
		t->pos = t->line_start = 3;
	}
	while (peek(t) != END) {
		skip_blanks(t);
		line = t->line;
		if (peek(t) == '[')
			ok = header(t);
		else if (peek(t) == '#' || peek(t) == END || at_newline(t))
			ok = line_end(t, "");
		else
			ok = key_value(t);
		if (!ok)
			resynchronise(t, line);
	}
	return !t->failed;
}
