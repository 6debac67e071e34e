/*
 * The kernel's symbol table as the loader hands it over: any bytes, and well
 * formed ones with a few wrong; lookups in what was taken agree with a search
 * from the beginning, and read nothing outside.
 */
// SOURCES: kernel/symbols.c
// RUNS: 200000
// MAX_LEN: 300
#include "fuzz.h"

#include "arch/layout.h"
#include "kernel/symbols.h"

#define COUNT_MAX 20u

/* A table of rising offsets, from the input; its size in bytes. */
static u32 make(struct fuzz_in *in, u32 *words)
{
	u32 count = fuzz_below(in, COUNT_MAX), names = 1 + fuzz_below(in, 32), at = 0;
	char *text = (char *)(words + 3 + 2 * count);

	words[0] = 0x534d5953;
	words[1] = count;
	words[2] = names;
	for (u32 i = 0; i < count; i++) {
		at += 1 + fuzz_u16(in) * (i % 5 == 4 ? 1000u : 1u);
		words[3 + i] = at;
		words[3 + count + i] = fuzz_below(in, names);
	}
	fuzz_bytes(in, text, names);
	text[names - 1] = '\0';
	return 12 + 8 * count + names;
}

static void lookup(const u32 *words, u64 addr)
{
	u32 count = words[1], best = ~0u;
	u64 offset = ~0ull, at = addr - KERNEL_BASE;
	const char *name = symbol_lookup(addr, &offset),
		   *names = (const char *)(words + 3 + 2 * count);

	for (u32 i = 0; i < count; i++)
		if (addr >= KERNEL_BASE && words[3 + i] <= at)
			best = i;
	if (!name) {
		FUZZ_CHECK(offset == 0);
		FUZZ_CHECK(best == ~0u || at - words[3 + best] >= 0x10000);
		return;
	}
	FUZZ_CHECK(best != ~0u && offset == at - words[3 + best]);
	FUZZ_CHECK(name == names + words[3 + count + best] && strlen(name) < words[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 how = fuzz_u8(&in), words[3 + 2 * COUNT_MAX + 8], bytes = make(&in, words), *table;

	if (how & 1)
		words[fuzz_below(&in, ARRAY_SIZE(words))] ^= 1u << (fuzz_u8(&in) & 31);
	if (how & 2)
		bytes = fuzz_below(&in, bytes + 1);
	table = malloc(bytes ? bytes : 1);
	memcpy(table, words, bytes);
	if (symbols_init(table, bytes)) {
		for (u32 i = 0; i < 8; i++)
			lookup(table, KERNEL_BASE + (i & 1 ? fuzz_u32(&in) : fuzz_u16(&in)));
		lookup(table, fuzz_u64(&in));
		lookup(table, KERNEL_BASE - 1);
	} else {
		u64 offset;

		FUZZ_CHECK(how & 3); /* a good one is taken */
		FUZZ_CHECK(!symbol_lookup(KERNEL_BASE + 1, &offset));
	}
	free(table);
	return 0;
}
