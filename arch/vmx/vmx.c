/*
 * Intel VT-x behind struct hv_ops: Intel SDM Vol. 3C, chapters 24 to 33.
 *
 * An exit loads the host's segments, TR, CR3, EFER and PAT from the VMCS, so
 * an NMI may come at any time: "closed" (arch/hv.h) means here that interrupts
 * are off and that the system-call MSRs may still be the guest's (v->live).
 * The kernel relies on them only for ring 3.
 *
 * The host's fields name the CPU and the address space: load() writes them.
 * One VMCS is current per CPU; all fields are those of the vCPU loaded there.
 */
#include "arch/vmx/vmx.h"
#include "arch/cpu.h"
#include "arch/frames.h"
#include "arch/log.h"
#include "arch/mmu.h"
#include "arch/panic.h"
#include "arch/vmx/vmcs_check.h"
#include "arch/vmx/vmx_exit.h"
#include "arch/vmx/vpid.h"
#include "arch/x86.h"

/* #DB and #AC can be raised endlessly by their own delivery: each passes
 * through here and so stays interruptible. #MC is the host's. */
#define EXCEPTIONS (BIT(EXC_DB) | BIT(EXC_AC) | BIT(EXC_MC))
#define BLOCK_INTR (VMX_BLOCK_STI | VMX_BLOCK_MOV_SS)
#define WINDOWS ((u32)(VMX_PROC_INTR_WINDOW | VMX_PROC_NMI_WINDOW))

_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "one page");

/* Per physical CPU. */
struct vmx_cpu {
	hpa_t vmxon;   /* the region that VMXON was given, 0: VMX is off */
	hpa_t current; /* the VMCS loaded, 0: none */
	struct vpid_cpu vpid;
	u64 host_msr[VMX_MSRS]; /* the host's system-call MSRs, which never change */
};

struct vmx_caps vmx_caps;
static struct vmx_controls controls;
static struct vmx_cpu vmx_cpus[MAX_CPUS];

static struct vmx_cpu *this_vmx(void)
{
	return &vmx_cpus[this_cpu()->index];
}

/* ------------------------------------------------------------------ CPU */

/* A region of the processor's, its revision in front. */
static void *region_alloc(u16 owner)
{
	u32 *p = mmu_frame_alloc(owner);

	if (p)
		p[0] = (u32)(vmx_caps.basic & VMX_BASIC_REVISION);
	return p;
}

/* IA32_FEATURE_CONTROL: firmware should have set and locked it; unlocked, it is ours. */
static bool feature_control(void)
{
	u64 value;

	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &value) || vmx_locked_off(value))
		return false;
	if (vmx_feature_control(value) == value)
		return true;
	return wrmsr_safe(MSR_FEATURE_CONTROL, vmx_feature_control(value));
}

/* The bits that VMX operation insists on; the kernel's choice has them by far and large. */
static bool fix_control_registers(void)
{
	u64 cr0 = read_cr0() | vmx_caps.cr0_fixed0;
	u64 cr4 = read_cr4() | CR4_VMXE | vmx_caps.cr4_fixed0;

	if ((cr0 & ~vmx_caps.cr0_fixed1) || (cr4 & ~vmx_caps.cr4_fixed1))
		return false;
	write_cr0(cr0);
	write_cr4(cr4);
	return true;
}

static enum err cpu_on(void)
{
	struct vmx_cpu *c = this_vmx();
	void *region = region_alloc(0);

	if (!region)
		return ERR_NOMEM;
	if (!feature_control()) {
		log_error("CPU %u: VT-x is locked off: enable it in the firmware's setup",
			  this_cpu()->index);
		return ERR_NODEV;
	}
	if (!fix_control_registers())
		return ERR_NODEV;
	*c = (struct vmx_cpu){ 0 };
	vpid_init(&c->vpid, this_cpu()->index);
	if (!vmxon(phys_of(region)))
		return ERR_NODEV;
	c->vmxon = phys_of(region);
	for (u32 i = 0; i < VMX_MSRS; i++)
		c->host_msr[i] = rdmsr(vmx_msr_number[i]);
	return OK;
}

static void cpu_off(void)
{
	struct vmx_cpu *c = this_vmx();

	if (!c->vmxon)
		return;
	if (c->current)
		vmclear(c->current);
	c->current = 0;
	c->vmxon = 0;
	vmxoff();
	write_cr4(read_cr4() & ~CR4_VMXE);
}

static void make_current(struct vmx_cpu *c, hpa_t vmcs)
{
	if (c->current == vmcs)
		return;
	if (!vmptrld(vmcs))
		panic("VMPTRLD of %lx failed", vmcs);
	c->current = vmcs;
}

