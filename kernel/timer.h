/*
 * Timers of one physical CPU: a list sorted by deadline in host TSC ticks.
 * The queue belongs to its CPU and is touched by that CPU alone, so there is
 * no lock. The hardware is reached through one hook (apic_timer_set).
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "arch/types.h"

struct timer {
	u64 deadline;		    /* host TSC */
	void (*fn)(struct timer *); /* called by timer_run; may set or cancel any timer */
	struct timer *next;	    /* private to timer.c from here */
	struct timer **link;	    /* what points to this; NULL: not set */
};

struct timer_queue {
	struct timer *head;   /* the earliest */
	struct timer *due;    /* taken out by timer_run, not called yet */
	void (*arm)(u64 tsc); /* program the hardware; 0: off. An early interrupt is harmless */
	bool running;	      /* inside timer_run, which arms at its end */
	u32 count;	      /* timers that are set; read by others, a moment old */
};

void timer_init_cpu(struct timer_queue *q, void (*arm)(u64 tsc));

/* (Re)set t, whose fn is filled in, to call back at `tsc`. A deadline in the
 * past is called at the next interrupt, at once. */
void timer_set(struct timer_queue *q, struct timer *t, u64 tsc);

/* Not set: nothing happens. */
void timer_cancel(struct timer_queue *q, struct timer *t);

static inline bool timer_is_set(const struct timer *t)
{
	return t->link != NULL;
}

/* Call every timer due at now_tsc, each at most once, then arm the hardware
 * for the next one. From the timer interrupt, and wherever time has passed. */
void timer_run(struct timer_queue *q, u64 now_tsc);

/* The earliest deadline, ~0: none. */
u64 timer_next(const struct timer_queue *q);

#endif
