/*
 * ACPI tables made by hand, right and broken: nothing may be read beyond a
 * table's mapped bytes (each lives in its own heap block, so ASan sees it).
 */
// SOURCES: drivers/acpi.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/log.h"
#include "drivers/acpi.h"

static u32 complaints;

void log_write(enum log_level level, const char *fmt, ...)
{
	(void)fmt;
	if (level <= LOG_WARN)
		complaints++;
}

/* ---- a physical memory of blocks ---- */

#define MAX_BLOCKS 32

static struct block {
	hpa_t pa;
	u8 *p;
	u32 size;
} blocks[MAX_BLOCKS];
static u32 block_count;

static const void *map(hpa_t pa, size_t size)
{
	for (u32 i = 0; i < block_count; i++) {
		struct block *b = &blocks[i];

		if (pa >= b->pa && pa - b->pa + size <= b->size)
			return b->p + (pa - b->pa);
	}
	return NULL;
}

static u8 *add_block(hpa_t pa, const void *data, u32 size)
{
	struct block *b = &blocks[block_count++];

	assert_true(block_count <= MAX_BLOCKS);
	*b = (struct block){ pa, malloc(size), size };
	memcpy(b->p, data, size);
	return b->p;
}

static void fix_sum(u8 *p, u32 n, u32 at)
{
	u8 sum = 0;

	p[at] = 0;
	for (u32 i = 0; i < n; i++)
		sum = (u8)(sum + p[i]);
	p[at] = (u8)-sum;
}

static void put32(u8 *p, u32 v)
{
	memcpy(p, &v, 4);
}

static void put64(u8 *p, u64 v)
{
	memcpy(p, &v, 8);
}

/* A table whose body follows the 36-byte header. */
static u8 *add_table(hpa_t pa, const char *signature, const void *body, u32 size)
{
	u8 t[1024] = { 0 };

	memcpy(t, signature, 4);
	put32(t + 4, 36 + size);
	t[8] = 1;
	memcpy(t + 10, "TESTED", 6);
	memcpy(t + 36, body, size);
	fix_sum(t, 36 + size, 9);
	return add_block(pa, t, 36 + size);
}

#define RSDP 0xe0000
#define ROOT32 0x1000
#define ROOT64 0x2000
#define MADT 0x3000
#define FADT 0x4000
#define DSDT 0x5000
#define HPET 0x6000
#define SSDT 0x7000
#define MCFG 0x8000

static void add_rsdp(u8 revision)
{
	u8 t[36] = { 0 };

	memcpy(t, "RSD PTR ", 8);
	t[15] = revision;
	put32(t + 16, ROOT32);
	fix_sum(t, 20, 8);
	if (revision >= 2) {
		put32(t + 20, 36);
		put64(t + 24, ROOT64);
		fix_sum(t, 36, 32);
	}
	add_block(RSDP, t, revision >= 2 ? 36 : 20);
}

static const u32 all_tables[] = { MADT, FADT, HPET, SSDT, MCFG };

static void add_roots(void)
{
	u8 body[8 * 8];

	for (u32 i = 0; i < 5; i++)
		put32(body + i * 4, all_tables[i]);
	add_table(ROOT32, "RSDT", body, 20);
	for (u32 i = 0; i < 5; i++)
		put64(body + i * 8, all_tables[i]);
	add_table(ROOT64, "XSDT", body, 40);
}

static void add_madt(void)
{
	static const u8 body[] = {
		0x00, 0x00, 0xe0, 0xfe, 1,    0,    0,	  0, /* LAPIC address, PC-AT */
		0,    8,    0,	  0,	1,    0,    0,	  0, /* CPU, APIC 0 */
		0,    8,    1,	  2,	1,    0,    0,	  0, /* APIC 2 */
		0,    8,    2,	  4,	0,    0,    0,	  0, /* APIC 4: disabled */
		0,    8,    3,	  0xff, 1,    0,    0,	  0, /* no APIC */
		1,    12,   9,	  0,	0,    0,    0xc0, 0xfe, 0,    0, 0, 0,
		1,    12,   10,	  0,	0,    0,    0xc1, 0xfe, 24,   0, 0, 0,
		2,    10,   0,	  0,	2,    0,    0,	  0,	0,    0, /* IRQ 0 -> GSI 2 */
		2,    10,   0,	  9,	9,    0,    0,	  0,	0x0d, 0, /* IRQ 9: high, level */
		2,    10,   0,	  5,	20,   0,    0,	  0,	0x0f, 0, /* IRQ 5: low, level */
		2,    10,   0,	  99,	1,    0,    0,	  0,	0,    0, /* no such IRQ */
		4,    6,    0xff, 5,	0,    1, /* NMI: all, LINT1, high, edge */
		9,    16,   0,	  0,	0x34, 0x12, 0,	  0,	1,    0, 0, 0,
		7,    0,    0,	  0,	9,    16,   0,	  0,	2,    0, 0, 0,
		1,    0,    0,	  0,	1,    0,    0,	  0, /* APIC 2 again */
		10,   12,   5,	  0,	3,    0,    0,	  0,	0,    0, 0, 0,
		0x80, 4,    0xaa, 0xbb, /* unknown */
	};

	add_table(MADT, "APIC", body, sizeof(body));
}

