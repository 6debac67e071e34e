/*
 * A virtual CPU: its vendor-neutral head, its local APIC, MSRs and events,
 * and the loop that runs it. Everything here belongs to the physical CPU that
 * the vCPU is attached to, except `requests` and `events` (atomic, any CPU).
 *
 * The way of an exit: vcpu_run() enters the guest through hv->run(); an exit
 * that the kernel owns is answered in kernel/exits.c, mostly without opening
 * (arch/hv.h); all others become an upcall of the monitor (kernel/upcall.c).
 */
#ifndef KERNEL_VCPU_H
#define KERNEL_VCPU_H

#include "arch/hv.h"
#include "arch/user.h"
#include "kernel/abi.h"
#include "kernel/dump.h"
#include "kernel/lapic.h"
#include "kernel/msrs.h"
#include "kernel/stopwatch.h"
#include "kernel/timer.h"
#include "kernel/vm_end.h"

/* requests: why the guest must not simply be entered again */
#define VCPU_REQ_EVENT 1u  /* an interrupt, NMI or exception may be deliverable */
#define VCPU_REQ_UPCALL 2u /* `events` or an EOI waits for the monitor */
#define VCPU_REQ_LEAVE 4u  /* this CPU, or the one that manages the VM, wants control */
#define VCPU_REQ_PAUSE 8u /* stay out, and be detached between two upcalls; cleared by who set it */
#define VCPU_REQ_NMI 16u  /* an NMI from outside: to be latched */
#define VCPU_REQ_DUMP 32u /* fill in `dump`, wherever it stands */

enum vcpu_leave {
	VCPU_LEAVE_WORK,   /* LEAVE was requested; call again to go on */
	VCPU_LEAVE_HALTED, /* until an interrupt: requests says when */
	VCPU_LEAVE_ENDED,  /* vm->end says why */
};

#define VCPU_TRACE DUMP_EXITS /* a power of two */
/* Who has vcpu.dump: ASKED the vCPU's CPU, else CPU 0. */
enum dump_state { DUMP_IDLE, DUMP_ASKED, DUMP_DONE };

struct vcpu_stats {
	u64 exits[HV_EXIT_COUNT];
	u64 upcalls;
	struct stopwatch run;	  /* of all of vcpu_run(): what follows, and the kernel */
	struct stopwatch guest;	  /* from the entry to the exit */
	struct stopwatch monitor; /* of upcalls, with their system calls */
};

/* vcpu.kept: delivered as soon as the guest can take them */
#define VCPU_KEPT_EXTINT 0
#define VCPU_KEPT_NMI 1

/* What is in *s is added to *sum. s may be of another CPU's vCPU. */
void vcpu_stats_add(struct vcpu_stats *sum, const struct vcpu_stats *s);

struct vm;

struct vcpu {
	struct hv_vcpu hv; /* must be first */

	u32 requests; /* VCPU_REQ_*, atomic */
	u32 events;   /* ABI_EV_*, atomic */
	struct vm *vm;
	u32 id;
	u32 cpu; /* the physical CPU that it belongs on */

	union {
		struct {
			bool halted;	    /* in HLT */
			bool upcall_active; /* uctx stands in the middle of an upcall */
			bool ended;
			bool shutdown; /* a third fault met a double fault */
		};
		u32 held; /* any of these: the guest must not be entered */
	};
	bool nmi_pending; /* one NMI is latched */
	bool nmi_blocked; /* from an NMI's delivery to its IRET */
	union {
		struct {
			bool nmi_iret; /* that IRET runs at the next entry */
			bool tracing;  /* into exit_log; set by CPU 0 */
		};
		u16 after_exit; /* any of these: more to do at an exit */
	};
	bool extint;	  /* the PIC's INTR wire */
	bool eoi_pending; /* a level-triggered EOI waits to be told */
	bool stop_asked;  /* SYS_STOP: the VM ends with this upcall */
	u8 eoi_vector;

	u32 upcall;		 /* enum abi_upcall under way */
	u64 upcall_start;	 /* stats.monitor then */
	u64 watched;		 /* stats.upcalls when the watchdog last looked; CPU 0's */
	u64 iret_rip;		 /* with nmi_iret: where that IRET stands */
	struct hv_event kept[2]; /* accepted, but an exception came first: VCPU_KEPT_* */
	struct user_ctx uctx;
	struct abi_vcpu *page; /* the kernel's alias of the shared page */

	u32 leaf1[4];  /* CPUID leaf 1 as the guest sees it now */
	u64 leaf1_cr4; /* under this CR4; ~0: not known */
	struct lapic lapic;
	struct msr_state msrs;
	u64 xcr0;		    /* the guest's, as of the last detach */
	u64 tsc_base_offset;	    /* guest TSC = host TSC + this + msrs.tsc_adjust */
	u64 tsc_offset;		    /* that sum, as hv has it */
	struct timer lapic_timer;   /* in its CPU's queue */
	struct timer monitor_timer; /* SYS_TIMER */
	ns_t monitor_at;	    /* the guest time that it is set to; ~0: off */
	struct timer nudge;	    /* leave the guest soon: an NMI waits for IRET */
	void *fpu;		    /* fpu_size bytes while not attached */

	struct vcpu_stats stats; /* since the VM's start */
	u32 trace_next;
	struct exit_record trace[VCPU_TRACE]; /* the last exits, for crash records and dumps */
	struct exit_log *exit_log;	      /* `trace on`: kernel/trace.h */
	struct vcpu_dump dump;
	u32 dump_state; /* enum dump_state, atomic */
};
_Static_assert(offsetof(struct vcpu, hv) == 0, "the vendor's part comes first");

