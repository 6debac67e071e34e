/*
 * Formatting into a buffer (kernel/print.h). Pure; no state.
 */
#include "kernel/print.h"
#include "kernel/string.h"

/* Where the text goes: what does not fit is counted, not written. */
struct sink {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, prefix;
	int width, precision; /* precision -1: none */
	int longs;	      /* 0 int, 1 long and size_t, 2 long long; -1 short, -2 char */
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void put_padded(struct sink *s, const struct spec *f, const char *text, int n)
{
	int i;

	for (i = n; !f->left && i < f->width; i++)
		put(s, ' ');
	for (i = 0; i < n; i++)
		put(s, text[i]);
	for (i = n; f->left && i < f->width; i++)
		put(s, ' ');
}

static void put_number(struct sink *s, const struct spec *f, u64 value, u32 base, bool upper,
		       const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[64];
	int n = sizeof(text), plen = (int)strlen(prefix), pad;

	do
		text[--n] = digits[value % base];
	while ((value /= base) != 0);
	if (!f->zero || f->left) {
		n -= plen;
		memcpy(text + n, prefix, (size_t)plen);
		put_padded(s, f, text + n, (int)sizeof(text) - n);
		return;
	}
	while (*prefix)
		put(s, *prefix++);
	for (pad = f->width - plen - ((int)sizeof(text) - n); pad > 0; pad--)
		put(s, '0');
	for (; n < (int)sizeof(text); n++)
		put(s, text[n]);
}

static const char *parse_spec(struct spec *f, const char *p, va_list *ap)
{
	*f = (struct spec){ .precision = -1 };
	for (;; p++) {
		if (*p == '-')
			f->left = true;
		else if (*p == '0')
			f->zero = true;
		else if (*p == '#')
			f->prefix = true;
		else
			break;
	}
	if (*p == '*') {
		f->width = va_arg(*ap, int);
		if (f->width < 0) {
			f->left = true;
			f->width = -f->width;
		}
		p++;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		f->width = f->width * 10 + (*p - '0');
	if (*p == '.') {
		f->precision = 0;
		if (*++p == '*') {
			f->precision = va_arg(*ap, int);
			p++;
		}
		for (; *p >= '0' && *p <= '9'; p++)
			f->precision = f->precision * 10 + (*p - '0');
	}
	for (; *p == 'l'; p++)
		f->longs++;
	for (; *p == 'h'; p++)
		f->longs--;
	if (*p == 'z') {
		f->longs = 1;
		p++;
	}
	return p;
}

static u64 unsigned_arg(const struct spec *f, va_list *ap)
{
	u64 v;

	if (f->longs > 0)
		return va_arg(*ap, u64); /* long, long long and size_t: 64 bits here */
	v = va_arg(*ap, u32);
	return f->longs == 0 ? v : f->longs == -1 ? (u16)v : (u8)v;
}

static s64 signed_arg(const struct spec *f, va_list *ap)
{
	s64 v;

	if (f->longs > 0)
		return va_arg(*ap, s64);
	v = va_arg(*ap, s32);
	return f->longs == 0 ? v : f->longs == -1 ? (s16)v : (s8)v;
}

static void put_string(struct sink *s, const struct spec *f, const char *text)
{
	size_t max = f->precision < 0 ? 0x7fffffff : (size_t)f->precision;

	if (!text)
		text = "(null)";
	put_padded(s, f, text, (int)strnlen(text, max));
}

int str_vformat(char *buf, size_t n, const char *fmt, va_list args)
{
	struct sink s = { buf, n, 0 };
	struct spec f;
	va_list ap;
	s64 d;
	u64 u;
	char c;

	va_copy(ap, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&s, *fmt);
			continue;
		}
		fmt = parse_spec(&f, fmt + 1, &ap);
		switch (*fmt) {
		case 'd':
		case 'i':
			d = signed_arg(&f, &ap);
			put_number(&s, &f, d < 0 ? -(u64)d : (u64)d, 10, false, d < 0 ? "-" : "");
			break;
		case 'u': put_number(&s, &f, unsigned_arg(&f, &ap), 10, false, ""); break;
		case 'x':
		case 'X':
			u = unsigned_arg(&f, &ap);
			put_number(&s, &f, u, 16, *fmt == 'X', f.prefix && u ? "0x" : "");
			break;
		case 'p':
			put_number(&s, &f, (u64)(uintptr_t)va_arg(ap, void *), 16, false, "0x");
			break;
		case 's': put_string(&s, &f, va_arg(ap, const char *)); break;
		case 'c':
			c = (char)va_arg(ap, int);
			put_padded(&s, &f, &c, 1);
			break;
		case '%': put(&s, '%'); break;
		case '\0': fmt--; break; /* a lone % at the end */
		default:		 /* unknown: shown as it stands, its argument not taken */
			put(&s, '%');
			put(&s, *fmt);
		}
	}
	va_end(ap);
	if (n)
		buf[s.len < n ? s.len : n - 1] = '\0';
	return (int)s.len;
}

int str_format(char *buf, size_t n, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = str_vformat(buf, n, fmt, ap);
	va_end(ap);
	return len;
}
