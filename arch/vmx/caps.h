/*
 * What this processor's VT-x can do, and which controls follow from it: Intel
 * SDM Vol. 3D, Appendix A. The capability MSRs are read once, by the boot CPU;
 * the choice of controls is a pure function of them, so that it is tested.
 */
#ifndef ARCH_VMX_CAPS_H
#define ARCH_VMX_CAPS_H

#include "arch/vmx/vmcs.h"

/* Control MSRs as read, the TRUE ones where they exist: the low half are the
 * bits that must be one, the high half those that may be one. */
struct vmx_caps {
	u64 basic, misc;
	u64 pin, proc, proc2, exit, entry; /* proc2 0: no secondary controls */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 ept_vpid; /* 0: neither EPT nor VPID */
	u32 phys_bits;
};

/* The controls that every vCPU starts with. */
struct vmx_controls {
	u32 pin, proc, proc2, exit, entry;
};

void vmx_caps_read(struct vmx_caps *c);

/* False: *why says what this processor lacks. */
bool vmx_choose_controls(const struct vmx_caps *c, struct vmx_controls *out, const char **why);

/* IA32_FEATURE_CONTROL as firmware left it (SDM Vol. 3C, 24.7): VMXON is forbidden for good. */
bool vmx_locked_off(u64 feature_control);
/* What it must be for VMXON: as it is if locked, else with VMX on, and locked. */
u64 vmx_feature_control(u64 feature_control);

/* want, what must be on added, what may not be on dropped. */
u32 vmx_adjust(u64 cap, u32 want);

#endif
