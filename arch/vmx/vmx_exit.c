/*
 * Exit decoding: the one place that knows Intel's exit reasons (SDM Vol. 3D,
 * Appendix C) and qualifications (Vol. 3C, 28.2.1). Reasons that are not in
 * the table are exits that were never asked for: UNKNOWN (0).
 */
#include "arch/vmx/vmx_exit.h"
#include "arch/x86.h"

#define REASONS 78

#define DR6_BREAKPOINTS 0xfull
#define DR6_BD BIT(13)
#define DR6_CAUSES 0x600full /* BS, BD, B0-3: the qualification has them in place */
#define DR7_GD BIT(13)

enum vmx_reason {
	REASON_EXCEPTION = 0,
	REASON_ENTRY_STATE = 33,
	REASON_ENTRY_MSR = 34,
	REASON_ENTRY_MC = 41,
	REASON_CR = 28,
	REASON_DR = 29,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_EPT = 48,
};

/* The exits that need nothing but their reason; insn: and an instruction's length. */
static const struct {
	u8 reason, insn;
} simple[REASONS] = {
	[1] = { HV_EXIT_INTR, 0 },	 [2] = { HV_EXIT_SHUTDOWN, 0 }, [7] = { HV_EXIT_WINDOW, 0 },
	[8] = { HV_EXIT_NMI_WINDOW, 0 }, [9] = { HV_EXIT_TASK, 0 },	[10] = { HV_EXIT_CPUID, 1 },
	[11] = { HV_EXIT_UD, 0 },				     /* GETSEC */
	[12] = { HV_EXIT_HLT, 1 },	 [13] = { HV_EXIT_SKIP, 1 }, /* INVD would drop other VMs' dirty lines */
	[15] = { HV_EXIT_GP, 0 }, /* RDPMC: there are no counters */
	[17] = { HV_EXIT_UD, 0 }, /* RSM */
	[18] = { HV_EXIT_HYPERCALL, 1 }, [19] = { HV_EXIT_UD, 0 }, /* VMCLEAR */
	[20] = { HV_EXIT_UD, 0 },				   /* VMLAUNCH */
	[21] = { HV_EXIT_UD, 0 },				   /* VMPTRLD */
	[22] = { HV_EXIT_UD, 0 },				   /* VMPTRST */
	[23] = { HV_EXIT_UD, 0 },				   /* VMREAD */
	[24] = { HV_EXIT_UD, 0 },				   /* VMRESUME */
	[25] = { HV_EXIT_UD, 0 },				   /* VMWRITE */
	[26] = { HV_EXIT_UD, 0 },				   /* VMXOFF */
	[27] = { HV_EXIT_UD, 0 },				   /* VMXON */
	[36] = { HV_EXIT_UD, 0 },				   /* MWAIT */
	[39] = { HV_EXIT_UD, 0 },				   /* MONITOR */
	[50] = { HV_EXIT_UD, 0 },				   /* INVEPT */
	[53] = { HV_EXIT_UD, 0 },				   /* INVVPID */
	[54] = { HV_EXIT_SKIP, 1 },				   /* WBINVD */
	[55] = { HV_EXIT_XSETBV, 1 },	 [59] = { HV_EXIT_UD, 0 }, /* VMFUNC */
	[76] = { HV_EXIT_UD, 0 },				   /* SEAMCALL */
	[77] = { HV_EXIT_UD, 0 },				   /* TDCALL */
};

u32 vmx_event_pack(const struct hv_event *e, bool real)
{
	u32 info = e->vector | (u32)e->type << VMX_INTR_TYPE_SHIFT | (u32)VMX_INTR_VALID;

	if (e->has_error && !real)
		info |= (u32)VMX_INTR_HAS_ERROR;
	return info;
}

struct hv_event vmx_event_unpack(u32 info, u32 error)
{
	struct hv_event e = { 0 };
	u32 type = info >> VMX_INTR_TYPE_SHIFT & 7;

	if (!(info & VMX_INTR_VALID))
		return e;
	e.valid = 1;
	/* INT1, INT3 and INTO too are raised anew by their instruction */
	e.type = (u8)(type >= VMX_INTR_TYPE_SOFT ? (u32)HV_EVENT_SOFT : type);
	e.vector = info & VMX_INTR_VECTOR;
	e.has_error = !!(info & VMX_INTR_HAS_ERROR);
	e.error = e.has_error ? error : 0;
	return e;
}

