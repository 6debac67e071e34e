/*
 * The functions of kernel/string.h as string_renamed.c calls them.
 */
#ifndef FAKE_STRING_RENAMED_H
#define FAKE_STRING_RENAMED_H

#include <stddef.h>

void *bh_memcpy(void *restrict dst, const void *restrict src, size_t n);
void *bh_memmove(void *dst, const void *src, size_t n);
void *bh_memset(void *dst, int c, size_t n);
int bh_memcmp(const void *a, const void *b, size_t n);
size_t bh_strlen(const char *s);
size_t bh_strnlen(const char *s, size_t max);
int bh_strcmp(const char *a, const char *b);
int bh_strncmp(const char *a, const char *b, size_t n);

#endif
