/*
 * The contract between the kernel (ring 0) and a VM's monitor (ring 3): the
 * one header that both sides share, and the only one of ours a monitor sees.
 *
 * The kernel enters the monitor as an upcall: at its entry point, on the
 * vCPU's upcall stack, every register zero but RDI = the vCPU's shared page,
 * with the reason in that page. The monitor makes any number of system calls
 * and ends the upcall with SYS_FINISH. Upcalls of one VM never overlap.
 *
 * System calls use SYSCALL: RAX = number, arguments in RDI, RSI, RDX, R10,
 * R8; results in RAX and RDX; RCX and R11 are lost. A bad argument is
 * answered with a negative enum abi_err and changes nothing; a bad SYS_FINISH
 * fails the VM, because then nothing says how to go on.
 *
 * Guest time is nanoseconds since the VM was started (it stands still while
 * the VM is stopped or paused).
 */
#ifndef KERNEL_ABI_H
#define KERNEL_ABI_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef uint64_t gpa_t;
typedef uint64_t gva_t;
typedef uint64_t ns_t;

#define ABI_VERSION 1

/* ------------------------------------------- the monitor's address space */

#define ABI_IMAGE_BASE 0x0000000000400000ull /* the monitor's ELF, linked here */
#define ABI_VM_PAGE 0x0000000008000000ull    /* struct abi_vm, read-only */
#define ABI_VCPU_PAGE(n) (0x0000000009000000ull + (u64)(n)*4096) /* struct abi_vcpu */
#define ABI_STACK_SIZE 0x4000ull				 /* per vCPU, a guard page below */
#define ABI_STACK_TOP(n) (0x000000000a000000ull + (u64)((n) + 1) * 0x10000)
#define ABI_FILE_BASE 0x0000000100000000ull  /* configured files, read-only */
#define ABI_GUEST_BASE 0x0000100000000000ull /* guest RAM: gpa + this, RW, NX */
#define ABI_MAX_VCPUS 64

/* Guest RAM: [0, ram_low), and [4 GiB, 4 GiB + ram_high). */
#define ABI_RAM_LOW_MAX 0x00000000c0000000ull
#define ABI_RAM_HIGH_BASE 0x0000000100000000ull

/* ------------------------------------------------------ the VM page (RO) */

#define ABI_MAX_MODULES 15
#define ABI_VM_DEBUG_EXIT 1u   /* flags: ports 0xF4 and 0xE9 exist */
#define ABI_VM_WATCHDOG 2u     /* there is a watchdog ... */
#define ABI_VM_WATCHDOG_NMI 4u /* ... which sends an NMI instead of ending the VM */

struct abi_file {
	u64 addr, size; /* where it is mapped; the tail of its last page is zero */
	char path[112]; /* as configured: what a module's string says */
};

struct abi_vm {
	u32 version; /* ABI_VERSION */
	u32 flags;   /* ABI_VM_* */
	u32 vcpus;
	u32 module_count;
	u64 ram_low, ram_high; /* bytes */
	u64 tsc_hz;
	u64 tsc_base;	      /* guest time 0 in the monitor's RDTSC (host TSC) */
	u64 tsc_offset;	      /* guest TSC = host TSC + this */
	u32 ns_mul, ns_shift; /* ns = ((tsc - tsc_base) * ns_mul) >> ns_shift (128-bit product) */
	u32 tsc_mul;	      /* KVM pvclock's form of the same: with tsc_shift */
	int32_t tsc_shift;
	s64 wall_base; /* seconds since 1970 UTC at guest time 0 */
	u32 wall_nsec; /* and nanoseconds */
	u32 phys_bits; /* guest-physical address width */
	char name[32];
	char cmdline[1024];
	struct abi_file kernel;
	struct abi_file modules[ABI_MAX_MODULES]; /* initrd, or Multiboot modules */
};

/* --------------------------------------------------- register state */

enum abi_gpr {
	ABI_RAX,
	ABI_RCX,
	ABI_RDX,
	ABI_RBX,
	ABI_RSP,
	ABI_RBP,
	ABI_RSI,
	ABI_RDI,
	ABI_R8,
	ABI_R9,
	ABI_R10,
	ABI_R11,
	ABI_R12,
	ABI_R13,
	ABI_R14,
	ABI_R15,
	ABI_NO_GPR, /* in SYS_FINISH: no register is written */
};

