/*
 * Guests' x87, SSE and AVX state (APM Vol. 2 11.5, Vol. 1 13): eager save and
 * load by XSAVE/XRSTOR in the standard format, or FXSAVE/FXRSTOR. The area of
 * one vCPU is its own; nothing here is shared but the constants of the CPU.
 */
#include "arch/fpu.h"
#include "arch/cpu.h"
#include "arch/x86.h"

#define COMPONENTS (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)
#define FXSAVE_SIZE 512u
#define AREA_FCW 0
#define AREA_MXCSR 24
#define FCW_RESET 0x37f
#define MXCSR_RESET 0x1f80

static u64 xcr0;
static u32 size = FXSAVE_SIZE;
/* AMD without the "error pointers always saved" bit: see fpu_load() */
static bool pointer_leak;

static bool is_amd(void)
{
	u32 r[4];

	cpuid_count(0, 0, r);
	return r[1] == 0x68747541 || r[1] == 0x6f677948; /* "Auth", "Hygo" */
}

void fpu_init_cpu(void)
{
	u32 r[4];

	pointer_leak = is_amd() && !cpu_has(CPU_XSAVE_ERR_PTR);
	if (!cpu_has(CPU_XSAVE))
		return;
	cpuid_count(0xd, 0, r);
	xcr0 = ((u64)r[3] << 32 | r[0]) & COMPONENTS;
	if (!(xcr0 & XCR0_AVX))
		xcr0 &= ~XCR0_AVX512;
	if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
		xcr0 &= ~XCR0_AVX512;
	xsetbv(0, xcr0);
	cpuid_count(0xd, 0, r);
	size = MAX(r[1], FXSAVE_SIZE + 64);
}

u32 fpu_size(void)
{
	return size;
}

u64 fpu_host_xcr0(void)
{
	return xcr0;
}

void fpu_reset(void *area)
{
	u8 *p = area;

	for (u32 i = 0; i < size; i++)
		p[i] = 0;
	/* XSTATE_BV = 0: everything initial; MXCSR is loaded all the same */
	*(u16 *)(p + AREA_FCW) = FCW_RESET;
	*(u32 *)(p + AREA_MXCSR) = MXCSR_RESET;
}

void fpu_save(void *area)
{
	if (xcr0)
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_load(const void *area)
{
	static const u32 zero;

	/*
	 * These processors restore the last x87 instruction's addresses only
	 * while an exception is pending; an own load overwrites what another
	 * guest left there.
	 */
	if (pointer_leak)
		__asm__ volatile("fnclex\n\temms\n\tfildl %0" ::"m"(zero));
	if (xcr0)
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32))
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
