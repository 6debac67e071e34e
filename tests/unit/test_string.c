/*
 * kernel/string.c against the C library, at every small length and alignment.
 */
// SOURCES: tests/unit/fake/string_renamed.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "string_renamed.h"

#define N 160

static unsigned char want[N * 2], got[N * 2], src[N * 2];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(src); i++) {
		src[i] = (unsigned char)rand();
		want[i] = got[i] = (unsigned char)rand();
	}
}

static void copies(void **state)
{
	(void)state;
	for (size_t n = 0; n <= N - 16; n++)
		for (size_t a = 0; a < 9; a++) {
			fill();
			memcpy(want + a, src + 3, n);
			assert_ptr_equal(bh_memcpy(got + a, src + 3, n), got + a);
			assert_memory_equal(want, got, sizeof(want));
		}
}

static void overlapping_moves(void **state)
{
	(void)state;
	for (size_t n = 0; n < 80; n++)
		for (size_t from = 0; from < 40; from++)
			for (size_t to = 0; to < 40; to += 3) {
				for (size_t i = 0; i < sizeof(got); i++)
					got[i] = (unsigned char)(i * 7);
				for (size_t i = 0; i < sizeof(want); i++)
					want[i] = (unsigned char)(i * 7);
				memmove(want + to, want + from, n);
				assert_ptr_equal(bh_memmove(got + to, got + from, n), got + to);
				assert_memory_equal(want, got, sizeof(want));
			}
}

static void sets(void **state)
{
	(void)state;
	for (size_t n = 0; n <= N - 16; n++)
		for (int c = -2; c < 300; c += 37) {
			fill();
			memcpy(want, got, sizeof(want));
			memset(want + n % 8, c, n);
			assert_ptr_equal(bh_memset(got + n % 8, c, n), got + n % 8);
			assert_memory_equal(want, got, sizeof(want));
		}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void comparisons(void **state)
{
	static const char *s[] = { "",	   "a",	      "ab",	 "abc",	      "abd",	  "b",
				   "\xff", "a\xff\1", "abcdefg", "abcdefghi", "abcdefghj" };

	(void)state;
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		assert_int_equal(bh_strlen(s[i]), strlen(s[i]));
		for (size_t n = 0; n < 12; n++)
			assert_int_equal(bh_strnlen(s[i], n), strnlen(s[i], n));
		for (size_t j = 0; j < sizeof(s) / sizeof(s[0]); j++) {
			size_t len = strlen(s[i]) < strlen(s[j]) ? strlen(s[i]) : strlen(s[j]);

			assert_int_equal(sign(bh_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
			for (size_t n = 0; n < 12; n++)
				assert_int_equal(sign(bh_strncmp(s[i], s[j], n)),
						 sign(strncmp(s[i], s[j], n)));
			assert_int_equal(sign(bh_memcmp(s[i], s[j], len)),
					 sign(memcmp(s[i], s[j], len)));
		}
	}
	/* strnlen must not look past its limit */
	char *tight = malloc(4);
	memset(tight, 'x', 4);
	assert_int_equal(bh_strnlen(tight, 4), 4);
	assert_int_equal(bh_strncmp(tight, "xxxx", 4), 0);
	free(tight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies),
		cmocka_unit_test(overlapping_moves),
		cmocka_unit_test(sets),
		cmocka_unit_test(comparisons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
