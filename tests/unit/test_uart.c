/*
 * The 16550A: register file, what Linux's 8250 driver probes, transmission,
 * reception with and without FIFO, interrupts and their priorities, loopback.
 */
// SOURCES: vmm/uart.c vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/irq.h"
#include "vmm/pic.h"
#include "vmm/uart.h"

#define BASE 0x3f8
#define DATA BASE
#define IER (BASE + 1)
#define IIR (BASE + 2)
#define FCR (BASE + 2)
#define LCR (BASE + 3)
#define MCR (BASE + 4)
#define LSR (BASE + 5)
#define MSR (BASE + 6)
#define SCR (BASE + 7)
#define IRQ4 (fake.extint)

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	out8(0x4d0, 0x00);
	out8(0x21, 0xef); /* IRQ 4 shows on INTR */
	uart_init();
	return 0;
}

static void input(const char *text)
{
	u32 n = (u32)strlen(text);

	memcpy(fake.in + fake.in_len, text, n);
	fake.in_len += n;
	uart_console_event();
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(in8(IER), 0);
	assert_int_equal(in8(IIR), 0x01);
	assert_int_equal(in8(LSR), 0x60);
	assert_int_equal(in8(MSR), 0xb0);
	out8(IER, 0xff);
	assert_int_equal(in8(IER), 0x0f);
	out8(IER, 0);
	out8(MCR, 0xff);
	assert_int_equal(in8(MCR), 0x1f);
	out8(MCR, 0);
	out8(SCR, 0x5a);
	assert_int_equal(in8(SCR), 0x5a);
	out8(LCR, 0x83);
	out16(DATA, 0x1234);
	assert_int_equal(in16(DATA), 0x1234);
	out8(LCR, 0x03);
	assert_int_equal(in8(LCR), 0x03);
	assert_int_equal(in8(IER), 0);
	assert_int_equal(fake.out_len, 0); /* the divisor is not output */
	out8(LSR, 0xff);
	out8(MSR, 0xff);
	assert_int_equal(in8(LSR), 0x60);
	out8(IER, 0x08);
	assert_int_equal(in8(MSR) & 0xf0, 0xb0);
}

/* A BREAK: a null byte with LSR.BI, told by a line status interrupt (PC16550D, 8.4). */
static void test_break(void **state)
{
	(void)state;
	out8(IIR, 0x01);
	out8(IER, 0x05);
	out8(MCR, 0x08);
	fake.in_break = true;
	input("t");
	assert_int_equal(in8(IIR), 0xc6);
	assert_int_equal(in8(LSR), 0xf1); /* FIFO error, BI, data, no framing error */
	assert_int_equal(in8(LSR) & 0x1e, 0);
	assert_int_equal(in8(DATA), 0);
	assert_int_equal(in8(LSR), 0x61);
	assert_int_equal(in8(DATA), 't');
	assert_int_equal(in8(IIR), 0xc1);
	/* behind bytes */
	fake.more_breaks = true;
	input("uv");
	assert_int_equal(in8(DATA), 'u');
	assert_int_equal(in8(LSR) & 0x9f, 0x81);
	assert_int_equal(in8(DATA), 'v');
	assert_int_equal(in8(LSR) & 0x9f, 0x91);
	assert_int_equal(in8(DATA), 0);
	assert_int_equal(in8(LSR), 0x60);
	/* alone, and without FIFO or interrupt */
	out8(IIR, 0);
	out8(IER, 0);
	fake.in_break = true;
	input("");
	assert_int_equal(in8(LSR), 0x71);
	assert_int_equal(in8(DATA), 0);
	assert_int_equal(in8(LSR), 0x60);
}

static void test_linux_probe(void **state)
{
	(void)state;
	/* 8250_port.c autoconfig() */
	out8(IER, 0);
	assert_int_equal(in8(IER), 0);
	out8(IER, 0x0f);
	assert_int_equal(in8(IER), 0x0f);
	out8(IER, 0);
	out8(MCR, 0x10 | 0x0a);
	assert_int_equal(in8(MSR) & 0xf0, 0x90);
	out8(MCR, 0);
	out8(LCR, 0xbf);
	out8(FCR, 0);
	out8(LCR, 0);
	out8(FCR, 1);
	assert_int_equal(in8(IIR) >> 6, 3); /* a 16550A */
	out8(LCR, 0x80);
	assert_int_not_equal(in8(IIR), 0); /* no EFR: not a 16650 */
	out8(LCR, 0xbf);
	assert_int_not_equal(in8(IIR), 0);
	out8(LCR, 0);
	out8(FCR, 0x21);
	assert_int_equal(in8(IIR) >> 5, 6); /* no 64-byte FIFO */
	out8(FCR, 1);
	out8(IER, 0x40);
	assert_int_equal(in8(IER), 0); /* no XScale */
	/* serial8250_do_startup(): enabling THRE must interrupt every time */
	out8(IER, 0x02);
	assert_int_equal(in8(IIR) & 0x0f, 0x02);
	out8(IER, 0);
	out8(IER, 0x02);
	assert_int_equal(in8(LSR) & 0x60, 0x60);
	assert_int_equal(in8(IIR) & 0x0f, 0x02);
	out8(IER, 0);
}

