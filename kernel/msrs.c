/*
 * The MSR allow-list, see msrs.h: Intel SDM Vol. 4 chapter 2, AMD APM Vol. 2
 * appendix A, KVM's clock MSRs from its documented interface. The dearest
 * paths come first: TSC_ADJUST, APIC_BASE, TSC_DEADLINE and the x2APIC range.
 * What an MSR promises must agree with cpuid_allow.h: no speculation
 * controls, no performance counters, no machine-check banks.
 */
#include "kernel/msrs.h"

#include "arch/x86.h"
#include "kernel/control_regs.h"
#include "kernel/cpuid.h"
#include "kernel/lapic.h"

/* Numbers that only guests use; the others are in arch/x86.h. */
enum msr_index {
	MSR_P5_MC_ADDR = 0x0,
	MSR_P5_MC_TYPE = 0x1,
	MSR_KVM_WALL_CLOCK = 0x11,
	MSR_KVM_SYSTEM_TIME = 0x12,
	MSR_PLATFORM_ID = 0x17,
	MSR_PLATFORM_INFO = 0xce,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MTRR_VARIABLE_0 = 0x200,
	MSR_MTRR_FIX64K = 0x250,
	MSR_MTRR_FIX16K_80000 = 0x258,
	MSR_MTRR_FIX16K_A0000 = 0x259,
	MSR_MTRR_FIX4K = 0x268,
	MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00,
	MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01,
	MSR_AMD_NB_CFG = 0xc001001f,
	MSR_AMD_PATCH_LOADER = 0xc0010020,
	MSR_AMD_MMIO_CONF = 0xc0010058,
	MSR_AMD_PSTATE_LIMIT = 0xc0010061,
	MSR_AMD_PSTATE_CONTROL = 0xc0010062,
	MSR_AMD_PSTATE_STATUS = 0xc0010063,
	MSR_AMD_PSTATE_0 = 0xc0010064,
	MSR_AMD_PSTATE_7 = 0xc001006b,
};

const u32 msr_passthrough[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR,		MSR_LSTAR,
	MSR_CSTAR,   MSR_SFMASK,  MSR_SYSENTER_CS,    MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};
const u32 msr_passthrough_count = ARRAY_SIZE(msr_passthrough);

/* Memory types, as MTRRs and PAT number them */
#define TYPE_UC 0u
#define TYPE_WB 6u
#define ALL_WB 0x0606060606060606ull

#define MTRR_CAP (MSR_MTRR_VARIABLE | 0x100 /* fixed */ | 0x400 /* WC */)
#define MTRR_DEF_FIXED BIT(10)
#define MTRR_DEF_ENABLE BIT(11)
#define MTRR_MASK_VALID BIT(11)

#define FEATURE_CONTROL_LOCK BIT(0)

#define MISC_FAST_STRINGS BIT(0)
#define MISC_NO_BTS BIT(11)
#define MISC_NO_PEBS BIT(12)

#define HWCR_SMM_LOCK BIT(0)
#define HWCR_TSC_FREQ_SEL BIT(24)
/* What old and new kernels switch for workarounds, to no effect here:
 * TLB cache and flush filter disables, IGNNE emulation, MC status writes. */
#define HWCR_WRITABLE (BIT(3) | BIT(6) | BIT(8) | BIT(18))
#define NB_CFG_EXT_CFG BIT(46)
#define DE_CFG_LFENCE BIT(1)

/* ----------------------------------------------------------------- reset */

/* P-state 0 in the encoding of family 17h: 25 MHz * FID / (DID / 8). */
static u64 pstate_of(u32 family, u64 tsc_hz)
{
	u64 fid = tsc_hz / 25000000;

	if (family < 0x17 || family > 0x19 || fid < 0x10 || fid > 0xff)
		return 0;
	return BIT(63) | 8 << 8 | fid;
}

void msr_reset(struct msr_state *s, const struct msr_params *p)
{
	u64 hole = GIB(3), hole_size = GIB(1);

	*s = (struct msr_state){
		.vendor = p->vendor,
		.family = p->family,
		.microcode = p->microcode,
		.has_tsc_aux = p->rdtscp,
		.phys_mask = BIT(p->phys_bits) - 1,
		.misc_enable = MISC_FAST_STRINGS | MISC_NO_BTS | MISC_NO_PEBS,
		.feature_control = FEATURE_CONTROL_LOCK,
		.platform_info = MIN(p->tsc_hz / 100000000, 0xffull) << 8,
		.hwcr = HWCR_SMM_LOCK | HWCR_TSC_FREQ_SEL,
		.pstate_def = pstate_of(p->family, p->tsc_hz),
		.mtrr_def_type = MTRR_DEF_ENABLE | MTRR_DEF_FIXED | TYPE_WB,
	};
	/* 64 KiB steps below 512 KiB, 16 KiB below 640 KiB; the VGA window stays
	 * uncached; 4 KiB steps to 1 MiB, which is plain RAM here. */
	for (u32 i = 0; i < MSR_MTRR_FIXED; i++)
		s->mtrr_fixed[i] = i == 2 ? 0 : ALL_WB;
	s->mtrr_base[0] = hole | TYPE_UC;
	s->mtrr_mask[0] = (~(hole_size - 1) & s->phys_mask) | MTRR_MASK_VALID;
}

