/*
 * What the kernel keeps per physical CPU, beside arch's struct cpu, and the
 * loop that every CPU runs for good (kernel/loop.c). A CPU's fields are its
 * own, but for those marked otherwise.
 */
#ifndef KERNEL_PERCPU_H
#define KERNEL_PERCPU_H

#include "arch/cpu.h"
#include "kernel/timer.h"

struct vcpu;

struct percpu {
	struct vcpu *vcpu;     /* attached here, its FPU state live; NULL: none */
	struct vcpu *assigned; /* CPU 0 sets it: attach this one. Atomic */
	struct timer_queue timers;
	bool work; /* CPU 0: console, shell or a VM's job waits */
	/* for who asks how busy it is; read by others, a moment old */
	u64 slept;	 /* TSC ticks */
	u64 sleep_start; /* 0: it is awake */
} ALIGNED(64);

extern struct percpu percpus[MAX_CPUS];

static inline struct percpu *this_percpu(void)
{
	return &percpus[this_cpu()->index];
}

/* Interrupt handlers and this CPU's timer queue. On each CPU, before its loop. */
void percpu_init(void);

/* Make a CPU look at its requests: it leaves its guest or its sleep. Any CPU. */
void percpu_kick(u32 cpu);

/* Tell CPU 0 that it has something to do. Any CPU. */
void host_wake(void);

/* Run vCPUs, sleep, scrub: for ever. */
NORETURN void cpu_loop(void);

#endif
