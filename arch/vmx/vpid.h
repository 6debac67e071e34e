/*
 * Virtual-processor identifiers: which one a vCPU runs under, and when all
 * that is cached must go (Intel SDM Vol. 3C, 29.4). Decisions only, so that
 * they are unit tested: no emulator models the TLB closely enough to fail them.
 *
 * Each CPU counts generations, as with arch/svm/asid.h: a VPID is valid on the
 * CPU and in the generation that gave it. What is stale stays under a VPID that
 * is not used again before the next generation's INVVPID.
 */
#ifndef ARCH_VMX_VPID_H
#define ARCH_VMX_VPID_H

#include "arch/hv.h"

#define VPIDS 0x10000u /* 0, the host's, included */

struct vpid_cpu {
	u32 cpu;
	u32 next; /* the next one to give */
	u64 generation;
};

/* For CPU number cpu. The first assignment flushes everything: what was cached
 * before is unknown. */
void vpid_init(struct vpid_cpu *c, u32 cpu);

enum vpid_change { VPID_KEPT, VPID_NEW, VPID_NEW_FLUSH };

/* Makes v->asid usable on this CPU; clears v->flush. VPID_NEW: it is another one now;
 * VPID_NEW_FLUSH: and INVVPID of all contexts comes before the next entry. */
enum vpid_change vpid_prepare(struct vpid_cpu *c, struct hv_vcpu *v);

/* How many there are and were given; from another CPU than c's a moment old. */
void vpid_ids(const struct vpid_cpu *c, struct hv_ids *out);

#endif
