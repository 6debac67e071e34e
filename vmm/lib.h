/*
 * What a C library would give the monitor: memory and string functions
 * (vmm/string.c), formatted text (vmm/lib.c), and a few macros. Freestanding.
 */
#ifndef VMM_LIB_H
#define VMM_LIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/abi.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define likely(c) __builtin_expect(!!(c), 1)
#define unlikely(c) __builtin_expect(!!(c), 0)
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NORETURN __attribute__((noreturn))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PACKED __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))
#define UNUSED __attribute__((unused))
#define BIT(n) (1ull << (n))
#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)
#define PAGE_SIZE 4096ull
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((u64)(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((u64)(a)-1))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* The low size bytes (1 to 8) set. */
static inline u64 size_mask(u32 size)
{
	return ~0ull >> (64 - 8 * size);
}

/* vmm/string.c; host tests take the C library's */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memset(void *dst, int byte, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/*
 * As snprintf: writes at most size bytes with the terminating zero, returns
 * the length that the whole text has. Knows d i u x X p s c %, the lengths
 * l ll z, width, '0', '-', and a precision for s.
 */
int str_format(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
int str_vformat(char *buf, size_t size, const char *fmt, va_list args) PRINTF(3, 0);

#endif
