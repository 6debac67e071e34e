/*
 * Events for the guest that meet: one whose delivery an exit cut short, and
 * one that is to be injected while another waits. Which comes first, which is
 * lost and what becomes a double fault: Intel SDM Vol. 3A, interrupt 8, tables
 * 6-4 and 6-5, and Vol. 3C, "Information for VM Exits During Event Delivery";
 * AMD APM Vol. 2, 8.2.9 and 15.20. Runs on the vCPU's CPU, open or closed.
 */
#include "arch/x86.h"
#include "kernel/vcpu.h"

#define CONTRIBUTORY (BIT(EXC_DE) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP))

enum pair {
	PAIR_SERIAL, /* the second is delivered */
	PAIR_DOUBLE, /* #DF */
	PAIR_SHUTDOWN,
};

/* What an exception makes of another one that is met while it is delivered. */
static enum pair pair_of(u8 first, u8 second)
{
	bool contributory = CONTRIBUTORY >> second & 1;

	if (first == EXC_DF)
		return contributory || second == EXC_PF ? PAIR_SHUTDOWN : PAIR_SERIAL;
	if (CONTRIBUTORY >> first & 1)
		return contributory ? PAIR_DOUBLE : PAIR_SERIAL;
	if (first == EXC_PF)
		return contributory || second == EXC_PF ? PAIR_DOUBLE : PAIR_SERIAL;
	return PAIR_SERIAL;
}

void vcpu_requeue(struct vcpu *v)
{
	const struct hv_event *cut = &v->hv.exit.cut;

	/* INT n and INT3/INTO are raised anew: RIP still points at them */
	if (cut->type == HV_EVENT_SOFT ||
	    (cut->type == HV_EVENT_EXCEPTION && (cut->vector == EXC_BP || cut->vector == EXC_OF)))
		return;
	v->hv.inject = *cut;
	vcpu_request(v, VCPU_REQ_EVENT);
}

/*
 * An exception is due while hv.inject holds an event. An interrupt or NMI was
 * accepted already and would be lost: it is kept, and comes as soon as the
 * guest can take one. An exception is lost to the second one, as in hardware:
 * a fault's instruction will raise it again.
 */
static enum pair meet(struct vcpu *v, u8 vector)
{
	struct hv_event *first = &v->hv.inject;

	if (first->type == HV_EVENT_EXCEPTION)
		return pair_of(first->vector, vector);
	v->kept[first->type == HV_EVENT_NMI ? VCPU_KEPT_NMI : VCPU_KEPT_EXTINT] = *first;
	return PAIR_SERIAL;
}

bool vcpu_inject_kept(struct vcpu *v)
{
	bool nmi = v->kept[VCPU_KEPT_NMI].valid;
	struct hv_event *e = &v->kept[nmi ? VCPU_KEPT_NMI : VCPU_KEPT_EXTINT];

	if (!nmi && !(v->hv.rflags & RFLAGS_IF))
		return false;
	v->hv.inject = *e;
	e->valid = 0;
	if (nmi) {
		v->nmi_blocked = true;
		v->nmi_iret = false;
	}
	return true;
}

void vcpu_inject(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	enum pair pair = unlikely(v->hv.inject.valid) ? meet(v, vector) : PAIR_SERIAL;

	if (unlikely(pair == PAIR_SHUTDOWN)) {
		v->shutdown = true;
		vcpu_request(v, VCPU_REQ_LEAVE); /* its end needs the host whole again */
		return;
	}
	if (unlikely(pair == PAIR_DOUBLE)) {
		vector = EXC_DF;
		has_error = true;
		error = 0;
	}
	v->hv.inject = (struct hv_event){
		.valid = 1,
		.type = HV_EVENT_EXCEPTION,
		.vector = vector,
		.has_error = has_error,
		.error = error,
	};
	vcpu_request(v, VCPU_REQ_EVENT);
}
