// SOURCES: kernel/line*.c kernel/print.c
#include "kernel/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A dumb terminal: one screen line that understands \b, and the raw bytes. */
static char raw[1 << 18], screen[1024];
static u32 raw_len, column, screen_len, bells;
static struct line l;

static void out(const char *s, u32 n)
{
	for (; n; n--, s++) {
		raw[raw_len++] = *s;
		raw[raw_len] = '\0';
		if (*s == '\a') {
			bells++;
		} else if (*s == '\b') {
			assert_true(column > 0);
			column--;
		} else if (*s == '\n') {
			column = screen_len = 0;
		} else {
			screen[column++] = *s;
			if (column > screen_len)
				screen_len = column;
		}
		screen[screen_len] = '\0';
	}
}

static int fresh(void **state)
{
	(void)state;
	raw_len = column = screen_len = bells = 0;
	raw[0] = screen[0] = '\0';
	line_init(&l, "> ", out);
	line_begin(&l);
	return 0;
}

static enum line_event feed(const char *s)
{
	enum line_event e = LINE_NONE;

	for (; *s; s++) {
		e = line_feed(&l, *s);
		if (e == LINE_NONE && !l.escape && !l.search && strcmp(s, "\n") != 0) {
			/* the screen shows the line and the cursor at any time */
			assert_in_range(l.cursor, l.view, l.view + 68);
			assert_int_equal(l.shown, MIN(l.len - l.view, 68u));
			assert_int_equal(column, 2 + l.cursor - l.view);
			assert_memory_equal(screen + 2, l.text + l.view, l.shown);
			for (u32 i = 2 + l.shown; i < screen_len; i++)
				assert_int_equal(screen[i], ' ');
			assert_true(screen_len <= 2 + 68);
		}
	}
	return e;
}

static void enter(const char *s, const char *want)
{
	assert_int_equal(feed(s), LINE_NONE);
	assert_int_equal(line_feed(&l, '\r'), LINE_DONE);
	assert_string_equal(l.text, want);
	line_begin(&l);
}

static void editing(void **state)
{
	(void)state;
	enter("list", "list");
	enter("lisx\bt", "list");
	enter("\b\x7f", "");
	enter("ac\x1b[Db", "abc"); /* left */
	enter("ac\x1bOD\x1b[D\x1b[D\x1b[C"
	      "b",
	      "abc"); /* not beyond either end */
	enter("bc\x01"
	      "a\x05"
	      "d",
	      "abcd");			   /* Ctrl-A, Ctrl-E */
	enter("bc\x1b[Ha\x1b[Fd", "abcd"); /* Home, End */
	enter("bc\x1b[1~a\x1b[4~d", "abcd");
	enter("abxc\x1b[D\x1b[D\x1b[3~", "abc"); /* Delete */
	enter("stop alpha\x17"
	      "beta",
	      "stop beta"); /* Ctrl-W */
	enter("stop alpha  \x17"
	      "beta",
	      "stop beta");
	enter("\x17\x15", "");
	enter("nonsense\x15list", "list");    /* Ctrl-U */
	enter("ab cd\x1b[D\x1b[D\x15", "cd"); /* only what is before */
	enter("abcd\x1b[D\x1b[D\x0b", "ab");  /* Ctrl-K */
	enter("\x02\x06", "");
}

static void line_ends(void **state)
{
	(void)state;
	assert_int_equal(feed("a\r"), LINE_DONE);
	line_begin(&l);
	assert_int_equal(line_feed(&l, '\n'), LINE_NONE); /* of a CR LF */
	assert_int_equal(line_feed(&l, '\n'), LINE_DONE); /* by itself */
	line_begin(&l);
	assert_string_equal(raw, "> a\n> \n> ");
}

static void cancel(void **state)
{
	(void)state;
	assert_int_equal(feed("poweroff\x03"), LINE_CANCEL);
	line_begin(&l);
	assert_string_equal(raw, "> poweroff^C\n> ");
	enter("", "");
	assert_int_equal(l.history_count, 0);
}

static void unknown_sequences(void **state)
{
	(void)state;
	/* F1 in three dialects, F5, modified arrows, a mouse, Alt-x, reports */
	enter("a\x1bOPb\x1b[11~c\x1b[[Ad\x1b[15~e\x1b[1;5Cf\x1b[<0;1;2Mg\x1bxh\x1b[24;80Ri",
	      "abcdefghi");
	/* cut short by Enter */
	enter("ab\x1b", "ab");
	enter("ab\x1b[1", "ab");
	enter("\x02\x07\x1c\x1dok", "ok");
}

