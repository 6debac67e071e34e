/*
 * Formatting into a buffer, for kernel and loader alike: no allocation, no
 * global state. Knows %d %i %u %x %X %p %s %c %%, the lengths hh h l ll z, a
 * width, a precision for %s ('*' for both), and the flags '-', '0' and '#'.
 */
#ifndef KERNEL_PRINT_H
#define KERNEL_PRINT_H

#include <stdarg.h>

#include "arch/types.h"

/* Write at most n bytes, the terminating NUL included (n == 0: nothing).
 * Returns the length that the whole text has, as snprintf does. */
int str_format(char *buf, size_t n, const char *fmt, ...) PRINTF(3, 4);
int str_vformat(char *buf, size_t n, const char *fmt, va_list ap) PRINTF(3, 0);

#endif
