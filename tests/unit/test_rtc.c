/*
 * The MC146818: the date in all formats, setting it, stopping it, UIP, the
 * three interrupts, and what else is in the CMOS.
 */
// SOURCES: vmm/rtc.c vmm/calendar.c vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/pic.h"
#include "vmm/rtc.h"

#define SECOND NS_PER_S
#define IRQ8 (fake.extint)

static void start(s64 wall, u32 nsec)
{
	machine_reset();
	fake_vm.wall_base = wall;
	fake_vm.wall_nsec = nsec;
	irq_init();
	pic_init();
	ioapic_init();
	out8(0x21, 0xfb); /* IRQ 8 shows on INTR */
	out8(0xa1, 0xfe);
	rtc_init();
}

static int setup(void **state)
{
	(void)state;
	start(1700000000, 0); /* Tue 2023-11-14 22:13:20 */
	return 0;
}

static u8 get(u8 reg)
{
	out8(0x70, reg);
	return in8(0x71);
}

static void set(u8 reg, u8 value)
{
	out16(0x70, (u32)value << 8 | reg); /* as some do it */
}

static void test_date(void **state)
{
	(void)state;
	assert_int_equal(get(0), 0x20);
	assert_int_equal(get(2), 0x13);
	assert_int_equal(get(4), 0x22);
	assert_int_equal(get(6), 3); /* 1 is Sunday */
	assert_int_equal(get(7), 0x14);
	assert_int_equal(get(8), 0x11);
	assert_int_equal(get(9), 0x23);
	assert_int_equal(get(0x32), 0x20);
	assert_int_equal(get(0x80 | 9), 0x23); /* bit 7 is the NMI mask */
	run(50 * SECOND);
	assert_int_equal(get(0), 0x10);
	assert_int_equal(get(2), 0x14);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(in8(0x70), 0xff);
}

static void test_subsecond(void **state)
{
	(void)state;
	start(1700000000, 900000000);
	assert_int_equal(get(0), 0x20);
	run(99999999);
	assert_int_equal(get(0), 0x20);
	run(1);
	assert_int_equal(get(0), 0x21);
}

static void test_formats(void **state)
{
	(void)state;
	set(0x0b, 0x06);
	assert_int_equal(get(4), 22);
	assert_int_equal(get(9), 23);
	assert_int_equal(get(0x32), 20);
	set(0x0b, 0x04); /* binary, 12 hours */
	assert_int_equal(get(4), 0x80 | 10);
	set(0x0b, 0x00); /* BCD, 12 hours */
	assert_int_equal(get(4), 0x80 | 0x10);
	run(2 * 3600 * SECOND);
	assert_int_equal(get(4), 0x12); /* midnight */
	run(12 * 3600 * SECOND);
	assert_int_equal(get(4), 0x92); /* noon */
	run(3600 * SECOND);
	assert_int_equal(get(4), 0x81);
}

static void test_century(void **state)
{
	(void)state;
	start(946684799, 0); /* 1999-12-31 23:59:59 */
	assert_int_equal(get(0x32), 0x19);
	assert_int_equal(get(9), 0x99);
	run(SECOND);
	assert_int_equal(get(0x32), 0x20);
	assert_int_equal(get(9), 0x00);
	assert_int_equal(get(8), 0x01);
	assert_int_equal(get(7), 0x01);
	assert_int_equal(get(6), 7); /* a Saturday */
}

static void test_set_stopped(void **state)
{
	(void)state;
	run(300000000);
	set(0x0b, 0x82);
	set(0, 0x30);
	set(2, 0x59);
	set(4, 0x23);
	set(6, 0x05);
	set(7, 0x29);
	set(8, 0x02);
	set(9, 0x24);
	set(0x32, 0x20);
	run(100 * SECOND); /* it stands */
	assert_int_equal(get(0), 0x30);
	assert_int_equal(get(0x0a) & 0x80, 0);
	set(0x0b, 0x02);
	assert_int_equal(get(0), 0x30);
	run(699999999); /* the divider went on meanwhile */
	assert_int_equal(get(0), 0x30);
	run(1);
	assert_int_equal(get(0), 0x31);
	run(29 * SECOND);
	assert_int_equal(get(0), 0x00);
	assert_int_equal(get(4), 0x00);
	assert_int_equal(get(7), 0x01); /* a leap year's 1 March */
	assert_int_equal(get(8), 0x03);
	assert_int_equal(get(6), 0x06);
}

