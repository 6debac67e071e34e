/* Layout of the permission maps: APM Vol. 2, 15.10.1 and 15.11. */
#ifndef ARCH_SVM_SVM_MAPS_H
#define ARCH_SVM_SVM_MAPS_H

#include "arch/types.h"

#define SVM_IOPM_SIZE (3 * 4096)
#define SVM_MSRPM_SIZE (2 * 4096)

/* The MSRs that a guest reads and writes without an exit. */
#define SVM_PASSTHROUGH(X) \
	X(STAR, 0xc0000081) \
	X(LSTAR, 0xc0000082) \
	X(CSTAR, 0xc0000083) \
	X(SFMASK, 0xc0000084) \
	X(FS_BASE, 0xc0000100) \
	X(GS_BASE, 0xc0000101) \
	X(KERNEL_GS_BASE, 0xc0000102) \
	X(SYSENTER_CS, 0x174) \
	X(SYSENTER_ESP, 0x175) \
	X(SYSENTER_EIP, 0x176)

/* Clear both of msr's bits. False: msr is in none of the map's three ranges. */
bool svm_msrpm_allow(u8 *map, u32 msr);

#endif
