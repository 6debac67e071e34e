/*
 * Builds a VM's CPUID table from the host's CPUID (cpuid.h): masks by the
 * allow-list (cpuid_allow.h), what our LAPIC and entry code add on any host,
 * topology and caches, and the CR4 and EFER bits that go with all of it.
 */
#include "kernel/cpuid_allow.h"

static u32 host_reg(const struct cpuid_params *p, u32 leaf, u32 sub, enum cpuid_reg reg)
{
	u32 r[4];

	p->host(leaf, sub, r);
	return r[reg];
}

static enum cpuid_vendor vendor_of(const u32 r[4])
{
	if (r[CPUID_EBX] == 0x756e6547) /* Genu */
		return CPUID_VENDOR_INTEL;
	if (r[CPUID_EBX] == 0x68747541 || r[CPUID_EBX] == 0x6f677948) /* Auth, Hygo */
		return CPUID_VENDOR_AMD;
	return CPUID_VENDOR_OTHER;
}

static void mask(u32 r[4], u32 a, u32 b, u32 c, u32 d)
{
	r[CPUID_EAX] &= a;
	r[CPUID_EBX] &= b;
	r[CPUID_ECX] &= c;
	r[CPUID_EDX] &= d;
}

/* The XCR0 bits a guest may set: what host and kernel have, AVX-512 in one piece. */
static u64 xcr0_mask(const struct cpuid_params *p, u32 host_max)
{
	u64 bits;

	if (host_max < 0xd || !(host_reg(p, 1, 0, CPUID_ECX) & L1C_XSAVE))
		return 0;
	bits = host_reg(p, 0xd, 0, CPUID_EAX) & p->xcr0_allowed;
	bits &= XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;
	if ((bits & (XCR0_X87 | XCR0_SSE)) != (XCR0_X87 | XCR0_SSE))
		return 0;
	if (!(bits & XCR0_AVX) || (bits & XCR0_AVX512) != XCR0_AVX512)
		bits &= ~XCR0_AVX512;
	return bits;
}

static void build_leaf1(struct cpuid_table *t, const struct cpuid_params *p)
{
	u32 *r = t->basic[1], drop = 0, logical = 1u << t->topo_shift;

	p->host(1, 0, r);
	if (!t->xcr0)
		drop |= L1C_XSAVE;
	if (!(t->xcr0 & XCR0_AVX))
		drop |= L1C_AVX;
	if (!p->pcid)
		drop |= L1C_PCID;
	mask(r, ~0u, 0xff00 /* CLFLUSH line */, L1C_ALLOW & ~drop, L1D_ALLOW);
	r[CPUID_EBX] |= MIN(logical, 255u) << 16;
	/* What our LAPIC and entry code provide on any host */
	r[CPUID_ECX] |= L1C_X2APIC | L1C_TSC_DEADLINE | L1C_HYPERVISOR;
	r[CPUID_EDX] |= L1D_APIC | B(12) /* MTRR */;
	if (t->apic_ids > 1)
		r[CPUID_EDX] |= L1D_HTT;
}

static void build_leaf7(struct cpuid_table *t, const struct cpuid_params *p, u32 host_max)
{
	u32 *r = t->leaf7[0], *s = t->leaf7[1], host_subs;

	if (host_max >= 7) {
		p->host(7, 0, r);
		host_subs = r[CPUID_EAX];
		mask(r, 0, L7B_ALLOW, L7C_ALLOW, L7D_ALLOW);
		if (host_subs >= 1) {
			p->host(7, 1, s);
			mask(s, L71A_ALLOW, 0, 0, 0);
			r[CPUID_EAX] = 1;
		}
	}
	if (!(t->xcr0 & XCR0_AVX)) {
		r[CPUID_EBX] &= ~L7B_AVX;
		r[CPUID_ECX] &= ~L7C_AVX;
		s[CPUID_EAX] &= ~L71A_AVX;
	}
	if (!(t->xcr0 & XCR0_AVX512)) {
		r[CPUID_EBX] &= ~L7B_AVX512;
		r[CPUID_ECX] &= ~L7C_AVX512;
		r[CPUID_EDX] &= ~L7D_AVX512;
		s[CPUID_EAX] &= ~L71A_AVX512;
	}
	if (!p->pcid)
		r[CPUID_EBX] &= ~L7B_INVPCID;
	if (!p->tsc_aux)
		r[CPUID_ECX] &= ~L7C_RDPID;
	r[CPUID_EBX] |= L7B_TSC_ADJUST; /* the MSR table has it on any host */
}

