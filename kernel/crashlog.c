/*
 * The host's crash record (crashlog.h). The CRC is ITU-T V.42's, bit by bit: it
 * runs over a few KiB, once.
 */
#include "kernel/crashlog.h"

#define MAGIC 0x48435242u /* "BRCH" */
#define POLYNOMIAL 0xedb88320u

static u32 crc_step(u32 crc, u8 byte)
{
	crc ^= byte;
	for (u32 i = 0; i < 8; i++)
		crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
	return crc;
}

static u32 capacity(u32 size)
{
	return size > sizeof(struct crashlog) ? size - (u32)sizeof(struct crashlog) : 0;
}

void crashlog_begin(struct crashlog *c, u32 size)
{
	if (!capacity(size))
		return;
	c->len = 0;
	c->crc = 0;
	c->pad = 0;
	c->magic = MAGIC;
}

void crashlog_append(struct crashlog *c, u32 size, const char *s, u32 n)
{
	u32 len = c->len, crc = ~c->crc, room = capacity(size);

	if (c->magic != MAGIC || len > room)
		return;
	n = MIN(n, room - len);
	for (u32 i = 0; i < n; i++) {
		c->text[len + i] = s[i];
		crc = crc_step(crc, (u8)s[i]);
	}
	c->crc = ~crc;
	c->len = len + n;
}

u32 crashlog_check(const struct crashlog *c, u32 size)
{
	u32 len = c->len, crc = ~0u;

	if (c->magic != MAGIC || len > capacity(size))
		return 0;
	for (u32 i = 0; i < len; i++)
		crc = crc_step(crc, (u8)c->text[i]);
	return ~crc == c->crc ? len : 0;
}

void crashlog_clear(struct crashlog *c)
{
	c->magic = 0;
	c->len = 0;
}
