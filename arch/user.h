/*
 * Ring 3 as a function call: user_run() enters a monitor and comes back with
 * why it left (AMD APM Vol. 2, 6.1 SYSCALL and SYSRET). The address space is
 * the one that CR3 holds.
 */
#ifndef ARCH_USER_H
#define ARCH_USER_H

#include "arch/offsets.h"
#include "arch/types.h"

/*
 * A ring-3 context. With resume = USER_FRESH an upcall begins at start_rip,
 * on start_rsp, with RDI = start_rdi and every other register zero (RCX and
 * R11 hold RIP and RFLAGS, which it knows). user_run() sets resume for the way
 * back. After USER_FINISH only the call's arguments are kept (RDI RSI RDX
 * R10): such a context cannot be resumed, only started afresh.
 */
struct user_ctx {
	u64 start_rip; /* must be below 1 << 47 */
	u64 start_rsp, start_rdi;
	u64 resume; /* USER_FRESH, USER_SYSRET, USER_IRET */
	u64 rip;    /* checked when resuming */
	u64 rflags;
	u64 gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
};
_Static_assert(offsetof(struct user_ctx, start_rip) == CTX_START_RIP, "entry.S");
_Static_assert(offsetof(struct user_ctx, start_rsp) == CTX_START_RSP, "entry.S");
_Static_assert(offsetof(struct user_ctx, start_rdi) == CTX_START_RDI, "entry.S");
_Static_assert(offsetof(struct user_ctx, rip) == CTX_RIP, "entry.S");
_Static_assert(offsetof(struct user_ctx, rflags) == CTX_RFLAGS, "entry.S");
_Static_assert(offsetof(struct user_ctx, resume) == CTX_RESUME, "entry.S");
_Static_assert(offsetof(struct user_ctx, gpr) == CTX_GPR, "entry.S");

enum user_exit {
	USER_FINISH,  /* system call 0, which ends an upcall; arguments in ctx->gpr */
	USER_SYSCALL, /* any other; number too in ctx->gpr; results go to gpr[0], gpr[2] */
	USER_IRQ,     /* an interrupt came and has been handled; ctx can be resumed */
	USER_FAULT,   /* an exception: user_fault() says which; ctx has the registers */
};

struct user_fault {
	u8 vector;
	u64 error, rip, cr2;
};

/* Interrupts off, host state (VMLOAD) in place, CR3 = the monitor's space. */
enum user_exit user_run(struct user_ctx *ctx);
/* Of this CPU's last USER_FAULT. */
const struct user_fault *user_fault(void);

#endif
