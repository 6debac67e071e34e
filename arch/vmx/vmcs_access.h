/*
 * VMX instructions: Intel SDM Vol. 3C, chapter 31. VMREAD and VMWRITE are of
 * the VMCS that is current on this CPU. Unit tests put a fake in its place.
 */
#ifndef ARCH_VMX_VMCS_ACCESS_H
#define ARCH_VMX_VMCS_ACCESS_H

#include "arch/vmx/vmcs.h"

static inline u64 vmread(u64 field)
{
	u64 value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

/* 0 when this processor does not have the field. */
static inline u64 vmread_safe(u64 field)
{
	u64 value = 0;

	__asm__ volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
	return value;
}

static inline void vmwrite(u64 field, u64 value)
{
	__asm__ volatile("vmwrite %1, %0" ::"r"(field), "r"(value) : "cc", "memory");
}

/* False: the processor refused it. */
static inline bool vmxon(hpa_t region)
{
	bool ok;

	__asm__ volatile("vmxon %1\n\tseta %0" : "=r"(ok) : "m"(region) : "cc", "memory");
	return ok;
}

static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
}

static inline bool vmclear(hpa_t vmcs)
{
	bool ok;

	__asm__ volatile("vmclear %1\n\tseta %0" : "=r"(ok) : "m"(vmcs) : "cc", "memory");
	return ok;
}

static inline bool vmptrld(hpa_t vmcs)
{
	bool ok;

	__asm__ volatile("vmptrld %1\n\tseta %0" : "=r"(ok) : "m"(vmcs) : "cc", "memory");
	return ok;
}

struct vmx_inv {
	u64 what, address;
};

#define INV_SINGLE 1ull
#define INV_ALL 2ull

static inline void invept(u64 type, u64 eptp)
{
	struct vmx_inv d = { eptp, 0 };

	__asm__ volatile("invept %0, %1" ::"m"(d), "r"(type) : "cc", "memory");
}

static inline void invvpid(u64 type, u16 vpid)
{
	struct vmx_inv d = { vpid, 0 };

	__asm__ volatile("invvpid %0, %1" ::"m"(d), "r"(type) : "cc", "memory");
}

#endif
