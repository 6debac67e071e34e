/*
 * A monitor's system calls, any of them with any arguments, in any upcall,
 * against a model written from kernel/abi.h: what a good call answers and does,
 * that a bad one is answered and changes nothing, and that SYS_FINISH fails the
 * VM exactly when it does not fit. The world is made once; each input begins
 * with the vCPU as it was then.
 */
// SOURCES-OF: tests/unit/test_syscall.c
// LIBS: -lcmocka
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 15000
// MAX_LEN: 160
#include "fuzz.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "arch/log.h"
#include "fake_log.h"
#include "kernel/control_regs.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

#define CALLS 8

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct vcpu *v;
static struct {
	struct vcpu vcpu;
	struct vm vm;
	struct world_area area;
	struct hw_fake hw;
} saved;

static struct request {
	u64 nr, a, b, c, r10;
} calls[CALLS + 1];
static u32 call_count;

/* All that a call could change. */
struct shot {
	struct world_area area;
	struct lapic lapic;
	struct hv_vcpu hv;
	bool nmi, extint, stop, ended, timer_set;
	u64 timer, written;
	enum vm_end end;
	u32 end_code, logs, rx_head, rx_tail;
};
static struct shot before;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion of world.c is a crash */
	world_setup(16);
	world_boot();
	world_start(0);
	v = world.v;
	saved.vcpu = *v;
	saved.vm = *v->vm;
	saved.area = *world_area(v);
	saved.hw = hw;
	return 0;
}

static void restore(void)
{
	struct timer_queue *q = &this_percpu()->timers;

	hw = saved.hw;
	timer_cancel(q, &v->monitor_timer);
	timer_cancel(q, &v->lapic_timer);
	timer_cancel(q, &v->nudge);
	*v = saved.vcpu;
	*v->vm = saved.vm;
	*world_area(v) = saved.area;
	percpus[hw.cpu].vcpu = v;
	hw.fpu[hw.cpu] = v->fpu;
	world_forget();
}

static struct shot take(void)
{
	struct shot s;

	memset(&s, 0, sizeof(s));
	s.area = *world_area(v);
	s.lapic = v->lapic;
	s.hv = v->hv;
	s.nmi = v->nmi_pending;
	s.extint = v->extint;
	s.stop = v->stop_asked;
	s.ended = v->ended;
	s.timer_set = timer_is_set(&v->monitor_timer);
	s.timer = v->monitor_timer.deadline;
	s.written = v->vm->port.written;
	s.rx_head = v->vm->port.rx_head;
	s.rx_tail = v->vm->port.rx_tail;
	s.end = v->vm->end;
	s.end_code = v->vm->end_code;
	s.logs = fake_log_count[LOG_INFO];
	return s;
}

/* ------------------------------------------------------------ the model */

#define NOT_FOLLOWED 1000 /* a call that came after this model */

static bool state_fits(const struct abi_state *s)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	u64 width = s->efer & EFER_LMA ? v->vm->page->phys_bits : 32;
	u64 cr3 = s->cr3;

	if (s->efer & EFER_LMA && s->cr4 & CR4_PCIDE)
		cr3 &= ~BIT(63);
	return !(s->cr0 >> 32) && (!(s->cr0 & CR0_PG) || s->cr0 & CR0_PE) &&
	       (!(s->cr0 & CR0_NW) || s->cr0 & CR0_CD) && !(s->cr4 & ~t->cr4) &&
	       !(s->efer & ~(t->efer | EFER_LMA)) && !(s->dr6 >> 32) && !(s->dr7 >> 32) &&
	       s->cr8 < 16 && !(cr3 >> width);
}

static s64 expected(const struct request *r)
{
	u32 mode = r->b >> 8 & 7;

	switch (r->nr) {
	case ABI_SYS_GET_STATE: return ABI_OK;
	case ABI_SYS_SET_STATE:
		if (v->upcall != ABI_UP_START)
			return ABI_EPERM;
		return state_fits(&v->page->state) ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_LOG: return r->a <= 256 ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_CONSOLE_WRITE: return r->b <= 8 ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_CONSOLE_READ: return MIN(before.rx_head - before.rx_tail, 8u);
	case ABI_SYS_TIMER: return ABI_OK;
	case ABI_SYS_MSI:
		if (r->a < 0xfee00000 || r->a > 0xfeefffff || r->b > 0xffffffff)
			return ABI_EINVAL;
		if (mode == 3 || mode == 6) /* checked only if somebody is addressed */
			return lapic_match(&v->lapic, r->a >> 12 & 0xff, r->a & 4, false)
				       ? ABI_EINVAL
				       : ABI_OK;
		return ABI_OK;
	case ABI_SYS_EXTINT: return r->a <= 1 ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_NMI: return r->a < v->vm->vcpu_count ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_LAPIC_READ: return r->a < 4096 ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_LAPIC_WRITE: return r->a < 4096 && r->b <= 0xffffffff ? ABI_OK : ABI_EINVAL;
	case ABI_SYS_STOP:
		if (r->a >= ABI_STOP_COUNT || r->b > 0xffffffff)
			return ABI_EINVAL;
		if (v->upcall == ABI_UP_PEEK && v->dump.ended)
			return ABI_EPERM; /* it has an end already */
		return r->a == ABI_STOP_UNHEARD && !v->vm->told_to_stop ? ABI_EPERM : ABI_OK;
	default: return r->nr < ABI_SYSCALL_COUNT ? NOT_FOLLOWED : ABI_ENOSYS;
	}
}

