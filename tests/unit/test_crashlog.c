/*
 * The host's crash record: written piece by piece, found again whole, and not
 * found where anything of it has changed.
 */
// SOURCES: kernel/crashlog.c
#include "kernel/crashlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 256u
#define ROOM (SIZE - sizeof(struct crashlog))

static _Alignas(16) u8 area[SIZE + 16];
static struct crashlog *c = (struct crashlog *)area;

static int fresh(void **state)
{
	(void)state;
	memset(area, 0x5a, sizeof(area));
	return 0;
}

static void nothing_there(void **state)
{
	(void)state;
	assert_int_equal(crashlog_check(c, SIZE), 0);
	memset(area, 0, SIZE);
	assert_int_equal(crashlog_check(c, SIZE), 0);
	memset(area, 0xff, SIZE);
	assert_int_equal(crashlog_check(c, SIZE), 0);
	crashlog_append(c, SIZE, "abc", 3); /* not begun */
	assert_int_equal(crashlog_check(c, SIZE), 0);
}

static void written_and_found(void **state)
{
	(void)state;
	crashlog_begin(c, SIZE);
	assert_int_equal(crashlog_check(c, SIZE), 0);
	crashlog_append(c, SIZE, "1234", 4);
	assert_int_equal(crashlog_check(c, SIZE), 4);
	crashlog_append(c, SIZE, "56789", 5);
	assert_int_equal(crashlog_check(c, SIZE), 9);
	assert_memory_equal(c->text, "123456789", 9);
	assert_int_equal(c->crc, 0xcbf43926); /* the check value of CRC-32 */
	crashlog_clear(c);
	assert_int_equal(crashlog_check(c, SIZE), 0);
}

static void it_ends_where_the_area_does(void **state)
{
	char text[SIZE];

	(void)state;
	memset(text, 'x', sizeof(text));
	crashlog_begin(c, SIZE);
	crashlog_append(c, SIZE, text, 100);
	crashlog_append(c, SIZE, text, SIZE);
	crashlog_append(c, SIZE, text, 1);
	assert_int_equal(crashlog_check(c, SIZE), ROOM);
	for (u32 i = SIZE; i < sizeof(area); i++)
		assert_int_equal(area[i], 0x5a);
	/* the kernel of another version has less room */
	assert_int_equal(crashlog_check(c, SIZE - 1), 0);
	assert_int_equal(crashlog_check(c, sizeof(*c)), 0);
	assert_int_equal(crashlog_check(c, 0), 0);
}

static void any_change_is_seen(void **state)
{
	u32 len = sizeof(*c) + 60;

	(void)state;
	crashlog_begin(c, SIZE);
	crashlog_append(c, SIZE,
			"*** PANIC on CPU 3: assertion failed, and a little more than this", 60);
	for (u32 i = 0; i < len * 8; i++) {
		if (i / 32 == 3)
			continue; /* pad */
		area[i / 8] ^= (u8)(1 << i % 8);
		assert_int_equal(crashlog_check(c, SIZE), 0);
		area[i / 8] ^= (u8)(1 << i % 8);
	}
	assert_int_equal(crashlog_check(c, SIZE), 60);
	c->len = 0xffffffff; /* and no write goes wild because of it */
	crashlog_append(c, SIZE, "abc", 3);
	assert_int_equal(crashlog_check(c, SIZE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_there, fresh),
		cmocka_unit_test_setup(written_and_found, fresh),
		cmocka_unit_test_setup(it_ends_where_the_area_does, fresh),
		cmocka_unit_test_setup(any_change_is_seen, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
