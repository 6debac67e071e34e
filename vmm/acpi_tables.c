/*
 * The guest's ACPI tables (ACPI 6.5: 5.2.5 RSDP, 5.2.7 RSDT, 5.2.8 XSDT, 5.2.9
 * FADT, 5.2.10 FACS, 5.2.12 MADT), from board.h and the VM page. They lie in
 * the reserved hole below 1 MiB, which even the smallest guest has.
 */
#include "vmm/acpi_tables.h"

#include "vmm/acpi_dsdt.h"
#include "vmm/board.h"
#include "vmm/vm.h"

#define OEM_ID "BLKHD "
#define OEM_TABLE_ID "BULKHEAD"
#define CREATOR_ID "BLKH"

struct PACKED header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
};

struct PACKED rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
	u8 checksum_all, reserved[3];
};

/* Generic address structure (5.2.3.2) */
struct PACKED gas {
	u8 space, bits, offset, access; /* access: 1 byte, 2 word, 3 dword */
	u64 address;
};

#define GAS_IO 1u

struct PACKED fadt {
	struct header h;
	u32 facs, dsdt;
	u8 reserved0, profile;
	u16 sci_irq;
	u32 smi_cmd; /* 0: none, always in ACPI mode */
	u8 acpi_enable, acpi_disable, s4bios, pstate;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_arch;
	u8 reserved1;
	u32 flags;
	struct gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
		x_gpe1, sleep_control, sleep_status;
	char hypervisor[8];
};

#define PROFILE_SERVER 4u
#define NO_C2 101u  /* microseconds: above 100 says absent */
#define NO_C3 1001u /* above 1000 says absent */

/* There is an 8042, but nothing is ever plugged in; with its flag unset, a
 * system that trusts ACPI does not spend half a second to find that out. */
#define BOOT_LEGACY_DEVICES 0x1u
#define BOOT_NO_VGA 0x4u

#define FADT_WBINVD 0x1u
#define FADT_C1 0x4u
#define FADT_NO_SLEEP_BUTTON 0x20u
#define FADT_NO_RTC_WAKE 0x40u
#define FADT_TIMER_32 0x100u
#define FADT_RESET_REG 0x400u

struct PACKED facs {
	char signature[4];
	u32 length, hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version, reserved[31];
};

struct PACKED madt {
	struct header h;
	u32 lapic, flags;
};

#define MADT_PCAT_COMPAT 1u /* there are 8259s */
#define MADT_ENABLED 1u
#define MADT_LEVEL_HIGH 0x0du
#define MADT_ALL_CPUS 0xffu

struct PACKED madt_lapic {
	u8 type, length, uid, id; /* type 0 */
	u32 flags;
};

struct PACKED madt_ioapic {
	u8 type, length, id, reserved; /* type 1 */
	u32 address, gsi_base;
};

struct PACKED madt_override {
	u8 type, length, bus, irq; /* type 2; bus 0: ISA */
	u32 gsi;
	u16 flags;
};

struct PACKED madt_nmi {
	u8 type, length, uid; /* type 4 */
	u16 flags;
	u8 lint;
};

_Static_assert(sizeof(struct header) == 36, "ACPI 5.2.6");
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 5.2.5.3");
_Static_assert(sizeof(struct fadt) == 276, "ACPI 5.2.9");
_Static_assert(offsetof(struct fadt, reset_reg) == 116, "ACPI 5.2.9");
_Static_assert(sizeof(struct facs) == 64, "ACPI 5.2.10");
_Static_assert(sizeof(struct madt) == 44 && sizeof(struct madt_nmi) == 6, "ACPI 5.2.12");

/* Everything that is built, in guest memory order. */
struct PACKED tables {
	struct facs facs ALIGNED(64);
	struct fadt fadt ALIGNED(16);
	struct {
		struct madt madt;
		struct madt_ioapic ioapic;
		struct madt_override pit, sci;
		struct madt_nmi nmi;
		struct madt_lapic lapic[ABI_MAX_VCPUS];
	} PACKED apic ALIGNED(16);
	struct PACKED {
		struct header h;
		u32 table[2];
	} rsdt ALIGNED(16);
	struct PACKED {
		struct header h;
		u64 table[2];
	} xsdt ALIGNED(16);
	struct header dsdt ALIGNED(16);
	u8 dsdt_body[]; /* up to BOARD_ACPI_END */
};

static u8 checksum(const void *p, u32 len)
{
	const u8 *bytes = p;
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *bytes++);
	return (u8)-sum;
}

static void seal(struct header *h, const char *signature, u8 revision, u32 length)
{
	memcpy(h->signature, signature, 4);
	h->length = length;
	h->revision = revision;
	h->checksum = 0;
	memcpy(h->oem_id, OEM_ID, 6);
	memcpy(h->oem_table_id, OEM_TABLE_ID, 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, CREATOR_ID, 4);
	h->creator_revision = 1;
	h->checksum = checksum(h, length);
}

static struct gas io_register(u32 port, u32 bytes, u32 access)
{
	return (struct gas){ GAS_IO, (u8)(bytes * 8), 0, (u8)access, port };
}

#define TABLE(field) (BOARD_ACPI + (u32)offsetof(struct tables, field))

