/*
 * What administration can see and do: the seam between the shell (and later
 * other front ends) and the VMs. Implemented by kernel/control.c.
 *
 * All of it runs on CPU 0, one call at a time, and never blocks for long: an
 * operation that takes many steps calls host_poll() between them. After an
 * error *why is a short clause for people, such as "it is running already";
 * it is never NULL then, and stays valid until the next call.
 */
#ifndef KERNEL_CONTROL_H
#define KERNEL_CONTROL_H

#include "arch/types.h"

#define CONTROL_MAX_CPUS 64

struct vm;
struct console_port;

struct vm_info {
	const char *name;
	const char *state;	    /* "running", "stopped", "failed", "invalid", ... */
	char reason[96];	    /* why it is in that state; "" nothing to say */
	u32 cpus[CONTROL_MAX_CPUS]; /* physical CPUs, by number */
	u32 cpu_count;
	u64 memory;	 /* guest RAM as configured, bytes */
	ns_t uptime;	 /* since its last start; 0 while stopped */
	u64 exits;	 /* since its last start */
	u32 restarts;	 /* by policy, since the administrator started it */
	ns_t restart_in; /* it waits for its next restart; 0: it does not */
	/* bytes held right now */
	u64 mem_guest;	    /* guest RAM */
	u64 mem_monitor;    /* the monitor's own pages (not the shared image) */
	u64 mem_tables;	    /* NPT/EPT and the monitor's page tables */
	u64 mem_kernel;	    /* VMCB, vCPUs, maps, FPU areas, ... */
	u64 mem_scrollback; /* console */
	struct console_port *port;
};

/* VMs in configuration order; those that were refused are among them. */
u32 vm_count(void);
struct vm *vm_at(u32 i);
const char *vm_name(const struct vm *vm);
void vm_describe(const struct vm *vm, struct vm_info *out);

/* Complete when they return. */
enum err vm_start(struct vm *vm, const char **why) MUST_CHECK;
enum err vm_stop(struct vm *vm, const char **why) MUST_CHECK;
/* Ask the guest to power off, and stop it when it has not within its
 * stop_timeout; goes on by itself when it returns. */
enum err vm_shutdown(struct vm *vm, const char **why) MUST_CHECK;
/* Is that still under way? *left: how long the guest has; 0: it is being stopped. */
bool vm_shutting_down(const struct vm *vm, ns_t *left);
/* Afterwards: how it went; NULL: there is nothing to say, it was stopped. */
const char *vm_stop_note(const struct vm *vm);
/* Power cycle, whatever on_reboot says; a stopped VM is an error. */
enum err vm_reset(struct vm *vm, const char **why) MUST_CHECK;

/* Its vCPUs leave their CPUs and its guest's clocks stand still, until vm_resume or
 * vm_shutdown; vm_stop and vm_reset work on a paused VM. */
enum err vm_pause(struct vm *vm, const char **why) MUST_CHECK;
enum err vm_resume(struct vm *vm, const char **why) MUST_CHECK;
/* An NMI to its first vCPU; a paused one takes it when it goes on. */
enum err vm_nmi(struct vm *vm, const char **why) MUST_CHECK;

struct stat_row {
	const char *name; /* an exit's reason */
	u64 count;
};

/* Exits by reason since the last start, at most max rows, zeros included;
 * returns how many were filled. */
u32 vm_stat_rows(const struct vm *vm, struct stat_row *rows, u32 max);
/* Where its vCPUs' time went since the last start, in CPU time. */
void vm_times(const struct vm *vm, ns_t *guest, ns_t *kernel, ns_t *monitor);

/* The record of its last crash, lines of text; NULL: it has not crashed. */
const char *vm_crash_text(const struct vm *vm, u32 *len);
/* That of the host's panic that ended the run before this one. */
const char *host_crash_text(u32 *len);

/* Who owns the machine's memory, bytes. total = the sum of the others and
 * what VMs hold (vm_info's mem_*). */
struct host_mem {
	u64 total;    /* RAM that firmware reported */
	u64 firmware; /* kept by firmware and ACPI */
	u64 free;     /* pool: scrubbed, to be had */
	u64 dirty;    /* pool: waits for being scrubbed */
	u64 files;    /* guest images from the ESP */
	u64 lost;     /* fragments too small to use */
	/* the hypervisor's own */
	u64 image;   /* kernel and monitor images, symbols */
	u64 structs; /* its page tables, stacks, per-CPU data, page metadata */
};

void host_memory(struct host_mem *out);
ns_t host_uptime(void);
/* One line: processor and the features used, e.g. "AMD-V with NPT, 4 CPUs". */
const char *host_platform(void);

/* Have CPU 0 awake at that time of host_uptime(); the last call counts. */
void host_wake_at(ns_t at);
/* One bounded turn of CPU 0's other duties: console, jobs, its vCPU. */
void host_poll(void);

/* vm_shutdown() of every VM that is not off. */
void host_shutdown(void);

/* Stop all VMs at once, then the machine. They return only if the machine would not
 * do it; then why. */
const char *host_poweroff(void);
const char *host_reboot(void);

#endif
