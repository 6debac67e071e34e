/*
 * What the files of the virtual local APIC share (kernel/lapic.h): lapic.c has
 * priorities and registers, lapic_timer.c the timer, lapic_ipi.c sending and
 * addressing, lapic_msr.c APIC_BASE and x2APIC. Included by these alone.
 */
#ifndef KERNEL_LAPIC_INTERNAL_H
#define KERNEL_LAPIC_INTERNAL_H

#include "kernel/lapic.h"

#define SVR_BITS 0x3ffu

#define LVT_MASKED 0x10000u
#define LVT_STATUS 0x1000u     /* read-only, never set: delivery is at once */
#define LVT_REMOTE_IRR 0x4000u /* read-only, never set */

#define TIMER_PERIODIC 1u
#define TIMER_DEADLINE 2u
#define TIMER_STOPPED (~0ull)

#define ESR_SEND_VECTOR 0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ESR_REGISTER 0x80u

#define ICR_LOGICAL 0x800u
#define ICR_STATUS 0x1000u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_BITS 0x000cdfffu

/* Bits that software may set in each LVT entry. */
extern const u32 lapic_lvt_bits[LVT_COUNT];

/* Which LVT entry a register is; -1: none. */
static inline int lapic_lvt_index(u32 reg)
{
	return reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR ? (int)(reg - LAPIC_LVT_TIMER) >> 4
								: -1;
}

static inline u32 lapic_timer_mode(const struct lapic *l)
{
	return l->lvt[LVT_TIMER] >> 17 & 3;
}

/* lapic.c */

/* Note an error in ESR; a new one raises the error LVT's interrupt. */
void lapic_error(struct lapic *l, u32 bit);
/* `enabled` follows APIC_BASE and SVR. */
void lapic_enabled_update(struct lapic *l);
/* Power-on values of the registers (SDM "Local APIC State After Power-Up"). */
void lapic_registers_reset(struct lapic *l);
/* A register that exists in both modes, by its MMIO offset; false: there is none. */
bool lapic_reg_read(const struct lapic *l, u32 reg, u64 now, u32 *value) MUST_CHECK;
/* The same for writing; effects as lapic_write's. */
bool lapic_reg_write(struct lapic *l, u32 reg, u32 value, u64 now, u32 *effects) MUST_CHECK;

/* lapic_timer.c: writes return effects; times in guest TSC ticks */

/* The current count; what has passed unnoticed counts as having happened. */
u32 lapic_timer_count(const struct lapic *l, u64 now);
u32 lapic_timer_lvt_write(struct lapic *l, u32 value, u64 now);
u32 lapic_timer_init_write(struct lapic *l, u32 value, u64 now);
u32 lapic_timer_divide_write(struct lapic *l, u32 value, u64 now);

/* lapic_ipi.c: return effects */

/* A write of ICR: low as written, dest in the width of the mode. */
u32 lapic_icr_send(struct lapic *l, u32 low, u32 dest);
u32 lapic_self_ipi(struct lapic *l, u8 vector);

#endif
