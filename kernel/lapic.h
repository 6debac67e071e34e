/*
 * The virtual local APIC of one vCPU: Intel SDM Vol. 3A, chapter "Advanced
 * Programmable Interrupt Controller (APIC)", xAPIC and x2APIC modes. A pure
 * state machine: no hardware, no pointers (it is copied by snapshots), time
 * is an argument in guest TSC ticks. Guarded by the vCPU's owner CPU: others
 * ask through the vCPU's request word and deliver there.
 */
#ifndef KERNEL_LAPIC_H
#define KERNEL_LAPIC_H

#include "arch/x86.h"

#define LAPIC_MMIO_BASE 0xfee00000ull
#define LAPIC_MMIO_SIZE 0x1000ull
#define LAPIC_BUS_HZ 1000000000ull /* the timer's input clock, before the divider */
#define LAPIC_MIN_PERIOD 100000ull /* periodic mode: at least this many bus ticks */

#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

/* Register offsets in the MMIO page; the x2APIC MSR is 0x800 + offset / 16. */
enum lapic_reg {
	LAPIC_ID = 0x020,
	LAPIC_VERSION = 0x030,
	LAPIC_TPR = 0x080,
	LAPIC_APR = 0x090,
	LAPIC_PPR = 0x0a0,
	LAPIC_EOI = 0x0b0,
	LAPIC_RRD = 0x0c0,
	LAPIC_LDR = 0x0d0,
	LAPIC_DFR = 0x0e0,
	LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR2 = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INIT = 0x380,
	LAPIC_TIMER_COUNT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

/* What a write asks of the caller; bits, several may be set. */
enum lapic_effect {
	LAPIC_EOI_LEVEL = 1, /* .eoi_vector, level-triggered, was ended: tell the IOAPIC */
	LAPIC_TIMER = 2,     /* ask lapic_timer_deadline again */
	LAPIC_IPI = 4,	     /* send .ipi */
	LAPIC_EVENT = 8,     /* lapic_pending or lapic_lint0_extint may have changed */
	LAPIC_MODE = 16,     /* APIC_BASE switched the LAPIC on, off or to x2APIC mode */
};

/* The delivery modes of ICR, LVT and MSI messages. */
enum lapic_mode {
	LAPIC_MODE_FIXED = 0,
	LAPIC_MODE_LOWEST = 1,
	LAPIC_MODE_SMI = 2,
	LAPIC_MODE_NMI = 4,
	LAPIC_MODE_INIT = 5,
	LAPIC_MODE_SIPI = 6,
	LAPIC_MODE_EXTINT = 7,
};

enum lapic_shorthand {
	LAPIC_TO_DEST = 0,
	LAPIC_TO_SELF = 1,
	LAPIC_TO_ALL = 2,
	LAPIC_TO_OTHERS = 3,
};

/* A decoded ICR write. SMI and INIT de-assert never get here. */
struct lapic_ipi {
	u32 dest;     /* APIC id or logical destination; see shorthand */
	u8 mode;      /* FIXED, LOWEST, NMI, INIT or SIPI */
	u8 vector;    /* FIXED, LOWEST: >= 16; SIPI: the start page number */
	u8 shorthand; /* enum lapic_shorthand; dest counts for TO_DEST only */
	u8 logical;   /* dest is a logical destination */
};

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

struct lapic {
	/* first line: what the injection decision reads */
	s16 irr_top; /* highest bit in irr, -1: none */
	s16 isr_top; /* highest bit in isr, -1: none */
	u8 tpr;
	u8 ppr;	       /* derived from tpr and isr_top */
	u8 enabled;    /* by APIC_BASE and by SVR: accepts fixed interrupts */
	u8 eoi_vector; /* with LAPIC_EOI_LEVEL */
	u32 id;	       /* x2APIC id; the xAPIC id is its low 8 bits */
	u32 irr[8], isr[8], tmr[8];
	struct lapic_ipi ipi; /* with LAPIC_IPI */

	u64 apic_base; /* the MSR; the page's address is fixed */
	u32 ldr, dfr;  /* as written in xAPIC mode */
	u32 svr;
	u32 esr;	 /* as latched by the last write */
	u32 esr_pending; /* errors since then */
	u32 icr_low, icr_high;
	u32 lvt[LVT_COUNT];

