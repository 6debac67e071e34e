/*
 * What the line editor's files share: kernel/line.c edits, line_search.c
 * searches the history.
 */
#ifndef KERNEL_LINE_INTERNAL_H
#define KERNEL_LINE_INTERNAL_H

#include "kernel/line.h"

#define CTRL(c) ((c)&0x1f)

/* Columns of the line that are shown at a time: with the prompt and a "^C" behind them
 * 80. A longer line is shown in part: a dumb terminal's cursor does not go back over a row's end. */
#define LINE_SHOWN 68

/* The line becomes text, on the screen too. */
void line_replace(struct line *l, const char *text);
/* What is being typed, kept while history is shown in its place. */
void line_save(struct line *l);
void line_restore(struct line *l);
/* Remembered line, 1 the newest. */
const char *line_back(const struct line *l, u32 back);

void line_search_begin(struct line *l);
/* One byte while searching; false: the search is over, and the byte is the
 * editor's. */
bool line_search_feed(struct line *l, char c);
/* Show it again, behind what is on the screen now. */
void line_search_show(struct line *l);

#endif
