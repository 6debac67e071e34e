/*
 * The guest's ACPI tables: every one is found by following pointers from the
 * RSDP as a guest does, and checked; the DSDT is walked by package lengths;
 * and where acpica-tools is installed, its disassembler must accept them all.
 */
// SOURCES: vmm/acpi_tables.c vmm/acpi_dsdt.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys_fake.h"
#include "vmm/acpi_dsdt.h"
#include "vmm/acpi_tables.h"
#include "vmm/board.h"
#include "vmm/vm.h"

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

static u8 sum(const u8 *p, u32 n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

/* The table at gpa, which must bear this signature and be whole. */
static const u8 *table(u64 gpa, const char *signature)
{
	const u8 *t = guest_ptr(gpa, 36);

	assert_non_null(t);
	assert_int_equal(gpa % 16, 0);
	assert_memory_equal(t, signature, 4);
	assert_true(gpa >= BOARD_ACPI && gpa + get32(t + 4) <= BOARD_ACPI_END);
	assert_int_equal(sum(t, get32(t + 4)), 0);
	return t;
}

static const u8 *rsdp_of(u32 vcpus)
{
	const u8 *r;

	sys_fake_reset(MIB(4), 0);
	fake_vm.vcpus = vcpus;
	assert_int_equal(acpi_build(), BOARD_RSDP);
	r = guest_ptr(BOARD_RSDP, 36);
	assert_memory_equal(r, "RSD PTR ", 8);
	return r;
}

/* The table with this signature, by RSDP and XSDT. */
static const u8 *find(const char *signature)
{
	const u8 *xsdt = table(get64(guest_ptr(BOARD_RSDP, 36) + 24), "XSDT");

	for (u32 at = 36; at < get32(xsdt + 4); at += 8)
		if (memcmp(guest_ptr(get64(xsdt + at), 4), signature, 4) == 0)
			return table(get64(xsdt + at), signature);
	fail_msg("no %s", signature);
	return NULL;
}

static void test_roots(void **state)
{
	const u8 *r = rsdp_of(1), *rsdt, *xsdt;

	(void)state;
	assert_int_equal(r[15], 2);
	assert_int_equal(get32(r + 20), 36);
	assert_int_equal(sum(r, 20), 0);
	assert_int_equal(sum(r, 36), 0);
	rsdt = table(get32(r + 16), "RSDT");
	xsdt = table(get64(r + 24), "XSDT");
	assert_int_equal((get32(rsdt + 4) - 36) / 4, (get32(xsdt + 4) - 36) / 8);
	for (u32 i = 0; i < (get32(rsdt + 4) - 36) / 4; i++)
		assert_int_equal(get32(rsdt + 36 + 4 * i), get64(xsdt + 36 + 8 * i));
	assert_int_equal(BOARD_RSDP % 16, 0); /* or no scan finds it */
}

static void test_fadt(void **state)
{
	const u8 *f, *facs;

	(void)state;
	rsdp_of(1);
	f = find("FACP");
	assert_int_equal(get32(f + 4), 276);
	facs = guest_ptr(get32(f + 36), 64);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(get32(facs + 4), 64);
	assert_int_equal(get32(f + 36) % 64, 0);
	assert_int_equal(get32(f + 40), get64(f + 140));
	table(get64(f + 140), "DSDT");
	assert_int_equal(f[46] | f[47] << 8, BOARD_IRQ_SCI);
	assert_int_equal(get32(f + 48), 0); /* no SMI_CMD */
	assert_int_equal(get32(f + 56), BOARD_PM1_EVT);
	assert_int_equal(get32(f + 64), BOARD_PM1_CNT);
	assert_int_equal(get32(f + 76), BOARD_PM_TMR);
	assert_int_equal(get32(f + 80), BOARD_GPE0);
	assert_int_equal(f[88], 4);
	assert_int_equal(f[89], 2);
	assert_int_equal(f[91], 4);
	assert_int_equal(f[108], BOARD_RTC_CENTURY);
	assert_int_equal(get32(f + 112) & (1u << 20), 0); /* not hardware-reduced */
	assert_int_equal(get32(f + 112) & (1u << 10), 1u << 10);
	assert_int_equal(f[116], 1);
	assert_int_equal(get64(f + 120), BOARD_RESET);
	assert_int_equal(f[128], BOARD_RESET_VALUE);
	assert_int_equal(get64(f + 152), BOARD_PM1_EVT);
	assert_int_equal(get64(f + 176), BOARD_PM1_CNT);
	assert_int_equal(get64(f + 212), BOARD_PM_TMR);
	assert_int_equal(get64(f + 224), BOARD_GPE0);
}

static void check_madt(u32 vcpus)
{
	u32 lapics = 0, ioapics = 0, overrides = 0, nmis = 0, at;
	const u8 *m;

	rsdp_of(vcpus);
	m = find("APIC");
	assert_int_equal(get32(m + 36), BOARD_LAPIC);
	assert_int_equal(get32(m + 40), 1);
	for (at = 44; at < get32(m + 4); at += m[at + 1]) {
		const u8 *e = m + at;

		switch (e[0]) {
		case 0:
			assert_int_equal(e[1], 8);
			assert_int_equal(e[3], lapics++);
			assert_int_equal(get32(e + 4), 1);
			break;
		case 1:
			assert_int_equal(e[1], 12);
			assert_int_equal(get32(e + 4), BOARD_IOAPIC);
			assert_int_equal(get32(e + 8), 0);
			ioapics++;
			break;
		case 2:
			assert_int_equal(e[1], 10);
			if (e[3] == 0)
				assert_int_equal(get32(e + 4), 2);
			else
				assert_int_equal(get32(e + 4), BOARD_IRQ_SCI);
			overrides++;
			break;
		case 4:
			assert_int_equal(e[1], 6);
			assert_int_equal(e[5], 1);
			nmis++;
			break;
		default: fail_msg("type %u at %u", e[0], at);
		}
		assert_true(e[1] > 0);
	}
	assert_int_equal(at, get32(m + 4));
	assert_int_equal(lapics, vcpus);
	assert_int_equal(ioapics, 1);
	assert_int_equal(overrides, 2);
	assert_int_equal(nmis, 1);
}

static void test_madt(void **state)
{
	(void)state;
	check_madt(1);
	check_madt(2);
	check_madt(ABI_MAX_VCPUS);
}

static void test_refused(void **state)
{
	(void)state;
	sys_fake_reset(MIB(4), 0);
	fake_vm.vcpus = ABI_MAX_VCPUS + 1;
	assert_int_equal(acpi_build(), 0);
	fake_vm.vcpus = 0;
	assert_int_equal(acpi_build(), 0);
	sys_fake_reset(0x80000, 0);
	assert_int_equal(acpi_build(), 0);
}

/* Only reserved memory was written. */
static void test_stays_in_hole(void **state)
{
	const u8 *ram;

	(void)state;
	rsdp_of(ABI_MAX_VCPUS);
	ram = guest_ptr(0, MIB(4));
	for (u32 i = 0; i < MIB(4); i++)
		if (i < BOARD_HOLE || i >= BOARD_HOLE_END)
			assert_int_equal(ram[i], 0);
}

/* No buffer is too small to be refused without being overrun (ASan looks). */
static void test_dsdt_bounds(void **state)
{
	static u8 whole[65536];
	u32 length = dsdt_build(whole, sizeof(whole));

	(void)state;
	assert_true(length > 100);
	for (u32 cap = 0; cap <= length; cap++) {
		u8 *buf = malloc(cap ? cap : 1);

		assert_int_equal(dsdt_build(buf, cap), cap == length ? length : 0);
		if (cap == length)
			assert_memory_equal(buf, whole, length);
		free(buf);
	}
}

static u32 package_length(const u8 *p)
{
	assert_int_equal(p[0] >> 6, 2);
	return (u32)(p[0] & 0xf) | (u32)p[1] << 4 | (u32)p[2] << 12;
}

/* The outermost objects end where the table ends; \_S5 says what the PM
 * device powers off at. */
static void test_dsdt_shape(void **state)
{
	static u8 buf[65536];
	u32 length = dsdt_build(buf, sizeof(buf)), at = 0;

	(void)state;
	assert_memory_equal(buf, "\x08\\_S5_\x12", 7);
	assert_int_equal(buf[10], 4);
	assert_int_equal(buf[12], BOARD_SLP_TYP_S5);
	at = 7 + package_length(buf + 7);
	assert_int_equal(buf[at], 0x10);
	at += 1 + package_length(buf + at + 1);
	assert_int_equal(at, length);
}

static void save(const char *dir, const char *name, const u8 *t)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(t, 1, get32(t + 4), f), get32(t + 4));
	fclose(f);
}

