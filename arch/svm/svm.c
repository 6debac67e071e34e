/*
 * AMD-V behind struct hv_ops: APM Vol. 2, chapter 15.
 *
 * Between CLGI and STGI nothing interrupts this CPU, which is what makes
 * leaving the guest's FS, GS, TR and system-call MSRs live across the exits
 * that the kernel handles itself safe: no NMI can look for its stack through
 * the guest's TR. VMLOAD and VMSAVE are then paid only on the way to ring 3
 * and when a physical interrupt is due.
 *
 * Clean bits and decode assists are not used: no emulator here can test them.
 */
#include "arch/apic.h"
#include "arch/frames.h"
#include "arch/mmu.h"
#include "arch/panic.h"
#include "arch/svm/svm.h"
#include "arch/svm/svm_exit.h"
#include "arch/x86.h"

#define CPUID_SVM BIT(2)   /* 8000_0001 ECX */
#define SVM_EDX_NPT BIT(0) /* 8000_000A EDX */
#define SVM_EDX_NRIP BIT(3)
#define SVM_EDX_FLUSH_ASID BIT(6)
#define VM_CR_LOCK BIT(3)
#define VM_CR_SVMDIS BIT(4)
#define DE_CFG_LFENCE BIT(1)
#define INT_PENDING_C1E (BIT(27) | BIT(28))
#define DC_CFG_ERRATUM_383 BIT(47)
#define LS_CFG_ERRATUM_793 BIT(15)

/* #DB and #AC can be raised endlessly by their own delivery: each passes
 * through here and so stays interruptible. #MC is the host's. */
#define EXCEPTIONS (BIT(EXC_DB) | BIT(EXC_AC) | BIT(EXC_MC))

#define INTERCEPT1 \
	(SVM_I1_INTR | SVM_I1_NMI | SVM_I1_INIT | SVM_I1_VINTR | SVM_I1_RDPMC | SVM_I1_CPUID | \
	 SVM_I1_RSM | SVM_I1_INVD | SVM_I1_HLT | SVM_I1_INVLPGA | SVM_I1_IOIO | SVM_I1_MSR | \
	 SVM_I1_FERR | SVM_I1_SHUTDOWN)
#define INTERCEPT2 \
	(SVM_I2_VMRUN | SVM_I2_VMMCALL | SVM_I2_VMLOAD | SVM_I2_VMSAVE | SVM_I2_STGI | \
	 SVM_I2_CLGI | SVM_I2_SKINIT | SVM_I2_WBINVD | SVM_I2_MONITOR | SVM_I2_MWAIT | \
	 SVM_I2_MWAIT_ARMED | SVM_I2_XSETBV | SVM_I2_RDPRU)
#define INTERCEPT3 (SVM_I3_INVLPGB | SVM_I3_INVLPGB_ILLEGAL | SVM_I3_MCOMMIT | SVM_I3_TLBSYNC)
#define V_IRQ_ANY (SVM_V_IRQ | SVM_V_PRIO_MAX | SVM_V_IGN_TPR)
#define DR7_GD BIT(13)
#define CR_WRITES (BIT(0) | BIT(4) | BIT(8))
#define DR_ALL 0xffff
#define SHADOW_KEPT_MAX 8 /* 200 us each: nudge(), kernel/vcpu.c */

struct svm_cpu svm_cpus[MAX_CPUS];
bool svm_has_nrip, svm_has_flush_by_asid;
static bool tcg; /* QEMU's: see prepare_unusual() and keep_shadow() */
static u32 asid_count;

/* Disabled by firmware, and SVMDIS cannot be cleared (APM Vol. 2, 15.30.1). */
static bool locked_off(void)
{
	u64 vm_cr = rdmsr(MSR_AMD_VM_CR);

	return (vm_cr & VM_CR_SVMDIS) && (vm_cr & VM_CR_LOCK);
}

static void msr_change(u32 msr, u64 off, u64 on)
{
	u64 value;

	if (rdmsr_safe(msr, &value) && ((value & ~off) | on) != value)
		wrmsr_safe(msr, (value & ~off) | on);
}

