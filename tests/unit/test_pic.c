/*
 * The 8259A pair by its datasheet: initialisation, priorities and nesting,
 * every kind of EOI, rotation, special mask, polling, spurious interrupts,
 * ELCR, and the INTR wire changing only when it must.
 */
// SOURCES: vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/irq.h"
#include "vmm/pic.h"

#define M 0x20
#define S 0xa0

static void init_chip(u32 port, u32 base, u32 icw3, u32 icw4)
{
	out8(port, 0x11);
	out8(port + 1, base);
	out8(port + 1, icw3);
	out8(port + 1, icw4);
}

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	init_chip(M, 0x20, 4, 1);
	init_chip(S, 0x28, 2, 1);
	return 0;
}

static void pulse(u32 irq)
{
	irq_set(irq, false);
	irq_set(irq, true);
}

static u8 isr(u32 port)
{
	out8(port, 0x0b);
	return in8(port);
}

static u8 irr(u32 port)
{
	out8(port, 0x0a);
	return in8(port);
}

static void test_power_on(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	assert_int_equal(in8(M + 1), 0xff);
	assert_int_equal(in8(S + 1), 0xff);
	pulse(4);
	assert_false(fake.extint);
	/* the mask register works before any initialisation (Linux probes so) */
	out8(M + 1, 0xfb);
	assert_int_equal(in8(M + 1), 0xfb);
	out8(M + 1, 0xef);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x0c);
}

static void test_edge_and_eoi(void **state)
{
	(void)state;
	assert_false(fake.extint);
	pulse(4);
	assert_true(fake.extint);
	assert_int_equal(irr(M), 0x10);
	assert_int_equal(pic_ack(), 0x24);
	assert_false(fake.extint);
	assert_int_equal(irr(M), 0);
	assert_int_equal(isr(M), 0x10);
	out8(M, 0x20);
	assert_int_equal(isr(M), 0);
	assert_false(fake.extint); /* still high: no second edge */
	pulse(4);
	assert_true(fake.extint);
}

static void test_edge_withdrawn(void **state)
{
	(void)state;
	pulse(4);
	irq_set(4, false);
	assert_false(fake.extint);
	assert_int_equal(irr(M), 0);
	assert_int_equal(pic_ack(), 0x27); /* spurious */
	assert_int_equal(isr(M), 0);
}

static void test_slave_spurious(void **state)
{
	(void)state;
	out8(S + 1, 0xff);
	pulse(12);
	assert_false(fake.extint);
	out8(S + 1, 0x00);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x2c);
	assert_int_equal(isr(M), 0x04);
	assert_int_equal(isr(S), 0x10);
	out8(S, 0x64); /* specific EOI 4 */
	out8(M, 0x62);
	assert_int_equal(isr(M), 0);
	assert_int_equal(isr(S), 0);
}

static void test_priority_and_nesting(void **state)
{
	(void)state;
	pulse(5);
	pulse(3);
	assert_int_equal(pic_ack(), 0x23);
	assert_false(fake.extint); /* 5 waits behind 3 */
	pulse(1);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x21);
	assert_int_equal(isr(M), 0x0a);
	out8(M, 0x20); /* ends 1, the highest */
	assert_int_equal(isr(M), 0x08);
	assert_false(fake.extint);
	out8(M, 0x20);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x25);
	/* slave inputs rank at the cascade's place: above 3, below 1 */
	pulse(8);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x28);
	pulse(1);
	assert_int_equal(pic_ack(), 0x21);
}

static void test_mask(void **state)
{
	(void)state;
	out8(M + 1, 0x10);
	pulse(4);
	assert_false(fake.extint);
	assert_int_equal(irr(M), 0x10); /* requested all the same */
	out8(M + 1, 0x00);
	assert_true(fake.extint);
	out8(M + 1, 0x10);
	assert_false(fake.extint);
	irq_set(4, false);
	/* the cascade's mask hides the slave */
	out8(M + 1, 0x04);
	pulse(14);
	assert_false(fake.extint);
	assert_false(pic_wanted(15));
	out8(M + 1, 0x00);
	assert_true(fake.extint);
}

