/*
 * Multiboot 1 structures as they stand in files and in guest memory
 * (Multiboot Specification 0.6.96, 3.1 and 3.3), and the parts of ELF that a
 * loader reads (System V gABI, chapters 4 and 5). Little-endian, unaligned.
 */
#ifndef VMM_MULTIBOOT_H
#define VMM_MULTIBOOT_H

#include "kernel/abi.h"
#include "vmm/lib.h"

#define MB_HEADER_SEARCH 8192u /* the header lies in these bytes, 4-byte aligned */
#define MB_HEADER_MAGIC 0x1badb002u
#define MB_ENTRY_MAGIC 0x2badb002u

/* Header flags; of bits 0 to 15, those not named here must be refused. */
#define MB_PAGE_ALIGN 0x1u
#define MB_MEMORY 0x2u
#define MB_VIDEO 0x4u
#define MB_MUST_KNOW 0xffffu
#define MB_ADDRESSES 0x10000u

struct PACKED mb_header {
	u32 magic, flags, checksum;
	/* with MB_ADDRESSES: physical */
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define MB_HEADER_SHORT 12u /* without the addresses */

/* Information flags: which fields are valid */
#define MB_INFO_MEMORY 0x1u
#define MB_INFO_CMDLINE 0x4u
#define MB_INFO_MODULES 0x8u
#define MB_INFO_MMAP 0x40u
#define MB_INFO_LOADER_NAME 0x200u

struct PACKED mb_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB on */
	u32 boot_device, cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
	u32 drives_length, drives_addr, config_table;
	u32 boot_loader_name, apm_table;
	u32 video[11]; /* VBE and framebuffer: never valid */
};

struct PACKED mb_module {
	u32 start, end, string, reserved;
};

struct PACKED mb_mmap {
	u32 size; /* of what follows */
	u64 base, length;
	u32 type;
};

_Static_assert(sizeof(struct mb_info) == 116, "Multiboot 0.6.96");
_Static_assert(sizeof(struct mb_mmap) == 24, "Multiboot 0.6.96");

#define ELF_MAGIC "\177ELF"
#define ELF_CLASS32 1u
#define ELF_CLASS64 2u
#define ELF_LSB 1u
#define ELF_EXEC 2u
#define ELF_386 3u
#define ELF_X86_64 62u
#define ELF_PT_LOAD 1u

struct PACKED elf_ident {
	u8 magic[4], class, data, version, pad[9];
	u16 type, machine;
};

struct PACKED elf32_header {
	struct elf_ident id;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct PACKED elf64_header {
	struct elf_ident id;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct PACKED elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct PACKED elf64_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct elf32_header) == 52 && sizeof(struct elf32_segment) == 32, "gABI");
_Static_assert(sizeof(struct elf64_header) == 64 && sizeof(struct elf64_segment) == 56, "gABI");

#endif
