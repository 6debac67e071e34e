/*
 * Names for kernel addresses, for panics and stack dumps.
 *
 * The table is written by tools/symtab.py at build time and handed over by
 * the loader (boot_info.symbols_base, kept memory). All numbers are u32:
 *
 *	magic "SYMS", count, names_size,
 *	count offsets from KERNEL_BASE in rising order,
 *	count offsets into the names,
 *	names_size bytes of NUL-terminated names
 *
 * Written once at boot by symbols_init(), read-only afterwards: no lock.
 */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include "arch/types.h"

/*
 * Takes the table at an address that stays mapped. False: it is malformed,
 * and every lookup answers NULL.
 */
bool symbols_init(const void *table, u64 size);

/*
 * The function that holds addr, and how far into it addr points (bytes).
 * NULL, with *offset 0, when there is none: outside the kernel's text, or
 * before symbols_init().
 */
const char *symbol_lookup(u64 addr, u64 *offset);

#endif