static void test_set_with_divider_reset(void **state)
{
	/* as Linux's mc146818_set_time() does */
	(void)state;
	run(123456789);
	set(0x0b, 0x82);
	set(0x0a, 0x76);
	set(0, 0x10);
	run(5 * SECOND);
	set(0x0b, 0x02);
	set(0x0a, 0x26);
	assert_int_equal(get(0), 0x10);
	run(SECOND / 2 - 1);
	assert_int_equal(get(0), 0x10);
	run(1); /* the first update comes half a second after */
	assert_int_equal(get(0), 0x11);
	run(SECOND);
	assert_int_equal(get(0), 0x12);
}

static void test_set_running(void **state)
{
	(void)state;
	run(400000000);
	set(2, 0x45);
	assert_int_equal(get(2), 0x45);
	assert_int_equal(get(0), 0x20);
	run(600000000);
	assert_int_equal(get(0), 0x21);
	set(6, 0x01); /* the day of the week is whatever the guest says */
	assert_int_equal(get(6), 0x01);
	assert_int_equal(get(7), 0x14);
	run(86400 * SECOND);
	assert_int_equal(get(6), 0x02);
}

static void test_uip(void **state)
{
	u32 seen = 0;

	(void)state;
	assert_int_equal(get(0x0a), 0x26);
	for (u32 i = 0; i < 10000; i++) { /* two seconds in steps of 200 us */
		seen += get(0x0a) >> 7;
		run(200000);
	}
	assert_in_range(seen, 20, 24); /* about 2.2 ms each */
	/* never within a millisecond after an update began: the time is stable then */
	run_to(10 * SECOND);
	assert_int_equal(get(0x0a) & 0x80, 0);
	run_to(11 * SECOND - 1);
	assert_int_equal(get(0x0a) & 0x80, 0x80);
	set(0x0a, 0xff);
	assert_int_equal(get(0x0a), 0x7f); /* read-only; and none in reset */
}

static void test_update_interrupt(void **state)
{
	(void)state;
	run(SECOND * 3 / 2);
	assert_int_equal(get(0x0c), 0x50); /* flags come without being enabled */
	assert_int_equal(get(0x0c), 0x00);
	assert_int_equal(fake.timer, ~0ull);
	set(0x0b, 0x12);
	run(SECOND / 2 - 1);
	assert_false(IRQ8);
	run(1);
	assert_true(IRQ8);
	assert_int_equal(get(0x0c) & 0xbf, 0x90);
	assert_false(IRQ8);
	/* not read: one interrupt, no more wake-ups */
	assert_int_equal(run(10 * SECOND), 1);
	assert_true(IRQ8);
	assert_int_equal(get(0x0c) & 0xbf, 0x90);
	/* SET clears the enable */
	set(0x0b, 0x92);
	assert_int_equal(get(0x0b), 0x82);
	assert_int_equal(run(10 * SECOND), 0);
}

static void test_enable_with_flag_up(void **state)
{
	(void)state;
	run(SECOND * 3 / 2);
	set(0x0b, 0x12); /* the flag is up already */
	assert_true(IRQ8);
	set(0x0b, 0x02);
	assert_false(IRQ8);
}

static void test_periodic(void **state)
{
	u32 irqs = 0;

	(void)state;
	set(0x0b, 0x42); /* 1024 Hz */
	for (u32 i = 0; i < 10000; i++) {
		run(100000);
		if (IRQ8) {
			irqs++;
			assert_int_equal(get(0x0c) & 0xc0, 0xc0);
		}
	}
	assert_in_range(irqs, 1023, 1025);
	assert_in_range(run(SECOND), 0, 1); /* left unread */
	get(0x0c);
	set(0x0a, 0x2f); /* 2 Hz */
	get(0x0c);
	assert_in_range(run(SECOND / 2), 1, 1);
	assert_true(IRQ8);
	get(0x0c);
	set(0x0a, 0x21); /* 256 Hz */
	get(0x0c);
	run(3906251);
	assert_true(IRQ8);
	set(0x0a, 0x20); /* none */
	get(0x0c);
	assert_int_equal(run(SECOND), 0);
	set(0x0a, 0x76); /* none in divider reset */
	assert_int_equal(run(SECOND), 0);
}

