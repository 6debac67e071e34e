/*
 * The 82093AA: registers and their masks, messages for each delivery mode,
 * remote IRR with both kinds of EOI, masks, and lost edges.
 */
// SOURCES: vmm/ioapic.c vmm/irq.c vmm/pic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/irq.h"
#include "vmm/pic.h"

#define BASE 0xfec00000ull
#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE 0x4000u

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	return 0;
}

static u32 reg(u32 index)
{
	iomap_write(IO_MMIO, BASE, 4, index);
	return (u32)iomap_read(IO_MMIO, BASE + 0x10, 4);
}

static void set_reg(u32 index, u32 value)
{
	iomap_write(IO_MMIO, BASE, 4, index);
	iomap_write(IO_MMIO, BASE + 0x10, 4, value);
}

static void set_pin(u32 pin, u32 low, u32 dest)
{
	set_reg(0x11 + 2 * pin, dest << 24);
	set_reg(0x10 + 2 * pin, low);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(reg(1), 0x00170020);
	assert_int_equal(reg(0), BOARD_IOAPIC_ID << 24);
	set_reg(0, 0xffffffff);
	assert_int_equal(reg(0), 0x0f000000);
	assert_int_equal(reg(2), 0x0f000000);
	set_reg(1, 0);
	assert_int_equal(reg(1), 0x00170020);
	for (u32 pin = 0; pin < 24; pin++)
		assert_int_equal(reg(0x10 + 2 * pin), MASKED);
	set_pin(23, 0xffffffff, 0xff);
	assert_int_equal(reg(0x3e), 0x1afff);
	set_reg(0x3f, 0xffffffff);
	assert_int_equal(reg(0x3f), 0xff000000);
	assert_int_equal(reg(0x40), 0);
	assert_int_equal(reg(0xff), 0);
	set_reg(0x40, 0xffffffff);
	/* the index register reads back */
	iomap_write(IO_MMIO, BASE, 4, 0x112);
	assert_int_equal(iomap_read(IO_MMIO, BASE, 4), 0x12);
}

static void test_partial_access(void **state)
{
	(void)state;
	set_pin(5, MASKED | 0x31, 0);
	iomap_write(IO_MMIO, BASE, 1, 0x1a);
	assert_int_equal(iomap_read(IO_MMIO, BASE + 0x10, 1), 0x31);
	assert_int_equal(iomap_read(IO_MMIO, BASE + 0x12, 1), 0x01);
	iomap_write(IO_MMIO, BASE + 0x10, 1, 0x55);
	assert_int_equal(reg(0x1a), MASKED | 0x55);
	iomap_write(IO_MMIO, BASE + 0x11, 1, 0x55); /* inside a register: dropped */
	assert_int_equal(reg(0x1a), MASKED | 0x55);
	assert_int_equal(iomap_read(IO_MMIO, BASE + 0x10, 8), MASKED | 0x55);
	assert_int_equal(iomap_read(IO_MMIO, BASE + 0x14, 4), 0);
	assert_int_equal(iomap_read(IO_MMIO, BASE + 0xff8, 8), 0);
}

static void test_edge(void **state)
{
	(void)state;
	set_pin(4, 0x41, 3);
	irq_set(4, true);
	assert_int_equal(fake.msi_count, 1);
	assert_int_equal(fake.msi[0].address, 0xfee03000);
	assert_int_equal(fake.msi[0].data & 0x87ff, 0x41);
	irq_set(4, true);
	assert_int_equal(fake.msi_count, 1);
	irq_set(4, false);
	irq_set(4, true);
	assert_int_equal(fake.msi_count, 2);
	assert_int_equal(reg(0x18), 0x41);
}

static void test_edge_masked_is_lost(void **state)
{
	(void)state;
	set_pin(4, MASKED | 0x41, 0);
	irq_set(4, true);
	set_pin(4, 0x41, 0);
	assert_int_equal(fake.msi_count, 0);
	irq_set(4, false);
	irq_set(4, true);
	assert_int_equal(fake.msi_count, 1);
}

static void test_irq0_is_pin_2(void **state)
{
	(void)state;
	set_pin(0, 0x40, 0);
	set_pin(2, 0x42, 0);
	irq_set(0, true);
	assert_int_equal(fake.msi_count, 1);
	assert_int_equal(fake.msi[0].data & 0xff, 0x42);
	irq_set(2, true);
	assert_int_equal(fake.msi_count, 1);
	set_pin(20, 0x50, 0);
	irq_set(20, true);
	assert_int_equal(fake.msi_count, 2);
	irq_set(24, true);
	irq_set(~0u, true);
	assert_int_equal(fake.msi_count, 2);
}

