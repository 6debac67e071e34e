/*
 * arch/vmx/vmcs_check.c: states that a processor enters pass; each rule, broken
 * alone in one of them, is named; and no state whatever is too strange to check.
 */
// SOURCES: arch/vmx/vmcs_check.c arch/vmx/vmcs_check_guest.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/vmcs_check.h"
#include "arch/x86.h"

#define ACCESS_CODE64 0xa09b
#define ACCESS_CODE32 0xc09b
#define ACCESS_DATA32 0xc093
#define ACCESS_CODE16 0x9b
#define ACCESS_DATA16 0x93
#define ACCESS_USER 0x60 /* DPL 3 */
#define ACCESS_LDT 0x82
#define ACCESS_TSS 0x8b
#define NONE VMX_ACCESS_UNUSABLE

#define EVENT(type, vector) (VMX_INTR_VALID | (VMX_INTR_TYPE_##type << 8) | (vector))

/* As a Haswell says it, and all that a rule depends on allowed. */
static struct vmx_caps haswell(void)
{
	return (struct vmx_caps){
		.basic = VMX_BASIC_TRUE | 1,
		.misc = BIT(30) | 4ull << 16 | 7ull << 6, /* length 0, 4 targets, all activities */
		.pin = 0xffull << 32 | 0x16,
		.proc = 0xfffbfffeull << 32 | 0x04006172,
		.proc2 = 0x1ffffffull << 32,
		.exit = 0x3fffffffull << 32 | 0x36dfb,
		.entry = 0x7fffffull << 32 | 0x11fb,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0x9f27ff,
		.ept_vpid = 0xf0106734141,
		.phys_bits = 39,
	};
}

/* What Bulkhead itself sets, and a guest in 64-bit kernel mode. */
static struct vmcs_fields long_mode(void)
{
	struct vmcs_fields f = {
		.vpid = 1,
		.io_bitmap_a = 0x10000,
		.io_bitmap_b = 0x11000,
		.msr_bitmap = 0x12000,
		.eptp = 0x200000 | VMX_EPTP_WB | VMX_EPTP_WALK4,
		.pin_controls = 0x16 | VMX_PIN_EXTINT | VMX_PIN_NMI | VMX_PIN_VIRTUAL_NMI,
		.proc_controls = 0x04006172 | VMX_PROC_HLT | VMX_PROC_IO_BITMAPS |
				 VMX_PROC_MSR_BITMAPS | VMX_PROC_SECONDARY,
		.proc2_controls = VMX_PROC2_EPT | VMX_PROC2_VPID | VMX_PROC2_UNRESTRICTED,
		.exit_controls =
			0x36dfb | VMX_EXIT_HOST_64 | VMX_EXIT_LOAD_PAT | VMX_EXIT_LOAD_EFER,
		.entry_controls = 0x11fb | VMX_ENTRY_LOAD_DEBUG | VMX_ENTRY_IA32E |
				  VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER,

		.host_cs_selector = 0x08,
		.host_tr_selector = 0x40,
		.host_pat = 0x0007040600070406,
		.host_efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
		.host_cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE,
		.host_cr3 = 0x300000,
		.host_cr4 = CR4_VMXE | CR4_PAE,
		.host_gs_base = 0xffffffff80001000,
		.host_rip = 0xffffffff80000000,

		.guest_pat = 0x0007040600070406,
		.guest_efer = EFER_LME | EFER_LMA,
		.guest_link_pointer = ~0ull,
		.guest_cr0 = CR0_PG | CR0_NE | CR0_ET | CR0_PE,
		.guest_cr3 = 0x1000,
		.guest_cr4 = CR4_VMXE | CR4_PAE,
		.guest_dr7 = 0x400,
		.guest_rip = 0xffffffff81000000,
		.guest_rflags = RFLAGS_FIXED | RFLAGS_IF,

		.guest_cs_selector = 0x10,
		.guest_cs_limit = 0xffffffff,
		.guest_cs_access = ACCESS_CODE64,
		.guest_ss_selector = 0x18,
		.guest_ss_limit = 0xffffffff,
		.guest_ss_access = ACCESS_DATA32,
		.guest_ds_access = NONE,
		.guest_es_access = NONE,
		.guest_fs_access = NONE,
		.guest_gs_access = NONE,
		.guest_gs_base = 0xffff888000000000,
		.guest_ldtr_access = NONE,
		.guest_tr_selector = 0x40,
		.guest_tr_limit = 0x67,
		.guest_tr_access = ACCESS_TSS,
	};
	return f;
}

/* 32-bit user mode, all segments usable. */
static struct vmcs_fields protected_mode(void)
{
	struct vmcs_fields f = long_mode();

	f.entry_controls &= ~VMX_ENTRY_IA32E;
	f.guest_efer = 0;
	f.guest_cr4 = CR4_VMXE;
	f.guest_rip = 0x08048000;
#define SET(s, sel, rights) \
	f.guest_##s##_selector = (sel), f.guest_##s##_limit = 0xffffffff, \
	f.guest_##s##_access = (rights), f.guest_##s##_base = 0
	SET(cs, 0x1b, ACCESS_CODE32 | ACCESS_USER);
	SET(ss, 0x23, ACCESS_DATA32 | ACCESS_USER);
	SET(ds, 0x23, ACCESS_DATA32 | ACCESS_USER);
	SET(es, 0x23, ACCESS_DATA32 | ACCESS_USER);
	SET(fs, 0x23, ACCESS_DATA32 | ACCESS_USER);
	SET(gs, 0x23, ACCESS_DATA32 | ACCESS_USER);
#undef SET
	f.guest_ldtr_selector = 0x48;
	f.guest_ldtr_limit = 0xff;
	f.guest_ldtr_access = ACCESS_LDT;
	return f;
}

