/*
 * kernel/cpuid*.c over made-up hosts: a generous AMD one, a generous Intel one,
 * one whose every bit is set, and a poor one. What must be hidden is hidden,
 * topology and XSAVE sizes are the VM's own, leaves out of range do as the
 * vendor does, and CPUID agrees with the MSR table and the CR masks.
 */
// SOURCES: kernel/cpuid*.c kernel/msrs.c kernel/control_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "kernel/cpuid.h"
#include "kernel/msrs.h"

#define EXT 0x80000000u

static u32 host_max, host_ext_max, host_fill;
static const char *host_vendor;
static u32 xsave_host_mask, xsaves;
static bool host_invariant;

static void set(u32 r[4], u32 a, u32 b, u32 c, u32 d)
{
	r[0] = a;
	r[1] = b;
	r[2] = c;
	r[3] = d;
}

static u32 word(const char *s)
{
	u32 w;

	memcpy(&w, s, 4);
	return w;
}

/* Every feature bit is host_fill; the structured leaves make sense. */
static void fake_host(u32 leaf, u32 sub, u32 r[4])
{
	static const u32 size[10] = { 0, 0, 256, 64, 64, 64, 512, 1024, 128, 8 };
	static const u32 offset[10] = { 0, 0, 576, 960, 1024, 1088, 1152, 1664, 0, 2688 };

	set(r, host_fill, host_fill, host_fill, host_fill);
	switch (leaf) {
	case 0:
		set(r, host_max, word(host_vendor), word(host_vendor + 8), word(host_vendor + 4));
		return;
	case 4:
	case EXT + 0x1d:
		set(r, 0, 0, 0, 0);
		if (sub < 4) /* L1d L1i L2 private, L3 shared by 16 */
			set(r,
			    (sub == 3 ? 15u << 14 : 1u << 14) | 7u << 26 | 0x100 |
				    (sub == 3	? 3
				     : sub == 2 ? 2
						: 1)
					    << 5 |
				    (sub == 0	? 1
				     : sub == 1 ? 2
						: 3),
			    0x01c0003f, 63, 0);
		return;
	case 7:
		if (sub == 0)
			r[0] = 2;
		return;
	case 0xd:
		if (sub == 0)
			set(r, xsave_host_mask, 2696, 2696, 0);
		else if (sub == 1)
			set(r, host_fill & 0xf, 2696, xsaves, 0);
		else if (sub < 10 && xsave_host_mask >> sub & 1)
			set(r, size[sub], offset[sub], sub == 9 ? 0 : 2, 0);
		else
			set(r, 0, 0, 0, 0);
		return;
	case EXT:
		set(r, host_ext_max, word(host_vendor), word(host_vendor + 8),
		    word(host_vendor + 4));
		return;
	case EXT + 2 ... EXT + 4: memcpy(r, "A processor name", 16); return;
	case EXT + 7: r[3] = host_invariant ? 0xffffffff : 0xfffffeff; return;
	case EXT + 8: r[0] = 0x3034; return;
	default: return;
	}
}

static struct cpuid_table t;
static struct cpuid_params params;

static void host(const char *vendor, u32 max, u32 ext_max, u32 fill)
{
	host_vendor = vendor;
	host_max = max;
	host_ext_max = ext_max;
	host_fill = fill;
	xsave_host_mask = 0x2e7;
	xsaves = 0x1800;
	host_invariant = true;
	params = (struct cpuid_params){
		.host = fake_host,
		.vcpus = 1,
		.phys_bits = 40,
		.tsc_hz = 2000000000,
		.pcid = true,
		.tsc_aux = true,
		.xcr0_allowed = ~0ull,
	};
}

static void amd(void)
{
	host("AuthenticAMD", 0x10, EXT + 0x21, ~0u);
}

static void intel(void)
{
	host("GenuineIntel", 0x1f, EXT + 8, ~0u);
}

static struct cpuid_dynamic dyn;

