/*
 * The I/O and MSR permission maps (APM Vol. 2, 15.10 and 15.11): a set bit
 * intercepts. Everything is intercepted, except the MSRs that the VMCB
 * switches and that need no check; all VMs share the two maps, read-only
 * after boot.
 */
#include "arch/kmap.h"
#include "arch/svm/svm.h"
#include "arch/svm/svm_maps.h"

static u8 iopm[SVM_IOPM_SIZE] ALIGNED(4096);
static u8 msrpm[SVM_MSRPM_SIZE] ALIGNED(4096);

/* Switched by VMLOAD and VMSAVE, checked by the processor when written. */
static const u32 passthrough[] = {
#define X(name, number) number,
	SVM_PASSTHROUGH(X)
#undef X
};

bool svm_msrpm_allow(u8 *map, u32 msr)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };

	for (u32 i = 0; i < ARRAY_SIZE(first); i++) {
		if (msr < first[i] || msr >= first[i] + 0x2000)
			continue;
		u32 bit = (msr - first[i]) * 2;
		u8 *byte = map + i * 0x800 + bit / 8;

		*byte &= (u8) ~(3u << bit % 8);
		return true;
	}
	return false;
}

void svm_maps_init(void)
{
	for (u32 i = 0; i < sizeof(iopm); i++)
		iopm[i] = 0xff;
	for (u32 i = 0; i < sizeof(msrpm); i++)
		msrpm[i] = 0xff;
	for (u32 i = 0; i < ARRAY_SIZE(passthrough); i++)
		svm_msrpm_allow(msrpm, passthrough[i]);
}

hpa_t svm_iopm(void)
{
	return kimage_hpa(iopm);
}

hpa_t svm_msrpm(void)
{
	return kimage_hpa(msrpm);
}