/* ----------------------------------------------------------------- vCPU */

static void write_controls(struct hv_vcpu *v, u64 tsc_offset)
{
	struct vmx_vcpu *x = vmx_of(v);

	vmwrite(VMCS_PIN_CONTROLS, controls.pin);
	vmwrite(VMCS_PROC_CONTROLS, x->proc);
	vmwrite(VMCS_PROC2_CONTROLS, controls.proc2);
	vmwrite(VMCS_EXIT_CONTROLS, controls.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, controls.entry);
	vmwrite(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	if (x->proc & VMX_PROC_IO_BITMAPS) {
		vmwrite(VMCS_IO_BITMAP_A, vmx_io_bitmap(0));
		vmwrite(VMCS_IO_BITMAP_B, vmx_io_bitmap(1));
	}
	vmwrite(VMCS_MSR_BITMAP, vmx_msr_bitmap());
	vmwrite(VMCS_EPTP, x->eptp);
	vmwrite(VMCS_TSC_OFFSET, tsc_offset);
}

/* What is the same on all CPUs; the rest is load()'s. */
static void write_host(void)
{
	vmwrite(VMCS_HOST_CS_SELECTOR, SEL_KCODE);
	vmwrite(VMCS_HOST_SS_SELECTOR, SEL_KDATA);
	vmwrite(VMCS_HOST_DS_SELECTOR, 0);
	vmwrite(VMCS_HOST_ES_SELECTOR, 0);
	vmwrite(VMCS_HOST_FS_SELECTOR, 0);
	vmwrite(VMCS_HOST_GS_SELECTOR, 0);
	vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, 0);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

static enum err vcpu_init(struct hv_vcpu *v, u64 tsc_offset, u16 owner)
{
	struct vmx_cpu *c = this_vmx();
	struct vmx_vcpu *x = mmu_frame_alloc(owner);
	hpa_t before = c->current;

	if (!x)
		return ERR_NOMEM;
	v->area = x;
	x->vmcs = region_alloc(owner);
	if (!x->vmcs)
		return ERR_NOMEM; /* vcpu_fini() frees the rest */
	v->area_hpa = phys_of(x->vmcs);
	x->eptp = v->nested_root | VMX_EPTP_WB | VMX_EPTP_WALK4;
	x->proc = controls.proc;
	x->ept_cpu = ~0u;
	v->asid = 0;
	/* built while current here, then clear for the CPU that it runs on */
	if (!vmclear(v->area_hpa))
		panic("VMCLEAR of %lx failed", v->area_hpa);
	make_current(c, v->area_hpa);
	write_controls(v, tsc_offset);
	write_host();
	vmx_state_reset(v);
	vmclear(v->area_hpa);
	c->current = 0;
	if (before)
		make_current(c, before);
	return OK;
}

static void vcpu_fini(struct hv_vcpu *v, u16 owner)
{
	struct vmx_vcpu *x = v->area;

	if (!x)
		return;
	if (x->vmcs)
		mmu_frame_free(x->vmcs, owner);
	mmu_frame_free(x, owner);
	v->area = NULL;
}

static void load(struct hv_vcpu *v)
{
	struct vmx_cpu *c = this_vmx();
	struct vmx_vcpu *x = vmx_of(v);
	struct cpu *cpu = this_cpu();
	struct {
		u16 limit;
		u64 base;
	} PACKED idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	make_current(c, v->area_hpa);
	x->launched = 0; /* put() cleared it */
	x->host_rsp = 0;
	v->live = 0;
	clear_breakpoints();
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(VMCS_HOST_TR_BASE, (u64)&cpu->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, (u64)cpu->gdt);
	vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
	/* Tables in these frames may have been another VM's: what this CPU has
	 * cached under the same root goes (SDM Vol. 3C, 29.4.3.3). */
	if (x->ept_cpu != cpu->index) {
		invept(vmx_caps.ept_vpid & VMX_INVEPT_SINGLE ? INV_SINGLE : INV_ALL, x->eptp);
		x->ept_cpu = cpu->index;
		v->flush = 1;
	}
}

static void put(struct hv_vcpu *v)
{
	struct vmx_cpu *c = this_vmx();

	vmclear(v->area_hpa);
	c->current = 0;
}

/* A VPID of this CPU's under which nothing stale is cached. */
static void prepare_vpid(struct hv_vcpu *v)
{
	enum vpid_change change;

	if (!(controls.proc2 & VMX_PROC2_VPID)) {
		v->flush = 0; /* every entry and exit flushes */
		return;
	}
	change = vpid_prepare(&this_vmx()->vpid, v);
	if (change == VPID_NEW_FLUSH)
		invvpid(INV_ALL, 0);
	if (change != VPID_KEPT)
		vmwrite(VMCS_VPID, v->asid);
}

static void set_tsc_offset(struct hv_vcpu *v, u64 offset)
{
	(void)v;
	vmwrite(VMCS_TSC_OFFSET, offset);
}

static void close_msrs(void)
{
}

/* The host's system-call MSRs back, and the GDT's limit, which an exit sets to 64 KiB. */
static void open_msrs(struct hv_vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);
	const u64 *host = this_vmx()->host_msr;
	struct {
		u16 limit;
		u64 base;
	} PACKED gdt = { sizeof(this_cpu()->gdt) - 1, (u64)this_cpu()->gdt };

	if (!v->live)
		return;
	v->live = 0;
	x->msr[VMX_KERNEL_GS_BASE] = rdmsr(MSR_KERNEL_GS_BASE);
	wrmsr(MSR_KERNEL_GS_BASE, host[VMX_KERNEL_GS_BASE]);
	wrmsr(MSR_STAR, host[VMX_STAR]);
	wrmsr(MSR_LSTAR, host[VMX_LSTAR]);
	wrmsr(MSR_SFMASK, host[VMX_SFMASK]); /* CSTAR is not used on Intel */
	__asm__ volatile("lgdt %0" ::"m"(gdt));
}