/*
 * What old families must not be left with, by AMD's revision guides:
 * - up to 10h, erratum 400: in C1E, when all cores halt, local APIC timers stop
 * - 10h, erratum 383: a guest that changes a page's size raises a machine check
 * - 16h, erratum 793: write-combining stores and locked ones hang the core
 */
static void avoid_errata(void)
{
	u32 r[4], family;

	cpuid_count(1, 0, r);
	family = (r[0] >> 8 & 0xf) + (r[0] >> 20 & 0xff);
	if (family <= 0x10)
		msr_change(MSR_AMD_INT_PENDING, INT_PENDING_C1E, 0);
	if (family == 0x10)
		msr_change(MSR_AMD_DC_CFG, 0, DC_CFG_ERRATUM_383);
	if (family == 0x16)
		msr_change(MSR_AMD_LS_CFG, 0, LS_CFG_ERRATUM_793);
}

static enum err cpu_on(void)
{
	struct svm_cpu *c = &svm_cpus[this_cpu()->index];
	void *save = mmu_frame_alloc(0), *host = mmu_frame_alloc(0);

	if (!save || !host)
		return ERR_NOMEM;
	if (locked_off())
		return ERR_NODEV;
	wrmsr(MSR_AMD_VM_CR, rdmsr(MSR_AMD_VM_CR) & ~VM_CR_SVMDIS);
	/* LFENCE serialises, as guests are told (MSR C001_1029, absent on old CPUs) */
	msr_change(MSR_AMD_DE_CFG, 0, DE_CFG_LFENCE);
	avoid_errata();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, phys_of(save));
	c->save_area = phys_of(save);
	c->host_area = phys_of(host);
	svm_vmsave(c->host_area);
	asid_init(&c->asid, this_cpu()->index, asid_count);
	return OK;
}

