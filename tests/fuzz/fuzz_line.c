/*
 * The shell's line editor against a terminal: whatever is typed, the screen's
 * last line is the prompt (if it is there) and the text, the cursor stands
 * where the editor says, and the text is printable and not too long.
 */
// SOURCES-OF: tests/unit/test_line.c
// FLAGS: -fno-sanitize-coverage=trace-cmp,indirect-calls
// RUNS: 8000
// MAX_LEN: 100
#include "fuzz.h"

#include "kernel/line.h"

#define PROMPT "bulkhead> "
#define WIDTH 80
#define SHOWN 68 /* behind the prompt, and room for ^C */

static struct line l;
static char row[WIDTH]; /* of the terminal */
static u32 col, escape;
static bool cleared; /* the row is a new one */

static char blank[WIDTH];

static void clear(void)
{
	memset(row, ' ', sizeof(row));
	cleared = true;
	col = 0;
}

static void terminal(const char *s, u32 n)
{
	for (; n; n--, s++) {
		if (escape) { /* ESC [ H and ESC [ 2 J alone are used */
			FUZZ_CHECK(strchr("[H2JK", *s));
			escape = *s == '[' || *s == '2';
			if (*s == 'J')
				clear();
		} else if (*s == '\033') {
			escape = 1;
		} else if (*s == '\b') {
			FUZZ_CHECK(col > 0);
			col--;
		} else if (*s == '\n') {
			clear();
		} else if (*s == '\r') {
			col = 0;
		} else if (*s != '\a') {
			FUZZ_CHECK(*s >= ' ' && *s <= '~' && col < WIDTH);
			row[col++] = *s;
		}
	}
}

static const char *words(const char *before, u32 before_len, u32 n)
{
	static const char *const list[] = { "list", "log", "start", "stop", "stats", "st", "" };

	FUZZ_CHECK(before_len < LINE_MAX);
	for (u32 i = 0; i < before_len; i++)
		FUZZ_CHECK(before[i] >= ' ' && before[i] <= '~');
	return n < ARRAY_SIZE(list) - 1 ? list[n] : NULL;
}

static void check_screen(bool bare)
{
	u32 from = bare ? 0 : strlen(PROMPT);

	FUZZ_CHECK(l.len < LINE_MAX && l.cursor <= l.len);
	if (!bare)
		FUZZ_CHECK(memcmp(row, PROMPT, from) == 0);
	if (l.search) { /* Ctrl-R: this stands there instead */
		FUZZ_CHECK(l.len == 0 && from + l.search_shown < 80);
		FUZZ_CHECK(memcmp(row + from, "[search \"", 9) == 0 &&
			   col == from + l.search_shown);
		FUZZ_CHECK(memcmp(row + col, blank, WIDTH - col) == 0);
		return;
	}
	FUZZ_CHECK(l.view <= l.cursor && l.cursor - l.view <= SHOWN);
	FUZZ_CHECK(l.shown == (l.len - l.view < SHOWN ? l.len - l.view : SHOWN));
	FUZZ_CHECK(memcmp(row + from, l.text + l.view, l.shown) == 0);
	FUZZ_CHECK(memcmp(row + from + l.shown, blank, WIDTH - from - l.shown) == 0);
	FUZZ_CHECK(col == from + l.cursor - l.view);
}

static void ended(enum line_event event)
{
	if (event != LINE_CANCEL)
		FUZZ_CHECK(strlen(l.text) == l.len);
	for (u32 i = 0; i < l.len; i++)
		FUZZ_CHECK(l.text[i] >= ' ' && l.text[i] <= '~');
	FUZZ_CHECK(col == 0); /* on a fresh line */
	if (event == LINE_DONE)
		FUZZ_CHECK(l.len < LINE_MAX);
	line_begin(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	bool bare = false;

	memset(blank, ' ', sizeof(blank));
	clear();
	escape = 0;
	line_init(&l, PROMPT, terminal);
	l.complete = words;
	line_begin(&l);
	while (in.n) {
		u8 c = fuzz_u8(&in);
		enum line_event event;

		if (c == 0xff) { /* a log line comes in between */
			line_suspend(&l);
			terminal("a line of the log\n", 18);
			line_resume(&l);
			bare = true;
		} else if (c == 0xfe) { /* a long piece of text is pasted */
			for (u32 n = fuzz_u8(&in) % 128; n; n--)
				FUZZ_CHECK(line_feed(&l, 'x') == LINE_NONE);
		} else {
			cleared = false;
			event = line_feed(&l, (char)c);
			FUZZ_CHECK(event <= LINE_CANCEL);
			if (event != LINE_NONE)
				ended(event);
			if (cleared) /* with a prompt: a new line, Tab's list, Ctrl-L */
				bare = false;
		}
		check_screen(bare);
	}
	return 0;
}
