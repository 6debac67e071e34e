/*
 * A monitor's world for host tests: sys.* that record what was called, a
 * settable clock, a VM page, a vCPU page and guest RAM (zeroed, with the real
 * hole below 4 GiB). Link tests/unit/fake/sys_fake.c and vmm/vm.c (and
 * vmm/timer.c, vmm/iomap.c, ... as needed), never vmm/sys.c.
 */
#ifndef TESTS_UNIT_FAKE_SYS_FAKE_H
#define TESTS_UNIT_FAKE_SYS_FAKE_H

#include <setjmp.h>
#include <stdbool.h>

#include "kernel/abi.h"

#define FAKE_MAX 64

struct sys_fake {
	u64 tsc; /* 1 GHz: also guest time in ns while vm.tsc_base is 0 */

	char log[8192]; /* all lines, each with its newline */
	u32 log_lines;

	char out[8192]; /* console output */
	u32 out_len;
	char in[512]; /* console input that waits: set .in and .in_len */
	u32 in_len;
	bool in_break;	  /* a BREAK comes before .in ... */
	bool more_breaks; /* ... and one more, once .in is read */

	u64 timer; /* last sys_timer(), ~0: off */
	u32 timer_calls;

	struct {
		u64 address;
		u32 data;
	} msi[FAKE_MAX]; /* the first FAKE_MAX */
	u32 msi_count;

	bool extint;
	u32 extint_calls;
	u32 nmi_count;
	u32 lapic[1024]; /* by offset / 4 */
	u32 get_state_calls, set_state_calls;

	u32 stop_count; /* sys_stop(): the last one */
	enum abi_stop stop_why;
	u32 stop_code;

	u32 finish_count; /* sys_finish(): the last one */
	enum abi_finish fin;
	u64 a, b, c;
	jmp_buf *finish_to; /* set by SYS_FAKE_UPCALL */
};

extern struct sys_fake fake;
extern struct abi_vm fake_vm;	  /* what vm points to */
extern struct abi_vcpu fake_vcpu; /* what vcpu points to */

/* Everything as new; guest RAM of this size (multiples of 4 KiB), zeroed. */
void sys_fake_reset(u64 ram_low, u64 ram_high);

/* Runs code that ends in sys_finish(); fails the test if it returns. */
#define SYS_FAKE_UPCALL(code) \
	do { \
		jmp_buf sys_fake_env_; \
		fake.finish_to = &sys_fake_env_; \
		if (!setjmp(sys_fake_env_)) { \
			code; \
			sys_fake_no_finish(); \
		} \
		fake.finish_to = NULL; \
	} while (0)

void sys_fake_no_finish(void);

#endif
