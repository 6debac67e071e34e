/*
 * `trace VM on`: a ring of a vCPU's exits with their times, one per physical CPU,
 * as a CPU belongs to one VM. The vCPU's CPU writes, CPU 0 reads meanwhile and
 * finds out what was overwritten under it. Off, it costs nothing.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "arch/types.h"

#define TRACE_PAGES 4
#define TRACE_SIZE 511 /* exits */

struct trace_entry {
	u64 ticks; /* of the TSC, since guest time 0 */
	u64 rip, rax;
	u32 reason, info; /* as struct exit_record has them */
};

struct exit_log {
	u64 next; /* exits ever written; entry i stands at i % TRACE_SIZE */
	u64 pad[3];
	struct trace_entry entry[TRACE_SIZE];
};
_Static_assert(sizeof(struct exit_log) <= TRACE_PAGES * PAGE_SIZE, "its pages");

struct vm;
struct vcpu;

/* CPU 0. ERR_PERM: it does not run; ERR_NOMEM. The ring is empty then, and
 * stays readable when tracing ends, until the VM does. */
enum err vm_trace(struct vm *vm, bool on, const char **why) MUST_CHECK;
/* The exits of vCPU i from *pos on, up to max; *pos moves on, also over what
 * was lost. 0: no more. Begin with *pos = 0. */
u32 vm_trace_read(const struct vm *vm, u32 i, u64 *pos, struct trace_entry *out, u32 max);

struct trace_info {
	bool on;
	u64 exits; /* since it was switched on */
};
/* False: there is nothing to show. */
bool vm_trace_info(const struct vm *vm, u32 i, struct trace_info *out);

/* On the vCPU's CPU, closed: its exit. */
void trace_exit(struct vcpu *v);
void trace_free(struct vcpu *v);

#endif