/* The same on a processor's plain rules, without unrestricted guest. */
static struct vmcs_fields restricted(void)
{
	struct vmcs_fields f = protected_mode();

	f.proc2_controls &= ~VMX_PROC2_UNRESTRICTED;
	return f;
}

static struct vmcs_fields pae(void)
{
	struct vmcs_fields f = protected_mode();

	f.guest_cr4 |= CR4_PAE;
	f.guest_pdpte0 = 0x2001;
	f.guest_pdpte3 = 0x3019;
	f.guest_pdpte1 = ~1ull; /* not present: anything goes */
	return f;
}

/* After reset: real mode with an odd CS. */
static struct vmcs_fields real_mode(void)
{
	struct vmcs_fields f = long_mode();

	f.entry_controls &= ~VMX_ENTRY_IA32E;
	f.guest_efer = 0;
	f.guest_cr0 = CR0_CD | CR0_NW | CR0_NE | CR0_ET;
	f.guest_cr4 = CR4_VMXE;
	f.guest_cr3 = 0;
	f.guest_rip = 0xfff0;
	f.guest_rflags = RFLAGS_FIXED;
#define SET(s, sel, base, rights) \
	f.guest_##s##_selector = (sel), f.guest_##s##_limit = 0xffff, \
	f.guest_##s##_access = (rights), f.guest_##s##_base = (base)
	SET(cs, 0xf000, 0xffff0000, ACCESS_CODE16);
	SET(ss, 0, 0, ACCESS_DATA16);
	SET(ds, 0, 0, ACCESS_DATA16);
	SET(es, 0x1003, 0x10030, ACCESS_DATA16);
	SET(fs, 0, 0, ACCESS_DATA16);
	SET(gs, 0, 0, ACCESS_DATA16);
	SET(ldtr, 0, 0, ACCESS_LDT);
	SET(tr, 0, 0, ACCESS_TSS);
#undef SET
	return f;
}

static struct vmcs_fields virtual_8086(void)
{
	struct vmcs_fields f = restricted();

	f.guest_rflags |= RFLAGS_VM;
#define SET(s, sel) \
	f.guest_##s##_selector = (sel), f.guest_##s##_limit = 0xffff, f.guest_##s##_access = 0xf3, \
	f.guest_##s##_base = (sel) << 4
	SET(cs, 0x1000);
	SET(ss, 0x2000);
	SET(ds, 0x3001);
	SET(es, 0);
	SET(fs, 0);
	SET(gs, 0xffff);
#undef SET
	f.guest_rip = 0x100;
	return f;
}

static void expect(int line, const struct vmcs_fields *f, const struct vmx_caps *caps,
		   const char *rule)
{
	const char *got = vmcs_check(f, caps);

	if (!got != !rule || (got && strcmp(got, rule)))
		fail_msg("line %d: \"%s\", not \"%s\"", line, got ? got : "none",
			 rule ? rule : "none");
}

/* In `base`, `change` (of f and caps) breaks the rule; NULL: breaks none. */
#define CASE(base, rule, change) \
	do { \
		struct vmcs_fields f = base(); \
		struct vmx_caps caps = haswell(); \
		change; \
		expect(__LINE__, &f, &caps, rule); \
	} while (0)

static void good_states_pass(void **state)
{
	(void)state;
	CASE(long_mode, NULL, );
	CASE(protected_mode, NULL, );
	CASE(restricted, NULL, );
	CASE(pae, NULL, );
	CASE(real_mode, NULL, );
	CASE(virtual_8086, NULL, );
}

static void controls(void **state)
{
	(void)state;
	CASE(long_mode, "pin controls: a bit that must be 1", f.pin_controls &= ~BIT(2));
	CASE(long_mode, "pin controls: an unsupported bit", f.pin_controls |= BIT(8));
	CASE(long_mode, "pin controls: one whose rules are not known here",
	     f.pin_controls |= VMX_PIN_POSTED);
	CASE(long_mode, "processor controls: a bit that must be 1", f.proc_controls &= ~BIT(4));
	CASE(long_mode, "processor controls: an unsupported bit", f.proc_controls |= BIT(0));
	CASE(long_mode, "processor controls: one whose rules are not known here",
	     f.proc_controls |= BIT(17));
	CASE(long_mode, "secondary controls: a bit that must be 1", caps.proc2 |= BIT(2));
	CASE(long_mode, "secondary controls: an unsupported bit", f.proc2_controls |= BIT(30));
	CASE(long_mode, "secondary controls: one whose rules are not known here",
	     f.proc2_controls |= VMX_PROC2_VMFUNC);
	CASE(long_mode, "exit controls: a bit that must be 1", f.exit_controls &= ~BIT(0));
	CASE(long_mode, "exit controls: an unsupported bit", f.exit_controls |= BIT(30));
	CASE(long_mode, "exit controls: one whose rules are not known here",
	     f.exit_controls |= VMX_EXIT_LOAD_PERF);
	CASE(long_mode, "entry controls: a bit that must be 1", f.entry_controls &= ~BIT(0));
	CASE(long_mode, "entry controls: an unsupported bit", f.entry_controls |= BIT(30));
	CASE(long_mode, "entry controls: one whose rules are not known here",
	     f.entry_controls |= VMX_ENTRY_LOAD_PERF);
	/* not in effect, not checked */
	CASE(restricted, NULL,
	     (f.proc_controls &= ~VMX_PROC_SECONDARY, f.proc2_controls = ~0ull, f.eptp = ~0ull));

	CASE(long_mode, "CR3-target count", f.cr3_target_count = 5);
	CASE(long_mode, NULL, f.cr3_target_count = 4);
	CASE(long_mode, "I/O bitmap A: address", f.io_bitmap_a |= 1);
	CASE(long_mode, "I/O bitmap B: address", f.io_bitmap_b |= BIT(39));
	CASE(long_mode, "MSR bitmap: address", f.msr_bitmap |= 0x800);
	CASE(long_mode, NULL, (f.proc_controls &= ~VMX_PROC_MSR_BITMAPS, f.msr_bitmap = 1));
	CASE(long_mode, "virtual-APIC page: address",
	     (f.proc_controls |= VMX_PROC_TPR_SHADOW, f.virtual_apic = 8));
	CASE(long_mode, "TPR threshold: reserved bits",
	     (f.proc_controls |= VMX_PROC_TPR_SHADOW, f.tpr_threshold = 0x10));
	CASE(long_mode, "VPID: 0", f.vpid = 0);
	CASE(long_mode, NULL, (f.vpid = 0, f.proc2_controls &= ~VMX_PROC2_VPID));
}

