/*
 * A Multiboot program that starts Bulkhead's kernel as boot/efi_*.c does,
 * under `qemu -kernel` and SeaBIOS. Firmware delays are what an emulator that
 * counts instructions is slow at: OVMF takes minutes there, SeaBIOS seconds.
 * What is measured begins at the kernel's entry, and is the same code.
 *
 * Modules, in this order: kernel, monitor, symbols, configuration, and the
 * files that it names, each with its path as the module's argument.
 * Multiboot Specification 0.6.96; the kernel's entry contract is
 * boot/boot_info.h. Linked with tests/guests/start.S and lib.c.
 */
#include "arch/layout.h"
#include "boot/boot_info.h"
#include "boot/efi_switch.h"
#include "boot/paging.h"
#include "boot/ranges.h"
#include "kernel/string.h"

#define LOW_END MIB(1)
#define TRAMPOLINE 0x8000
#define ROOM MIB(4) /* kernel, boot_info and page tables, behind the modules */

struct multiboot {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
};

struct module {
	u32 start, end, string, reserved;
};

struct mmap {
	u32 size;
	u64 base, length;
	u32 type;
} __attribute__((packed));

struct elf {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

enum { MOD_KERNEL, MOD_MONITOR, MOD_SYMBOLS, MOD_CONFIG, MOD_FILES };

/* tests/guests: start.S and lib.c */
extern u32 boot_info;
extern const char guest_name[];
const char guest_name[] = "boot";
void guest_main(void);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What boot/ranges.c needs and lib.c has not; the barrier keeps the compiler
 * from making it a call of itself. */
void *memmove(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	for (size_t i = 0; i < n; i++) {
		size_t k = t < f ? i : n - 1 - i;

		t[k] = f[k];
		__asm__ volatile("" ::: "memory");
	}
	return to;
}

static u64 next_page;

static void *take(u64 size)
{
	void *p = (void *)next_page;

	next_page += ALIGN_UP(size, PAGE_SIZE);
	memset(p, 0, ALIGN_UP(size, PAGE_SIZE));
	return p;
}

static void *table_page(void)
{
	return take(PAGE_SIZE);
}

static u64 find_rsdp(void)
{
	for (u64 a = 0xe0000; a < 0x100000; a += 16)
		if (!memcmp((void *)a, "RSD PTR ", 8))
			return a;
	return 0;
}

static void take_file(struct boot_info *info, const struct module *m)
{
	struct boot_file *f = &info->files[info->file_count++];
	const char *path = (const char *)(u64)m->string;

	while (*path && *path != ' ')
		path++;
	path += *path == ' ';
	for (u32 i = 0; path[i] && i < sizeof(f->path) - 1; i++)
		f->path[i] = path[i];
	f->base = m->start;
	f->size = m->end - m->start;
}

/* The kernel to its place, with the rights of its segments. */
static u64 load_kernel(struct boot_info *info, struct paging *paging, const struct module *m)
{
	const u8 *image = (const u8 *)(u64)m->start;
	const struct elf *elf = (const struct elf *)image;
	const struct segment *s = (const struct segment *)(image + elf->phoff);
	bool ok = true;
	u8 *to;

	for (u32 i = 0; i < elf->phnum; i++)
		if (s[i].type == 1)
			info->kernel_size =
				ALIGN_UP(s[i].vaddr + s[i].memsz - KERNEL_BASE, PAGE_SIZE);
	to = take(info->kernel_size);
	info->kernel_phys = (u64)to;
	for (u32 i = 0; i < elf->phnum; i++) {
		u64 rights = (s[i].flags & 2 ? PTE_WRITE : 0) | (s[i].flags & 1 ? 0 : PTE_NX);

		if (s[i].type != 1)
			continue;
		memcpy(to + (s[i].vaddr - KERNEL_BASE), image + s[i].offset, s[i].filesz);
		ok &= paging_map(paging, s[i].vaddr, (u64)to + (s[i].vaddr - KERNEL_BASE),
				 ALIGN_UP(s[i].memsz, PAGE_SIZE), rights);
	}
	return ok ? elf->entry : 0;
}

static void fill_ranges(struct boot_info *info, const struct multiboot *mb, u64 from)
{
	const struct module *m = (const struct module *)(u64)mb->mods_addr;
	struct range_list list = { .range = info->ranges, .max = BOOT_MAX_RANGES };

	for (u32 at = 0; at < mb->mmap_length;) {
		const struct mmap *e = (const struct mmap *)((u64)mb->mmap_addr + at);
		u64 base = ALIGN_UP(e->base, PAGE_SIZE);
		u64 end = ALIGN_DOWN(e->base + e->length, PAGE_SIZE);

		if (e->type == 1 && base >= LOW_END)
			ranges_set(&list, base, end - base, BOOT_MEM_FREE);
		at += e->size + 4;
	}
	for (u32 i = 0; i < mb->mods_count; i++) {
		u64 end = ALIGN_UP(m[i].end, PAGE_SIZE);

		ranges_set(&list, m[i].start, end - m[i].start, BOOT_MEM_FILE);
	}
	ranges_set(&list, from, next_page - from, BOOT_MEM_LOADER);
	ranges_set(&list, info->kernel_phys, info->kernel_size, BOOT_MEM_KERNEL);
	info->range_count = list.count;
}

void guest_main(void)
{
	const struct multiboot *mb = (const struct multiboot *)(u64)boot_info;
	const struct module *m = (const struct module *)(u64)mb->mods_addr;
	u64 from = MIB(2), entry;
	struct paging paging = { .alloc = table_page };
	struct boot_info *info;
	u8 *page, *stack;

	for (u32 i = 0; i < mb->mods_count; i++) {
		u64 end = ALIGN_UP(m[i].end, PAGE_SIZE);

		memset((void *)(u64)m[i].end, 0, end - m[i].end);
		from = MAX(from, ALIGN_UP(end, CHUNK_SIZE));
	}
	next_page = from;
	info = take(sizeof(*info));
	paging.root = take(PAGE_SIZE);
	page = take(PAGE_SIZE);
	stack = take(PAGE_SIZE);
	if (!paging_map(&paging, 0, 0, GIB(4), PTE_WRITE | PTE_NX) ||
	    !paging_map(&paging, (u64)page, (u64)page, PAGE_SIZE, 0) ||
	    !paging_map(&paging, TRAMPOLINE, TRAMPOLINE, PAGE_SIZE, PTE_WRITE))
		return;
	entry = load_kernel(info, &paging, &m[MOD_KERNEL]);
	info->magic = BOOT_MAGIC;
	info->version = BOOT_VERSION;
	info->rsdp = find_rsdp();
	info->trampoline = TRAMPOLINE;
	info->monitor_base = m[MOD_MONITOR].start;
	info->monitor_size = m[MOD_MONITOR].end - m[MOD_MONITOR].start;
	info->symbols_base = m[MOD_SYMBOLS].start;
	info->symbols_size = m[MOD_SYMBOLS].end - m[MOD_SYMBOLS].start;
	info->config_base = m[MOD_CONFIG].start; /* make it NUL-terminated in its file */
	info->config_size = m[MOD_CONFIG].end - m[MOD_CONFIG].start - 1;
	memcpy(info->config_path, "bulkhead.toml", 14);
	memcpy(info->firmware, "the bench", 10);
	for (u32 i = MOD_FILES; i < mb->mods_count; i++)
		take_file(info, &m[i]);
	fill_ranges(info, mb, from);
	if (!entry || next_page > from + ROOM)
		return;
	memcpy(page, switch_code, (u64)(switch_code_end - switch_code));
	*(u64 *)(page + (switch_gdt_base - switch_code)) =
		(u64)page + (u64)(switch_gdt - switch_code);
	((switch_fn *)(u64)page)((u64)info, (u64)paging.root, entry, (u64)stack + PAGE_SIZE);
}
