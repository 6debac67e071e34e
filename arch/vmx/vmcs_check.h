/*
 * Would the processor enter a guest with this VMCS? The rules of Intel SDM
 * Vol. 3C, "VM entries", sections "Checks on VMX controls and host-state area"
 * and "Checking the guest-state area", as a function of plain values: run on
 * generated states by unit tests and, when an entry failed, on what VMREAD
 * returns, to give the failure a name. No state of its own.
 */
#ifndef ARCH_VMX_VMCS_CHECK_H
#define ARCH_VMX_VMCS_CHECK_H

#include "arch/types.h"
#include "arch/vmx/caps.h"
#include "arch/vmx/vmcs.h"

/*
 * A plain copy of a VMCS. A field that this processor does not have is 0:
 *
 *	#define X(NAME, member, encoding) f.member = vmread_safe(encoding);
 *	VMCS_FIELDS(X)
 */
struct vmcs_fields {
#define X(NAME, member, encoding) u64 member;
	VMCS_FIELDS(X)
#undef X
};

/*
 * Every rule that is broken, in the manual's order: up to max names into
 * names[], constant strings such as "guest CS: type". Returns how many rules
 * are broken, which may be more than max.
 *
 * Not looked at is what lies in memory: the virtual-APIC page, the link
 * pointer's VMCS, PDPTEs without EPT, the entries of MSR areas. A control whose
 * fields or rules are not known here is reported as that: whoever starts to
 * use it adds them.
 */
u32 vmcs_check_all(const struct vmcs_fields *f, const struct vmx_caps *caps, const char **names,
		   u32 max);

/* The first of them; NULL: the processor would enter the guest. */
const char *vmcs_check(const struct vmcs_fields *f, const struct vmx_caps *caps);

#endif