static void dependent_controls(void **state)
{
	(void)state;
	CASE(long_mode, "secondary controls: x2APIC mode without TPR shadow",
	     f.proc2_controls |= VMX_PROC2_X2APIC);
	CASE(long_mode, "secondary controls: APIC-register virtualization without TPR shadow",
	     f.proc2_controls |= VMX_PROC2_APIC_REGISTERS);
	CASE(long_mode, "secondary controls: virtual-interrupt delivery without TPR shadow",
	     f.proc2_controls |= VMX_PROC2_INTR_DELIVERY);
	CASE(long_mode, "pin controls: virtual NMIs without NMI exiting",
	     f.pin_controls &= ~VMX_PIN_NMI);
	CASE(long_mode, "processor controls: NMI window without virtual NMIs",
	     (f.pin_controls &= ~VMX_PIN_VIRTUAL_NMI, f.proc_controls |= VMX_PROC_NMI_WINDOW));
	CASE(long_mode,
	     "secondary controls: virtual-interrupt delivery without external-interrupt exiting",
	     (f.proc_controls |= VMX_PROC_TPR_SHADOW, f.proc2_controls |= VMX_PROC2_INTR_DELIVERY,
	      f.pin_controls &= ~VMX_PIN_EXTINT));
	CASE(long_mode, "secondary controls: unrestricted guest without EPT",
	     f.proc2_controls &= ~VMX_PROC2_EPT);
	CASE(long_mode, "exit controls: preemption timer saved without being active",
	     f.exit_controls |= VMX_EXIT_SAVE_PREEMPTION);
	CASE(long_mode, NULL,
	     (f.exit_controls |= VMX_EXIT_SAVE_PREEMPTION, f.pin_controls |= VMX_PIN_PREEMPTION));
	/* these come with controls of unknown fields, which are named first */
	{
		struct vmcs_fields f = long_mode();
		struct vmx_caps caps = haswell();
		const char *names[16] = { 0 };
		u32 n;

		f.proc_controls |= VMX_PROC_TPR_SHADOW;
		f.proc2_controls |= VMX_PROC2_X2APIC | VMX_PROC2_APIC_ACCESS | VMX_PROC2_PML;
		f.proc2_controls &= ~(VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED);
		f.pin_controls |= VMX_PIN_POSTED;
		n = vmcs_check_all(&f, &caps, names, 16);
		assert_int_equal(n, 6);
		assert_string_equal(names[2], "secondary controls: x2APIC mode together with APIC "
					      "accesses");
		assert_string_equal(names[3], "pin controls: posted interrupts without "
					      "virtual-interrupt delivery");
		assert_string_equal(names[4],
				    "pin controls: posted interrupts without acknowledge on exit");
		assert_string_equal(names[5],
				    "secondary controls: page-modification log without EPT");
	}
}

static void ept_pointer(void **state)
{
	(void)state;
	CASE(long_mode, "EPT pointer: memory type", f.eptp ^= 7);
	CASE(long_mode, NULL, (f.eptp &= ~7ull, caps.ept_vpid |= VMX_EPT_UC));
	CASE(long_mode, "EPT pointer: memory type", caps.ept_vpid &= ~VMX_EPT_WB);
	CASE(long_mode, "EPT pointer: page-walk length", f.eptp &= ~VMX_EPTP_WALK4);
	CASE(long_mode, "EPT pointer: page-walk length", f.eptp += 8); /* five levels */
	CASE(long_mode, "EPT pointer: accessed and dirty flags are not supported",
	     (f.eptp |= BIT(6), caps.ept_vpid &= ~VMX_EPT_AD));
	CASE(long_mode, "EPT pointer: reserved bits", f.eptp |= BIT(8));
	CASE(long_mode, "EPT pointer: reserved bits", f.eptp |= BIT(39));
}

static void msr_areas(void **state)
{
	(void)state;
	CASE(long_mode, NULL, (f.exit_msr_store = 8, f.exit_msr_load = 8, f.entry_msr_load = 8));
	CASE(long_mode, "exit MSR-store area: address",
	     (f.exit_msr_store = 8, f.exit_msr_store_count = 1));
	CASE(long_mode, "exit MSR-load area: address",
	     (f.exit_msr_load = BIT(39) - 16, f.exit_msr_load_count = 2));
	CASE(long_mode, NULL, (f.exit_msr_load = BIT(39) - 16, f.exit_msr_load_count = 1));
	CASE(long_mode, "entry MSR-load area: address",
	     (f.entry_msr_load = 1, f.entry_msr_load_count = 1));
	CASE(long_mode, "entry controls: SMM, outside of it", f.entry_controls |= VMX_ENTRY_SMM);
}

