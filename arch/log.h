/*
 * The log, as all of ring 0 sees it; kernel/log.c implements it. Any CPU, any
 * time except in an NMI or machine check.
 */
#ifndef ARCH_LOG_H
#define ARCH_LOG_H

#include "arch/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line; the newline is added. */
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