enum abi_seg {
	ABI_ES,
	ABI_CS,
	ABI_SS,
	ABI_DS,
	ABI_FS,
	ABI_GS,
	ABI_LDTR,
	ABI_TR,
	ABI_SEGS,
};

/* attr: SDM Vol. 2 descriptor bits 40-47 and 52-55 packed to 12 bits, as in a
 * VMCB: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11. */
struct abi_segment {
	u16 selector, attr;
	u32 limit; /* in bytes, expanded */
	u64 base;
};

#define ABI_ATTR_L 0x200u
#define ABI_ATTR_DB 0x400u

/* All of a vCPU's architectural state that a monitor reads or sets at once. */
struct abi_state {
	struct abi_segment seg[ABI_SEGS];
	u64 gdtr_base, idtr_base;
	u32 gdtr_limit, idtr_limit;
	u64 cr0, cr2, cr3, cr4, cr8, efer;
	u64 dr6, dr7, dr[4];
};

/* ------------------------------------------------------ upcalls */

#define ABI_UPCALLS(X) \
	X(START)      /* once: load the guest, SYS_SET_STATE, FINISH_REGS */ \
	X(EVENT)      /* .events says which; FINISH_NONE */ \
	X(PIO_IN)     /* .port .size: FINISH_IN with the value */ \
	X(PIO_OUT)    /* .port .size .value: FINISH_OUT */ \
	X(PIO_STRING) /* INS/OUTS: decode; FINISH_REGS after one or more elements */ \
	X(MMIO)	      /* .gpa .write: decode; FINISH_REG, _REGS, _LAPIC_* or _FAULT */ \
	X(CR)	      /* an intercepted MOV CR, LMSW or CLTS: decode; FINISH_CR, _FAULT */ \
	X(DR)	      /* an intercepted MOV DR: decode; FINISH_DR, FINISH_REG, _FAULT */ \
	X(RDMSR)      /* .msr: FINISH_MSR with the value, or _FAULT */ \
	X(WRMSR)      /* .msr .value: FINISH_MSR (value unused), or _FAULT */ \
	X(INTACK)     /* the PIC's INTR is deliverable: FINISH_INTACK with the vector */ \
	X(EOI)	      /* .vector, level-triggered, was ended: FINISH_NONE */ \
	X(PEEK)	      /* .gpa is a linear address, .value <= 256: copy what the guest has \
			there into .log, for the administrator; FINISH_PEEK */

enum abi_upcall {
#define X(name) ABI_UP_##name,
	ABI_UPCALLS(X)
#undef X
		ABI_UPCALL_COUNT
};

/* struct abi_vcpu.events, set on every upcall: look at them whatever the reason. */
#define ABI_EV_TIMER 1u	       /* the time given to SYS_TIMER has come */
#define ABI_EV_CONSOLE 2u      /* SYS_CONSOLE_READ has bytes */
#define ABI_EV_POWER_BUTTON 4u /* press it; SYS_STOP(UNHEARD) if the guest does not listen */
#define ABI_EV_TSC 8u	       /* the guest moved its TSC: struct abi_vm.tsc_offset changed */

/* The page shared by kernel and monitor, one per vCPU. The kernel keeps its
 * own copy of whatever it must trust; the monitor may scribble here at will. */
struct abi_vcpu {
	/* first line: what every upcall needs */
	u32 reason; /* enum abi_upcall */
	u32 events; /* ABI_EV_* */
	u16 port;
	u8 size;   /* bytes of a port access: 1, 2, 4 */
	u8 write;  /* MMIO: 1 the access was a write */
	u32 msr;   /* RDMSR, WRMSR */
	u64 value; /* PIO_OUT: RAX, of which .size bytes count; WRMSR */
	u64 gpa;   /* MMIO: the faulting guest-physical address */
	u8 walk;   /* MMIO: the fault was met while walking the guest's page tables */
	u8 fetch;  /* MMIO: the fault was an instruction fetch */
	u8 vector; /* EOI */
	u8 cpl;
	u32 id; /* vCPU number */
	u64 pad0[2];
	/* guest registers: valid for all but EVENT, PIO_IN, PIO_OUT, INTACK, EOI */
	u64 gpr[16];
	u64 rip, rflags;
	struct abi_state state; /* with GPR-valid upcalls: seg[ES..GS] (base, attr,
				   limit), cr0, cr3, cr4, efer. All of it after
				   SYS_GET_STATE. */
	char log[256];		/* SYS_LOG's text; PEEK's bytes */
};

