/*
 * CPUID's allow-list, by the names of Intel SDM Vol. 2A and AMD APM Vol. 3. A
 * bit is named here only if whatever comes with it (instructions, MSRs, CR4
 * bits, XSAVE state) works in a guest: the MSR table (msrs.c) must have the
 * MSRs that a bit promises, and a bit whose MSRs are missing there (speculation
 * controls, PMU, thermal) must not be here. For cpuid.c and cpuid_build.c.
 */
#ifndef KERNEL_CPUID_ALLOW_H
#define KERNEL_CPUID_ALLOW_H

#include "kernel/cpuid.h"

#define EXT 0x80000000u
#define HV 0x40000000u

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

#define B(n) (1u << (n))

/* Leaf 1 ECX */
#define L1C_PCID B(17)
#define L1C_X2APIC B(21)
#define L1C_TSC_DEADLINE B(24)
#define L1C_XSAVE B(26)
#define L1C_OSXSAVE B(27)
#define L1C_HYPERVISOR B(31)
#define L1C_AVX (B(12) /* FMA */ | B(28) /* AVX */ | B(29) /* F16C */)
#define L1C_ALLOW \
	(B(0) /* SSE3 */ | B(1) /* PCLMULQDQ */ | B(9) /* SSSE3 */ | B(13) /* CMPXCHG16B */ | \
	 L1C_PCID | B(19) /* SSE4.1 */ | B(20) /* SSE4.2 */ | B(22) /* MOVBE */ | \
	 B(23) /* POPCNT */ | B(25) /* AES */ | L1C_XSAVE | L1C_AVX | B(30) /* RDRAND */)

/* Leaf 1 EDX; the first part has copies in AMD's leaf 8000_0001 */
#define L1D_APIC B(9)
#define L1D_HTT B(28)
#define L1D_COMMON \
	(B(0) /* FPU */ | B(1) /* VME */ | B(2) /* DE */ | B(3) /* PSE */ | B(4) /* TSC */ | \
	 B(5) /* MSR */ | B(6) /* PAE */ | B(7) /* MCE */ | B(8) /* CMPXCHG8B */ | L1D_APIC | \
	 B(12) /* MTRR */ | B(13) /* PGE */ | B(14) /* MCA */ | B(15) /* CMOV */ | \
	 B(16) /* PAT */ | B(17) /* PSE36 */ | B(23) /* MMX */ | B(24) /* FXSR */)
#define L1D_ALLOW \
	(L1D_COMMON | B(11) /* SEP */ | B(19) /* CLFLUSH */ | B(25) /* SSE */ | B(26) /* SSE2 */ | \
	 B(27) /* self-snoop */)

/* Leaf 6 EAX */
#define L6A_ARAT B(2)

/* Leaf 7 subleaf 0. Not here: HLE and RTM (no TSX_CTRL), MPX, PT, PKU, CET. */
#define L7B_TSC_ADJUST B(1)
#define L7B_INVPCID B(10)
#define L7B_AVX B(5) /* AVX2 */
#define L7B_AVX512 \
	(B(16) /* F */ | B(17) /* DQ */ | B(21) /* IFMA */ | B(26) /* PF */ | B(27) /* ER */ | \
	 B(28) /* CD */ | B(30) /* BW */ | B(31) /* VL */)
#define L7B_ALLOW \
	(B(0) /* FSGSBASE */ | L7B_TSC_ADJUST | B(3) /* BMI1 */ | L7B_AVX | \
	 B(6) /* FDP_EXCPTN_ONLY */ | B(7) /* SMEP */ | B(8) /* BMI2 */ | B(9) /* ERMS */ | \
	 L7B_INVPCID | B(13) /* no FCS, FDS */ | B(18) /* RDSEED */ | B(19) /* ADX */ | \
	 B(20) /* SMAP */ | B(23) /* CLFLUSHOPT */ | B(24) /* CLWB */ | B(29) /* SHA */ | \
	 L7B_AVX512)

