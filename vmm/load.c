/*
 * Guest loading, the part common to all formats: tells images apart, writes
 * what a BIOS would have left in memory, and makes the flat register state
 * (SDM Vol. 3A, 3.4.5 descriptors, 10.1.1 reset values). Runs once per VM,
 * before any vCPU, so nothing guards guest memory here.
 */
#include "vmm/load.h"

#include "vmm/acpi_tables.h"
#include "vmm/board.h"
#include "vmm/sys.h"
#include "vmm/vm.h"

#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define RFLAGS_FIXED 0x2u
#define DR6_RESET 0xffff0ff0u
#define DR7_RESET 0x400u

/* abi_segment attributes, and the same as descriptors of flat segments */
#define ATTR_CODE32 0xc9bu
#define ATTR_DATA 0xc93u
#define ATTR_TSS_BUSY 0x8bu
#define ATTR_LDT 0x82u
#define DESC_CODE32 0x00cf9b000000ffffull
#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA 0x00cf93000000ffffull

/* Offsets in the BIOS data area */
#define BDA_COM1 0x0u
#define BDA_EBDA 0xeu
#define BDA_EQUIPMENT 0x10u
#define BDA_MEMORY 0x13u
#define EQUIPMENT_ONE_UART 0x200u

static void put16(u8 *p, u32 value)
{
	p[0] = (u8)value;
	p[1] = (u8)(value >> 8);
}

/* Systems from before ACPI look here for the UART and the end of memory. */
static void write_bios_data(void)
{
	u8 *bda = guest_ptr(BOARD_BDA, 0x100);
	u8 *ebda = guest_ptr(BOARD_EBDA, BOARD_EBDA_SIZE);

	put16(bda + BDA_COM1, BOARD_COM1);
	put16(bda + BDA_EBDA, BOARD_EBDA >> 4);
	put16(bda + BDA_EQUIPMENT, EQUIPMENT_ONE_UART);
	put16(bda + BDA_MEMORY, BOARD_EBDA >> 10);
	ebda[0] = BOARD_EBDA_SIZE >> 10;
}

void load_gdt(gpa_t gdt, bool code64)
{
	u64 desc[LOAD_GDT_SIZE / 8] = { 0 };

	desc[LOAD_CS / 8] = code64 ? DESC_CODE64 : DESC_CODE32;
	desc[LOAD_DS / 8] = DESC_DATA;
	memcpy(guest_ptr(gdt, LOAD_GDT_SIZE), desc, sizeof(desc));
}

void load_flat_state(struct abi_vcpu *page, gpa_t gdt)
{
	struct abi_state *s = &page->state;

	memset(page->gpr, 0, sizeof(page->gpr));
	memset(s, 0, sizeof(*s));
	page->rip = 0;
	page->rflags = RFLAGS_FIXED;
	for (u32 i = ABI_ES; i <= ABI_GS; i++)
		s->seg[i] = (struct abi_segment){ LOAD_DS, ATTR_DATA, 0xffffffffu, 0 };
	s->seg[ABI_CS] = (struct abi_segment){ LOAD_CS, ATTR_CODE32, 0xffffffffu, 0 };
	s->seg[ABI_LDTR] = (struct abi_segment){ 0, ATTR_LDT, 0xffff, 0 };
	s->seg[ABI_TR] = (struct abi_segment){ 0, ATTR_TSS_BUSY, 0xffff, 0 };
	s->gdtr_base = gdt;
	s->gdtr_limit = LOAD_GDT_SIZE - 1;
	s->cr0 = CR0_PE | CR0_ET;
	s->dr6 = DR6_RESET;
	s->dr7 = DR7_RESET;
}

/* Says what a file is that we cannot load. */
static void explain_unknown(const struct abi_file *file)
{
	const u8 *p = (const u8 *)file->addr;

	if (file->size >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		sys_log("%s: gzip-compressed; unpack it with gunzip and name the result",
			file->path);
	else if (file->size >= 4 && memcmp(p, "\177ELF", 4) == 0)
		sys_log("%s: an ELF file without a Multiboot 1 header in its first 8 KiB; for "
			"Linux name the bzImage (vmlinuz), not vmlinux",
			file->path);
	else
		sys_log("%s: neither a Linux bzImage nor a Multiboot 1 kernel", file->path);
}

bool load_guest(struct abi_vcpu *page)
{
	const struct abi_file *kernel = &vm->kernel;
	bool is_linux = linux_probe(kernel);
	gpa_t rsdp;

	if (vm->ram_low < BOARD_RAM_MIN) {
		sys_log("%u KiB of memory are too few for any guest; give at least 2 MiB",
			(u32)(vm->ram_low >> 10));
		return false;
	}
	if (!is_linux && !multiboot_probe(kernel)) {
		explain_unknown(kernel);
		return false;
	}
	write_bios_data();
	rsdp = acpi_build();
	if (rsdp == 0) {
		sys_log("the ACPI tables for %u CPUs do not fit; give the VM fewer CPUs",
			vm->vcpus);
		return false;
	}
	return is_linux ? linux_load(page, rsdp) : multiboot_load(page);
}
