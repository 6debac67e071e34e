/*
 * The host's UART (drivers/uart.c) over a model of a 16550 with its FIFO, its
 * edge-triggered interrupt, and a far end that heeds RTS or does not.
 */
// SOURCES: drivers/uart.c kernel/string.c
// FLAGS: -Itests/unit/fake/ports
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "drivers/uart.h"

#define BASE 0x3f8
#define FIFO 16

static struct {
	u8 ier, lcr, mcr, scr, divisor[2];
	u8 fifo[FIFO];
	u32 in, out;	   /* of the FIFO */
	bool tx_full;	   /* until the wire has taken what is in the transmitter */
	bool tx_said;	   /* its interrupt was read */
	bool line;	   /* the interrupt's, as last seen by the IOAPIC */
	bool heeds;	   /* the far end waits for RTS, and for room in the FIFO */
	const char *sends; /* what it still has */
	u32 left, lost;
	u32 notified;
	bool in_irq;
} m;

static bool line(void)
{
	return ((m.ier & 1) && m.in != m.out) || ((m.ier & 2) && !m.tx_full && !m.tx_said);
}

/* A rising edge interrupts, unless that is under way already. */
static void edge(void)
{
	bool now = line(), rises = now && !m.line;

	m.line = now;
	if (!rises || m.in_irq)
		return;
	m.in_irq = true;
	uart_irq();
	m.in_irq = false;
	m.line = line();
}

u8 inb(u16 port)
{
	u8 value = 0;

	switch (port - BASE) {
	case 0:
		if (m.lcr & 0x80)
			return 1;
		if (m.in != m.out)
			value = m.fifo[m.out++ % FIFO];
		break;
	case 1: value = m.ier; break;
	case 2:
		value = (m.ier & 1) && m.in != m.out		  ? 4
			: (m.ier & 2) && !m.tx_full && !m.tx_said ? 2
								  : 1;
		m.tx_said |= value == 2;
		break;
	case 3: value = m.lcr; break;
	case 4: value = m.mcr; break;
	case 5: value = (u8)((m.in != m.out) | (m.tx_full ? 0 : 0x60)); break;
	case 7: value = m.scr; break;
	default: break;
	}
	m.line &= line();
	return value;
}

void outb(u16 port, u8 value)
{
	switch (port - BASE) {
	case 0:
		if (m.lcr & 0x80)
			m.divisor[0] = value;
		else
			m.tx_full = true;
		break;
	case 1:
		if (m.lcr & 0x80) {
			m.divisor[1] = value;
			break;
		}
		if ((value & 2) && !(m.ier & 2))
			m.tx_said = false;
		m.ier = value;
		break;
	case 3: m.lcr = value; break;
	case 4: m.mcr = value; break;
	case 7: m.scr = value; break;
	default: break;
	}
	if (!m.in_irq)
		m.line &= line();
}

void irq_window(void)
{
	edge();
}

/* A byte's time goes by. */
static void tick(void)
{
	if (m.tx_full) {
		m.tx_full = false;
		m.tx_said = false;
	}
	if (m.left && !(m.heeds && (!(m.mcr & 2) || m.in - m.out == FIFO))) {
		if (m.in - m.out == FIFO)
			m.lost++;
		else
			m.fifo[m.in++ % FIFO] = (u8)*m.sends;
		m.sends++;
		m.left--;
	}
	edge();
}

static void note(void)
{
	m.notified++;
}

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	assert_int_equal(uart_init(BASE, 115200), OK);
	assert_true(uart_present());
	assert_true(uart_use_irq(note));
	assert_int_equal(m.ier, 1);
	return 0;
}

static void rates(void **state)
{
	(void)state;
	assert_int_equal(m.divisor[0], 1); /* setup()'s 115200 */
	assert_int_equal(uart_init(BASE, 9600), OK);
	assert_int_equal(m.divisor[0], 12);
	assert_int_equal(m.divisor[1], 0);
	assert_int_equal(m.lcr, 3); /* 8N1, and the divisor is out of the way */
}

static char text[4096], got[4096];

static void far_end_sends(u32 n)
{
	for (u32 i = 0; i < n; i++)
		text[i] = (char)(i * 13 + i / 251);
	m.sends = text;
	m.left = n;
}

static void input(void **state)
{
	(void)state;
	far_end_sends(5);
	for (u32 i = 0; i < 5; i++)
		tick();
	assert_int_equal(uart_rx(got, 3), 3);
	assert_int_equal(uart_rx(got + 3, 10), 2);
	assert_memory_equal(got, text, 5);
	assert_true(m.notified >= 5);
}

/* Nobody reads for long: with flow control nothing is lost, and all comes in order. */
static void a_long_paste_waits(void **state)
{
	u32 n = 0;

	(void)state;
	m.heeds = true;
	far_end_sends(2048);
	for (u32 i = 0; i < 5000; i++)
		tick();
	assert_true(m.left > 1024);
	assert_false(m.mcr & 2);
	assert_false(m.ier & 1);
	for (u32 i = 0; i < 20000 && n < 2048; i++) {
		n += uart_rx(got + n, 7);
		tick();
		if (i == 100)
			assert_true(m.mcr & 2 || n < 300);
	}
	assert_int_equal(n, 2048);
	assert_int_equal(m.lost, 0);
	assert_memory_equal(got, text, 2048);
	assert_true(m.mcr & 2);
	assert_int_equal(m.ier & 1, 1);
}

/* Without it something is lost, but the line goes on working. */
static void a_far_end_that_does_not_wait(void **state)
{
	u32 n = 0;

	(void)state;
	far_end_sends(2000);
	for (u32 i = 0; i < 2500; i++)
		tick();
	assert_true(m.lost > 1000);
	for (u32 i = 0; i < 2000; i++)
		n += uart_rx(got, 64);
	assert_int_equal(n + m.lost, 2000);
	far_end_sends(3);
	for (u32 i = 0; i < 3; i++)
		tick();
	assert_int_equal(uart_rx(got, 10), 3);
	assert_memory_equal(got, text, 3);
}

/* Output goes on while input is held, and does not let it in. */
static void output_while_held(void **state)
{
	u32 sent = 0;

	(void)state;
	m.heeds = true;
	far_end_sends(1000);
	for (u32 i = 0; i < 1200; i++)
		tick();
	assert_false(m.ier & 1);
	for (u32 i = 0; i < 100; i++) {
		sent += uart_tx("0123456789abcdefghij", 20);
		assert_false(m.ier & 1);
		tick();
	}
	assert_true(sent >= 16 * 50);
	assert_false(m.ier & 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rates, setup),
		cmocka_unit_test_setup(input, setup),
		cmocka_unit_test_setup(a_long_paste_waits, setup),
		cmocka_unit_test_setup(a_far_end_that_does_not_wait, setup),
		cmocka_unit_test_setup(output_while_held, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