/* The whole answer, as a guest gets it. */
static void ask(u32 leaf, u32 sub, u32 r[4])
{
	if (cpuid_lookup(&t, leaf, sub, r))
		cpuid_patch(&t, leaf, sub, &dyn, r);
}

static u32 reg(u32 leaf, u32 sub, enum cpuid_reg which)
{
	u32 r[4];

	ask(leaf, sub, r);
	return r[which];
}

static bool bit(u32 leaf, u32 sub, enum cpuid_reg which, u32 n)
{
	return reg(leaf, sub, which) >> n & 1;
}

static void build(void)
{
	memset(&t, 0xcc, sizeof(t));
	dyn = (struct cpuid_dynamic){ .xcr0 = 1, .apic_enabled = true };
	cpuid_build(&t, &params);
}

/* -------------------------------------------------------------------- tests */

static void hidden_everywhere(void **state)
{
	static const struct {
		u32 leaf;
		enum cpuid_reg reg;
		u8 bit;
	} hidden[] = {
		{ 1, CPUID_ECX, 2 },
		{ 1, CPUID_ECX, 3 },
		{ 1, CPUID_ECX, 5 },
		{ 1, CPUID_ECX, 6 },
		{ 1, CPUID_ECX, 7 },
		{ 1, CPUID_ECX, 8 },
		{ 1, CPUID_ECX, 10 },
		{ 1, CPUID_ECX, 15 },
		{ 1, CPUID_ECX, 18 },
		{ 1, CPUID_ECX, 27 }, /* OSXSAVE, as CR4 is 0 */
		{ 1, CPUID_EDX, 18 },
		{ 1, CPUID_EDX, 21 },
		{ 1, CPUID_EDX, 22 },
		{ 1, CPUID_EDX, 29 },
		{ 1, CPUID_EDX, 31 },
		{ 7, CPUID_EBX, 2 },
		{ 7, CPUID_EBX, 4 },
		{ 7, CPUID_EBX, 11 },
		{ 7, CPUID_EBX, 12 },
		{ 7, CPUID_EBX, 14 },
		{ 7, CPUID_EBX, 15 },
		{ 7, CPUID_EBX, 25 },
		{ 7, CPUID_ECX, 3 },
		{ 7, CPUID_ECX, 4 },
		{ 7, CPUID_ECX, 5 },
		{ 7, CPUID_ECX, 7 },
		{ 7, CPUID_ECX, 13 },
		{ 7, CPUID_ECX, 16 },
		{ 7, CPUID_ECX, 23 },
		{ 7, CPUID_ECX, 24 },
		{ 7, CPUID_ECX, 29 },
		{ 7, CPUID_ECX, 30 },
		{ 7, CPUID_ECX, 31 },
		{ 7, CPUID_EDX, 15 },
		{ 7, CPUID_EDX, 18 },
		{ 7, CPUID_EDX, 19 },
		{ 7, CPUID_EDX, 20 },
		{ 7, CPUID_EDX, 22 },
		{ 7, CPUID_EDX, 24 },
		{ 7, CPUID_EDX, 25 },
		/* speculation controls */
		{ 7, CPUID_EDX, 9 },
		{ 7, CPUID_EDX, 26 },
		{ 7, CPUID_EDX, 27 },
		{ 7, CPUID_EDX, 28 },
		{ 7, CPUID_EDX, 29 },
		{ 7, CPUID_EDX, 30 },
		{ 7, CPUID_EDX, 31 },
		{ EXT + 8, CPUID_EBX, 12 },
		{ EXT + 8, CPUID_EBX, 14 },
		{ EXT + 8, CPUID_EBX, 15 },
		{ EXT + 8, CPUID_EBX, 17 },
		{ EXT + 8, CPUID_EBX, 24 },
		{ EXT + 8, CPUID_EBX, 25 },
		{ EXT + 0x21, CPUID_EAX, 8 },
		/* SVM and AMD's machinery */
		{ EXT + 1, CPUID_ECX, 2 },
		{ EXT + 1, CPUID_ECX, 3 },
		{ EXT + 1, CPUID_ECX, 9 },
		{ EXT + 1, CPUID_ECX, 10 },
		{ EXT + 1, CPUID_ECX, 12 },
		{ EXT + 1, CPUID_ECX, 13 },
		{ EXT + 1, CPUID_ECX, 15 },
		{ EXT + 1, CPUID_ECX, 19 },
		{ EXT + 1, CPUID_ECX, 23 },
		{ EXT + 1, CPUID_ECX, 24 },
		{ EXT + 1, CPUID_ECX, 26 },
		{ EXT + 1, CPUID_ECX, 28 },
		{ EXT + 1, CPUID_ECX, 29 },
		{ EXT + 8, CPUID_EBX, 1 },
		{ EXT + 8, CPUID_EBX, 4 },
	};
	static const u32 empty[] = { 3,		 5,	     8,		 9,	     0xa,
				     0xc,	 0xe,	     0xf,	 0x10,	     0x12,
				     0x14,	 0x15,	     0x16,	 0x18,	     0x19,
				     0x1a,	 0x1b,	     0x1c,	 0x1d,	     0x1e,
				     EXT + 0xa,	 EXT + 0x1b, EXT + 0x1c, EXT + 0x1f, EXT + 0x20,
				     EXT + 0x22, EXT + 0x26 };

	(void)state;
	for (u32 vendor = 0; vendor < 2; vendor++) {
		if (vendor)
			intel();
		else
			amd();
		build();
		for (u32 i = 0; i < ARRAY_SIZE(hidden); i++)
			if (hidden[i].leaf < EXT || !vendor)
				assert_false(bit(hidden[i].leaf, 0, hidden[i].reg, hidden[i].bit));
		for (u32 i = 0; i < ARRAY_SIZE(empty); i++)
			for (u32 sub = 0; sub < 4; sub++)
				for (u32 r = 0; r < 4; r++)
					if (empty[i] < EXT || !vendor)
						assert_int_equal(
							reg(empty[i], sub, (enum cpuid_reg)r), 0);
		assert_int_equal(reg(6, 0, CPUID_EAX), 4); /* ARAT and no more */
		assert_int_equal(reg(6, 0, CPUID_ECX), 0); /* no APERF, MPERF */
		for (u32 sub = 2; sub < 70; sub++)
			assert_int_equal(reg(7, sub, CPUID_EDX) | reg(7, sub, CPUID_EAX), 0);
		assert_int_equal(reg(EXT + 7, 0, CPUID_EDX), 0x100);
	}
}