/* An ESC that went elsewhere: of a cursor key, or Esc by itself. */
static void escape_seen_elsewhere(void **state)
{
	(void)state;
	enter("old", "old");
	line_skip_escape(&l);
	enter("[Ab", "b");
	line_skip_escape(&l);
	enter("OAb", "b");
	line_skip_escape(&l);
	enter("stop", "stop");
	line_skip_escape(&l);
	enter("\xc3\xa4", "?");
	line_skip_escape(&l);
	enter("\x10", "?"); /* Ctrl-P */
	line_skip_escape(&l);
	enter("\x1b[Ab", "b"); /* Alt and a cursor key */
	line_skip_escape(&l);
	enter("a\x1b[D\x1b[Cb", "ab");
}

static void history(void **state)
{
	char text[8] = "cmd ?";
	u32 i;

	(void)state;
	enter("\x1b[A", "");
	assert_int_equal(bells, 1);
	enter("one", "one");
	enter("two", "two");
	enter("two", "two"); /* once is enough */
	enter("\x1b[A", "two");
	enter("\x1b[A\x1b[A", "one");
	enter("\x1b[A\x1b[A\x1b[A\x1b[B", "two"); /* "one" moved to the end */
	enter("new\x1b[A\x1b[B", "new");	  /* what was being typed comes back */
	enter("\x1b[A!", "new!");
	enter("\x10\x10\x0e", "new!"); /* Ctrl-P, Ctrl-N */
	for (i = 0; i < 40; i++) {
		text[4] = (char)('0' + i);
		enter(text, text);
	}
	for (i = 0; i < LINE_HISTORY + 5; i++)
		feed("\x1b[A");
	text[4] = (char)('0' + 40 - LINE_HISTORY);
	enter("", text);
	assert_true(LINE_HISTORY >= 16);
}

/* What the screen shows, without trailing blanks. */
static void shows(const char *want)
{
	u32 n = screen_len;

	while (n && screen[n - 1] == ' ')
		n--;
	assert_int_equal(n, strlen(want));
	assert_memory_equal(screen, want, n);
}

static void search(void **state)
{
	(void)state;
	enter("start alpha", "start alpha");
	enter("stats beta", "stats beta");
	enter("console alpha", "console alpha");
	enter("stop beta", "stop beta");
	feed("\x12");
	shows("> [search \"\"]");
	feed("al");
	shows("> [search \"al\"] console alpha");
	feed("\x12"); /* again: an older one */
	shows("> [search \"al\"] start alpha");
	feed("\x12");
	assert_int_equal(bells, 1); /* no more */
	shows("> [search \"al\"] start alpha");
	feed("q");
	assert_int_equal(bells, 2); /* nothing has that */
	shows("> [search \"al\"] start alpha");
	feed("\x7f"); /* "a", from the newest on */
	shows("> [search \"a\"] stop beta");
	enter("", "stop beta");
	/* into the line, and on with it */
	feed("\x12star\x05");
	shows("> start alpha");
	enter("2", "start alpha2");
	feed("\x12star\x1b[D");
	enter("x", "start alphax2");
	/* given up: what was typed before comes back; or nothing at all */
	feed("new\x12"
	     "be\x07");
	shows("> new");
	enter("er", "newer");
	assert_int_equal(feed("new\x12"
			      "be\x03"),
			 LINE_CANCEL);
	line_begin(&l);
	enter("", "");
	feed("\x12\r"); /* nothing was looked for */
	line_begin(&l);
	enter("\x12zzz\x07", "");
	/* a line of the log in between */
	feed("\x12"
	     "con");
	line_suspend(&l);
	out("log\n", 4);
	line_resume(&l);
	assert_memory_equal(screen, "[search \"con\"] console alpha", 28);
	assert_int_equal(feed("\r"), LINE_DONE);
	assert_string_equal(l.text, "console alpha");
	line_begin(&l);
	/* longer than it can be */
	feed("\x12");
	for (u32 i = 0; i < 100; i++)
		feed("\xc3");
	for (u32 i = 0; i < 100; i++)
		feed("a");
	feed("\x07");
	enter("", "");
}

static void a_long_line_is_found(void **state)
{
	char text[LINE_MAX];

	(void)state;
	memset(text, 'y', sizeof(text));
	text[LINE_MAX - 1] = '\0';
	enter(text, text);
	feed("\x12yyy");
	assert_true(screen_len < 80);
	enter("", text);
}

