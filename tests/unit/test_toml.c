// SOURCES: kernel/toml.c kernel/toml_scalar.c kernel/print.c
#include "kernel/toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/print.h"

static struct toml t;
static char said[1024]; /* "line:col text\n" of each complaint */

static void note(struct toml *toml, u32 line, u32 col, u32 table, const char *text)
{
	size_t n = strlen(said);

	(void)toml;
	(void)table;
	str_format(said + n, sizeof(said) - n, "%u:%u %s\n", line, col, text);
}

static bool parse(const char *text)
{
	said[0] = '\0';
	return toml_parse(&t, text, strlen(text), note, NULL);
}

/* Each one document, refused with exactly these words. */
static const struct {
	const char *text, *want;
} refused[] = {
	{ "a = 1.5", "1:5 floating-point numbers are not used here\n" },
	{ "a = -inf", "1:5 floating-point numbers are not used here\n" },
	{ "\n  a = 6e3", "2:7 floating-point numbers are not used here\n" },
	{ "a = 1979-05-27", "1:5 dates and times are not used here\n" },
	{ "a = 07:32:00", "1:5 dates and times are not used here\n" },
	{ "a = {b = 1}", "1:5 inline tables are not used here: write the keys one a line under a "
			 "[table]\n" },
	{ "a.b = 1", "1:2 dotted keys are not used here: write the key under its [table]\n" },
	{ "[a.b]", "1:3 dotted names are not used here\n" },
	{ "a = \"\"\"b\"\"\"",
	  "1:5 multi-line strings are not used here: write one line in single or "
	  "double quotes\n" },
	{ "a = '''b'''",
	  "1:5 multi-line strings are not used here: write one line in single or double "
	  "quotes\n" },
	{ "a = [1, [2]]", "1:9 an array may hold strings, integers and booleans only\n" },
	{ "a = 012",
	  "1:5 an integer must not begin with 0: write 0o17 for octal, 17 for decimal\n" },
	{ "a = 1__2", "1:5 an underscore must stand between two digits\n" },
	{ "a = 1_", "1:5 an underscore must stand between two digits\n" },
	{ "a = 9223372036854775808", "1:5 9223372036854775808 needs more than 64 bits\n" },
	{ "a = 256M", "1:5 256M is no value: a text needs quotes, such as \"256M\"\n" },
	{ "a = yes", "1:5 yes is no value: a text needs quotes, such as \"yes\"\n" },
	{ "a =", "1:4 a value is missing here\n" },
	{ "a = # b", "1:5 a value is missing here\n" },
	{ "a", "1:2 a '=' is missing after the key\n" },
	{ "= 1",
	  "1:1 a key or a [table] was expected here; keys are made of letters, digits, '_' and "
	  "'-'\n" },
	{ "a = \"b", "1:5 the text is not closed: a \" is missing at its end\n" },
	{ "a = 'b\nc = 1", "1:5 the text is not closed: a ' is missing at its end\n" },
	{ "'b = 1", "1:1 the key is not closed: a ' is missing at its end\n" },
	{ "a = \"C:\\dir\"",
	  "1:8 no such escape sequence: write a backslash as \\\\, or put the text in "
	  "'single quotes'\n" },
	{ "a = \"\\u12\"", "1:6 \\u needs 4 hexadecimal digits\n" },
	{ "a = \"\\U0011000g\"", "1:6 \\U needs 8 hexadecimal digits\n" },
	{ "a = \"\\ud800\"", "1:6 U+D800 is no Unicode character\n" },
	{ "a = 'x\001'", "1:7 control character 0x01: remove it\n" },
	{ "# \xff", "1:3 byte 0xff is not UTF-8: save the file as UTF-8\n" },
	{ "a = 1 b = 2", "1:7 nothing but a comment may follow a value on its line\n" },
	{ "[a] b", "1:5 nothing but a comment may follow a table's name on its line\n" },
	{ "[a", "1:3 ] is missing here\n" },
	{ "[[a]", "1:4 ]] is missing here\n" },
	{ "a = [1 2]", "1:8 a ',' or ']' is missing here, in the array that begins in line 1\n" },
	{ "a = [1,\n 2", "1:5 the array that begins here is not closed: a ']' is missing\n" },
	{ "a = 1\n'a' = 2", "2:1 'a' stands in line 1 already: remove one of them\n" },
	{ "[a]\n\n [a]", "3:2 'a' stands in line 1 already: bring both together\n" },
	{ "[[a]]\n[a]", "2:1 'a' stands in line 1 already: write [[ ]] both times\n" },
	{ "\xef\xbb\xbf[a]",
	  "1:1 the file begins with a byte order mark: save it as UTF-8 without one\n" },
	/* columns count characters */
	{ "a = [\"\xc3\xa4\xe2\x82\xac\", x]",
	  "1:12 x is no value: a text needs quotes, such as \"x\"\n" },
	/* all of it at once; what follows an error is read */
	{ "a = \nb = 1\nb = 2\n[c\nd = 1", "1:5 a value is missing here\n"
					   "3:1 'b' stands in line 2 already: remove one of them\n"
					   "4:3 ] is missing here\n" },
	/* an array that was not closed does not swallow the next key */
	{ "a = [\n \"x\",\nb = 1\n[c]\nc = .",
	  "3:1 b is no value: a text needs quotes, such as \"b\"\n"
	  "5:5 . is no value: a text needs quotes, such as \".\"\n" },
};

