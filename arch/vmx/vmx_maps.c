/*
 * The I/O and MSR permission bitmaps (Intel SDM Vol. 3C, 25.6.4 and 25.6.9): a
 * set bit exits. Every port does, and every MSR but those that the VMCS or
 * arch/vmx switches and that need no check; all VMs share them, read-only
 * after boot. The system-call MSRs are read freely, but a write exits: so
 * their values are known and need not be read back at each switch.
 */
#include "arch/kmap.h"
#include "arch/vmx/vmx.h"
#include "arch/vmx/vmx_maps.h"
#include "arch/x86.h"

static u8 io_bitmap[2][4096] ALIGNED(4096);
static u8 msr_bitmap[4096] ALIGNED(4096);

static const struct {
	u32 msr;
	u8 access; /* VMX_MSR_* */
} passthrough[] = {
#define X(name, number, access) { number, access },
	VMX_PASSTHROUGH(X)
#undef X
};

bool vmx_msr_allow(u8 *map, u32 msr, u32 access)
{
	u32 at = msr < 0x2000 ? 0 : 0x400;
	u32 bit = msr & 0x1fff;

	if (msr >= 0x2000 && (msr < 0xc0000000 || msr >= 0xc0002000))
		return false;
	if (access & VMX_MSR_READ)
		map[at + bit / 8] &= (u8) ~(1u << bit % 8);
	if (access & VMX_MSR_WRITE)
		map[0x800 + at + bit / 8] &= (u8) ~(1u << bit % 8);
	return true;
}

void vmx_maps_init(void)
{
	for (u32 i = 0; i < sizeof(msr_bitmap); i++)
		io_bitmap[0][i] = io_bitmap[1][i] = msr_bitmap[i] = 0xff;
	for (u32 i = 0; i < ARRAY_SIZE(passthrough); i++)
		vmx_msr_allow(msr_bitmap, passthrough[i].msr, passthrough[i].access);
}

hpa_t vmx_io_bitmap(u32 half)
{
	return kimage_hpa(io_bitmap[half]);
}

hpa_t vmx_msr_bitmap(void)
{
	return kimage_hpa(msr_bitmap);
}
