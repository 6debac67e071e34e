/*
 * Timers of one CPU: insertion into a sorted list (a CPU has a handful of
 * them), see timer.h. timer_run first moves what is due to a list of its own,
 * so a callback that sets itself again in the past waits for the next
 * interrupt instead of looping here.
 */
#include "kernel/timer.h"

static void arm(const struct timer_queue *q)
{
	/* 0 switches the hardware off, so the deadline 0 becomes 1: long past too. */
	u64 at = q->head ? MAX(q->head->deadline, 1ull) : 0;

	q->arm(at);
}

static void insert(struct timer_queue *q, struct timer **link, struct timer *t)
{
	t->link = link;
	t->next = *link;
	if (t->next)
		t->next->link = &t->next;
	*link = t;
	__atomic_store_n(&q->count, q->count + 1, __ATOMIC_RELAXED);
}

static void take_out(struct timer_queue *q, struct timer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	t->next = NULL;
	t->link = NULL;
	__atomic_store_n(&q->count, q->count - 1, __ATOMIC_RELAXED);
}

void timer_init_cpu(struct timer_queue *q, void (*arm_hw)(u64 tsc))
{
	*q = (struct timer_queue){ .arm = arm_hw };
}

void timer_set(struct timer_queue *q, struct timer *t, u64 tsc)
{
	struct timer *first = q->head;
	struct timer **link = &q->head;
	bool was_first = t == first;

	if (t->link)
		take_out(q, t);
	while (*link && (*link)->deadline <= tsc)
		link = &(*link)->next;
	t->deadline = tsc;
	insert(q, link, t);
	if (!q->running && (was_first || q->head == t))
		arm(q);
}

void timer_cancel(struct timer_queue *q, struct timer *t)
{
	bool was_first = t == q->head;

	if (!t->link)
		return;
	take_out(q, t);
	if (!q->running && was_first)
		arm(q);
}

void timer_run(struct timer_queue *q, u64 now_tsc)
{
	struct timer *last = NULL;

	if (q->running)
		return; /* a callback asked; the outer call goes on */
	for (struct timer *t = q->head; t && t->deadline <= now_tsc; t = t->next)
		last = t;
	if (last) {
		q->due = q->head;
		q->due->link = &q->due;
		q->head = last->next;
		if (q->head)
			q->head->link = &q->head;
		last->next = NULL;
	}
	q->running = true;
	while (q->due) {
		struct timer *t = q->due;

		take_out(q, t);
		t->fn(t);
	}
	q->running = false;
	arm(q);
}

u64 timer_next(const struct timer_queue *q)
{
	return q->head ? q->head->deadline : ~0ull;
}
