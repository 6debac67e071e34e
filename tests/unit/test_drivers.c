/*
 * The UART's driver without a UART.
 */
// SOURCES: drivers/uart.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/uart.h"

static void test_port_interrupts(void **state)
{
	(void)state;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_interrupts),
		cmocka_unit_test(test_no_uart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
