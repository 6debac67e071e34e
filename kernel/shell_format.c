/*
 * How the shell's commands show numbers, and long lines (kernel/shell_format.h).
 */
#include "kernel/shell_format.h"

#include "kernel/control.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/string.h"

typedef unsigned long long ull;

const char *shell_show_time(ns_t ns, char *buf, u32 size)
{
	u64 tenths = ns / 100000000, s = tenths / 10;

	if (s < 60)
		str_format(buf, size, "%llu.%llus", (ull)s, (ull)(tenths % 10));
	else if (s < 3600)
		str_format(buf, size, "%llum%02llus", (ull)(s / 60), (ull)(s % 60));
	else if (s < 86400)
		str_format(buf, size, "%lluh%02llum", (ull)(s / 3600), (ull)(s / 60 % 60));
	else
		str_format(buf, size, "%llud%02lluh", (ull)(s / 86400), (ull)(s / 3600 % 24));
	return buf;
}

const char *shell_show_memory(u64 bytes, char *buf, u32 size)
{
	if (bytes && bytes % GIB(1) == 0)
		str_format(buf, size, "%lluG", (ull)(bytes >> 30));
	else
		str_format(buf, size, "%lluM", (ull)(bytes >> 20));
	return buf;
}

const char *shell_show_cpus(const struct vm_info *v, char *buf, u32 size)
{
	u32 i, last, n = 0;

	buf[0] = '\0';
	for (i = 0; i < v->cpu_count && n < size; i = last + 1) {
		for (last = i; last + 1 < v->cpu_count && v->cpus[last + 1] == v->cpus[last] + 1;)
			last++;
		n += (u32)str_format(buf + n, size - n, "%s%u", i ? "," : "", v->cpus[i]);
		if (last > i && n < size)
			n += (u32)str_format(buf + n, size - n, "-%u", v->cpus[last]);
	}
	return buf;
}

const char *shell_show_share(u64 part, u64 whole, char *buf, u32 size)
{
	u64 permille;

	while (whole > UINT64_MAX / 1000) {
		part >>= 1;
		whole >>= 1;
	}
	permille = whole ? part * 1000 / whole : 0;
	str_format(buf, size, "%llu.%llu%%", (ull)(permille / 10), (ull)(permille % 10));
	return buf;
}

void shell_wrap(const char *text, u32 first, u32 rest)
{
	u32 indent = first, room, n, len;

	while (*text) {
		room = SHELL_WIDTH - 1 - indent;
		len = (u32)strlen(text);
		n = MIN(len, room);
		while (n < len && n > room / 2 && text[n] != ' ')
			n--;
		shell_printf("%*s%.*s\n", (int)indent, "", (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
		indent = rest;
	}
}