static void fill_fadt(u8 body[208])
{
	memset(body, 0, 208);
	put32(body + 40 - 36, DSDT);
	put32(body + 48 - 36, 0xb2);
	body[52 - 36] = 2;
	put32(body + 64 - 36, 0x604);
	put32(body + 76 - 36, 0x608);
	body[91 - 36] = 4;
	put32(body + 112 - 36, 1u << 8 | 1u << 10);
	body[116 - 36] = 1; /* reset: port 0xcf9, 8 bits, value 15 */
	body[117 - 36] = 8;
	put64(body + 120 - 36, 0xcf9);
	body[128 - 36] = 15;
}

static void add_fadt(void)
{
	u8 body[208];

	fill_fadt(body);
	add_table(FADT, "FACP", body, sizeof(body));
}

static const u8 s5[] = { 0x08, '\\', '_',  'S',	 '5',  '_',  0x12,
			 0x06, 0x04, 0x0a, 0x05, 0x00, 0x00, 0x00 };

static void add_rest(void)
{
	static const u8 dsdt[] = { 0x10, 0x20, 'J',  'U',  'N',	 'K',  0x08, '_',  'S',	 '5', '_',
				   0x12, 0x0a, 0x04, 0x0a, 0x07, 0x0a, 0x06, 0x0a, 0x00, 0x00 };
	u8 hpet[20] = { 0 };
	u8 mcfg[24] = { 0 };

	put64(hpet + 44 - 36, 0xfed00000);
	add_table(HPET, "HPET", hpet, sizeof(hpet));
	add_table(DSDT, "DSDT", dsdt, sizeof(dsdt));
	add_table(SSDT, "SSDT", s5, sizeof(s5));
	add_table(MCFG, "MCFG", mcfg, sizeof(mcfg));
}

static int reset(void **state)
{
	(void)state;
	while (block_count)
		free(blocks[--block_count].p);
	complaints = 0;
	return 0;
}

static void check_constants(const struct acpi_info *a)
{
	assert_false(a->madt);
	assert_int_equal(a->cpu_count, 0);
	assert_int_equal(a->lapic_base, 0xfee00000);
	assert_int_equal(a->ioapic_count, 1);
	assert_int_equal(a->ioapic[0].base, 0xfec00000);
	assert_int_equal(a->isa[0].gsi, 2);
	assert_int_equal(a->isa[4].gsi, 4);
	assert_false(a->isa[4].level);
	assert_int_equal(a->pm1a_control, 0);
	assert_false(a->s5_known);
	assert_false(a->reset_supported);
}

static void test_no_tables(void **state)
{
	struct acpi_info a;

	(void)state;
	acpi_parse(0, map, &a);
	assert_false(a.present);
	check_constants(&a);
	acpi_parse(0x12345, map, &a); /* not mapped */
	check_constants(&a);
	assert_int_equal(complaints, 0);
}

