/*
 * The model-specific registers are an allow-list: what a guest needs works,
 * everything else is #GP on read and on write, in the architectural ranges
 * and at every edge around them. Invalid values are refused, non-canonical
 * addresses too. APM Vol. 2 appendix A; SDM Vol. 4.
 */
#include "lib.h"

const char guest_name[] = "msrs";

static const struct {
	u32 first, last;
} ranges[] = {
	{ 0, 0x1fff },
	{ 0x40000000, 0x400001ff },
	{ 0x4b564d00, 0x4b564dff },
	{ 0xbffffff0, 0xc0001fff },
	{ 0xc000fff0, 0xc0011fff },
	{ 0x7ffffff0, 0x8000000f },
	{ 0xfffffff0, 0xffffffff },
};

/* What Linux or a test guest relies on: readable, and takes back what it read. */
static const u32 needed[] = {
	0x10,	    0x1b,	0x3b,	    0x8b,	0x174,	    0x175,
	0x176,	    0x277,	0x2ff,	    0x6e0,	0xfe,	    0x200,
	0x250,	    0x26f,	MSR_EFER,   0xc0000081, 0xc0000082, 0xc0000083,
	0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0x4b564d00, 0x4b564d01,
};

/* What no guest may reach; any access is #GP. */
static const struct {
	u32 first, last;
	const char *what;
} forbidden[] = {
	{ 0x0c1, 0x0c8, "performance counters" },
	{ 0x186, 0x18d, "performance event selects" },
	{ 0x38d, 0x390, "fixed counters" },
	{ 0x480, 0x491, "VMX capabilities" },
	{ 0x600, 0x640, "debug store, RAPL" },
	{ 0x9e, 0x9e, "SMBASE" },
	{ 0x9b, 0x9b, "SMM monitor control" },
	{ 0xc0010111, 0xc0010113, "SMM base and mask" },
	{ 0xc0010117, 0xc0010119, "SVM host save area and key" },
	{ 0xc0010030, 0xc0010035, "processor name string" },
	{ 0xc0011030, 0xc001103d, "instruction-based sampling" },
	{ 0x40000000, 0x400001ff, "Hyper-V" },
};

static bool readable(u32 msr)
{
	return try_rdmsr(msr, NULL) < 0;
}

