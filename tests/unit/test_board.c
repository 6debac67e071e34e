/*
 * The whole virtual board: everything finds its place, ports that nobody owns
 * read as all ones, the debug ports exist only when configured, and no
 * sequence of accesses, however long and wild, upsets any device.
 */
// SOURCES: vmm/board.c vmm/debugport.c vmm/i8042.c vmm/ioapic.c vmm/irq.c vmm/pcihost.c vmm/pic.c vmm/pit.c vmm/pm.c vmm/pvclock.c vmm/reset.c vmm/rtc.c vmm/calendar.c vmm/uart.c vmm/watchdog.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/devices.h"
#include "vmm/ioapic.h"
#include "vmm/pic.h"
#include "vmm/pm.h"
#include "vmm/uart.h"

static void start(u32 flags)
{
	machine_reset();
	fake_vm.flags = flags;
	board_init();
}

static void test_debug_ports(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(in8(0xe9), 0xff);
	out8(0xe9, 'x');
	out8(0xf4, 3);
	assert_int_equal(fake.out_len, 0);
	assert_int_equal(fake.stop_count, 0);

	start(ABI_VM_DEBUG_EXIT);
	assert_int_equal(in8(0xe9), 0xe9);
	out8(0xe9, 'h');
	out8(0xe9, 'i');
	assert_string_equal(fake.out, "hi");
	out32(0xf4, 0x12345678);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_DEBUG_EXIT);
	assert_int_equal(fake.stop_code, 0x12345678);
	out8(0xf4, 3);
	assert_int_equal(fake.stop_code, 3);
	assert_int_equal(in8(0xf4), 0xff);
}

static void test_quiet_start(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(fake.log_lines, 0);
	assert_int_equal(fake.timer, ~0ull); /* nobody has asked for a timer, */
	assert_false(fake.extint);
	assert_int_equal(fake.msi_count, 0);
	assert_int_equal(run(3600ull * 1000000000), 0); /* so nobody is woken */
	assert_int_equal(in8(0x80), 0xff);
	assert_int_equal(in32(0x1f0), 0xffffffff);
	assert_int_equal(in16(0xffff), 0xffff);
}

static void test_every_port(void **state)
{
	(void)state;
	start(0);
	for (u32 size = 1; size <= 4; size *= 2) {
		for (u32 port = 0; port < 0x10000; port++) {
			iomap_read(IO_PORT, port, size);
			iomap_write(IO_PORT, port, size, size_mask(size));
			iomap_write(IO_PORT, port, size, 0);
		}
	}
	for (u64 off = 0; off < 0x2000; off++) {
		iomap_read(IO_MMIO, BOARD_IOAPIC - 8 + off, 8);
		iomap_write(IO_MMIO, BOARD_IOAPIC - 8 + off, 8, ~0ull);
	}
}

static void test_wild(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };
	static const u16 bases[] = { 0x20, 0xa0,  0x40,	 0x61,	0x60,  0x64, 0x70,
				     0x92, 0x3f8, 0x4d0, 0x600, 0xcf8, 0xcfc };

	(void)state;
	start(0);
	srand(10);
	for (u32 i = 0; i < 1000000; i++) {
		u32 port = bases[rand() % ARRAY_SIZE(bases)] + (u32)rand() % 12 % 9;
		u32 size = sizes[rand() % 3];
		u32 value = (u32)rand() << 16 ^ (u32)rand();

		fake.out_len = 0;
		switch (rand() % 8) {
		case 0:
		case 1:
		case 2: iomap_write(IO_PORT, port, size, value & size_mask(size)); break;
		case 3:
		case 4: iomap_read(IO_PORT, port, size); break;
		case 5:
			iomap_write(IO_MMIO, BOARD_IOAPIC, 4, value & 0x3f);
			iomap_write(IO_MMIO, BOARD_IOAPIC + 0x10, 4, value >> 7);
			break;
		case 6: run((u64)(u32)rand() % 400000); break;
		case 7:
			if (fake.extint)
				pic_ack();
			ioapic_eoi((u8)value);
			fake.in_len = value % 64;
			uart_console_event();
			if (!(value & 0xff00))
				pm_power_button();
			break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_ports),
		cmocka_unit_test(test_quiet_start),
		cmocka_unit_test(test_every_port),
		cmocka_unit_test(test_wild),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