/* Longer than a row: a part is shown, nothing is lost, and back at the start all is as before. */
static void a_part_is_shown(void **state)
{
	char text[201];

	(void)state;
	for (u32 i = 0; i < 200; i++)
		text[i] = (char)('a' + i % 26);
	text[200] = '\0';
	feed(text);
	assert_true(l.view > 0 && l.view + l.shown == 200);
	feed("\x01"); /* Home */
	shows("> abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
	for (u32 i = 0; i < 100; i++)
		feed("\x1b[C");
	feed("!\b\x1b[3~"); /* the 101st is gone */
	for (u32 i = 0; i < 100; i++)
		feed("\x1b[D");
	assert_int_equal(l.view, 0);
	feed("\x05");
	line_suspend(&l);
	out("log\n", 4);
	line_resume(&l);
	assert_memory_equal(screen, l.text + l.view, l.shown);
	assert_int_equal(column, l.cursor - l.view);
	memmove(text + 100, text + 101, 100);
	raw_len = 0;
	assert_int_equal(line_feed(&l, '\r'), LINE_DONE);
	assert_string_equal(l.text, text);
	line_begin(&l);
	feed("\x1b[A"); /* from the history, and wiped */
	assert_true(l.view > 0);
	feed("\x15");
	shows(">");
	feed(text);
	for (u32 i = 0; i < 198; i++)
		feed("\b");
	shows("> a");
	enter("", "a");
}

static void too_long(void **state)
{
	char text[2 * LINE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[LINE_MAX - 1] = '\0';
	enter(text, text);
	text[LINE_MAX - 1] = 'x';
	text[LINE_MAX] = '\0';
	feed(text);
	assert_int_equal(line_feed(&l, '\r'), LINE_TOO_LONG);
	line_begin(&l);
	/* shorter again, but something was lost; not if it was wiped */
	feed(text);
	feed("\b\b");
	assert_int_equal(line_feed(&l, '\r'), LINE_TOO_LONG);
	line_begin(&l);
	feed(text);
	enter("\x15list", "list");
	/* by whatever key */
	feed(text);
	enter("\x01\x0blist", "list");
	feed(text);
	enter("\x17list", "list");
	feed(text);
	for (u32 i = 0; i < LINE_MAX; i++)
		feed("\b");
	enter("list", "list");
	/* history in its place changes nothing about that */
	feed(text);
	feed("\x1b[A\x1b[B");
	assert_int_equal(line_feed(&l, '\r'), LINE_TOO_LONG);
	line_begin(&l);
	feed(text);
	feed("\x12\x07"); /* Ctrl-R, Ctrl-G */
	assert_int_equal(line_feed(&l, '\r'), LINE_TOO_LONG);
	line_begin(&l);
	feed(text);
	feed("\x12lis");
	enter("\x05", "list");
}

static void beyond_ascii(void **state)
{
	(void)state;
	enter("\xc3\xa4lpha\xe2\x82\xac", "?lpha?"); /* matches no name by accident */
}

static void clear_screen(void **state)
{
	(void)state;
	feed("ab\x1b[D");
	raw_len = 0;
	line_feed(&l, 0x0c);
	assert_string_equal(raw, "\x1b[H\x1b[2J> ab\b");
}

static void other_output(void **state)
{
	(void)state;
	feed("lis");
	line_suspend(&l);
	out("log line\n", 9);
	line_resume(&l);
	line_feed(&l, 't');
	assert_string_equal(raw, "> lis\nlog line\nlist");
	line_suspend(&l);
	out("2\n", 2);
	line_resume(&l);
	feed("\x03");
	line_begin(&l);
	raw_len = 0;
	/* with nothing typed, the second time needs no new line */
	line_suspend(&l);
	out("a\n", 2);
	line_resume(&l);
	line_suspend(&l);
	out("b\n", 2);
	line_resume(&l);
	assert_string_equal(raw, "\na\nb\n");
}

static const char *words(const char *before, u32 before_len, u32 n)
{
	static const char *const first[] = { "start", "stats", "stop" };

	if (before_len)
		return n == 0 && memcmp(before, "stop ", 5) == 0 ? "alpha" : NULL;
	return n < 3 ? first[n] : NULL;
}

static void completion(void **state)
{
	(void)state;
	enter("a\t", "a");
	assert_int_equal(bells, 1);
	l.complete = words;
	enter("x\t", "x");
	assert_int_equal(bells, 2);
	enter("sto\t", "stop ");
	enter("sto\ta\t", "stop alpha ");
	enter("stop alp\x1b[D\t", "stop alpha p"); /* up to the cursor */
	enter("s\ta\t", "sta");
	raw_len = 0;
	feed("sta\t");
	assert_string_equal(raw, "sta\nstart  stats  \n> sta");
	enter("\x15list \t", "list ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(editing, fresh),
		cmocka_unit_test_setup(line_ends, fresh),
		cmocka_unit_test_setup(cancel, fresh),
		cmocka_unit_test_setup(unknown_sequences, fresh),
		cmocka_unit_test_setup(escape_seen_elsewhere, fresh),
		cmocka_unit_test_setup(history, fresh),
		cmocka_unit_test_setup(search, fresh),
		cmocka_unit_test_setup(a_long_line_is_found, fresh),
		cmocka_unit_test_setup(a_part_is_shown, fresh),
		cmocka_unit_test_setup(too_long, fresh),
		cmocka_unit_test_setup(beyond_ascii, fresh),
		cmocka_unit_test_setup(clear_screen, fresh),
		cmocka_unit_test_setup(other_output, fresh),
		cmocka_unit_test_setup(completion, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