static void always_there(void **state)
{
	(void)state;
	host("AuthenticAMD", 1, EXT + 4, 0); /* a host that has nothing */
	xsave_host_mask = 0;
	host_invariant = false;
	build();
	assert_true(bit(1, 0, CPUID_ECX, 21)); /* x2APIC */
	assert_true(bit(1, 0, CPUID_ECX, 24)); /* TSC deadline */
	assert_true(bit(1, 0, CPUID_ECX, 31)); /* hypervisor */
	assert_true(bit(1, 0, CPUID_EDX, 9));  /* APIC */
	assert_true(bit(1, 0, CPUID_EDX, 12)); /* MTRR */
	assert_true(bit(7, 0, CPUID_EBX, 1));  /* TSC_ADJUST */
	assert_int_equal(reg(7, 0, CPUID_EBX), 2);
	assert_int_equal(reg(0xd, 0, CPUID_EAX), 0);
	assert_int_equal(t.xcr0, 0);
	assert_int_equal(reg(EXT + 7, 0, CPUID_EDX), 0);
	assert_int_equal(reg(EXT + 8, 0, CPUID_EAX), 48 << 8 | 36);
	assert_true(reg(0, 0, CPUID_EAX) >= 0xd);
	params.invariant_tsc = true; /* the caller knows better */
	build();
	assert_int_equal(reg(EXT + 7, 0, CPUID_EDX), 0x100);
}