static void check_values(void)
{
	static const u32 canonical[] = { 0x175,	     0x176,	 0xc0000082, 0xc0000083,
					 0xc0000100, 0xc0000101, 0xc0000102 };
	u64 old;

	for (u32 i = 0; i < ARRAY_SIZE(canonical); i++) {
		u32 msr = canonical[i];

		old = rdmsr(msr);
		if (msr >= 0xc0000000) { /* these do not exit, and QEMU's TCG takes anything */
			CHECK(!option("strict") || try_wrmsr(msr, 0x0000800000000000) == 13,
			      "MSR %x takes a non-canonical address", msr);
		}
		CHECK(try_wrmsr(msr, 0xffff800012345678) < 0, "MSR %x: #GP", msr);
		CHECK(rdmsr(msr) == 0xffff800012345678, "MSR %x forgets its value", msr);
		wrmsr(msr, old);
	}
	if (!bulkhead)
		return;
	old = rdmsr(MSR_EFER);
	CHECK(try_wrmsr(MSR_EFER, old | 1 << 12) == 13, "EFER.SVME may be set");
	CHECK(try_wrmsr(MSR_EFER, old & ~0x100ull) == 13, "EFER.LME may be cleared under paging");
	CHECK(try_wrmsr(MSR_EFER, old | 1ull << 40) == 13, "reserved bits of EFER may be set");
	CHECK(rdmsr(MSR_EFER) == old, "EFER has changed: %lx", rdmsr(MSR_EFER));
	CHECK(try_wrmsr(MSR_EFER, old | 0x801) < 0, "EFER.NXE and SCE cannot be set");
	wrmsr(MSR_EFER, old);
	old = rdmsr(0x277);
	CHECK(try_wrmsr(0x277, 0x0202020202020202) == 13, "PAT takes memory type 2");
	CHECK(try_wrmsr(0x277, 0x0007040600070406) < 0, "PAT refuses its reset value");
	wrmsr(0x277, old);
	old = rdmsr(MSR_APIC_BASE);
	CHECK((old & 0xfffffffffffff000) == LAPIC_BASE, "the LAPIC is at %lx", old);
	CHECK(old & 0x100, "not marked as the boot CPU: %lx", old);
	CHECK(try_wrmsr(MSR_APIC_BASE, old | 1ull << 52) == 13, "APIC_BASE takes bit 52");
	CHECK(try_wrmsr(MSR_APIC_BASE, (old & ~0x800ull) | 0x400) == 13,
	      "APIC_BASE takes x2APIC without enable");
	/* x2APIC registers exist in x2APIC mode only, and each is read or write only as it is. */
	CHECK(try_rdmsr(0x802, NULL) == 13, "x2APIC registers are there in xAPIC mode");
	apic_enter_x2();
	CHECK(try_rdmsr(0x802, NULL) < 0, "no x2APIC id in x2APIC mode");
	CHECK(try_wrmsr(0x802, 0) == 13, "the x2APIC id may be written");
	CHECK(try_rdmsr(0x80b, NULL) == 13, "EOI may be read");
	CHECK(try_wrmsr(0x80b, 1) == 13, "EOI takes 1");
	CHECK(try_wrmsr(0x80b, 0) < 0, "EOI does not take 0");
	CHECK(try_rdmsr(0x80e, NULL) == 13, "DFR exists in x2APIC mode");
	CHECK(try_wrmsr(0x808, 0x100) == 13, "TPR takes 0x100");
	CHECK(try_wrmsr(MSR_APIC_BASE, (old & ~0x400ull) | 0x800) == 13,
	      "x2APIC goes back to xAPIC without a stop");
	CHECK(try_rdmsr(0x831, NULL) == 13, "ICR high exists in x2APIC mode");
}

void guest_main(void)
{
	u32 count = 0, first = 0;
	bool open = false;

	/* Reads, everywhere; the readable ones are listed. */
	print("readable:");
	for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (u64 msr = ranges[i].first; msr <= (u64)ranges[i].last + 1; msr++) {
			bool ok = msr <= ranges[i].last && readable((u32)msr);

			count += ok;
			if (ok && !open)
				first = (u32)msr;
			if (!ok && open)
				print(msr - 1 == first ? " %x" : " %x-%lx", first, msr - 1);
			open = ok;
		}
	}
	print("\n%u MSRs\n", count);
	for (u32 i = 0; i < ARRAY_SIZE(needed); i++) {
		u32 msr = needed[i];
		u64 v;

		if (!bulkhead && (msr == 0x6e0 || msr >> 16 == 0x4b56))
			continue;
		if (try_rdmsr(msr, &v) >= 0) {
			fail("MSR %x cannot be read", msr);
			continue;
		}
		if (msr != 0xfe && msr != 0x8b)
			CHECK(try_wrmsr(msr, v) < 0, "MSR %x refuses the value it had, %lx", msr,
			      v);
	}
	if (bulkhead) {
		for (u32 i = 0; i < ARRAY_SIZE(forbidden); i++)
			for (u32 msr = forbidden[i].first; msr <= forbidden[i].last; msr++) {
				CHECK(try_rdmsr(msr, NULL) == 13, "MSR %x (%s) may be read", msr,
				      forbidden[i].what);
				CHECK(try_wrmsr(msr, 0) == 13, "MSR %x (%s) may be written", msr,
				      forbidden[i].what);
			}
		/* What cannot be read cannot be written either, but for the few commands
		 * (among them the microcode loader, which loads nothing here). */
		for (u32 i = 0; i < ARRAY_SIZE(ranges); i++)
			for (u64 msr = ranges[i].first; msr <= ranges[i].last; msr++)
				if (!readable((u32)msr) && msr != 0x49 && msr != 0x79 &&
				    msr != 0x80b && msr != 0x83f && msr != 0xc0010020)
					CHECK(try_wrmsr((u32)msr, 0) == 13,
					      "MSR %lx cannot be read but written", msr);
	}
	check_values();
}