static void cpu_off(void)
{
	if (!(rdmsr(MSR_EFER) & EFER_SVME))
		return;
	__asm__ volatile("stgi" ::: "memory");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

static enum err vcpu_init(struct hv_vcpu *v, u64 tsc_offset, u16 owner)
{
	struct vmcb *b = mmu_frame_alloc(owner);

	if (!b)
		return ERR_NOMEM;
	v->area = b;
	v->area_hpa = phys_of(b);
	b->cr_writes = CR_WRITES;
	b->dr_reads = b->dr_writes = DR_ALL;
	b->exceptions = EXCEPTIONS;
	b->intercept1 = INTERCEPT1;
	b->intercept2 = INTERCEPT2;
	b->intercept3 = INTERCEPT3;
	b->iopm_base = svm_iopm();
	b->msrpm_base = svm_msrpm();
	b->tsc_offset = tsc_offset;
	b->np_enable = 1;
	b->n_cr3 = v->nested_root;
	svm_state_reset(b);
	v->rip = b->rip;
	v->rflags = b->rflags;
	v->asid = 0;
	return OK;
}

static void vcpu_fini(struct hv_vcpu *v, u16 owner)
{
	if (v->area)
		mmu_frame_free(v->area, owner);
	v->area = NULL;
}

static void load(struct hv_vcpu *v)
{
	v->host_area = svm_cpus[this_cpu()->index].host_area;
	v->live = 0;
	v->flush = 1; /* others may have used up this CPU's ASIDs */
	clear_breakpoints();
	/* VMRUN loads it, but Bochs 2.7 leaves the last guest's there. */
	write_cr2(svm_vmcb(v)->cr2);
}

static void put(struct hv_vcpu *v)
{
	v->host_area = 0;
}

static void set_tsc_offset(struct hv_vcpu *v, u64 offset)
{
	svm_vmcb(v)->tsc_offset = offset;
}

static void close_gif(void)
{
	__asm__ volatile("clgi" ::: "memory");
}

static void open_gif(struct hv_vcpu *v)
{
	if (v->live) {
		svm_vmsave(v->area_hpa);
		svm_vmload(v->host_area);
		v->live = 0;
	}
	__asm__ volatile("stgi" ::: "memory");
}

static void inject(struct hv_vcpu *v, struct vmcb *b)
{
	if (!(b->cr0 & CR0_PE)) /* real mode pushes no error codes */
		v->inject.has_error = 0;
	b->event_inj = svm_event_pack(&v->inject);
	/* The handler of #DB finds GD clear. At an intercepted #DB hardware has seen to
	 * that, and to the cause in DR6 (APM Vol. 2, 15.12.2); Bochs 2.7 to neither. */
	if (v->inject.type == HV_EVENT_EXCEPTION && v->inject.vector == EXC_DB)
		b->dr7 &= ~DR7_GD;
}

/*
 * What an entry seldom needs. True: an external interrupt is injected by V_IRQ.
 *
 * Two ways to inject an external interrupt, neither right on both emulators:
 * - EVENTINJ, where the processor is not known better. QEMU's TCG delivers it
 *   a second time if it leaves its execution loop for reasons of its own
 *   before the next exit.
 * - A virtual interrupt (V_IRQ with its vector, APM Vol. 2, 15.21.4). The
 *   caller made sure that the guest can take it, so it is delivered at once,
 *   or not at all when a physical interrupt is first; V_IRQ is still set then.
 *   With V_IRQ in use there is no window to wait for. Bochs 2.7 looks at V_IRQ
 *   only when the guest's RFLAGS.IF goes from 0 to 1: one that enters with IF
 *   set does not get it.
 *
 * Bochs 2.7 also keeps physical interrupts from a guest that was entered with
 * IF clear, until it sets IF or exits, although host IF is set (15.21.1): a
 * guest that spins so cannot be stopped there.
 */
static bool prepare_unusual(struct hv_vcpu *v, struct vmcb *b)
{
	bool virq = tcg && v->inject.valid && v->inject.type == HV_EVENT_EXTINT;

	if (virq) {
		b->int_ctl |= V_IRQ_ANY | (u64)v->inject.vector << SVM_V_VECTOR_SHIFT;
		b->intercept1 &= ~SVM_I1_VINTR;
	} else {
		if (v->inject.valid)
			inject(v, b);
		/* TCG would open it at once: it does not load the shadow */
		if (v->want_window && !(tcg && v->shadow && v->rflags & RFLAGS_IF))
			b->int_ctl |= V_IRQ_ANY;
	}
	v->inject.valid = 0;
	if (v->watch_iret)
		b->intercept1 |= SVM_I1_IRET;
	if (v->flush) {
		b->tlb_control =
			asid_prepare(&svm_cpus[this_cpu()->index].asid, v, svm_has_flush_by_asid);
		b->asid = v->asid;
	}
	if (v->breakpoints) {
		write_dr0(v->dr[0]);
		write_dr1(v->dr[1]);
		write_dr2(v->dr[2]);
		write_dr3(v->dr[3]);
	}
	return virq;
}

static void clear_unusual(struct hv_vcpu *v, struct vmcb *b)
{
	b->event_inj = 0;
	b->intercept1 = INTERCEPT1;
	b->tlb_control = SVM_TLB_NONE;
	/* hardware disarms the host's breakpoints at #VMEXIT; QEMU's TCG does not */
	if (v->breakpoints)
		write_dr7(0x400);
}

/* Guest registers in, VMRUN, guest registers out. */
static inline __attribute__((always_inline)) void enter(struct hv_vcpu *v, struct vmcb *b)
{
	b->rax = v->gpr[HV_RAX];
	b->rsp = v->gpr[HV_RSP];
	b->rip = v->rip;
	b->rflags = v->rflags;
	b->int_shadow = v->shadow;
	if (!v->live) {
		svm_vmload(v->area_hpa);
		v->live = 1;
	}
	svm_switch(v, v->area_hpa);
	v->gpr[HV_RAX] = b->rax;
	v->gpr[HV_RSP] = b->rsp;
	v->rip = b->rip;
	v->rflags = b->rflags;
	v->shadow = b->int_shadow & 1;
	v->tpr = b->int_ctl & SVM_V_TPR_MASK;
}

/*
 * QEMU's TCG does not load the interrupt shadow from the VMCB (7.2). A guest
 * that is interrupted between STI and HLT, and once more on its way back there,
 * would have its interrupt before that HLT, and sleep on. So what has executed
 * no instruction since it was entered is in the shadow yet. A loop of a single
 * instruction looks no different, and gets its interrupt a few exits later.
 */
static void keep_shadow(struct hv_vcpu *v, u64 entered_at)
{
	if (v->exit.reason == HV_EXIT_INTR && v->rip == entered_at &&
	    v->shadow_kept < SHADOW_KEPT_MAX) {
		v->shadow = 1;
		v->shadow_kept++;
	} else {
		v->shadow_kept = 0;
	}
}

static NOINLINE void run_unusual(struct hv_vcpu *v, struct vmcb *b)
{
	bool virq = prepare_unusual(v, b), shadow = v->shadow;
	bool v_irq = b->int_ctl & SVM_V_IRQ;
	u64 rip = v->rip;

	enter(v, b);
	/* As it notes V_IRQ, TCG's VMRUN forgets an interrupt that another thread raises at
	 * that moment (7.2: interrupt_request |= without its lock) */
	if (v_irq && tcg)
		apic_look_again();
	clear_unusual(v, b);
	svm_decode_exit(v, b, svm_has_nrip);
	if (shadow && tcg)
		keep_shadow(v, rip);
	if (virq && (b->int_ctl & SVM_V_IRQ) && !v->exit.cut.valid)
		v->inject.valid = 1;
}

static void run(struct hv_vcpu *v)
{
	struct vmcb *b = svm_vmcb(v);

	b->int_ctl = SVM_V_INTR_MASKING | v->tpr;
	if (unlikely(v->unusual | v->inject.valid)) {
		run_unusual(v, b);
		return;
	}
	enter(v, b);
	svm_decode_exit(v, b, svm_has_nrip);
}

static void describe(char *buf, size_t size)
{
	static const char *const text[] = {
		"NPT",
		"NPT, next RIP",
		"NPT, flush by ASID",
		"NPT, next RIP, flush by ASID",
	};
	const char *s = text[svm_has_nrip + 2 * svm_has_flush_by_asid];
	size_t i = 0;

	for (; s[i] && i + 1 < size; i++)
		buf[i] = s[i];
	if (size)
		buf[i] = 0;
}

static void ids(u32 cpu, struct hv_ids *out)
{
	asid_ids(&svm_cpus[cpu].asid, out);
}

static struct hv_ops svm_ops = {
	.name = "AMD-V",
	.area_pages = 1,
	.cpu_on = cpu_on,
	.cpu_off = cpu_off,
	.describe = describe,
	.ids = ids,
	.vcpu_init = vcpu_init,
	.vcpu_fini = vcpu_fini,
	.load = load,
	.put = put,
	.run = run,
	.close = close_gif,
	.open = open_gif,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.get_mmu = svm_get_mmu,
	.set_cr = svm_set_cr,
	.get_cr = svm_get_cr,
	.set_dr = svm_set_dr,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.set_tsc_offset = set_tsc_offset,
};

/* The signature in the hypervisors' first CPUID leaf, which no real processor has. */
static bool on_tcg(void)
{
	u32 r[4];

	cpuid_count(0x40000000, 0, r);
	return r[1] == 0x54474354 && r[2] == 0x43544743 && r[3] == 0x47435447; /* TCGTCGTCGTCG */
}

const struct hv_ops *svm_probe(const char **why)
{
	u32 r[4];

	cpuid_count(0x80000000, 0, r);
	if (r[0] < 0x8000000a) {
		*why = "the CPU has no AMD-V";
		return NULL;
	}
	cpuid_count(0x80000001, 0, r);
	if (!(r[2] & CPUID_SVM)) {
		*why = "the CPU has no AMD-V";
		return NULL;
	}
	if (locked_off()) {
		*why = "AMD-V is disabled: enable SVM (virtualization) in the firmware's setup";
		return NULL;
	}
	cpuid_count(0x8000000a, 0, r);
	if (!(r[3] & SVM_EDX_NPT)) {
		*why = "the CPU's AMD-V has no nested paging";
		return NULL;
	}
	asid_count = r[1];
	svm_has_nrip = r[3] & SVM_EDX_NRIP;
	svm_has_flush_by_asid = r[3] & SVM_EDX_FLUSH_ASID;
	tcg = on_tcg();
	svm_ops.nested = &mmu_npt;
	svm_maps_init();
	return &svm_ops;
}
