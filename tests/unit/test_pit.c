/*
 * The 8254 by its datasheet: counts, outputs and interrupts of the modes, all
 * ways to write and read a count, latches, port B; and that IRQ 0 wakes nobody
 * while nobody can receive it, yet comes at the right time afterwards.
 */
// SOURCES: vmm/pit.c vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/pic.h"
#include "vmm/pit.h"

#define HZ BOARD_PIT_HZ
#define IOAPIC 0xfec00000ull

static u64 ns(u64 ticks)
{
	return ticks_to_ns(ticks, HZ);
}

/* Time in clock ticks. */
static void at(u64 ticks)
{
	run_to(ns(ticks));
}

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	pit_init();
	return 0;
}

static void program(u32 channel, u32 mode, u32 count)
{
	out8(0x43, channel << 6 | 0x30 | mode << 1);
	out8(0x40 + channel, count & 0xff);
	out8(0x40 + channel, count >> 8);
}

static u16 count(u32 channel)
{
	u16 value;

	out8(0x43, channel << 6);
	value = in8(0x40 + channel);
	return (u16)(value | in8(0x40 + channel) << 8);
}

static bool out2(void)
{
	return in8(0x61) & 0x20;
}

static void unmask_ioapic(bool on)
{
	iomap_write(IO_MMIO, IOAPIC, 4, 0x14);
	iomap_write(IO_MMIO, IOAPIC + 0x10, 4, on ? 0x30 : 0x10030);
}

static void test_frequency(void **state)
{
	(void)state;
	assert_int_equal(ns_to_ticks(NS_PER_S, HZ), HZ);
	assert_int_equal(ns_to_ticks(NS_PER_S - 1, HZ), HZ - 1);
	srand(3);
	for (u32 i = 0; i < 10000; i++) {
		u64 t = (u64)rand() << 12 ^ (u64)rand();

		assert_int_equal(ns_to_ticks(ticks_to_ns(t, HZ), HZ), t);
		if (t)
			assert_int_equal(ns_to_ticks(ticks_to_ns(t, HZ) - 1, HZ), t - 1);
	}
	/* a year and more */
	assert_int_equal(ns_to_ticks(NS_PER_S * 86400 * 4000, HZ), 86400ull * 4000 * HZ);
}

static void test_mode_0(void **state)
{
	(void)state;
	at(100);
	out8(0x61, 1);
	program(2, 0, 1000);
	assert_false(out2());
	at(101);
	assert_int_equal(count(2), 1000);
	at(601);
	assert_int_equal(count(2), 500);
	assert_false(out2());
	at(1100);
	assert_int_equal(count(2), 1);
	assert_false(out2());
	at(1101); /* N + 1 clocks after the write */
	assert_true(out2());
	assert_int_equal(count(2), 0);
	at(1102);
	assert_int_equal(count(2), 0xffff); /* goes on, OUT stays */
	at(200000);
	assert_true(out2());
	/* the first byte of a new count stops it and lowers OUT */
	out8(0x42, 10);
	assert_false(out2());
	at(300000);
	assert_false(out2());
	out8(0x42, 0);
	at(300010);
	assert_false(out2());
	at(300011);
	assert_true(out2());
}

static void test_mode_0_gate(void **state)
{
	(void)state;
	at(10);
	out8(0x61, 1);
	program(2, 0, 1000);
	at(111);
	out8(0x61, 0);
	assert_int_equal(count(2), 900);
	at(5000);
	assert_int_equal(count(2), 900);
	assert_false(out2());
	out8(0x61, 1);
	at(5899);
	assert_false(out2());
	at(5900);
	assert_true(out2());
	/* loaded while the gate is closed */
	out8(0x61, 0);
	program(2, 0, 50);
	at(9000);
	assert_int_equal(count(2), 50);
	out8(0x61, 1);
	at(9050);
	assert_true(out2());
}

static void test_mode_1(void **state)
{
	(void)state;
	at(10);
	out8(0x61, 0);
	program(2, 1, 100);
	at(500);
	assert_true(out2());
	out8(0x61, 1); /* trigger */
	at(501);
	assert_false(out2());
	at(551);
	assert_int_equal(count(2), 50);
	out8(0x61, 0); /* the level does not matter */
	out8(0x61, 1); /* a new trigger starts anew */
	at(602);
	assert_false(out2());
	at(652);
	assert_true(out2());
	at(1000);
	assert_true(out2());
}

