/*
 * The model-specific registers a VM sees: an allow-list, all others #GP on
 * read and on write. Values that are only remembered live in struct
 * msr_state; the rest is somebody else's, and the action says whose. Intel
 * SDM Vol. 4, AMD APM Vol. 2 appendix A. Pure functions over the state, which
 * belongs to its vCPU and holds no pointers (snapshots copy it).
 */
#ifndef KERNEL_MSRS_H
#define KERNEL_MSRS_H

#include "arch/types.h"

enum msr_action {
	MSR_GP,	     /* inject #GP(0); nothing changed */
	MSR_DONE,    /* done; for a read, the value is there */
	MSR_MONITOR, /* forward to the monitor: the paravirtual clock */
	MSR_STATE,   /* in the vCPU's hardware state: arch/hv.h's HV_MSRS, and reads of the
			TSC. A value to be written was checked already (canonical, PAT's
			types), but EFER's: efer_valid */
	MSR_LAPIC,   /* lapic_msr_read, lapic_msr_write */
	MSR_SET_TSC, /* a write moved the guest's TSC. TSC_ADJUST: .tsc_adjust is set
			already; IA32_TSC: the caller adds (value - guest TSC now) to
			.tsc_adjust. Then the TSC offset follows .tsc_adjust */
	MSR_SET_AUX, /* a write: .tsc_aux is set already; the CPU's register follows, now
			and whenever the vCPU is loaded */
};

#define MSR_MTRR_VARIABLE 8
#define MSR_MTRR_FIXED 11

struct msr_params {
	u32 vendor; /* enum cpuid_vendor */
	u32 family; /* CPUID display family */
	u64 tsc_hz;
	u64 microcode; /* the host's MSR 0x8B, as read */
	u32 phys_bits; /* guest-physical address width */
	bool rdtscp;   /* TSC_AUX exists */
};

struct msr_state {
	u64 tsc_adjust; /* guest TSC = host TSC + the VM's offset + this */
	u64 tsc_aux;
	u64 mtrr_def_type;
	u64 mtrr_fixed[MSR_MTRR_FIXED];
	u64 mtrr_base[MSR_MTRR_VARIABLE], mtrr_mask[MSR_MTRR_VARIABLE];
	u64 misc_enable;     /* Intel */
	u64 feature_control; /* Intel */
	u64 microcode;
	u64 platform_info; /* Intel */
	u64 hwcr, nb_cfg;  /* AMD */
	u64 pstate_def;	   /* AMD: P-state 0 */
	u64 phys_mask;	   /* valid address bits */
	u32 vendor, family;
	u8 has_tsc_aux;
};

/* Power-on values, MTRRs as firmware would leave them: write-back by default,
 * uncached from 3 to 4 GiB and in the VGA window. */
void msr_reset(struct msr_state *s, const struct msr_params *p);

enum msr_action msr_read(struct msr_state *s, u32 index, u64 *value) MUST_CHECK;
enum msr_action msr_write(struct msr_state *s, u32 index, u64 value) MUST_CHECK;

/* MSRs whose values the vendor code switches with the guest (VMCB/VMCS save
 * area): its permission map may let them through, both ways. On SVM all of
 * them; what VMX lacks there, its code filters. */
extern const u32 msr_passthrough[];
extern const u32 msr_passthrough_count;

#endif
