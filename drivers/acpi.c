/*
 * ACPI tables (ACPI 6.5 chapter 5, IA-PC HPET 3.2.4): RSDP, RSDT or XSDT,
 * MADT, FADT, HPET, MCFG, and of the DSDT and SSDTs only the \_S5 package. All
 * of it is untrusted: no byte is read beyond a length that was mapped and
 * checked. Pure but for the log and the caller's map function.
 */
#include "drivers/acpi.h"
#include "arch/log.h"
#include "kernel/string.h"

#define TABLE_MAX MIB(4)
#define TABLES_MAX 256u

#define RSDP_V1_SIZE 20u
#define RSDP_V2_SIZE 36u

/* The header of every table but the RSDP. */
#define HEADER_SIZE 36u
#define HEADER_LENGTH 4
#define HEADER_OEM 10

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDR = 5,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
};

struct table {
	const u8 *p;
	u32 size;
};

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	return (u32)get16(p) | (u32)get16(p + 2) << 16;
}

static u64 get64(const u8 *p)
{
	return (u64)get32(p) | (u64)get32(p + 4) << 32;
}

static bool sum_ok(const u8 *p, u32 n)
{
	u8 sum = 0;

	while (n--)
		sum = (u8)(sum + *p++);
	return sum == 0;
}

/* A whole table with a right checksum; log names what is wrong with it. */
static bool get_table(acpi_map_fn *map, hpa_t pa, struct table *t)
{
	const u8 *p = pa ? map(pa, HEADER_SIZE) : NULL;
	u32 size;

	if (!p)
		return false;
	size = get32(p + HEADER_LENGTH);
	if (size < HEADER_SIZE || size > TABLE_MAX) {
		log_warn("ACPI: the table at %#llx has an impossible length, %u",
			 (unsigned long long)pa, size);
		return false;
	}
	p = map(pa, size);
	if (!p)
		return false;
	if (!sum_ok(p, size)) {
		log_warn("ACPI: the checksum of %.4s at %#llx is wrong", (const char *)p,
			 (unsigned long long)pa);
		return false;
	}
	*t = (struct table){ p, size };
	return true;
}

static bool is_table(const struct table *t, const char *signature)
{
	return memcmp(t->p, signature, 4) == 0;
}

static void add_cpu(struct acpi_info *out, u32 id, u32 flags)
{
	if (!(flags & 1)) /* enabled; "online capable" ones are not there yet */
		return;
	for (u32 i = 0; i < out->cpu_count; i++) {
		if (out->cpu_apic_id[i] == id)
			return; /* some machines list a CPU as APIC and x2APIC both */
	}
	if (out->cpu_count < ACPI_MAX_CPUS)
		out->cpu_apic_id[out->cpu_count++] = id;
}

static void add_override(struct acpi_info *out, const u8 *e)
{
	u16 flags = get16(e + 8);
	struct acpi_irq *irq;

	if (e[2] != 0 || e[3] > 15)
		return;
	irq = &out->isa[e[3]];
	irq->gsi = get32(e + 4);
	/* polarity: 0 as the bus (ISA: high), 1 high, 3 low; trigger the same */
	irq->low = (flags & 3) == 3;
	irq->level = (flags >> 2 & 3) == 3;
}

static void add_nmi(struct acpi_info *out, u32 uid, u16 flags, u8 lint)
{
	if (lint > 1 || out->nmi_count == ACPI_MAX_NMIS)
		return;
	out->nmi[out->nmi_count++] = (struct acpi_nmi){
		.cpu_uid = uid,
		.lint = lint,
		.low = (flags & 3) == 3,
		.level = (flags >> 2 & 3) == 3,
	};
}

