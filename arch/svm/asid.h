/*
 * Address space identifiers: which one a vCPU runs under, and when the TLB
 * must be flushed (APM Vol. 2, 15.16). Decisions only, so that they are unit
 * tested: no emulator models the TLB closely enough to fail them.
 *
 * Each CPU counts generations. An ASID is valid on the CPU and in the
 * generation that gave it; when a CPU has given all, it starts a new
 * generation with one full flush.
 */
#ifndef ARCH_SVM_ASID_H
#define ARCH_SVM_ASID_H

#include "arch/hv.h"

struct asid_cpu {
	u32 cpu;
	u32 count; /* ASIDs that the processor has, 0 (the host's) included */
	u32 next;  /* the next one to give */
	u64 generation;
};

/* For the calling CPU; count as CPUID 8000_000A EBX says, at least 2. The
 * first assignment flushes everything: what was cached before is unknown. */
void asid_init(struct asid_cpu *c, u32 cpu, u32 count);

/* Make v->asid usable on this CPU and return the TLB_CONTROL for the next
 * VMRUN; clears v->flush. by_asid: flush-by-ASID exists. */
u8 asid_prepare(struct asid_cpu *c, struct hv_vcpu *v, bool by_asid);

/* How many there are and were given; from another CPU than c's a moment old. */
void asid_ids(const struct asid_cpu *c, struct hv_ids *out);

#endif
