/*
 * PCI configuration mechanism #1 and the reset ports among and beside it.
 */
// SOURCES: vmm/pcihost.c vmm/reset.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/pcihost.h"
#include "vmm/reset.h"

#define ADDR 0xcf8
#define DATA 0xcfc

static int setup(void **state)
{
	(void)state;
	machine_reset();
	reset_init();
	pcihost_init();
	return 0;
}

static void point(u32 bus, u32 dev, u32 fn, u32 reg)
{
	out32(ADDR, 0x80000000 | bus << 16 | dev << 11 | fn << 8 | reg);
}

static void test_address(void **state)
{
	(void)state;
	/* Linux's check for mechanism #1, and for the absence of #2 */
	out8(0xcfb, 1);
	out32(ADDR, 0x80000000);
	assert_int_equal(in32(ADDR), 0x80000000);
	out32(ADDR, 0xffffffff);
	assert_int_equal(in32(ADDR), 0x80fffffc);
	out8(0xcfb, 0);
	out8(0xcf8, 0);
	out8(0xcfa, 0);
	assert_int_equal(in8(0xcf8), 0xff);
	assert_int_equal(in8(0xcfa), 0xff);
	assert_int_equal(in32(ADDR), 0x80fffffc);
}

static void test_bridge(void **state)
{
	(void)state;
	point(0, 0, 0, 0);
	assert_int_equal(in32(DATA), BOARD_PCI_HOST_ID);
	assert_int_equal(in16(DATA), BOARD_PCI_HOST_ID & 0xffff);
	assert_int_equal(in16(DATA + 2), BOARD_PCI_HOST_ID >> 16);
	assert_int_equal(in8(DATA + 1), BOARD_PCI_HOST_ID >> 8 & 0xff);
	point(0, 0, 0, 8);
	assert_int_equal(in32(DATA), 0x06000000);
	assert_int_equal(in16(DATA + 2), 0x0600);
	point(0, 0, 0, 0x0c);
	assert_int_equal(in8(DATA + 2), 0); /* header type 0, one function */
	for (u32 reg = 0x10; reg < 0x28; reg += 4) {
		point(0, 0, 0, reg);
		out32(DATA, 0xffffffff);
		assert_int_equal(in32(DATA), 0); /* no BAR */
	}
	point(0, 0, 0, 4);
	out32(DATA, 0xffffffff);
	assert_int_equal(in32(DATA), 0x0146);
	out8(DATA + 1, 0);
	assert_int_equal(in32(DATA), 0x0046);
	out16(DATA, 0);
	assert_int_equal(in32(DATA), 0x0006);
	point(0, 0, 0, 0x3c);
	out16(DATA, 0x1234);
	assert_int_equal(in32(DATA), 0x34);
}

static void test_absent(void **state)
{
	(void)state;
	for (u32 dev = 0; dev < 32; dev++) {
		for (u32 fn = 0; fn < 8; fn++) {
			if (!dev && !fn)
				continue;
			point(0, dev, fn, 0);
			assert_int_equal(in32(DATA), 0xffffffff);
			out32(DATA, 0);
		}
	}
	point(1, 0, 0, 0);
	assert_int_equal(in16(DATA), 0xffff);
	point(255, 31, 7, 0xfc);
	assert_int_equal(in8(DATA + 3), 0xff);
	out32(ADDR, 0); /* not enabled */
	assert_int_equal(in32(DATA), 0xffffffff);
	out32(DATA, 0);
	point(0, 0, 0, 0);
	assert_int_equal(in32(DATA), BOARD_PCI_HOST_ID);
}

static void test_reset_control(void **state)
{
	(void)state;
	assert_int_equal(in8(0xcf9), 0);
	out8(0xcf9, 0x02);
	assert_int_equal(in8(0xcf9), 0x02);
	assert_int_equal(in16(0xcf8), 0x02ff);
	assert_int_equal(in16(0xcf9), 0xff02);
	assert_int_equal(fake.stop_count, 0);
	out32(ADDR, 0x80000600); /* not a reset: that is the address register */
	assert_int_equal(fake.stop_count, 0);
	out8(0xcf9, BOARD_RESET_VALUE);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_RESET);
	out16(0xcf8, 0x0400);
	assert_int_equal(fake.stop_count, 2);
	assert_int_equal(in32(ADDR), 0x80000600);
	out32(0xcf9, 0xffffff04); /* split into bytes */
	assert_int_equal(fake.stop_count, 3);
}

static void test_port_a(void **state)
{
	(void)state;
	assert_int_equal(in8(0x92), 0x02);
	out8(0x92, 0x00);
	assert_int_equal(in8(0x92), 0x00);
	out8(0x92, 0xfe);
	assert_int_equal(in8(0x92), 0x0a);
	assert_int_equal(fake.stop_count, 0);
	out8(0x92, 0x03);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_RESET);
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };

	(void)state;
	srand(9);
	for (u32 i = 0; i < 200000; i++) {
		u32 port = 0xcf5 + (u32)rand() % 12, size = sizes[rand() % 3];
		u32 value = (u32)rand() << 16 ^ (u32)rand();

		if (rand() & 1)
			iomap_write(IO_PORT, port, size, value & size_mask(size));
		else
			iomap_read(IO_PORT, port, size);
	}
	point(0, 0, 0, 0);
	assert_int_equal(in32(DATA), BOARD_PCI_HOST_ID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_address, setup),
		cmocka_unit_test_setup(test_bridge, setup),
		cmocka_unit_test_setup(test_absent, setup),
		cmocka_unit_test_setup(test_reset_control, setup),
		cmocka_unit_test_setup(test_port_a, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