static void passed_through(void **state)
{
	u32 r[4];

	(void)state;
	amd();
	build();
	ask(0, 0, r);
	assert_memory_equal(&r[1], "Auth", 4);
	assert_int_equal(r[0], 0x10);
	assert_int_equal(t.vendor, CPUID_VENDOR_AMD);
	assert_int_equal(reg(1, 0, CPUID_EAX), ~0u); /* family, model, stepping */
	ask(EXT + 3, 0, r);
	assert_memory_equal(r, "A processor name", 16);
	assert_true(bit(7, 0, CPUID_EBX, 0) && bit(7, 0, CPUID_EBX, 7) && bit(7, 0, CPUID_EBX, 20));
	assert_true(bit(7, 0, CPUID_ECX, 2) && bit(7, 0, CPUID_EBX, 10) &&
		    bit(1, 0, CPUID_ECX, 17));
	assert_true(bit(EXT + 1, 0, CPUID_EDX, 27) && bit(EXT + 1, 0, CPUID_EDX, 29));
	assert_int_equal(reg(EXT, 0, CPUID_EAX), EXT + 0x21);
	assert_int_equal(reg(EXT + 8, 0, CPUID_EAX), 48 << 8 | 40);
	params.phys_bits = 52; /* never more than the host's 0x34 */
	host_fill = ~0u;
	build();
	assert_int_equal(reg(EXT + 8, 0, CPUID_EAX), 48 << 8 | 52);

	params.pcid = params.tsc_aux = false;
	build();
	assert_false(bit(1, 0, CPUID_ECX, 17));
	assert_false(bit(7, 0, CPUID_EBX, 10));
	assert_false(bit(7, 0, CPUID_ECX, 22));
	assert_false(bit(EXT + 1, 0, CPUID_EDX, 27));
	assert_false(t.cr4 & CR4_PCIDE);

	intel();
	build();
	assert_int_equal(t.vendor, CPUID_VENDOR_INTEL);
	assert_int_equal(reg(EXT + 1, 0, CPUID_EAX), 0);
	assert_int_equal(reg(EXT + 1, 0, CPUID_EDX) & 0x0183f3ff, 0); /* no AMD copies */
	assert_int_equal(reg(EXT, 0, CPUID_EBX), 0);
	assert_int_equal(reg(EXT, 0, CPUID_EAX), EXT + 8);
}

static void hypervisor_leaves(void **state)
{
	u32 r[4];

	(void)state;
	amd();
	build();
	ask(0x40000000, 0, r);
	assert_int_equal(r[0], 0x40000001);
	assert_memory_equal(&r[1], "KVMKVMKVM\0\0\0", 12);
	ask(0x40000001, 0, r);
	assert_int_equal(r[0], 1 << 24 | 1 << 3 | 1 << 1);
	assert_int_equal(r[1] | r[2] | r[3], 0);
	for (u32 i = 2; i < 0x200; i++)
		assert_int_equal(reg(0x40000000 + i, 0, CPUID_EAX), 0);
}

static void out_of_range(void **state)
{
	static const u32 leaves[] = { 0x20,	  0x100,      0x3fffffff, 0x50000000, 0x7fffffff,
				      EXT + 0x22, 0x8fffffff, 0xc0000000, ~0u };

	(void)state;
	amd();
	build();
	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++)
		for (u32 r = 0; r < 4; r++)
			assert_int_equal(reg(leaves[i], 0, (enum cpuid_reg)r), 0);
	host("GenuineIntel", 0xb, EXT + 8, ~0u); /* shown as 0xd */
	build();
	dyn.apic_id = 5;
	dyn.xcr0 = 7;
	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
		u32 got[4], want[4];

		ask(leaves[i], 0, got);
		ask(0xd, 0, want);
		assert_memory_equal(got, want, 16);
	}
	assert_int_equal(reg(EXT + 9, 0, CPUID_EAX), reg(0xd, 0, CPUID_EAX));
	assert_int_equal(reg(0x40000010, 0, CPUID_EAX), 0);
}

