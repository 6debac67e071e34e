/*
 * Loads a Multiboot 1 kernel (Multiboot Specification 0.6.96): where its
 * header's address fields say, or an ELF of either class by its physical
 * addresses; and enters it in flat 32-bit protected mode. First everything is
 * checked and placed, then memory is written. Everything read is untrusted.
 */
#include "vmm/load.h"

#include "vmm/board.h"
#include "vmm/e820.h"
#include "vmm/multiboot.h"
#include "vmm/sys.h"
#include "vmm/vm.h"

#define MAX_SEGMENTS 32u
#define LOADER_NAME "Bulkhead"

struct segment {
	u64 offset, filesz; /* in the file */
	u64 paddr, memsz;   /* in guest memory; the rest is zeroed */
	u64 vaddr;
};

struct range {
	gpa_t base, end;
};

struct plan {
	const struct abi_file *file;
	struct mb_header header;
	u32 header_at; /* file offset */
	struct segment seg[MAX_SEGMENTS];
	u32 segments;
	u64 entry;
	gpa_t info; /* struct info_block */
	gpa_t module[ABI_MAX_MODULES];
	struct range taken[MAX_SEGMENTS + ABI_MAX_MODULES + 1];
	u32 takens;
	gpa_t end; /* of the highest segment */
};

/* All that EBX leads to except the modules themselves, in one piece. */
struct info_block {
	struct mb_info info;
	struct mb_mmap mmap[E820_MAX];
	struct mb_module modules[ABI_MAX_MODULES];
	char strings[ABI_MAX_MODULES][sizeof(((struct abi_file *)0)->path)];
	char cmdline[sizeof(((struct abi_vm *)0)->cmdline)];
	char loader[sizeof(LOADER_NAME)];
	u8 gdt[LOAD_GDT_SIZE] ALIGNED(8);
};

/* Copies size bytes from a file offset; false: the file does not have them. */
static bool file_read(const struct abi_file *file, u64 offset, void *to, u64 size)
{
	if (size > file->size || offset > file->size - size)
		return false;
	memcpy(to, (const u8 *)file->addr + offset, size);
	return true;
}

static bool find_header(const struct abi_file *file, struct mb_header *h, u32 *at)
{
	for (u32 off = 0; off + MB_HEADER_SHORT <= MB_HEADER_SEARCH; off += 4) {
		memset(h, 0, sizeof(*h));
		if (!file_read(file, off, h, MB_HEADER_SHORT))
			return false;
		if (h->magic == MB_HEADER_MAGIC && h->magic + h->flags + h->checksum == 0) {
			*at = off;
			return true;
		}
	}
	return false;
}

bool multiboot_probe(const struct abi_file *file)
{
	struct mb_header h;
	u32 at;

	return find_header(file, &h, &at);
}

/* ------------------------------------------------------ what to load */

/* Takes one piece into the plan, or says why not. */
static bool add_segment(struct plan *p, const struct segment *s)
{
	const char *path = p->file->path;
	unsigned long long base = s->paddr, size = s->memsz;

	if (s->memsz == 0)
		return true;
	if (s->filesz > s->memsz || s->filesz > p->file->size ||
	    s->offset > p->file->size - s->filesz) {
		sys_log("%s: damaged or truncated: a segment of 0x%llx bytes at file offset 0x%llx "
			"is not in the file; copy it again",
			path, (unsigned long long)s->filesz, (unsigned long long)s->offset);
		return false;
	}
	if (!e820_usable(s->paddr, s->memsz) || s->paddr >= ABI_RAM_HIGH_BASE) {
		sys_log("%s: a segment at physical 0x%llx, 0x%llx bytes, is outside of usable RAM "
			"(0 to 0x%x, 1 MiB to %u MiB); link it elsewhere or raise the VM's memory",
			path, base, size, BOARD_EBDA, (u32)(vm->ram_low >> 20));
		return false;
	}
	for (u32 i = 0; i < p->segments; i++) {
		const struct segment *o = &p->seg[i];

		if (s->paddr < o->paddr + o->memsz && o->paddr < s->paddr + s->memsz) {
			sys_log("%s: two segments overlap at physical 0x%llx; check its linker "
				"script",
				path, (unsigned long long)max_u64(s->paddr, o->paddr));
			return false;
		}
	}
	if (p->segments == MAX_SEGMENTS) {
		sys_log("%s: more than %u segments to load", path, MAX_SEGMENTS);
		return false;
	}
	p->seg[p->segments++] = *s;
	p->taken[p->takens++] = (struct range){ s->paddr, s->paddr + s->memsz };
	p->end = max_u64(p->end, s->paddr + s->memsz);
	return true;
}