/* ACPICA, whose interpreter most systems carry, disassembles everything
 * without complaint, and compiles the DSDT's text again without an error. */
static void test_iasl(void **state)
{
	char dir[] = "/tmp/bulkhead-acpi-XXXXXX", command[512];
	const u8 *fadt;

	(void)state;
	if (system("command -v iasl >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	rsdp_of(2);
	fadt = find("FACP");
	save(dir, "facp", fadt);
	save(dir, "apic", find("APIC"));
	save(dir, "xsdt", table(get64(guest_ptr(BOARD_RSDP, 36) + 24), "XSDT"));
	save(dir, "rsdt", table(get32(guest_ptr(BOARD_RSDP, 36) + 16), "RSDT"));
	save(dir, "facs", guest_ptr(get32(fadt + 36), 64));
	save(dir, "dsdt", table(get64(fadt + 140), "DSDT"));
	snprintf(command, sizeof(command),
		 "cd %s && for f in *.dat; do iasl -d $f || exit 1; done >out 2>&1 && "
		 "! grep -iE 'error|warning|invalid|unknown' out *.dsl && "
		 "iasl -we -p again dsdt.dsl >out2 2>&1",
		 dir);
	if (system(command) != 0) {
		snprintf(command, sizeof(command), "cat %s/out %s/out2", dir, dir);
		if (system(command) != 0)
			print_message("no output of iasl\n");
		fail_msg("iasl rejects a table; see %s", dir);
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots),	      cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_madt),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_stays_in_hole), cmocka_unit_test(test_dsdt_bounds),
		cmocka_unit_test(test_dsdt_shape),    cmocka_unit_test(test_iasl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