static void make_live(struct hv_vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);

	prepare_vpid(v);
	if (v->live)
		return;
	for (u32 i = 0; i < VMX_MSRS; i++)
		wrmsr(vmx_msr_number[i], x->msr[i]);
	v->live = 1;
}

/* ------------------------------------------------------------------ run */

static void write_event(struct hv_vcpu *v, struct vmx_vcpu *x)
{
	const struct hv_event *e = &v->inject;
	bool real = !(vmread(VMCS_GUEST_CR0) & CR0_PE);

	vmwrite(VMCS_ENTRY_INTR_INFO, vmx_event_pack(e, real));
	if (e->has_error && !real)
		vmwrite(VMCS_ENTRY_ERROR_CODE, e->error);
	if (e->type == HV_EVENT_NMI && x->interruptibility & VMX_BLOCK_NMI) {
		x->interruptibility &= ~(u32)VMX_BLOCK_NMI; /* the cut-short one, again */
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, x->interruptibility);
	}
	v->inject.valid = 0;
}

static void write_shadow(struct hv_vcpu *v, struct vmx_vcpu *x)
{
	x->interruptibility = (x->interruptibility & ~(u32)BLOCK_INTR) | (v->shadow & BLOCK_INTR);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, x->interruptibility);
}

static u32 windows(const struct hv_vcpu *v)
{
	return (v->want_window ? (u32)VMX_PROC_INTR_WINDOW : 0) |
	       (v->watch_iret ? (u32)VMX_PROC_NMI_WINDOW : 0);
}

/* The VMCS gets what has changed since the last exit. */
static void write_changes(struct hv_vcpu *v, struct vmx_vcpu *x)
{
	u32 proc = (x->proc & ~WINDOWS) | windows(v);

	if (v->rip != x->rip)
		vmwrite(VMCS_GUEST_RIP, v->rip);
	if (unlikely(v->gpr[HV_RSP] != x->rsp))
		vmwrite(VMCS_GUEST_RSP, v->gpr[HV_RSP]);
	if (unlikely(v->rflags != x->rflags))
		vmwrite(VMCS_GUEST_RFLAGS, v->rflags);
	if (unlikely(v->shadow != (x->interruptibility & BLOCK_INTR)))
		write_shadow(v, x);
	if (unlikely(proc != x->proc)) {
		x->proc = proc;
		vmwrite(VMCS_PROC_CONTROLS, proc);
	}
	if (unlikely(v->inject.valid))
		write_event(v, x);
	/* a single step that waits for the shadow's end must be on record (27.3.1.5) */
	if (unlikely(v->shadow && v->rflags & RFLAGS_TF))
		vmwrite(VMCS_GUEST_PENDING_DEBUG,
			vmread(VMCS_GUEST_PENDING_DEBUG) | VMX_PENDING_BS);
}

/* Why the processor would not enter: by the checker, else by the error number. */
static void explain(struct hv_vcpu *v, const char *plain)
{
	static struct vmcs_fields f; /* a failed entry is rare and ends its VM */
	const char *why;

#define X(name, member, encoding) f.member = vmread_safe(encoding);
	VMCS_FIELDS(X)
#undef X
	why = vmcs_check(&f, &vmx_caps);
	v->exit.raw.why = why ? why : plain;
	log_error("VM entry failed: %s; %s", plain, why ? why : "no rule is seen to be broken");
}

