/*
 * kernel/control.h for the shell's unit tests: VMs that a test fills in, and
 * what was asked of them.
 */
#ifndef FAKE_CONTROL_FAKE_H
#define FAKE_CONTROL_FAKE_H

#include "kernel/config.h"
#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/inspect.h"
#include "kernel/trace.h"

struct vm {
	struct vm_info info;
	struct stat_row rows[4];
	u32 row_count;
	ns_t guest, kernel, monitor, busy;
	struct vm_config config;
	const char *complaints[2];
	u32 complaint_line;
	struct vcpu_info vcpu; /* the only one; .state NULL: there is none */
	struct vcpu_dump dump;
	bool traced, tracing;
	struct trace_entry exits[4]; /* in the ring, and how many there were */
	u32 exit_count;
	const char *refuse; /* start, stop and reset fail with this */
	u32 stop_polls;	    /* vm_shutting_down() so often */
	bool unasked;	    /* that gives its guest no time */
	const char *note;
	const char *crash;
};

extern struct vm fake_vms[20];
extern u32 fake_vm_count;
extern struct host_mem fake_mem;
extern struct cpu_info fake_cpus[8];
extern u32 fake_cpu_count;
extern struct file_info fake_files[8];
extern u32 fake_file_count;
extern const char *fake_crash;	  /* the host's */
extern char fake_calls[256];	  /* "start alpha;stop beta;" */
extern void (*fake_during)(void); /* runs within start, stop, reset */
extern u32 fake_polls;
extern ns_t fake_uptime;
extern ns_t fake_wake_at; /* what host_wake_at() was last asked for */

#endif
