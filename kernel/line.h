/*
 * A line editor over a byte stream: one line, its cursor, its history.
 *
 * Speaks to dumb terminals of 80 columns: moves with backspaces and reprinted text
 * only (Ctrl-L alone uses an escape sequence); of a long line it shows a part. No input is ever half taken: what
 * does not fit is refused as a whole line. Used by one CPU.
 */
#ifndef KERNEL_LINE_H
#define KERNEL_LINE_H

#include "arch/types.h"

#define LINE_MAX 256	/* bytes, the NUL included */
#define LINE_HISTORY 24 /* lines remembered */

enum line_event {
	LINE_NONE,     /* go on */
	LINE_DONE,     /* Enter: the line is in text */
	LINE_TOO_LONG, /* Enter, but the line did not fit: text is its beginning */
	LINE_CANCEL,   /* Ctrl-C: the line was dropped */
};

struct line;

/* Word number n of those possible behind before (the line up to the word that
 * is being completed), or NULL: no more. Good until the next call. The editor
 * picks those that match. */
typedef const char *line_complete_fn(const char *before, u32 before_len, u32 n);

struct line {
	char text[LINE_MAX];
	u32 len, cursor;
	const char *prompt;
	void (*out)(const char *s, u32 n);
	line_complete_fn *complete; /* NULL: Tab rings the bell */
	/* the editor's own */
	u32 view, shown; /* what of the text is on the screen: from where on, how much */
	u8 escape;	 /* state within an escape sequence */
	u32 number;	 /* its first parameter */
	bool ignore;	 /* it is not for this line */
	bool search;	 /* Ctrl-R: text is empty meanwhile */
	char pattern[32];
	u32 pattern_len, found, search_shown; /* found: as browse; 0 nothing */
	bool was_cr;			      /* swallow the LF of a CR LF */
	bool too_long;
	bool bare;  /* the prompt is not on the screen: other text came between */
	u32 browse; /* history: 0 the new line, 1 the last one, ... */
	u32 history_count, history_next;
	char saved[LINE_MAX]; /* the new line while browsing or searching */
	bool saved_too_long;
	char history[LINE_HISTORY][LINE_MAX];
};

void line_init(struct line *l, const char *prompt, void (*out)(const char *s, u32 n));
/* Print the prompt and begin an empty line. */
void line_begin(struct line *l);
enum line_event line_feed(struct line *l, char c);
/* Around other output that comes while a line is being edited: the first one
 * moves to a fresh line; the second shows again what had been typed, WITHOUT
 * the prompt, so that a script sees exactly one prompt per line entered. */
void line_suspend(struct line *l);
void line_resume(struct line *l);

/* An ESC went elsewhere. If an escape sequence began with it, what follows of that is nothing. */
void line_skip_escape(struct line *l);
/* Remembered line number n, the oldest first; NULL: no more. */
const char *line_history(const struct line *l, u32 n);

#endif
