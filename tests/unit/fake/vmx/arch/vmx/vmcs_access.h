/*
 * arch/vmx/vmcs_access.h for unit tests: one VMCS in plain memory, indexed by
 * encoding. First on the include path: "FLAGS:" of a test.
 */
#ifndef FAKE_ARCH_VMX_VMCS_ACCESS_H
#define FAKE_ARCH_VMX_VMCS_ACCESS_H

#include "arch/vmx/vmcs.h"

extern u64 fake_vmcs[0x8000];

static inline u64 vmread(u64 field)
{
	return fake_vmcs[field & 0x7fff];
}

static inline void vmwrite(u64 field, u64 value)
{
	fake_vmcs[field & 0x7fff] = value;
}

#endif
