/*
 * Formatted text for the monitor: the part of printf that it needs.
 */
#include "vmm/lib.h"

struct out {
	char *buf;
	size_t size; /* of buf, with the terminating zero */
	size_t len;  /* of the whole text, written or not */
};

struct spec {
	bool zero, left;
	u32 width;
	s32 precision; /* -1: none */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, u32 have, u32 width)
{
	for (; have < width; have++)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *spec, const char *s, u32 n)
{
	if (!spec->left)
		pad(o, ' ', n, spec->width);
	for (u32 i = 0; i < n; i++)
		put(o, s[i]);
	if (spec->left)
		pad(o, ' ', n, spec->width);
}

static void put_number(struct out *o, const struct spec *spec, u64 n, u32 base, bool upper,
		       const char *sign)
{
	char digits[24];
	u32 i = sizeof(digits), total;

	do {
		u32 d = (u32)(n % base);

		digits[--i] = (char)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10);
		n /= base;
	} while (n);

	total = (u32)(sizeof(digits) - i + strlen(sign));
	if (!spec->left && !spec->zero)
		pad(o, ' ', total, spec->width);
	while (*sign)
		put(o, *sign++);
	if (!spec->left && spec->zero)
		pad(o, '0', total, spec->width);
	while (i < sizeof(digits))
		put(o, digits[i++]);
	if (spec->left)
		pad(o, ' ', total, spec->width);
}

static const char *parse_count(const char *fmt, u32 *n)
{
	for (*n = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
		*n = *n * 10 + (u32)(*fmt - '0');
	return fmt;
}

int str_vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { .buf = buf, .size = size };

	while (*fmt) {
		struct spec spec = { .precision = -1 };
		bool wide = false;
		u32 count;

		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		for (fmt++; *fmt == '0' || *fmt == '-'; fmt++) {
			if (*fmt == '0')
				spec.zero = true;
			else
				spec.left = true;
		}
		fmt = parse_count(fmt, &spec.width);
		if (*fmt == '.') {
			fmt++;
			if (*fmt == '*') {
				spec.precision = va_arg(args, int);
				fmt++;
			} else {
				fmt = parse_count(fmt, &count);
				spec.precision = (s32)count;
			}
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			wide = true;

		switch (*fmt) {
		case 'd':
		case 'i': {
			s64 n = wide ? va_arg(args, s64) : va_arg(args, s32);

			put_number(&o, &spec, n < 0 ? 0 - (u64)n : (u64)n, 10, false,
				   n < 0 ? "-" : "");
			break;
		}
		case 'u':
			put_number(&o, &spec, wide ? va_arg(args, u64) : va_arg(args, u32), 10,
				   false, "");
			break;
		case 'x':
		case 'X':
			put_number(&o, &spec, wide ? va_arg(args, u64) : va_arg(args, u32), 16,
				   *fmt == 'X', "");
			break;
		case 'p': put_number(&o, &spec, (u64)va_arg(args, void *), 16, false, "0x"); break;
		case 'c': {
			char c = (char)va_arg(args, int);

			put_text(&o, &spec, &c, 1);
			break;
		}
		case 's': {
			const char *s = va_arg(args, const char *);

			if (!s)
				s = "(null)";
			put_text(&o, &spec, s,
				 (u32)(spec.precision < 0 ? strlen(s)
							  : strnlen(s, (size_t)spec.precision)));
			break;
		}
		case '%': put(&o, '%'); break;
		default: /* unknown: show it, stop reading arguments */
			put(&o, '%');
			while (*fmt)
				put(&o, *fmt++);
			continue;
		}
		fmt++;
	}
	if (size)
		buf[o.len < size ? o.len : size - 1] = 0;
	return (int)o.len;
}

int str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = str_vformat(buf, size, fmt, args);
	va_end(args);
	return n;
}
