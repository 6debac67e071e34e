// SOURCES: kernel/symbols.c
#include "kernel/symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "arch/layout.h"

struct table {
	u32 magic, count, names_size;
	u32 offsets[3], positions[3];
	char names[16];
};

static const struct table good = {
	0x534d5953, 3, 16, { 0x10, 0x40, 0x100 }, { 0, 6, 11 }, "start\0main\0stop",
};

static void finds_functions(void **state)
{
	u64 offset;

	(void)state;
	assert_true(symbols_init(&good, sizeof(good)));
	assert_string_equal(symbol_lookup(KERNEL_BASE + 0x10, &offset), "start");
	assert_int_equal(offset, 0);
	assert_string_equal(symbol_lookup(KERNEL_BASE + 0x3f, &offset), "start");
	assert_int_equal(offset, 0x2f);
	assert_string_equal(symbol_lookup(KERNEL_BASE + 0x40, &offset), "main");
	assert_string_equal(symbol_lookup(KERNEL_BASE + 0x123, &offset), "stop");
	assert_int_equal(offset, 0x23);
}

static void outside_is_nothing(void **state)
{
	u64 offset = 7;

	(void)state;
	assert_true(symbols_init(&good, sizeof(good)));
	assert_null(symbol_lookup(KERNEL_BASE + 0xf, &offset));
	assert_int_equal(offset, 0);
	assert_null(symbol_lookup(KERNEL_BASE - 1, &offset));
	assert_null(symbol_lookup(0, &offset));
	assert_null(symbol_lookup(KERNEL_BASE + 0x10100, &offset));
	assert_null(symbol_lookup(~0ull, &offset));
}

static void malformed_is_refused(void **state)
{
	struct table t;
	u64 offset;

	(void)state;
	assert_false(symbols_init(NULL, 0));
	assert_false(symbols_init(&good, sizeof(good) - 1));
	assert_false(symbols_init(&good, 4));
	t = good;
	t.magic = 0;
	assert_false(symbols_init(&t, sizeof(t)));
	t = good;
	t.count = 0xffffffff;
	assert_false(symbols_init(&t, sizeof(t)));
	t = good;
	t.positions[1] = 16;
	assert_false(symbols_init(&t, sizeof(t)));
	t = good;
	t.offsets[1] = t.offsets[0];
	assert_false(symbols_init(&t, sizeof(t)));
	t = good;
	memset(t.names, 'x', sizeof(t.names));
	assert_false(symbols_init(&t, sizeof(t)));
	assert_null(symbol_lookup(KERNEL_BASE + 0x10, &offset));
}

static void empty_table(void **state)
{
	struct table t = good;
	u64 offset;

	(void)state;
	t.count = 0;
	assert_true(symbols_init(&t, sizeof(t)));
	assert_null(symbol_lookup(KERNEL_BASE + 0x10, &offset));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_functions),
		cmocka_unit_test(outside_is_nothing),
		cmocka_unit_test(malformed_is_refused),
		cmocka_unit_test(empty_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