static void test_level(void **state)
{
	(void)state;
	set_pin(9, LEVEL | 0x61, 0);
	irq_set(9, true);
	assert_int_equal(fake.msi_count, 1);
	assert_int_equal(fake.msi[0].data & 0x87ff, LEVEL | 0x61);
	assert_int_equal(reg(0x22), REMOTE | LEVEL | 0x61);
	irq_set(9, false);
	irq_set(9, true); /* not again before its EOI */
	assert_int_equal(fake.msi_count, 1);
	ioapic_eoi(0x60); /* another vector */
	assert_int_equal(fake.msi_count, 1);
	ioapic_eoi(0x61);
	assert_int_equal(fake.msi_count, 2);
	irq_set(9, false);
	ioapic_eoi(0x61);
	assert_int_equal(fake.msi_count, 2);
	assert_int_equal(reg(0x22), LEVEL | 0x61);
	ioapic_eoi(0x61);
	irq_set(9, true);
	assert_int_equal(fake.msi_count, 3);
	/* the EOI register */
	iomap_write(IO_MMIO, BASE + 0x40, 4, 0x61);
	assert_int_equal(fake.msi_count, 4);
}

static void test_level_masked(void **state)
{
	(void)state;
	set_pin(9, MASKED | LEVEL | 0x61, 0);
	irq_set(9, true);
	assert_int_equal(fake.msi_count, 0);
	set_pin(9, LEVEL | 0x61, 0); /* a level is not lost */
	assert_int_equal(fake.msi_count, 1);
	set_reg(0x22, MASKED | LEVEL | 0x61);
	ioapic_eoi(0x61);
	assert_int_equal(fake.msi_count, 1);
	assert_int_equal(reg(0x22), MASKED | LEVEL | 0x61);
	set_reg(0x22, LEVEL | 0x61);
	assert_int_equal(fake.msi_count, 2);
	/* remote IRR is not the guest's to write, but edge mode drops it */
	set_reg(0x22, LEVEL | 0x61);
	assert_int_equal(reg(0x22), REMOTE | LEVEL | 0x61);
	set_reg(0x22, MASKED | 0x61);
	assert_int_equal(reg(0x22), MASKED | 0x61);
	set_reg(0x22, REMOTE | LEVEL | MASKED | 0x61);
	assert_int_equal(reg(0x22), MASKED | LEVEL | 0x61);
}

static void test_delivery_modes(void **state)
{
	static const struct {
		u32 low, address, data;
		bool sent;
	} c[] = {
		{ 0x0800 | 0x51, 0xfee05004, 0x051, true }, /* logical */
		{ 0x0900 | 0x51, 0xfee0500c, 0x151, true }, /* lowest priority, logical */
		{ 0x0100 | 0x51, 0xfee05008, 0x151, true },
		{ 0x0400, 0xfee05000, 0x400, true }, /* NMI */
		{ 0x8400, 0xfee05000, 0x400, true }, /* level means nothing here */
		{ 0x0500, 0xfee05000, 0x500, true }, /* INIT */
		{ 0x0700, 0xfee05000, 0x700, true }, /* ExtINT */
		{ 0x0200, 0, 0, false },	     /* SMI */
		{ 0x0300 | 0x51, 0, 0, false },
		{ 0x0600 | 0x51, 0, 0, false },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(c); i++) {
		fake.msi_count = 0;
		set_pin(7, MASKED, 5);
		irq_set(7, false);
		set_pin(7, c[i].low, 5);
		irq_set(7, true);
		assert_int_equal(fake.msi_count, c[i].sent ? 1 : 0);
		if (!c[i].sent)
			continue;
		assert_int_equal(fake.msi[0].address, c[i].address);
		assert_int_equal(fake.msi[0].data & 0x87ff, c[i].data);
		set_pin(7, c[i].low, 5); /* looked at again: no repetition */
		assert_int_equal(fake.msi_count, 1);
	}
}

static void test_wanted(void **state)
{
	(void)state;
	assert_false(irq_wanted(0));
	set_pin(2, 0x30, 0);
	assert_true(ioapic_wanted(2));
	assert_true(irq_wanted(0));
	assert_false(ioapic_wanted(24));
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4, 8 };

	(void)state;
	srand(2);
	for (u32 i = 0; i < 300000; i++) {
		u32 off = (u32)rand() % 0x50 & ~(rand() & 1 ? 0xfu : 0u);
		u32 size = sizes[rand() % 4];
		u64 value = (u64)rand() << 33 ^ (u64)rand() << 5 ^ (u64)rand();

		switch (rand() % 4) {
		case 0: iomap_write(IO_MMIO, BASE + off, size, value); break;
		case 1: iomap_read(IO_MMIO, BASE + off, size); break;
		case 2: irq_set((u32)rand() % 30, rand() & 1); break;
		case 3: ioapic_eoi((u8)rand()); break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_partial_access, setup),
		cmocka_unit_test_setup(test_edge, setup),
		cmocka_unit_test_setup(test_edge_masked_is_lost, setup),
		cmocka_unit_test_setup(test_irq0_is_pin_2, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_level_masked, setup),
		cmocka_unit_test_setup(test_delivery_modes, setup),
		cmocka_unit_test_setup(test_wanted, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