static u32 length(void)
{
	return (u32)vmread(VMCS_EXIT_INSN_LEN);
}

static void decode_io(struct hv_exit *x)
{
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);

	x->reason = HV_EXIT_PIO;
	x->insn_len = length();
	x->pio.port = (u16)(q >> 16);
	x->pio.size = (q & 7) + 1;
	x->pio.in = q >> 3 & 1;
	x->pio.string = q >> 4 & 1;
}

static void block_nmis(struct vmx_vcpu *m)
{
	m->interruptibility |= (u32)VMX_BLOCK_NMI;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, m->interruptibility);
}

static void decode_ept(struct hv_exit *x, struct vmx_vcpu *m)
{
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);

	x->reason = HV_EXIT_NPF;
	x->insn_len = 0;
	x->npf.gpa = vmread(VMCS_GUEST_PHYSICAL);
	x->npf.write = q >> 1 & 1;
	x->npf.fetch = q >> 2 & 1;
	x->npf.present = !!(q & 0x38);
	x->npf.walk = (q & 0x180) == 0x80;
	if (unlikely(q & VMX_INTR_NMI_UNBLOCKED) && !x->cut.valid)
		block_nmis(m); /* the IRET will run again */
}

/* What MOV CR writes: 32 bits outside 64-bit mode. */
static u64 operand(const struct hv_vcpu *v, u32 gpr)
{
	bool wide =
		(vmread(VMCS_GUEST_EFER) & EFER_LMA) && (vmread(VMCS_GUEST_CS_ACCESS) & BIT(13));

	return wide ? v->gpr[gpr] : (u32)v->gpr[gpr];
}

static u64 cr0_seen(void)
{
	u64 mask = vmread(VMCS_CR0_MASK);

	return (vmread(VMCS_CR0_SHADOW) & mask) | (vmread(VMCS_GUEST_CR0) & ~mask);
}

static void decode_cr(struct hv_vcpu *v)
{
	struct hv_exit *x = &v->exit;
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);

	x->reason = HV_EXIT_CR;
	x->insn_len = length();
	x->cr.decoded = 1;
	x->cr.gpr = q >> 8 & 0xf;
	x->cr.nr = q & 0xf;
	x->cr.write = 1;
	switch (q >> 4 & 3) {
	case 0: x->cr.value = operand(v, x->cr.gpr); break;
	case 1: x->cr.write = 0; break;
	case 2: /* CLTS */
		x->cr.nr = 0;
		x->cr.value = cr0_seen() & ~CR0_TS;
		break;
	default: /* LMSW: sets PE, never clears it */
		x->cr.nr = 0;
		x->cr.value = (cr0_seen() & ~0xeull) | (q >> 16 & 0xf);
	}
}

/* DR6 and DR7 as delivery would leave them: neither the exit (SDM Vol. 3C, 28.1)
 * nor the injection that follows changes them. */
static void debug_exception(struct vmx_vcpu *m, u64 dr6)
{
	m->dr6 = dr6;
	if (m->dr7 & DR7_GD) {
		m->dr7 &= ~DR7_GD;
		vmwrite(VMCS_GUEST_DR7, m->dr7);
	}
}

static void decode_dr(struct hv_exit *x, struct vmx_vcpu *m)
{
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);

	if (m->dr7 & DR7_GD) { /* the exit comes before general detect */
		x->reason = HV_EXIT_EXC;
		x->insn_len = 0;
		x->exc.vector = EXC_DB;
		x->exc.has_error = 0;
		x->exc.error = 0;
		x->exc.cr2 = 0;
		debug_exception(m, m->dr6 | DR6_BD);
		return;
	}
	x->reason = HV_EXIT_DR;
	x->insn_len = length();
	x->cr.decoded = 0;
	x->cr.nr = q & 7;
	x->cr.write = !(q & BIT(4));
}