static void topology(void **state)
{
	(void)state;
	for (u32 n = 1; n <= 64; n++) {
		u32 shift = 0;

		while (1u << shift < n)
			shift++;
		amd();
		params.vcpus = n;
		build();
		dyn.apic_id = n - 1;
		assert_int_equal(reg(1, 0, CPUID_EBX) >> 24, n - 1);
		assert_int_equal(reg(1, 0, CPUID_EBX) >> 16 & 0xff, 1u << shift);
		assert_int_equal(bit(1, 0, CPUID_EDX, 28), n > 1);
		assert_int_equal(bit(EXT + 1, 0, CPUID_ECX, 1), n > 1);
		assert_int_equal(reg(0xb, 0, CPUID_EAX), 0);
		assert_int_equal(reg(0xb, 0, CPUID_EBX), 1);
		assert_int_equal(reg(0xb, 0, CPUID_ECX), 0x100);
		assert_int_equal(reg(0xb, 1, CPUID_EAX), shift);
		assert_int_equal(reg(0xb, 1, CPUID_EBX), n);
		assert_int_equal(reg(0xb, 1, CPUID_ECX), 0x201);
		for (u32 sub = 2; sub < 260; sub += 3) {
			assert_int_equal(reg(0xb, sub, CPUID_EBX), 0);
			assert_int_equal(reg(0xb, sub, CPUID_ECX), sub & 0xff);
		}
		for (u32 sub = 0; sub < 4; sub++)
			assert_int_equal(reg(0xb, sub, CPUID_EDX), n - 1);
		assert_int_equal(reg(EXT + 8, 0, CPUID_ECX), (n - 1) | shift << 12);
		assert_int_equal(reg(EXT + 0x1e, 0, CPUID_EAX), n - 1);
		assert_int_equal(reg(EXT + 0x1e, 0, CPUID_EBX), n - 1);
		assert_int_equal(reg(EXT + 0x1e, 0, CPUID_ECX), 0);
		/* L1 private, L3 shared by all */
		assert_int_equal(reg(EXT + 0x1d, 0, CPUID_EAX), 0x121);
		assert_int_equal(reg(EXT + 0x1d, 3, CPUID_EAX), 0x163 | ((1u << shift) - 1) << 14);
		assert_int_equal(reg(EXT + 0x1d, 4, CPUID_EAX), 0);
		assert_int_equal(reg(EXT + 0x1d, 400, CPUID_EAX), 0);
		assert_int_equal(reg(4, 0, CPUID_EAX), 0); /* AMD has no leaf 4 */
		intel();
		params.vcpus = n;
		build();
		assert_int_equal(reg(4, 0, CPUID_EAX), 0x121 | ((1u << shift) - 1) << 26);
		assert_int_equal(reg(4, 3, CPUID_EAX) >> 14 & 0xfff, (1u << shift) - 1);
		assert_int_equal(reg(4, 4, CPUID_EAX), 0);
		assert_int_equal(reg(4, 9, CPUID_EAX), 0);
		assert_int_equal(reg(0x1f, 1, CPUID_EBX), n);
	}
}

static void dynamic_bits(void **state)
{
	(void)state;
	amd();
	build();
	dyn.cr4 = CR4_OSXSAVE;
	assert_true(bit(1, 0, CPUID_ECX, 27));
	dyn.cr4 = 0;
	assert_false(bit(1, 0, CPUID_ECX, 27));
	dyn.apic_enabled = false;
	assert_false(bit(1, 0, CPUID_EDX, 9));
	assert_false(bit(EXT + 1, 0, CPUID_EDX, 9));
	dyn.apic_enabled = true;
	assert_true(bit(1, 0, CPUID_EDX, 9));
	assert_true(bit(EXT + 1, 0, CPUID_EDX, 9));
}

