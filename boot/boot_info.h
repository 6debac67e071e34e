/*
 * What the UEFI loader hands to the kernel: one structure, in memory of type
 * BOOT_MEM_LOADER, reached through the loader's identity mapping (the lower
 * half maps all RAM 1:1 until main() drops it).
 *
 * Entry contract (boot/entry.S): long mode, interrupts off, RDI = the
 * physical (= identity-mapped) address of struct boot_info, CR3 = the
 * loader's tables: identity map of all RAM and of the first 4 GiB in the
 * lower half, the kernel image at KERNEL_BASE with W^X and NX.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "arch/types.h"

#define BOOT_MAGIC 0x4b4c5542 /* "BULK" */
#define BOOT_VERSION 2
#define BOOT_MAX_RANGES 512
#define BOOT_MAX_CPUS 256
#define BOOT_MAX_FILES 64
#define BOOT_LOG_SIZE 8192

/* Kinds of memory after ExitBootServices; sorted, page-aligned, no overlaps. */
enum boot_mem {
	BOOT_MEM_FREE = 1, /* conventional and boot-services memory: the pool */
	BOOT_MEM_LOADER,   /* boot_info, which is kept, and loader page tables: see main.c */
	BOOT_MEM_KERNEL,   /* the kernel's image */
	BOOT_MEM_FILE,	   /* monitor image, symbols and files from the ESP: kept */
	BOOT_MEM_ACPI,	   /* ACPI reclaim: kept readable */
	BOOT_MEM_RESERVED, /* runtime services, NVS, MMIO: never touched */
};

struct boot_range {
	hpa_t base;
	u64 size;
	u32 kind; /* enum boot_mem */
	u32 pad;
};

/* A file kept in memory: page-aligned, the tail of its last page zeroed. */
struct boot_file {
	char path[128]; /* as the config spells it */
	hpa_t base;
	u64 size; /* bytes; 0 with missing set when it could not be loaded */
	u32 missing;
	char why[92]; /* then: what the firmware said, for the complaint */
};

struct boot_info {
	u32 magic, version;
	u32 range_count, cpu_count, file_count;
	u32 skip_autostart; /* a key was pressed at boot: start no VM */
	hpa_t rsdp;	    /* 0: the machine has no ACPI tables */
	hpa_t trampoline;   /* one free page below 1 MiB for AP start-up */
	hpa_t kernel_phys;  /* of KERNEL_BASE; the image is physically contiguous */
	u64 kernel_size;
	hpa_t monitor_base; /* the monitor's ELF image */
	u64 monitor_size;
	hpa_t symbols_base; /* the kernel's symbol table (tools/symtab.py) */
	u64 symbols_size;
	hpa_t config_base; /* bulkhead.toml, NUL-terminated; 0: none */
	u64 config_size;   /* without the NUL */
	char config_path[64];
	hpa_t crash_area; /* CRASHLOG_SIZE bytes for the record of a panic; 0: none */
	hpa_t crash_text; /* what the last run left in it; 0: nothing */
	u64 crash_len;
	s64 wall_time;	   /* seconds since 1970 UTC, from the firmware's clock; 0 unknown */
	u64 wall_time_tsc; /* RDTSC when wall_time was read */
	char firmware[64]; /* vendor and revision, for the boot log */
	u32 bsp_apic_id;
	u32 log_len;
	u32 apic_ids[BOOT_MAX_CPUS]; /* enabled CPUs by MP services; cpu_count 0: unknown */
	struct boot_range ranges[BOOT_MAX_RANGES];
	struct boot_file files[BOOT_MAX_FILES];
	char log[BOOT_LOG_SIZE]; /* what the loader said, replayed into the kernel's log */
};

#endif