static void build_fadt(struct fadt *f)
{
	f->facs = TABLE(facs);
	f->dsdt = TABLE(dsdt);
	f->profile = PROFILE_SERVER;
	f->sci_irq = BOARD_IRQ_SCI;
	f->pm1a_evt = BOARD_PM1_EVT;
	f->pm1a_cnt = BOARD_PM1_CNT;
	f->pm_tmr = BOARD_PM_TMR;
	f->gpe0 = BOARD_GPE0;
	f->pm1_evt_len = BOARD_PM1_EVT_LEN;
	f->pm1_cnt_len = BOARD_PM1_CNT_LEN;
	f->pm_tmr_len = BOARD_PM_TMR_LEN;
	f->gpe0_len = BOARD_GPE0_LEN;
	f->c2_latency = NO_C2;
	f->c3_latency = NO_C3;
	f->century = BOARD_RTC_CENTURY;
	f->boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;
	f->flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE | FADT_TIMER_32 |
		   FADT_RESET_REG;
	f->reset_reg = io_register(BOARD_RESET, 1, 1);
	f->reset_value = BOARD_RESET_VALUE;
	f->minor = 5;
	f->x_dsdt = TABLE(dsdt); /* x_facs stays 0: one of the two is enough */
	f->x_pm1a_evt = io_register(BOARD_PM1_EVT, BOARD_PM1_EVT_LEN, 2);
	f->x_pm1a_cnt = io_register(BOARD_PM1_CNT, BOARD_PM1_CNT_LEN, 2);
	f->x_pm_tmr = io_register(BOARD_PM_TMR, BOARD_PM_TMR_LEN, 3);
	f->x_gpe0 = io_register(BOARD_GPE0, BOARD_GPE0_LEN, 1);
	memcpy(f->hypervisor, OEM_TABLE_ID, 8);
	seal(&f->h, "FACP", 6, sizeof(*f));
}

static void build_madt(struct tables *t)
{
	t->apic.madt.lapic = BOARD_LAPIC;
	t->apic.madt.flags = MADT_PCAT_COMPAT;
	t->apic.ioapic = (struct madt_ioapic){
		1, sizeof(struct madt_ioapic), BOARD_IOAPIC_ID, 0, BOARD_IOAPIC, 0
	};
	t->apic.pit = (struct madt_override){
		2, sizeof(struct madt_override), 0, BOARD_IRQ_PIT, BOARD_GSI_PIT, 0
	};
	t->apic.sci = (struct madt_override){
		2, sizeof(struct madt_override), 0, BOARD_IRQ_SCI, BOARD_IRQ_SCI, MADT_LEVEL_HIGH
	};
	t->apic.nmi = (struct madt_nmi){ 4, sizeof(struct madt_nmi), MADT_ALL_CPUS, 0, 1 };
	for (u32 i = 0; i < vm->vcpus; i++)
		t->apic.lapic[i] = (struct madt_lapic){ 0, sizeof(struct madt_lapic), (u8)i, (u8)i,
							MADT_ENABLED };
	seal(&t->apic.madt.h, "APIC", 5,
	     (u32)(offsetof(struct tables, apic.lapic) - offsetof(struct tables, apic) +
		   vm->vcpus * sizeof(struct madt_lapic)));
}

static void build_roots(struct tables *t, struct rsdp *r)
{
	t->rsdt.table[0] = TABLE(fadt);
	t->rsdt.table[1] = TABLE(apic);
	seal(&t->rsdt.h, "RSDT", 1, sizeof(t->rsdt));
	t->xsdt.table[0] = TABLE(fadt);
	t->xsdt.table[1] = TABLE(apic);
	seal(&t->xsdt.h, "XSDT", 1, sizeof(t->xsdt));

	memset(r, 0, sizeof(*r));
	memcpy(r->signature, "RSD PTR ", 8);
	memcpy(r->oem_id, OEM_ID, 6);
	r->revision = 2;
	r->rsdt = TABLE(rsdt);
	r->length = sizeof(*r);
	r->xsdt = TABLE(xsdt);
	r->checksum = checksum(r, 20);
	r->checksum_all = checksum(r, sizeof(*r));
}

gpa_t acpi_build(void)
{
	struct tables *t = (void *)guest_ptr(BOARD_ACPI, BOARD_ACPI_END - BOARD_ACPI);
	u8 *rsdp = guest_ptr(BOARD_RSDP, sizeof(struct rsdp));
	u32 length;

	if (!t || !rsdp || vm->vcpus == 0 || vm->vcpus > ABI_MAX_VCPUS)
		return 0;
	memset(t, 0, BOARD_ACPI_END - BOARD_ACPI);
	memcpy(t->facs.signature, "FACS", 4);
	t->facs.length = sizeof(t->facs);
	t->facs.version = 2;
	build_fadt(&t->fadt);
	build_madt(t);
	length = dsdt_build(t->dsdt_body, BOARD_ACPI_END - TABLE(dsdt_body));
	if (length == 0)
		return 0;
	seal(&t->dsdt, "DSDT", 2, (u32)sizeof(t->dsdt) + length);
	build_roots(t, (struct rsdp *)(void *)rsdp);
	return BOARD_RSDP;
}