static void build_xsave(struct cpuid_table *t, const struct cpuid_params *p)
{
	u32(*x)[4] = t->xsave, r[4], end = 576; /* legacy area and header */

	if (!t->xcr0)
		return;
	for (u32 i = 2; i < CPUID_XSAVE_LEAVES; i++) {
		if (!(t->xcr0 & BIT(i)))
			continue;
		p->host(0xd, i, x[i]);
		mask(x[i], ~0u, ~0u, 2 /* aligned in compact form */, 0);
		end = MAX(end, x[i][CPUID_EAX] + x[i][CPUID_EBX]);
	}
	p->host(0xd, 1, r);
	x[1][CPUID_EAX] = r[CPUID_EAX] & LD1A_ALLOW;
	x[0][CPUID_EAX] = (u32)t->xcr0;
	x[0][CPUID_ECX] = end;
}

/* Caches: shared by all vCPUs if more than one host CPU shares it at level 3,
 * else private. Subleaves of leaf 4 and 8000_001D have the same form. */
static void build_caches(struct cpuid_table *t, const struct cpuid_params *p, u32 leaf,
			 u32 caches[CPUID_CACHE_LEAVES][4])
{
	u32 ids = (1u << t->topo_shift) - 1;

	for (u32 i = 0; i < CPUID_CACHE_LEAVES; i++) {
		u32 *r = caches[i];

		p->host(leaf, i, r);
		if (!(r[CPUID_EAX] & 31)) { /* no more caches */
			mask(r, 0, 0, 0, 0);
			break;
		}
		r[CPUID_EAX] &= 0x3fff;
		if ((r[CPUID_EAX] >> 5 & 7) >= 3)
			r[CPUID_EAX] |= ids << 14;
		if (leaf == 4)
			r[CPUID_EAX] |= MIN(ids, 63u) << 26; /* cores in the package */
	}
}

static void build_topology(struct cpuid_table *t)
{
	/* Subleaf 0: one thread per core. 1: the cores of the package. */
	cpuid_copy(t->topo[0], (u32[4]){ 0, 1, 1 << 8 | 0, 0 });
	cpuid_copy(t->topo[1], (u32[4]){ t->topo_shift, t->apic_ids, 2 << 8 | 1, 0 });
}

static void build_basic(struct cpuid_table *t, const struct cpuid_params *p)
{
	u32 r[4];

	p->host(0, 0, r);
	t->vendor = vendor_of(r);
	t->xcr0 = xcr0_mask(p, r[CPUID_EAX]);
	/* Leaf 0xB is ours on any host; new Intel ones have 0x1F besides. */
	t->max_basic = MIN(MAX(r[CPUID_EAX], 0xdu), (u32)CPUID_BASIC_LEAVES - 1);
	cpuid_copy(t->basic[0], r);
	t->basic[0][CPUID_EAX] = t->max_basic;
	build_leaf1(t, p);
	if (t->vendor == CPUID_VENDOR_INTEL) {
		p->host(2, 0, t->basic[2]);
		build_caches(t, p, 4, t->leaf4);
	}
	t->basic[6][CPUID_EAX] = L6A_ARAT;
	build_leaf7(t, p, r[CPUID_EAX]);
	build_xsave(t, p);
	build_topology(t);
	t->dynamic = B(1) | B(0xb) | B(0xd) | B(0x1f);
	t->indexed = B(4) | B(7) | B(0xb) | B(0xd) | B(0x1f);
}

