/*
 * CPUID shows the allow-listed processor: a hypervisor with KVM's clock,
 * and nothing of virtualisation, monitoring, performance counters or power.
 * APM Vol. 3 appendix E; SDM Vol. 2A "CPUID".
 */
#include "lib.h"

const char guest_name[] = "cpuid";

struct bit {
	u32 leaf, sub, reg, bit; /* reg: 0 EAX .. 3 EDX */
	const char *name;
};

static const struct bit hidden[] = {
	{ 1, 0, 2, 2, "DTES64" },
	{ 1, 0, 2, 3, "MONITOR" },
	{ 1, 0, 2, 5, "VMX" },
	{ 1, 0, 2, 6, "SMX" },
	{ 1, 0, 2, 7, "EIST" },
	{ 1, 0, 2, 8, "TM2" },
	{ 1, 0, 2, 15, "PDCM" },
	{ 1, 0, 2, 18, "DCA" },
	{ 1, 0, 3, 21, "DS" },
	{ 1, 0, 3, 22, "ACPI" },
	{ 1, 0, 3, 29, "TM" },
	{ 7, 0, 1, 2, "SGX" },
	{ 7, 0, 1, 25, "PT" },
	{ 7, 0, 2, 16, "LA57" },
	{ 7, 0, 2, 30, "SGX_LC" },
	{ 0x80000001, 0, 2, 2, "SVM" },
	{ 0x80000001, 0, 2, 10, "IBS" },
	{ 0x80000001, 0, 2, 12, "SKINIT" },
	{ 0x80000001, 0, 2, 13, "WDT" },
	{ 0x80000001, 0, 2, 15, "LWP" },
	{ 0x80000001, 0, 2, 23, "PerfCtrExtCore" },
	{ 0x80000001, 0, 2, 24, "PerfCtrExtNB" },
	{ 0x80000001, 0, 2, 28, "PerfCtrExtLLC" },
	{ 0x80000001, 0, 2, 29, "MONITORX" },
};

static const struct bit shown[] = {
	{ 1, 0, 2, 31, "hypervisor" },	 { 1, 0, 2, 21, "x2APIC" },
	{ 1, 0, 2, 24, "TSC-deadline" }, { 1, 0, 3, 9, "APIC" },
	{ 1, 0, 3, 4, "TSC" },		 { 1, 0, 3, 5, "MSR" },
	{ 1, 0, 3, 16, "PAT" },		 { 1, 0, 3, 25, "SSE" },
	{ 1, 0, 3, 26, "SSE2" },	 { 0x80000001, 0, 3, 29, "LM" },
	{ 0x80000001, 0, 3, 20, "NX" },
};

static u32 get(const struct bit *b)
{
	u32 max[4], r[4];

	cpuid(b->leaf & 0x80000000, 0, max);
	if (b->leaf > max[0])
		return 0;
	cpuid(b->leaf, b->sub, r);
	return r[b->reg] >> b->bit & 1;
}

static void check_topology(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	CHECK((r[1] >> 16 & 0xff) <= 1, "leaf 1 tells of %u logical CPUs", r[1] >> 16 & 0xff);
	CHECK(r[1] >> 24 == apic_id(), "leaf 1's APIC id %u is not %u", r[1] >> 24, apic_id());
	cpuid(0x80000000, 0, r);
	if (r[0] >= 0x80000008) {
		cpuid(0x80000008, 0, r);
		CHECK(!(r[2] & 0xff), "leaf 0x80000008 tells of %u CPUs", (r[2] & 0xff) + 1);
		CHECK((r[0] & 0xff) >= 36 && (r[0] & 0xff) <= 52, "%u physical bits", r[0] & 0xff);
	}
}

static void check_hypervisor(void)
{
	u32 r[4];

	cpuid(0x40000000, 0, r);
	CHECK(r[0] >= 0x40000001, "the highest hypervisor leaf is %x", r[0]);
	CHECK(r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d,
	      "the signature is not KVM's: %x %x %x", r[1], r[2], r[3]);
	cpuid(0x40000001, 0, r);
	CHECK(r[0] & 1 << 3, "no CLOCKSOURCE2: %x", r[0]);
	CHECK(r[0] & 1 << 24, "no CLOCKSOURCE_STABLE: %x", r[0]);
	CHECK(r[0] & 1 << 1, "no NOP_IO_DELAY: %x", r[0]);
	CHECK(!(r[0] & ~(1u << 1 | 1u << 3 | 1u << 24 | 1u)), "more than that: %x", r[0]);
	cpuid(0x4000ff00, 0, r);
	CHECK(!(r[0] | r[1] | r[2] | r[3]), "leaf 0x4000ff00 is not empty");
}

/* OSXSAVE and the XSAVE area's size follow CR4 and XCR0. */
static void check_dynamic(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	if (!(r[2] & 1 << 26))
		return;
	write_cr4(read_cr4() & ~0x40000ull);
	cpuid(1, 0, r);
	CHECK(!(r[2] & 1 << 27), "OSXSAVE is set while CR4.OSXSAVE is clear");
	write_cr4(read_cr4() | 0x40000);
	cpuid(1, 0, r);
	CHECK(r[2] & 1 << 27, "OSXSAVE is clear while CR4.OSXSAVE is set");
	CHECK(try_xsetbv(0, 3) < 0, "XSETBV(0, 3) faults");
	cpuid(13, 0, r);
	CHECK(r[1] == 576, "XSAVE area for XCR0 = 3 is %u bytes, not 576", r[1]);
	if (cpu_has_avx()) {
		CHECK(try_xsetbv(0, 7) < 0, "XSETBV(0, 7) faults");
		cpuid(13, 0, r);
		CHECK(r[1] == 832, "XSAVE area for XCR0 = 7 is %u bytes, not 832", r[1]);
	}
}

void guest_main(void)
{
	char vendor[13] = "";
	u32 r[4], again[4];

	cpuid(0, 0, r);
	memcpy(vendor, &r[1], 4);
	memcpy(vendor + 4, &r[3], 4);
	memcpy(vendor + 8, &r[2], 4);
	print("vendor %s, leaves up to %x\n", vendor, r[0]);
	cpuid(r[0] + 1 > 0x20 ? r[0] + 1 : 0x20, 0, again); /* past the end: nothing happens */
	for (u32 leaf = 0; leaf <= r[0]; leaf++) {
		u32 first[4];

		cpuid(leaf, 0, first);
		cpuid(leaf, 0, again);
		CHECK(!memcmp(first, again, 16), "leaf %x differs when read again", leaf);
	}
	if (bulkhead) {
		for (u32 i = 0; i < ARRAY_SIZE(hidden); i++)
			CHECK(!get(&hidden[i]), "%s is shown", hidden[i].name);
		for (u32 i = 0; i < ARRAY_SIZE(shown); i++)
			CHECK(get(&shown[i]), "%s is not shown", shown[i].name);
		check_hypervisor();
		check_topology();
		cpuid(10, 0, r);
		CHECK(!r[0], "performance monitoring is shown: %x", r[0]);
		cpuid(0x80000000, 0, r);
		if (r[0] >= 0x8000000a) { /* Intel's leaves end before it */
			cpuid(0x8000000a, 0, r);
			CHECK(!(r[0] | r[1] | r[3]), "the SVM leaf is not empty");
		}
	}
	check_dynamic();
}
