/*
 * The fields of a virtual-machine control structure and the bits of its
 * controls: Intel SDM Vol. 3D, Appendix B (encodings), Vol. 3C, chapter 25
 * (controls), Vol. 3D, Appendix A (capability MSRs). Numbers only; no code.
 *
 * VMCS_FIELDS is the one list: X(NAME, member, encoding). The enumerators
 * VMCS_<NAME> are the encodings; a plain copy of a VMCS is a structure of
 * these members. An encoding's bits 14:13 are its width: 0 16 bits, 1 64,
 * 2 32, 3 natural (64 here).
 */
#ifndef ARCH_VMX_VMCS_H
#define ARCH_VMX_VMCS_H

#include "arch/types.h"

/* Controls: what runs, what exits, what is loaded and stored. */
#define VMCS_CONTROL_FIELDS(X) \
	X(VPID, vpid, 0x0000) \
	X(IO_BITMAP_A, io_bitmap_a, 0x2000) \
	X(IO_BITMAP_B, io_bitmap_b, 0x2002) \
	X(MSR_BITMAP, msr_bitmap, 0x2004) \
	X(EXIT_MSR_STORE, exit_msr_store, 0x2006) \
	X(EXIT_MSR_LOAD, exit_msr_load, 0x2008) \
	X(ENTRY_MSR_LOAD, entry_msr_load, 0x200a) \
	X(TSC_OFFSET, tsc_offset, 0x2010) \
	X(EPTP, eptp, 0x201a) \
	X(PIN_CONTROLS, pin_controls, 0x4000) \
	X(PROC_CONTROLS, proc_controls, 0x4002) \
	X(EXCEPTION_BITMAP, exception_bitmap, 0x4004) \
	X(PF_ERROR_MASK, pf_error_mask, 0x4006) \
	X(PF_ERROR_MATCH, pf_error_match, 0x4008) \
	X(CR3_TARGET_COUNT, cr3_target_count, 0x400a) \
	X(EXIT_CONTROLS, exit_controls, 0x400c) \
	X(EXIT_MSR_STORE_COUNT, exit_msr_store_count, 0x400e) \
	X(EXIT_MSR_LOAD_COUNT, exit_msr_load_count, 0x4010) \
	X(ENTRY_CONTROLS, entry_controls, 0x4012) \
	X(ENTRY_MSR_LOAD_COUNT, entry_msr_load_count, 0x4014) \
	X(ENTRY_INTR_INFO, entry_intr_info, 0x4016) \
	X(ENTRY_ERROR_CODE, entry_error_code, 0x4018) \
	X(ENTRY_INSN_LEN, entry_insn_len, 0x401a) \
	X(CR0_MASK, cr0_mask, 0x6000) \
	X(CR4_MASK, cr4_mask, 0x6002) \
	X(CR0_SHADOW, cr0_shadow, 0x6004) \
	X(CR4_SHADOW, cr4_shadow, 0x6006)

/* These exist only together with the control that uses them. */
#define VMCS_OPTIONAL_FIELDS(X) \
	X(PROC2_CONTROLS, proc2_controls, 0x401e) \
	X(TPR_THRESHOLD, tpr_threshold, 0x401c) \
	X(VIRTUAL_APIC, virtual_apic, 0x2012)