static void xsave(void **state)
{
	(void)state;
	amd();
	build();
	assert_int_equal(t.xcr0, 0xe7);
	assert_int_equal(reg(0xd, 0, CPUID_EAX), 0xe7);
	assert_int_equal(reg(0xd, 0, CPUID_EDX), 0);
	assert_int_equal(reg(0xd, 0, CPUID_ECX), 2688);
	dyn.xcr0 = 1;
	assert_int_equal(reg(0xd, 0, CPUID_EBX), 576);
	dyn.xcr0 = 7;
	assert_int_equal(reg(0xd, 0, CPUID_EBX), 832);
	assert_int_equal(reg(0xd, 1, CPUID_EBX), 832);
	dyn.xcr0 = 0xe7;
	assert_int_equal(reg(0xd, 0, CPUID_EBX), 2688);
	assert_int_equal(reg(0xd, 1, CPUID_EBX), 832 + 64 + 512 + 1024); /* compact, aligned */
	assert_int_equal(reg(0xd, 1, CPUID_EAX), 7);			 /* no XSAVES */
	assert_int_equal(reg(0xd, 1, CPUID_ECX), 0);
	assert_int_equal(reg(0xd, 2, CPUID_EAX), 256);
	assert_int_equal(reg(0xd, 2, CPUID_EBX), 576);
	for (u32 sub = 8; sub < 70; sub++) /* PKU, PT, CET, AMX... */
		assert_int_equal(reg(0xd, sub, CPUID_EAX), 0);

	assert_true(cpuid_xcr0_valid(&t, 1));
	assert_true(cpuid_xcr0_valid(&t, 3));
	assert_true(cpuid_xcr0_valid(&t, 7));
	assert_true(cpuid_xcr0_valid(&t, 0xe7));
	assert_false(cpuid_xcr0_valid(&t, 0));
	assert_false(cpuid_xcr0_valid(&t, 2));
	assert_false(cpuid_xcr0_valid(&t, 5));
	assert_false(cpuid_xcr0_valid(&t, 0x27));
	assert_false(cpuid_xcr0_valid(&t, 0xe3));
	assert_false(cpuid_xcr0_valid(&t, 0x207));
	assert_false(cpuid_xcr0_valid(&t, BIT(63) | 1));

	/* the kernel switches only as far as AVX: the instructions go, too */
	params.xcr0_allowed = 7;
	build();
	assert_int_equal(t.xcr0, 7);
	assert_int_equal(reg(0xd, 0, CPUID_ECX), 832);
	assert_true(bit(7, 0, CPUID_EBX, 5));
	assert_false(bit(7, 0, CPUID_EBX, 16) || bit(7, 0, CPUID_EBX, 31));
	assert_false(bit(7, 0, CPUID_ECX, 11) || bit(7, 0, CPUID_EDX, 8) ||
		     bit(7, 1, CPUID_EAX, 5));
	assert_false(cpuid_xcr0_valid(&t, 0xe7));
	params.xcr0_allowed = 3;
	build();
	assert_false(bit(1, 0, CPUID_ECX, 28) || bit(1, 0, CPUID_ECX, 12) ||
		     bit(7, 0, CPUID_EBX, 5));
	assert_false(bit(EXT + 1, 0, CPUID_ECX, 11) || bit(7, 0, CPUID_ECX, 9));
	assert_true(bit(1, 0, CPUID_ECX, 26));
	params.xcr0_allowed = 0;
	build();
	assert_false(bit(1, 0, CPUID_ECX, 26));
	assert_false(t.cr4 & CR4_OSXSAVE);
	assert_false(cpuid_xcr0_valid(&t, 1));
	xsave_host_mask = 0x67; /* a broken host: half of AVX-512 */
	params.xcr0_allowed = ~0ull;
	build();
	assert_int_equal(t.xcr0, 7);
}

