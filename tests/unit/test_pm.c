/*
 * ACPI fixed hardware: PM timer, its carry, the power button, SCI, sleeping.
 */
// SOURCES: vmm/pm.c vmm/pic.c vmm/irq.c vmm/ioapic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/ioapic.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/pic.h"
#include "vmm/pm.h"

#define STS BOARD_PM1_EVT
#define EN (BOARD_PM1_EVT + 2)
#define CNT BOARD_PM1_CNT
#define TMR BOARD_PM_TMR
#define SCI (fake.extint)

static int setup(void **state)
{
	(void)state;
	machine_reset();
	irq_init();
	pic_init();
	ioapic_init();
	out8(0x21, 0xfb);
	out8(0xa1, 0xfd);
	pm_init();
	return 0;
}

static void test_timer(void **state)
{
	(void)state;
	assert_int_equal(in32(TMR), 0);
	run_to(NS_PER_S);
	assert_int_equal(in32(TMR), BOARD_PM_TMR_HZ);
	assert_int_equal(in8(TMR + 1), BOARD_PM_TMR_HZ >> 8 & 0xff);
	assert_int_equal(in16(TMR + 2), BOARD_PM_TMR_HZ >> 16);
	run_to(NS_PER_S * 1200);
	assert_int_equal(in32(TMR), (u32)(BOARD_PM_TMR_HZ * 1200ull)); /* wraps at 32 bits */
	out32(TMR, 0);
	assert_int_equal(in32(TMR), (u32)(BOARD_PM_TMR_HZ * 1200ull));
}

static void test_carry(void **state)
{
	u64 half = ticks_to_ns(1ull << 31, BOARD_PM_TMR_HZ);

	(void)state;
	assert_int_equal(run_to(half - 1), 0);
	assert_int_equal(in16(STS), 0);
	run(1);
	assert_int_equal(in16(STS), 1);
	out16(STS, 1);
	assert_int_equal(in16(STS), 0);
	/* enabled: an SCI at the next change of the top bit, either way */
	out16(EN, 1);
	assert_int_equal(run_to(2 * half - 2), 0);
	assert_false(SCI);
	assert_int_equal(run_to(2 * half), 1);
	assert_true(SCI);
	assert_int_equal(run(10 * half), 0); /* once, until it is cleared */
	out16(STS, 1);
	assert_false(SCI);
	out16(EN, 0);
	assert_int_equal(run(10 * half), 0);
}

static void test_power_button(void **state)
{
	(void)state;
	assert_false(pm_power_button()); /* nobody listens */
	assert_false(SCI);
	assert_int_equal(in16(STS), 0x100);
	out8(EN + 1, 0x01);
	assert_true(SCI);
	assert_true(pm_power_button());
	out16(STS, 0x00ff); /* other bits */
	assert_true(SCI);
	out8(STS + 1, 0x01);
	assert_false(SCI);
	assert_int_equal(in32(STS), 0x01000000);
	out16(EN, 0xffff);
	assert_int_equal(in16(EN), 0x0721);
}

static void test_control(void **state)
{
	(void)state;
	assert_int_equal(in16(CNT), 1);
	out16(CNT, 0);
	assert_int_equal(in16(CNT), 1); /* always in ACPI mode */
	out16(CNT, 0x1402);
	assert_int_equal(in16(CNT), 0x1403);
	assert_int_equal(fake.stop_count, 0);
	out16(CNT, 1 << 10 | 0x2000); /* S1, if it were there: awake again */
	assert_int_equal(fake.stop_count, 0);
	assert_int_equal(in16(STS), 0x8000);
	assert_int_equal(in16(CNT), 1 << 10 | 1); /* SLP_EN reads 0 */
	out16(CNT, BOARD_SLP_TYP_S5 << 10 | 0x2000);
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_POWEROFF);
	out8(CNT + 1, (BOARD_SLP_TYP_S5 << 10 | 0x2000) >> 8);
	assert_int_equal(fake.stop_count, 2);
}

static void test_gpe(void **state)
{
	(void)state;
	assert_int_equal(in32(BOARD_GPE0), 0);
	out32(BOARD_GPE0, 0xffffffff);
	assert_int_equal(in32(BOARD_GPE0), 0xffff0000);
	assert_false(SCI);
	assert_int_equal(in32(BOARD_PM + 0x10), 0);
}

static void test_hostile(void **state)
{
	static const u8 sizes[] = { 1, 2, 4 };

	(void)state;
	srand(8);
	for (u32 i = 0; i < 200000; i++) {
		u32 port = BOARD_PM + (u32)rand() % BOARD_PM_SIZE, size = sizes[rand() % 3];

		switch (rand() % 4) {
		case 0:
		case 1: iomap_write(IO_PORT, port, size, (u32)rand() & size_mask(size)); break;
		case 2: iomap_read(IO_PORT, port, size); break;
		case 3: run((u64)rand() << rand() % 12); break;
		}
		if (!(i % 100))
			pm_power_button();
	}
	assert_int_equal(in16(CNT) & 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_timer, setup),
		cmocka_unit_test_setup(test_carry, setup),
		cmocka_unit_test_setup(test_power_button, setup),
		cmocka_unit_test_setup(test_control, setup),
		cmocka_unit_test_setup(test_gpe, setup),
		cmocka_unit_test_setup(test_hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
