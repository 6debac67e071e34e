// SOURCES: kernel/print.c
#include "kernel/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Whatever the C library prints, ours prints too. */
#define SAME(...) \
	do { \
		char ours[128], theirs[128]; \
		int n = str_format(ours, sizeof(ours), __VA_ARGS__); \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), __VA_ARGS__)); \
		assert_string_equal(ours, theirs); \
	} while (0)

static void numbers(void **state)
{
	(void)state;
	SAME("%d %i %u", 0, -1, 4294967295u);
	SAME("%d %d", 2147483647, (int)-2147483648ll);
	SAME("%lld %llu", -9223372036854775807ll - 1, 18446744073709551615ull);
	SAME("%ld %lu %zu", -5l, 5ul, (size_t)7);
	SAME("%x %X %llx", 0xbeefu, 0xbeefu, 0x123456789abcdef0ull);
	SAME("%#x %#llx %#x", 0xbeefu, 0x10ull, 0u);
	SAME("%hhu %hu %hd", 0x1ff, 0x1ffff, -3);
	SAME("%p", (void *)0x1000);
}

static void padding(void **state)
{
	(void)state;
	SAME("[%5d][%-5d][%05d]", 42, 42, 42);
	SAME("[%5d][%05d]", -42, -42);
	SAME("[%016llx][%*d][%*d]", 0xabcull, 6, 7, -6, 7);
	SAME("[%06x][%1d]", 0x12u, 12345);
	SAME("[%5s][%-5s][%.2s][%5.1s][%.*s]", "abc", "abc", "abc", "abc", 1, "abc");
	SAME("[%3c][%-3c]", 'x', 'y');
	SAME("100%%");
}

static void cutting(void **state)
{
	char buf[4] = "zzz";

	(void)state;
	assert_int_equal(str_format(buf, 0, "hello"), 5);
	assert_string_equal(buf, "zzz");
	assert_int_equal(str_format(buf, 1, "hello"), 5);
	assert_string_equal(buf, "");
	assert_int_equal(str_format(buf, 4, "hello %d", 123), 9);
	assert_string_equal(buf, "hel");
	assert_int_equal(str_format(NULL, 0, "%08x", 1u), 8);
}

static void oddities(void **state)
{
	const char *volatile null = NULL;
	const char *broken = "a%yb", *alone = "x%";
	char buf[32];

	(void)state;
	str_format(buf, sizeof(buf), "%s", null);
	assert_string_equal(buf, "(null)");
	/* not format strings that the compiler would let pass */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	str_format(buf, sizeof(buf), broken);
	assert_string_equal(buf, "a%yb");
	assert_int_equal(str_format(buf, sizeof(buf), alone), 1);
	assert_string_equal(buf, "x");
#pragma GCC diagnostic pop
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(padding),
		cmocka_unit_test(cutting),
		cmocka_unit_test(oddities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
