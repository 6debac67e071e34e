/*
 * The VM-entry check, second half: the guest-state area (Intel SDM Vol. 3C,
 * "Checking and loading guest state"), one function for each subsection of
 * "Checks on the guest state area". Pure; see vmcs_check.h.
 */
#include "arch/vmx/vmcs_rules.h"

/* Access rights of a segment: a descriptor's bits 40 to 55, and "unusable". */
#define AR_TYPE(ar) ((ar)&0xf)
#define AR_S BIT(4)
#define AR_DPL(ar) ((ar) >> 5 & 3)
#define AR_P BIT(7)
#define AR_LOW_RESERVED 0xf00ull
#define AR_L BIT(13)
#define AR_DB BIT(14)
#define AR_G BIT(15)
#define AR_HIGH_RESERVED (~0x1ffffull)
#define AR_VIRTUAL_8086 0xf3u

#define TYPE_ACCESSED 1u
#define TYPE_READABLE 2u
#define TYPE_CODE 8u

#define RPL(selector) ((selector)&3)
#define SELECTOR_TI BIT(2)

/* interruptibility */
#define BLOCK_ENCLAVE BIT(4)

enum activity { ACTIVE, HALTED, SHUT_DOWN, WAIT_FOR_SIPI };

/* pending_debug; BIT(11), the bus-lock trap, only on processors that have it */
#define PENDING_ENABLED BIT(12)
#define PENDING_RTM BIT(16)
#define PENDING_DEFINED (0xfull | PENDING_ENABLED | VMX_PENDING_BS | PENDING_RTM)
#define DEBUGCTL_BTF BIT(1)
#define DEBUGCTL_DEFINED 0xffc7ull /* by any processor */

/* A rule's name for each of the segments: ES CS SS DS FS GS LDTR TR. */
#define EACH(s, text) \
	({ \
		static const char *const names[HV_SEGS] = { \
			"guest ES: " text,   "guest CS: " text, "guest SS: " text, \
			"guest DS: " text,   "guest FS: " text, "guest GS: " text, \
			"guest LDTR: " text, "guest TR: " text, \
		}; \
		names[s]; \
	})

static bool is_64bit(const struct check *c)
{
	return c->f->entry_controls & VMX_ENTRY_IA32E;
}

static bool is_unrestricted(const struct check *c)
{
	return c->proc2 & VMX_PROC2_UNRESTRICTED;
}

static bool is_usable(const struct check *c, enum hv_seg s)
{
	return !(c->seg[s].ar & VMX_ACCESS_UNUSABLE);
}

/* "Checks on Guest Control Registers, Debug Registers, and MSRs" */
static void check_control_registers(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	const struct vmx_caps *caps = c->caps;
	u64 free = CR0_NW | CR0_CD; /* an entry does not change them */
	u64 free_zero = free | (is_unrestricted(c) ? CR0_PE | CR0_PG : 0);

	rule(c, only(caps->cr0_fixed0 & ~free_zero, f->guest_cr0),
	     "guest CR0: a bit that must be 1");
	rule(c, only(f->guest_cr0, caps->cr0_fixed1 | free), "guest CR0: an unsupported bit");
	rule(c, implies(f->guest_cr0 & CR0_PG, f->guest_cr0 & CR0_PE), "guest CR0: PG without PE");
	rule(c, only(caps->cr4_fixed0, f->guest_cr4), "guest CR4: a bit that must be 1");
	rule(c, only(f->guest_cr4, caps->cr4_fixed1), "guest CR4: an unsupported bit");
	rule(c, implies(f->guest_cr4 & CR4_CET, f->guest_cr0 & CR0_WP),
	     "guest CR4: CET without WP");
	if (is_64bit(c)) {
		rule(c, f->guest_cr0 & CR0_PG, "guest CR0: long mode without PG");
		rule(c, f->guest_cr4 & CR4_PAE, "guest CR4: long mode without PAE");
	} else {
		rule(c, !(f->guest_cr4 & CR4_PCIDE), "guest CR4: PCIDE outside long mode");
	}
	rule(c, physical(c, f->guest_cr3, 0), "guest CR3: beyond the physical width");
}