static void test_transmit(void **state)
{
	(void)state;
	for (const char *p = "hello"; *p; p++) {
		assert_int_equal(in8(LSR) & 0x60, 0x60);
		out8(DATA, (u8)*p);
	}
	assert_string_equal(fake.out, "hello");
	assert_int_equal(fake.extint_calls, 0);
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	out8(MCR, 0x0b);
	out8(IER, 0x02);
	assert_true(IRQ4);
	assert_int_equal(in8(IIR), 0x02);
	assert_false(IRQ4); /* reading IIR ends it */
	assert_int_equal(in8(IIR), 0x01);
	out8(DATA, 'x');
	assert_true(IRQ4);
	out8(DATA, 'y');
	assert_int_equal(in8(IIR), 0x02);
	assert_false(IRQ4);
	out8(IER, 0);
	out8(DATA, 'z');
	assert_false(IRQ4);
	/* the wire goes through OUT2 */
	out8(MCR, 0x03);
	out8(IER, 0x02);
	assert_false(IRQ4);
	assert_int_equal(in8(IIR), 0x02);
	out8(IER, 0x00);
	out8(IER, 0x02);
	out8(MCR, 0x0b);
	assert_true(IRQ4);
}

static void test_burst_is_one_interrupt(void **state)
{
	u32 before;

	(void)state;
	iomap_write(IO_MMIO, 0xfec00000, 4, 0x18);
	iomap_write(IO_MMIO, 0xfec00010, 4, 0x34);
	out8(FCR, 1);
	out8(MCR, 0x0b);
	out8(IER, 0x02);
	assert_int_equal(in8(IIR), 0xc2);
	before = fake.msi_count;
	for (u32 i = 0; i < 16; i++)
		out8(DATA, 'a');
	assert_int_equal(fake.msi_count, before + 1);
}

static void test_receive(void **state)
{
	(void)state;
	out8(MCR, 0x0b);
	out8(IER, 0x01);
	assert_int_equal(in8(LSR) & 1, 0);
	input("ab");
	assert_true(IRQ4);
	assert_int_equal(in8(IIR), 0x04); /* no FIFO: received data */
	assert_int_equal(in8(LSR), 0x61);
	assert_int_equal(in8(DATA), 'a');
	assert_int_equal(in8(LSR), 0x61); /* the next one has come */
	assert_int_equal(in8(DATA), 'b');
	assert_int_equal(in8(LSR), 0x60);
	assert_int_equal(in8(DATA), 'b');
	assert_false(IRQ4);
	assert_int_equal(in8(IIR), 0x01);
}

static void test_receive_fifo(void **state)
{
	(void)state;
	out8(MCR, 0x0b);
	out8(FCR, 0x81); /* trigger level 8 */
	out8(IER, 0x01);
	input("1234567");
	assert_true(IRQ4);
	assert_int_equal(in8(IIR), 0xcc); /* time-out: less than the level */
	input("8");
	assert_int_equal(in8(IIR), 0xc4);
	assert_int_equal(in8(DATA), '1');
	assert_int_equal(in8(IIR), 0xcc);
	for (u32 i = 0; i < 7; i++)
		assert_int_equal(in8(DATA), '2' + i);
	assert_false(IRQ4);
	assert_int_equal(in8(IIR), 0xc1);
}

static void test_receive_keeps_order(void **state)
{
	char text[101], got[101] = "";
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < 100; i++)
		text[i] = (char)(' ' + i % 90);
	text[100] = 0;
	out8(FCR, 0x01);
	input(text);
	assert_in_range(100 - fake.in_len, 16, 24); /* no more than the FIFO and one call hold */
	while (in8(LSR) & 1 && n < 100) {
		got[n++] = (char)in8(DATA);
		if (n == 50)
			uart_console_event(); /* at any time */
	}
	assert_int_equal(n, 100);
	assert_string_equal(got, text);
	assert_int_equal(fake.in_len, 0);
	/* emptied exactly: what comes later is announced again */
	input("z");
	assert_int_equal(in8(DATA), 'z');
}