/* ----------------------------------------------------------------- MTRRs */

/* The fixed-range register's number, or -1. */
static int fixed_index(u32 index)
{
	if (index == MSR_MTRR_FIX64K)
		return 0;
	if (index == MSR_MTRR_FIX16K_80000 || index == MSR_MTRR_FIX16K_A0000)
		return 1 + (int)(index - MSR_MTRR_FIX16K_80000);
	if (index >= MSR_MTRR_FIX4K && index < MSR_MTRR_FIX4K + 8)
		return 3 + (int)(index - MSR_MTRR_FIX4K);
	return -1;
}

static bool mtrr_type_valid(u8 type)
{
	return type <= 6 && type != 2 && type != 3; /* UC WC WT WP WB */
}

static bool pat_type_valid(u8 type)
{
	return type <= 7 && type != 2 && type != 3; /* the same and UC- */
}

static bool types_valid(u64 value, bool (*valid)(u8))
{
	for (u32 i = 0; i < 64; i += 8)
		if (!valid((u8)(value >> i)))
			return false;
	return true;
}

/* Where an MTRR's value lives; NULL: no such MTRR. */
static u64 *mtrr_slot(struct msr_state *s, u32 index)
{
	int fixed = fixed_index(index);
	u32 n = index - MSR_MTRR_VARIABLE_0;

	if (fixed >= 0)
		return &s->mtrr_fixed[fixed];
	if (n < 2 * MSR_MTRR_VARIABLE)
		return n & 1 ? &s->mtrr_mask[n / 2] : &s->mtrr_base[n / 2];
	return index == MSR_MTRR_DEF_TYPE ? &s->mtrr_def_type : NULL;
}

static bool mtrr_valid(const struct msr_state *s, u32 index, u64 value)
{
	if (fixed_index(index) >= 0)
		return types_valid(value, mtrr_type_valid);
	if (index == MSR_MTRR_DEF_TYPE)
		return !(value & ~(MTRR_DEF_ENABLE | MTRR_DEF_FIXED | 0xff)) &&
		       mtrr_type_valid((u8)value);
	if (index & 1) /* a mask */
		return !(value & (~s->phys_mask | 0x7ff));
	return !(value & (~s->phys_mask | 0xf00)) && mtrr_type_valid((u8)value);
}

static enum msr_action mtrr_read(struct msr_state *s, u32 index, u64 *value)
{
	const u64 *slot = mtrr_slot(s, index);

	if (!slot)
		return MSR_GP;
	*value = *slot;
	return MSR_DONE;
}

static enum msr_action mtrr_write(struct msr_state *s, u32 index, u64 value)
{
	u64 *slot = mtrr_slot(s, index);

	if (!slot || !mtrr_valid(s, index, value))
		return MSR_GP;
	*slot = value;
	return MSR_DONE;
}

/* -------------------------------------------------------- vendors' MSRs */

static enum msr_action intel_read(const struct msr_state *s, u32 index, u64 *value)
{
	switch (index) {
	case MSR_PLATFORM_ID: *value = 0; return MSR_DONE;
	case MSR_FEATURE_CONTROL: *value = s->feature_control; return MSR_DONE;
	case MSR_PLATFORM_INFO: *value = s->platform_info; return MSR_DONE;
	case MSR_MISC_ENABLE: *value = s->misc_enable; return MSR_DONE;
	default: return MSR_GP;
	}
}

static enum msr_action intel_write(struct msr_state *s, u32 index, u64 value)
{
	if (index != MSR_MISC_ENABLE || (value ^ s->misc_enable) & ~MISC_FAST_STRINGS)
		return MSR_GP; /* FEATURE_CONTROL is locked, the rest read-only */
	s->misc_enable = value;
	return MSR_DONE;
}

