/*
 * The monitor's system calls (kernel/abi.h), one function each. Host tests
 * link tests/unit/fake/sys_fake.c instead of vmm/sys.c.
 */
#ifndef VMM_SYS_H
#define VMM_SYS_H

#include "kernel/abi.h"
#include "vmm/lib.h"

/* Ends this upcall (enum abi_finish); every path of an upcall leads here. */
NORETURN void sys_finish(enum abi_finish kind, u64 a, u64 b, u64 c);

static inline NORETURN void finish_none(void)
{
	sys_finish(ABI_FIN_NONE, 0, 0, 0);
}

static inline NORETURN void finish_fault(u8 vector, u32 error, u64 cr2)
{
	sys_finish(ABI_FIN_FAULT, vector, error, cr2);
}

/* Logs why, stops the VM with ABI_STOP_EMULATION, ends the upcall. */
NORETURN void sys_fail(const char *fmt, ...) PRINTF(1, 2);

/* Register state <-> vcpu->gpr, rip, rflags, state. set: 0 or an abi_err. */
void sys_get_state(void);
int sys_set_state(void);

/* One line (at most 255 characters) to the host's log, under the VM's name. */
void sys_log(const char *fmt, ...) PRINTF(1, 2);

void sys_console_write(const char *bytes, u32 n); /* any n */
/* -> bytes stored; 0: no more; ABI_CONSOLE_BREAK: none, but a BREAK, and perhaps more. */
u32 sys_console_read(char *bytes, u32 max);
bool sys_console_more(void); /* a BREAK is known to be behind the bytes that it gave */

/* One per VM; used by vmm/timer.c only. at: guest time, ~0: off. */
void sys_timer(ns_t at);

void sys_msi(u64 address, u32 data);
void sys_extint(bool level);
void sys_nmi(u32 vcpu_id);
u32 sys_lapic_read(u32 offset);
void sys_lapic_write(u32 offset, u32 value);

/* The VM ends after this upcall's finish (which the caller still does). */
void sys_stop(enum abi_stop why, u32 code);

/* Not a call, but as much outside a test's reach: the host's RDTSC. */
u64 sys_tsc(void);

#endif
