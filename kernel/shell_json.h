/*
 * What `--json` prints (docs/admin.md has the keys): for scripts, so keys are
 * added but never renamed, and numbers are plain: bytes, nanoseconds, counts.
 */
#ifndef KERNEL_SHELL_JSON_H
#define KERNEL_SHELL_JSON_H

#include "arch/types.h"

struct vm;

/* Is argv[at], the last argument, "--json"? -1: it is something else, and usage was said. */
int shell_json_asked(int argc, char **argv, int at, const char *usage);
void shell_json_list(void);
void shell_json_stats(struct vm *vm); /* without a newline */
void shell_json_all_stats(void);

#endif