#define VMCS_GUEST_FIELDS(X) \
	X(GUEST_ES_SELECTOR, guest_es_selector, 0x0800) \
	X(GUEST_CS_SELECTOR, guest_cs_selector, 0x0802) \
	X(GUEST_SS_SELECTOR, guest_ss_selector, 0x0804) \
	X(GUEST_DS_SELECTOR, guest_ds_selector, 0x0806) \
	X(GUEST_FS_SELECTOR, guest_fs_selector, 0x0808) \
	X(GUEST_GS_SELECTOR, guest_gs_selector, 0x080a) \
	X(GUEST_LDTR_SELECTOR, guest_ldtr_selector, 0x080c) \
	X(GUEST_TR_SELECTOR, guest_tr_selector, 0x080e) \
	X(GUEST_LINK_POINTER, guest_link_pointer, 0x2800) \
	X(GUEST_DEBUGCTL, guest_debugctl, 0x2802) \
	X(GUEST_PAT, guest_pat, 0x2804) \
	X(GUEST_EFER, guest_efer, 0x2806) \
	X(GUEST_PDPTE0, guest_pdpte0, 0x280a) \
	X(GUEST_PDPTE1, guest_pdpte1, 0x280c) \
	X(GUEST_PDPTE2, guest_pdpte2, 0x280e) \
	X(GUEST_PDPTE3, guest_pdpte3, 0x2810) \
	X(GUEST_ES_LIMIT, guest_es_limit, 0x4800) \
	X(GUEST_CS_LIMIT, guest_cs_limit, 0x4802) \
	X(GUEST_SS_LIMIT, guest_ss_limit, 0x4804) \
	X(GUEST_DS_LIMIT, guest_ds_limit, 0x4806) \
	X(GUEST_FS_LIMIT, guest_fs_limit, 0x4808) \
	X(GUEST_GS_LIMIT, guest_gs_limit, 0x480a) \
	X(GUEST_LDTR_LIMIT, guest_ldtr_limit, 0x480c) \
	X(GUEST_TR_LIMIT, guest_tr_limit, 0x480e) \
	X(GUEST_GDTR_LIMIT, guest_gdtr_limit, 0x4810) \
	X(GUEST_IDTR_LIMIT, guest_idtr_limit, 0x4812) \
	X(GUEST_ES_ACCESS, guest_es_access, 0x4814) \
	X(GUEST_CS_ACCESS, guest_cs_access, 0x4816) \
	X(GUEST_SS_ACCESS, guest_ss_access, 0x4818) \
	X(GUEST_DS_ACCESS, guest_ds_access, 0x481a) \
	X(GUEST_FS_ACCESS, guest_fs_access, 0x481c) \
	X(GUEST_GS_ACCESS, guest_gs_access, 0x481e) \
	X(GUEST_LDTR_ACCESS, guest_ldtr_access, 0x4820) \
	X(GUEST_TR_ACCESS, guest_tr_access, 0x4822) \
	X(GUEST_INTERRUPTIBILITY, guest_interruptibility, 0x4824) \
	X(GUEST_ACTIVITY, guest_activity, 0x4826) \
	X(GUEST_SYSENTER_CS, guest_sysenter_cs, 0x482a) \
	X(GUEST_CR0, guest_cr0, 0x6800) \
	X(GUEST_CR3, guest_cr3, 0x6802) \
	X(GUEST_CR4, guest_cr4, 0x6804) \
	X(GUEST_ES_BASE, guest_es_base, 0x6806) \
	X(GUEST_CS_BASE, guest_cs_base, 0x6808) \
	X(GUEST_SS_BASE, guest_ss_base, 0x680a) \
	X(GUEST_DS_BASE, guest_ds_base, 0x680c) \
	X(GUEST_FS_BASE, guest_fs_base, 0x680e) \
	X(GUEST_GS_BASE, guest_gs_base, 0x6810) \
	X(GUEST_LDTR_BASE, guest_ldtr_base, 0x6812) \
	X(GUEST_TR_BASE, guest_tr_base, 0x6814) \
	X(GUEST_GDTR_BASE, guest_gdtr_base, 0x6816) \
	X(GUEST_IDTR_BASE, guest_idtr_base, 0x6818) \
	X(GUEST_DR7, guest_dr7, 0x681a) \
	X(GUEST_RSP, guest_rsp, 0x681c) \
	X(GUEST_RIP, guest_rip, 0x681e) \
	X(GUEST_RFLAGS, guest_rflags, 0x6820) \
	X(GUEST_PENDING_DEBUG, guest_pending_debug, 0x6822) \
	X(GUEST_SYSENTER_ESP, guest_sysenter_esp, 0x6824) \
	X(GUEST_SYSENTER_EIP, guest_sysenter_eip, 0x6826)

#define VMCS_HOST_FIELDS(X) \
	X(HOST_ES_SELECTOR, host_es_selector, 0x0c00) \
	X(HOST_CS_SELECTOR, host_cs_selector, 0x0c02) \
	X(HOST_SS_SELECTOR, host_ss_selector, 0x0c04) \
	X(HOST_DS_SELECTOR, host_ds_selector, 0x0c06) \
	X(HOST_FS_SELECTOR, host_fs_selector, 0x0c08) \
	X(HOST_GS_SELECTOR, host_gs_selector, 0x0c0a) \
	X(HOST_TR_SELECTOR, host_tr_selector, 0x0c0c) \
	X(HOST_PAT, host_pat, 0x2c00) \
	X(HOST_EFER, host_efer, 0x2c02) \
	X(HOST_SYSENTER_CS, host_sysenter_cs, 0x4c00) \
	X(HOST_CR0, host_cr0, 0x6c00) \
	X(HOST_CR3, host_cr3, 0x6c02) \
	X(HOST_CR4, host_cr4, 0x6c04) \
	X(HOST_FS_BASE, host_fs_base, 0x6c06) \
	X(HOST_GS_BASE, host_gs_base, 0x6c08) \
	X(HOST_TR_BASE, host_tr_base, 0x6c0a) \
	X(HOST_GDTR_BASE, host_gdtr_base, 0x6c0c) \
	X(HOST_IDTR_BASE, host_idtr_base, 0x6c0e) \
	X(HOST_SYSENTER_ESP, host_sysenter_esp, 0x6c10) \
	X(HOST_SYSENTER_EIP, host_sysenter_eip, 0x6c12) \
	X(HOST_RSP, host_rsp, 0x6c14) \
	X(HOST_RIP, host_rip, 0x6c16)