static void build_ext(struct cpuid_table *t, const struct cpuid_params *p)
{
	bool amd = t->vendor == CPUID_VENDOR_AMD;
	u32 host_max = host_reg(p, EXT, 0, CPUID_EAX), limit = amd ? EXT + 0x21 : EXT + 8;
	u32 *r, phys;

	t->max_ext = MAX(MIN(host_max, limit), EXT + 8);
	p->host(EXT, 0, t->ext[0]);
	if (!amd)
		mask(t->ext[0], 0, 0, 0, 0);
	t->ext[0][CPUID_EAX] = t->max_ext;

	r = t->ext[1];
	p->host(EXT + 1, 0, r);
	mask(r, amd ? ~0u : 0, 0, E1C_ALLOW, E1D_ALLOW | (amd ? L1D_COMMON : 0));
	if (amd) {
		r[CPUID_EDX] |= L1D_APIC | B(12) /* MTRR */;
		if (t->apic_ids > 1)
			r[CPUID_ECX] |= E1C_CMP_LEGACY;
	}
	if (!(t->xcr0 & XCR0_AVX))
		r[CPUID_ECX] &= ~E1C_AVX;
	if (!p->tsc_aux)
		r[CPUID_EDX] &= ~E1D_RDTSCP;
	if (!amd || t->max_ext < EXT + 0x1e)
		r[CPUID_ECX] &= ~E1C_TOPOEXT;

	for (u32 leaf = 2; leaf <= 6; leaf++) /* brand string, caches, TLBs */
		if (EXT + leaf <= host_max)
			p->host(EXT + leaf, 0, t->ext[leaf]);
	if (p->invariant_tsc ||
	    (host_max >= EXT + 7 && host_reg(p, EXT + 7, 0, CPUID_EDX) & E7D_INVARIANT_TSC))
		t->ext[7][CPUID_EDX] = E7D_INVARIANT_TSC;

	r = t->ext[8];
	phys = 36;
	if (host_max >= EXT + 8) {
		p->host(EXT + 8, 0, r);
		phys = r[CPUID_EAX] & 0xff;
		mask(r, 0, E8B_ALLOW, 0, 0);
	}
	r[CPUID_EAX] = MIN(phys, p->phys_bits) | 48 << 8;
	if (!amd)
		return;
	r[CPUID_ECX] = MIN(t->apic_ids - 1, 255u) | t->topo_shift << 12;
	for (u32 leaf = 0x19; leaf <= 0x1a; leaf++) /* 1 GiB TLBs, FPU widths */
		if (EXT + leaf <= t->max_ext)
			p->host(EXT + leaf, 0, t->ext[leaf]);
	if (t->ext[1][CPUID_ECX] & E1C_TOPOEXT)
		build_caches(t, p, EXT + 0x1d, t->cache);
	if (t->max_ext >= EXT + 0x21) {
		p->host(EXT + 0x21, 0, t->ext[0x21]);
		mask(t->ext[0x21], E21A_ALLOW, 0, 0, 0);
	}
}

/* The control register bits that go with what is shown. */
static void build_controls(struct cpuid_table *t)
{
	/* bit of leaf 1 EDX/ECX, leaf 7 EBX/ECX -> bit of CR4 */
	static const struct {
		u8 leaf, reg, bit, cr4;
	} map[] = {
		{ 1, CPUID_EDX, 1, 0 },	  /* VME */
		{ 1, CPUID_EDX, 1, 1 },	  /* PVI */
		{ 1, CPUID_EDX, 4, 2 },	  /* TSD */
		{ 1, CPUID_EDX, 2, 3 },	  /* DE */
		{ 1, CPUID_EDX, 3, 4 },	  /* PSE */
		{ 1, CPUID_EDX, 6, 5 },	  /* PAE */
		{ 1, CPUID_EDX, 7, 6 },	  /* MCE */
		{ 1, CPUID_EDX, 13, 7 },  /* PGE */
		{ 1, CPUID_EDX, 5, 8 },	  /* PCE: harmless, RDPMC is intercepted */
		{ 1, CPUID_EDX, 24, 9 },  /* OSFXSR */
		{ 1, CPUID_EDX, 25, 10 }, /* OSXMMEXCPT */
		{ 7, CPUID_ECX, 2, 11 },  /* UMIP */
		{ 7, CPUID_EBX, 0, 16 },  /* FSGSBASE */
		{ 1, CPUID_ECX, 17, 17 }, /* PCIDE */
		{ 1, CPUID_ECX, 26, 18 }, /* OSXSAVE */
		{ 7, CPUID_EBX, 7, 20 },  /* SMEP */
		{ 7, CPUID_EBX, 20, 21 }, /* SMAP */
	};
	u32 ext = t->ext[1][CPUID_EDX];

	for (u32 i = 0; i < ARRAY_SIZE(map); i++) {
		const u32 *r = map[i].leaf == 1 ? t->basic[1] : t->leaf7[0];

		if (r[map[i].reg] & B(map[i].bit))
			t->cr4 |= BIT(map[i].cr4);
	}
	if (ext & E1D_SYSCALL)
		t->efer |= BIT(0);
	if (ext & E1D_LM)
		t->efer |= BIT(8) | BIT(10);
	if (ext & E1D_NX)
		t->efer |= BIT(11);
}

void cpuid_build(struct cpuid_table *t, const struct cpuid_params *p)
{
	*t = (struct cpuid_table){ .apic_ids = MAX(p->vcpus, 1u) };
	while (1u << t->topo_shift < t->apic_ids)
		t->topo_shift++;
	build_basic(t, p);
	build_ext(t, p);
	build_controls(t);
	/* "KVMKVMKVM": guests look for the clock under this name. */
	cpuid_copy(t->hv[0], (u32[4]){ HV + 1, 0x4b4d564b, 0x564b4d56, 0x4d });
	cpuid_copy(t->hv[1], (u32[4]){ HV1A_FEATURES, 0, 0, 0 });
}