static void madt_entry(const u8 *e, u32 size, struct acpi_info *out)
{
	switch (e[0]) {
	case MADT_LAPIC:
		if (size >= 8 && e[3] != 0xff)
			add_cpu(out, e[3], get32(e + 4));
		break;
	case MADT_IOAPIC:
		if (size >= 12 && get32(e + 4) && out->ioapic_count < ACPI_MAX_IOAPICS)
			out->ioapic[out->ioapic_count++] = (struct acpi_ioapic){
				.id = e[2], .base = get32(e + 4), .gsi_base = get32(e + 8)
			};
		break;
	case MADT_OVERRIDE:
		if (size >= 10)
			add_override(out, e);
		break;
	case MADT_LAPIC_NMI:
		if (size >= 6)
			add_nmi(out, e[2] == 0xff ? ~0u : e[2], get16(e + 3), e[5]);
		break;
	case MADT_LAPIC_ADDR:
		if (size >= 12)
			out->lapic_base = get64(e + 4);
		break;
	case MADT_X2APIC:
		if (size >= 16 && get32(e + 4) != ~0u)
			add_cpu(out, get32(e + 4), get32(e + 8));
		break;
	case MADT_X2APIC_NMI:
		if (size >= 9)
			add_nmi(out, get32(e + 4), get16(e + 2), e[8]);
		break;
	default: break;
	}
}

static void parse_madt(const struct table *t, struct acpi_info *out)
{
	u32 at = 44;

	if (t->size < at || out->madt)
		return;
	out->madt = true;
	out->ioapic_count = 0; /* the MADT knows better than the PC's constants */
	out->lapic_base = get32(t->p + 36);
	out->has_8259 = get32(t->p + 40) & 1;
	while (t->size - at >= 2) {
		u32 size = t->p[at + 1];

		if (size < 2 || size > t->size - at) {
			log_warn("ACPI: the MADT is cut short at byte %u", at);
			break;
		}
		madt_entry(t->p + at, size, out);
		at += size;
	}
}

static struct acpi_gas get_gas(const u8 *p)
{
	return (struct acpi_gas){ .space = p[0], .width = p[1], .addr = get64(p + 4) };
}

/* A port from a 32-bit field, or from the extended address when there is one. */
static u32 get_port(const struct table *t, u32 old, u32 extended)
{
	if (t->size >= extended + 12) {
		struct acpi_gas gas = get_gas(t->p + extended);

		if (gas.addr)
			return gas.space == 1 && gas.addr <= 0xffff ? (u32)gas.addr : 0;
	}
	return get32(t->p + old) <= 0xffff ? get32(t->p + old) : 0;
}

static void parse_fadt(const struct table *t, struct acpi_info *out, hpa_t *dsdt)
{
	u32 flags;

	if (t->size < 116 || out->fadt)
		return;
	out->fadt = true;
	flags = get32(t->p + 112);
	*dsdt = t->size >= 148 ? get64(t->p + 140) : 0;
	if (!*dsdt)
		*dsdt = get32(t->p + 40);
	out->smi_command = get32(t->p + 48) <= 0xffff ? get32(t->p + 48) : 0;
	out->acpi_enable = t->p[52];
	out->pm1a_control = get_port(t, 64, 172);
	out->pm1b_control = get_port(t, 68, 184);
	out->pm_timer_port = t->p[91] == 4 ? get_port(t, 76, 208) : 0;
	out->pm_timer_32bit = flags & 1u << 8;
	if (t->size >= 129) {
		out->reset = get_gas(t->p + 116);
		out->reset_value = t->p[128];
		out->reset_supported = (flags & 1u << 10) && out->reset.addr;
	}
}

/* One integer of an AML package; its bytes are consumed. */
static bool aml_integer(const u8 **p, const u8 *end, u8 *value)
{
	u32 size;

	if (*p >= end)
		return false;
	switch (*(*p)++) {
	case 0x00: *value = 0; return true; /* ZeroOp */
	case 0x01: *value = 1; return true; /* OneOp */
	case 0x0a: size = 1; break;
	case 0x0b: size = 2; break;
	case 0x0c: size = 4; break;
	case 0x0e: size = 8; break;
	default: return false;
	}
	if ((u64)(end - *p) < size)
		return false;
	*value = **p;
	*p += size;
	return true;
}

/*
 * Name (_S5, Package (n) { SLP_TYPa, SLP_TYPb, ... }) as bytes, without an AML
 * interpreter: NameOp, perhaps a root prefix, the name, PackageOp, PkgLength.
 */
