/*
 * The host's UART over a 16550 of the test's: bytes and BREAKs come out as they
 * went in, by interrupt and polled, whoever looks at the line status.
 */
// SOURCES: drivers/uart.c
// FLAGS: -Itests/unit/fake/serial
#include "drivers/uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"

#define BREAK 0x100

static struct {
	u8 regs[8], dlab;
	u16 in[1024]; /* BREAK: one, a null byte */
	u32 in_len, in_pos;
	bool told; /* LSR has told of the BREAK at in_pos */
	char out[256];
	u32 out_len;
} chip;

u8 inb(u16 port)
{
	bool data = chip.in_pos < chip.in_len;
	u16 next = data ? chip.in[chip.in_pos] : 0;
	u8 lsr = 0x60 | data;

	assert_in_range(port, 0x3f8, 0x3ff);
	switch (port & 7) {
	case 0:
		chip.in_pos += data;
		chip.told = false;
		return (u8)next;
	case 2: return data || (chip.regs[1] & 2) ? 0xc4 : 0xc1;
	case 5:
		if (next == BREAK && !chip.told) /* reading clears it */
			lsr |= 0x10;
		chip.told = next == BREAK;
		return lsr;
	default: return chip.regs[port & 7];
	}
}

void outb(u16 port, u8 value)
{
	if ((port & 7) == 0 && !(chip.regs[3] & 0x80)) {
		assert_true(chip.out_len < sizeof(chip.out));
		chip.out[chip.out_len++] = (char)value;
	} else {
		chip.regs[port & 7] = value;
	}
}

/* Interrupts come: an empty transmitter that may tell does. */
void irq_window(void)
{
	if (chip.regs[1])
		uart_irq();
}

static void receive(u16 c)
{
	assert_true(chip.in_len < ARRAY_SIZE(chip.in));
	chip.in[chip.in_len++] = c;
}

static void receive_text(const char *s)
{
	while (*s)
		receive((u8)*s++);
}

/* Everything that came, a BREAK as '!'. */
static const char *got(void)
{
	static char text[2048];
	u32 n = 0, more;

	do {
		more = uart_rx(text + n, 7);
		n += more;
		if (uart_break()) {
			text[n++] = '!';
			more = 1;
		}
	} while (more);
	text[n] = '\0';
	return text;
}

static void nothing(void)
{
}

static int setup(void **state)
{
	memset(&chip, 0, sizeof(chip));
	assert_int_equal(uart_init(0x3f8, 115200), OK);
	got();
	if (*state)
		assert_true(uart_use_irq(nothing));
	return 0;
}

static void arrive(void **state)
{
	if (*state)
		uart_irq();
}

static void breaks(void **state)
{
	char c = 'x';

	receive_text("ab");
	receive(BREAK);
	receive_text("c");
	arrive(state);
	assert_string_equal(got(), "ab!c");
	assert_string_equal(got(), "");
	receive(BREAK);
	arrive(state);
	assert_string_equal(got(), "!");
	/* who writes reads the line status, too */
	receive(BREAK);
	assert_int_equal(uart_tx(&c, 1), 1);
	uart_write("y", 1);
	uart_drain();
	receive_text("d");
	arrive(state);
	assert_string_equal(got(), "!d");
	/* a null byte is one where no BREAK was */
	receive(0);
	receive_text("e");
	arrive(state);
	assert_int_equal(uart_rx(&c, 1), 1);
	assert_int_equal(c, 0);
	assert_string_equal(got(), "e");
}

/* One that was not read yet gives way to the next; what was typed stays. */
static void many(void **state)
{
	receive_text("a");
	receive(BREAK);
	receive_text("b");
	receive(BREAK);
	receive_text("c");
	arrive(state);
	assert_string_equal(got(), "ab!c");
	for (u32 i = 0; i < 600; i++)
		receive(i % 3 ? 'x' : BREAK);
	for (u32 i = 0; i < 10; i++)
		arrive(state);
	assert_non_null(strchr(got(), '!'));
}

int main(void)
{
	static bool by_irq = true;
	const struct CMUnitTest tests[] = {
		{ "breaks, polled", breaks, setup, NULL, NULL },
		{ "breaks, by interrupt", breaks, setup, NULL, &by_irq },
		{ "many, polled", many, setup, NULL, NULL },
		{ "many, by interrupt", many, setup, NULL, &by_irq },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
