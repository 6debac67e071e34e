/*
 * The 6300ESB's watchdog: as Linux's driver uses it, its two stages, the lock,
 * the unlocking sequence, a BAR that moves, and wild accesses.
 */
// SOURCES: vmm/watchdog.c vmm/pcihost.c vmm/reset.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioport.h"
#include "vmm/pcihost.h"
#include "vmm/reset.h"
#include "vmm/watchdog.h"

#define ADDR 0xcf8
#define DATA 0xcfc
#define BASE BOARD_PCI_MMIO
#define RELOAD (BASE + 12)
#define TICK (32768 * 1000000000ull / 33000000)

static void point(u32 reg)
{
	out32(ADDR, 0x80000000 | 1 << 11 | (reg & 0xfc));
}

static u32 read_reg(u64 addr, u32 size)
{
	return (u32)iomap_read(IO_MMIO, addr, size);
}

static void write_reg(u64 addr, u32 size, u32 value)
{
	iomap_write(IO_MMIO, addr, size, value);
}

static void unlock(void)
{
	write_reg(RELOAD, 2, 0x80);
	write_reg(RELOAD, 2, 0x86);
}

static void ping(void)
{
	unlock();
	write_reg(RELOAD, 2, 0x100);
}

/* As i6300esb.c: both timers to half of it, then on. */
static void linux_start(u32 seconds)
{
	point(0x60);
	out16(DATA, 0x0003);
	point(0x68);
	assert_int_equal(in8(DATA) & 1, 0);
	out8(DATA, 0);
	unlock();
	assert_int_equal(read_reg(RELOAD, 2) & 0x200, 0);
	unlock();
	write_reg(RELOAD, 2, 0x300);
	unlock();
	write_reg(BASE, 4, seconds << 9);
	unlock();
	write_reg(BASE + 4, 4, seconds << 9);
	ping();
	point(0x68);
	out8(DATA, 0x02);
	assert_int_equal(in8(DATA), 0x02);
}

static int start(u32 flags)
{
	machine_reset();
	fake_vm.flags = flags;
	reset_init();
	pcihost_init();
	watchdog_init();
	point(4);
	out16(DATA, 0x0002);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start(ABI_VM_WATCHDOG);
}

static int setup_nmi(void **state)
{
	(void)state;
	return start(ABI_VM_WATCHDOG | ABI_VM_WATCHDOG_NMI);
}

static int setup_none(void **state)
{
	(void)state;
	return start(0);
}

static void test_none(void **state)
{
	(void)state;
	point(0);
	assert_int_equal(in32(DATA), 0xffffffff);
	assert_int_equal(read_reg(BASE, 4), 0xffffffff);
	assert_null(iomap_find(IO_MMIO, BASE));
}

static void test_identity(void **state)
{
	(void)state;
	point(0);
	assert_int_equal(in32(DATA), 0x25ab8086);
	point(8);
	assert_int_equal(in32(DATA), 0x08800000);
	point(0x0c);
	assert_int_equal(in8(DATA + 2), 0);
	point(0x10);
	assert_int_equal(in32(DATA), BASE);
	out32(DATA, 0xffffffff); /* how large? */
	assert_int_equal(in32(DATA), 0xfffffff0);
	out32(DATA, BASE + 0x12340);
	assert_int_equal(in32(DATA), BASE + 0x12340);
	unlock(); /* nobody there any more */
	assert_int_equal(read_reg(BASE, 4), 0xffffffff);
	assert_int_equal(read_reg(BASE + 0x12340, 4), 0xfffff);
	assert_int_equal(read_reg(BASE + 0x12340 + 16, 4), 0xffffffff);
	point(4);
	out16(DATA, 0);
	assert_int_equal(read_reg(BASE + 0x12340, 4), 0xffffffff);
	point(0x14);
	out32(DATA, 0xffffffff);
	assert_int_equal(in32(DATA), 0);
	out32(ADDR, 0x80000000 | 1 << 11 | 1 << 8); /* one function */
	assert_int_equal(in32(DATA), 0xffffffff);
}

static void test_it_expires(void **state)
{
	u64 half = (30 * 512 + 1) * TICK, from = fake.tsc;

	(void)state;
	linux_start(30);
	run_to(from + half - TICK);
	assert_int_equal(read_reg(BASE + 8, 4), 0);
	run_to(from + half + TICK);
	assert_int_equal(read_reg(BASE + 8, 4), 1); /* the first stage */
	assert_int_equal(fake.stop_count, 0);
	run_to(from + 2 * half - TICK);
	assert_int_equal(fake.stop_count, 0);
	run_to(from + 2 * half + TICK);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_WATCHDOG);
	assert_in_range(2 * half, 30 * 1000000000ull, 31 * 1000000000ull);
}

static void test_it_is_kept_from_it(void **state)
{
	(void)state;
	linux_start(2);
	for (u32 i = 0; i < 100; i++) {
		run(1900000000);
		ping();
	}
	assert_int_equal(fake.stop_count, 0);
	/* off, and nothing wakes the VM any more */
	point(0x68);
	out8(DATA, 0);
	assert_int_equal(run(NS_PER_S * 1000), 0);
	assert_int_equal(fake.stop_count, 0);
	/* a ping of one that is off does not start it */
	ping();
	assert_int_equal(run(NS_PER_S * 1000), 0);
	/* locked: on for good */
	out8(DATA, 0x03);
	out8(DATA, 0);
	assert_int_equal(in8(DATA), 0x03);
	run(NS_PER_S * 3);
	assert_int_equal(fake.stop_count, 1);
}

