/*
 * What administration can find out beside kernel/control.h: processors, files,
 * a VM's plan and vCPUs. Implemented by kernel/inspect.c; CPU 0 only. What is
 * read of a CPU that runs may be a moment old.
 */
#ifndef KERNEL_INSPECT_H
#define KERNEL_INSPECT_H

#include "arch/hv.h"

struct vm;
struct vm_config;

struct cpu_info {
	u32 apic_id;
	const char *state; /* "guest", "halted": its guest waits; "idle", "busy", "offline" */
	bool cpu0;	   /* runs the console and the VMs' jobs, too */
	ns_t busy, up;	   /* of its time since boot, it did not sleep for so long */
	u32 timers;	   /* that are set on it */
	struct hv_ids ids;
};

u32 host_cpu_count(void);
void host_cpu(u32 i, struct cpu_info *out);

/* A file that the configuration names. */
struct file_info {
	const char *path;
	u64 size;
	const char *missing; /* why it was not loaded; NULL: it was */
};

u32 host_file_count(void);
void host_file(u32 i, struct file_info *out);

const struct vm_config *vm_plan(const struct vm *vm);
/* Complaint number n of the configuration about this VM, and its line; NULL: no more. */
const char *vm_complaint(const struct vm *vm, u32 n, u32 *line);

struct vcpu_info {
	u32 cpu;
	const char *state; /* "runs", "halted", "in its monitor", "paused", "ended" */
	u64 exits, upcalls;
};

u32 vm_vcpu_count(const struct vm *vm); /* that exist now */
void vm_vcpu(const struct vm *vm, u32 i, struct vcpu_info *out);
/* CPU time that its vCPUs have had since its start. */
ns_t vm_busy(const struct vm *vm);
/* The guest's own time and its TSC's rate. */
ns_t vm_guest_time(const struct vm *vm);
u64 host_tsc_hz(void);

#endif
