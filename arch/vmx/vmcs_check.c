/*
 * The VM-entry check, first half: VMX controls and host-state area (Intel SDM
 * Vol. 3C, "Checks on VMX controls and host-state area"), one function for each
 * of its subsections. Pure; see vmcs_check.h.
 */
#include "arch/vmx/vmcs_check.h"
#include "arch/vmx/vmcs_rules.h"

/*
 * Controls that bring fields or rules which are not looked at here. Nothing uses
 * them: tertiary controls, APIC-access page, posted interrupts, VM functions,
 * VMCS shadowing, page-modification log, #VE, sub-page permissions, performance
 * counters, BNDCFGS, Processor Trace, CET, PKS.
 */
#define PIN_UNKNOWN VMX_PIN_POSTED
#define PROC_UNKNOWN BIT(17)
#define PROC2_UNKNOWN \
	(VMX_PROC2_APIC_ACCESS | VMX_PROC2_VMFUNC | VMX_PROC2_SHADOW | VMX_PROC2_PML | \
	 VMX_PROC2_VE | BIT(23) | BIT(24))
#define EXIT_UNKNOWN (VMX_EXIT_LOAD_PERF | BIT(25) | BIT(28) | BIT(29))
#define ENTRY_UNKNOWN (VMX_ENTRY_LOAD_PERF | BIT(16) | BIT(18) | BIT(20) | BIT(22))

/* Some controls only make sense with another one. */
enum group { PIN, PROC, PROC2, EXIT, ENTRY };

static bool is_set(const struct check *c, enum group group, u64 bit)
{
	const u64 value[] = { c->f->pin_controls, c->f->proc_controls, c->proc2,
			      c->f->exit_controls, c->f->entry_controls };

	return value[group] & bit;
}

static void check_reserved_controls(struct check *c)
{
#define NAMES(group) \
	group " controls: a bit that must be 1", group " controls: an unsupported bit", \
		group " controls: one whose rules are not known here"
	const struct {
		u64 value, caps, unknown;
		const char *must_name, *may_name, *unknown_name;
	} controls[] = {
		{ c->f->pin_controls, c->caps->pin, PIN_UNKNOWN, NAMES("pin") },
		{ c->f->proc_controls, c->caps->proc, PROC_UNKNOWN, NAMES("processor") },
		{ c->proc2, c->caps->proc2, PROC2_UNKNOWN, NAMES("secondary") },
		{ c->f->exit_controls, c->caps->exit, EXIT_UNKNOWN, NAMES("exit") },
		{ c->f->entry_controls, c->caps->entry, ENTRY_UNKNOWN, NAMES("entry") },
	};
#undef NAMES

	for (u32 i = 0; i < ARRAY_SIZE(controls); i++) {
		if (i == PROC2 && !(c->f->proc_controls & VMX_PROC_SECONDARY))
			continue;
		rule(c, only((u32)controls[i].caps, controls[i].value), controls[i].must_name);
		rule(c, only(controls[i].value, controls[i].caps >> 32), controls[i].may_name);
		rule(c, !(controls[i].value & controls[i].unknown), controls[i].unknown_name);
	}
}

