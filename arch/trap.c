/*
 * Exceptions and interrupts: the IDT, and what happens on each vector (APM
 * Vol. 2 chapter 8). In ring 0 an exception is either foreseen by an extable
 * entry or a bug; in ring 3 it ends user_run(). The handler table is written
 * during init only.
 */
#include "arch/trap.h"
#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/user.h"
#include "arch/vectors.h"
#include "arch/x86.h"

struct idt_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "APM Vol. 2 figure 4-24");
_Static_assert(sizeof(struct trap_frame) == 23 * 8, "entry.S");
_Static_assert(offsetof(struct trap_frame, cs) == 19 * 8, "entry.S");
_Static_assert(USER_FINISH == 0 && USER_SYSCALL == 1, "entry.S");

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */

/* Offsets from their own addresses. */
struct extable_entry {
	s32 from, to;
};

extern const u8 trap_stubs[256][16];
extern const struct extable_entry __start_extable[], __stop_extable[];

void trap_kernel(struct trap_frame *f);
enum user_exit trap_user(struct trap_frame *f);
void trap_ist(struct trap_frame *f);
enum user_exit user_bad_rip(const struct user_ctx *ctx);

static struct idt_gate idt[256] ALIGNED(16);
static irq_fn *handlers[256];
static struct user_fault faults[MAX_CPUS]; /* each its CPU's */

const char *exception_name(u32 vector)
{
	static const char *const names[32] = {
		"#DE divide error",
		"#DB debug",
		"NMI",
		"#BP breakpoint",
		"#OF overflow",
		"#BR bound range",
		"#UD invalid opcode",
		"#NM no coprocessor",
		"#DF double fault",
		NULL,
		"#TS invalid TSS",
		"#NP segment not present",
		"#SS stack fault",
		"#GP protection fault",
		"#PF page fault",
		NULL,
		"#MF x87 error",
		"#AC alignment check",
		"#MC machine check",
		"#XM SIMD error",
		"#VE virtualization",
		"#CP control protection",
	};

	return vector < 32 && names[vector] ? names[vector] : "unknown exception";
}

void trap_load_idt(void)
{
	struct {
		u16 limit;
		u64 base;
	} PACKED p = { sizeof(idt) - 1, (u64)idt };

	for (u32 v = 0; v < 256; v++) {
		u64 stub = (u64)trap_stubs[v];

		idt[v] = (struct idt_gate){
			.offset_low = (u16)stub,
			.selector = SEL_KCODE,
			.ist = v == EXC_NMI  ? IST_NMI
			       : v == EXC_DF ? IST_DF
			       : v == EXC_MC ? IST_MC
					     : 0,
			.type = GATE_INTERRUPT,
			.offset_mid = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" ::"m"(p));
}

void irq_register(u8 vector, irq_fn *fn)
{
	ASSERT(vector >= VEC_DEVICE_FIRST);
	handlers[vector] = fn;
}

u8 irq_alloc(irq_fn *fn)
{
	for (u32 v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
		if (!handlers[v]) {
			handlers[v] = fn;
			return (u8)v;
		}
	}
	return 0;
}

static void irq_dispatch(u32 vector)
{
	irq_fn *fn = handlers[vector];

	if (likely(fn != NULL))
		fn();
	else
		this_cpu()->spurious++;
	/* neither the 8259s nor the spurious vector have a bit in ISR */
	if (vector > VEC_PIC_LAST && vector != VEC_SPURIOUS)
		apic_eoi();
}

static bool fix_up(struct trap_frame *f)
{
	for (const struct extable_entry *e = __start_extable; (u64)e < (u64)__stop_extable; e++) {
		if ((u64)&e->from + (u64)(s64)e->from == f->rip) {
			f->rip = (u64)&e->to + (u64)(s64)e->to;
			return true;
		}
	}
	return false;
}

void trap_kernel(struct trap_frame *f)
{
	if (f->vector >= VEC_EXCEPTIONS) {
		irq_dispatch((u32)f->vector);
		return;
	}
	if (fix_up(f))
		return;
	if (f->vector == EXC_DB) {
		/* a watchpoint that a guest left armed must not hurt the host */
		write_dr7(0x400);
		write_dr6(0xffff0ff0);
		this_cpu()->spurious++;
		return;
	}
	panic_trap(f, "%s in the kernel, error %#llx", exception_name((u32)f->vector),
		   (unsigned long long)f->error);
}

static void save_context(const struct trap_frame *f)
{
	struct user_ctx *ctx = *(struct user_ctx **)this_cpu()->kernel_rsp;

	for (u32 i = 0; i < 16; i++)
		ctx->gpr[i] = f->gpr[i];
	ctx->gpr[4] = f->rsp;
	ctx->rip = f->rip;
	ctx->rflags = f->rflags;
	ctx->resume = USER_IRET;
}

enum user_exit trap_user(struct trap_frame *f)
{
	struct user_fault *u = &faults[this_cpu()->index];
	u64 cr2 = f->vector == EXC_PF ? read_cr2() : 0;

	save_context(f);
	if (f->vector >= VEC_EXCEPTIONS) {
		irq_dispatch((u32)f->vector);
		return USER_IRQ;
	}
	if (f->vector == EXC_DB)
		write_dr6(0xffff0ff0);
	*u = (struct user_fault){ (u8)f->vector, f->error, f->rip, cr2 };
	return USER_FAULT;
}

enum user_exit user_bad_rip(const struct user_ctx *ctx)
{
	faults[this_cpu()->index] = (struct user_fault){ EXC_GP, 0, ctx->rip, 0 };
	return USER_FAULT;
}

const struct user_fault *user_fault(void)
{
	return &faults[this_cpu()->index];
}

void trap_ist(struct trap_frame *f)
{
	if (f->vector == EXC_NMI) {
		if (panic_active())
			cpu_halt();
		this_cpu()->nmis++;
		return;
	}
	panic_trap(f, "%s%s", exception_name((u32)f->vector),
		   f->vector == EXC_DF ? " (a kernel stack's end, or tables gone)" : "");
}
