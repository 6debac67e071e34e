/* Decoding of a VMX exit into the vendor-neutral struct hv_exit. */
#ifndef ARCH_VMX_VMX_EXIT_H
#define ARCH_VMX_VMX_EXIT_H

#include "arch/vmx/vmx.h"

/* Fill v->exit from the current VMCS, whose exit reason field is given; the
 * registers in v are fresh. May change what of x goes with the exit: DR6 at a
 * debug exception, NMI blocking that an interrupted IRET had ended. */
void vmx_decode_exit(struct hv_vcpu *v, struct vmx_vcpu *x, u32 reason);

/* The event as interruption information, without its error code; real: the
 * guest is in real mode, where exceptions push none. */
u32 vmx_event_pack(const struct hv_event *e, bool real);
struct hv_event vmx_event_unpack(u32 info, u32 error);

/* "entry with invalid host-state field(s)" and the like; SDM Vol. 3C, 31.4 */
const char *vmx_insn_error_name(u32 error);

#endif
