/*
 * Memory and string primitives of the freestanding kernel (see string.h).
 * From BULK bytes on, REP MOVSQ/STOSQ move eight bytes at a time; below that
 * a byte loop beats their start-up cost. The loops carry an attribute that
 * keeps the compiler from turning memcpy's body into a call of memcpy.
 */
#include "kernel/string.h"

#define BULK 32
#define NO_IDIOM __attribute__((optimize("no-tree-loop-distribute-patterns")))

NO_IDIOM void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (n >= BULK) {
		size_t words = n / 8;

		asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
		n %= 8;
	}
	for (; n; n--)
		*d++ = *s++;
	return dst;
}

NO_IDIOM void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	/* Copying upward is right unless dst starts inside src's bytes. */
	if ((uintptr_t)d - (uintptr_t)s >= n) {
		if (n >= BULK) {
			size_t words = n / 8;

			asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
			n %= 8;
		}
		for (; n; n--)
			*d++ = *s++;
		return dst;
	}
	while (n--)
		d[n] = s[n];
	return dst;
}

NO_IDIOM void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;

	if (n >= BULK) {
		size_t words = n / 8;

		asm volatile("rep stosq"
			     : "+D"(d), "+c"(words)
			     : "a"((u8)c * 0x0101010101010101ull)
			     : "memory");
		n %= 8;
	}
	for (; n; n--)
		*d++ = (u8)c;
	return dst;
}

NO_IDIOM int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

NO_IDIOM size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

NO_IDIOM size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

NO_IDIOM int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

NO_IDIOM int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}