/* A new vCPU of vm, with its monitor's page mapped already; ERR_NOMEM. */
enum err vcpu_create(struct vm *vm, u32 id, u32 cpu, struct vcpu **out) MUST_CHECK;
void vcpu_destroy(struct vcpu *v);

/* Bytes of kernel memory that a vCPU takes. */
u64 vcpu_footprint(void);

/* Is it to be detached: it has ended, or it pauses and no upcall is under way?
 * A dump that was asked for comes first. */
static inline bool vcpu_leaves(const struct vcpu *v)
{
	u32 requests = __atomic_load_n(&v->requests, __ATOMIC_ACQUIRE);

	return !(requests & VCPU_REQ_DUMP) &&
	       (v->ended || ((requests & VCPU_REQ_PAUSE) && !v->upcall_active));
}

/* On its CPU: FPU state and everything per-CPU in, and out again. Its timers
 * run while it is attached. */
void vcpu_attach(struct vcpu *v);
void vcpu_detach(struct vcpu *v);

/* Run it until it leaves. Open, interrupts off. */
enum vcpu_leave vcpu_run(struct vcpu *v);

/* Any CPU. The requester kicks the vCPU's CPU if that is another one. */
static inline void vcpu_request(struct vcpu *v, u32 bits)
{
	__atomic_fetch_or(&v->requests, bits, __ATOMIC_RELEASE);
}
static inline void vcpu_unrequest(struct vcpu *v, u32 bits)
{
	__atomic_fetch_and(&v->requests, ~bits, __ATOMIC_ACQ_REL);
}

static inline u64 vcpu_guest_tsc(const struct vcpu *v, u64 host_tsc)
{
	return host_tsc + v->tsc_offset;
}

/* exits.c: by hv.exit.reason, who acts on it closed; NULL: nobody. True: go on in
 * the guest without opening. */
typedef bool vcpu_exit_fn(struct vcpu *v);
extern vcpu_exit_fn *const vcpu_closed_exits[HV_EXIT_COUNT];
/* The same for all others, and those refused there; open. */
void vcpu_exit_open(struct vcpu *v);
/* An instruction that was carried out here ends RF, and is single-stepped here. */
void vcpu_advance_flags(struct vcpu *v, u32 len);
/* RIP moves on: the one place. len 0: unknown, nothing moves. */
static inline void vcpu_advance(struct vcpu *v, u32 len)
{
	v->hv.rip += len;
	v->hv.shadow = 0;
	if (unlikely(v->hv.rflags & (RFLAGS_TF | RFLAGS_RF)))
		vcpu_advance_flags(v, len);
}
/* events.c: queue an exception for the next entry; what waits there already is
 * kept, lost, or becomes #DF, as the manuals say. */
void vcpu_inject(struct vcpu *v, u8 vector, bool has_error, u32 error);
/* The event that this exit cut short is delivered again. */
void vcpu_requeue(struct vcpu *v);
/* One of `kept` into hv.inject, which is empty; false: none can be taken now. */
bool vcpu_inject_kept(struct vcpu *v);
static inline bool vcpu_has_kept(const struct vcpu *v)
{
	return v->kept[VCPU_KEPT_EXTINT].valid | v->kept[VCPU_KEPT_NMI].valid;
}
static inline void vcpu_inject_gp(struct vcpu *v)
{
	vcpu_inject(v, 13, true, 0);
}
/* A LAPIC register by its MMIO offset. One that does not exist raises the error
 * interrupt: the only effect that a read has. */
static inline u32 vcpu_lapic_read(struct vcpu *v, u32 offset, u64 host_tsc)
{
	u32 value = lapic_read(&v->lapic, offset, vcpu_guest_tsc(v, host_tsc));

	if (unlikely(v->lapic.esr_pending))
		vcpu_request(v, VCPU_REQ_EVENT);
	return value;
}
/* What a LAPIC write asked for (enum lapic_effect). */
void vcpu_lapic_effects(struct vcpu *v, u32 effects);
/* Guest writes of control registers, checked; false: #GP was queued. */
bool vcpu_write_cr(struct vcpu *v, u32 nr, u64 value);
void vcpu_update_tsc(struct vcpu *v);
/* On its CPU: the timer for monitor_at. */
void vcpu_set_monitor_timer(struct vcpu *v);

/* upcall.c */
/* Begin one: for hv.exit.pio (not a string), for hv.exit.npf, for any other reason.
 * vcpu_upcall_run does the rest. */
void vcpu_upcall_pio(struct vcpu *v);
void vcpu_upcall_mmio(struct vcpu *v);
void vcpu_upcall(struct vcpu *v, u32 reason);
void vcpu_upcall_run(struct vcpu *v); /* until it ends, fails, or LEAVE is requested */
void vcpu_fill_regs(struct vcpu *v);  /* GPRs and what address translation needs */

/* syscall.c: all calls but FINISH; result in uctx. */
void vcpu_syscall(struct vcpu *v);

/* The VM is over, told from inside: what for is in vm->end. See kernel/vm.h. */

void vcpu_set_end(struct vcpu *v, enum vm_end end, u32 code, const char *fmt, ...) PRINTF(4, 5);
/* The same, at once, with a crash record where the end is a crash. */
void vcpu_end(struct vcpu *v, enum vm_end end, u32 code, const char *fmt, ...) PRINTF(4, 5);

#endif
