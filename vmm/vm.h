/*
 * This VM as its monitor sees it: the VM page, the vCPU whose upcall runs,
 * guest RAM and time. Guest memory may change at any moment under its reader:
 * read each value once, check it, then use that copy.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "kernel/abi.h"
#include "vmm/lib.h"

extern const struct abi_vm *vm; /* read-only page */
extern struct abi_vcpu *vcpu;	/* shared page of the upcall that runs now */
extern u8 *guest_base;		/* where guest-physical 0 is mapped */

/* Guest RAM [gpa, gpa + len) if it lies wholly in RAM, else NULL. len > 0 */
static inline u8 *guest_ptr(gpa_t gpa, u64 len)
{
	u64 low = vm->ram_low, high = vm->ram_high;

	if (likely(len <= low && gpa <= low - len))
		return guest_base + gpa;
	if (gpa >= ABI_RAM_HIGH_BASE && len <= high && gpa - ABI_RAM_HIGH_BASE <= high - len)
		return guest_base + gpa;
	return NULL;
}

/* Guest RAM as single loads and stores: each value is read once. */
struct guest_word {
	union {
		u16 w16;
		u32 w32;
		u64 w64;
	} PACKED;
} PACKED;

static inline u64 guest_read64(const u8 *p)
{
	return ((const volatile struct guest_word *)p)->w64;
}

static inline u32 guest_read32(const u8 *p)
{
	return ((const volatile struct guest_word *)p)->w32;
}

static inline u16 guest_read16(const u8 *p)
{
	return ((const volatile struct guest_word *)p)->w16;
}

static inline void guest_write64(u8 *p, u64 value)
{
	((volatile struct guest_word *)p)->w64 = value;
}

static inline void guest_write32(u8 *p, u32 value)
{
	((volatile struct guest_word *)p)->w32 = value;
}

static inline void guest_write16(u8 *p, u16 value)
{
	((volatile struct guest_word *)p)->w16 = value;
}

ns_t vm_now(void);   /* guest time */
u64 guest_tsc(void); /* what the guest's RDTSC reads now */

#endif