static void check_msrs(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	if (f->entry_controls & VMX_ENTRY_LOAD_DEBUG) {
		rule(c, only(f->guest_debugctl, DEBUGCTL_DEFINED), "guest DEBUGCTL: reserved bits");
		rule(c, only(f->guest_dr7, 0xffffffff), "guest DR7: above 32 bits");
	}
	rule(c, canonical(f->guest_sysenter_esp), "guest SYSENTER_ESP: not canonical");
	rule(c, canonical(f->guest_sysenter_eip), "guest SYSENTER_EIP: not canonical");
	if (f->entry_controls & VMX_ENTRY_LOAD_PAT)
		rule(c, pat_valid(f->guest_pat), "guest PAT: reserved memory type");
	if (f->entry_controls & VMX_ENTRY_LOAD_EFER) {
		bool lma = f->guest_efer & EFER_LMA, lme = f->guest_efer & EFER_LME;

		rule(c, only(f->guest_efer, EFER_DEFINED), "guest EFER: reserved bits");
		rule(c, lma == is_64bit(c), "guest EFER: LMA is not the entry control's");
		rule(c, implies(f->guest_cr0 & CR0_PG, lma == lme), "guest EFER: LMA is not LME");
	}
}

/* "Checks on Guest Segment Registers", on to check_tr() */
static void check_selectors(struct check *c, bool v8086)
{
	const struct vmcs_segment *seg = c->seg;

	rule(c, !(seg[HV_TR].selector & SELECTOR_TI), "guest TR: selector's TI");
	rule(c, implies(is_usable(c, HV_LDTR), !(seg[HV_LDTR].selector & SELECTOR_TI)),
	     "guest LDTR: selector's TI");
	if (!v8086 && !is_unrestricted(c))
		rule(c, RPL(seg[HV_SS].selector) == RPL(seg[HV_CS].selector),
		     "guest SS: RPL is not that of CS");
}

static void check_bases(struct check *c)
{
	const struct vmcs_segment *seg = c->seg;

	rule(c, canonical(seg[HV_TR].base), "guest TR: base is not canonical");
	rule(c, canonical(seg[HV_FS].base), "guest FS: base is not canonical");
	rule(c, canonical(seg[HV_GS].base), "guest GS: base is not canonical");
	rule(c, implies(is_usable(c, HV_LDTR), canonical(seg[HV_LDTR].base)),
	     "guest LDTR: base is not canonical");
	rule(c, only(seg[HV_CS].base, 0xffffffff), "guest CS: base above 32 bits");
	for (enum hv_seg s = HV_ES; s <= HV_DS; s++)
		if (s != HV_CS && is_usable(c, s))
			rule(c, only(seg[s].base, 0xffffffff), EACH(s, "base above 32 bits"));
}

static void check_v8086_segments(struct check *c)
{
	for (enum hv_seg s = HV_ES; s <= HV_GS; s++) {
		const struct vmcs_segment *seg = &c->seg[s];

		rule(c, seg->base == seg->selector << 4, EACH(s, "virtual-8086 base"));
		rule(c, seg->limit == 0xffff, EACH(s, "virtual-8086 limit"));
		rule(c, seg->ar == AR_VIRTUAL_8086, EACH(s, "virtual-8086 access rights"));
	}
}

/* A limit in pages ends with a page; one above 1 MiB is in pages. */
static void check_granularity(struct check *c, enum hv_seg s)
{
	const struct vmcs_segment *seg = &c->seg[s];

	if (seg->ar & AR_G)
		rule(c, (seg->limit & 0xfff) == 0xfff, EACH(s, "limit in pages ends within one"));
	else
		rule(c, only(seg->limit, 0xfffff), EACH(s, "limit needs pages"));
}