static void test_mode_2(void **state)
{
	(void)state;
	at(10);
	out8(0x61, 1);
	program(2, 2, 100);
	at(11);
	assert_int_equal(count(2), 100);
	assert_true(out2());
	at(61);
	assert_int_equal(count(2), 50);
	at(110);
	assert_int_equal(count(2), 1);
	assert_false(out2());
	at(111);
	assert_int_equal(count(2), 100);
	assert_true(out2());
	/* a new count waits for the end of the period */
	at(121);
	out8(0x42, 200);
	out8(0x42, 0);
	at(210);
	assert_int_equal(count(2), 1);
	at(211);
	assert_int_equal(count(2), 200);
	at(411);
	assert_int_equal(count(2), 200);
	at(410 + 1 + 200 * 1000 + 50);
	assert_int_equal(count(2), 150);
	/* the gate stops it with OUT high, and reloads */
	out8(0x61, 0);
	assert_true(out2());
	at(300000);
	assert_int_equal(count(2), 150);
	assert_true(out2());
	out8(0x61, 1);
	at(300001);
	assert_int_equal(count(2), 200);
	at(300200);
	assert_false(out2());
}

static void test_mode_3(void **state)
{
	(void)state;
	at(10);
	out8(0x61, 1);
	program(2, 3, 100);
	at(11);
	assert_true(out2());
	assert_int_equal(count(2), 100);
	at(60);
	assert_true(out2());
	assert_int_equal(count(2), 2);
	at(61);
	assert_false(out2());
	assert_int_equal(count(2), 100);
	at(110);
	assert_false(out2());
	at(111);
	assert_true(out2());
	/* odd: high for (N + 1) / 2, low for (N - 1) / 2 */
	program(2, 3, 5);
	at(112);
	assert_int_equal(count(2), 4);
	at(114);
	assert_int_equal(count(2), 0);
	assert_true(out2());
	at(115);
	assert_false(out2());
	at(116);
	assert_false(out2());
	assert_int_equal(count(2), 2);
	at(117);
	assert_true(out2());
}

static void test_mode_3_new_count(void **state)
{
	(void)state;
	out8(0x61, 1);
	program(2, 3, 100); /* high 1 to 50, low 51 to 100 */
	at(20);
	out8(0x42, 40);
	out8(0x42, 0); /* from the next half on: low 51 to 70, high 71 to 90 */
	at(50);
	assert_true(out2());
	at(51);
	assert_false(out2());
	at(70);
	assert_false(out2());
	at(71);
	assert_true(out2());
	at(90);
	assert_true(out2());
	at(91);
	assert_false(out2()); /* low 91 to 110 */
	out8(0x42, 100);
	out8(0x42, 0); /* high 111 to 160 */
	at(110);
	assert_false(out2());
	at(111);
	assert_true(out2());
	at(160);
	assert_true(out2());
	at(161);
	assert_false(out2());
}

static void test_modes_4_and_5(void **state)
{
	(void)state;
	at(10);
	out8(0x61, 1);
	program(2, 4, 20);
	assert_true(out2());
	at(30);
	assert_true(out2());
	at(31);
	assert_false(out2());
	at(32);
	assert_true(out2());
	out8(0x61, 0);
	program(2, 5, 20);
	at(100);
	assert_true(out2());
	out8(0x61, 1);
	at(120);
	assert_true(out2());
	at(121);
	assert_false(out2());
	at(122);
	assert_true(out2());
}

static void test_bytes(void **state)
{
	(void)state;
	out8(0x61, 1);
	out8(0x43, 0x90); /* low byte only */
	out8(0x42, 50);
	at(1);
	assert_int_equal(in8(0x42), 50);
	at(11);
	assert_int_equal(in8(0x42), 40);
	out8(0x43, 0xa0); /* high byte only */
	out8(0x42, 2);
	at(12);
	assert_int_equal(in8(0x42), 2);
	at(13);
	assert_int_equal(in8(0x42), 1);
	/* zero is the largest */
	program(2, 0, 0);
	at(14 + 65535);
	assert_int_equal(count(2), 1);
	assert_false(out2());
	at(14 + 65536);
	assert_true(out2());
	/* the mode's high bit does not count for 2 and 3 */
	out8(0x43, 0xbe);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42) & 0x3f, 0x36);
	assert_int_equal(in8(0x43), 0xff);
}

static void test_bcd(void **state)
{
	(void)state;
	out8(0x61, 1);
	out8(0x43, 0xb1);
	out8(0x42, 0x00);
	out8(0x42, 0x10); /* 1000 */
	at(2);
	assert_int_equal(count(2), 0x0999);
	at(1001);
	assert_true(out2());
	at(1002);
	assert_int_equal(count(2), 0x9999);
	out8(0x43, 0xb1);
	out8(0x42, 0);
	out8(0x42, 0); /* 10000 */
	at(1003 + 9999);
	assert_false(out2());
	assert_int_equal(count(2), 0x0001);
	at(1003 + 10000);
	assert_true(out2());
	/* digits above nine do no harm */
	for (u32 mode = 0; mode < 6; mode++) {
		out8(0x43, 0xb1 | mode << 1);
		out8(0x42, 0xff);
		out8(0x42, 0xff);
		run(12345678);
		count(2);
		out2();
	}
}

