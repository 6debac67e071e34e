/* arch/trap.c, but an exception that expect.h waits for is only noted. */
#define trap_kernel plain_trap_kernel
#include "../../../arch/trap.c"
#undef trap_kernel
#include "tests/variant/arch/expect.h"

volatile struct expectation expectation;

void trap_kernel(struct trap_frame *f);
void trap_kernel(struct trap_frame *f)
{
	volatile struct expectation *e = &expectation;

	if (!e->armed || e->cpu != this_cpu()->index || f->vector >= VEC_EXCEPTIONS) {
		plain_trap_kernel(f);
		return;
	}
	e->armed = 0;
	e->vector = (int)f->vector;
	e->error = f->error;
	e->cr2 = read_cr2();
	f->rip = e->rip;
	f->rsp = e->rsp;
}