#define L7C_RDPID B(22)
#define L7C_AVX (B(9) /* VAES */ | B(10) /* VPCLMULQDQ */)
#define L7C_AVX512 \
	(B(1) /* VBMI */ | B(6) /* VBMI2 */ | B(11) /* VNNI */ | B(12) /* BITALG */ | \
	 B(14) /* VPOPCNTDQ */)
#define L7C_ALLOW \
	(B(0) /* PREFETCHWT1 */ | B(2) /* UMIP */ | B(8) /* GFNI */ | L7C_AVX | L7C_AVX512 | \
	 L7C_RDPID | B(25) /* CLDEMOTE */ | B(27) /* MOVDIRI */ | B(28) /* MOVDIR64B */)

#define L7D_AVX512 \
	(B(2) /* 4VNNIW */ | B(3) /* 4FMAPS */ | B(8) /* VP2INTERSECT */ | B(23) /* FP16 */)
/* MD_CLEAR is what VERW does: no MSR comes with it */
#define L7D_ALLOW (L7D_AVX512 | B(4) /* FSRM */ | B(10) /* MD_CLEAR */ | B(14) /* SERIALIZE */)

#define L71A_AVX (B(4) /* AVX-VNNI */ | B(23) /* AVX-IFMA */)
#define L71A_AVX512 B(5) /* BF16 */
#define L71A_ALLOW (L71A_AVX | L71A_AVX512 | B(10) /* FZRM */ | B(11) /* FSRS */ | B(12) /* FSRC */)

/* Leaf 0xD subleaf 1: no XSAVES, hence no supervisor states */
#define LD1A_XSAVEC B(1)
#define LD1A_ALLOW (B(0) /* XSAVEOPT */ | LD1A_XSAVEC | B(2) /* XGETBV(1) */)

/* Leaf 8000_0001. Not here: SVM, SKINIT, IBS, OSVW, LWP, MWAITX, perf counters. */
#define E1C_CMP_LEGACY B(1)
#define E1C_TOPOEXT B(22)
#define E1C_AVX (B(11) /* XOP */ | B(16) /* FMA4 */)
#define E1C_ALLOW \
	(B(0) /* LAHF */ | B(4) /* CR8 by LOCK MOV CR0 */ | B(5) /* ABM */ | B(6) /* SSE4A */ | \
	 B(7) /* misaligned SSE */ | B(8) /* PREFETCHW */ | E1C_AVX | B(21) /* TBM */ | \
	 E1C_TOPOEXT)

#define E1D_NX B(20)
#define E1D_SYSCALL B(11)
#define E1D_LM B(29)
#define E1D_RDTSCP B(27)
#define E1D_ALLOW \
	(E1D_SYSCALL | E1D_NX | B(22) /* MMXEXT */ | B(26) /* 1 GiB pages */ | E1D_RDTSCP | \
	 E1D_LM | B(30) /* 3DNow! extensions */ | B(31) /* 3DNow! */)

#define E7D_INVARIANT_TSC B(8)

/* Leaf 8000_0008 EBX: of the speculation bits only those that say "not affected" */
#define E8B_ALLOW \
	(B(0) /* CLZERO */ | B(2) /* XSAVE error pointers */ | B(26) /* SSB_NO */ | \
	 B(29) /* BTC_NO */)

#define E21A_ALLOW \
	(B(0) /* no nested data breakpoints */ | B(2) /* LFENCE serialises */ | \
	 B(6) /* null selector clears base */ | B(10) /* FSRS */ | B(11) /* FSRC */ | \
	 B(29) /* SRSO_NO */)

/* Leaf 4000_0001 EAX: KVM's paravirtual features */
#define HV1A_FEATURES \
	(B(1) /* NOP_IO_DELAY */ | B(3) /* CLOCKSOURCE2 */ | B(24) /* CLOCKSOURCE_STABLE_BIT */)

/* One answer: EAX to EDX. */
static inline void cpuid_copy(u32 dst[4], const u32 src[4])
{
	dst[0] = src[0];
	dst[1] = src[1];
	dst[2] = src[2];
	dst[3] = src[3];
}

#endif
