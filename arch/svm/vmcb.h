/*
 * The virtual machine control block: APM Vol. 2, Appendix B, and the bits of
 * its fields: APM Vol. 2, chapter 15. Layout only; no code.
 */
#ifndef ARCH_SVM_VMCB_H
#define ARCH_SVM_VMCB_H

#include "arch/types.h"

/* intercept1 (offset 0x0c) */
#define SVM_I1_INTR BIT(0)
#define SVM_I1_NMI BIT(1)
#define SVM_I1_INIT BIT(3)
#define SVM_I1_VINTR BIT(4)
#define SVM_I1_RDPMC BIT(15)
#define SVM_I1_CPUID BIT(18)
#define SVM_I1_RSM BIT(19)
#define SVM_I1_IRET BIT(20)
#define SVM_I1_INVD BIT(22)
#define SVM_I1_HLT BIT(24)
#define SVM_I1_INVLPGA BIT(26)
#define SVM_I1_IOIO BIT(27)
#define SVM_I1_MSR BIT(28)
#define SVM_I1_FERR BIT(30)
#define SVM_I1_SHUTDOWN BIT(31)

/* intercept2 (offset 0x10) */
#define SVM_I2_VMRUN BIT(0)
#define SVM_I2_VMMCALL BIT(1)
#define SVM_I2_VMLOAD BIT(2)
#define SVM_I2_VMSAVE BIT(3)
#define SVM_I2_STGI BIT(4)
#define SVM_I2_CLGI BIT(5)
#define SVM_I2_SKINIT BIT(6)
#define SVM_I2_WBINVD BIT(9)
#define SVM_I2_MONITOR BIT(10)
#define SVM_I2_MWAIT BIT(11)
#define SVM_I2_MWAIT_ARMED BIT(12)
#define SVM_I2_XSETBV BIT(13)
#define SVM_I2_RDPRU BIT(14)

/* intercept3 (offset 0x14) */
#define SVM_I3_INVLPGB BIT(0)
#define SVM_I3_INVLPGB_ILLEGAL BIT(1)
#define SVM_I3_MCOMMIT BIT(3)
#define SVM_I3_TLBSYNC BIT(4)

/* int_ctl (offset 0x60) */
#define SVM_V_TPR_MASK 0x0full
#define SVM_V_IRQ BIT(8)
#define SVM_V_PRIO_MAX (0xfull << 16)
#define SVM_V_IGN_TPR BIT(20)
#define SVM_V_INTR_MASKING BIT(24)
#define SVM_V_VECTOR_SHIFT 32

/* eventinj and exitintinfo */
#define SVM_EVENT_VECTOR 0xffull
#define SVM_EVENT_TYPE_SHIFT 8
#define SVM_EVENT_HAS_ERROR BIT(11)
#define SVM_EVENT_VALID BIT(31)

/* tlb_control */
#define SVM_TLB_NONE 0
#define SVM_TLB_ALL 1
#define SVM_TLB_ASID 3 /* needs CPUID 8000_000A EDX[6] */

/* exit codes that are named in code; the rest stand in the table of svm_exit.c */
#define SVM_EXIT_CR_READ 0x000
#define SVM_EXIT_CR_WRITE 0x010
#define SVM_EXIT_DR_READ 0x020
#define SVM_EXIT_DR_WRITE 0x030
#define SVM_EXIT_EXC 0x040
#define SVM_EXIT_NPF 0x400
#define SVM_EXIT_INVALID 0xffffffffffffffffull
#define SVM_EXIT_INVALID_TCG 0x00000000ffffffffull /* as QEMU's TCG stores it */

/* EXITINFO1 of an I/O exit */
#define SVM_IO_IN BIT(0)
#define SVM_IO_STRING BIT(2)
#define SVM_IO_SIZE_SHIFT 4
#define SVM_IO_PORT_SHIFT 16

/* EXITINFO1 of a nested page fault */
#define SVM_NPF_PRESENT BIT(0)
#define SVM_NPF_WRITE BIT(1)
#define SVM_NPF_FETCH BIT(4)
#define SVM_NPF_WALK BIT(33)

struct vmcb_seg {
	u16 selector, attr;
	u32 limit;
	u64 base;
};

struct vmcb {
	u16 cr_reads, cr_writes, dr_reads, dr_writes; /* 0x000 intercepts */
	u32 exceptions;				      /* 0x008 */
	u32 intercept1, intercept2, intercept3;	      /* 0x00c */
	u8 pad0[0x3c - 0x18];
	u16 pause_threshold, pause_count; /* 0x03c */
	u64 iopm_base, msrpm_base;	  /* 0x040 */
	u64 tsc_offset;			  /* 0x050 */
	u32 asid;			  /* 0x058 */
	u8 tlb_control;			  /* 0x05c */
	u8 pad1[3];
	u64 int_ctl;					      /* 0x060 */
	u64 int_shadow;					      /* 0x068 */
	u64 exit_code, exit_info1, exit_info2, exit_int_info; /* 0x070 */
	u64 np_enable;					      /* 0x090 */
	u8 pad2[0xa8 - 0x98];
	u64 event_inj; /* 0x0a8 */
	u64 n_cr3;     /* 0x0b0 */
	u64 lbr;       /* 0x0b8 */
	u32 clean;     /* 0x0c0: always 0, every field is loaded afresh */
	u32 pad3;
	u64 next_rip; /* 0x0c8 */
	u8 pad4[0x3e0 - 0xd0];
	u64 guest_lme, guest_cr4, guest_pat; /* 0x3e0: left to the hypervisor; svm_state.c */
	u8 pad4b[0x400 - 0x3f8];

	struct vmcb_seg es, cs, ss, ds, fs, gs; /* 0x400 */
	struct vmcb_seg gdtr, ldtr, idtr, tr;	/* 0x460 */
	u8 pad5[0x4cb - 0x4a0];
	u8 cpl; /* 0x4cb */
	u8 pad6[4];
	u64 efer; /* 0x4d0 */
	u8 pad7[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 0x548 */
	u8 pad8[0x5d8 - 0x580];
	u64 rsp; /* 0x5d8 */
	u8 pad9[0x5f8 - 0x5e0];
	u64 rax;					  /* 0x5f8 */
	u64 star, lstar, cstar, sfmask, kernel_gs_base;	  /* 0x600 */
	u64 sysenter_cs, sysenter_esp, sysenter_eip, cr2; /* 0x628 */
	u8 pad10[0x668 - 0x648];
	u64 g_pat; /* 0x668 */
	u8 pad11[0x1000 - 0x670];
};

#define VMCB_AT(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
VMCB_AT(exceptions, 0x008);
VMCB_AT(pause_threshold, 0x03c);
VMCB_AT(iopm_base, 0x040);
VMCB_AT(tlb_control, 0x05c);
VMCB_AT(int_ctl, 0x060);
VMCB_AT(exit_code, 0x070);
VMCB_AT(np_enable, 0x090);
VMCB_AT(event_inj, 0x0a8);
VMCB_AT(next_rip, 0x0c8);
VMCB_AT(es, 0x400);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(guest_lme, 0x3e0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(sysenter_cs, 0x628);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 4096, "one page");

#endif
