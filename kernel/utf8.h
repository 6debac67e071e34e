/*
 * UTF-8 (RFC 3629): the length of one well-formed sequence. Refuses overlong
 * forms, surrogates and what lies above U+10FFFF.
 */
#ifndef KERNEL_UTF8_H
#define KERNEL_UTF8_H

#include "arch/types.h"

/* Bytes of the sequence at s, of which n >= 1 are readable; 0: malformed. */
static inline u32 utf8_len(const char *s, size_t n)
{
	const u8 *p = (const u8 *)s;
	u8 low = 0x80, high = 0xbf; /* bounds of the second byte */
	u32 len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (n < len || p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

#endif
