/*
 * The line editor (kernel/line.h). What is on the screen behind the prompt is
 * always text[view..view + shown), with the terminal's cursor at text[cursor].
 */
#include "kernel/line_internal.h"
#include "kernel/string.h"

/* Within an escape sequence (ECMA-48). */
enum { ESC_NONE, ESC_SEEN, ESC_CSI, ESC_CSI_REST, ESC_SS3, ESC_SKIP };

static void say(struct line *l, const char *s)
{
	l->out(s, (u32)strlen(s));
}

static void repeat(struct line *l, char c, u32 n)
{
	while (n--)
		l->out(&c, 1);
}

void line_init(struct line *l, const char *prompt, void (*out)(const char *s, u32 n))
{
	memset(l, 0, sizeof(*l));
	l->prompt = prompt;
	l->out = out;
}

/* ------------------------------------------------------------- the screen */

/* What of the line is shown, so that the cursor is in it; true: something else than before. */
static bool scroll(struct line *l)
{
	u32 before = l->view;

	if (l->len <= LINE_SHOWN)
		l->view = 0;
	else if (l->cursor < l->view || l->cursor > l->view + LINE_SHOWN)
		l->view = l->cursor - MIN(l->cursor, LINE_SHOWN / 2u);
	return l->view != before;
}

/* The terminal's cursor from text[at] to text[to]; both are shown. */
static void step(struct line *l, u32 at, u32 to)
{
	if (to < at)
		repeat(l, '\b', at - to);
	else
		l->out(l->text + at, to - at);
}

/* The text was changed from `from` on, by now, and the cursor goes to `to`. */
static void redraw(struct line *l, u32 from, u32 to)
{
	u32 column = l->cursor - l->view, blank;

	l->cursor = to;
	if (scroll(l))
		from = l->view;
	from = MAX(from, l->view);
	step(l, l->view + column, from);
	blank = l->shown;
	l->shown = MIN(l->len - l->view, (u32)LINE_SHOWN);
	blank -= MIN(blank, l->shown);
	l->out(l->text + from, l->view + l->shown - from);
	repeat(l, ' ', blank);
	repeat(l, '\b', blank);
	step(l, l->view + l->shown, to);
}

static void move(struct line *l, u32 to)
{
	if (to >= l->view && to <= l->view + l->shown) {
		step(l, l->cursor, to);
		l->cursor = to;
	} else {
		redraw(l, l->len, to);
	}
}

/* Show the line again, behind what is on the screen now. */
static void show(struct line *l)
{
	scroll(l);
	l->shown = MIN(l->len - l->view, (u32)LINE_SHOWN);
	l->out(l->text + l->view, l->shown);
	step(l, l->view + l->shown, l->cursor);
}

void line_begin(struct line *l)
{
	l->len = l->cursor = l->view = l->shown = 0;
	l->text[0] = '\0';
	l->too_long = l->bare = l->search = false;
	l->browse = 0;
	say(l, l->prompt);
}

void line_suspend(struct line *l)
{
	if (!l->bare || l->len || l->search)
		say(l, "\n");
	l->bare = true;
}

void line_resume(struct line *l)
{
	if (l->search)
		line_search_show(l);
	else
		show(l);
}

/* ----------------------------------------------------------------- editing */

static void insert(struct line *l, char c)
{
	if (l->len == LINE_MAX - 1) {
		l->too_long = true;
		say(l, "\a");
		return;
	}
	memmove(l->text + l->cursor + 1, l->text + l->cursor, l->len - l->cursor);
	l->text[l->cursor] = c;
	l->len++;
	redraw(l, l->cursor, l->cursor + 1);
}

/* Remove n characters from text[at] on; the cursor goes there. */
static void erase(struct line *l, u32 at, u32 n)
{
	l->len -= n;
	memmove(l->text + at, l->text + at + n, l->len - at);
	if (l->len == 0)
		l->too_long = false;
	redraw(l, at, at);
}

static void erase_before(struct line *l, u32 n)
{
	erase(l, l->cursor - n, n);
}

