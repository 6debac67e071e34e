/*
 * Hardware virtualisation as the rest of the kernel sees it: one table of
 * operations, implemented by arch/svm (AMD-V), arch/vmx (VT-x) and by a fake
 * in tests/unit. A vendor decodes its exits into struct hv_exit; common code
 * (kernel/vcpu.c) acts on that and never asks which vendor it is on.
 *
 * Open and closed: between close() and open() no interrupt reaches this CPU (on
 * AMD-V no NMI or machine check either), and the guest's FS/GS/TR/LDTR and system-call MSRs
 * may still be live in it (they are expensive to swap). open() makes the host
 * whole again. Ring 3, irq_window() and anything slow happen only when open.
 */
#ifndef ARCH_HV_H
#define ARCH_HV_H

#include "arch/types.h"

/* Why a guest stopped running. */
#define HV_EXITS(X) \
	X(UNKNOWN) /* .raw: an exit that was never asked for */ \
	X(INTR)	   /* a physical interrupt waits */ \
	X(NMI)	   /* a physical NMI waits */ \
	X(CPUID) \
	X(HLT) \
	X(PIO)	      /* .pio */ \
	X(NPF)	      /* .npf: no or insufficient mapping in the nested tables */ \
	X(RDMSR)      /* .msr */ \
	X(WRMSR)      /* .msr */ \
	X(CR)	      /* .cr: MOV to CR0/4/8, LMSW, CLTS; .decoded: and the operand */ \
	X(DR)	      /* .cr: MOV to or from a debug register; not decoded */ \
	X(HYPERCALL)  /* VMMCALL, VMCALL */ \
	X(EXC)	      /* .exc: an exception that is intercepted, to be given back */ \
	X(WINDOW)     /* the guest can take an interrupt now */ \
	X(IRET)	      /* the guest's NMI handler is about to return */ \
	X(NMI_WINDOW) /* it has returned: the guest can take an NMI now */ \
	X(XSETBV) \
	X(SKIP)	    /* WBINVD, INVD: nothing to do but to go on */ \
	X(UD)	    /* an instruction that does not exist for guests: #UD */ \
	X(GP)	    /* an instruction that no guest may use: #GP(0) */ \
	X(SHUTDOWN) /* triple fault */ \
	X(TASK)	    /* a task switch by hardware, which this vendor's does not do */ \
	X(INVALID)  /* .raw: the processor refused the guest state */

enum hv_reason {
#define X(name) HV_EXIT_##name,
	HV_EXITS(X)
#undef X
		HV_EXIT_COUNT
};

enum hv_gpr {
	HV_RAX,
	HV_RCX,
	HV_RDX,
	HV_RBX,
	HV_RSP,
	HV_RBP,
	HV_RSI,
	HV_RDI,
	HV_R8,
	HV_R9,
	HV_R10,
	HV_R11,
	HV_R12,
	HV_R13,
	HV_R14,
	HV_R15,
	HV_GPRS
};

enum hv_event_type { /* the encoding that SVM and VMX share */
		     HV_EVENT_EXTINT = 0,
		     HV_EVENT_NMI = 2,
		     HV_EVENT_EXCEPTION = 3,
		     HV_EVENT_SOFT = 4, /* INT n */
};

/* An event to be delivered through the guest's IDT. */
struct hv_event {
	u8 valid;
	u8 type; /* enum hv_event_type */
	u8 vector;
	u8 has_error;
	u32 error;
};

struct hv_exit {
	u32 reason;	     /* enum hv_reason */
	u32 insn_len;	     /* 0: the hardware does not say */
	struct hv_event cut; /* the event whose delivery this exit cut short */
	union {
		struct {
			u16 port;
			u8 size; /* 1, 2, 4 */
			u8 in;
			u8 string; /* INS, OUTS: the operands are not decoded */
		} pio;
		struct {
			gpa_t gpa;
			u8 write, fetch;
			u8 walk; /* met while the guest's own page tables were walked */
			u8 present;
		} npf;
		struct {
			u32 index;
		} msr;
		struct {
			u8 nr, write;
			u8 decoded; /* .gpr, and for a write .value, are known */
			u8 gpr;	    /* enum hv_gpr: where a read goes */
			u64 value;
		} cr;
		struct {
			u8 vector, has_error;
			u32 error;
			u64 cr2;
		} exc;
		struct {
			u64 code, info1, info2;
			const char *why; /* INVALID: a constant text, or NULL */
		} raw;			 /* UNKNOWN and INVALID */
		u32 word;		 /* the first four bytes of either: for traces */
	};
};

enum hv_seg { HV_ES, HV_CS, HV_SS, HV_DS, HV_FS, HV_GS, HV_LDTR, HV_TR, HV_SEGS };

/* attr: descriptor bits 40-47 and 52-55 packed to 12 bits (APM Vol. 2, 15.5.1). */
#define HV_ATTR_L 0x200u /* 64-bit code */
struct hv_segment {
	u16 selector, attr;
	u32 limit;
	u64 base;
};

/*
 * Register state as one plain structure: loaders, reset, crash dumps and
 * (later) snapshots speak only this. General registers, RIP and RFLAGS are in
 * struct hv_vcpu, fresh after each exit.
 */
struct hv_state {
	struct hv_segment seg[HV_SEGS];
	u64 gdtr_base, idtr_base;
	u32 gdtr_limit, idtr_limit;
	u64 cr0, cr2, cr3, cr4, cr8, efer;
	u64 dr6, dr7, dr[4];
};