/* How a VM has ended, by the reason its monitor gives. */
static const enum vm_end ends[ABI_STOP_COUNT] = {
	[ABI_STOP_POWEROFF] = VM_END_POWEROFF,	   [ABI_STOP_RESET] = VM_END_RESET,
	[ABI_STOP_DEBUG_EXIT] = VM_END_DEBUG_EXIT, [ABI_STOP_BAD_IMAGE] = VM_END_BAD_IMAGE,
	[ABI_STOP_EMULATION] = VM_END_EMULATION,   [ABI_STOP_WATCHDOG] = VM_END_WATCHDOG,
	[ABI_STOP_UNHEARD] = VM_END_STOPPED,
};

/* What good calls have done. Fields that are set to .before's were accounted for. */
static void check_effect(const struct request *r, struct shot *now)
{
	switch (r->nr) {
	case ABI_SYS_LOG:
		FUZZ_CHECK(now->logs <= before.logs + 1); /* the rate is limited */
		for (const char *p = fake_log_text; *p; p++)
			FUZZ_CHECK(*p >= ' ' && *p <= '~');
		FUZZ_CHECK(strlen(fake_log_text) <= 256 + 8);
		now->logs = before.logs;
		break;
	case ABI_SYS_CONSOLE_WRITE:
		FUZZ_CHECK(now->written == before.written + r->b);
		now->written = before.written;
		break;
	case ABI_SYS_CONSOLE_READ:
		FUZZ_CHECK(now->rx_head == before.rx_head && now->rx_tail <= now->rx_head);
		now->rx_tail = before.rx_tail;
		break;
	case ABI_SYS_TIMER:
		FUZZ_CHECK(now->timer_set == (r->a != ~0ull));
		if (now->timer_set) /* never before the time that was asked for */
			FUZZ_CHECK(now->timer >= v->vm->tsc_start &&
				   now->timer >= time_ticks(r->a));
		now->timer_set = before.timer_set;
		now->timer = before.timer;
		break;
	case ABI_SYS_MSI:
	case ABI_SYS_LAPIC_READ:
	case ABI_SYS_LAPIC_WRITE:
		if (r->nr != ABI_SYS_LAPIC_READ && (r->b >> 8 & 7) == LAPIC_MODE_NMI)
			before.nmi |= now->nmi; /* if it was addressed; by ICR, too */
		if (r->nr != ABI_SYS_MSI || (r->b >> 8 & 7) != LAPIC_MODE_NMI)
			now->lapic = before.lapic;
		now->hv.tpr = before.hv.tpr;
		break;
	case ABI_SYS_EXTINT:
		FUZZ_CHECK(now->extint == r->a);
		now->extint = before.extint;
		break;
	case ABI_SYS_NMI:
		FUZZ_CHECK(now->nmi);
		now->nmi = before.nmi;
		break;
	case ABI_SYS_STOP:
		FUZZ_CHECK(now->stop && !now->ended);
		now->logs = before.logs; /* a crash leaves its record there */
		if (!before.stop) {
			FUZZ_CHECK(now->end == ends[r->a] && now->end_code == r->b);
		} else { /* the first one counts */
			FUZZ_CHECK(now->end == before.end && now->end_code == before.end_code);
		}
		now->stop = before.stop;
		now->end = before.end;
		now->end_code = before.end_code;
		break;
	case ABI_SYS_SET_STATE:
		FUZZ_CHECK(now->hv.rip == v->page->rip && (now->hv.rflags & ~1ull) == 2);
		FUZZ_CHECK(!!(now->area.s.efer & EFER_LMA) ==
			   (now->area.s.cr0 & CR0_PG && now->area.s.efer & EFER_LME));
		now->hv = before.hv;
		now->area = before.area;
		now->lapic = before.lapic;
		break;
	}
}

