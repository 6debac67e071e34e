/*
 * The devices' timers: a list sorted by time (a handful of entries). Timers
 * that are set or cancelled while vtimer_run() works change the kernel's timer
 * once, at its end. No lock: upcalls of a VM never overlap.
 */
#include "vmm/timer.h"

#include "vmm/sys.h"
#include "vmm/vm.h"

#define NEVER (~0ull)

static struct vtimer *first;
static ns_t asked = NEVER; /* what the kernel was told last */
static bool running;

static void update(void)
{
	ns_t at = first ? first->at : NEVER;

	if (at != asked && !running) {
		asked = at;
		sys_timer(at);
	}
}

static void remove(struct vtimer *t)
{
	struct vtimer **p = &first;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p)
		*p = t->next;
	t->armed = false;
}

void vtimer_set(struct vtimer *t, ns_t at)
{
	struct vtimer **p = &first;

	if (t->armed) {
		if (t->at == at)
			return;
		remove(t);
	}
	if (at == NEVER) /* would be "off" to the kernel */
		at--;
	t->at = at;
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	t->next = *p;
	t->armed = true;
	*p = t;
	update();
}

void vtimer_cancel(struct vtimer *t)
{
	if (!t->armed)
		return;
	remove(t);
	update();
}

void vtimer_run(void)
{
	ns_t now = vm_now();
	u32 left = 64; /* a timer that always sets itself into the past waits for the next upcall */

	running = true;
	while (first && first->at <= now && left--) {
		struct vtimer *t = first;

		first = t->next;
		t->armed = false;
		t->fn(t->arg);
	}
	running = false;
	asked = NEVER; /* the kernel's timer is one-shot: it has fired */
	update();
}

void vtimer_clear(void)
{
	first = NULL;
	asked = NEVER;
}