static enum msr_action amd_read(const struct msr_state *s, u32 index, u64 *value)
{
	switch (index) {
	case MSR_AMD_HWCR: *value = s->hwcr; return MSR_DONE;
	case MSR_AMD_DE_CFG: *value = DE_CFG_LFENCE; return MSR_DONE;
	case MSR_AMD_NB_CFG: *value = s->nb_cfg; return MSR_DONE;
	case MSR_AMD_PSTATE_0: *value = s->pstate_def; return MSR_DONE;
	case MSR_AMD_SYSCFG:
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_MMIO_CONF:
	case MSR_AMD_PSTATE_LIMIT:
	case MSR_AMD_PSTATE_CONTROL:
	case MSR_AMD_PSTATE_STATUS:
	case MSR_AMD_PSTATE_0 + 1 ... MSR_AMD_PSTATE_7:
	case MSR_AMD_DC_CFG: *value = 0; return MSR_DONE;
	default: return MSR_GP;
	}
}

static enum msr_action amd_write(struct msr_state *s, u32 index, u64 value)
{
	switch (index) {
	case MSR_AMD_HWCR:
		if ((value ^ s->hwcr) & ~HWCR_WRITABLE)
			return MSR_GP;
		s->hwcr = value;
		return MSR_DONE;
	case MSR_AMD_NB_CFG:
		if (value & ~NB_CFG_EXT_CFG)
			return MSR_GP;
		s->nb_cfg = value;
		return MSR_DONE;
	case MSR_AMD_DE_CFG: return value == DE_CFG_LFENCE ? MSR_DONE : MSR_GP;
	case MSR_AMD_PATCH_LOADER: return MSR_DONE; /* nothing is loaded; 0x8B shows it */
	case MSR_AMD_SYSCFG:
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_MMIO_CONF:
	case MSR_AMD_PSTATE_CONTROL:
	case MSR_AMD_DC_CFG: return value ? MSR_GP : MSR_DONE;
	default: return MSR_GP;
	}
}

/* ------------------------------------------------------------ everybody's */

enum msr_action msr_read(struct msr_state *s, u32 index, u64 *value)
{
	if (index == MSR_TSC_ADJUST) {
		*value = s->tsc_adjust;
		return MSR_DONE;
	}
	if (index == MSR_APIC_BASE || index == MSR_TSC_DEADLINE ||
	    index - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST)
		return MSR_LAPIC;
	switch (index) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_EFER:
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SFMASK:
	case MSR_SYSENTER_CS:
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
	case MSR_TSC:
	case MSR_PAT: return MSR_STATE;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW: return MSR_MONITOR;
	case MSR_TSC_AUX: *value = s->tsc_aux; return s->has_tsc_aux ? MSR_DONE : MSR_GP;
	case MSR_BIOS_SIGN_ID: *value = s->microcode; return MSR_DONE;
	case MSR_MTRR_CAP: *value = MTRR_CAP; return MSR_DONE;
	case MSR_P5_MC_ADDR:
	case MSR_P5_MC_TYPE:
	case MSR_MCG_CAP: /* no banks */
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL: *value = 0; return MSR_DONE;
	default: break;
	}
	if (mtrr_slot(s, index))
		return mtrr_read(s, index, value);
	if (s->vendor == CPUID_VENDOR_INTEL)
		return intel_read(s, index, value);
	return s->vendor == CPUID_VENDOR_AMD ? amd_read(s, index, value) : MSR_GP;
}

enum msr_action msr_write(struct msr_state *s, u32 index, u64 value)
{
	if (index == MSR_TSC_ADJUST) {
		if (value == s->tsc_adjust)
			return MSR_DONE;
		s->tsc_adjust = value;
		return MSR_SET_TSC;
	}
	if (index == MSR_APIC_BASE || index == MSR_TSC_DEADLINE ||
	    index - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST)
		return MSR_LAPIC;
	switch (index) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP: return is_canonical(value) ? MSR_STATE : MSR_GP;
	case MSR_EFER:
	case MSR_STAR:
	case MSR_SYSENTER_CS: return MSR_STATE;
	case MSR_SFMASK: return value >> 32 ? MSR_GP : MSR_STATE;
	case MSR_TSC: return MSR_SET_TSC;
	case MSR_PAT: return types_valid(value, pat_type_valid) ? MSR_STATE : MSR_GP;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW: return MSR_MONITOR;
	case MSR_TSC_AUX:
		if (!s->has_tsc_aux || value >> 32)
			return MSR_GP;
		s->tsc_aux = value;
		return MSR_SET_AUX;
	case MSR_BIOS_SIGN_ID: return MSR_DONE; /* Intel's way to ask for the revision */
	case MSR_P5_MC_ADDR:
	case MSR_P5_MC_TYPE:
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL: return value ? MSR_GP : MSR_DONE;
	default: break;
	}
	if (mtrr_slot(s, index))
		return mtrr_write(s, index, value);
	if (s->vendor == CPUID_VENDOR_INTEL)
		return intel_write(s, index, value);
	return s->vendor == CPUID_VENDOR_AMD ? amd_write(s, index, value) : MSR_GP;
}