static void test_alarm(void **state)
{
	(void)state;
	set(1, 0x25);
	set(3, 0x13);
	set(5, 0x22);
	set(0x0b, 0x22);
	assert_int_equal(run(5 * SECOND - 1), 0);
	assert_int_equal(run(1), 1);
	assert_true(IRQ8);
	assert_int_equal(get(0x0c) & 0xbf, 0xb0);
	assert_int_equal(run(86400 * SECOND - 1), 0); /* tomorrow again */
	run(1);
	assert_int_equal(get(0x0c) & 0xa0, 0xa0);
	/* every minute at 0 s; every second */
	set(1, 0x00);
	set(3, 0xff);
	set(5, 0xc0);
	run(34 * SECOND);
	assert_false(IRQ8);
	run(SECOND);
	assert_true(IRQ8);
	get(0x0c);
	set(1, 0xff);
	run(SECOND);
	assert_true(IRQ8);
	get(0x0c);
	/* one that never comes wakes nobody */
	set(1, 0x75);
	get(0x0c);
	assert_int_equal(run(86400 * 2 * SECOND), 0);
	set(1, 0x00);
	set(3, 0x00);
	set(5, 0x24);
	get(0x0c);
	assert_int_equal(run(86400 * 2 * SECOND), 0);
	/* an alarm that passed while nobody looked shows its flag */
	set(0x0b, 0x02);
	set(5, 0x05);
	get(0x0c);
	run(86400 * SECOND);
	assert_int_equal(get(0x0c) & 0x20, 0x20);
}

static void test_cmos(void **state)
{
	u32 sum = 0;

	(void)state;
	sys_fake_reset(MIB(64), MIB(128));
	iomap_clear();
	rtc_init();
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 63 * 1024);
	assert_int_equal(get(0x30) | get(0x31) << 8, 63 * 1024);
	assert_int_equal(get(0x34) | get(0x35) << 8, 48 * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 128 * 16);
	for (u8 i = 0x10; i < 0x2e; i++)
		sum += get(i);
	assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
	set(0x0f, 0xa5);
	set(0x7f, 0x5a);
	assert_int_equal(get(0x0f), 0xa5);
	assert_int_equal(get(0x7f), 0x5a);
	set(0x0c, 0xff);
	set(0x0d, 0x00);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x0d), 0x80);
}

static void test_hostile(void **state)
{
	(void)state;
	srand(5);
	for (u32 i = 0; i < 200000; i++) {
		switch (rand() % 4) {
		case 0:
		case 1: set((u8)(rand() % 4 ? rand() % 16 : rand()), (u8)rand()); break;
		case 2: get((u8)(rand() % 4 ? rand() % 16 : rand())); break;
		case 3:
			if (rand() % 8)
				run((u64)rand() % 1000000);
			else
				fake.tsc += (u64)rand() << rand() % 16;
			break;
		}
	}
	set(0x0a, 0x26);
	set(0x0b, 0x02);
	set(0, 0x10);
	run(SECOND);
	assert_int_equal(get(0), 0x11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_date, setup),
		cmocka_unit_test_setup(test_subsecond, setup),
		cmocka_unit_test_setup(test_formats, setup),
		cmocka_unit_test_setup(test_century, setup),
		cmocka_unit_test_setup(test_set_stopped, setup),
		cmocka_unit_test_setup(test_set_with_divider_reset, setup),
		cmocka_unit_test_setup(test_set_running, setup),
		cmocka_unit_test_setup(test_uip, setup),
		cmocka_unit_test_setup(test_update_interrupt, setup),
		cmocka_unit_test_setup(test_enable_with_flag_up, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_alarm, setup),
		cmocka_unit_test_setup(test_cmos, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
