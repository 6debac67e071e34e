/*
 * Processors: their features, their private data, and bringing one of them
 * into the state that the kernel runs in (GDT, TSS, IST, IDT, control
 * registers, system-call MSRs). AMD APM Vol. 2 chapters 4, 6 and 8.
 * cpus[] is written by the BSP before a CPU starts, then by that CPU only,
 * but for the fields that say otherwise.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "arch/layout.h"
#include "arch/offsets.h"
#include "arch/types.h"

#define MAX_CPUS 64

#define IST_NMI 1
#define IST_DF 2
#define IST_MC 3

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_map; /* beyond the limit: ring 3 has no ports */
} PACKED;
_Static_assert(sizeof(struct tss) == 104, "TSS layout, APM Vol. 2 figure 12-8");

struct cpu {
	/* arch/entry.S knows these by offset (arch/offsets.h) */
	struct cpu *self;
	u64 kernel_rsp; /* where user_run() left the kernel's stack */
	u64 user_rsp;	/* scratch of the SYSCALL entry */
	u32 tss_pad;	/* aligns the TSS's 64-bit fields */
	struct tss tss ALIGNED(4);

	u64 gdt[7];
	u32 index; /* into cpus[] */
	u32 apic_id;
	u64 stack_top; /* of the kernel's stack */
	void *current; /* the vCPU loaded here; the kernel's business */
	void *hv;      /* the vendor's per-CPU area */
	u32 requests;  /* bits set by other CPUs, atomically; then VEC_KICK */
	u32 online;    /* set by this CPU when it is up */
	u32 halted;    /* set by this CPU when a panic elsewhere stopped it */
	u32 in_idle;   /* the kernel's business */
	u64 nmis;      /* seen and ignored */
	u64 spurious;  /* interrupts that nobody had registered */
} ALIGNED(64);

_Static_assert(offsetof(struct cpu, kernel_rsp) == CPU_KERNEL_RSP, "entry.S");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "entry.S");
_Static_assert(offsetof(struct cpu, tss) + offsetof(struct tss, rsp) == CPU_RSP0, "entry.S");

extern struct cpu cpus[MAX_CPUS];
extern u32 cpu_count; /* entries of cpus[] in use; cpus[0] is the BSP */
extern u64 tsc_hz;    /* 0 until clock_init() */

/* X(name, leaf, sub, register 0..3 = EAX..EDX, bit) */
#define CPU_FEATURES(X) \
	X(X2APIC, 0x1, 0, 2, 21) \
	X(TSC_DEADLINE, 0x1, 0, 2, 24) \
	X(XSAVE, 0x1, 0, 2, 26) \
	X(AVX, 0x1, 0, 2, 28) \
	X(HYPERVISOR, 0x1, 0, 2, 31) \
	X(VMX, 0x1, 0, 2, 5) \
	X(PGE, 0x1, 0, 3, 13) \
	X(PAT, 0x1, 0, 3, 16) \
	X(FXSR, 0x1, 0, 3, 24) \
	X(TSC_ADJUST, 0x7, 0, 1, 1) \
	X(SMEP, 0x7, 0, 1, 7) \
	X(SMAP, 0x7, 0, 1, 20) \
	X(UMIP, 0x7, 0, 2, 2) \
	X(IBRS_IBPB, 0x7, 0, 3, 26) \
	X(ARCH_CAPS, 0x7, 0, 3, 29) \
	X(XSAVEOPT, 0xd, 1, 0, 0) \
	X(SVM, 0x80000001, 0, 2, 2) \
	X(NX, 0x80000001, 0, 3, 20) \
	X(GIB_PAGES, 0x80000001, 0, 3, 26) \
	X(RDTSCP, 0x80000001, 0, 3, 27) \
	X(INVARIANT_TSC, 0x80000007, 0, 3, 8) \
	X(XSAVE_ERR_PTR, 0x80000008, 0, 1, 2) \
	X(IBPB, 0x80000008, 0, 1, 12) \
	X(NPT, 0x8000000a, 0, 3, 0) \
	X(NRIP_SAVE, 0x8000000a, 0, 3, 3) \
	X(FLUSH_BY_ASID, 0x8000000a, 0, 3, 6) \
	X(DECODE_ASSISTS, 0x8000000a, 0, 3, 7)

enum cpu_feature {
#define X(name, leaf, sub, reg, bit) CPU_##name,
	CPU_FEATURES(X)
#undef X
		CPU_FEATURE_COUNT
};

bool cpu_has(enum cpu_feature f);
/* Fills buf (48 bytes and NUL) with CPUID's brand string, or the vendor's name. */
void cpu_brand(char buf[49]);
u32 cpu_phys_bits(void);

/* BSP, first thing in main(): this_cpu() works from here on, features are
 * known, GDT and IDT are ours (the IST still uses small static stacks). */
void cpu_init_bsp(void);
/*
 * On each CPU, on its final tables and stack: GDT, TSS, IST, IDT, CR0, CR4,
 * EFER, PAT, system-call MSRs. After this (and before the vendor's VMSAVE of
 * host state) none of FS/GS/KERNEL_GS/STAR/LSTAR/SFMASK/SYSENTER ever changes.
 */
void cpu_init_this(struct cpu *c);
/* Allocates and maps the stacks of cpus[index]; once per CPU, on the BSP. */
enum err cpu_alloc_stacks(struct cpu *c) MUST_CHECK;
/* Leaves the current stack for this CPU's own (guarded) one and calls entry. */
NORETURN void cpu_enter(struct cpu *c, void (*entry)(void));

/* The CPU this runs on, from the base of the stack that it runs on. */
static inline struct cpu *this_cpu(void)
{
	u64 sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return *(struct cpu **)(sp & ~(KSTACK_SIZE - 1));
}

/* Busy-waits; about 1 GHz is assumed until tsc_hz is known. */
void cpu_delay_us(u64 us);

/* Stops this CPU for good, interrupts off. */
NORETURN void cpu_halt(void);

#endif
