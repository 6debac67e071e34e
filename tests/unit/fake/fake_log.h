/*
 * What log_write() was given, see fake_log.c.
 */
#ifndef FAKE_LOG_H
#define FAKE_LOG_H

extern char fake_log_text[512];	       /* the last line */
extern unsigned int fake_log_count[4]; /* by enum log_level */

#endif