static void test_latches(void **state)
{
	(void)state;
	out8(0x61, 1);
	program(2, 0, 1000);
	at(101);
	out8(0x43, 0x80); /* latch the count */
	at(201);
	out8(0x43, 0x80); /* ignored: the first one was not read */
	at(301);
	assert_int_equal(in8(0x42), 900 & 0xff);
	assert_int_equal(in8(0x42), 900 >> 8);
	assert_int_equal(in8(0x42), 700 & 0xff);
	assert_int_equal(in8(0x42), 700 >> 8);
	/* read-back: status and count of channel 2, status comes first */
	out8(0x43, 0xc8);
	at(401);
	assert_int_equal(in8(0x42), 0x30);
	assert_int_equal(in8(0x42), 700 & 0xff);
	assert_int_equal(in8(0x42), 700 >> 8);
	/* status only; null count until the count is loaded */
	out8(0x43, 0xb0);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42), 0x70);
	out8(0x42, 5);
	out8(0x42, 0);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42), 0x70);
	at(402);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42), 0x30);
	at(500);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42), 0xb0);
	/* several channels at once */
	program(0, 2, 1000);
	at(501);
	out8(0x43, 0xca);
	at(600);
	assert_int_equal(in8(0x40), 0xb4);
	assert_int_equal(in8(0x40), 1000 & 0xff);
	assert_int_equal(in8(0x40), 1000 >> 8);
	assert_int_equal(in8(0x42), 0xb0);
	/* a new control word drops latches */
	out8(0x43, 0xc8);
	out8(0x43, 0xb0);
	out8(0x43, 0xe8);
	assert_int_equal(in8(0x42), 0x70);
}

static void test_port_b(void **state)
{
	u32 toggles = 0;
	u8 last;

	(void)state;
	out8(0x61, 0xff);
	assert_int_equal(in8(0x61) & 0x0f, 0x0f);
	assert_int_equal(in8(0x61) & 0xc0, 0);
	out8(0x61, 0);
	assert_int_equal(in8(0x61) & 0x0f, 0);
	last = in8(0x61) & 0x10;
	for (u32 i = 0; i < 1000; i++) { /* 1 ms: the refresh toggles every 15 us */
		u8 now;

		run(1000);
		now = in8(0x61) & 0x10;
		toggles += now != last;
		last = now;
	}
	assert_in_range(toggles, 65, 67);
}

static void test_irq_periodic(void **state)
{
	u32 wakeups;

	(void)state;
	unmask_ioapic(true);
	program(0, 2, 11932); /* 100 Hz */
	fake.msi_count = 0;
	wakeups = run_to(NS_PER_S);
	assert_in_range(fake.msi_count, 99, 100);
	assert_in_range(wakeups, 99, 102);
	/* no drift: the thousandth comes when it must */
	at(11932 * 1000ull);
	assert_int_equal(fake.msi_count, 999);
	at(11932 * 1000ull + 1);
	assert_int_equal(fake.msi_count, 1000);
	/* mode 3 is the same */
	program(0, 3, 11931);
	fake.msi_count = 0;
	run(NS_PER_S);
	assert_in_range(fake.msi_count, 99, 101);
	/* a stopped channel is silent */
	out8(0x43, 0x34);
	fake.msi_count = 0;
	run(NS_PER_S);
	assert_int_equal(fake.msi_count, 0);
}

static void test_irq_masked_is_free(void **state)
{
	u64 start;

	(void)state;
	program(0, 2, 11932);
	assert_int_equal(run(NS_PER_S), 0);
	assert_int_equal(fake.timer, ~0ull);
	/* unmasked at the IOAPIC: lost edges stay lost, the next comes in phase */
	fake.msi_count = 0;
	start = ns_to_ticks(fake.tsc, HZ) / 11932;
	unmask_ioapic(true);
	assert_int_equal(fake.msi_count, 0);
	at((start + 1) * 11932);
	assert_int_equal(fake.msi_count, 0);
	at((start + 1) * 11932 + 1);
	assert_int_equal(fake.msi_count, 1);
	/* masked again: at most the timer that was under way */
	unmask_ioapic(false);
	assert_in_range(run(NS_PER_S), 0, 1);
	assert_int_equal(fake.msi_count, 1);
}

