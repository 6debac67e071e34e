/* What the files of arch/svm share. */
#ifndef ARCH_SVM_SVM_H
#define ARCH_SVM_SVM_H

#include "arch/cpu.h"
#include "arch/hv.h"
#include "arch/svm/asid.h"
#include "arch/svm/vmcb.h"

/* Per physical CPU. */
struct svm_cpu {
	struct asid_cpu asid;
	hpa_t host_area; /* VMSAVE image of the host: FS, GS, TR, system-call MSRs */
	hpa_t save_area; /* VM_HSAVE_PA: what VMRUN keeps of the host */
};

extern struct svm_cpu svm_cpus[MAX_CPUS];
extern bool svm_has_nrip, svm_has_flush_by_asid;

static inline struct vmcb *svm_vmcb(struct hv_vcpu *v)
{
	return v->area;
}

static inline void svm_vmsave(hpa_t area)
{
	__asm__ volatile("vmsave %%rax" ::"a"(area) : "memory");
}

static inline void svm_vmload(hpa_t area)
{
	__asm__ volatile("vmload %%rax" ::"a"(area) : "memory");
}

/* svm_switch.S */
void svm_switch(struct hv_vcpu *v, hpa_t vmcb);

/* svm_maps.c: the I/O and MSR permission maps, the same for all VMs */
void svm_maps_init(void);
hpa_t svm_iopm(void);
hpa_t svm_msrpm(void);

/* svm_state.c */
void svm_state_reset(struct vmcb *b);
void svm_get_state(struct hv_vcpu *v, struct hv_state *s);
void svm_set_state(struct hv_vcpu *v, const struct hv_state *s);
void svm_get_mmu(struct hv_vcpu *v, struct hv_state *s, u8 *cpl);
void svm_set_cr(struct hv_vcpu *v, u32 nr, u64 value);
u64 svm_get_cr(struct hv_vcpu *v, u32 nr);
void svm_set_dr(struct hv_vcpu *v, u32 nr, u64 value);
bool svm_get_msr(struct hv_vcpu *v, u32 msr, u64 *value);
bool svm_set_msr(struct hv_vcpu *v, u32 msr, u64 value);

#endif