/* Only the sequence opens the registers, for one write. */
static void test_unlocking(void **state)
{
	(void)state;
	write_reg(BASE, 4, 5);
	assert_int_equal(read_reg(BASE, 4), 0xfffff);
	write_reg(RELOAD, 2, 0x86);
	write_reg(RELOAD, 2, 0x80);
	write_reg(BASE, 4, 5);
	write_reg(RELOAD, 2, 0x80);
	write_reg(RELOAD, 2, 0x87);
	write_reg(RELOAD, 2, 0x86);
	write_reg(BASE, 4, 5);
	assert_int_equal(read_reg(BASE, 4), 0xfffff);
	/* it may begin anew, however far it was */
	write_reg(RELOAD, 2, 0x80);
	unlock();
	unlock();
	write_reg(BASE, 4, 0xfff12345);
	assert_int_equal(read_reg(BASE, 4), 0x12345);
	write_reg(BASE + 4, 4, 7);
	assert_int_equal(read_reg(BASE + 4, 4), 0xfffff);
	unlock();
	write_reg(BASE + 4, 4, 7);
	assert_int_equal(read_reg(BASE + 4, 4), 7);
	assert_int_equal(read_reg(BASE + 4, 1), 7);
	assert_int_equal(read_reg(BASE + 1, 1), 0x23);
}

/* Up to the longest that Linux sets: half of it for each of the two timers. */
static void test_long_times(void **state)
{
	static const u32 seconds[] = { 1099, 1100, 1200, 2046 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(seconds); i++) {
		start(ABI_VM_WATCHDOG);
		linux_start(seconds[i]);
		run(NS_PER_S * seconds[i]);
		assert_int_equal(fake.stop_count, 0);
		ping();
		run(NS_PER_S * (seconds[i] + seconds[i] / 40));
		assert_int_equal(fake.stop_count, 1);
	}
}

/* What the driver finds as it is loaded again, after an NMI: it clears it. */
static void test_the_end_is_forgotten(void **state)
{
	(void)state;
	linux_start(2);
	run(NS_PER_S * 3);
	assert_int_equal(fake.nmi_count, 1);
	assert_int_equal(read_reg(RELOAD, 2), 0x200);
	unlock();
	assert_int_equal(read_reg(RELOAD, 2), 0x200);
	unlock();
	write_reg(RELOAD, 2, 0x300);
	assert_int_equal(read_reg(RELOAD, 2), 0);
}

static void test_no_output(void **state)
{
	(void)state;
	linux_start(1);
	point(0x60);
	out16(DATA, 0x0023);
	run(NS_PER_S * 3);
	assert_int_equal(fake.stop_count, 0);
	assert_int_equal(read_reg(RELOAD, 2), 0x200); /* but it tells */
	unlock();
	write_reg(RELOAD, 2, 0x200);
	assert_int_equal(read_reg(RELOAD, 2), 0);
	/* by 2^5 clocks: a million ticks a second */
	out16(DATA, 0x0007);
	unlock();
	write_reg(RELOAD, 2, 0x100);
	run(2000000);
	assert_int_equal(fake.stop_count, 1);
}

static void test_nmi(void **state)
{
	(void)state;
	linux_start(1);
	run(NS_PER_S + NS_PER_S / 50);
	assert_int_equal(fake.nmi_count, 1);
	assert_int_equal(fake.stop_count, 0);
	run(NS_PER_S + NS_PER_S / 50); /* and again, while nobody cares */
	assert_int_equal(fake.nmi_count, 2);
}

/* A guest that makes it as short as it gets, and lets it run for ever. */
static void test_no_storm(void **state)
{
	(void)state;
	point(0x60);
	out16(DATA, 0x0004);
	unlock();
	write_reg(BASE, 4, 0);
	unlock();
	write_reg(BASE + 4, 4, 0);
	point(0x68);
	out8(DATA, 0x06);
	assert_in_range(run(NS_PER_S), 9000, 10000);
	assert_int_equal(fake.stop_count, 0);
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4, 8 };

	(void)state;
	srand(25);
	for (u32 i = 0; i < 300000; i++) {
		u32 size = sizes[rand() % 4];
		u64 addr = BASE + (u32)rand() % 24;

		switch (rand() % 5) {
		case 0:
			iomap_write(IO_MMIO, addr, size,
				    (u64)rand() << rand() % 33 & size_mask(size));
			break;
		case 1: iomap_read(IO_MMIO, addr, size); break;
		case 2:
			point((u32)rand());
			if (rand() % 8)
				out8(DATA + rand() % 4, (u32)rand());
			else
				in32(DATA);
			break;
		case 3: unlock(); break;
		case 4: run((u64)rand() << rand() % 8); break;
		}
	}
	point(0);
	assert_int_equal(in32(DATA), 0x25ab8086);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_none, setup_none),
		cmocka_unit_test_setup(test_identity, setup),
		cmocka_unit_test_setup(test_it_expires, setup),
		cmocka_unit_test_setup(test_it_is_kept_from_it, setup),
		cmocka_unit_test_setup(test_unlocking, setup),
		cmocka_unit_test_setup(test_long_times, setup),
		cmocka_unit_test_setup(test_the_end_is_forgotten, setup_nmi),
		cmocka_unit_test_setup(test_no_output, setup),
		cmocka_unit_test_setup(test_nmi, setup_nmi),
		cmocka_unit_test_setup(test_no_storm, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