static void test_irq_pic(void **state)
{
	(void)state;
	/* 8254 and 8259 as an operating system without APIC uses them */
	out8(0x20, 0x11);
	out8(0x21, 0x20);
	out8(0x21, 4);
	out8(0x21, 1);
	out8(0x21, 0xff);
	program(0, 2, 11932);
	run(NS_PER_S);
	/* the request bit shows what the chip would, though nobody was woken */
	assert_int_equal(in8(0x20) & 1, 1);
	out8(0x21, 0xfe);
	assert_true(fake.extint);
	assert_int_equal(pic_ack(), 0x20);
	assert_false(fake.extint);
	assert_int_equal(in8(0x20) & 1, 0);
	out8(0x20, 0x20);
	run(NS_PER_S / 50);
	assert_true(fake.extint);
	/* not taken: no more wake-ups until it is, and the rest coalesces */
	assert_in_range(run(NS_PER_S), 0, 1);
	assert_int_equal(pic_ack(), 0x20);
	out8(0x20, 0x20);
	assert_false(fake.extint);
	run(NS_PER_S / 100);
	assert_true(fake.extint);
	/* mask and unmask in every interrupt, as Linux does: none is lost */
	pic_ack();
	out8(0x20, 0x20);
	for (u32 i = 0; i < 100; i++) {
		run(NS_PER_S / 100 + 100);
		assert_true(fake.extint);
		assert_int_equal(pic_ack(), 0x20);
		out8(0x21, 0xff);
		out8(0x20, 0x60);
		out8(0x21, 0xfe);
	}
}

static void test_irq_one_shot(void **state)
{
	(void)state;
	unmask_ioapic(true);
	at(100);
	program(0, 0, 1000);
	fake.msi_count = 0;
	at(1100);
	assert_int_equal(fake.msi_count, 0);
	at(1101);
	assert_int_equal(fake.msi_count, 1);
	assert_in_range(run(NS_PER_S), 0, 1);
	assert_int_equal(fake.msi_count, 1);
	at(2000000);
	out8(0x40, 0xe8); /* count again, without a control word */
	out8(0x40, 0x03);
	at(2001001);
	assert_int_equal(fake.msi_count, 2);
	/* mode 4: one clock later */
	at(3000000);
	program(0, 4, 1000);
	at(3001001);
	assert_int_equal(fake.msi_count, 2);
	at(3001002);
	assert_int_equal(fake.msi_count, 3);
	run(NS_PER_S);
	assert_int_equal(fake.msi_count, 3);
	/* modes 1 and 5 need a gate that channel 0 has not */
	program(0, 1, 1000);
	run(NS_PER_S);
	program(0, 5, 1000);
	run(NS_PER_S);
	assert_int_equal(fake.msi_count, 3);
	/* leaving mode 0 before its time raises OUT */
	program(0, 0, 1000);
	out8(0x43, 0x34);
	assert_int_equal(fake.msi_count, 4);
}

static void test_irq_storm_is_bounded(void **state)
{
	(void)state;
	unmask_ioapic(true);
	for (u32 n = 1; n < 4; n++) {
		program(0, 2, n);
		assert_in_range(run(NS_PER_S / 10), 900, 1100); /* at most 10 kHz */
	}
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };

	(void)state;
	srand(4);
	unmask_ioapic(true);
	for (u32 i = 0; i < 300000; i++) {
		u32 port = rand() % 8 ? 0x40 + (u32)rand() % 4 : 0x61;
		u32 size = sizes[rand() % 3];

		switch (rand() % 6) {
		case 0:
		case 1: iomap_write(IO_PORT, port, size, (u32)rand() & size_mask(size)); break;
		case 2:
		case 3: iomap_read(IO_PORT, port, size); break;
		case 4:
			if (rand() % 16)
				run((u64)rand() % 2000);
			else
				fake.tsc += (u64)rand() % (rand() % 16 ? 3000000u : ~0u);
			break;
		case 5:
			out8(0x21, (u32)rand());
			pic_ack();
			break;
		}
	}
	program(0, 2, 11932);
	unmask_ioapic(false);
	unmask_ioapic(true);
	run(NS_PER_S / 50);
	fake.msi_count = 0;
	run(NS_PER_S);
	assert_in_range(fake.msi_count, 99, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_frequency, setup),
		cmocka_unit_test_setup(test_mode_0, setup),
		cmocka_unit_test_setup(test_mode_0_gate, setup),
		cmocka_unit_test_setup(test_mode_1, setup),
		cmocka_unit_test_setup(test_mode_2, setup),
		cmocka_unit_test_setup(test_mode_3, setup),
		cmocka_unit_test_setup(test_mode_3_new_count, setup),
		cmocka_unit_test_setup(test_modes_4_and_5, setup),
		cmocka_unit_test_setup(test_bytes, setup),
		cmocka_unit_test_setup(test_bcd, setup),
		cmocka_unit_test_setup(test_latches, setup),
		cmocka_unit_test_setup(test_port_b, setup),
		cmocka_unit_test_setup(test_irq_periodic, setup),
		cmocka_unit_test_setup(test_irq_masked_is_free, setup),
		cmocka_unit_test_setup(test_irq_pic, setup),
		cmocka_unit_test_setup(test_irq_one_shot, setup),
		cmocka_unit_test_setup(test_irq_storm_is_bounded, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