static void test_clear_fifo(void **state)
{
	(void)state;
	out8(FCR, 0x01);
	input("abc");
	out8(FCR, 0x03);
	assert_int_equal(in8(LSR), 0x60);
	input("d");
	out8(FCR, 0x00); /* switching it off clears it too */
	assert_int_equal(in8(LSR), 0x60);
	input("e");
	out8(FCR, 0xc2); /* without the enable bit nothing else counts */
	assert_int_equal(in8(LSR), 0x61);
	assert_int_equal(in8(DATA), 'e');
}

static void test_loopback(void **state)
{
	(void)state;
	out8(FCR, 0x01);
	out8(MCR, 0x1f);
	assert_int_equal(in8(MSR) & 0xf0, 0xf0);
	input("outside");
	assert_int_equal(in8(LSR) & 1, 0); /* cut off */
	for (u32 i = 0; i < 16; i++)
		out8(DATA, 'A' + i);
	assert_int_equal(fake.out_len, 0);
	assert_int_equal(in8(LSR), 0x61);
	out8(DATA, 'Q'); /* one too many */
	out8(IER, 0x05);
	assert_int_equal(in8(IIR), 0xc6); /* overrun comes first */
	assert_int_equal(in8(LSR), 0x63);
	assert_int_equal(in8(LSR), 0x61);
	assert_int_equal(in8(IIR), 0xc4);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(in8(DATA), 'A' + i);
	assert_false(IRQ4); /* OUT2 is not on the wire in loopback */
	/* a break comes back as one */
	out8(LCR, 0x43);
	assert_int_equal(in8(LSR), 0x60 | 0x80 | 0x10 | 0x01);
	assert_int_equal(in8(LSR), 0x61);
	assert_int_equal(in8(DATA), 0);
	out8(LCR, 0x03);
	out8(MCR, 0x0b);
	assert_int_equal(in8(DATA), 'o');
}

static void test_modem_status(void **state)
{
	(void)state;
	out8(IER, 0x08);
	out8(MCR, 0x14); /* loopback with RI: the other three fell */
	assert_int_equal(in8(IIR), 0x00);
	assert_int_equal(in8(MSR), 0x40 | 0x0b);
	assert_int_equal(in8(MSR), 0x40);
	assert_int_equal(in8(IIR), 0x01);
	out8(MCR, 0x10);
	assert_int_equal(in8(MSR), 0x04); /* trailing edge of RI */
	out8(MCR, 0x08);
	assert_true(IRQ4);
	assert_int_equal(in8(MSR), 0xbb);
	assert_false(IRQ4);
}

static void test_priorities(void **state)
{
	(void)state;
	out8(FCR, 0x01);
	out8(MCR, 0x14);
	for (u32 i = 0; i < 17; i++)
		out8(DATA, i);
	out8(IER, 0x0f);
	assert_int_equal(in8(IIR), 0xc6);
	in8(LSR);
	assert_int_equal(in8(IIR), 0xc4);
	out8(FCR, 0x03);
	assert_int_equal(in8(IIR), 0xc2);
	assert_int_equal(in8(IIR), 0xc0);
	in8(MSR);
	assert_int_equal(in8(IIR), 0xc1);
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };

	(void)state;
	srand(6);
	for (u32 i = 0; i < 300000; i++) {
		u32 port = BASE + (u32)rand() % 8, size = sizes[rand() % 3];

		fake.out_len = 0;
		switch (rand() % 5) {
		case 0:
		case 1: iomap_write(IO_PORT, port, size, (u32)rand() & size_mask(size)); break;
		case 2:
		case 3: iomap_read(IO_PORT, port, size); break;
		case 4:
			fake.in_len = (u32)rand() % 20;
			uart_console_event();
			break;
		}
	}
	out8(LCR, 0x03);
	out8(MCR, 0x0b);
	out8(IER, 0x00);
	fake.in_len = 0;
	for (u32 i = 0; i < 100; i++)
		in8(DATA);
	in8(LSR);
	out8(FCR, 0x01);
	input("ok");
	assert_int_equal(in8(DATA), 'o');
	assert_int_equal(in8(DATA), 'k');
	assert_int_equal(in8(LSR), 0x60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_break, setup),
		cmocka_unit_test_setup(test_linux_probe, setup),
		cmocka_unit_test_setup(test_transmit, setup),
		cmocka_unit_test_setup(test_transmit_interrupt, setup),
		cmocka_unit_test_setup(test_burst_is_one_interrupt, setup),
		cmocka_unit_test_setup(test_receive, setup),
		cmocka_unit_test_setup(test_receive_fifo, setup),
		cmocka_unit_test_setup(test_receive_keeps_order, setup),
		cmocka_unit_test_setup(test_clear_fifo, setup),
		cmocka_unit_test_setup(test_loopback, setup),
		cmocka_unit_test_setup(test_modem_status, setup),
		cmocka_unit_test_setup(test_priorities, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
