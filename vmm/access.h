/*
 * A guest instruction's access to memory: segment, page tables, then RAM or
 * devices, in up to two pieces where it crosses a page. Opened first (all that
 * can fault does so then), used afterwards.
 */
#ifndef VMM_ACCESS_H
#define VMM_ACCESS_H

#include "kernel/abi.h"
#include "vmm/lib.h"

struct access {
	u32 size;     /* of the whole: 1, 2, 4, 8 */
	u32 count;    /* pieces */
	gpa_t gpa[2]; /* where each begins, */
	u8 *ram[2];   /* that in guest RAM, NULL: a device's */
	u32 first;    /* bytes in the first piece */
};

enum access_kind { ACCESS_READ, ACCESS_WRITE };

/*
 * Opens size bytes at seg:off, which is already cut to the address size. What
 * segments or page tables forbid ends the upcall with #GP, #SS or #PF; when
 * progress was made it commits the registers instead, and the guest meets the
 * fault by itself.
 */
void access_open(struct abi_vcpu *v, u32 seg, u64 off, u32 size, enum access_kind kind,
		 bool progress, struct access *out);

u64 access_read(const struct access *a);
void access_write(const struct access *a, u64 value);

/* Is some byte of it in the page of gpa? */
static inline bool access_touches(const struct access *a, gpa_t gpa)
{
	return (a->gpa[0] ^ gpa) < PAGE_SIZE || (a->count > 1 && (a->gpa[1] ^ gpa) < PAGE_SIZE);
}

#endif
