/*
 * Ctrl-R: the newest line in the history that contains what is typed; Ctrl-R
 * again goes on to older ones. While it lasts the line itself is empty, and
 * behind the prompt stands what line_search_show() printed.
 */
#include "kernel/line_internal.h"
#include "kernel/print.h"
#include "kernel/string.h"

static void repeat(struct line *l, char c, u32 n)
{
	while (n--)
		l->out(&c, 1);
}

static bool contains(const char *s, const char *part, u32 n)
{
	for (; *s; s++)
		if (strncmp(s, part, n) == 0)
			return true;
	return n == 0;
}

/* The first match from `back` on; 0: there is none. */
static u32 find(const struct line *l, u32 back)
{
	for (; back <= l->history_count; back++)
		if (contains(line_back(l, back), l->pattern, l->pattern_len))
			return back;
	return 0;
}

/* Over what is shown, which was n characters long. */
static void redraw(struct line *l, u32 n)
{
	u32 before = n;

	repeat(l, '\b', n);
	line_search_show(l);
	n = l->search_shown;
	if (before > n) {
		repeat(l, ' ', before - n);
		repeat(l, '\b', before - n);
	}
}

void line_search_show(struct line *l)
{
	const char *match = l->found ? line_back(l, l->found) : "";
	char text[LINE_SHOWN + 1];
	int n;

	l->pattern[l->pattern_len] = '\0';
	n = str_format(text, sizeof(text), "[search \"%s\"] %s", l->pattern, match);
	l->search_shown = MIN((u32)n, (u32)LINE_SHOWN);
	l->out(text, l->search_shown);
}

void line_search_begin(struct line *l)
{
	line_save(l);
	line_replace(l, "");
	l->browse = 0;
	l->search = true;
	l->pattern_len = l->found = 0;
	line_search_show(l);
}

/* The line found, or back to what was typed before. */
static void end(struct line *l, bool take)
{
	u32 n = l->search_shown;

	l->search = false;
	repeat(l, '\b', n);
	repeat(l, ' ', n);
	repeat(l, '\b', n);
	if (take)
		line_replace(l, line_back(l, l->found));
	else
		line_restore(l);
}

/* Look on from `back`; what matches nothing rings the bell and is not taken. */
static void look(struct line *l, u32 back, u32 pattern_len)
{
	u32 before = l->pattern_len, found;

	l->pattern_len = pattern_len;
	found = pattern_len ? find(l, back) : 0;
	if (pattern_len && !found) {
		l->pattern_len = MIN(before, pattern_len);
		l->out("\a", 1);
		return;
	}
	l->found = found;
	redraw(l, l->search_shown);
}

bool line_search_feed(struct line *l, char c)
{
	if ((u8)c >= ' ' && (u8)c < 0x7f) {
		if (l->pattern_len < sizeof(l->pattern) - 1) {
			l->pattern[l->pattern_len] = c;
			look(l, MAX(l->found, 1u), l->pattern_len + 1);
		}
		return true;
	}
	if (c == CTRL('R')) {
		look(l, l->found + 1, l->pattern_len);
		return true;
	}
	if (c == '\b' || c == 0x7f) {
		if (l->pattern_len)
			look(l, 1, l->pattern_len - 1);
		return true;
	}
	if (c == CTRL('G')) {
		end(l, false);
		return true;
	}
	if ((u8)c >= 0x80)
		return true;
	end(l, l->found && c != CTRL('C'));
	return false;
}
