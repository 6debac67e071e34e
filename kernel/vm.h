/*
 * A VM and its life. All of struct vm is CPU 0's, except while a vCPU is
 * attached: then `end` belongs to that vCPU's CPU until it sets `parked`.
 *
 *   OFF -> STARTING -> RUNNING -> STOPPING -> RELEASING -> OFF
 *          RUNNING -> PAUSING -> PAUSED -> RUNNING, or to STOPPING from both
 *
 * KEPT is a crashed VM of on_crash = "pause": its vCPUs have left their CPUs,
 * all else stays as it was until somebody stops or resets it. STARTING and
 * RELEASING are resumable jobs of at most one chunk per step (vm_step), so that
 * nobody else waits for them.
 */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include "kernel/abi.h"
#include "kernel/config.h"
#include "kernel/console.h"
#include "kernel/cpuid.h"
#include "kernel/restart.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"
#include "kernel/vm_log.h"

#define VM_STATES(X) \
	X(OFF, "stopped") \
	X(STARTING, "starting") \
	X(RUNNING, "running") \
	X(PAUSING, "pausing") \
	X(PAUSED, "paused") \
	X(STOPPING, "stopping") \
	X(KEPT, "crashed") \
	X(RELEASING, "stopping")

enum vm_state {
#define X(name, text) VM_##name,
	VM_STATES(X)
#undef X
		VM_STATE_COUNT
};

/* A file from the ESP, kept in memory. */
struct vm_file {
	const char *path;
	hpa_t base;
	u64 size;
};

/* The record of a VM's last crash; written on its vCPU's CPU. */
struct vm_crash {
	u32 len;
	char text[PAGE_SIZE - sizeof(u32)];
};

struct vm {
	const struct vm_config *config;
	u16 id;	    /* page owner; 1.. */
	bool valid; /* false: the configuration refused it */
	enum vm_state state;
	enum vm_end end;       /* of the last run */
	enum vm_end admin_end; /* what vm_begin_stop was called with */
	u32 end_code;	       /* DEBUG_EXIT: what the guest wrote */
	char reason[96];       /* the same for people */
	bool stop_asked;       /* vCPUs are to leave; read by their CPUs */
	bool told_to_stop;     /* by the power button; the same */
	bool kept;	       /* after a crash, and that has been said */
	const char *stop_note; /* what was not as it should be about the last stop; or NULL */
	u32 parked;	       /* vCPUs that have left; atomic */
	u64 parked_tsc;	       /* when the last one did */

	struct vm_file kernel, modules[ABI_MAX_MODULES];
	u32 module_count;

	struct space space;
	struct abi_vm *page; /* the VM page */
	struct vcpu *vcpus[CONFIG_MAX_CPUS];
	u32 vcpu_count;
	struct console_port port;
	void *scrollback;

	u64 cursor;    /* of the job under way: bytes done */
	u64 tsc_start; /* guest time 0 */
	ns_t started;  /* host time */
	ns_t ran;      /* how long the last run lasted */
	struct restarts restarts;
	ns_t restart_at;	/* a restart waits until then; 0: none */
	ns_t stop_by;		/* asked to power off, and stopped then; 0: it was not */
	struct timer wake;	/* CPU 0's, for those two */
	struct vm_crash *crash; /* the host's page; NULL: no memory */
	struct vm_log log;	/* how much it said */
	struct vcpu_stats last; /* of the last run, when its vCPUs are gone */
	struct cpuid_table cpuid;
};

extern struct vm vms[CONFIG_MAX_VMS];
extern u32 vms_count;
extern const struct config *vms_config;

/* Find the file of that path among those the loader kept. */
typedef bool vm_file_fn(const char *path, struct vm_file *out);

/* Fill vms[] from the plan. The monitor's image must be set (monitor.h). */
void vms_init(const struct config *c, vm_file_fn *find);

/* CPU 0: one bounded step of every VM's job; true: there is more to do now. */
bool vms_step(void);

/* Begin a job; ERR_PERM in a state that does not allow it. A VM that ends already
 * can be stopped: it does not come back then. */
enum err vm_begin_start(struct vm *vm) MUST_CHECK;
enum err vm_begin_stop(struct vm *vm, enum vm_end end) MUST_CHECK;
/* A running VM's vCPUs leave; its guest's time stands still until vm_unpause. Not while
 * it is asked to power off: the time that it has for that goes on. */
enum err vm_begin_pause(struct vm *vm) MUST_CHECK;
enum err vm_unpause(struct vm *vm) MUST_CHECK;
/* The vCPUs of a paused or kept VM go to their CPUs, do what is requested there
 * beside running the guest, and come back to that state. */
void vm_visit(struct vm *vm);
bool vm_pause_step(struct vm *vm); /* of a pausing VM's job */
/* Each vCPU to its CPU; VCPU_REQ_* to each, wherever it is. */
void vm_hand_over(struct vm *vm);
void vm_ask_all(struct vm *vm, u32 requests);
/* Are there vCPUs that live: attached, or paused? */
bool vm_is_up(const struct vm *vm);
/* The power button; after stop_timeout seconds, or if the guest does not
 * listen to it, vm_begin_stop(STOPPED). A paused one runs again for that; one
 * that does not run otherwise, or is given no time: vm_begin_stop, now. */
enum err vm_begin_shutdown(struct vm *vm) MUST_CHECK;

/* vm_end.c: of a VM that has ended by itself; whether to restart it, when
 * (restart_at) is noted. */
enum config_policy vm_what_next(const struct vm *vm);
bool vm_plan_restart(struct vm *vm) MUST_CHECK;

const char *vm_state_name(const struct vm *vm);
u64 vm_exits(const struct vm *vm);

/* May a line that this VM causes be logged now? */
bool vm_may_log(struct vm *vm, u32 lines) MUST_CHECK;

/* crash.c, on the vCPU's CPU, open: registers, exit and last exits of a vCPU to the log
 * and to vm->crash. */
void crash_record(struct vcpu *v);

#endif
