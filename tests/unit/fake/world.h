/*
 * The kernel's core on the host: its real files over a fake processor (MSRs,
 * clock, APIC), a fake struct hv_ops whose exits a test scripts, a fake
 * user_run() whose system calls it scripts, and a pool of real memory whose
 * host-physical addresses are the test's own.
 */
#ifndef FAKE_WORLD_H
#define FAKE_WORLD_H

#include "arch/cpu.h"
#include "arch/hv.h"
#include "arch/user.h"
#include "kernel/vm.h"

#define WORLD_CPUS 2
#define WORLD_SCRIPT 256

struct hw_fake {
	u32 cpu;	       /* the one that runs */
	u64 tsc;	       /* goes on by 10 each time it is read */
	u64 armed[WORLD_CPUS]; /* the APIC timers; 0: off */
	bool kicked[WORLD_CPUS];
	u32 kicks[WORLD_CPUS]; /* how many IPIs were sent */
	u64 cr3[WORLD_CPUS], xcr0[WORLD_CPUS];
	u64 tsc_aux, ibpb;
	bool has[CPU_FEATURE_COUNT];
	bool closed; /* between hv->close() and hv->open() */
	u32 opens;
	const void *fpu[WORLD_CPUS]; /* the area whose content is in the registers */
	void (*window)(void);	     /* an interrupt handler of the test's */
	u32 hlts;
};
extern struct hw_fake hw;

/* What the guest was entered with, and the exit that it made then. */
struct world_entry {
	struct hv_event inject;
	u8 want_window, watch_iret, shadow, tpr;
	u64 rip, rflags, gpr[HV_GPRS];
};
struct world_exit {
	struct hv_exit exit;
	void (*fn)(struct vcpu *v); /* what the guest did before; may be NULL */
};

/* What the monitor does next, each time that it is entered. */
struct world_call {
	enum user_exit why;
	u64 nr, a, b, c;
	void (*fn)(struct vcpu *v); /* before that; may be NULL */
};

/* The fake vendor's area. */
struct world_area {
	struct hv_state s;
	u64 msrs[16];
	u64 tsc_offset;
	u64 granted[5]; /* by grant_cr, per register */
	u8 cpl;
	bool loaded;
};

struct world {
	struct vcpu *v; /* after world_start() */
	struct world_entry entries[WORLD_SCRIPT];
	struct world_exit exits[WORLD_SCRIPT];
	struct world_call calls[WORLD_SCRIPT];
	u64 results[WORLD_SCRIPT]; /* RAX and RDX as call i came back */
	u64 results2[WORLD_SCRIPT];
	u32 reasons[WORLD_SCRIPT]; /* of fresh upcalls */
	u32 entry_count, exit_count, exit_next, call_count, call_next, upcall_count;
	struct user_fault fault;
	struct config config;
	u64 fail_at; /* the allocation that fails, counted from 1; 0: none */
	u64 allocs;
	bool at_rest;	 /* scripts that are over do not fail: monitors finish, guests leave */
	u32 rested;	 /* entries into guests meanwhile */
	u32 host_timers; /* of CPU 0's own, that the test leaves set */
};
extern struct world world;

/* Two VMs that could start, alpha on CPU 1 and beta on CPU 0; chunks: size of
 * the pool. Tests may change world.config before world_boot(). */
void world_setup(u32 chunks);
void world_boot(void);
void world_small_pages(bool on); /* struct hv_ops */
/* Stops what runs; nothing may be lost. */
void world_teardown(void);

/* Start VM i, run its START upcall on its CPU: world.v stands in the guest,
 * with interrupts on and all scripts empty. */
void world_start(u32 i);
/* Steps of CPU 0 until the VM is in that state; fails if it does not come to that. */
void world_until(u32 i, enum vm_state state);

/* Append to the scripts. */
void world_exit(struct hv_exit x);
void world_exit_fn(struct hv_exit x, void (*fn)(struct vcpu *v));
void world_call(u64 nr, u64 a, u64 b, u64 c);
void world_finish(enum abi_finish kind, u64 a, u64 b, u64 c);
void world_user(enum user_exit why, void (*fn)(struct vcpu *v));
/* Run world.v until all scripted exits were made and the guest is in again. */
enum vcpu_leave world_run(void);
void world_forget(void); /* empty scripts and logs */

static inline struct world_area *world_area(struct vcpu *v)
{
	return v->hv.area;
}
/* The last entry into the guest. */
static inline struct world_entry *world_entered(void)
{
	return &world.entries[world.entry_count - 1];
}

#endif