/* What one control, set or clear, asks of another. */
static void check_dependencies(struct check *c)
{
	static const struct {
		enum group group;
		bool when; /* it is set, or clear */
		u64 bit;
		enum group other;
		bool is; /* what that must be then */
		u64 other_bit;
		const char *name;
	} rules[] = {
		{ PROC, false, VMX_PROC_TPR_SHADOW, PROC2, false, VMX_PROC2_X2APIC,
		  "secondary controls: x2APIC mode without TPR shadow" },
		{ PROC, false, VMX_PROC_TPR_SHADOW, PROC2, false, VMX_PROC2_APIC_REGISTERS,
		  "secondary controls: APIC-register virtualization without TPR shadow" },
		{ PROC, false, VMX_PROC_TPR_SHADOW, PROC2, false, VMX_PROC2_INTR_DELIVERY,
		  "secondary controls: virtual-interrupt delivery without TPR shadow" },
		{ PIN, false, VMX_PIN_NMI, PIN, false, VMX_PIN_VIRTUAL_NMI,
		  "pin controls: virtual NMIs without NMI exiting" },
		{ PIN, false, VMX_PIN_VIRTUAL_NMI, PROC, false, VMX_PROC_NMI_WINDOW,
		  "processor controls: NMI window without virtual NMIs" },
		{ PROC2, true, VMX_PROC2_X2APIC, PROC2, false, VMX_PROC2_APIC_ACCESS,
		  "secondary controls: x2APIC mode together with APIC accesses" },
		{ PROC2, true, VMX_PROC2_INTR_DELIVERY, PIN, true, VMX_PIN_EXTINT,
		  "secondary controls: virtual-interrupt delivery without external-interrupt exiting" },
		{ PIN, true, VMX_PIN_POSTED, PROC2, true, VMX_PROC2_INTR_DELIVERY,
		  "pin controls: posted interrupts without virtual-interrupt delivery" },
		{ PIN, true, VMX_PIN_POSTED, EXIT, true, VMX_EXIT_ACK,
		  "pin controls: posted interrupts without acknowledge on exit" },
		{ PROC2, true, VMX_PROC2_UNRESTRICTED, PROC2, true, VMX_PROC2_EPT,
		  "secondary controls: unrestricted guest without EPT" },
		{ PROC2, true, VMX_PROC2_PML, PROC2, true, VMX_PROC2_EPT,
		  "secondary controls: page-modification log without EPT" },
		{ PIN, false, VMX_PIN_PREEMPTION, EXIT, false, VMX_EXIT_SAVE_PREEMPTION,
		  "exit controls: preemption timer saved without being active" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
		if (is_set(c, rules[i].group, rules[i].bit) == rules[i].when)
			rule(c, is_set(c, rules[i].other, rules[i].other_bit) == rules[i].is,
			     rules[i].name);
}

/* Pages that a control puts into use. */
static void check_addresses(struct check *c)
{
	const struct {
		bool used;
		u64 address;
		const char *name;
	} pages[] = {
		{ is_set(c, PROC, VMX_PROC_IO_BITMAPS), c->f->io_bitmap_a,
		  "I/O bitmap A: address" },
		{ is_set(c, PROC, VMX_PROC_IO_BITMAPS), c->f->io_bitmap_b,
		  "I/O bitmap B: address" },
		{ is_set(c, PROC, VMX_PROC_MSR_BITMAPS), c->f->msr_bitmap, "MSR bitmap: address" },
		{ is_set(c, PROC, VMX_PROC_TPR_SHADOW), c->f->virtual_apic,
		  "virtual-APIC page: address" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
		rule(c, implies(pages[i].used, physical(c, pages[i].address, 0xfff)),
		     pages[i].name);
}

static void check_eptp(struct check *c)
{
	u64 eptp = c->f->eptp, caps = c->caps->ept_vpid;
	u64 type = eptp & 7, length = (eptp >> 3 & 7) + 1;

	if (!(c->proc2 & VMX_PROC2_EPT))
		return;
	rule(c, (type == 0 && caps & VMX_EPT_UC) || (type == VMX_EPTP_WB && caps & VMX_EPT_WB),
	     "EPT pointer: memory type");
	rule(c, (length == 4 && caps & VMX_EPT_WALK4) || (length == 5 && caps & BIT(7)),
	     "EPT pointer: page-walk length");
	rule(c, implies(eptp & BIT(6), caps & VMX_EPT_AD),
	     "EPT pointer: accessed and dirty flags are not supported");
	rule(c, physical(c, eptp, 0xf80), "EPT pointer: reserved bits");
}

/* "VM-Execution Control Fields" */
static void check_execution(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	check_dependencies(c);
	check_addresses(c);
	rule(c, f->cr3_target_count <= (c->caps->misc >> 16 & 0x1ff), "CR3-target count");
	if ((f->proc_controls & VMX_PROC_TPR_SHADOW) && !(c->proc2 & VMX_PROC2_INTR_DELIVERY))
		rule(c, only(f->tpr_threshold, 0xf), "TPR threshold: reserved bits");
	rule(c, implies(c->proc2 & VMX_PROC2_VPID, f->vpid), "VPID: 0");
	check_eptp(c);
}

/* An area of 16-byte entries that an entry or exit reads or fills. */
static void check_msr_area(struct check *c, u64 base, u64 entries, const char *name)
{
	if (entries)
		rule(c,
		     physical(c, base, 0xf) && !((base + entries * 16 - 1) >> c->caps->phys_bits),
		     name);
}

/* "VM-Exit Control Fields" */
static void check_exit(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	check_msr_area(c, f->exit_msr_store, f->exit_msr_store_count,
		       "exit MSR-store area: address");
	check_msr_area(c, f->exit_msr_load, f->exit_msr_load_count, "exit MSR-load area: address");
}

/* Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC */
static bool pushes_error(u32 vector)
{
	return vector < 32 && (0x27d00u >> vector & 1);
}

/* "VM-Entry Control Fields": an event to inject */
static void check_event(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	u32 type = event_type(f);
	u8 vector = f->entry_intr_info & VMX_INTR_VECTOR;
	bool has_error = f->entry_intr_info & VMX_INTR_HAS_ERROR;
	bool real_mode = (c->proc2 & VMX_PROC2_UNRESTRICTED) && !(f->guest_cr0 & CR0_PE);

	if (type == EVENT_NONE)
		return;
	rule(c, type != 1, "event: type 1 is reserved");
	rule(c, implies(type == VMX_INTR_TYPE_OTHER, c->caps->proc >> 32 & VMX_PROC_TRAP_FLAG),
	     "event: type 7 is reserved without a monitor trap flag");
	rule(c, implies(type == VMX_INTR_TYPE_NMI, vector == EXC_NMI),
	     "event: an NMI has vector 2");
	rule(c, implies(type == VMX_INTR_TYPE_EXCEPTION, vector < 32), "event: no such exception");
	rule(c, implies(type == VMX_INTR_TYPE_OTHER, vector == 0),
	     "event: type 7 has vector 0 alone");

	if (type != VMX_INTR_TYPE_EXCEPTION)
		rule(c, !has_error, "event: an error code with what is no exception");
	else if (real_mode)
		rule(c, !has_error, "event: an error code in real mode");
	else if (!(c->caps->basic & BIT(56)))
		rule(c, has_error == pushes_error(vector),
		     has_error ? "event: an error code that the exception does not have"
			       : "event: the exception has an error code");
	rule(c, !(f->entry_intr_info & 0x7ffff000), "event: reserved bits");
	if (has_error)
		rule(c, only(f->entry_error_code, 0xffff), "event: error code above 16 bits");
	if (type == VMX_INTR_TYPE_SOFT || type == VMX_INTR_TYPE_PRIVILEGED ||
	    type == VMX_INTR_TYPE_SOFT_EXC) {
		rule(c, f->entry_insn_len <= 15, "event: instruction length above 15");
		rule(c, implies(f->entry_insn_len == 0, c->caps->misc & BIT(30)),
		     "event: instruction length 0");
	}
}

/* "VM-Entry Control Fields" */
static void check_entry(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	check_event(c);
	check_msr_area(c, f->entry_msr_load, f->entry_msr_load_count,
		       "entry MSR-load area: address");
	rule(c, !(f->entry_controls & (VMX_ENTRY_SMM | VMX_ENTRY_DUAL_MONITOR)),
	     "entry controls: SMM, outside of it");
}

/* "Checks on Host Control Registers, MSRs, and SSP" */
static void check_host_registers(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	const struct vmx_caps *caps = c->caps;

	rule(c, only(caps->cr0_fixed0, f->host_cr0), "host CR0: a bit that must be 1");
	rule(c, only(f->host_cr0, caps->cr0_fixed1), "host CR0: an unsupported bit");
	rule(c, only(caps->cr4_fixed0, f->host_cr4), "host CR4: a bit that must be 1");
	rule(c, only(f->host_cr4, caps->cr4_fixed1), "host CR4: an unsupported bit");
	rule(c, implies(f->host_cr4 & CR4_CET, f->host_cr0 & CR0_WP), "host CR4: CET without WP");
	rule(c, physical(c, f->host_cr3, 0), "host CR3: beyond the physical width");
	rule(c, canonical(f->host_sysenter_esp), "host SYSENTER_ESP: not canonical");
	rule(c, canonical(f->host_sysenter_eip), "host SYSENTER_EIP: not canonical");
	if (f->exit_controls & VMX_EXIT_LOAD_PAT)
		rule(c, pat_valid(f->host_pat), "host PAT: reserved memory type");
	if (f->exit_controls & VMX_EXIT_LOAD_EFER) {
		u64 mode = f->exit_controls & VMX_EXIT_HOST_64 ? EFER_LMA | EFER_LME : 0;

		rule(c, only(f->host_efer, EFER_DEFINED), "host EFER: reserved bits");
		rule(c, (f->host_efer & (EFER_LMA | EFER_LME)) == mode,
		     "host EFER: LMA or LME is not the address-space size");
	}
}

/* "Checks on Host Segment and Descriptor-Table Registers" */
static void check_host_segments(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	const struct {
		u64 selector;
		const char *name;
	} selectors[] = {
		{ f->host_es_selector, "host ES: RPL or TI" },
		{ f->host_cs_selector, "host CS: RPL or TI" },
		{ f->host_ss_selector, "host SS: RPL or TI" },
		{ f->host_ds_selector, "host DS: RPL or TI" },
		{ f->host_fs_selector, "host FS: RPL or TI" },
		{ f->host_gs_selector, "host GS: RPL or TI" },
		{ f->host_tr_selector, "host TR: RPL or TI" },
	};
	const struct {
		u64 base;
		const char *name;
	} bases[] = {
		{ f->host_fs_base, "host FS: base is not canonical" },
		{ f->host_gs_base, "host GS: base is not canonical" },
		{ f->host_tr_base, "host TR: base is not canonical" },
		{ f->host_gdtr_base, "host GDTR: base is not canonical" },
		{ f->host_idtr_base, "host IDTR: base is not canonical" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(selectors); i++)
		rule(c, !(selectors[i].selector & 7), selectors[i].name);
	rule(c, f->host_cs_selector, "host CS: null");
	rule(c, f->host_tr_selector, "host TR: null");
	rule(c, implies(!(f->exit_controls & VMX_EXIT_HOST_64), f->host_ss_selector),
	     "host SS: null");
	for (u32 i = 0; i < ARRAY_SIZE(bases); i++)
		rule(c, canonical(bases[i].base), bases[i].name);
}

/* "Checks Related to Address-Space Size"; we are in long mode */
static void check_host_mode(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	rule(c, f->exit_controls & VMX_EXIT_HOST_64, "exit controls: host address-space size");
	rule(c, f->host_cr4 & CR4_PAE, "host CR4: PAE");
	rule(c, canonical(f->host_rip), "host RIP: not canonical");
}

u32 vmcs_check_all(const struct vmcs_fields *f, const struct vmx_caps *caps, const char **names,
		   u32 max)
{
	struct check c = {
		.f = f,
		.caps = caps,
		.proc2 = f->proc_controls & VMX_PROC_SECONDARY ? f->proc2_controls : 0,
#define SEGMENT(s) \
	{ f->guest_##s##_selector, f->guest_##s##_limit, f->guest_##s##_access, \
	  f->guest_##s##_base }
		.seg = { [HV_ES] = SEGMENT(es),
			 [HV_CS] = SEGMENT(cs),
			 [HV_SS] = SEGMENT(ss),
			 [HV_DS] = SEGMENT(ds),
			 [HV_FS] = SEGMENT(fs),
			 [HV_GS] = SEGMENT(gs),
			 [HV_LDTR] = SEGMENT(ldtr),
			 [HV_TR] = SEGMENT(tr) },
#undef SEGMENT
		.names = names,
		.max = max,
	};

	check_reserved_controls(&c);
	check_execution(&c);
	check_exit(&c);
	check_entry(&c);
	check_host_registers(&c);
	check_host_segments(&c);
	check_host_mode(&c);
	vmcs_check_guest(&c);
	return c.count;
}

const char *vmcs_check(const struct vmcs_fields *f, const struct vmx_caps *caps)
{
	const char *first = NULL;

	vmcs_check_all(f, caps, &first, 1);
	return first;
}
