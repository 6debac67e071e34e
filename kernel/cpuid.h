/*
 * CPUID as a VM sees it: built once per VM from the host's by allow-list
 * masks (what is not named is 0), then looked up by direct index. What
 * depends on the vCPU's state (APIC id, OSXSAVE, XSAVE size) is patched into
 * the answer. Intel SDM Vol. 2A "CPUID", AMD APM Vol. 3 appendix E.
 * A table is read-only after cpuid_build.
 */
#ifndef KERNEL_CPUID_H
#define KERNEL_CPUID_H

#include "arch/types.h"

enum cpuid_vendor { CPUID_VENDOR_OTHER, CPUID_VENDOR_INTEL, CPUID_VENDOR_AMD };

/* Registers in the order of the arrays r[4]. */
enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

#define CPUID_BASIC_LEAVES 0x20
#define CPUID_HV_LEAVES 2
#define CPUID_EXT_LEAVES 0x22
#define CPUID_CACHE_LEAVES 8
#define CPUID_XSAVE_LEAVES 10 /* components 0..9 */

struct cpuid_params {
	void (*host)(u32 leaf, u32 sub, u32 r[4]); /* the host's CPUID */
	u32 vcpus;				   /* APIC ids are 0 .. vcpus - 1 */
	u32 phys_bits;	    /* guest-physical address width; at most the host's is shown */
	u64 tsc_hz;	    /* guest TSC */
	bool invariant_tsc; /* the host's TSC is invariant (or is known to be) */
	bool pcid;	    /* the vendor code lets PCID and INVPCID through */
	bool tsc_aux;	    /* it switches TSC_AUX: RDTSCP and RDPID may be shown */
	u64 xcr0_allowed;   /* XCR0 bits the kernel switches; masked by ours and the host's */
};

struct cpuid_table {
	u32 max_basic, max_ext;
	u32 vendor;	/* enum cpuid_vendor */
	u32 dynamic;	/* bit n: basic leaf n needs cpuid_patch */
	u32 indexed;	/* bit n: basic leaf n has subleaves */
	u64 xcr0;	/* what XCR0 may hold: XSETBV's mask */
	u64 cr4;	/* CR4 bits that go with the features shown: for cr4_valid */
	u64 efer;	/* likewise EFER bits: for efer_valid */
	u32 topo_shift; /* APIC id bits below the package */
	u32 apic_ids;	/* vcpus */
	u32 basic[CPUID_BASIC_LEAVES][4];
	u32 hv[CPUID_HV_LEAVES][4];
	u32 ext[CPUID_EXT_LEAVES][4];
	u32 leaf4[CPUID_CACHE_LEAVES][4]; /* Intel's caches */
	u32 leaf7[3][4];
	u32 topo[3][4];			  /* 0xB and 0x1F */
	u32 xsave[CPUID_XSAVE_LEAVES][4]; /* 0xD */
	u32 cache[CPUID_CACHE_LEAVES][4]; /* 0x8000001D, AMD's caches */
};

/* What the vCPU's state adds. */
struct cpuid_dynamic {
	u64 cr4, xcr0;
	u32 apic_id;
	bool apic_enabled; /* lapic_hw_enabled() */
};

void cpuid_build(struct cpuid_table *t, const struct cpuid_params *p);

/* Returns true when the answer needs cpuid_patch. */
bool cpuid_lookup(const struct cpuid_table *t, u32 leaf, u32 sub, u32 r[4]);
void cpuid_patch(const struct cpuid_table *t, u32 leaf, u32 sub, const struct cpuid_dynamic *d,
		 u32 r[4]);

/* Is `value` a legal XCR0 for XSETBV(0) here? Else #GP. */
bool cpuid_xcr0_valid(const struct cpuid_table *t, u64 value);

#endif