static void check_all(const struct acpi_info *a)
{
	assert_true(a->present && a->madt && a->fadt);
	assert_string_equal(a->oem, "TESTED");
	assert_int_equal(a->cpu_count, 3);
	assert_int_equal(a->cpu_apic_id[0], 0);
	assert_int_equal(a->cpu_apic_id[1], 2);
	assert_int_equal(a->cpu_apic_id[2], 0x1234);
	assert_true(a->has_8259);
	assert_int_equal(a->ioapic_count, 2);
	assert_int_equal(a->ioapic[1].base, 0xfec10000);
	assert_int_equal(a->ioapic[1].gsi_base, 24);
	assert_int_equal(a->isa[0].gsi, 2);
	assert_true(a->isa[9].level && !a->isa[9].low);
	assert_int_equal(a->isa[5].gsi, 20);
	assert_true(a->isa[5].level && a->isa[5].low);
	assert_int_equal(a->nmi_count, 2);
	assert_int_equal(a->nmi[0].cpu_uid, ~0u);
	assert_int_equal(a->nmi[0].lint, 1);
	assert_int_equal(a->nmi[1].cpu_uid, 3);
	assert_int_equal(a->hpet, 0xfed00000);
	assert_int_equal(a->mcfg, MCFG);
	assert_int_equal(a->pm1a_control, 0x604);
	assert_int_equal(a->pm_timer_port, 0x608);
	assert_true(a->pm_timer_32bit);
	assert_int_equal(a->smi_command, 0xb2);
	assert_true(a->reset_supported);
	assert_int_equal(a->reset.addr, 0xcf9);
	assert_int_equal(a->reset_value, 15);
	assert_true(a->s5_known); /* the DSDT's, not the SSDT's */
	assert_int_equal(a->s5_typa, 7);
	assert_int_equal(a->s5_typb, 6);
	assert_int_equal(complaints, 0);
}

static void test_xsdt(void **state)
{
	struct acpi_info a;

	(void)state;
	add_rsdp(2), add_roots(), add_madt(), add_fadt(), add_rest();
	acpi_parse(RSDP, map, &a);
	check_all(&a);
}

static void test_rsdt(void **state)
{
	struct acpi_info a;

	(void)state;
	add_rsdp(0), add_roots(), add_madt(), add_fadt(), add_rest();
	acpi_parse(RSDP, map, &a);
	check_all(&a);
}

static void test_broken_xsdt_falls_back(void **state)
{
	struct acpi_info a;

	(void)state;
	add_rsdp(2), add_roots(), add_madt(), add_fadt(), add_rest();
	((u8 *)map(ROOT64, 36))[20] ^= 1;
	acpi_parse(RSDP, map, &a);
	assert_true(a.present && a.madt);
	assert_int_equal(complaints, 1);
}

static void test_broken_rsdp(void **state)
{
	struct acpi_info a;

	(void)state;
	add_rsdp(2), add_roots(), add_madt();
	((u8 *)map(RSDP, 20))[16] ^= 1;
	acpi_parse(RSDP, map, &a);
	assert_false(a.present);
	check_constants(&a);
	assert_int_equal(complaints, 1);
}

static void test_broken_madt(void **state)
{
	static const u8 cut[] = { 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1 };
	static const u8 zero_length[] = { 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const u8 small_entries[] = { 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0, 2,	 1,
					    2, 2, 2,	4,    2, 5, 2, 9, 2, 10, 2 };
	struct acpi_info a;

	(void)state;
	add_rsdp(0), add_roots();
	add_table(MADT, "APIC", cut, sizeof(cut));
	acpi_parse(RSDP, map, &a);
	assert_int_equal(a.cpu_count, 1);
	assert_int_equal(a.ioapic_count, 1); /* the PC's */
	assert_int_equal(complaints, 1);

	blocks[block_count - 1].pa = 0;
	add_table(MADT, "APIC", zero_length, sizeof(zero_length));
	acpi_parse(RSDP, map, &a);
	assert_int_equal(a.cpu_count, 0);

	blocks[block_count - 1].pa = 0;
	add_table(MADT, "APIC", small_entries, sizeof(small_entries));
	acpi_parse(RSDP, map, &a);
	assert_int_equal(a.cpu_count, 0);
	assert_int_equal(a.nmi_count, 0);

	blocks[block_count - 1].pa = 0;
	add_table(MADT, "APIC", cut, 4); /* too short for its own header */
	acpi_parse(RSDP, map, &a);
	assert_false(a.madt);
}

static void test_impossible_lengths(void **state)
{
	static const u32 lengths[] = { 0, 35, 0x7fffffff, 0xffffffff, 37, 2000 };
	struct acpi_info a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		reset(NULL);
		add_rsdp(0), add_roots(), add_madt(), add_fadt(), add_rest();
		put32((u8 *)map(MADT, 8) + 4, lengths[i]);
		put32((u8 *)map(DSDT, 8) + 4, lengths[i]);
		acpi_parse(RSDP, map, &a);
		assert_true(a.present && a.fadt);
		assert_false(a.madt);
		assert_int_equal(a.s5_typa, 5); /* the SSDT's */
	}
	/* the root's own */
	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		reset(NULL);
		add_rsdp(0), add_roots(), add_madt();
		put32((u8 *)map(ROOT32, 8) + 4, lengths[i]);
		acpi_parse(RSDP, map, &a);
		assert_false(a.present);
		check_constants(&a);
	}
}