static void entry_failed(struct hv_vcpu *v, u32 result)
{
	u32 error = result == 1 ? (u32)vmread(VMCS_INSN_ERROR) : ~0u;

	v->exit.reason = HV_EXIT_INVALID;
	v->exit.insn_len = 0;
	v->exit.cut.valid = 0;
	v->exit.raw.code = error;
	v->exit.raw.info1 = v->exit.raw.info2 = 0;
	explain(v, vmx_insn_error_name(error));
}

static void run(struct hv_vcpu *v)
{
	struct vmx_vcpu *x = vmx_of(v);
	u32 result, reason;

	if (unlikely(!v->live || v->flush))
		make_live(v);
	write_changes(v, x);
	if (unlikely(x->dr7 & 0xff)) {
		write_dr0(v->dr[0]);
		write_dr1(v->dr[1]);
		write_dr2(v->dr[2]);
		write_dr3(v->dr[3]);
	}
	if (unlikely(read_cr2() != x->cr2))
		write_cr2(x->cr2);
	result = vmx_switch(v, x->launched, &x->host_rsp);
	if (unlikely(result)) {
		entry_failed(v, result);
		return;
	}
	x->cr2 = read_cr2();
	x->launched = 1;
	v->rip = x->rip = vmread(VMCS_GUEST_RIP);
	v->gpr[HV_RSP] = x->rsp = vmread(VMCS_GUEST_RSP);
	v->rflags = x->rflags = vmread(VMCS_GUEST_RFLAGS);
	x->interruptibility = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);
	v->shadow = x->interruptibility & BLOCK_INTR;
	reason = (u32)vmread(VMCS_EXIT_REASON);
	vmx_decode_exit(v, x, reason);
	if (unlikely(v->exit.reason == HV_EXIT_NMI))
		__asm__ volatile("int $2" ::: "memory"); /* it was taken by the exit */
	else if (unlikely(v->exit.reason == HV_EXIT_INVALID))
		explain(v, v->exit.raw.why);
}

/* ---------------------------------------------------------------- table */

static void describe(char *buf, size_t size)
{
	const char *s = controls.proc2 & VMX_PROC2_VPID ? "EPT, VPID" : "EPT";
	size_t i = 0;

	for (; s[i] && i + 1 < size; i++)
		buf[i] = s[i];
	if (size)
		buf[i] = 0;
}

static void ids(u32 cpu, struct hv_ids *out)
{
	vpid_ids(&vmx_cpus[cpu].vpid, out);
	if (!(controls.proc2 & VMX_PROC2_VPID))
		out->count = 0;
}

static struct hv_ops vmx_ops = {
	.name = "VT-x",
	.area_pages = 2,
	.cpu_on = cpu_on,
	.cpu_off = cpu_off,
	.describe = describe,
	.ids = ids,
	.vcpu_init = vcpu_init,
	.vcpu_fini = vcpu_fini,
	.load = load,
	.put = put,
	.run = run,
	.close = close_msrs,
	.open = open_msrs,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.get_mmu = vmx_get_mmu,
	.set_cr = vmx_set_cr,
	.grant_cr = vmx_grant_cr,
	.get_cr = vmx_get_cr,
	.set_dr = vmx_set_dr,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.set_tsc_offset = set_tsc_offset,
};

/*
 * Where an instruction fetch may hit a large and a small translation at once, a guest that
 * changes its page size without a flush makes the processor halt with a machine check; with
 * small EPT leaves there is no large translation (CVE-2018-12207).
 */
static bool itlb_multihit(void)
{
	u64 caps;

	return !cpu_has(CPU_ARCH_CAPS) || !rdmsr_safe(MSR_ARCH_CAPABILITIES, &caps) ||
	       !(caps & ARCH_CAP_PSCHANGE_MC_NO);
}

const struct hv_ops *vmx_probe(const char **why)
{
	u64 control;

	if (!cpu_has(CPU_VMX)) {
		*why = "the CPU has no VT-x";
		return NULL;
	}
	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &control) || vmx_locked_off(control)) {
		*why = "VT-x is locked off: enable \"Intel Virtualization Technology\" (VMX) "
		       "in the firmware's setup";
		return NULL;
	}
	vmx_caps_read(&vmx_caps);
	if (!vmx_choose_controls(&vmx_caps, &controls, why))
		return NULL;
	vmx_ops.nested = &mmu_ept;
	vmx_ops.small_pages = itlb_multihit();
	vmx_maps_init();
	return &vmx_ops;
}