/* The header's own address fields (for files in no format at all). */
static bool plan_addresses(struct plan *p)
{
	struct mb_header *h = &p->header;
	struct segment s = { 0 };
	u64 before, end;

	if (!file_read(p->file, p->header_at, h, sizeof(*h))) {
		sys_log("%s: truncated within its Multiboot header", p->file->path);
		return false;
	}
	before = (u64)h->header_addr - h->load_addr;
	if (h->load_addr > h->header_addr || before > p->header_at) {
		sys_log("%s: Multiboot load_addr 0x%x does not fit header_addr 0x%x at file offset "
			"0x%x",
			p->file->path, h->load_addr, h->header_addr, p->header_at);
		return false;
	}
	s.offset = p->header_at - before;
	s.paddr = s.vaddr = h->load_addr;
	end = h->load_end_addr ? h->load_end_addr : s.paddr + p->file->size - s.offset;
	if (end < s.paddr || (h->bss_end_addr && h->bss_end_addr < end)) {
		sys_log("%s: Multiboot addresses run backwards: load 0x%x, load end 0x%x, bss end "
			"0x%x",
			p->file->path, h->load_addr, h->load_end_addr, h->bss_end_addr);
		return false;
	}
	s.filesz = end - s.paddr;
	s.memsz = (h->bss_end_addr ? h->bss_end_addr : end) - s.paddr;
	p->entry = h->entry_addr;
	return add_segment(p, &s);
}

/* Segment i of the ELF, of either class, in one form. type: PT_... */
static bool read_segment(const struct abi_file *file, u8 class, u64 at, struct segment *s,
			 u32 *type)
{
	struct elf32_segment e32;
	struct elf64_segment e64;

	if (class == ELF_CLASS32) {
		if (!file_read(file, at, &e32, sizeof(e32)))
			return false;
		*s = (struct segment){ e32.offset, e32.filesz, e32.paddr, e32.memsz, e32.vaddr };
		*type = e32.type;
		return true;
	}
	if (!file_read(file, at, &e64, sizeof(e64)))
		return false;
	*s = (struct segment){ e64.offset, e64.filesz, e64.paddr, e64.memsz, e64.vaddr };
	*type = e64.type;
	return true;
}

/* The ELF header, of either class, in the 64-bit form. */
static bool read_elf(const struct abi_file *file, struct elf64_header *e)
{
	struct elf32_header e32;

	memset(e, 0, sizeof(*e));
	if (!file_read(file, 0, &e->id, sizeof(e->id)) || memcmp(e->id.magic, ELF_MAGIC, 4) != 0 ||
	    e->id.data != ELF_LSB || e->id.type != ELF_EXEC)
		return false;
	if (e->id.class == ELF_CLASS64)
		return e->id.machine == ELF_X86_64 && file_read(file, 0, e, sizeof(*e)) &&
		       e->phentsize >= sizeof(struct elf64_segment);
	if (e->id.class != ELF_CLASS32 || e->id.machine != ELF_386 ||
	    !file_read(file, 0, &e32, sizeof(e32)))
		return false;
	e->entry = e32.entry;
	e->phoff = e32.phoff;
	e->phentsize = e32.phentsize;
	e->phnum = e32.phnum;
	return e->phentsize >= sizeof(struct elf32_segment);
}

/*
 * The entry point may be given as virtual: then the segment that holds it says
 * what that is in physical memory, which is also what GRUB does. A linker
 * script may have named the physical one already.
 */
