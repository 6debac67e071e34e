/*
 * Shared by the two halves of the VM-entry check, vmcs_check.c (controls, host)
 * and vmcs_check_guest.c: the list that broken rules are collected in, and what
 * many rules of Intel SDM Vol. 3C, "VM entries", ask for.
 */
#ifndef ARCH_VMX_VMCS_RULES_H
#define ARCH_VMX_VMCS_RULES_H

#include "arch/hv.h"
#include "arch/vmx/vmcs_check.h"
#include "arch/x86.h"

#define EFER_DEFINED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* Intel's processors without 5-level paging. Those with it let 57-bit addresses
 * pass, which no guest of ours gets to load. */
#define LINEAR_BITS 48

#define EVENT_NONE 8u /* not an encoding: nothing is injected */

/* A guest segment's four fields. */
struct vmcs_segment {
	u64 selector, limit, ar, base;
};

struct check {
	const struct vmcs_fields *f;
	const struct vmx_caps *caps;
	u64 proc2; /* the secondary controls in effect */
	struct vmcs_segment seg[HV_SEGS];
	const char **names; /* of broken rules */
	u32 max, count;
};

/* The rule is kept where `holds`; where not, its name is noted. */
static inline void rule(struct check *c, bool holds, const char *name)
{
	if (holds)
		return;
	if (c->count < c->max)
		c->names[c->count] = name;
	c->count++;
}

/* If when, then also. */
static inline bool implies(bool when, bool also)
{
	return !when || also;
}

/* No bits but those of `defined`. */
static inline bool only(u64 value, u64 defined)
{
	return !(value & ~defined);
}

static inline bool canonical(u64 address)
{
	u32 unused = 64 - LINEAR_BITS;

	return (u64)((s64)(address << unused) >> unused) == address;
}

/* A physical address that the processor can emit, with its low bits zero. */
static inline bool physical(const struct check *c, u64 address, u64 low)
{
	return !(address & low) && !(address >> c->caps->phys_bits);
}

/* Eight memory types, none of them reserved. */
static inline bool pat_valid(u64 pat)
{
	for (u32 i = 0; i < 8; i++, pat >>= 8) {
		u8 type = pat & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static inline u32 event_type(const struct vmcs_fields *f)
{
	if (!(f->entry_intr_info & VMX_INTR_VALID))
		return EVENT_NONE;
	return f->entry_intr_info >> VMX_INTR_TYPE_SHIFT & 7;
}

static inline bool is_exception(const struct vmcs_fields *f, enum exception vector)
{
	return event_type(f) == VMX_INTR_TYPE_EXCEPTION &&
	       (f->entry_intr_info & VMX_INTR_VECTOR) == vector;
}

void vmcs_check_guest(struct check *c);

#endif
