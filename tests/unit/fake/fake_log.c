/*
 * log_write() for unit tests: keeps the last line and counts lines by level.
 */
#include <stdarg.h>
#include <stdio.h>

#include "arch/log.h"
#include "fake_log.h"

char fake_log_text[512];
unsigned int fake_log_count[4];

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake_log_text, sizeof(fake_log_text), fmt, args);
	va_end(args);
	fake_log_count[level & 3]++;
}