static void verify(u32 i)
{
	s64 want = expected(&calls[i]), got = (s64)v->uctx.gpr[HV_RAX];
	struct shot now = take();

	if (want == NOT_FOLLOWED)
		return;
	FUZZ_CHECK(got == want);
	if (got >= 0)
		check_effect(&calls[i], &now);
	now.hv.exit = before.hv.exit;
	FUZZ_CHECK(memcmp(&now, &before, sizeof(now)) == 0);
	FUZZ_CHECK(!now.ended);
}

static const struct fuzz_in *left;

/* Runs as the monitor is about to make call world.call_next - 1. */
static void next_call(struct vcpu *vcpu)
{
	u32 i = world.call_next - 1;
	struct fuzz_in *in = (struct fuzz_in *)left;

	if (i)
		verify(i - 1);
	if (calls[i].nr == ABI_SYS_LOG)
		fuzz_bytes(in, v->page->log,
			   sizeof(v->page->log) < in->n / 4 ? sizeof(v->page->log) : in->n / 4);
	if (calls[i].nr == ABI_SYS_SET_STATE) {
		struct abi_state *s = &v->page->state;

		memset(s, 0, sizeof(*s));
		s->cr0 = fuzz_u32(in);
		s->cr4 = fuzz_u32(in) & (fuzz_u8(in) & 1 ? ~0ull : v->vm->cpuid.cr4);
		s->efer = fuzz_u16(in) & (fuzz_u8(in) & 1 ? ~0ull : v->vm->cpuid.efer);
		s->cr3 = fuzz_u8(in) & 1 ? fuzz_u64(in) : fuzz_u32(in);
		s->cr8 = fuzz_u8(in) % 20;
		s->dr6 = fuzz_u8(in) & 1 ? fuzz_u64(in) : 0;
		s->dr7 = fuzz_u8(in) & 1 ? fuzz_u64(in) : 0;
		v->page->rip = fuzz_u64(in);
		v->page->rflags = fuzz_u32(in);
	}
	vcpu->uctx.gpr[HV_R10] = calls[i].r10;
	if (i == call_count) /* what follows, another upcall perhaps, is not looked at */
		vcpu_request(vcpu, VCPU_REQ_LEAVE);
	before = take();
}

/* ------------------------------------------------------------- SYS_FINISH */

static const char *const upcall_names[] = {
#define X(name) #name,
	ABI_UPCALLS(X)
#undef X
};
static const char *const finish_names[] = {
#define X(name) #name,
	ABI_FINISHES(X)
#undef X
};

/* From the comments of ABI_UPCALLS; what an instruction caused may also be tried again. */
static const struct {
	const char *upcall, *ends;
} fitting[] = {
	{ "START", " NONE REGS " },
	{ "EVENT", " NONE " },
	{ "PIO_IN", " NONE IN FAULT " },
	{ "PIO_OUT", " NONE OUT FAULT " },
	{ "PIO_STRING", " NONE REGS FAULT " },
	{ "MMIO", " NONE REG REGS FAULT LAPIC_READ LAPIC_WRITE " },
	{ "CR", " NONE CR REG REGS FAULT " },
	{ "DR", " NONE DR REG FAULT " },
	{ "RDMSR", " MSR FAULT " },
	{ "WRMSR", " MSR FAULT " },
	{ "INTACK", " INTACK " },
	{ "EOI", " NONE " },
	{ "PEEK", " PEEK " },
};

/* What fits; NULL: the model does not know this upcall. */
static const char *ends_of(u32 upcall)
{
	for (u32 i = 0; i < ARRAY_SIZE(fitting); i++)
		if (strcmp(fitting[i].upcall, upcall_names[upcall]) == 0)
			return fitting[i].ends;
	return NULL;
}

static bool kind_fits(u32 upcall, u64 kind)
{
	char word[32];

	if (kind >= ARRAY_SIZE(finish_names))
		return false;
	snprintf(word, sizeof(word), " %s ", finish_names[kind]);
	return strstr(ends_of(upcall), word);
}

static bool finish_fits(u32 upcall, const struct request *r)
{
	u64 kind = r->a, a = r->b, b = r->c, c = r->r10;

	if (!kind_fits(upcall, kind))
		return false;
	switch (kind) {
	case ABI_FIN_REG: return a <= 16 && c <= 15;
	case ABI_FIN_REGS: return a <= 15;
	case ABI_FIN_CR: return a <= 15 && c <= 15;
	case ABI_FIN_DR: return a <= 7 && a != 4 && a != 5 && c <= 15;
	case ABI_FIN_FAULT: return a <= 31 && a != 2 && b <= 0xffffffff;
	case ABI_FIN_INTACK: return a <= 256;
	case ABI_FIN_PEEK: return a <= sizeof(v->page->log);
	case ABI_FIN_LAPIC_READ: return a < 4096 && b <= 16 && c <= 15;
	case ABI_FIN_LAPIC_WRITE: return a < 4096 && b <= 0xffffffff && c <= 15;
	default: return true;
	}
}