static void complaints(void **state)
{
	char key[68] = { 0 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_false(parse(refused[i].text));
		assert_string_equal(said, refused[i].want);
	}
	memset(key, 'k', 64);
	key[64] = '=';
	key[65] = '1';
	assert_false(parse(key));
	assert_string_equal(said, "1:1 a key of more than 63 bytes\n");
}

static void tree(void **state)
{
	char buf[64];
	u32 n;

	(void)state;
	assert_true(parse("# first\r\n"
			  "\ttop = 1_000 # one\r\n"
			  "[host]\n"
			  "\"k\\u0065y\" = \"a\\tb\\u00e4\\\\\"\n"
			  "flag = true\n"
			  "[[vm]]\n"
			  "list = [ 'C:\\x', # c\n 0x1F, 0o17, 0b11,\n]\n"
			  "[[vm]]"));
	assert_string_equal(said, "");
	n = t.node[0].child;
	assert_int_equal(t.node[n].kind, TOML_INTEGER);
	assert_int_equal(t.node[n].line, 2);
	assert_int_equal(t.node[n].col, 2);
	assert_int_equal(t.node[n].vcol, 8);
	assert_int_equal(toml_integer(&t, n), 1000);
	n = t.node[n].next;
	assert_int_equal(t.node[n].kind, TOML_TABLE);
	n = t.node[n].child;
	assert_int_equal(toml_key(&t, n, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "key");
	assert_int_equal(toml_string(&t, n, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "a\tb\xc3\xa4\\");
	assert_int_equal(toml_string(&t, n, buf, 3), 6); /* cut, but measured whole */
	assert_string_equal(buf, "a\t");
	assert_true(toml_boolean(&t, t.node[n].next));
	n = t.node[t.node[t.node[0].child].next].next;
	assert_int_equal(t.node[n].kind, TOML_ELEMENT);
	assert_int_equal(t.node[t.node[n].next].kind, TOML_ELEMENT);
	n = t.node[t.node[n].child].child;
	toml_string(&t, n, buf, sizeof(buf));
	assert_string_equal(buf, "C:\\x");
	n = t.node[n].next;
	assert_int_equal(toml_integer(&t, n), 31);
	n = t.node[n].next;
	assert_int_equal(toml_integer(&t, n), 15);
	n = t.node[n].next;
	assert_int_equal(toml_integer(&t, n), 3);
	assert_int_equal(t.node[n].next, TOML_NONE);
}

static void broken_tables_are_marked(void **state)
{
	u32 a, b;

	(void)state;
	assert_false(parse("[[vm]]\na = 1\n[[vm]]\na = ?\n"));
	a = t.node[0].child;
	b = t.node[a].next;
	assert_int_equal(t.node[a].broken, 0);
	assert_int_equal(t.node[b].broken, 1);
}

static void too_many(void **state)
{
	static char text[20000];
	u32 i, n = 0;

	(void)state;
	for (i = 0; i < TOML_MAX_NODES; i++)
		n += (u32)str_format(text + n, sizeof(text) - n, "k%u=1\n", i);
	assert_false(parse(text));
	assert_non_null(strstr(said, "the file holds more than 1536 keys and values"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complaints),
		cmocka_unit_test(tree),
		cmocka_unit_test(broken_tables_are_marked),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