static void events(void **state)
{
	const u32 with_error = BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17);

	(void)state;
	for (u32 v = 0; v < 32; v++) {
		bool error = with_error >> v & 1;

		CASE(long_mode, error ? "event: the exception has an error code" : NULL,
		     f.entry_intr_info = EVENT(EXCEPTION, v));
		CASE(long_mode,
		     error ? NULL : "event: an error code that the exception does not have",
		     f.entry_intr_info = EVENT(EXCEPTION, v) | VMX_INTR_HAS_ERROR);
		CASE(real_mode, NULL, f.entry_intr_info = EVENT(EXCEPTION, v));
		/* a newer processor does not mind */
		CASE(long_mode, NULL,
		     (f.entry_intr_info = EVENT(EXCEPTION, v), caps.basic |= BIT(56)));
	}
	CASE(long_mode, NULL, f.entry_intr_info = EVENT(EXTINT, 0x30));
	CASE(long_mode, NULL, f.entry_intr_info = EVENT(NMI, 2));
	CASE(long_mode, NULL, f.entry_intr_info = EVENT(OTHER, 0));
	CASE(long_mode, NULL, f.entry_intr_info = ~VMX_INTR_VALID & 0xffffffff);
	CASE(long_mode, "event: type 1 is reserved", f.entry_intr_info = VMX_INTR_VALID | 1 << 8);
	CASE(long_mode, "event: type 7 is reserved without a monitor trap flag",
	     (f.entry_intr_info = EVENT(OTHER, 0), caps.proc &= ~((u64)VMX_PROC_TRAP_FLAG << 32)));
	CASE(long_mode, "event: an NMI has vector 2", f.entry_intr_info = EVENT(NMI, 3));
	CASE(long_mode, "event: no such exception", f.entry_intr_info = EVENT(EXCEPTION, 32));
	CASE(long_mode, "event: type 7 has vector 0 alone", f.entry_intr_info = EVENT(OTHER, 1));
	CASE(long_mode, "event: an error code with what is no exception",
	     f.entry_intr_info = EVENT(EXTINT, 0x30) | VMX_INTR_HAS_ERROR);
	CASE(real_mode, "event: an error code in real mode",
	     f.entry_intr_info = EVENT(EXCEPTION, 13) | VMX_INTR_HAS_ERROR);
	CASE(long_mode, "event: reserved bits", f.entry_intr_info = EVENT(NMI, 2) | BIT(12));
	CASE(long_mode, "event: error code above 16 bits",
	     (f.entry_intr_info = EVENT(EXCEPTION, 14) | VMX_INTR_HAS_ERROR,
	      f.entry_error_code = BIT(16)));
	CASE(long_mode, "event: instruction length above 15",
	     (f.entry_intr_info = EVENT(SOFT, 0x80), f.entry_insn_len = 16));
	CASE(long_mode, NULL, (f.entry_intr_info = EVENT(SOFT_EXC, 3), f.entry_insn_len = 15));
	CASE(long_mode, "event: instruction length 0",
	     (f.entry_intr_info = EVENT(PRIVILEGED, 1), caps.misc &= ~BIT(30)));
}

static void host(void **state)
{
	const u64 odd = BIT(47); /* not canonical */

	(void)state;
	CASE(long_mode, "host CR0: a bit that must be 1", f.host_cr0 &= ~CR0_NE);
	CASE(long_mode, "host CR0: an unsupported bit", f.host_cr0 |= BIT(32));
	CASE(long_mode, "host CR4: a bit that must be 1", f.host_cr4 &= ~CR4_VMXE);
	CASE(long_mode, "host CR4: an unsupported bit", f.host_cr4 |= CR4_LA57);
	CASE(long_mode, "host CR4: CET without WP", (f.host_cr4 |= CR4_CET, f.host_cr0 &= ~CR0_WP));
	CASE(long_mode, "host CR4: PAE", f.host_cr4 &= ~CR4_PAE);
	CASE(long_mode, "host CR3: beyond the physical width", f.host_cr3 |= BIT(39));
	CASE(long_mode, "host SYSENTER_ESP: not canonical", f.host_sysenter_esp = odd);
	CASE(long_mode, "host SYSENTER_EIP: not canonical", f.host_sysenter_eip = odd);
	CASE(long_mode, "host PAT: reserved memory type", f.host_pat = 2);
	CASE(long_mode, "host PAT: reserved memory type", f.host_pat = 8ull << 56);
	CASE(long_mode, "host EFER: reserved bits", f.host_efer |= BIT(1));
	CASE(long_mode, "host EFER: LMA or LME is not the address-space size",
	     f.host_efer &= ~EFER_LMA);
	CASE(long_mode, "host ES: RPL or TI", f.host_es_selector = 1);
	CASE(long_mode, "host CS: RPL or TI", f.host_cs_selector |= 4);
	CASE(long_mode, "host SS: RPL or TI", f.host_ss_selector = 3);
	CASE(long_mode, "host DS: RPL or TI", f.host_ds_selector = 0x2b);
	CASE(long_mode, "host FS: RPL or TI", f.host_fs_selector = 2);
	CASE(long_mode, "host GS: RPL or TI", f.host_gs_selector = 4);
	CASE(long_mode, "host TR: RPL or TI", f.host_tr_selector |= 4);
	CASE(long_mode, "host CS: null", f.host_cs_selector = 0);
	CASE(long_mode, "host TR: null", f.host_tr_selector = 0);
	CASE(long_mode, "host FS: base is not canonical", f.host_fs_base = odd);
	CASE(long_mode, "host GS: base is not canonical", f.host_gs_base = odd);
	CASE(long_mode, "host TR: base is not canonical", f.host_tr_base = odd);
	CASE(long_mode, "host GDTR: base is not canonical", f.host_gdtr_base = odd);
	CASE(long_mode, "host IDTR: base is not canonical", f.host_idtr_base = odd);
	CASE(long_mode, "host RIP: not canonical", f.host_rip = odd);
	CASE(long_mode, "host SS: null",
	     (f.exit_controls &= ~VMX_EXIT_HOST_64, caps.exit &= ~VMX_EXIT_HOST_64,
	      f.host_efer = 0));
	CASE(long_mode, "exit controls: host address-space size",
	     (f.exit_controls &= ~VMX_EXIT_HOST_64, caps.exit &= ~VMX_EXIT_HOST_64, f.host_efer = 0,
	      f.host_ss_selector = 8));
}