static void check_common_rights(struct check *c, enum hv_seg s, bool system)
{
	u64 ar = c->seg[s].ar;

	rule(c, !(ar & AR_S) == system, EACH(s, "S"));
	rule(c, ar & AR_P, EACH(s, "not present"));
	rule(c, !(ar & (AR_LOW_RESERVED | AR_HIGH_RESERVED)),
	     EACH(s, "access rights' reserved bits"));
	check_granularity(c, s);
}

static void check_cs(struct check *c)
{
	u64 ar = c->seg[HV_CS].ar;
	u32 type = AR_TYPE(ar), dpl = AR_DPL(ar), ss_dpl = AR_DPL(c->seg[HV_SS].ar);

	switch (type) {
	case 3: /* data, as real mode leaves it */
		rule(c, is_unrestricted(c), "guest CS: type");
		rule(c, dpl == 0, "guest CS: DPL of a data segment");
		break;
	case 9:
	case 11: rule(c, dpl == ss_dpl, "guest CS: DPL is not that of SS"); break;
	case 13:
	case 15: /* conforming */ rule(c, dpl <= ss_dpl, "guest CS: DPL above that of SS"); break;
	default: rule(c, false, "guest CS: type");
	}
	/* it has no "unusable" that would exempt it */
	check_common_rights(c, HV_CS, false);
	rule(c, implies(is_64bit(c) && ar & AR_L, !(ar & AR_DB)), "guest CS: L together with D");
}

static void check_ss(struct check *c)
{
	const struct vmcs_segment *ss = &c->seg[HV_SS];
	u32 type = AR_TYPE(ss->ar), dpl = AR_DPL(ss->ar);

	/* the DPL is the CPL, usable or not */
	if (!is_unrestricted(c))
		rule(c, dpl == RPL(ss->selector), "guest SS: DPL is not its RPL");
	if (AR_TYPE(c->seg[HV_CS].ar) == 3 || !(c->f->guest_cr0 & CR0_PE))
		rule(c, dpl == 0, "guest SS: DPL in real mode");
	if (!is_usable(c, HV_SS))
		return;
	rule(c, type == 3 || type == 7, "guest SS: type");
	check_common_rights(c, HV_SS, false);
}

static void check_data(struct check *c, enum hv_seg s)
{
	const struct vmcs_segment *seg = &c->seg[s];
	u32 type = AR_TYPE(seg->ar);

	if (!is_usable(c, s))
		return;
	rule(c, type & TYPE_ACCESSED, EACH(s, "type: not accessed"));
	rule(c, implies(type & TYPE_CODE, type & TYPE_READABLE),
	     EACH(s, "type: code that is not readable"));
	if (!is_unrestricted(c) && type < 12)
		rule(c, AR_DPL(seg->ar) >= RPL(seg->selector), EACH(s, "DPL below RPL"));
	check_common_rights(c, s, false);
}

static void check_ldtr(struct check *c)
{
	if (!is_usable(c, HV_LDTR))
		return;
	rule(c, AR_TYPE(c->seg[HV_LDTR].ar) == 2, "guest LDTR: type");
	check_common_rights(c, HV_LDTR, true);
}

static void check_tr(struct check *c)
{
	u32 type = AR_TYPE(c->seg[HV_TR].ar);

	rule(c, is_usable(c, HV_TR), "guest TR: unusable");
	rule(c, type == 11 || (type == 3 && !is_64bit(c)), "guest TR: type is no busy TSS");
	check_common_rights(c, HV_TR, true);
}

static void check_segments(struct check *c)
{
	bool v8086 = c->f->guest_rflags & RFLAGS_VM;

	check_selectors(c, v8086);
	check_bases(c);
	if (v8086) {
		check_v8086_segments(c);
	} else {
		check_cs(c);
		check_ss(c);
		check_data(c, HV_ES);
		check_data(c, HV_DS);
		check_data(c, HV_FS);
		check_data(c, HV_GS);
	}
	check_ldtr(c);
	check_tr(c);
}

