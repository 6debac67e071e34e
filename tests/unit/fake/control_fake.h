/*
 * kernel/control.h for the shell's unit tests: VMs that a test fills in, and
 * what was asked of them.
 */
#ifndef FAKE_CONTROL_FAKE_H
#define FAKE_CONTROL_FAKE_H

#include "kernel/control.h"

struct vm {
	struct vm_info info;
	struct stat_row rows[4];
	u32 row_count;
	ns_t guest, kernel, monitor;
	const char *refuse; /* start, stop and reset fail with this */
	u32 stop_polls;	    /* vm_shutting_down() so often */
	const char *note;
	const char *crash;
};

extern struct vm fake_vms[20];
extern u32 fake_vm_count;
extern struct host_mem fake_mem;
extern const char *fake_crash;	  /* the host's */
extern char fake_calls[256];	  /* "start alpha;stop beta;" */
extern void (*fake_during)(void); /* runs within start, stop, reset */
extern u32 fake_polls;

#endif
