/*
 * The instruction decoder against Zydis (fake/decode_peer.h): random and
 * structured bytes in three modes. Repeatable: fixed seed.
 */
// SOURCES: vmm/decode.c
// LIBS: -lZydis
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define DECODE_FAILED(what) fail_msg("%s", what)
#include "decode_peer.h"

#define CASES 450000

static u64 seed = 0x9e3779b97f4a7c15ull;

static u32 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 32);
}

static void run(struct test *t)
{
	decode_check(t, rnd());
}

static void fill(struct test *t, u32 from)
{
	for (u32 i = from; i < 15; i++)
		t->bytes[i] = (u8)rnd();
}

static void test_random(void **state)
{
	(void)state;
	for (u32 i = 0; i < CASES / 3; i++) {
		struct test t = { .mode = (enum insn_mode)(i % 3) };

		fill(&t, 0);
		run(&t);
	}
}

/* Up to four prefixes, perhaps REX, then an opcode of either map. */
static void test_structured(void **state)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26,
				       0x2e, 0x36, 0x3e, 0x64, 0x65 };

	(void)state;
	for (u32 i = 0; i < CASES; i++) {
		struct test t = { .mode = (enum insn_mode)(i % 3) };
		u32 n = 0;

		for (u32 p = rnd() % 8; p && p < 5; p--)
			t.bytes[n++] = prefixes[rnd() % sizeof(prefixes)];
		if (t.mode == INSN_64 && rnd() & 1)
			t.bytes[n++] = 0x40 | (rnd() & 15);
		if (rnd() & 1)
			t.bytes[n++] = 0x0f;
		fill(&t, n);
		run(&t);
	}
}

/* Every opcode of both maps with every ModRM byte. */
static void test_all_modrm(void **state)
{
	(void)state;
	for (u32 mode = 0; mode < 3; mode++)
		for (u32 op = 0; op < 512; op++)
			for (u32 modrm = 0; modrm < 256; modrm++) {
				struct test t = { .mode = (enum insn_mode)mode };
				u32 n = 0;

				if (op & 256)
					t.bytes[n++] = 0x0f;
				t.bytes[n++] = (u8)op;
				t.bytes[n++] = (u8)modrm;
				fill(&t, n);
				run(&t);
			}
}

/* Prefixes up to and over the 15 bytes that an instruction may have. */
static void test_too_long(void **state)
{
	(void)state;
	for (u32 n = 0; n <= 15; n++) {
		struct test t = { .mode = INSN_64 };

		memset(t.bytes, 0x66, n);
		t.bytes[n] = 0x89;
		t.bytes[n + 1] = 0x05; /* mov [rip + disp32], ax: six bytes */
		run(&t);
		assert_int_equal(insn_decode(&t.in, t.bytes, 15, t.mode) == INSN_OK, n + 6 <= 15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_modrm),
		cmocka_unit_test(test_structured),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