static void decode_exception(struct hv_vcpu *v, struct vmx_vcpu *m)
{
	struct hv_exit *x = &v->exit;
	u32 info = (u32)vmread(VMCS_EXIT_INTR_INFO);
	u32 type = info >> VMX_INTR_TYPE_SHIFT & 7;

	x->insn_len = 0;
	if (type == VMX_INTR_TYPE_NMI) {
		x->reason = HV_EXIT_NMI;
		return;
	}
	x->reason = HV_EXIT_EXC;
	x->exc.vector = info & VMX_INTR_VECTOR;
	x->exc.has_error = !!(info & VMX_INTR_HAS_ERROR);
	x->exc.error = x->exc.has_error ? (u32)vmread(VMCS_EXIT_INTR_ERROR) : 0;
	x->exc.cr2 = 0;
	if (info & VMX_INTR_NMI_UNBLOCKED && !x->cut.valid && x->exc.vector != EXC_DF)
		block_nmis(m);
	if (x->exc.vector == EXC_DB) {
		debug_exception(m, (m->dr6 & ~DR6_BREAKPOINTS) |
					   (vmread(VMCS_EXIT_QUALIFICATION) & DR6_CAUSES));
		if (type == VMX_INTR_TYPE_PRIVILEGED) /* INT1 is a trap */
			v->rip += length();
	}
}

static void decode_raw(struct hv_exit *x, u32 reason)
{
	u32 number = reason & VMX_REASON_NUMBER;

	x->insn_len = 0;
	x->raw.code = reason;
	x->raw.info1 = vmread(VMCS_EXIT_QUALIFICATION);
	x->raw.info2 = vmread(VMCS_GUEST_PHYSICAL);
	x->raw.why = NULL;
	x->reason = HV_EXIT_UNKNOWN;
	if (number == REASON_ENTRY_STATE || number == REASON_ENTRY_MSR) {
		x->reason = HV_EXIT_INVALID;
		x->raw.why = number == REASON_ENTRY_STATE ? "invalid guest state"
							  : "an MSR could not be loaded";
	}
	if (number == REASON_ENTRY_MC) { /* the host's, though no #MC follows: 27.8 */
		x->reason = HV_EXIT_EXC;
		x->exc.vector = EXC_MC;
		x->exc.has_error = 0;
	}
}

void vmx_decode_exit(struct hv_vcpu *v, struct vmx_vcpu *m, u32 reason)
{
	struct hv_exit *x = &v->exit;
	u32 info = (u32)vmread(VMCS_IDT_VECTORING_INFO);

	x->cut.valid = 0;
	if (unlikely(reason & VMX_REASON_ENTRY_FAILED)) {
		decode_raw(x, reason);
		return;
	}
	if (unlikely(info & VMX_INTR_VALID))
		x->cut = vmx_event_unpack(info, (u32)vmread(VMCS_IDT_VECTORING_ERROR));
	switch (reason) {
	case REASON_IO: decode_io(x); return;
	case REASON_EPT: decode_ept(x, m); return;
	case REASON_RDMSR:
	case REASON_WRMSR:
		x->reason = reason == REASON_RDMSR ? HV_EXIT_RDMSR : HV_EXIT_WRMSR;
		x->msr.index = (u32)v->gpr[HV_RCX];
		x->insn_len = length();
		return;
	case REASON_EXCEPTION: decode_exception(v, m); return;
	case REASON_CR: decode_cr(v); return;
	case REASON_DR: decode_dr(x, m); return;
	default: break;
	}
	if (reason < REASONS && simple[reason].reason) {
		x->reason = simple[reason].reason;
		x->insn_len = simple[reason].insn ? length() : 0;
	} else {
		decode_raw(x, reason);
	}
}

const char *vmx_insn_error_name(u32 error)
{
	static const char *const names[] = {
		[1] = "VMCALL in VMX root operation",
		[2] = "VMCLEAR with an invalid address",
		[3] = "VMCLEAR with the VMXON pointer",
		[4] = "VMLAUNCH with a VMCS that is not clear",
		[5] = "VMRESUME with a VMCS that was not launched",
		[6] = "VMRESUME after VMXOFF",
		[7] = "invalid control fields",
		[8] = "invalid host-state fields",
		[9] = "VMPTRLD with an invalid address",
		[10] = "VMPTRLD with the VMXON pointer",
		[11] = "VMPTRLD with a wrong revision",
		[12] = "VMREAD or VMWRITE of a field that does not exist",
		[13] = "VMWRITE to a read-only field",
		[15] = "VMXON in VMX root operation",
		[20] = "VMCALL with an invalid VM-exit control",
		[26] = "events blocked by MOV SS",
		[28] = "invalid operand of INVEPT or INVVPID",
	};

	if (error == ~0u)
		return "no current VMCS";
	return error < ARRAY_SIZE(names) && names[error] ? names[error]
							 : "unknown VM-instruction error";
}