static void guest_control_registers(void **state)
{
	(void)state;
	CASE(long_mode, "guest CR0: a bit that must be 1", f.guest_cr0 &= ~CR0_NE);
	CASE(restricted, "guest CR0: a bit that must be 1", f.guest_cr0 &= ~CR0_PG);
	CASE(protected_mode, NULL, f.guest_cr0 &= ~CR0_PG);
	CASE(long_mode, "guest CR0: an unsupported bit", f.guest_cr0 |= BIT(40));
	CASE(real_mode, "guest CR0: PG without PE", f.guest_cr0 |= CR0_PG);
	CASE(long_mode, "guest CR4: a bit that must be 1", f.guest_cr4 &= ~CR4_VMXE);
	CASE(long_mode, "guest CR4: an unsupported bit", f.guest_cr4 |= CR4_PKE);
	CASE(long_mode, "guest CR4: CET without WP", f.guest_cr4 |= CR4_CET);
	CASE(long_mode, "guest CR0: long mode without PG", f.guest_cr0 &= ~CR0_PG);
	CASE(long_mode, "guest CR4: long mode without PAE", f.guest_cr4 &= ~CR4_PAE);
	CASE(protected_mode, "guest CR4: PCIDE outside long mode",
	     (f.guest_cr4 |= CR4_PCIDE, caps.cr4_fixed1 |= CR4_PCIDE));
	CASE(long_mode, "guest CR3: beyond the physical width", f.guest_cr3 |= BIT(63));
}

static void guest_msrs(void **state)
{
	(void)state;
	CASE(long_mode, "guest DEBUGCTL: reserved bits", f.guest_debugctl = BIT(5));
	CASE(long_mode, "guest DR7: above 32 bits", f.guest_dr7 |= BIT(32));
	CASE(long_mode, "guest SYSENTER_ESP: not canonical", f.guest_sysenter_esp = BIT(47));
	CASE(long_mode, "guest SYSENTER_EIP: not canonical", f.guest_sysenter_eip = ~BIT(47));
	CASE(long_mode, "guest PAT: reserved memory type", f.guest_pat = 0x0300);
	CASE(long_mode, NULL, (f.guest_pat = 3, f.entry_controls &= ~VMX_ENTRY_LOAD_PAT));
	CASE(long_mode, "guest EFER: reserved bits", f.guest_efer |= EFER_SVME);
	CASE(long_mode, "guest EFER: LMA is not the entry control's", f.guest_efer = 0);
	CASE(protected_mode, "guest EFER: LMA is not LME", f.guest_efer = EFER_LME);
	CASE(real_mode, NULL, f.guest_efer = EFER_LME);
}

static void guest_segment_addresses(void **state)
{
	const u64 odd = BIT(47), wide = BIT(32);

	(void)state;
	CASE(long_mode, "guest TR: selector's TI", f.guest_tr_selector |= 4);
	CASE(protected_mode, "guest LDTR: selector's TI", f.guest_ldtr_selector |= 4);
	CASE(long_mode, NULL, f.guest_ldtr_selector |= 4);
	CASE(restricted, "guest SS: RPL is not that of CS", f.guest_ss_selector = 0x20);
	CASE(protected_mode, NULL, f.guest_ss_selector = 0x20);
	CASE(long_mode, "guest TR: base is not canonical", f.guest_tr_base = odd);
	CASE(long_mode, "guest FS: base is not canonical", f.guest_fs_base = odd);
	CASE(long_mode, "guest GS: base is not canonical", f.guest_gs_base = odd);
	CASE(protected_mode, "guest LDTR: base is not canonical", f.guest_ldtr_base = odd);
	CASE(long_mode, NULL, f.guest_ldtr_base = odd);
	CASE(long_mode, "guest CS: base above 32 bits", f.guest_cs_base = wide);
	CASE(long_mode, "guest SS: base above 32 bits", f.guest_ss_base = wide);
	CASE(protected_mode, "guest DS: base above 32 bits", f.guest_ds_base = wide);
	CASE(protected_mode, "guest ES: base above 32 bits", f.guest_es_base = wide);
	CASE(long_mode, NULL, f.guest_es_base = wide);
	CASE(long_mode, "guest GDTR: base is not canonical", f.guest_gdtr_base = odd);
	CASE(long_mode, "guest IDTR: base is not canonical", f.guest_idtr_base = odd);
	CASE(long_mode, "guest GDTR: limit above 16 bits", f.guest_gdtr_limit = 0x10000);
	CASE(long_mode, "guest IDTR: limit above 16 bits", f.guest_idtr_limit = 0x10000);
}

