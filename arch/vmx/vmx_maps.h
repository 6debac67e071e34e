/* Layout of the permission bitmaps: Intel SDM Vol. 3C, 25.6.9. */
#ifndef ARCH_VMX_VMX_MAPS_H
#define ARCH_VMX_VMX_MAPS_H

#include "arch/types.h"

#define VMX_MSR_READ 1u
#define VMX_MSR_WRITE 2u

/* The MSRs that a guest accesses without an exit. */
#define VMX_PASSTHROUGH(X) \
	X(STAR, 0xc0000081, VMX_MSR_READ) \
	X(LSTAR, 0xc0000082, VMX_MSR_READ) \
	X(CSTAR, 0xc0000083, VMX_MSR_READ) \
	X(SFMASK, 0xc0000084, VMX_MSR_READ) \
	X(FS_BASE, 0xc0000100, VMX_MSR_READ | VMX_MSR_WRITE) \
	X(GS_BASE, 0xc0000101, VMX_MSR_READ | VMX_MSR_WRITE) \
	X(KERNEL_GS_BASE, 0xc0000102, VMX_MSR_READ | VMX_MSR_WRITE) \
	X(SYSENTER_CS, 0x174, VMX_MSR_READ | VMX_MSR_WRITE) \
	X(SYSENTER_ESP, 0x175, VMX_MSR_READ | VMX_MSR_WRITE) \
	X(SYSENTER_EIP, 0x176, VMX_MSR_READ | VMX_MSR_WRITE)

/* Clear the bits of the accesses named. False: msr is in neither range. */
bool vmx_msr_allow(u8 *map, u32 msr, u32 access);

#endif