/* What the processor says about an exit; read-only. */
#define VMCS_EXIT_FIELDS(X) \
	X(GUEST_PHYSICAL, guest_physical, 0x2400) \
	X(INSN_ERROR, insn_error, 0x4400) \
	X(EXIT_REASON, exit_reason, 0x4402) \
	X(EXIT_INTR_INFO, exit_intr_info, 0x4404) \
	X(EXIT_INTR_ERROR, exit_intr_error, 0x4406) \
	X(IDT_VECTORING_INFO, idt_vectoring_info, 0x4408) \
	X(IDT_VECTORING_ERROR, idt_vectoring_error, 0x440a) \
	X(EXIT_INSN_LEN, exit_insn_len, 0x440c) \
	X(EXIT_INSN_INFO, exit_insn_info, 0x440e) \
	X(EXIT_QUALIFICATION, exit_qualification, 0x6400) \
	X(GUEST_LINEAR, guest_linear, 0x640a)

/* All that the VM-entry checks look at. */
#define VMCS_FIELDS(X) \
	VMCS_CONTROL_FIELDS(X) \
	VMCS_OPTIONAL_FIELDS(X) VMCS_GUEST_FIELDS(X) VMCS_HOST_FIELDS(X) VMCS_EXIT_FIELDS(X)

enum vmcs_field {
#define X(name, member, encoding) VMCS_##name = encoding,
	VMCS_FIELDS(X)
#undef X
};

/* Capability MSRs */
#define MSR_VMX_BASIC 0x480
#define MSR_VMX_PIN 0x481 /* + 0xc: the TRUE one, if VMX_BASIC says so */
#define MSR_VMX_PROC 0x482
#define MSR_VMX_EXIT 0x483
#define MSR_VMX_ENTRY 0x484
#define MSR_VMX_MISC 0x485
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR0_FIXED1 0x487
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_CR4_FIXED1 0x489
#define MSR_VMX_PROC2 0x48b
#define MSR_VMX_EPT_VPID 0x48c
#define MSR_VMX_TRUE (0x48d - MSR_VMX_PIN)

#define VMX_BASIC_REVISION 0x7fffffffull
#define VMX_BASIC_TYPE_SHIFT 50 /* memory type of VMCS regions, 4 bits */
#define VMX_BASIC_TRUE BIT(55)

#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMX BIT(2) /* outside SMX */

/* MSR_VMX_EPT_VPID */
#define VMX_EPT_WALK4 BIT(6)
#define VMX_EPT_UC BIT(8)
#define VMX_EPT_WB BIT(14)
#define VMX_EPT_2M BIT(16)
#define VMX_EPT_1G BIT(17)
#define VMX_INVEPT BIT(20)
#define VMX_EPT_AD BIT(21)
#define VMX_INVEPT_SINGLE BIT(25)
#define VMX_INVEPT_ALL BIT(26)
#define VMX_INVVPID BIT(32)
#define VMX_INVVPID_SINGLE BIT(41)
#define VMX_INVVPID_ALL BIT(42)

/* Pin-based controls */
#define VMX_PIN_EXTINT BIT(0)
#define VMX_PIN_NMI BIT(3)
#define VMX_PIN_VIRTUAL_NMI BIT(5)
#define VMX_PIN_PREEMPTION BIT(6)
#define VMX_PIN_POSTED BIT(7)

/* Processor-based controls */
#define VMX_PROC_INTR_WINDOW BIT(2)
#define VMX_PROC_TSC_OFFSET BIT(3)
#define VMX_PROC_HLT BIT(7)
#define VMX_PROC_INVLPG BIT(9)
#define VMX_PROC_MWAIT BIT(10)
#define VMX_PROC_RDPMC BIT(11)
#define VMX_PROC_RDTSC BIT(12)
#define VMX_PROC_CR3_LOAD BIT(15)
#define VMX_PROC_CR3_STORE BIT(16)
#define VMX_PROC_CR8_LOAD BIT(19)
#define VMX_PROC_CR8_STORE BIT(20)
#define VMX_PROC_TPR_SHADOW BIT(21)
#define VMX_PROC_NMI_WINDOW BIT(22)
#define VMX_PROC_MOV_DR BIT(23)
#define VMX_PROC_IO BIT(24)
#define VMX_PROC_IO_BITMAPS BIT(25)
#define VMX_PROC_TRAP_FLAG BIT(27)
#define VMX_PROC_MSR_BITMAPS BIT(28)
#define VMX_PROC_MONITOR BIT(29)
#define VMX_PROC_PAUSE BIT(30)
#define VMX_PROC_SECONDARY BIT(31)