static bool find_entry(struct plan *p, u64 entry)
{
	for (u32 i = 0; i < p->segments; i++)
		if (entry - p->seg[i].vaddr < p->seg[i].memsz) {
			p->entry = entry - p->seg[i].vaddr + p->seg[i].paddr;
			return true;
		}
	for (u32 i = 0; i < p->segments; i++)
		if (entry - p->seg[i].paddr < p->seg[i].memsz) {
			p->entry = entry;
			return true;
		}
	sys_log("%s: its entry point 0x%llx is in no loaded segment", p->file->path,
		(unsigned long long)entry);
	return false;
}

static bool plan_elf(struct plan *p)
{
	struct elf64_header e;
	struct segment s;
	u32 type;

	if (!read_elf(p->file, &e)) {
		sys_log("%s: has a Multiboot header, but is neither an x86 ELF executable nor gives "
			"load addresses (flag 16)",
			p->file->path);
		return false;
	}
	if (e.phoff > p->file->size) {
		sys_log("%s: truncated: its program headers are at 0x%llx, the file has %llu bytes",
			p->file->path, (unsigned long long)e.phoff,
			(unsigned long long)p->file->size);
		return false;
	}
	for (u32 i = 0; i < e.phnum; i++) {
		if (!read_segment(p->file, e.id.class, e.phoff + (u64)i * e.phentsize, &s, &type)) {
			sys_log("%s: truncated: program header %u is beyond its end", p->file->path,
				i);
			return false;
		}
		if (type == ELF_PT_LOAD && !add_segment(p, &s))
			return false;
	}
	return find_entry(p, e.entry);
}

static bool plan_kernel(struct plan *p)
{
	u32 unknown;

	if (!find_header(p->file, &p->header, &p->header_at))
		return false;
	unknown = p->header.flags & MB_MUST_KNOW & ~(MB_PAGE_ALIGN | MB_MEMORY | MB_VIDEO);
	if (unknown) {
		sys_log("%s: requires Multiboot features 0x%x that are not known here",
			p->file->path, unknown);
		return false;
	}
	if (p->header.flags & MB_VIDEO)
		sys_log("%s: asks for a video mode; there is no screen, only COM1 (started anyway)",
			p->file->path);
	if (!(p->header.flags & MB_ADDRESSES ? plan_addresses(p) : plan_elf(p)))
		return false;
	for (u32 i = 0; i < p->segments; i++)
		if (p->entry - p->seg[i].paddr < p->seg[i].memsz)
			return true;
	sys_log("%s: its entry point 0x%llx is in no loaded segment", p->file->path,
		(unsigned long long)p->entry);
	return false;
}

/* -------------------------------------------------- where the rest goes */

/* The lowest page-aligned free place from `from` up to `to`; taken at once. 0: none */
static gpa_t place(struct plan *p, u64 size, gpa_t from, gpa_t to)
{
	gpa_t at = ALIGN_UP(from, PAGE_SIZE);

	if (size > to)
		return 0;
	/* each round steps over one taken range, none is met twice */
	for (u32 round = 0; round <= p->takens; round++) {
		u32 i;

		for (i = 0; i < p->takens; i++)
			if (at < p->taken[i].end && p->taken[i].base < at + size)
				break;
		if (i == p->takens) {
			if (at > to - size || !e820_usable(at, size))
				return 0;
			p->taken[p->takens++] = (struct range){ at, at + size };
			return at;
		}
		at = ALIGN_UP(p->taken[i].end, PAGE_SIZE);
	}
	return 0;
}

/* Modules go above the kernel, where most kernels expect them; the information
 * block below 640 KiB, where few kernels write before they have read it. */
