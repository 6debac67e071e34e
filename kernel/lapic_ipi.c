/*
 * Interrupt messages of the virtual local APIC: what a write of ICR or SELF
 * IPI sends, and whom a message addresses (Intel SDM Vol. 3A "Issuing
 * Interprocessor Interrupts" and "Determining IPI Destination").
 */
#include "kernel/lapic_internal.h"

u32 lapic_self_ipi(struct lapic *l, u8 vector)
{
	if (vector < 16)
		lapic_error(l, ESR_SEND_VECTOR);
	else
		lapic_deliver(l, vector, false);
	return LAPIC_EVENT;
}

u32 lapic_icr_send(struct lapic *l, u32 low, u32 dest)
{
	u8 vector = (u8)low, mode = low >> 8 & 7, shorthand = low >> 18 & 3;

	switch (mode) {
	case LAPIC_MODE_FIXED:
		if (shorthand == LAPIC_TO_SELF)
			return lapic_self_ipi(l, vector);
		break;
	case LAPIC_MODE_INIT:
		if ((low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
			return 0; /* de-assert: only arbitration of old */
		break;
	case LAPIC_MODE_LOWEST:
	case LAPIC_MODE_NMI:
	case LAPIC_MODE_SIPI: break;
	default: return 0; /* SMI: there is no SMM here; the rest is reserved */
	}
	if (mode <= LAPIC_MODE_LOWEST && vector < 16) {
		lapic_error(l, ESR_SEND_VECTOR);
		return LAPIC_EVENT;
	}
	/* Only a fixed interrupt may reach its sender through a shorthand. */
	if (mode != LAPIC_MODE_FIXED && (shorthand == LAPIC_TO_SELF || shorthand == LAPIC_TO_ALL))
		return 0;
	l->ipi = (struct lapic_ipi){
		.dest = dest,
		.mode = mode,
		.vector = vector,
		.shorthand = shorthand,
		.logical = !!(low & ICR_LOGICAL),
	};
	return LAPIC_IPI;
}

bool lapic_match(const struct lapic *l, u32 dest, bool logical, bool x2)
{
	u32 mine;

	if (!lapic_hw_enabled(l))
		return false;
	if (dest == (x2 ? ~0u : 0xffu))
		return true;
	if (!logical)
		return dest == (lapic_x2apic(l) ? l->id : l->id & 0xff);
	if (lapic_x2apic(l))
		return dest >> 16 == l->id >> 4 && dest >> (l->id & 15) & 1;
	if (dest > 0xff)
		return false;
	mine = l->ldr >> 24;
	if (l->dfr >> 28 == 0xf) /* flat */
		return dest & mine;
	if (l->dfr >> 28)
		return false;
	/* cluster; cluster 15 addresses all of them */
	return (dest >> 4 == mine >> 4 || dest >> 4 == 0xf) && (dest & mine & 0xf);
}
