/*
 * Loads a Linux bzImage by the kernel's 64-bit boot protocol (Linux
 * Documentation, "The Linux/x86 Boot Protocol"; fields by their offset in the
 * file and in the "zero page"). The entry point runs in long mode, identity
 * mapped, with RSI = the zero page. Everything in the header is untrusted.
 */
#include "vmm/load.h"

#include "vmm/board.h"
#include "vmm/e820.h"
#include "vmm/sys.h"
#include "vmm/vm.h"

#define HEADER_START 0x1f1u
#define HEADER_END_BASE 0x202u /* plus the byte at 0x201 */
#define HEADER_END_MAX 0x290u  /* what follows in the zero page is not its own */
#define SECTOR 512u
#define BOOT_FLAG 0xaa55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define MIN_VERSION 0x020cu
#define LOADER_UNDEFINED 0xffu
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x0001u
#define ENTRY_64 0x200u

/* Zero page fields outside of the setup header */
#define ZP_ACPI_RSDP 0x070u
#define ZP_E820_COUNT 0x1e8u
#define ZP_E820 0x2d0u
#define ZP_E820_SIZE 20u

#define PTE_PRESENT_WRITE 0x3u
#define PTE_LARGE 0x80u
#define CR0_NE 0x20u
#define CR0_PG 0x80000000u
#define CR4_PAE 0x20u
#define EFER_LME_LMA 0x500u
#define ATTR_CODE64 0xa9bu

struct PACKED setup_header {
	u8 setup_sects;
	u16 root_flags;
	u32 syssize; /* protected-mode code in units of 16 bytes */
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u8 jump, header_length;
	u32 magic;
	u16 version;
	u32 realmode_switch;
	u16 start_sys_seg, kernel_version;
	u8 type_of_loader, loadflags;
	u16 setup_move_size;
	u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
	u8 relocatable, min_alignment;
	u16 xloadflags;
	u32 cmdline_size; /* without the terminating zero */
	u32 hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;
	u64 setup_data, pref_address;
	u32 init_size; /* bytes needed from the load address on */
};

#define AT(field) (HEADER_START + offsetof(struct setup_header, field))
_Static_assert(AT(magic) == 0x202, "boot protocol");
_Static_assert(AT(initrd_addr_max) == 0x22c, "boot protocol");
_Static_assert(AT(xloadflags) == 0x236, "boot protocol");
_Static_assert(AT(init_size) == 0x260, "boot protocol");

/* What the header told, checked. */
struct plan {
	struct setup_header h;
	u32 header_end;	    /* file offset */
	u64 body, length;   /* protected-mode code in the file */
	gpa_t load, initrd; /* no initrd: 0 */
	u64 initrd_size;
};

static bool read_header(const struct abi_file *file, struct setup_header *h)
{
	if (file->size < HEADER_START + sizeof(*h))
		return false;
	memcpy(h, (const u8 *)file->addr + HEADER_START, sizeof(*h));
	return h->boot_flag == BOOT_FLAG && h->magic == HEADER_MAGIC;
}

bool linux_probe(const struct abi_file *file)
{
	struct setup_header h;

	return read_header(file, &h);
}

static u32 mib_up(u64 bytes)
{
	return (u32)((bytes + MIB(1) - 1) >> 20);
}

static bool check_protocol(struct plan *p, const char *path)
{
	const struct setup_header *h = &p->h;

	if (h->version < MIN_VERSION || !(h->loadflags & LOADED_HIGH)) {
		sys_log("%s: Linux boot protocol %u.%u; 2.12 is needed (Linux 3.8 or later, bzImage)",
			path, h->version >> 8, h->version & 0xff);
		return false;
	}
	if (!(h->xloadflags & XLF_KERNEL_64)) {
		sys_log("%s: a 32-bit Linux kernel; take a 64-bit one (amd64, x86_64)", path);
		return false;
	}
	p->header_end = HEADER_END_BASE + h->header_length;
	if (p->header_end < AT(init_size) + sizeof(h->init_size)) {
		sys_log("%s: damaged: its setup header ends at 0x%x, before init_size", path,
			p->header_end);
		return false;
	}
	if (p->header_end > HEADER_END_MAX)
		p->header_end = HEADER_END_MAX;
	return true;
}