static void test_extint_on_change_only(void **state)
{
	u32 calls;

	(void)state;
	calls = fake.extint_calls;
	pulse(3);
	pulse(4);
	pulse(5);
	assert_int_equal(fake.extint_calls, calls + 1);
	pic_ack();
	assert_int_equal(fake.extint_calls, calls + 2);
	out8(M, 0x20);
	assert_int_equal(fake.extint_calls, calls + 3);
}

static void test_rotation(void **state)
{
	(void)state;
	out8(M, 0xc0 | 4); /* 4 is lowest: 5 is highest */
	pulse(3);
	pulse(5);
	pulse(4);
	assert_int_equal(pic_ack(), 0x25);
	out8(M, 0xa0); /* rotate on non-specific EOI: 5 is lowest */
	assert_int_equal(isr(M), 0);
	assert_int_equal(pic_ack(), 0x23);
	out8(M, 0xe0 | 3); /* rotate on specific EOI: 4 is highest */
	pulse(6);
	assert_int_equal(pic_ack(), 0x24);
	out8(M, 0x20);
	assert_int_equal(pic_ack(), 0x26);
	out8(M, 0x40); /* no operation */
	assert_int_equal(isr(M), 0x40);
}

static void test_automatic_eoi(void **state)
{
	(void)state;
	init_chip(M, 0x20, 4, 3);
	pulse(4);
	assert_int_equal(pic_ack(), 0x24);
	assert_int_equal(isr(M), 0);
	out8(M, 0x80); /* rotate in automatic EOI mode */
	pulse(4);
	assert_int_equal(pic_ack(), 0x24);
	pulse(3);
	pulse(5);
	assert_int_equal(pic_ack(), 0x25); /* 4 became lowest */
	out8(M, 0x00);
	/* a slave that keeps asking is served again */
	init_chip(S, 0x28, 2, 3);
	pulse(10);
	pulse(11);
	assert_int_equal(pic_ack(), 0x2a); /* 5 is lowest now: the cascade comes before 3 */
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x2b);
	assert_int_equal(pic_ack(), 0x23);
	assert_false(fake.extint);
}

static void test_special_mask(void **state)
{
	(void)state;
	pulse(2 + 1); /* 3 in service */
	assert_int_equal(pic_ack(), 0x23);
	out8(M, 0x68); /* special mask mode */
	out8(M + 1, 0x08);
	pulse(6);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x26);
	out8(M, 0x20); /* a masked input is not ended by a non-specific EOI */
	assert_int_equal(isr(M), 0x08);
	out8(M, 0x48); /* normal again */
	pulse(7);
	assert_false(fake.extint);
	out8(M, 0x63);
	assert_true(fake.extint);
}

static void test_special_fully_nested(void **state)
{
	(void)state;
	init_chip(M, 0x20, 4, 0x11);
	pulse(12);
	assert_int_equal(pic_ack(), 0x2c);
	pulse(10); /* higher within the slave */
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x2a);
	pulse(3); /* lower than the cascade */
	assert_false(fake.extint);
	out8(S, 0x20);
	out8(S, 0x20);
	out8(M, 0x20);
	assert_int_equal(pic_ack(), 0x23);
}

static void test_poll(void **state)
{
	(void)state;
	out8(M, 0x0c);
	assert_int_equal(in8(M), 0);
	pulse(6);
	out8(M, 0x0c);
	assert_int_equal(in8(M), 0x86);
	assert_false(fake.extint);
	assert_int_equal(isr(M), 0x40); /* a poll is an acknowledge */
	out8(M, 0x20);
	/* and one read only, at either port */
	pulse(1);
	out8(M, 0x0c);
	assert_int_equal(in8(M + 1), 0x81);
	assert_int_equal(in8(M + 1), 0x00);
}