/* Secondary processor-based controls */
#define VMX_PROC2_APIC_ACCESS BIT(0)
#define VMX_PROC2_EPT BIT(1)
#define VMX_PROC2_DESC_TABLE BIT(2)
#define VMX_PROC2_RDTSCP BIT(3)
#define VMX_PROC2_X2APIC BIT(4)
#define VMX_PROC2_VPID BIT(5)
#define VMX_PROC2_WBINVD BIT(6)
#define VMX_PROC2_UNRESTRICTED BIT(7)
#define VMX_PROC2_APIC_REGISTERS BIT(8)
#define VMX_PROC2_INTR_DELIVERY BIT(9)
#define VMX_PROC2_PAUSE_LOOP BIT(10)
#define VMX_PROC2_RDRAND BIT(11)
#define VMX_PROC2_INVPCID BIT(12)
#define VMX_PROC2_VMFUNC BIT(13)
#define VMX_PROC2_SHADOW BIT(14)
#define VMX_PROC2_RDSEED BIT(16)
#define VMX_PROC2_PML BIT(17)
#define VMX_PROC2_VE BIT(18)
#define VMX_PROC2_XSAVES BIT(20)
#define VMX_PROC2_TSC_SCALING BIT(25)

/* VM-exit controls */
#define VMX_EXIT_SAVE_DEBUG BIT(2)
#define VMX_EXIT_HOST_64 BIT(9)
#define VMX_EXIT_LOAD_PERF BIT(12)
#define VMX_EXIT_ACK BIT(15)
#define VMX_EXIT_SAVE_PAT BIT(18)
#define VMX_EXIT_LOAD_PAT BIT(19)
#define VMX_EXIT_SAVE_EFER BIT(20)
#define VMX_EXIT_LOAD_EFER BIT(21)
#define VMX_EXIT_SAVE_PREEMPTION BIT(22)

/* VM-entry controls */
#define VMX_ENTRY_LOAD_DEBUG BIT(2)
#define VMX_ENTRY_IA32E BIT(9)
#define VMX_ENTRY_SMM BIT(10)
#define VMX_ENTRY_DUAL_MONITOR BIT(11)
#define VMX_ENTRY_LOAD_PERF BIT(13)
#define VMX_ENTRY_LOAD_PAT BIT(14)
#define VMX_ENTRY_LOAD_EFER BIT(15)

/* Interruption information: entry, exit and IDT vectoring share it. */
#define VMX_INTR_VECTOR 0xffu
#define VMX_INTR_TYPE_SHIFT 8 /* 3 bits */
#define VMX_INTR_TYPE_EXTINT 0u
#define VMX_INTR_TYPE_NMI 2u
#define VMX_INTR_TYPE_EXCEPTION 3u
#define VMX_INTR_TYPE_SOFT 4u	    /* INT n */
#define VMX_INTR_TYPE_PRIVILEGED 5u /* INT1 */
#define VMX_INTR_TYPE_SOFT_EXC 6u   /* INT3, INTO */
#define VMX_INTR_TYPE_OTHER 7u	    /* entry only: pending MTF */
#define VMX_INTR_HAS_ERROR BIT(11)
#define VMX_INTR_NMI_UNBLOCKED BIT(12) /* exit only: an IRET had just ended NMI blocking */
#define VMX_INTR_VALID BIT(31)

/* Interruptibility state */
#define VMX_BLOCK_STI BIT(0)
#define VMX_BLOCK_MOV_SS BIT(1)
#define VMX_BLOCK_SMI BIT(2)
#define VMX_BLOCK_NMI BIT(3)

/* Segment access rights: descriptor bits 40-47 at 0-7, 52-55 at 12-15. */
#define VMX_ACCESS_UNUSABLE BIT(16)

/* Pending debug exceptions */
#define VMX_PENDING_BS BIT(14)

/* Exit reason: the number, and a failed entry */
#define VMX_REASON_NUMBER 0xffffu
#define VMX_REASON_ENTRY_FAILED BIT(31)

/* EPT pointer */
#define VMX_EPTP_WB 6ull
#define VMX_EPTP_WALK4 (3ull << 3)

#endif