static bool check_body(struct plan *p, const struct abi_file *file)
{
	const struct setup_header *h = &p->h;
	u32 sectors = h->setup_sects ? h->setup_sects : 4;

	p->body = (sectors + 1) * SECTOR;
	p->length = (u64)h->syssize * 16;
	if (p->header_end > file->size || p->body > file->size ||
	    p->length > file->size - p->body) {
		sys_log("%s: truncated: %llu bytes, but its header promises %llu; copy it again",
			file->path, (unsigned long long)file->size,
			(unsigned long long)(p->body + p->length));
		return false;
	}
	if (p->length <= ENTRY_64 || p->length > h->init_size) {
		sys_log("%s: damaged: %llu bytes of code with init_size %u", file->path,
			(unsigned long long)p->length, h->init_size);
		return false;
	}
	return true;
}

/* The kernel goes where it prefers to be: a relocatable one moves itself there
 * anyhow if it is loaded lower, and nothing of ours is in the way. */
static bool place_kernel(struct plan *p, const char *path)
{
	const struct setup_header *h = &p->h;
	u64 align = h->kernel_alignment;

	p->load = h->pref_address;
	if (h->relocatable) {
		if (align == 0 || (align & (align - 1))) {
			sys_log("%s: damaged: kernel_alignment 0x%x is no power of two", path,
				h->kernel_alignment);
			return false;
		}
		if (p->load < BOARD_HOLE_END)
			p->load = MIB(16);
		if (p->load < ABI_RAM_HIGH_BASE)
			p->load = ALIGN_UP(p->load, align);
	}
	if (p->load >= BOARD_PCI_MMIO || p->load < BOARD_HOLE_END) {
		sys_log("%s: wants to be loaded at 0x%llx, which no VM has as RAM", path,
			(unsigned long long)p->load);
		return false;
	}
	if (!e820_usable(p->load, h->init_size)) {
		sys_log("%s: needs memory up to %u MiB to unpack itself, the VM has %u MiB below "
			"3 GiB; raise its memory",
			path, mib_up(p->load + h->init_size), mib_up(vm->ram_low));
		return false;
	}
	return true;
}

/* All modules together, each padded to 4 bytes, are one initrd (the kernel
 * unpacks concatenated archives), as high as the kernel allows. */
static bool place_initrd(struct plan *p)
{
	u64 top = min_u64(vm->ram_low, (u64)p->h.initrd_addr_max + 1);
	u64 bottom = p->load + p->h.init_size, size = 0;

	for (u32 i = 0; i < vm->module_count; i++)
		size = ALIGN_UP(size, 4) + min_u64(vm->modules[i].size, ABI_RAM_LOW_MAX);
	p->initrd = 0;
	p->initrd_size = size;
	if (size == 0)
		return true;
	if (size > top || ALIGN_DOWN(top - size, PAGE_SIZE) < bottom) {
		sys_log("%s: the initrd of %u MiB does not fit between the kernel's end at %u MiB "
			"and %u MiB; raise the VM's memory",
			vm->modules[0].path, mib_up(size), mib_up(bottom), (u32)(top >> 20));
		return false;
	}
	p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
	return true;
}

static bool check_cmdline(const struct plan *p)
{
	u32 length = (u32)strnlen(vm->cmdline, sizeof(vm->cmdline));

	if (length <= p->h.cmdline_size && length < sizeof(vm->cmdline))
		return true;
	sys_log("cmdline: %u characters, %s takes %u; shorten it", length, vm->kernel.path,
		p->h.cmdline_size);
	return false;
}