/* The registers that live in the vendor's own area and that RDMSR and WRMSR reach. */
#define HV_MSRS(X) \
	X(EFER, 0xc0000080) \
	X(STAR, 0xc0000081) \
	X(LSTAR, 0xc0000082) \
	X(CSTAR, 0xc0000083) \
	X(SFMASK, 0xc0000084) \
	X(FS_BASE, 0xc0000100) \
	X(GS_BASE, 0xc0000101) \
	X(KERNEL_GS_BASE, 0xc0000102) \
	X(SYSENTER_CS, 0x174) \
	X(SYSENTER_ESP, 0x175) \
	X(SYSENTER_EIP, 0x176) \
	X(PAT, 0x277)

/* The vendor-neutral head of a vCPU; kernel/vcpu.h embeds it as its first member. */
struct hv_vcpu {
	u64 gpr[HV_GPRS];
	u64 rip, rflags;
	struct hv_event inject; /* delivered at the next run(), which clears it, or keeps
				   it when the guest did not get so far */
	u8 tpr;			/* CR8: the task priority's upper four bits */
	union {
		struct {
			u8 want_window; /* exit as soon as the guest can take an interrupt; not
					   together with an EXTINT to inject */
			u8 watch_iret;	/* an NMI is being handled: exit at its IRET, or after */
			u8 flush;	/* its TLB entries may be stale or another's: look */
			u8 breakpoints; /* DR7 arms some */
			u8 shadow;	/* STI or MOV SS blocks interrupts for one instruction */
		};
		u64 unusual; /* any of these */
	};
	u8 shadow_kept; /* how often in a row, where the processor loses it (AMD-V on TCG) */
	u8 live;	/* the guest's FS/GS/TR... are in the CPU (closed only) */
	struct hv_exit exit;
	void *area; /* VMCB or VMCS */
	hpa_t area_hpa;
	hpa_t nested_root; /* NPT or EPT root */
	u64 cr4_allowed;   /* CR4 bits that the guest may set without being asked */
	u64 dr[4];	   /* DR0-3 */
	u32 asid;
	u64 asid_generation; /* of the CPU that it was last loaded on */
	u32 asid_cpu;
	hpa_t host_area; /* the vendor's: this CPU's own state while the guest's is live */
};

/* A CPU's address space identifiers (ASIDs, VPIDs). None is given back: when all are
 * given, all that is cached is forgotten and a new generation begins. */
struct hv_ids {
	const char *name; /* "ASID" */
	u32 count;	  /* that a generation has; 0: not used */
	u32 given;	  /* of this generation, so far */
	u64 generation;	  /* 0: none was ever given */
};

struct hv_ops {
	const char *name;	      /* "AMD-V" */
	const struct mmu_fmt *nested; /* format of the nested page tables */
	bool small_pages;	      /* guest RAM by 4 KiB leaves: large ones are unsafe */
	u32 area_pages;		      /* that vcpu_init takes */

	/* Turn virtualisation on for the calling CPU; its host state (segments,
	 * system-call MSRs) must be final. */
	enum err (*cpu_on)(void);
	/* Off again, so that this CPU can be reset; nothing to do if it is off. From
	 * then on no guest runs here. Interrupts off. */
	void (*cpu_off)(void);
	/* A line for the boot log: which optional features are used. */
	void (*describe)(char *buf, size_t size);
	/* The identifiers of any CPU; a moment old if it is another. */
	void (*ids)(u32 cpu, struct hv_ids *out);

	/* Allocate and set up the area; state as after reset. nested_root, cr4_allowed given. */
	enum err (*vcpu_init)(struct hv_vcpu *v, u64 tsc_offset, u16 owner);
	void (*vcpu_fini)(struct hv_vcpu *v, u16 owner);
	/* The vCPU moves to this CPU / leaves it. Open. */
	void (*load)(struct hv_vcpu *v);
	void (*put)(struct hv_vcpu *v);
	/* Enter the guest until its next exit; closed before and after. */
	void (*run)(struct hv_vcpu *v);
	void (*close)(void);
	void (*open)(struct hv_vcpu *v);

	/* Open only. */
	void (*get_state)(struct hv_vcpu *v, struct hv_state *s);
	void (*set_state)(struct hv_vcpu *v, const struct hv_state *s);
	/* The few registers that a decoded access needs: seg[ES..GS] (in 64-bit code
	 * only CS and the bases of FS and GS), cr0/3/4, efer. */
	void (*get_mmu)(struct hv_vcpu *v, struct hv_state *s, u8 *cpl);
	void (*set_cr)(struct hv_vcpu *v, u32 nr, u64 value); /* 0, 3, 4: validated by the caller */
	/* Where a write of CR0 or CR4 exits decoded: it is legal, let the guest do it
	 * again and succeed. RIP stays. NULL where exits are not decoded. */
	void (*grant_cr)(struct hv_vcpu *v, u32 nr, u64 value);
	u64 (*get_cr)(struct hv_vcpu *v, u32 nr);
	void (*set_dr)(struct hv_vcpu *v, u32 nr, u64 value);
	/* HV_MSRS; false: not one of them. Closed is fine: a live register is read in the CPU. */
	bool (*get_msr)(struct hv_vcpu *v, u32 msr, u64 *value);
	bool (*set_msr)(struct hv_vcpu *v, u32 msr, u64 value);
	void (*set_tsc_offset)(struct hv_vcpu *v, u64 offset); /* guest TSC = host TSC + offset */
};

/* Chosen at boot by boot/main.c; NULL until then. */
extern const struct hv_ops *hv;

/* AMD-V if this CPU has it usable (with NPT), else NULL and *why says what is missing. */
const struct hv_ops *svm_probe(const char **why);
/* VT-x likewise (with EPT and unrestricted guest). */
const struct hv_ops *vmx_probe(const char **why);

const char *hv_reason_name(u32 reason);

#endif
