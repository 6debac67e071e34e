/* What the files of arch/vmx share. */
#ifndef ARCH_VMX_VMX_H
#define ARCH_VMX_VMX_H

#include "arch/hv.h"
#include "arch/vmx/caps.h"
#include "arch/vmx/vmcs_access.h"

/* System-call MSRs: VMX does not switch them. */
enum vmx_msr { VMX_STAR, VMX_LSTAR, VMX_CSTAR, VMX_SFMASK, VMX_KERNEL_GS_BASE, VMX_MSRS };

/*
 * What the VMCS does not hold of a vCPU, and copies of what it does, so that
 * a field is written only when it changes. One page, v->area; the VMCS itself
 * is at v->area_hpa. Belongs to the CPU that the vCPU is loaded on.
 */
struct vmx_vcpu {
	u64 rip, rsp, rflags; /* as the VMCS has them */
	u64 host_rsp;	      /* likewise; 0: unknown */
	u32 proc;	      /* processor-based controls, likewise */
	u32 interruptibility; /* likewise */
	u32 launched;	      /* VMRESUME, no longer VMLAUNCH */
	u64 cr2, dr6, dr7;    /* the guest's; dr7 is in the VMCS too */
	u64 msr[VMX_MSRS];    /* the guest's; KERNEL_GS_BASE: while not live */
	u64 eptp;
	u32 ept_cpu; /* where its EPT's cached mappings are known to be its own */
	void *vmcs;
};

extern struct vmx_caps vmx_caps;

static inline struct vmx_vcpu *vmx_of(struct hv_vcpu *v)
{
	return v->area;
}

/* vmx_switch.S: 0: the guest ran; 1, 2: VMfailValid, VMfailInvalid */
u32 vmx_switch(struct hv_vcpu *v, u32 launched, u64 *host_rsp);
void vmx_exit_entry(void);

/* vmx_maps.c: the I/O and MSR permission maps, the same for all VMs */
void vmx_maps_init(void);
hpa_t vmx_io_bitmap(u32 half);
hpa_t vmx_msr_bitmap(void);

/* vmx_state.c */
void vmx_state_reset(struct hv_vcpu *v);
void vmx_get_state(struct hv_vcpu *v, struct hv_state *s);
void vmx_set_state(struct hv_vcpu *v, const struct hv_state *s);
void vmx_get_mmu(struct hv_vcpu *v, struct hv_state *s, u8 *cpl);
void vmx_set_cr(struct hv_vcpu *v, u32 nr, u64 value);
void vmx_grant_cr(struct hv_vcpu *v, u32 nr, u64 value);
u64 vmx_get_cr(struct hv_vcpu *v, u32 nr);
void vmx_set_dr(struct hv_vcpu *v, u32 nr, u64 value);
bool vmx_get_msr(struct hv_vcpu *v, u32 msr, u64 *value);
bool vmx_set_msr(struct hv_vcpu *v, u32 msr, u64 value);

/* The number of an MSR of enum vmx_msr. */
extern const u32 vmx_msr_number[VMX_MSRS];

#endif
