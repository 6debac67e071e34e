/*
 * What the loader's files share: the firmware's tables, the boot_info under
 * construction, and one function or two per file. Everything runs on the boot
 * processor before the kernel, so there is nothing to guard.
 */
#ifndef BOOT_EFI_LOADER_H
#define BOOT_EFI_LOADER_H

#include <efi.h>

#include "arch/types.h"
#include "boot/boot_info.h"

struct loader {
	EFI_HANDLE image;
	EFI_SYSTEM_TABLE *st;
	EFI_BOOT_SERVICES *bs;
	struct boot_info *info; /* NULL until it has been allocated */
};

extern struct loader loader;

/* efi_console.c */

/* One line on the firmware's console and into boot_info.log. */
void say(const char *fmt, ...) PRINTF(1, 2);

/* The same on the console alone: what is worth nothing a moment later. */
void prompt(const char *text);

/* Why Bulkhead does not start: also on COM1 where the console is not there
 * already, and left to be read for some seconds. Returns status. */
EFI_STATUS refuse(EFI_STATUS status, const char *fmt, ...) PRINTF(2, 3);

const char *status_text(EFI_STATUS status);

/* Whether a key is pressed within a quarter of a second (or was before). */
bool key_pressed(void);

/* efi_memory.c */

/* Whole zeroed pages, kind BOOT_MEM_LOADER; NULL: there are none. */
void *pages_take(u64 bytes);
void *pages_take_code(u64 bytes); /* that firmware lets us execute */
void pages_give(void *base, u64 bytes);

/* The same, never given back, of a kind the kernel keeps. */
void *pages_keep(u64 bytes, u32 kind);

/* One page below 1 MiB, for the other CPUs' first instructions; 0: none. */
hpa_t page_below_1m(void);

/* Calls fn for each range of RAM of the firmware's map. False: fn did not
 * want to go on, or there was no map. */
bool memory_each(bool (*fn)(u64 base, u64 size));

/* Bytes that will be free for the pool. */
u64 memory_free(void);

/* Leaves boot services; from then on no firmware function may be called.
 * Fills info->ranges. */
EFI_STATUS memory_leave_firmware(void);

/* efi_cpu.c */

/* EFI_SUCCESS: Bulkhead can run here; else it has been said why not. */
EFI_STATUS cpu_check(void);

/* info->apic_ids, cpu_count, bsp_apic_id */
void cpu_collect(void);

/* efi_files.c: the configuration and every file that it names. */
void files_load(void);
EFI_STATUS volume_open(EFI_FILE_HANDLE *root); /* the one that we were started from */

/* efi_crash.c: a place for the record of a panic, and the last run's. */
void crash_collect(void);

/* efi_kernel.c: copies kernel, monitor and symbols to where they stay. */
EFI_STATUS kernel_load(void);
EFI_STATUS kernel_map(void);	  /* builds the page tables */
NORETURN void kernel_enter(void); /* after memory_leave_firmware() */

/* efi_firmware.c: RSDP, clock, vendor -> info */
void firmware_collect(void);

/* efi_pci.c: no device may write to memory once it is ours. */
void pci_disconnect(void);	 /* while boot services are there */
void pci_stop_bus_masters(void); /* after they are gone */

#endif