/* "Checks on Guest Descriptor-Table Registers" */
static void check_descriptor_tables(struct check *c)
{
	rule(c, canonical(c->f->guest_gdtr_base), "guest GDTR: base is not canonical");
	rule(c, canonical(c->f->guest_idtr_base), "guest IDTR: base is not canonical");
	rule(c, only(c->f->guest_gdtr_limit, 0xffff), "guest GDTR: limit above 16 bits");
	rule(c, only(c->f->guest_idtr_limit, 0xffff), "guest IDTR: limit above 16 bits");
}

/* "Checks on Guest RIP, RFLAGS, and SSP" */
static void check_rip_rflags(struct check *c)
{
	const struct vmcs_fields *f = c->f;

	if (is_64bit(c) && c->seg[HV_CS].ar & AR_L) {
		/* only what is above the width must be alike: an instruction pointer that
		 * has just run out of the lower half is no mistake yet */
		u64 above = ~0ull << LINEAR_BITS;

		rule(c, !(f->guest_rip & above) || (f->guest_rip & above) == above,
		     "guest RIP: beyond the linear width");
	} else {
		rule(c, only(f->guest_rip, 0xffffffff), "guest RIP: above 32 bits");
	}
	rule(c, !(f->guest_rflags & ~0x3f7fd7ull), "guest RFLAGS: reserved bits");
	rule(c, f->guest_rflags & RFLAGS_FIXED, "guest RFLAGS: bit 1 must be 1");
	rule(c, implies(f->guest_rflags & RFLAGS_VM, !is_64bit(c) && f->guest_cr0 & CR0_PE),
	     "guest RFLAGS: VM in long or real mode");
	rule(c, implies(event_type(f) == VMX_INTR_TYPE_EXTINT, f->guest_rflags & RFLAGS_IF),
	     "guest RFLAGS: IF is clear with an interrupt to inject");
}

/* "Checks on Guest Non-Register State": activity */
static void check_activity(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	u32 type = event_type(f);
	bool machine_check = is_exception(f, EXC_MC), debug = is_exception(f, EXC_DB);

	rule(c, f->guest_activity <= WAIT_FOR_SIPI, "guest activity: no such state");
	if (f->guest_activity == ACTIVE || f->guest_activity > WAIT_FOR_SIPI)
		return;
	rule(c, c->caps->misc & BIT(5 + f->guest_activity), "guest activity: unsupported state");
	rule(c, !(f->guest_interruptibility & (VMX_BLOCK_STI | VMX_BLOCK_MOV_SS)),
	     "guest activity: not active after STI or MOV SS");
	switch (f->guest_activity) {
	case HALTED:
		rule(c, AR_DPL(c->seg[HV_SS].ar) == 0, "guest activity: halted outside CPL 0");
		rule(c,
		     type == EVENT_NONE || type == VMX_INTR_TYPE_EXTINT ||
			     type == VMX_INTR_TYPE_NMI || type == VMX_INTR_TYPE_OTHER ||
			     machine_check || debug,
		     "guest activity: halted, and the event does not end that");
		break;
	case SHUT_DOWN:
		rule(c, type == EVENT_NONE || type == VMX_INTR_TYPE_NMI || machine_check,
		     "guest activity: shut down, and the event does not end that");
		break;
	case WAIT_FOR_SIPI:
		rule(c, type == EVENT_NONE, "guest activity: an event while it waits for SIPI");
		break;
	}
}

