/* Decoding of a VMCB's exit into the vendor-neutral struct hv_exit. */
#ifndef ARCH_SVM_SVM_EXIT_H
#define ARCH_SVM_SVM_EXIT_H

#include "arch/hv.h"
#include "arch/svm/vmcb.h"

/* Fill v->exit from the exit stored in b (APM Vol. 2, Appendix C). nrip: the
 * processor stores the next RIP. Reads only b and v->rip. */
void svm_decode_exit(struct hv_vcpu *v, const struct vmcb *b, bool nrip);

/* The event in VMCB form: APM Vol. 2, 15.20 and 15.7.2 share it. */
u64 svm_event_pack(const struct hv_event *e);
struct hv_event svm_event_unpack(u64 info);

#endif
