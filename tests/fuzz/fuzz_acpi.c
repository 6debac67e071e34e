/*
 * Firmware's ACPI tables: up to ten tables of any kind at addresses that point
 * to each other, with right checksums mostly, bodies from the input. No byte is
 * read that was not mapped (each table has a heap block of its own), and what
 * comes out is within its bounds.
 */
// SOURCES: drivers/acpi.c
// RUNS: 60000
// MAX_LEN: 600
#include "fuzz.h"

#include "arch/log.h"
#include "drivers/acpi.h"

#define TABLES 10
#define RSDP 0xe0000u
#define TABLE_AT(i) (0x1000u * ((i) + 1))

static struct {
	hpa_t at;
	u8 *bytes;
	size_t size;
} blocks[TABLES + 1];
static u32 block_count;

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[256];
	va_list args;

	(void)level;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args); /* reads what it is given */
	va_end(args);
}

static const void *map(hpa_t pa, size_t size)
{
	FUZZ_CHECK(size > 0);
	for (u32 i = 0; i < block_count; i++)
		if (pa >= blocks[i].at && pa - blocks[i].at <= blocks[i].size &&
		    size <= blocks[i].size - (pa - blocks[i].at))
			return blocks[i].bytes + (pa - blocks[i].at);
	return NULL;
}

static u8 *add(hpa_t at, const u8 *from, size_t size)
{
	u8 *p = malloc(size ? size : 1);

	memcpy(p, from, size);
	blocks[block_count].at = at;
	blocks[block_count].bytes = p;
	blocks[block_count++].size = size;
	return p;
}

static void fix_sum(u8 *p, size_t n, size_t at)
{
	u8 sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < n; i++)
		sum = (u8)(sum + p[i]);
	p[at] = (u8)-sum;
}

static void add_table(struct fuzz_in *in, u32 i)
{
	static const char names[][5] = { "XSDT", "RSDT", "APIC", "FACP", "HPET",
					 "MCFG", "SSDT", "DSDT", "ABCD" };
	u8 body[300] = { 0 }, what = fuzz_u8(in);
	u32 length = fuzz_u8(in), told;
	const char *name = names[i == 0 ? 0 : i == 1 ? 1 : what % ARRAY_SIZE(names)];
	u8 *p;

	if (i < 2 && !(what & 0x40)) { /* a root that names all the others */
		u32 width = i ? 4 : 8;

		length = 36 + width * (TABLES - 2);
		for (u32 k = 2; k < TABLES; k++) {
			u64 at = TABLE_AT(k);

			memcpy(body + 36 + width * (k - 2), &at, width);
		}
	} else {
		length = MIN(36 + length, (u32)sizeof(body));
		fuzz_bytes(in, body + 36, length - 36);
		if (strcmp(name, "FACP") == 0 && length >= 44) {
			u32 dsdt = TABLE_AT(9);

			memcpy(body + 40, &dsdt, 4);
		}
	}
	memcpy(body, name, 4);
	told = what & 0x80 ? fuzz_u32(in) : length;
	memcpy(body + 4, &told, 4);
	p = add(TABLE_AT(i), body, length);
	if (!(what & 0x20) && length >= 36)
		fix_sum(p, length, 9);
}

static void add_rsdp(struct fuzz_in *in)
{
	u8 t[36] = "RSD PTR ", what = fuzz_u8(in);
	u32 root = TABLE_AT(1);
	u64 xsdt = what & 8 ? fuzz_u64(in) : TABLE_AT(0);
	u8 *p;

	t[15] = what & 3;
	memcpy(t + 16, &root, 4);
	memcpy(t + 24, &xsdt, 8);
	p = add(RSDP, t, what & 4 ? fuzz_below(in, 37) : 36);
	if (blocks[block_count - 1].size >= 20 && !(what & 16))
		fix_sum(p, 20, 8);
	if (blocks[block_count - 1].size >= 36 && !(what & 32))
		fix_sum(p, 36, 32);
}

static void check(const struct acpi_info *out)
{
	FUZZ_CHECK(out->cpu_count <= ACPI_MAX_CPUS && out->nmi_count <= ACPI_MAX_NMIS);
	FUZZ_CHECK(out->ioapic_count >= 1 && out->ioapic_count <= ACPI_MAX_IOAPICS);
	for (u32 i = 0; i < out->cpu_count; i++)
		for (u32 k = 0; k < i; k++)
			FUZZ_CHECK(out->cpu_apic_id[i] != out->cpu_apic_id[k]);
	for (u32 i = 0; i < out->ioapic_count; i++)
		FUZZ_CHECK(out->ioapic[i].base);
	FUZZ_CHECK(out->pm_timer_port <= 0xffff && out->pm1a_control <= 0xffff);
	FUZZ_CHECK(out->pm1b_control <= 0xffff && out->smi_command <= 0xffff);
	FUZZ_CHECK(out->s5_typa < 8 && out->s5_typb < 8);
	FUZZ_CHECK(out->oem[6] == '\0');
	for (u32 irq = 0; irq < 16; irq++)
		if (out->isa[irq].gsi != (irq ? irq : 2))
			FUZZ_CHECK(out->madt);
	if (out->reset_supported)
		FUZZ_CHECK(out->fadt && out->reset.addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	static struct acpi_info out;
	u32 tables = 2 + fuzz_below(&in, TABLES - 1);

	block_count = 0;
	add_rsdp(&in);
	for (u32 i = 0; i < tables; i++)
		add_table(&in, i);
	acpi_parse(RSDP, map, &out);
	check(&out);
	for (u32 i = 0; i < block_count; i++)
		free(blocks[i].bytes);
	return 0;
}
