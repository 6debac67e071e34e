/*
 * Ticket spinlocks. Kernel code runs with interrupts off, so a lock needs no
 * interrupt handling; a holder never waits for another CPU. Hold them briefly.
 */
#ifndef ARCH_SPINLOCK_H
#define ARCH_SPINLOCK_H

#include "arch/types.h"

struct spinlock {
	u16 next;    /* the next ticket to hand out */
	u16 serving; /* the ticket that may enter */
};

#define SPINLOCK_INIT \
	{ \
		0, 0 \
	}

static inline void spin_lock(struct spinlock *l)
{
	u16 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

/* Takes the lock only if it is free now. */
static inline bool spin_trylock(struct spinlock *l)
{
	u16 serving = __atomic_load_n(&l->serving, __ATOMIC_ACQUIRE);
	u16 expected = serving;

	return __atomic_compare_exchange_n(&l->next, &expected, (u16)(serving + 1), false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->serving, (u16)(l->serving + 1), __ATOMIC_RELEASE);
}

#endif