/* the same: interruptibility */
static void check_interruptibility(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	u64 blocked = f->guest_interruptibility;
	u32 type = event_type(f);

	rule(c,
	     only(blocked,
		  VMX_BLOCK_STI | VMX_BLOCK_MOV_SS | VMX_BLOCK_SMI | VMX_BLOCK_NMI | BLOCK_ENCLAVE),
	     "guest interruptibility: reserved bits");
	rule(c, !(blocked & VMX_BLOCK_STI && blocked & VMX_BLOCK_MOV_SS),
	     "guest interruptibility: both STI and MOV SS");
	rule(c, implies(blocked & VMX_BLOCK_STI, f->guest_rflags & RFLAGS_IF),
	     "guest interruptibility: STI, though IF is clear");
	rule(c,
	     implies(type == VMX_INTR_TYPE_EXTINT, !(blocked & (VMX_BLOCK_STI | VMX_BLOCK_MOV_SS))),
	     "guest interruptibility: blocks the interrupt to inject");
	/* some processors refuse an NMI after STI too */
	rule(c, implies(type == VMX_INTR_TYPE_NMI, !(blocked & (VMX_BLOCK_STI | VMX_BLOCK_MOV_SS))),
	     "guest interruptibility: blocks the NMI to inject");
	rule(c, !(blocked & VMX_BLOCK_SMI), "guest interruptibility: SMI, outside of SMM");
	rule(c,
	     implies(type == VMX_INTR_TYPE_NMI && f->pin_controls & VMX_PIN_VIRTUAL_NMI,
		     !(blocked & VMX_BLOCK_NMI)),
	     "guest interruptibility: in an NMI, with another to inject");
	rule(c, implies(blocked & BLOCK_ENCLAVE, !(blocked & VMX_BLOCK_MOV_SS)),
	     "guest interruptibility: both enclave and MOV SS");
}

/* the same: pending debug exceptions */
static void check_pending_debug(struct check *c)
{
	const struct vmcs_fields *f = c->f;
	u64 pending = f->guest_pending_debug;
	bool single_step = f->guest_rflags & RFLAGS_TF && !(f->guest_debugctl & DEBUGCTL_BTF);

	rule(c, only(pending, PENDING_DEFINED), "guest pending debug exceptions: reserved bits");
	if (f->guest_interruptibility & (VMX_BLOCK_STI | VMX_BLOCK_MOV_SS) ||
	    f->guest_activity == HALTED)
		rule(c, !!(pending & VMX_PENDING_BS) == single_step,
		     single_step ? "guest pending debug exceptions: a single step is missing"
				 : "guest pending debug exceptions: a single step without TF");
	if (pending & PENDING_RTM) {
		rule(c, (pending & PENDING_DEFINED) == (PENDING_RTM | PENDING_ENABLED),
		     "guest pending debug exceptions: RTM with others");
		rule(c, !(f->guest_interruptibility & VMX_BLOCK_MOV_SS),
		     "guest pending debug exceptions: RTM after MOV SS");
	}
}

static void check_link_pointer(struct check *c)
{
	rule(c, c->f->guest_link_pointer == ~0ull || physical(c, c->f->guest_link_pointer, 0xfff),
	     "VMCS link pointer");
}

/* "Checks on Guest Page-Directory-Pointer-Table Entries" */
static void check_pdptes(struct check *c)
{
	static const char *const names[] = { "guest PDPTE 0: reserved bits",
					     "guest PDPTE 1: reserved bits",
					     "guest PDPTE 2: reserved bits",
					     "guest PDPTE 3: reserved bits" };
	const struct vmcs_fields *f = c->f;
	const u64 pdpte[] = { f->guest_pdpte0, f->guest_pdpte1, f->guest_pdpte2, f->guest_pdpte3 };

	if (!(f->guest_cr0 & CR0_PG) || !(f->guest_cr4 & CR4_PAE) || is_64bit(c))
		return;
	if (!(c->proc2 & VMX_PROC2_EPT)) /* they are in memory */
		return;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		rule(c, implies(pdpte[i] & BIT(0), physical(c, pdpte[i], 0x1e6)), names[i]);
}

void vmcs_check_guest(struct check *c)
{
	check_control_registers(c);
	check_msrs(c);
	check_segments(c);
	check_descriptor_tables(c);
	check_rip_rflags(c);
	check_activity(c);
	check_interruptibility(c);
	check_pending_debug(c);
	check_link_pointer(c);
	check_pdptes(c);
}