/* ------------------------------------------------------ system calls */

enum abi_err {
	ABI_OK = 0,
	ABI_EINVAL = -1, /* an argument is out of range */
	ABI_ENOSYS = -2, /* no such call */
	ABI_EPERM = -3,	 /* not now */
};

#define ABI_SYSCALLS(X) \
	X(FINISH)	 /* (kind, a, b, c): end this upcall, see ABI_FIN_* */ \
	X(GET_STATE)	 /* (): all of .gpr .rip .rflags .state -> the shared page */ \
	X(SET_STATE)	 /* (): the same, from the shared page, checked. START only */ \
	X(LOG)		 /* (len <= 256): .log to the host's log, under the VM's name */ \
	X(CONSOLE_WRITE) /* (bytes, n <= 8): low byte first -> 0 */ \
	X(CONSOLE_READ)	 /* () -> RAX n <= 8, RDX the bytes, low first; ABI_CONSOLE_BREAK */ \
	X(TIMER)	 /* (guest time; ~0: off): EV_TIMER upcall then. One per VM */ \
	X(MSI)		 /* (address, data): deliver an interrupt message (SDM 3A "MSI") */ \
	X(EXTINT)	 /* (level): the PIC's INTR wire to LINT0 of vCPU 0 */ \
	X(NMI)		 /* (vcpu) */ \
	X(LAPIC_READ)	 /* (offset) -> RAX 0, RDX the 32-bit register */ \
	X(LAPIC_WRITE)	 /* (offset, value) */ \
	X(STOP)		 /* (ABI_STOP_*, code): the VM ends after this upcall's finish */

#define ABI_CONSOLE_BREAK 256 /* CONSOLE_READ: no bytes but a BREAK; read on behind it */

enum abi_syscall {
#define X(name) ABI_SYS_##name,
	ABI_SYSCALLS(X)
#undef X
		ABI_SYSCALL_COUNT
};

/* SYS_FINISH kinds. len <= 15 is the instruction's length: RIP advances by it
 * and the interrupt shadow ends. */
#define ABI_FINISHES(X) \
	X(NONE)	       /* (): go on where the guest stood (EVENT, EOI; or retry) */ \
	X(IN)	       /* (value): into AL/AX/EAX by .size; RIP moves on */ \
	X(OUT)	       /* (): RIP moves on */ \
	X(REG)	       /* (gpr, value, len): one whole 64-bit register, merged by the monitor */ \
	X(REGS)	       /* (len): take .gpr .rip .rflags from the page, then RIP += len */ \
	X(CR)	       /* (nr, value, len): validated and committed, or #GP */ \
	X(DR)	       /* (nr, value, len): the same */ \
	X(MSR)	       /* (value): RDMSR: into EDX:EAX; then RIP advances over the 2 bytes */ \
	X(FAULT)       /* (vector, error code, cr2): inject an exception; RIP stays */ \
	X(INTACK)      /* (vector): inject this external interrupt; 256: spurious, none */ \
	X(PEEK)	       /* (n <= .value): so many bytes could be read */ \
	X(LAPIC_READ)  /* (offset, gpr, len): register <- zero-extended 32 bits */ \
	X(LAPIC_WRITE) /* (offset, value, len) */

enum abi_finish {
#define X(name) ABI_FIN_##name,
	ABI_FINISHES(X)
#undef X
		ABI_FINISH_COUNT
};

/* SYS_STOP: how a VM ended. What follows (stay, restart) is the kernel's to
 * decide, from on_crash and on_reboot. */
#define ABI_STOPS(X) \
	X(POWEROFF)   /* ACPI S5 */ \
	X(RESET)      /* 8042, 0xCF9, ACPI reset register */ \
	X(DEBUG_EXIT) /* port 0xF4: code is the value written */ \
	X(BAD_IMAGE)  /* the loader refused it; why was logged */ \
	X(EMULATION)  /* an instruction or access the monitor cannot carry out */ \
	X(WATCHDOG)   /* the guest's watchdog has expired */ \
	X(UNHEARD)    /* EV_POWER_BUTTON came, and the guest listens to no power button */

enum abi_stop {
#define X(name) ABI_STOP_##name,
	ABI_STOPS(X)
#undef X
		ABI_STOP_COUNT
};

_Static_assert(sizeof(struct abi_vcpu) <= 4096, "one page");
_Static_assert(sizeof(struct abi_vm) <= 4096, "one page");

#endif
