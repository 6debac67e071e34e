/*
 * ASIDs: see asid.h. A stale TLB entry can only be used under the ASID that
 * made it, so a vCPU that needs a flush on a CPU without flush-by-ASID just
 * takes a fresh ASID.
 */
#include "arch/svm/asid.h"
#include "arch/svm/vmcb.h"
#include "arch/x86.h"

void asid_init(struct asid_cpu *c, u32 cpu, u32 count)
{
	c->cpu = cpu;
	c->count = count < 2 ? 2 : count;
	c->next = c->count; /* none left: the first assignment opens generation 1 */
	c->generation = 0;
}

static u8 give(struct asid_cpu *c, struct hv_vcpu *v)
{
	u8 control = SVM_TLB_NONE;

	if (c->next >= c->count) {
		c->generation++;
		c->next = 1;
		control = SVM_TLB_ALL;
	}
	v->asid = c->next++;
	v->asid_generation = c->generation;
	v->asid_cpu = c->cpu;
	return control;
}

u8 asid_prepare(struct asid_cpu *c, struct hv_vcpu *v, bool by_asid)
{
	bool valid = v->asid && v->asid_cpu == c->cpu && v->asid_generation == c->generation;
	bool flush = v->flush;

	v->flush = 0;
	if (!valid)
		return give(c, v);
	if (!flush)
		return SVM_TLB_NONE;
	return by_asid ? SVM_TLB_ASID : give(c, v);
}

void asid_ids(const struct asid_cpu *c, struct hv_ids *out)
{
	u64 generation = READ_ONCE(c->generation);

	*out = (struct hv_ids){
		.name = "ASID",
		.count = c->count ? c->count - 1 : 0, /* 0: this CPU is off */
		.given = generation ? READ_ONCE(c->next) - 1 : 0,
		.generation = generation,
	};
}
