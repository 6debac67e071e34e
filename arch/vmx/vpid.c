/*
 * VPIDs: see vpid.h. A vCPU whose translations are stale takes a fresh one,
 * which is cheaper than INVVPID; there are many.
 */
#include "arch/vmx/vpid.h"
#include "arch/x86.h"

void vpid_init(struct vpid_cpu *c, u32 cpu)
{
	c->cpu = cpu;
	c->next = VPIDS; /* none left: the first assignment opens generation 1 */
	c->generation = 0;
}

enum vpid_change vpid_prepare(struct vpid_cpu *c, struct hv_vcpu *v)
{
	enum vpid_change change = VPID_NEW;

	if (!v->flush && v->asid && v->asid_cpu == c->cpu && v->asid_generation == c->generation)
		return VPID_KEPT;
	v->flush = 0;
	if (c->next >= VPIDS) {
		c->generation++;
		c->next = 1;
		change = VPID_NEW_FLUSH;
	}
	v->asid = c->next++;
	v->asid_generation = c->generation;
	v->asid_cpu = c->cpu;
	return change;
}

void vpid_ids(const struct vpid_cpu *c, struct hv_ids *out)
{
	u64 generation = READ_ONCE(c->generation);

	*out = (struct hv_ids){
		.name = "VPID",
		.count = VPIDS - 1,
		.given = generation ? READ_ONCE(c->next) - 1 : 0,
		.generation = generation,
	};
}
