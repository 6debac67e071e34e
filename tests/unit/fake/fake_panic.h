/*
 * What the last panic() said, see fake_panic.c.
 */
#ifndef FAKE_PANIC_H
#define FAKE_PANIC_H

extern char fake_panic_text[256];

#endif
