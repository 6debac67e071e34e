/*
 * Single values of the TOML subset: strings with their escape sequences,
 * integers, booleans; each is stepped over and checked first, and decoded
 * only when it is asked for. What is no value is refused with a guess at
 * what it was meant to be.
 */
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/toml_scan.h"
#include "kernel/utf8.h"

/* Step over one character of a comment or a string. */
bool toml_plain_char(struct toml *t)
{
	u32 c = toml_peek(t), n = utf8_len(t->text + t->pos, t->len - t->pos);

	if (n == 0)
		return toml_fail(t, t->pos, "byte 0x%02x is not UTF-8: save the file as UTF-8", c);
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return toml_fail(t, t->pos, "control character 0x%02x: remove it", c);
	t->pos += n;
	return true;
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
		value = value << 4 | hex_value(toml_at(t, pos));
	return value;
}

/* Step over an escape sequence of a basic string; pos is at its backslash. */
static bool escape(struct toml *t)
{
	u32 start = t->pos, c = toml_at(t, start + 1), digits, i, value;

	if (c == 'b' || c == 't' || c == 'n' || c == 'f' || c == 'r' || c == '"' || c == '\\') {
		t->pos += 2;
		return true;
	}
	if (c != 'u' && c != 'U')
		return toml_fail(t, start,
				 "no such escape sequence: write a backslash as \\\\, or "
				 "put the text in 'single quotes'");
	digits = c == 'u' ? 4 : 8;
	for (i = 0; i < digits; i++)
		if (!is_hex(toml_at(t, start + 2 + i)))
			return toml_fail(t, start, "\\%c needs %u hexadecimal digits", c, digits);
	value = hex_number(t, start + 2, digits);
	if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return toml_fail(t, start, "U+%04X is no Unicode character", value);
	t->pos += 2 + digits;
	return true;
}

/* A string in quotes of either kind; pos is at the first one. what: for
 * complaints. */
bool toml_quoted(struct toml *t, const char *what)
{
	u32 start = t->pos, quote = toml_peek(t);

	if (toml_at(t, start + 1) == quote && toml_at(t, start + 2) == quote)
		return toml_fail(t, start,
				 "multi-line strings are not used here: write one line in "
				 "single or double quotes");
	t->pos++;
	for (;;) {
		if (toml_peek(t) == TOML_END || toml_at_newline(t))
			return toml_fail(t, start, "%s is not closed: a %c is missing at its end",
					 what, quote);
		if (toml_peek(t) == quote)
			break;
		if (!(quote == '"' && toml_peek(t) == '\\' ? escape(t) : toml_plain_char(t)))
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
	u32 c = toml_at(t, *pos + 1), digits = c == 'u' ? 4 : 8, i;

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
u32 toml_decode(const struct toml *t, u32 pos, u32 len, char *buf, u32 n)
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
	return toml_decode(t, t->node[node].key, t->node[node].key_len, buf, n);
}

u32 toml_string(const struct toml *t, u32 node, char *buf, u32 n)
{
	return toml_decode(t, t->node[node].value, t->node[node].value_len, buf, n);
}

/* ------------------------------------------------------------ other scalars */

/* Bytes up to the next space, comma, bracket or comment. */
static u32 word_len(const struct toml *t)
{
	u32 n = 0, c;

	while ((c = toml_at(t, t->pos + n)) != TOML_END && c > ' ' && c != ',' && c != ']' &&
	       c != '#' && c != '[' && c != '=' && c != 0x7f)
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
	bool number = n && (toml_is_digit((u8)s[0]) || s[0] == '+' || s[0] == '-');
	u32 i, sign = n && (s[0] == '+' || s[0] == '-'), shown = MIN(n, 32u);

	for (i = 0; i < shown; i++)
		if ((u8)s[i] < ' ' || (u8)s[i] >= 0x7f)
			shown = i; /* complaints are plain ASCII */
	if (n == 0)
		return toml_fail(t, t->pos, "a value is missing here");
	if (number && n > 4 && (s[4] == '-' || s[2] == ':'))
		return toml_fail(t, t->pos, "dates and times are not used here");
	if (word_is(s + sign, n - sign, "inf") || word_is(s + sign, n - sign, "nan"))
		return toml_fail(t, t->pos, "floating-point numbers are not used here");
	if (number && n > sign && toml_is_digit((u8)s[sign])) {
		for (i = sign; i < n && (toml_is_digit((u8)s[i]) || s[i] == '_'); i++)
			;
		if (i == n && s[sign] == '0')
			return toml_fail(t, t->pos, "an integer must not begin with 0: write %s",
					 "0o17 for octal, 17 for decimal");
		if (i == n)
			return toml_fail(t, t->pos, "an underscore must stand between two digits");
		if (s[i] == '.' || ((s[i] == 'e' || s[i] == 'E') && !word_has(s, n, 'x')))
			return toml_fail(t, t->pos, "floating-point numbers are not used here");
	}
	return toml_fail(t, t->pos, "%.*s is no value: a text needs quotes, such as \"%.*s\"",
			 (int)shown, s, (int)shown, s);
}

/* A scalar: a node without a key, or TOML_NONE after a complaint. */
u32 toml_scalar(struct toml *t)
{
	const char *s = t->text + t->pos;
	u32 start = t->pos, c = toml_peek(t), n, node;
	enum toml_kind kind = TOML_STRING;
	enum number number;
	s64 value;

	if (c == '"' || c == '\'') {
		node = toml_node_new(t, kind);
		if (node == TOML_NONE || !toml_quoted(t, "the text"))
			return TOML_NONE;
	} else {
		n = word_len(t);
		if (word_is(s, n, "true") || word_is(s, n, "false")) {
			kind = TOML_BOOLEAN;
		} else {
			kind = TOML_INTEGER;
			number = read_integer(s, n, &value);
			if (number == NUMBER_TOO_BIG)
				toml_fail(t, start, "%.*s needs more than 64 bits",
					  (int)MIN(n, 40u), s);
			else if (number == NUMBER_MALFORMED)
				bad_word(t, s, n);
			if (number != NUMBER_OK)
				return TOML_NONE;
		}
		node = toml_node_new(t, kind);
		if (node == TOML_NONE)
			return TOML_NONE;
		t->pos += n;
	}
	t->node[node].value = start;
	t->node[node].value_len = t->pos - start;
	return node;
}
