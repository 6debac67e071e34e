/*
 * Exit decoding: the one place that knows AMD's exit codes (APM Vol. 2,
 * Appendix C). A pure function of the VMCB, tested on a plain one. Codes that
 * are not in the table are exits that were never asked for: UNKNOWN (0).
 */
#include "arch/svm/svm_exit.h"

#define SIMPLE_CODES 0xa5

/* The exits that need nothing but their reason and the plain instruction's
 * length (0: no instruction, or its length is not constant). A prefixed form
 * is longer: without nRIP it goes wrong, for that guest alone. */
static const struct {
	u8 reason, len;
} simple[SIMPLE_CODES] = {
	[0x60] = { HV_EXIT_INTR, 0 },
	[0x61] = { HV_EXIT_NMI, 0 },
	[0x63] = { HV_EXIT_INTR, 0 }, /* INIT: not ours to act on */
	[0x64] = { HV_EXIT_WINDOW, 0 },
	[0x6f] = { HV_EXIT_GP, 0 }, /* RDPMC: there are no counters */
	[0x72] = { HV_EXIT_CPUID, 2 },
	[0x73] = { HV_EXIT_UD, 0 }, /* RSM */
	[0x74] = { HV_EXIT_IRET, 0 },
	[0x76] = { HV_EXIT_SKIP, 2 }, /* INVD would drop other VMs' dirty lines */
	[0x78] = { HV_EXIT_HLT, 1 },
	[0x7a] = { HV_EXIT_UD, 0 }, /* INVLPGA */
	[0x7c] = { HV_EXIT_RDMSR, 2 },
	[0x7f] = { HV_EXIT_SHUTDOWN, 0 },
	[0x80] = { HV_EXIT_UD, 0 }, /* VMRUN */
	[0x81] = { HV_EXIT_HYPERCALL, 3 },
	[0x82] = { HV_EXIT_UD, 0 },   /* VMLOAD */
	[0x83] = { HV_EXIT_UD, 0 },   /* VMSAVE */
	[0x84] = { HV_EXIT_UD, 0 },   /* STGI */
	[0x85] = { HV_EXIT_UD, 0 },   /* CLGI */
	[0x86] = { HV_EXIT_UD, 0 },   /* SKINIT */
	[0x89] = { HV_EXIT_SKIP, 2 }, /* WBINVD */
	[0x8a] = { HV_EXIT_UD, 0 },   /* MONITOR */
	[0x8b] = { HV_EXIT_UD, 0 },   /* MWAIT */
	[0x8c] = { HV_EXIT_UD, 0 },   /* MWAIT, armed */
	[0x8d] = { HV_EXIT_XSETBV, 3 },
	[0x8e] = { HV_EXIT_UD, 0 }, /* RDPRU */
	[0xa0] = { HV_EXIT_UD, 0 }, /* INVLPGB */
	[0xa1] = { HV_EXIT_UD, 0 }, /* INVLPGB, illegal operands */
	[0xa3] = { HV_EXIT_UD, 0 }, /* MCOMMIT */
	[0xa4] = { HV_EXIT_UD, 0 }, /* TLBSYNC */
};

u64 svm_event_pack(const struct hv_event *e)
{
	u64 info = e->vector | (u64)e->type << SVM_EVENT_TYPE_SHIFT | SVM_EVENT_VALID;

	if (e->has_error)
		info |= SVM_EVENT_HAS_ERROR | (u64)e->error << 32;
	return info;
}

struct hv_event svm_event_unpack(u64 info)
{
	struct hv_event e = { 0 };

	if (!(info & SVM_EVENT_VALID))
		return e;
	e.valid = 1;
	e.type = (info >> SVM_EVENT_TYPE_SHIFT) & 7;
	e.vector = info & SVM_EVENT_VECTOR;
	e.has_error = !!(info & SVM_EVENT_HAS_ERROR);
	e.error = e.has_error ? (u32)(info >> 32) : 0;
	return e;
}

static NOINLINE void decode_cut(struct hv_exit *x, u64 info)
{
	x->cut = svm_event_unpack(info);
}

