/*
 * A look at a vCPU for the administrator: its registers, its last exits and
 * the top of its guest's stack, as of one moment. The vCPU's own CPU fills it
 * in between two upcalls; guest memory comes from the monitor (ABI_UP_PEEK).
 */
#ifndef KERNEL_DUMP_H
#define KERNEL_DUMP_H

#include "arch/hv.h"

#define DUMP_STACK 256 /* bytes */
#define DUMP_EXITS 16

/* One of the last exits. */
struct exit_record {
	u64 rip;
	u32 reason;
	u32 info; /* the first four bytes of the exit's details: port, MSR, gpa, ... */
};

struct vcpu_dump {
	u32 cpu;
	bool halted, ended;
	u64 gpr[HV_GPRS], rip, rflags;
	struct hv_state state;
	struct exit_record exits[DUMP_EXITS]; /* the oldest first */
	u32 exit_count;
	u64 stack;     /* linear address */
	u32 stack_len; /* bytes that could be read there */
	bool unread;   /* nobody was there to read them */
	u8 bytes[DUMP_STACK];
};

struct vm;

/* CPU 0: fill *out from vCPU i. A paused VM stays paused, a crashed one that is
 * kept stays as it is. On errors *why. */
enum err vm_dump(struct vm *vm, u32 i, struct vcpu_dump *out, const char **why) MUST_CHECK;

struct vcpu;
/* upcall.c and vcpu.c: on the vCPU's CPU, open. */
void vcpu_dump_begin(struct vcpu *v);	     /* VCPU_REQ_DUMP was set */
void vcpu_dump_end(struct vcpu *v, u32 len); /* that much of the page's log is stack */
void vcpu_dump_drop(struct vcpu *v);	     /* its monitor failed: if in a PEEK, no dump comes */

#endif