static u32 word_before(const struct line *l)
{
	u32 i = l->cursor;

	while (i && l->text[i - 1] == ' ')
		i--;
	while (i && l->text[i - 1] != ' ')
		i--;
	return l->cursor - i;
}

void line_replace(struct line *l, const char *text)
{
	erase(l, 0, l->len);
	while (*text)
		insert(l, *text++);
}

void line_save(struct line *l)
{
	l->text[l->len] = '\0';
	memcpy(l->saved, l->text, l->len + 1);
	l->saved_too_long = l->too_long;
}

void line_restore(struct line *l)
{
	line_replace(l, l->saved);
	l->too_long = l->saved_too_long;
}

/* ----------------------------------------------------------------- history */

const char *line_back(const struct line *l, u32 back)
{
	return l->history[(l->history_next + LINE_HISTORY - back) % LINE_HISTORY];
}

const char *line_history(const struct line *l, u32 n)
{
	return n < l->history_count ? line_back(l, l->history_count - n) : NULL;
}

static void remember(struct line *l)
{
	if (l->len == 0 || (l->history_count && strcmp(line_back(l, 1), l->text) == 0))
		return;
	memcpy(l->history[l->history_next], l->text, l->len + 1);
	l->history_next = (l->history_next + 1) % LINE_HISTORY;
	if (l->history_count < LINE_HISTORY)
		l->history_count++;
}

static void browse(struct line *l, u32 to)
{
	if (to > l->history_count) {
		say(l, "\a");
		return;
	}
	if (l->browse == 0)
		line_save(l);
	l->browse = to;
	if (to)
		line_replace(l, line_back(l, to));
	else
		line_restore(l);
}

/* -------------------------------------------------------------- completion */

static bool begins_with(const char *s, const char *word, u32 n)
{
	return strncmp(s, word, n) == 0;
}

/* What follows the word in all candidates: its length, how many they are, and
 * the first of them (LINE_MAX bytes). */
static u32 common(struct line *l, u32 start, u32 *count, char *first)
{
	u32 n = l->cursor - start, len = 0, i, k;
	const char *s;

	*count = 0;
	for (i = 0; (s = l->complete(l->text, start, i)) != NULL; i++) {
		if (!begins_with(s, l->text + start, n))
			continue;
		if ((*count)++ == 0) {
			len = MIN((u32)strlen(s), (u32)LINE_MAX - 1) - n;
			memcpy(first, s, n + len);
		}
		for (k = 0; k < len && s[n + k] == first[n + k]; k++)
			;
		len = k;
	}
	return len;
}

/* All candidates, in lines of 80 columns. */
static void show_candidates(struct line *l, u32 start)
{
	u32 col = 0, i, len;
	const char *s;

	for (i = 0; (s = l->complete(l->text, start, i)) != NULL; i++) {
		if (!begins_with(s, l->text + start, l->cursor - start))
			continue;
		len = (u32)strlen(s) + 2;
		if (col && col + len >= 80) {
			say(l, "\n");
			col = 0;
		}
		col += len;
		say(l, s);
		say(l, "  ");
	}
}

static void complete(struct line *l)
{
	u32 start = l->cursor, count = 0, len, i, n;
	char first[LINE_MAX];

	while (start && l->text[start - 1] != ' ')
		start--;
	n = l->cursor - start;
	len = l->complete ? common(l, start, &count, first) : 0;
	for (i = 0; i < len; i++)
		insert(l, first[n + i]);
	if (count == 1)
		insert(l, ' ');
	if (count == 0)
		say(l, "\a");
	if (count < 2 || len)
		return;
	say(l, "\n");
	show_candidates(l, start);
	say(l, "\n");
	say(l, l->prompt);
	l->bare = false;
	show(l);
}

/* ------------------------------------------------------------------- input */