static void test_fadt_versions(void **state)
{
	u8 body[208];
	struct acpi_info a;

	(void)state;
	add_rsdp(0), add_roots(), add_rest();
	/* ACPI 1.0: 116 bytes, no reset register */
	fill_fadt(body);
	add_table(FADT, "FACP", body, 116 - 36);
	acpi_parse(RSDP, map, &a);
	assert_true(a.fadt && a.s5_known);
	assert_false(a.reset_supported);
	assert_int_equal(a.pm1a_control, 0x604);

	/* extended addresses win; those in memory are not for us */
	blocks[block_count - 1].pa = 0;
	body[172 - 36] = 1;
	put64(body + 176 - 36, 0x1804);
	body[208 - 36] = 0;
	put64(body + 212 - 36, 0xfed10000);
	put64(body + 140 - 36, DSDT);
	add_table(FADT, "FACP", body, sizeof(body));
	acpi_parse(RSDP, map, &a);
	assert_int_equal(a.pm1a_control, 0x1804);
	assert_int_equal(a.pm_timer_port, 0);
	assert_true(a.s5_known);

	/* a port that is none */
	blocks[block_count - 1].pa = 0;
	fill_fadt(body);
	put32(body + 64 - 36, 0x12345678);
	add_table(FADT, "FACP", body, sizeof(body));
	acpi_parse(RSDP, map, &a);
	assert_int_equal(a.pm1a_control, 0);
}

/* The pattern cut off after each of its bytes, at the table's very end. */
static void test_s5_cut(void **state)
{
	struct acpi_info a;

	(void)state;
	for (u32 n = 1; n <= sizeof(s5); n++) {
		reset(NULL);
		add_rsdp(0), add_roots(), add_fadt();
		add_table(DSDT, "DSDT", s5, n);
		acpi_parse(RSDP, map, &a);
		if (n < 11)
			assert_false(a.s5_known);
		if (a.s5_known)
			assert_int_equal(a.s5_typa, 5);
	}
	assert_true(a.s5_known);
	assert_int_equal(a.s5_typb, 0);
}

/* Each byte of each table wrong in turn, its checksum made right again. */
static void test_every_byte(void **state)
{
	struct acpi_info a;

	(void)state;
	for (u32 seed = 0; seed < 4; seed++) {
		for (u32 b = 0;; b++) {
			u32 size;

			reset(NULL);
			add_rsdp(2), add_roots(), add_madt(), add_fadt(), add_rest();
			if (b == block_count)
				break;
			size = blocks[b].size;
			for (u32 i = 0; i < size; i++) {
				u8 old = blocks[b].p[i];

				blocks[b].p[i] = (u8)(old * 7 + seed * 85 + 1);
				if (b > 0 && i != 9)
					fix_sum(blocks[b].p, size, 9);
				acpi_parse(RSDP, map, &a);
				assert_true(a.cpu_count <= ACPI_MAX_CPUS);
				assert_true(a.ioapic_count >= 1);
				blocks[b].p[i] = old;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_tables, reset, reset),
		cmocka_unit_test_setup_teardown(test_xsdt, reset, reset),
		cmocka_unit_test_setup_teardown(test_rsdt, reset, reset),
		cmocka_unit_test_setup_teardown(test_broken_xsdt_falls_back, reset, reset),
		cmocka_unit_test_setup_teardown(test_broken_rsdp, reset, reset),
		cmocka_unit_test_setup_teardown(test_broken_madt, reset, reset),
		cmocka_unit_test_setup_teardown(test_impossible_lengths, reset, reset),
		cmocka_unit_test_setup_teardown(test_fadt_versions, reset, reset),
		cmocka_unit_test_setup_teardown(test_s5_cut, reset, reset),
		cmocka_unit_test_setup_teardown(test_every_byte, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