static u64 argument(struct fuzz_in *in)
{
	static const u64 edge[] = { 0,	   1,	       8,	   9,	       15,	   16,
				    17,	   255,	       256,	   257,	       4095,	   4096,
				    ~0ull, 1ull << 32, 0xfee00000, 0xfeeff004, 0xffffffff, 31 };
	u8 how = fuzz_u8(in);

	if (how < 2 * ARRAY_SIZE(edge))
		return edge[how / 2];
	return how & 1 ? fuzz_u64(in) : fuzz_u16(in) << (how & 0x40 ? 4 : 0);
}

static void make_calls(struct fuzz_in *in)
{
	u32 n = 1 + fuzz_below(in, CALLS);

	call_count = n;
	for (u32 i = 0; i < n; i++) {
		u8 nr = fuzz_u8(in);

		calls[i] = (struct request){ .nr = 1 + nr % (ABI_SYSCALL_COUNT - 1) };
		if (nr >= 250)
			calls[i].nr = ABI_SYSCALL_COUNT + fuzz_u64(in) % (~0ull - 64);
		calls[i].a = argument(in);
		calls[i].b = argument(in);
		if (calls[i].nr == ABI_SYS_MSI && nr & 1) { /* mostly good ones */
			calls[i].a = 0xfee00000 | (calls[i].a & 0xfffff);
			calls[i].b &= 0xffff;
		}
		if (calls[i].nr == ABI_SYS_STOP && nr & 1)
			calls[i].a %= ABI_STOP_COUNT;
	}
	calls[n] = (struct request){ ABI_SYS_FINISH, fuzz_u8(in) % (ABI_FINISH_COUNT + 1),
				     argument(in), argument(in), argument(in) };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 upcall = fuzz_below(&in, ABI_UPCALL_COUNT);
	bool stopped, fits, peek_ended = false;
	enum vcpu_leave why;
	u8 how;

	if (!ends_of(upcall))
		return 0;
	restore();
	v->hv.exit = (struct hv_exit){ .reason = HV_EXIT_INTR, .insn_len = 2 };
	if (upcall == ABI_UP_PIO_IN || upcall == ABI_UP_PIO_OUT)
		v->hv.exit.pio.size = (u8)(1u << fuzz_below(&in, 3));
	v->vm->port.rx_tail = 0;
	v->vm->port.rx_head = fuzz_below(&in, 20);
	how = fuzz_u8(&in);
	v->vm->told_to_stop = how & 1; /* the administrator pressed a button */
	if (upcall == ABI_UP_PEEK) {
		v->dump_state = DUMP_ASKED;
		v->dump.ended = peek_ended = how & 2; /* of a VM that is only kept */
	}
	make_calls(&in);
	left = &in;
	fits = finish_fits(upcall, &calls[call_count]);
	vcpu_upcall(v, upcall);
	for (u32 i = 0; i <= call_count; i++)
		world.calls[world.call_count++] =
			(struct world_call){ USER_SYSCALL, calls[i].nr, calls[i].a,
					     calls[i].b,   calls[i].c,	next_call };
	hw.cpu = v->cpu;
	why = vcpu_run(v);
	FUZZ_CHECK(world.call_next == call_count + 1); /* all were made */
	stopped = before.stop;
	if (!fits) {
		FUZZ_CHECK(why == VCPU_LEAVE_ENDED && v->vm->end == VM_END_MONITOR);
		FUZZ_CHECK(world.entry_count == 0); /* nothing says how to go on */
	} else if (stopped || peek_ended) {
		FUZZ_CHECK(why == VCPU_LEAVE_ENDED && v->vm->end != VM_END_MONITOR);
	} else {
		FUZZ_CHECK(why == VCPU_LEAVE_WORK && !v->upcall_active);
		FUZZ_CHECK(v->hv.rflags & 2 && !(v->hv.rflags >> 22));
	}
	if (upcall == ABI_UP_PEEK && fits) {
		FUZZ_CHECK(v->dump_state == DUMP_DONE && v->dump.stack_len == calls[call_count].b);
		FUZZ_CHECK(memcmp(v->dump.bytes, v->page->log, v->dump.stack_len) == 0);
	} else if (upcall == ABI_UP_PEEK) { /* nobody waits for it */
		FUZZ_CHECK(v->dump_state == DUMP_IDLE);
	}
	return 0;
}
