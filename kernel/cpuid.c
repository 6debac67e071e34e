/*
 * A VM's CPUID table, see cpuid.h: lookup by leaf and subleaf, what a vCPU's
 * state adds to an answer, and which XCR0 values go with it. The table is built
 * by cpuid_build.c.
 */
#include "kernel/cpuid_allow.h"

static const u32 zeros[4];

static const u32 *subleaf(const struct cpuid_table *t, u32 leaf, u32 sub)
{
	switch (leaf) {
	case 4: return sub < CPUID_CACHE_LEAVES ? t->leaf4[sub] : zeros;
	case 7: return sub < ARRAY_SIZE(t->leaf7) ? t->leaf7[sub] : zeros;
	case 0xd: return sub < CPUID_XSAVE_LEAVES ? t->xsave[sub] : zeros;
	default: return sub < ARRAY_SIZE(t->topo) ? t->topo[sub] : zeros;
	}
}

/* A leaf beyond the last: Intel's processors answer with the highest basic one. */
static u32 leaf_effective(const struct cpuid_table *t, u32 leaf)
{
	if (leaf <= t->max_basic || (leaf >= EXT && leaf <= t->max_ext) || leaf >> 28 == HV >> 28)
		return leaf;
	return t->vendor == CPUID_VENDOR_INTEL ? t->max_basic : leaf;
}

bool cpuid_lookup(const struct cpuid_table *t, u32 leaf, u32 sub, u32 r[4])
{
	if (likely(leaf <= t->max_basic)) {
		const u32 *e = t->basic[leaf];

		if (t->indexed >> leaf & 1)
			e = subleaf(t, leaf, sub);
		cpuid_copy(r, e);
		return t->dynamic >> leaf & 1;
	}
	if (leaf >= EXT && leaf <= t->max_ext) {
		u32 n = leaf - EXT;

		if (n == 0x1d)
			cpuid_copy(r, sub < CPUID_CACHE_LEAVES ? t->cache[sub] : zeros);
		else
			cpuid_copy(r, t->ext[n]);
		return n == 1 || n == 0x1e;
	}
	if (leaf - HV < CPUID_HV_LEAVES) {
		cpuid_copy(r, t->hv[leaf - HV]);
		return false;
	}
	if (leaf_effective(t, leaf) != leaf)
		return cpuid_lookup(t, t->max_basic, sub, r);
	cpuid_copy(r, zeros);
	return false;
}

/* Bytes that XSAVE (compact: XSAVEC) needs for the components in xcr0. */
static u32 xsave_size(const struct cpuid_table *t, u64 xcr0, bool compact)
{
	u32 end = 576;

	for (u32 i = 2; i < CPUID_XSAVE_LEAVES; i++) {
		const u32 *x = t->xsave[i];

		if (!(xcr0 & BIT(i)))
			continue;
		if (!compact)
			end = MAX(end, x[CPUID_EAX] + x[CPUID_EBX]);
		else
			end = (x[CPUID_ECX] & 2 ? (u32)ALIGN_UP(end, 64) : end) + x[CPUID_EAX];
	}
	return end;
}

void cpuid_patch(const struct cpuid_table *t, u32 leaf, u32 sub, const struct cpuid_dynamic *d,
		 u32 r[4])
{
	switch (leaf_effective(t, leaf)) {
	case 1:
		r[CPUID_EBX] |= (d->apic_id & 0xff) << 24;
		if (d->cr4 & BIT(18))
			r[CPUID_ECX] |= L1C_OSXSAVE;
		if (!d->apic_enabled)
			r[CPUID_EDX] &= ~L1D_APIC;
		return;
	case 0xb:
	case 0x1f:
		if (sub >= ARRAY_SIZE(t->topo) - 1)
			r[CPUID_ECX] = sub & 0xff;
		r[CPUID_EDX] = d->apic_id;
		return;
	case 0xd:
		if (!t->xcr0)
			return;
		if (sub == 0)
			r[CPUID_EBX] = xsave_size(t, d->xcr0, false);
		else if (sub == 1 && r[CPUID_EAX] & LD1A_XSAVEC)
			r[CPUID_EBX] = xsave_size(t, d->xcr0, true);
		return;
	case EXT + 1:
		if (!d->apic_enabled)
			r[CPUID_EDX] &= ~L1D_APIC;
		return;
	case EXT + 0x1e:
		if (!(t->ext[1][CPUID_ECX] & E1C_TOPOEXT))
			return;
		r[CPUID_EAX] = d->apic_id;
		r[CPUID_EBX] = d->apic_id & 0xff; /* core id; one thread per core */
		return;
	default: return;
	}
}

bool cpuid_xcr0_valid(const struct cpuid_table *t, u64 value)
{
	if (value & ~t->xcr0 || !(value & XCR0_X87))
		return false;
	if (value & XCR0_AVX && !(value & XCR0_SSE))
		return false;
	if (!(value & XCR0_AVX512))
		return true;
	return (value & XCR0_AVX512) == XCR0_AVX512 && value & XCR0_AVX;
}