static void guest_code_and_stack(void **state)
{
	(void)state;
	CASE(restricted, "guest CS: type", f.guest_cs_access ^= 8);
	CASE(protected_mode, "guest CS: type", f.guest_cs_access ^= 1); /* not accessed */
	CASE(real_mode, NULL, f.guest_cs_access = ACCESS_DATA16);
	CASE(real_mode, "guest CS: DPL of a data segment",
	     f.guest_cs_access = ACCESS_DATA16 | ACCESS_USER);
	CASE(protected_mode, "guest CS: DPL is not that of SS", f.guest_cs_access &= ~ACCESS_USER);
	CASE(protected_mode, NULL,
	     (f.guest_cs_access |= 4, f.guest_cs_access &= ~ACCESS_USER)); /* conforming */
	CASE(long_mode, "guest CS: DPL above that of SS", f.guest_cs_access |= 4 | ACCESS_USER);
	CASE(long_mode, "guest CS: S", f.guest_cs_access &= ~0x10);
	CASE(long_mode, "guest CS: not present", f.guest_cs_access &= ~0x80);
	CASE(long_mode, "guest CS: access rights' reserved bits", f.guest_cs_access |= BIT(8));
	CASE(long_mode, "guest CS: limit in pages ends within one", f.guest_cs_limit = 0xffff0ffe);
	CASE(long_mode, "guest CS: limit needs pages", f.guest_cs_access &= ~BIT(15));
	CASE(long_mode, "guest CS: L together with D", f.guest_cs_access |= BIT(14));
	CASE(restricted, "guest SS: DPL is not its RPL",
	     (f.guest_ss_access &= ~ACCESS_USER, f.guest_cs_access &= ~ACCESS_USER));
	CASE(real_mode, "guest SS: DPL in real mode",
	     (f.guest_ss_access |= ACCESS_USER, f.guest_cs_access |= ACCESS_USER));
	CASE(long_mode, "guest SS: type", f.guest_ss_access |= 8);
	CASE(long_mode, "guest SS: S", f.guest_ss_access &= ~0x10);
	CASE(long_mode, "guest SS: not present", f.guest_ss_access &= ~0x80);
	CASE(long_mode, "guest SS: access rights' reserved bits", f.guest_ss_access |= BIT(17));
	CASE(long_mode, "guest SS: limit in pages ends within one", f.guest_ss_limit = 0);
	CASE(real_mode, "guest SS: limit needs pages", f.guest_ss_limit = BIT(20));
	CASE(long_mode, NULL, (f.guest_ss_access = NONE, f.guest_ss_limit = 0));
}