static void cursor_key(struct line *l, char final)
{
	if (l->ignore)
		return;
	switch (final) {
	case 'A': browse(l, l->browse + 1); break;
	case 'B':
		if (l->browse)
			browse(l, l->browse - 1);
		break;
	case 'C': move(l, MIN(l->cursor + 1, l->len)); break;
	case 'D': move(l, l->cursor ? l->cursor - 1 : 0); break;
	case 'H': move(l, 0); break;
	case 'F': move(l, l->len); break;
	case '~':
		if (l->number == 1 || l->number == 7)
			move(l, 0);
		else if (l->number == 4 || l->number == 8)
			move(l, l->len);
		else if (l->number == 3 && l->cursor < l->len)
			erase(l, l->cursor, 1);
		break;
	default: break; /* some other key */
	}
}

/* One byte of an escape sequence. */
static void escape_byte(struct line *l, char c)
{
	u8 state = l->escape;

	l->escape = ESC_NONE;
	if (state == ESC_SEEN) {
		l->number = 0;
		if (c == '[')
			l->escape = ESC_CSI;
		else if (c == 'O')
			l->escape = ESC_SS3;
	} else if (state == ESC_SS3) {
		cursor_key(l, c);
	} else if (state == ESC_CSI && c == '[') {
		l->escape = ESC_SKIP; /* a Linux console's function key */
	} else if (state == ESC_CSI || state == ESC_CSI_REST) {
		if (c >= 0x40) {
			cursor_key(l, c);
			return;
		}
		if (state == ESC_CSI && c >= '0' && c <= '9' && l->number < 100)
			l->number = l->number * 10 + (u32)(c - '0');
		else
			state = ESC_CSI_REST;
		l->escape = state;
	}
}

static enum line_event control_byte(struct line *l, char c)
{
	switch (c) {
	case '\r':
	case '\n':
		l->text[l->len] = '\0';
		say(l, "\n");
		l->bare = true; /* until the next line_begin */
		if (l->too_long)
			return LINE_TOO_LONG;
		remember(l);
		return LINE_DONE;
	case CTRL('C'):
		say(l, "^C\n");
		l->len = l->cursor = 0; /* the screen: line_begin() */
		return LINE_CANCEL;
	case '\b':
	case 0x7f:
		if (l->cursor)
			erase_before(l, 1);
		break;
	case '\t': complete(l); break;
	case CTRL('A'): move(l, 0); break;
	case CTRL('B'): cursor_key(l, 'D'); break;
	case CTRL('D'):
		if (l->cursor < l->len)
			erase(l, l->cursor, 1);
		break;
	case CTRL('E'): move(l, l->len); break;
	case CTRL('F'): cursor_key(l, 'C'); break;
	case CTRL('K'): erase(l, l->cursor, l->len - l->cursor); break;
	case CTRL('L'):
		say(l, "\033[H\033[2J");
		say(l, l->prompt);
		l->bare = false;
		show(l);
		break;
	case CTRL('N'): cursor_key(l, 'B'); break;
	case CTRL('P'): cursor_key(l, 'A'); break;
	case CTRL('R'): line_search_begin(l); break;
	case CTRL('U'): erase_before(l, l->cursor); break;
	case CTRL('W'): erase_before(l, word_before(l)); break;
	case 0x1b: l->escape = ESC_SEEN; break;
	default: break;
	}
	return LINE_NONE;
}

void line_skip_escape(struct line *l)
{
	l->escape = ESC_SEEN;
	l->ignore = true;
}

enum line_event line_feed(struct line *l, char c)
{
	bool was_cr = l->was_cr;

	l->ignore &= l->escape != ESC_NONE;
	l->was_cr = c == '\r';
	if (c == '\n' && was_cr)
		return LINE_NONE;
	if (l->search && line_search_feed(l, c))
		return LINE_NONE;
	if ((u8)c < ' ' || c == 0x7f) {
		l->escape = ESC_NONE; /* a sequence that was cut short */
		l->ignore &= c == 0x1b;
		return control_byte(l, c);
	}
	if (l->ignore && l->escape == ESC_SEEN && c != '[' && c != 'O')
		l->escape = ESC_NONE; /* the key was Esc: this is the next one */
	if (l->escape)
		escape_byte(l, c);
	else if ((u8)c < 0x80)
		insert(l, c);
	else if ((u8)c >= 0xc0)
		insert(l, '?'); /* nothing here is named beyond ASCII: it must not match */
	return LINE_NONE;
}
