/*
 * The 8042 without keyboard: what drivers ask at start, refusals that end,
 * A20, and the ways to reset.
 */
// SOURCES: vmm/i8042.c vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/i8042.h"
#include "vmm/ioapic.h"
#include "vmm/irq.h"
#include "vmm/pic.h"

#define DATA 0x60
#define CMD 0x64

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	i8042_init();
	return 0;
}

static u8 ask(u8 command)
{
	out8(CMD, command);
	assert_int_equal(in8(CMD) & 0x03, 0x01);
	return in8(DATA);
}

static void test_start(void **state)
{
	(void)state;
	assert_int_equal(in8(CMD) & 0xe3, 0); /* neither full, and not all ones: it is there */
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(in8(CMD) & 0x05, 0x04);
	assert_int_equal(ask(0xab), 0x00);
	assert_int_equal(ask(0xa9), 0x01); /* no auxiliary port */
	out8(CMD, 0xd3);
	out8(DATA, 0x5a);
	assert_int_equal(in8(CMD) & 0x21, 0x01);
	assert_int_equal(in8(DATA), 0x5a);
	out8(CMD, 0xd2);
	out8(DATA, 0x77);
	assert_int_equal(in8(DATA), 0x77);
	assert_int_equal(in8(DATA), 0x77); /* empty: the last byte */
	assert_int_equal(ask(0xa4), 0xf1);
	assert_int_equal(ask(0xc0), 0x80);
	out8(CMD, 0x00); /* nothing */
	assert_int_equal(in8(CMD) & 1, 0);
}

static void test_configuration(void **state)
{
	(void)state;
	out8(CMD, 0x60);
	assert_int_equal(in8(CMD) & 0x08, 0x08);
	out8(DATA, 0x74);
	assert_int_equal(in8(CMD) & 0x08, 0x00);
	assert_int_equal(ask(0x20), 0x74);
	out8(CMD, 0xae);
	assert_int_equal(ask(0x20), 0x64);
	out8(CMD, 0xad);
	assert_int_equal(ask(0x20), 0x74);
	out8(CMD, 0xa8);
	assert_int_equal(ask(0x20), 0x54);
	out8(CMD, 0xa7);
	assert_int_equal(ask(0x20), 0x74);
	out8(CMD, 0x7f);
	out8(DATA, 0x12);
	assert_int_equal(ask(0x3f), 0x12);
}

static void test_keyboard_refuses(void **state)
{
	(void)state;
	out8(DATA, 0xf2);
	assert_int_equal(in8(CMD) & 0x41, 0x41); /* a time-out */
	assert_int_equal(in8(DATA), 0xfe);
	assert_int_equal(in8(CMD) & 0x41, 0);
	out8(DATA, 0xf2);
	assert_int_equal(in8(DATA), 0xfe);
	out8(DATA, 0xf2); /* who goes on repeating hears nothing more */
	assert_int_equal(in8(CMD) & 1, 0);
	out8(DATA, 0xed);
	assert_int_equal(in8(CMD) & 1, 1);
	assert_int_equal(in8(DATA), 0xfe);
	out8(CMD, 0xd4);
	out8(DATA, 0xff);
	assert_int_equal(in8(CMD) & 0x61, 0x61);
	assert_int_equal(in8(DATA), 0xfe);
}

static void test_interrupt(void **state)
{
	(void)state;
	out8(0x21, 0xf9);
	out8(0xa1, 0xef);
	out8(DATA, 0xf2);
	assert_false(fake.extint); /* not enabled */
	out8(CMD, 0x60);
	out8(DATA, 0x03);
	assert_true(fake.extint);
	in8(DATA);
	assert_false(fake.extint);
	out8(CMD, 0xd4);
	out8(DATA, 0xf2);
	assert_int_equal(pic_ack(), 0x70 + 4);
	in8(DATA);
}

static void test_reset(void **state)
{
	(void)state;
	out8(CMD, 0xff); /* pulses nothing */
	assert_int_equal(fake.stop_count, 0);
	out8(CMD, 0xfe);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_RESET);
	out8(CMD, 0xd1);
	out8(DATA, 0xfe);
	assert_int_equal(fake.stop_count, 2);
}

static void test_a20(void **state)
{
	(void)state;
	assert_int_equal(ask(0xd0) & 3, 3);
	out8(CMD, 0xd1);
	out8(DATA, 0xdd);
	assert_int_equal(ask(0xd0), 0xdd);
	out8(CMD, 0xdf);
	assert_int_equal(ask(0xd0), 0xdf);
	out8(CMD, 0xdd);
	assert_int_equal(ask(0xd0), 0xdd);
	assert_int_equal(fake.stop_count, 0);
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };

	(void)state;
	srand(7);
	for (u32 i = 0; i < 200000; i++) {
		u32 port = 0x5e + (u32)rand() % 8, size = sizes[rand() % 3];

		if (rand() & 1)
			iomap_write(IO_PORT, port, size, (u32)rand() & size_mask(size));
		else
			iomap_read(IO_PORT, port, size);
	}
	out8(CMD, 0x60);
	out8(DATA, 0);
	assert_int_equal(ask(0xaa), 0x55);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_start, setup),
		cmocka_unit_test_setup(test_configuration, setup),
		cmocka_unit_test_setup(test_keyboard_refuses, setup),
		cmocka_unit_test_setup(test_interrupt, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_a20, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