static void control_masks(void **state)
{
	(void)state;
	amd();
	build();
	assert_int_equal(t.cr4, CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE |
					CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP |
					CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP |
					CR4_SMAP);
	assert_int_equal(t.efer, BIT(0) | BIT(8) | BIT(10) | BIT(11));
}

/* A bit that promises an MSR, and that MSR: both or neither. */
static void agrees_with_msrs(void **state)
{
	static const struct {
		u32 leaf;
		enum cpuid_reg reg;
		u8 bit;
		u32 msr;
	} pairs[] = {
		{ 7, CPUID_EDX, 26, 0x48 },
		{ 7, CPUID_EDX, 26, 0x49 },
		{ EXT + 8, CPUID_EBX, 12, 0x49 },
		{ 7, CPUID_EDX, 28, 0x10b },
		{ 7, CPUID_EDX, 29, 0x10a },
		{ 7, CPUID_EDX, 30, 0xcf },
		{ EXT + 8, CPUID_EBX, 25, 0xc001011f },
		{ 7, CPUID_EBX, 1, 0x3b },
		{ EXT + 1, CPUID_EDX, 27, 0xc0000103 },
		{ 6, CPUID_ECX, 0, 0xe7 },
		{ 1, CPUID_EDX, 12, 0xfe },
		{ 1, CPUID_EDX, 16, 0x277 },
		{ 1, CPUID_ECX, 24, 0x6e0 },
		{ 1, CPUID_ECX, 15, 0x345 },
		{ 0xd, CPUID_ECX, 0, 0xda0 },
		{ EXT + 1, CPUID_ECX, 2, 0xc0010114 },
		{ EXT + 1, CPUID_ECX, 2, 0xc0010117 },
		{ EXT + 1, CPUID_ECX, 9, 0xc0010140 },
		{ EXT + 1, CPUID_ECX, 10, 0xc0011030 },
		{ EXT + 1, CPUID_ECX, 19, 0xc001100c },
		{ EXT + 1, CPUID_ECX, 23, 0xc0010200 },
		{ 1, CPUID_EDX, 22, 0x19c },
		{ 1, CPUID_ECX, 7, 0x199 },
		{ 1, CPUID_EDX, 11, 0x174 },
		{ EXT + 1, CPUID_EDX, 11, 0xc0000082 },
		{ 0x40000001, CPUID_EAX, 3, 0x4b564d00 },
		{ 0x40000001, CPUID_EAX, 4, 0x4b564d02 },
		{ 0x40000001, CPUID_EAX, 5, 0x4b564d03 },
		{ 0x40000001, CPUID_EAX, 6, 0x4b564d04 },
		{ 0x40000001, CPUID_EAX, 12, 0x4b564d05 },
	};

	(void)state;
	for (u32 aux = 0; aux < 2; aux++) {
		struct msr_state s;
		struct msr_params m = { .vendor = CPUID_VENDOR_AMD,
					.family = 0x17,
					.tsc_hz = 2000000000,
					.phys_bits = 40,
					.rdtscp = aux };

		amd();
		params.tsc_aux = aux;
		build();
		msr_reset(&s, &m);
		for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) {
			bool shown = bit(pairs[i].leaf, pairs[i].leaf == 0xd, pairs[i].reg,
					 pairs[i].bit);
			u64 value;

			assert_int_equal(msr_read(&s, pairs[i].msr, &value) != MSR_GP, shown);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_everywhere), cmocka_unit_test(always_there),
		cmocka_unit_test(passed_through),    cmocka_unit_test(hypervisor_leaves),
		cmocka_unit_test(out_of_range),	     cmocka_unit_test(topology),
		cmocka_unit_test(dynamic_bits),	     cmocka_unit_test(xsave),
		cmocka_unit_test(control_masks),     cmocka_unit_test(agrees_with_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
