/*
 * The last instructions of the loader: from the firmware's page tables to the
 * kernel's. The code is copied to a page that both map at the same address,
 * so nothing of it may depend on where it was linked.
 */
#ifndef BOOT_EFI_SWITCH_H
#define BOOT_EFI_SWITCH_H

#include "arch/types.h"

extern const u8 switch_code[], switch_code_end[];

/* In it: the flat GDT, and the unaligned u64 that must get its address. */
extern const u8 switch_gdt[], switch_gdt_base[];

/* The shape of the copy's entry; it does not return. stack is the top of a few bytes of RAM. */
typedef void switch_fn(u64 info, u64 root, u64 entry, u64 stack);

#endif
