/*
 * The monitor's ELF image (System V ABI, "Object Files"): 64-bit, static,
 * page-aligned segments that do not share pages with differing rights. It
 * comes in one signed file with the kernel, so a defect is a build error, and
 * found at boot.
 */
#include "kernel/monitor.h"

#include "arch/panic.h"
#include "kernel/abi.h"
#include "kernel/string.h"

#define PT_LOAD 1
#define PF_X 1
#define PF_W 2

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

static const u8 *image;
static hpa_t image_hpa;
static const struct elf_header *header;
static const struct elf_segment *segments;

void monitor_init(const void *where, hpa_t hpa, u64 size)
{
	image = where;
	image_hpa = hpa;
	header = where;
	if (size < sizeof(*header) || memcmp(header->ident, "\177ELF\2\1", 6) != 0)
		panic("the monitor's image is not an ELF file");
	segments = (const void *)(image + header->phoff);
	for (u32 i = 0; i < header->phnum; i++) {
		const struct elf_segment *p = &segments[i];

		if (p->type != PT_LOAD)
			continue;
		if (p->offset + p->filesz > size || p->filesz > p->memsz ||
		    p->vaddr % PAGE_SIZE != p->offset % PAGE_SIZE || p->vaddr < ABI_IMAGE_BASE ||
		    p->vaddr + p->memsz > ABI_VM_PAGE ||
		    (p->flags & (PF_W | PF_X)) == (PF_W | PF_X))
			panic("the monitor's image: segment %u is not as linked", i);
	}
}

u64 monitor_entry(void)
{
	return header->entry;
}

static enum err map_shared(struct space *s, const struct elf_segment *p)
{
	u64 from = ALIGN_DOWN(p->vaddr, PAGE_SIZE);
	u64 to = ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE);

	return space_map_user(s, from, image_hpa + ALIGN_DOWN(p->offset, PAGE_SIZE), to - from,
			      MMU_R | (p->flags & PF_X ? MMU_X : 0));
}

static enum err map_copy(struct space *s, const struct elf_segment *p)
{
	u64 from = ALIGN_DOWN(p->vaddr, PAGE_SIZE);
	u64 to = ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE);
	enum err e = space_add_user(s, from, to - from, MMU_R | MMU_W);

	if (e == OK)
		space_copy_in(s, p->vaddr, image + p->offset, p->filesz);
	return e;
}

enum err monitor_map(struct space *s)
{
	for (u32 i = 0; i < header->phnum; i++) {
		const struct elf_segment *p = &segments[i];
		enum err e;

		if (p->type != PT_LOAD || !p->memsz)
			continue;
		e = p->flags & PF_W ? map_copy(s, p) : map_shared(s, p);
		if (e != OK)
			return e;
	}
	return OK;
}