static void write_identity_map(void)
{
	u64 *table = (u64 *)(void *)guest_ptr(BOARD_LINUX_TABLES, 6 * PAGE_SIZE);
	u64 *leaf = table + 2 * 512;

	memset(table, 0, 2 * PAGE_SIZE);
	table[0] = (BOARD_LINUX_TABLES + PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (u32 i = 0; i < 4; i++)
		table[512 + i] = (BOARD_LINUX_TABLES + (2 + i) * PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (u64 i = 0; i < 4 * 512; i++)
		leaf[i] = MIB(2) * i | PTE_PRESENT_WRITE | PTE_LARGE;
}

static void write_zero_page(struct plan *p, gpa_t rsdp)
{
	u8 *zp = guest_ptr(BOARD_LINUX_PARAMS, PAGE_SIZE);
	const u8 *file = (const u8 *)vm->kernel.addr;
	struct setup_header *h = &p->h;
	struct e820_entry map[E820_MAX];
	u32 count = e820_build(map);

	h->type_of_loader = LOADER_UNDEFINED;
	h->code32_start = (u32)p->load;
	h->ramdisk_image = (u32)p->initrd;
	h->ramdisk_size = (u32)p->initrd_size;
	h->cmd_line_ptr = BOARD_LINUX_CMDLINE;
	h->setup_data = 0;
	memset(zp, 0, PAGE_SIZE);
	memcpy(zp + HEADER_START, file + HEADER_START, p->header_end - HEADER_START);
	memcpy(zp + HEADER_START, h, sizeof(*h));
	memcpy(zp + ZP_ACPI_RSDP, &rsdp, sizeof(rsdp));
	zp[ZP_E820_COUNT] = (u8)count;
	for (u32 i = 0; i < count; i++) {
		u8 *entry = zp + ZP_E820 + i * ZP_E820_SIZE;

		memcpy(entry, &map[i].base, 8);
		memcpy(entry + 8, &map[i].size, 8);
		memcpy(entry + 16, &map[i].type, 4);
	}
}

static void write_images(const struct plan *p)
{
	gpa_t at = p->initrd;
	u32 length = (u32)strnlen(vm->cmdline, sizeof(vm->cmdline) - 1);
	u8 *cmdline = guest_ptr(BOARD_LINUX_CMDLINE, PAGE_SIZE);

	memcpy(guest_ptr(p->load, p->length), (const u8 *)vm->kernel.addr + p->body, p->length);
	memcpy(cmdline, vm->cmdline, length);
	cmdline[length] = 0;
	for (u32 i = 0; i < vm->module_count; i++) {
		const struct abi_file *file = &vm->modules[i];

		at = ALIGN_UP(at, 4);
		if (file->size)
			memcpy(guest_ptr(at, file->size), (const u8 *)file->addr, file->size);
		at += file->size;
	}
}

static void set_state(struct abi_vcpu *page, const struct plan *p)
{
	struct abi_state *s = &page->state;

	load_gdt(BOARD_LINUX_GDT, true);
	load_flat_state(page, BOARD_LINUX_GDT);
	s->seg[ABI_CS].attr = ATTR_CODE64;
	s->cr0 |= CR0_PG | CR0_NE;
	s->cr3 = BOARD_LINUX_TABLES;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME_LMA;
	page->rip = p->load + ENTRY_64;
	page->gpr[ABI_RSI] = BOARD_LINUX_PARAMS;
	page->gpr[ABI_RSP] = BOARD_LINUX_GDT; /* grows down from there */
}

bool linux_load(struct abi_vcpu *page, gpa_t rsdp)
{
	struct plan p = { 0 };

	if (!read_header(&vm->kernel, &p.h) || !check_protocol(&p, vm->kernel.path) ||
	    !check_body(&p, &vm->kernel) || !place_kernel(&p, vm->kernel.path) ||
	    !place_initrd(&p) || !check_cmdline(&p))
		return false;
	write_images(&p);
	write_zero_page(&p, rsdp);
	write_identity_map();
	set_state(page, &p);
	return true;
}