static void guest_data_segments(void **state)
{
	(void)state;
#define DATA(NAME, s) \
	CASE(protected_mode, "guest " NAME ": type: not accessed", f.guest_##s##_access ^= 1); \
	CASE(protected_mode, "guest " NAME ": type: code that is not readable", \
	     f.guest_##s##_access ^= 8 | 2); \
	CASE(restricted, "guest " NAME ": DPL below RPL", f.guest_##s##_access &= ~ACCESS_USER); \
	CASE(restricted, NULL, (f.guest_##s##_access = 0xc09f)); /* conforming */ \
	CASE(protected_mode, "guest " NAME ": S", f.guest_##s##_access &= ~0x10); \
	CASE(protected_mode, "guest " NAME ": not present", f.guest_##s##_access &= ~0x80); \
	CASE(protected_mode, "guest " NAME ": access rights' reserved bits", \
	     f.guest_##s##_access |= BIT(11)); \
	CASE(protected_mode, "guest " NAME ": limit in pages ends within one", \
	     f.guest_##s##_limit = 0xfffffff0); \
	CASE(protected_mode, "guest " NAME ": limit needs pages", \
	     f.guest_##s##_access ^= BIT(15)); \
	CASE(protected_mode, NULL, f.guest_##s##_access = NONE); \
	CASE(virtual_8086, "guest " NAME ": virtual-8086 base", f.guest_##s##_base++); \
	CASE(virtual_8086, "guest " NAME ": virtual-8086 limit", f.guest_##s##_limit++); \
	CASE(virtual_8086, "guest " NAME ": virtual-8086 access rights", \
	     f.guest_##s##_access = NONE)
	DATA("ES", es);
	DATA("DS", ds);
	DATA("FS", fs);
	DATA("GS", gs);
#undef DATA
	CASE(virtual_8086, "guest CS: virtual-8086 base", f.guest_cs_base++);
	CASE(virtual_8086, "guest CS: virtual-8086 limit", f.guest_cs_limit++);
	CASE(virtual_8086, "guest CS: virtual-8086 access rights", f.guest_cs_access = 0x9b);
	CASE(virtual_8086, "guest SS: virtual-8086 base", f.guest_ss_base++);
	CASE(virtual_8086, "guest SS: virtual-8086 limit", f.guest_ss_limit--);
	CASE(virtual_8086, "guest SS: virtual-8086 access rights", f.guest_ss_access = 0x93);
}

static void guest_system_segments(void **state)
{
	(void)state;
	CASE(protected_mode, "guest LDTR: type", f.guest_ldtr_access = 0x8b);
	CASE(protected_mode, "guest LDTR: S", f.guest_ldtr_access |= 0x10);
	CASE(protected_mode, "guest LDTR: not present", f.guest_ldtr_access &= ~0x80);
	CASE(protected_mode, "guest LDTR: access rights' reserved bits",
	     f.guest_ldtr_access |= BIT(9));
	CASE(protected_mode, "guest LDTR: limit in pages ends within one",
	     f.guest_ldtr_access |= BIT(15));
	CASE(protected_mode, "guest LDTR: limit needs pages", f.guest_ldtr_limit = BIT(20));
	CASE(long_mode, "guest TR: unusable", f.guest_tr_access |= NONE);
	CASE(long_mode, "guest TR: type is no busy TSS", f.guest_tr_access = 0x89);
	CASE(long_mode, "guest TR: type is no busy TSS", f.guest_tr_access = 0x83);
	CASE(protected_mode, NULL, f.guest_tr_access = 0x83); /* 16-bit */
	CASE(long_mode, "guest TR: S", f.guest_tr_access |= 0x10);
	CASE(long_mode, "guest TR: not present", f.guest_tr_access &= ~0x80);
	CASE(long_mode, "guest TR: access rights' reserved bits", f.guest_tr_access |= BIT(31));
	CASE(long_mode, "guest TR: limit in pages ends within one", f.guest_tr_access |= BIT(15));
	CASE(long_mode, "guest TR: limit needs pages", f.guest_tr_limit = 0xffffffff);
}

static void guest_rip_and_rflags(void **state)
{
	(void)state;
	CASE(long_mode, "guest RIP: beyond the linear width", f.guest_rip = BIT(48));
	CASE(long_mode, NULL, f.guest_rip = BIT(47)); /* one past the lower half */
	CASE(protected_mode, "guest RIP: above 32 bits", f.guest_rip |= BIT(32));
	CASE(long_mode, "guest RIP: above 32 bits", f.guest_cs_access = ACCESS_CODE32);
	CASE(long_mode, "guest RFLAGS: reserved bits", f.guest_rflags |= BIT(15));
	CASE(long_mode, "guest RFLAGS: reserved bits", f.guest_rflags |= BIT(22));
	CASE(long_mode, "guest RFLAGS: bit 1 must be 1", f.guest_rflags = 0);
	CASE(virtual_8086, "guest RFLAGS: VM in long or real mode",
	     (f.guest_cr0 &= ~(CR0_PE | CR0_PG), f.proc2_controls |= VMX_PROC2_UNRESTRICTED));
	CASE(long_mode, "guest RFLAGS: IF is clear with an interrupt to inject",
	     (f.guest_rflags = RFLAGS_FIXED, f.entry_intr_info = EVENT(EXTINT, 0x30)));
}

static void guest_activity(void **state)
{
	(void)state;
	CASE(long_mode, NULL, f.guest_activity = 1);
	CASE(long_mode, NULL, f.guest_activity = 2);
	CASE(long_mode, NULL, f.guest_activity = 3);
	CASE(long_mode, "guest activity: no such state", f.guest_activity = 4);
	CASE(long_mode, "guest activity: unsupported state",
	     (f.guest_activity = 3, caps.misc &= ~BIT(8)));
	CASE(long_mode, "guest activity: unsupported state",
	     (f.guest_activity = 1, caps.misc &= ~BIT(6)));
	CASE(long_mode, "guest activity: not active after STI or MOV SS",
	     (f.guest_activity = 2, f.guest_interruptibility = VMX_BLOCK_MOV_SS));
	CASE(protected_mode, "guest activity: halted outside CPL 0", f.guest_activity = 1);
	CASE(long_mode, NULL, (f.guest_activity = 1, f.entry_intr_info = EVENT(EXTINT, 0x30)));
	CASE(long_mode, NULL, (f.guest_activity = 1, f.entry_intr_info = EVENT(EXCEPTION, 18)));
	CASE(long_mode, "guest activity: halted, and the event does not end that",
	     (f.guest_activity = 1, f.entry_intr_info = EVENT(EXCEPTION, 6)));
	CASE(long_mode, NULL, (f.guest_activity = 2, f.entry_intr_info = EVENT(NMI, 2)));
	CASE(long_mode, "guest activity: shut down, and the event does not end that",
	     (f.guest_activity = 2, f.entry_intr_info = EVENT(EXTINT, 0x30)));
	CASE(long_mode, "guest activity: an event while it waits for SIPI",
	     (f.guest_activity = 3, f.entry_intr_info = EVENT(NMI, 2)));
}

static void guest_interruptibility(void **state)
{
	(void)state;
	CASE(long_mode, NULL, f.guest_interruptibility = VMX_BLOCK_STI);
	CASE(long_mode, NULL, f.guest_interruptibility = VMX_BLOCK_MOV_SS | VMX_BLOCK_NMI);
	CASE(long_mode, "guest interruptibility: reserved bits", f.guest_interruptibility = BIT(5));
	CASE(long_mode, "guest interruptibility: both STI and MOV SS",
	     f.guest_interruptibility = VMX_BLOCK_STI | VMX_BLOCK_MOV_SS);
	CASE(real_mode, "guest interruptibility: STI, though IF is clear",
	     f.guest_interruptibility = VMX_BLOCK_STI);
	CASE(long_mode, "guest interruptibility: blocks the interrupt to inject",
	     (f.guest_interruptibility = VMX_BLOCK_STI, f.entry_intr_info = EVENT(EXTINT, 0x30)));
	CASE(long_mode, "guest interruptibility: blocks the NMI to inject",
	     (f.guest_interruptibility = VMX_BLOCK_MOV_SS, f.entry_intr_info = EVENT(NMI, 2)));
	CASE(long_mode, "guest interruptibility: SMI, outside of SMM",
	     f.guest_interruptibility = VMX_BLOCK_SMI);
	CASE(long_mode, "guest interruptibility: in an NMI, with another to inject",
	     (f.guest_interruptibility = VMX_BLOCK_NMI, f.entry_intr_info = EVENT(NMI, 2)));
	CASE(long_mode, "guest interruptibility: both enclave and MOV SS",
	     f.guest_interruptibility = BIT(4) | VMX_BLOCK_MOV_SS);
}

static void guest_pending_debug(void **state)
{
	const u64 rtm = BIT(16), enabled = BIT(12);

	(void)state;
	CASE(long_mode, NULL, f.guest_pending_debug = 0xf | enabled | VMX_PENDING_BS);
	CASE(long_mode, "guest pending debug exceptions: reserved bits",
	     f.guest_pending_debug = BIT(4));
	CASE(long_mode, "guest pending debug exceptions: a single step is missing",
	     (f.guest_rflags |= RFLAGS_TF, f.guest_interruptibility = VMX_BLOCK_STI));
	CASE(long_mode, NULL,
	     (f.guest_rflags |= RFLAGS_TF, f.guest_interruptibility = VMX_BLOCK_STI,
	      f.guest_pending_debug = VMX_PENDING_BS));
	CASE(long_mode, NULL, /* by branches: none is pending */
	     (f.guest_rflags |= RFLAGS_TF, f.guest_debugctl = BIT(1),
	      f.guest_interruptibility = VMX_BLOCK_STI));
	CASE(long_mode, "guest pending debug exceptions: a single step without TF",
	     (f.guest_activity = 1, f.guest_pending_debug = VMX_PENDING_BS));
	CASE(long_mode, NULL, f.guest_pending_debug = rtm | enabled);
	CASE(long_mode, "guest pending debug exceptions: RTM with others",
	     f.guest_pending_debug = rtm);
	CASE(long_mode, "guest pending debug exceptions: RTM after MOV SS",
	     (f.guest_pending_debug = rtm | enabled, f.guest_interruptibility = VMX_BLOCK_MOV_SS));
}

static void guest_pointers(void **state)
{
	(void)state;
	CASE(long_mode, NULL, f.guest_link_pointer = 0x5000);
	CASE(long_mode, "VMCS link pointer", f.guest_link_pointer = 0x5008);
	CASE(long_mode, "VMCS link pointer", f.guest_link_pointer = BIT(39));
	CASE(pae, "guest PDPTE 0: reserved bits", f.guest_pdpte0 |= BIT(1));
	CASE(pae, "guest PDPTE 1: reserved bits", f.guest_pdpte1 = BIT(63) | 1);
	CASE(pae, "guest PDPTE 2: reserved bits", f.guest_pdpte2 = 0x41);
	CASE(pae, "guest PDPTE 3: reserved bits", f.guest_pdpte3 |= BIT(39));
	CASE(long_mode, NULL, f.guest_pdpte0 = ~0ull);
	CASE(protected_mode, NULL, f.guest_pdpte0 = ~0ull);
}

static void all_broken_rules_are_listed(void **state)
{
	struct vmcs_fields f = long_mode();
	struct vmx_caps caps = haswell();
	const char *names[2] = { 0 };

	(void)state;
	f.host_rip = BIT(47);
	f.guest_activity = 4;
	f.guest_rflags = 0;
	assert_int_equal(vmcs_check_all(&f, &caps, names, 2), 3);
	assert_string_equal(names[0], "host RIP: not canonical");
	assert_string_equal(names[1], "guest RFLAGS: bit 1 must be 1");
	assert_int_equal(vmcs_check_all(&f, &caps, NULL, 0), 3);
}

static u64 seed = 0x9e3779b97f4a7c15;

static u64 rnd(void) /* xorshift64 */
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Sanitizers watch; and what is NULL once is NULL always, with no broken rule. */
static void random_states_are_checked(void **state)
{
	struct vmcs_fields (*const bases[])(void) = { long_mode, protected_mode, restricted,
						      pae,	 real_mode,	 virtual_8086 };
	u32 passed = 0;

	(void)state;
	for (u32 i = 0; i < 60000; i++) {
		struct vmcs_fields f = bases[i % ARRAY_SIZE(bases)]();
		struct vmx_caps caps = haswell();
		u64 *word = (u64 *)&f;
		const char *name;

		if (i < 20000) /* nothing but noise */
			for (u32 w = 0; w < sizeof(f) / 8; w++)
				word[w] = rnd();
		else /* a few bits flipped */
			for (u32 n = rnd() % 4; n; n--)
				word[rnd() % (sizeof(f) / 8)] ^= BIT(rnd() % 64);
		if (i % 16 == 0)
			for (u32 w = 0; w < offsetof(struct vmx_caps, phys_bits) / 8; w++)
				((u64 *)&caps)[w] = rnd();
		name = vmcs_check(&f, &caps);
		assert_int_equal(vmcs_check_all(&f, &caps, NULL, 0) == 0, name == NULL);
		passed += !name;
	}
	assert_in_range(passed, 5000, 59999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states_pass),
		cmocka_unit_test(controls),
		cmocka_unit_test(dependent_controls),
		cmocka_unit_test(ept_pointer),
		cmocka_unit_test(msr_areas),
		cmocka_unit_test(events),
		cmocka_unit_test(host),
		cmocka_unit_test(guest_control_registers),
		cmocka_unit_test(guest_msrs),
		cmocka_unit_test(guest_segment_addresses),
		cmocka_unit_test(guest_code_and_stack),
		cmocka_unit_test(guest_data_segments),
		cmocka_unit_test(guest_system_segments),
		cmocka_unit_test(guest_rip_and_rflags),
		cmocka_unit_test(guest_activity),
		cmocka_unit_test(guest_interruptibility),
		cmocka_unit_test(guest_pending_debug),
		cmocka_unit_test(guest_pointers),
		cmocka_unit_test(all_broken_rules_are_listed),
		cmocka_unit_test(random_states_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
