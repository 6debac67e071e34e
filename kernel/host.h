/*
 * The host as a whole: one step of its duties, and its end. kernel/loop.c and
 * kernel/control.c.
 */
#ifndef KERNEL_HOST_H
#define KERNEL_HOST_H

#include "kernel/control.h"
#include "kernel/inspect.h"

/* Memory that the pool never had, bytes, for `mem`; the rest is counted live. */
struct host_facts {
	u64 total, firmware, files, image;
	char platform[128];
	const char *crash; /* the last run's panic; NULL: it ended well */
	u32 crash_len;
	void (*poweroff)(void); /* return if they fail */
	void (*reboot)(void);
	u32 file_count; /* that the loader was to load; file() tells of one */
	void (*file)(u32 i, struct file_info *out);
};

/* Kept by pointer. Before the shell starts. */
void host_init(const struct host_facts *facts);
const struct host_facts *host_facts(void);

/* CPU 0: console, VM jobs, attach and detach, pending interrupts. True: more. */
bool host_step(void);
/* CPU 0, for a command that waits: a step, then its vCPU's share of the CPU, so that
 * the VM there goes on meanwhile. */
void host_turn(void);

/* Any CPU, for itself: attach an assigned vCPU, let go of one that must stop. */
void percpu_sync(void);

#endif