static void decode_io(struct hv_vcpu *v, const struct vmcb *b)
{
	struct hv_exit *x = &v->exit;

	x->reason = HV_EXIT_PIO;
	x->pio.port = (u16)(b->exit_info1 >> SVM_IO_PORT_SHIFT);
	x->pio.size = (b->exit_info1 >> SVM_IO_SIZE_SHIFT) & 7;
	x->pio.in = b->exit_info1 & SVM_IO_IN;
	x->pio.string = !!(b->exit_info1 & SVM_IO_STRING);
	/* Every processor stores the next RIP here (APM 15.10.2). */
	x->insn_len = (u32)(b->exit_info2 - v->rip);
}

static void decode_npf(struct hv_exit *x, const struct vmcb *b)
{
	x->reason = HV_EXIT_NPF;
	x->insn_len = 0;
	x->npf.gpa = b->exit_info2;
	x->npf.write = !!(b->exit_info1 & SVM_NPF_WRITE);
	x->npf.fetch = !!(b->exit_info1 & SVM_NPF_FETCH);
	x->npf.walk = !!(b->exit_info1 & SVM_NPF_WALK);
	x->npf.present = b->exit_info1 & SVM_NPF_PRESENT;
}

static void decode_rest(struct hv_exit *x, const struct vmcb *b)
{
	u64 code = b->exit_code;

	x->insn_len = 0;
	if (code < SVM_EXIT_DR_READ) {
		x->reason = HV_EXIT_CR;
		x->cr.decoded = 0;
		x->cr.write = code >= SVM_EXIT_CR_WRITE;
		x->cr.nr = code & 0xf;
	} else if (code < SVM_EXIT_EXC) {
		x->reason = HV_EXIT_DR;
		x->cr.decoded = 0;
		x->cr.write = code >= SVM_EXIT_DR_WRITE;
		x->cr.nr = code & 0xf;
	} else if (code < SVM_EXIT_EXC + 32) {
		x->reason = HV_EXIT_EXC;
		x->exc.vector = (u8)(code - SVM_EXIT_EXC);
		x->exc.error = (u32)b->exit_info1;
		/* of those that are intercepted only #AC pushes an error code */
		x->exc.has_error = x->exc.vector == 17;
		x->exc.cr2 = b->exit_info2;
	} else {
		bool invalid = code == SVM_EXIT_INVALID || code == SVM_EXIT_INVALID_TCG;

		x->reason = invalid ? HV_EXIT_INVALID : HV_EXIT_UNKNOWN;
		x->raw.why = NULL;
		x->raw.code = code;
		x->raw.info1 = b->exit_info1;
		x->raw.info2 = b->exit_info2;
	}
}

void svm_decode_exit(struct hv_vcpu *v, const struct vmcb *b, bool nrip)
{
	struct hv_exit *x = &v->exit;
	u64 code = b->exit_code;

	x->cut.valid = 0;
	if (unlikely(b->exit_int_info & SVM_EVENT_VALID))
		decode_cut(x, b->exit_int_info);

	if (code == 0x7b) {
		decode_io(v, b);
	} else if (likely(code < SIMPLE_CODES && simple[code].reason)) {
		x->reason = simple[code].reason;
		x->insn_len = simple[code].len;
		if (nrip && x->insn_len)
			x->insn_len = (u32)(b->next_rip - v->rip);
		if (code == 0x7c) {
			x->reason = HV_EXIT_RDMSR + (b->exit_info1 & 1);
			x->msr.index = (u32)v->gpr[HV_RCX];
		}
	} else if (code == SVM_EXIT_NPF) {
		decode_npf(x, b);
	} else if (code == 0x65) { /* CR0, other than TS and MP */
		x->reason = HV_EXIT_CR;
		x->insn_len = 0;
		x->cr.decoded = 0;
		x->cr.nr = 0;
		x->cr.write = 1;
	} else {
		decode_rest(x, b);
	}
}

_Static_assert(HV_EXIT_WRMSR == HV_EXIT_RDMSR + 1, "EXITINFO1 chooses between them");

#define NAME(name) #name,
const char *hv_reason_name(u32 reason)
{
	static const char *const names[] = { HV_EXITS(NAME) };

	return reason < HV_EXIT_COUNT ? names[reason] : "?";
}