static bool find_s5(const struct table *t, struct acpi_info *out)
{
	const u8 *end = t->p + t->size;

	for (u32 i = HEADER_SIZE + 1; i + 8 < t->size; i++) {
		const u8 *p = t->p + i;
		u8 a, b, follow;

		if (memcmp(p, "_S5_", 4) != 0)
			continue;
		if (p[-1] != 0x08 && !(p[-1] == '\\' && p[-2] == 0x08))
			continue;
		p += 4;
		if (*p++ != 0x12)
			continue;
		follow = *p >> 6; /* PkgLength: so many further bytes */
		if (end - p < 1 + follow + 1)
			continue;
		p += 1 + follow;
		if (*p++ < 1)
			continue; /* NumElements */
		if (!aml_integer(&p, end, &a))
			continue;
		if (!aml_integer(&p, end, &b))
			b = a;
		out->s5_known = true;
		out->s5_typa = a & 7;
		out->s5_typb = b & 7;
		return true;
	}
	return false;
}

static void parse_other(const struct table *t, hpa_t pa, struct acpi_info *out)
{
	if (is_table(t, "HPET") && t->size >= 52 && t->p[40] == 0)
		out->hpet = get64(t->p + 44);
	else if (is_table(t, "MCFG"))
		out->mcfg = pa;
	else if (is_table(t, "SSDT") && !out->s5_known)
		find_s5(t, out);
}

static void parse_root(acpi_map_fn *map, const struct table *root, u32 width, struct acpi_info *out)
{
	u32 count = (root->size - HEADER_SIZE) / width;
	hpa_t dsdt = 0;
	struct table t;

	for (u32 i = 0; i < 6; i++)
		out->oem[i] = (char)root->p[HEADER_OEM + i];
	for (u32 i = 0; i < MIN(count, TABLES_MAX); i++) {
		const u8 *e = root->p + HEADER_SIZE + i * width;
		hpa_t pa = width == 8 ? get64(e) : get32(e);

		if (!get_table(map, pa, &t))
			continue;
		if (is_table(&t, "APIC"))
			parse_madt(&t, out);
		else if (is_table(&t, "FACP"))
			parse_fadt(&t, out, &dsdt);
		else
			parse_other(&t, pa, out);
	}
	/* the DSDT wins over an SSDT */
	if (dsdt && get_table(map, dsdt, &t) && is_table(&t, "DSDT"))
		find_s5(&t, out);
}

/* What a PC has when no table says otherwise. */
static void set_defaults(struct acpi_info *out)
{
	*out = (struct acpi_info){
		.lapic_base = 0xfee00000,
		.has_8259 = true,
		.ioapic_count = 1,
		.ioapic = { { .base = 0xfec00000 } },
	};
	for (u32 i = 0; i < 16; i++)
		out->isa[i].gsi = i;
}

void acpi_parse(hpa_t rsdp, acpi_map_fn *map, struct acpi_info *out)
{
	struct table root;
	hpa_t xsdt = 0;
	const u8 *p;

	set_defaults(out);
	out->isa[0].gsi = 2; /* the PIT's wire, unless the MADT moves it */
	p = rsdp ? map(rsdp, RSDP_V1_SIZE) : NULL;
	if (!p)
		return;
	if (memcmp(p, "RSD PTR ", 8) != 0 || !sum_ok(p, RSDP_V1_SIZE)) {
		log_warn("ACPI: no valid RSDP at %#llx", (unsigned long long)rsdp);
		return;
	}
	if (p[15] >= 2) {
		const u8 *v2 = map(rsdp, RSDP_V2_SIZE);

		if (v2 && sum_ok(v2, RSDP_V2_SIZE))
			xsdt = get64(v2 + 24);
	}
	if (xsdt && get_table(map, xsdt, &root) && is_table(&root, "XSDT")) {
		out->present = true;
		parse_root(map, &root, 8, out);
	} else if (get_table(map, get32(p + 16), &root) && is_table(&root, "RSDT")) {
		out->present = true;
		parse_root(map, &root, 4, out);
	} else {
		log_warn("ACPI: neither XSDT nor RSDT can be read");
		return;
	}
	if (out->ioapic_count == 0) {
		out->ioapic[0] = (struct acpi_ioapic){ .base = 0xfec00000 };
		out->ioapic_count = 1;
	}
}