	u32 timer_init;	  /* initial count register */
	u32 timer_divide; /* divide configuration register */
	u64 tsc_hz;	  /* guest TSC frequency */
	u64 timer_expiry; /* guest TSC when the count reaches 0; ~0: stopped */
	u64 timer_frac;	  /* what timer_expiry lacks of it, in 1/LAPIC_BUS_HZ ticks */
	u64 tsc_deadline; /* the MSR, 0: disarmed */
	u8 phys_bits;	  /* for APIC_BASE's reserved bits */
};

/* Power-on state; the BSP's as firmware leaves it: virtual wire mode, LINT0
 * passing the 8259's INTR and LINT1 the NMI (MP specification 3.6.2.2). tsc_hz: guest TSC frequency; phys_bits as in CPUID. */
void lapic_reset(struct lapic *l, u32 id, bool bsp, u64 tsc_hz, u32 phys_bits);

/* An INIT was received: registers as at power-on, but id and APIC_BASE stay. */
void lapic_init_signal(struct lapic *l);

/* xAPIC registers, while lapic_mmio(); offset in the page. lapic_write returns
 * enum lapic_effect bits. What does not exist reads 0 and is noted in ESR. */
u32 lapic_read(struct lapic *l, u32 offset, u64 now_tsc);
u32 lapic_write(struct lapic *l, u32 offset, u32 value, u64 now_tsc) MUST_CHECK;

/* APIC_BASE, TSC_DEADLINE and the x2APIC range; false: #GP, nothing changed.
 * A move of APIC_BASE to another address is refused so, too. */
bool lapic_msr_read(struct lapic *l, u32 msr, u64 *value, u64 now_tsc) MUST_CHECK;
bool lapic_msr_write(struct lapic *l, u32 msr, u64 value, u64 now_tsc, u32 *effects) MUST_CHECK;

/* The highest vector that can be delivered now (its class above PPR's), or -1. */
static inline int lapic_pending(const struct lapic *l)
{
	return (l->irr_top >> 4) > (l->ppr >> 4) ? l->irr_top : -1;
}

/* The processor takes `vector`, as lapic_pending said: IRR -> ISR. */
void lapic_accept(struct lapic *l, u8 vector);

/* A fixed interrupt arrives. Below 16: only noted as an error. */
void lapic_deliver(struct lapic *l, u8 vector, bool level);

/* The 8259's INTR may reach the processor through this LAPIC's LINT0. */
bool lapic_lint0_extint(const struct lapic *l);
/* LINT1 passes an NMI (the board's NMI wire). */
bool lapic_lint1_nmi(const struct lapic *l);

/* Guest TSC of the timer's next expiry; ~0: none. */
u64 lapic_timer_deadline(const struct lapic *l);
/* To be called when that has come (too early: nothing happens): the interrupt
 * goes into IRR, periodic mode goes on, periods missed are merged into one. */
void lapic_timer_expire(struct lapic *l, u64 now_tsc);

/* The guest's TSC was set, `delta` (mod 2^64) from where it stood: the counting
 * timer does not notice. Ask lapic_timer_deadline again. */
void lapic_tsc_moved(struct lapic *l, u64 delta);

/* Is this LAPIC addressed by a message? x2: dest is 32 bits wide as sent by a
 * LAPIC in x2APIC mode; else 8 bits (an IOAPIC's, an MSI's, an xAPIC's). */
bool lapic_match(const struct lapic *l, u32 dest, bool logical, bool x2);

/* CR8 = TPR bits 7:4. */
void lapic_set_cr8(struct lapic *l, u64 cr8);
static inline u64 lapic_get_cr8(const struct lapic *l)
{
	return l->tpr >> 4;
}

/* Switched on by APIC_BASE: else it has no registers (CPUID.1:EDX[9] is 0). */
static inline bool lapic_hw_enabled(const struct lapic *l)
{
	return l->apic_base & APIC_BASE_ENABLE;
}
static inline bool lapic_x2apic(const struct lapic *l)
{
	return l->apic_base & APIC_BASE_X2APIC;
}
/* The MMIO page is there: xAPIC mode. */
static inline bool lapic_mmio(const struct lapic *l)
{
	return (l->apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

#endif
