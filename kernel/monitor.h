/*
 * The monitor's program: one ELF image, kept where the loader put it. Its
 * read-only segments are shared by all VMs; each VM gets its own copy of the
 * writable ones.
 */
#ifndef KERNEL_MONITOR_H
#define KERNEL_MONITOR_H

#include "kernel/space.h"

/* image: mapped readable for good; hpa: the same, physical. Panics on an image
 * that is not ours: it came in one file with the kernel. */
void monitor_init(const void *image, hpa_t hpa, u64 size);

/* Map the program into a VM's space; ERR_NOMEM. */
enum err monitor_map(struct space *s) MUST_CHECK;

u64 monitor_entry(void);

#endif
