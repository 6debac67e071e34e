/*
 * Memory and string primitives of the freestanding kernel, with the C
 * library's names and meanings (the compiler emits calls to the first four).
 * Large copies and fills use REP MOVSB/STOSB. Pure functions, no state.
 */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include "arch/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

#endif