static bool place_rest(struct plan *p)
{
	gpa_t above = max_u64(p->end, BOARD_HOLE_END);
	u64 block = ALIGN_UP(sizeof(struct info_block), PAGE_SIZE);

	for (u32 i = 0; i < vm->module_count; i++) {
		const struct abi_file *m = &vm->modules[i];
		u64 size = max_u64(m->size, 1);

		p->module[i] = place(p, size, above, vm->ram_low);
		if (!p->module[i])
			p->module[i] = place(p, size, BOARD_HOLE_END, vm->ram_low);
		if (!p->module[i]) {
			sys_log("%s: %llu KiB do not fit into memory with the kernel; raise the "
				"VM's memory above %u MiB",
				m->path, (unsigned long long)((m->size + 1023) >> 10),
				(u32)(vm->ram_low >> 20));
			return false;
		}
	}
	p->info = place(p, block, ALIGN_DOWN(BOARD_EBDA, PAGE_SIZE) - block, BOARD_EBDA);
	if (!p->info)
		p->info = place(p, block, BOARD_LINUX_GDT, BOARD_EBDA);
	if (!p->info)
		p->info = place(p, block, BOARD_HOLE_END, vm->ram_low);
	if (!p->info) {
		sys_log("%s: leaves no room for the Multiboot information; raise the VM's memory",
			p->file->path);
		return false;
	}
	return true;
}

/* ------------------------------------------------------------- writing */

static void write_kernel(const struct plan *p)
{
	const u8 *file = (const u8 *)p->file->addr;

	for (u32 i = 0; i < p->segments; i++) {
		const struct segment *s = &p->seg[i];
		u8 *to = guest_ptr(s->paddr, s->memsz);

		memcpy(to, file + s->offset, s->filesz);
		memset(to + s->filesz, 0, s->memsz - s->filesz);
	}
	for (u32 i = 0; i < vm->module_count; i++)
		if (vm->modules[i].size)
			memcpy(guest_ptr(p->module[i], vm->modules[i].size),
			       (const u8 *)vm->modules[i].addr, vm->modules[i].size);
}

static void write_info(const struct plan *p)
{
	struct info_block *b = (void *)guest_ptr(p->info, sizeof(*b));
	struct e820_entry map[E820_MAX];
	u32 count = e820_build(map);

#define ADDRESS(field) ((u32)(p->info + offsetof(struct info_block, field)))
	memset(b, 0, sizeof(*b));
	b->info = (struct mb_info){
		.flags = MB_INFO_MEMORY | MB_INFO_CMDLINE | MB_INFO_MODULES | MB_INFO_MMAP |
			 MB_INFO_LOADER_NAME,
		.mem_lower = BOARD_EBDA >> 10,
		.mem_upper = (u32)((vm->ram_low - BOARD_HOLE_END) >> 10),
		.cmdline = ADDRESS(cmdline),
		.mods_count = vm->module_count,
		.mods_addr = ADDRESS(modules),
		.mmap_length = count * (u32)sizeof(struct mb_mmap),
		.mmap_addr = ADDRESS(mmap),
		.boot_loader_name = ADDRESS(loader),
	};
	for (u32 i = 0; i < count; i++)
		b->mmap[i] = (struct mb_mmap){ sizeof(struct mb_mmap) - sizeof(u32), map[i].base,
					       map[i].size, map[i].type };
	for (u32 i = 0; i < vm->module_count; i++) {
		const struct abi_file *m = &vm->modules[i];

		b->modules[i].start = (u32)p->module[i];
		b->modules[i].end = (u32)(p->module[i] + m->size);
		b->modules[i].string = ADDRESS(strings) + i * (u32)sizeof(b->strings[0]);
		memcpy(b->strings[i], m->path, strnlen(m->path, sizeof(m->path) - 1));
	}
	memcpy(b->cmdline, vm->cmdline, strnlen(vm->cmdline, sizeof(vm->cmdline) - 1));
	memcpy(b->loader, LOADER_NAME, sizeof(LOADER_NAME));
#undef ADDRESS
}

bool multiboot_load(struct abi_vcpu *page)
{
	struct plan p = { .file = &vm->kernel };
	gpa_t gdt;

	if (!plan_kernel(&p) || !place_rest(&p))
		return false;
	write_kernel(&p);
	write_info(&p);
	gdt = p.info + offsetof(struct info_block, gdt);
	load_gdt(gdt, false);
	load_flat_state(page, gdt);
	page->rip = p.entry;
	page->gpr[ABI_RAX] = MB_ENTRY_MAGIC;
	page->gpr[ABI_RBX] = p.info;
	return true;
}