static void test_level(void **state)
{
	(void)state;
	out8(0x4d0, 0xff);
	assert_int_equal(in8(0x4d0), 0xf8);
	out8(0x4d1, 0xff);
	assert_int_equal(in8(0x4d1), 0xde);
	out16(0x4d0, 0x0220);
	assert_int_equal(in16(0x4d0), 0x0220);
	irq_set(5, true);
	assert_int_equal(pic_ack(), 0x25);
	assert_false(fake.extint);
	out8(M, 0x20);
	assert_true(fake.extint); /* still high */
	irq_set(5, false);
	assert_false(fake.extint);
	irq_set(9, true);
	assert_int_equal(pic_ack(), 0x29);
	irq_set(9, false);
	out8(S, 0x20);
	out8(M, 0x20);
	assert_false(fake.extint);
}

static void test_init_resets(void **state)
{
	(void)state;
	pulse(4);
	out8(M + 1, 0xaa);
	out8(M, 0x68);
	out8(M, 0x0b);
	out8(M, 0x11);
	assert_false(fake.extint);
	out8(M + 1, 0x77);
	out8(M + 1, 4);
	out8(M + 1, 1);
	assert_int_equal(in8(M + 1), 0); /* mask */
	assert_int_equal(in8(M), 0);	 /* IRR is what is read, and empty: must rise anew */
	pulse(2);			 /* nobody's */
	assert_false(fake.extint);
	pulse(3);
	assert_int_equal(pic_ack(), 0x73); /* low bits of ICW2 do not count */
	/* single, no ICW4 */
	out8(M, 0x12);
	out8(M + 1, 0x40);
	out8(M + 1, 0xf7);
	assert_int_equal(in8(M + 1), 0xf7);
	pulse(3);
	assert_int_equal(pic_ack(), 0x43);
}

static void test_word_access(void **state)
{
	(void)state;
	out16(M, 0xbb20); /* EOI, then the mask */
	assert_int_equal(in8(M + 1), 0xbb);
	assert_int_equal(in16(M), 0xbb00);
	out8(M + 1, 0);
}

static void test_wanted(void **state)
{
	(void)state;
	out8(M + 1, 0xff);
	assert_false(pic_wanted(0));
	assert_false(irq_wanted(0));
	out8(M + 1, 0xfe);
	assert_true(pic_wanted(0));
	pulse(0);
	assert_false(pic_wanted(0)); /* one is waiting already */
	pic_ack();
	assert_true(irq_wanted(0));
}

static void test_hostile(void **state)
{
	(void)state;
	srand(1);
	for (u32 i = 0; i < 300000; i++) {
		static const u16 ports[] = { M, M + 1, S, S + 1, 0x4d0, 0x4d1, 0x1f, 0x9f };
		static const u8 sizes[] = { 1, 2, 4 };
		u32 port = ports[rand() % 8], size = sizes[rand() % 3];

		switch (rand() % 4) {
		case 0: iomap_write(IO_PORT, port, size, (u32)rand() & size_mask(size)); break;
		case 1: iomap_read(IO_PORT, port, size); break;
		case 2: irq_set((u32)rand() % 40, rand() & 1); break;
		case 3: assert_in_range(pic_ack(), 0, 255); break;
		}
	}
	/* and it can be brought back */
	init_chip(M, 0x20, 4, 1);
	init_chip(S, 0x28, 2, 1);
	pulse(4);
	assert_true(fake.extint);
	out16(0x4d0, 0);
	for (u32 irq = 0; irq < 16; irq++)
		irq_set(irq, false);
	assert_false(fake.extint);
	pulse(4);
	assert_int_equal(pic_ack(), 0x24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_on),
		cmocka_unit_test_setup(test_edge_and_eoi, setup),
		cmocka_unit_test_setup(test_edge_withdrawn, setup),
		cmocka_unit_test_setup(test_slave_spurious, setup),
		cmocka_unit_test_setup(test_priority_and_nesting, setup),
		cmocka_unit_test_setup(test_mask, setup),
		cmocka_unit_test_setup(test_extint_on_change_only, setup),
		cmocka_unit_test_setup(test_rotation, setup),
		cmocka_unit_test_setup(test_automatic_eoi, setup),
		cmocka_unit_test_setup(test_special_mask, setup),
		cmocka_unit_test_setup(test_special_fully_nested, setup),
		cmocka_unit_test_setup(test_poll, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_init_resets, setup),
		cmocka_unit_test_setup(test_word_access, setup),
		cmocka_unit_test_setup(test_wanted, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
