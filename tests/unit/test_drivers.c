/*
 * The pure parts of the board's drivers: port names, calendar arithmetic.
 */
// SOURCES: drivers/uart.c drivers/rtc.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "drivers/rtc.h"
#include "drivers/uart.h"

static void test_port_names(void **state)
{
	static const struct {
		const char *name;
		u16 port;
	} good[] = { { "com1", 0x3f8 },	    { "com2", 0x2f8 },	   { "com3", 0x3e8 },
		     { "com4", 0x2e8 },	    { "io:0x3f8", 0x3f8 }, { "io:0xE000", 0xe000 },
		     { "io:0x03F8", 0x3f8 } };
	static const char *const bad[] = { "",		 "com",	      "com0",	"com5",
					   "com11",	 "COM1",      "io:",	"io:0x",
					   "io:0xg",	 "io:3f8",    "io:0x0", "io:0xffff",
					   "io:0x12345", "io:0x3f8 ", "io:0x-1" };
	u16 port;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		port = 0;
		assert_int_equal(uart_parse(good[i].name, &port), OK);
		assert_int_equal(port, good[i].port);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(uart_parse(bad[i], &port), ERR_INVAL);
	assert_int_equal(uart_isa_irq(0x3f8), 4);
	assert_int_equal(uart_isa_irq(0x2f8), 3);
	assert_int_equal(uart_isa_irq(0xe000), -1);
}

static void test_no_uart(void **state)
{
	char c;

	(void)state;
	assert_false(uart_present());
	assert_int_equal(uart_rx(&c, 1), 0);
	assert_int_equal(uart_tx("abc", 3), 3);
	uart_write("abc", 3);
}

static void test_calendar(void **state)
{
	(void)state;
	assert_int_equal(rtc_seconds(1970, 1, 1, 0, 0, 0), 0);
	assert_int_equal(rtc_seconds(2000, 2, 29, 12, 0, 1), 951825601);
	/* every 17 hours and some, against the C library */
	for (s64 t = 946684800; t < 4102444800; t += 61937) {
		time_t libc = (time_t)t;
		struct tm tm;

		gmtime_r(&libc, &tm);
		assert_int_equal(rtc_seconds((u32)tm.tm_year + 1900, (u32)tm.tm_mon + 1,
					     (u32)tm.tm_mday, (u32)tm.tm_hour, (u32)tm.tm_min,
					     (u32)tm.tm_sec),
				 t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_names),
		cmocka_unit_test(test_no_uart),
		cmocka_unit_test(test_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
