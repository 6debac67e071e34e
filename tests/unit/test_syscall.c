/*
 * kernel/syscall.c: every system call with good and with bad arguments; a bad
 * one is answered and changes nothing.
 */
// SOURCES: kernel/vcpu.c kernel/events.c kernel/exits*.c kernel/upcall.c kernel/syscall.c kernel/vm*.c
// SOURCES: kernel/space.c kernel/monitor.c kernel/pages*.c kernel/loop.c kernel/control.c
// SOURCES: kernel/restart.c
// SOURCES: kernel/crash.c kernel/time.c kernel/timer.c kernel/lapic*.c kernel/msrs.c
// SOURCES: kernel/cpuid*.c kernel/control_regs.c kernel/console*.c kernel/print.c arch/mmu.c
// SOURCES: arch/svm/svm_exit.c tests/unit/fake/world.c tests/unit/fake/fake_log.c
// SOURCES: tests/unit/fake/fake_panic.c tests/unit/fake/fake_kdirect.c
// SOURCES: kernel/dump.c kernel/trace.c
// FLAGS: -Itests/unit/fake/hw
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/log.h"
#include "arch/x86.h"
#include "fake_log.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "world.h"

#define EINVAL_ ((u64)ABI_EINVAL)
#define EPERM_ ((u64)ABI_EPERM)

static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	world_setup(16);
	world_boot();
	world_start(0);
	v = world.v;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_teardown();
	return 0;
}

/* One call in an EVENT upcall; its RAX. */
static u64 call(u64 nr, u64 a, u64 b, u64 c)
{
	world_forget();
	vcpu_upcall(v, ABI_UP_EVENT);
	world_call(nr, a, b, c);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_run();
	return world.results[0];
}

/* What a bad call must leave alone. */
struct snapshot {
	struct world_area area;
	struct lapic lapic;
	struct hv_vcpu hv;
	bool nmi, extint, stop, ended;
	u64 timer;
	bool timer_set;
	u64 written;
	enum vm_end end;
	u32 logs;
};

static struct snapshot take(void)
{
	struct snapshot s;

	memset(&s, 0, sizeof(s));
	s.area = *world_area(v);
	s.lapic = v->lapic;
	s.hv = v->hv;
	memset(&s.hv.exit, 0, sizeof(s.hv.exit));
	s.nmi = v->nmi_pending;
	s.extint = v->extint;
	s.stop = v->stop_asked;
	s.ended = v->ended;
	s.timer = v->monitor_timer.deadline;
	s.timer_set = timer_is_set(&v->monitor_timer);
	s.written = v->vm->port.written;
	s.end = v->vm->end;
	s.logs = fake_log_count[LOG_INFO];
	return s;
}

static void bad_arguments_change_nothing(void **state)
{
	static const struct {
		u64 nr, a, b, result;
	} bad[] = {
		{ ABI_SYSCALL_COUNT, 0, 0, (u64)ABI_ENOSYS },
		{ ~0ull, 0, 0, (u64)ABI_ENOSYS },
		{ 1ull << 32, 0, 0, (u64)ABI_ENOSYS },
		{ ABI_SYS_SET_STATE, 0, 0, EPERM_ }, /* not in START */
		{ ABI_SYS_LOG, 257, 0, EINVAL_ },
		{ ABI_SYS_LOG, ~0ull, 0, EINVAL_ },
		{ ABI_SYS_CONSOLE_WRITE, 0, 9, EINVAL_ },
		{ ABI_SYS_CONSOLE_WRITE, 0, 1ull << 32, EINVAL_ },
		{ ABI_SYS_MSI, 0, 0x41, EINVAL_ },
		{ ABI_SYS_MSI, 0xfed00000, 0x41, EINVAL_ },
		{ ABI_SYS_MSI, 0x1fee00000, 0x41, EINVAL_ },
		{ ABI_SYS_MSI, 0xfee00000, 1ull << 32 | 0x41, EINVAL_ },
		{ ABI_SYS_MSI, 0xfee00000, 0x341, EINVAL_ }, /* reserved mode */
		{ ABI_SYS_EXTINT, 2, 0, EINVAL_ },
		{ ABI_SYS_EXTINT, ~0ull, 0, EINVAL_ },
		{ ABI_SYS_NMI, 1, 0, EINVAL_ },
		{ ABI_SYS_NMI, ~0ull, 0, EINVAL_ },
		{ ABI_SYS_LAPIC_READ, 4096, 0, EINVAL_ },
		{ ABI_SYS_LAPIC_READ, ~0ull, 0, EINVAL_ },
		{ ABI_SYS_LAPIC_WRITE, 4096, 0, EINVAL_ },
		{ ABI_SYS_LAPIC_WRITE, LAPIC_TPR, 1ull << 32, EINVAL_ },
		{ ABI_SYS_STOP, ABI_STOP_COUNT, 0, EINVAL_ },
		{ ABI_SYS_STOP, ~0ull, 0, EINVAL_ },
		{ ABI_SYS_STOP, ABI_STOP_DEBUG_EXIT, 1ull << 32, EINVAL_ },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct snapshot before = take(), after;

		assert_int_equal(call(bad[i].nr, bad[i].a, bad[i].b, 0), bad[i].result);
		after = take();
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

static void get_state(void **state)
{
	(void)state;
	for (u32 i = 0; i < HV_GPRS; i++)
		v->hv.gpr[i] = 0x300 + i;
	world_area(v)->s.gdtr_base = 0x7777;
	v->hv.dr[2] = 0x2222;
	assert_int_equal(call(ABI_SYS_GET_STATE, 0, 0, 0), ABI_OK);
	for (u32 i = 0; i < HV_GPRS; i++)
		assert_int_equal(v->page->gpr[i], 0x300 + i);
	assert_int_equal(v->page->rip, 0x1000);
	assert_int_equal(v->page->state.gdtr_base, 0x7777);
	assert_int_equal(v->page->state.dr[2], 0x2222);
}

/* SET_STATE belongs to START. */
static u64 set_state(void)
{
	world_forget();
	vcpu_upcall(v, ABI_UP_START);
	world_call(ABI_SYS_SET_STATE, 0, 0, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_run();
	return world.results[0];
}

static void good_state(void)
{
	memset(&v->page->state, 0, sizeof(v->page->state));
	v->page->state.cr0 = CR0_PG | CR0_PE;
	v->page->state.cr4 = CR4_PAE;
	v->page->state.efer = EFER_LME;
	v->page->state.cr3 = 0x9000;
	v->page->state.cr8 = 5;
	v->page->state.seg[ABI_CS] = (struct abi_segment){ 8, 0xa9b, 0xffffffff, 0 };
	v->page->rip = 0x100200;
	v->page->rflags = ~0ull;
	v->page->gpr[ABI_RSI] = 0x90000;
}

static void set_state_is_checked(void **state)
{
	struct hv_state *s = &world_area(v)->s;

	(void)state;
	good_state();
	assert_int_equal(set_state(), ABI_OK);
	assert_int_equal(v->hv.rip, 0x100200);
	assert_int_equal(v->hv.rflags, RFLAGS_CF | RFLAGS_FIXED);
	assert_int_equal(v->hv.gpr[HV_RSI], 0x90000);
	assert_int_equal(s->efer, EFER_LME | EFER_LMA);
	assert_int_equal(s->cr0, CR0_PG | CR0_PE | CR0_ET);
	assert_int_equal(s->seg[HV_CS].attr, 0xa9b);
	assert_int_equal(v->lapic.tpr, 0x50);
	assert_int_equal(v->hv.tpr, 5);

#define BAD(field, value) \
	do { \
		struct world_area before = *world_area(v); \
		good_state(); \
		v->page->state.field = (value); \
		v->page->rip = 0x666; \
		assert_int_equal(set_state(), EINVAL_); \
		assert_memory_equal(&before, world_area(v), sizeof(before)); \
		assert_int_equal(v->hv.rip, 0x100200); \
	} while (0)
	BAD(cr0, CR0_PG);
	BAD(cr0, CR0_PG | CR0_PE | 1ull << 40);
	BAD(cr4, CR4_VMXE);
	BAD(cr4, 1ull << 63);
	BAD(efer, EFER_SVME);
	BAD(efer, 1ull << 20);
	BAD(cr8, 16);
	BAD(dr6, 1ull << 32);
	BAD(dr7, 1ull << 32);
	BAD(cr3, 1ull << 60);
}

static void log_is_one_line_of_text(void **state)
{
	(void)state;
	memset(v->page->log, 'x', sizeof(v->page->log));
	memcpy(v->page->log, "a\nb\033[2Jc%s", 11);
	assert_int_equal(call(ABI_SYS_LOG, 11, 0, 0), ABI_OK);
	assert_string_equal(fake_log_text, "alpha: a?b?[2Jc%s");
	memset(v->page->log, 'x', sizeof(v->page->log));
	assert_int_equal(call(ABI_SYS_LOG, 256, 0, 0), ABI_OK);
	assert_int_equal(strlen(fake_log_text), 7 + 256);
	assert_int_equal(call(ABI_SYS_LOG, 0, 0, 0), ABI_OK);
	assert_string_equal(fake_log_text, "alpha: ");
}

static void log_is_limited(void **state)
{
	u32 before = fake_log_count[LOG_INFO];

	(void)state;
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(call(ABI_SYS_LOG, 1, 0, 0), ABI_OK);
	assert_in_range(fake_log_count[LOG_INFO] - before, VM_LOG_BURST / 2, VM_LOG_BURST);
	/* the other VM has its own */
	assert_int_equal(vms[1].log.used, 0);
	hw.tsc += 2 * tsc_hz;
	before = fake_log_count[LOG_WARN];
	call(ABI_SYS_LOG, 1, 0, 0);
	assert_int_equal(fake_log_count[LOG_WARN] - before, 1); /* "... lines dropped" */
}

static void console_bytes(void **state)
{
	struct console_port *p = &v->vm->port;
	u64 at = p->written;

	(void)state;
	assert_int_equal(call(ABI_SYS_CONSOLE_WRITE, 0x6f6c6c6568, 5, 0), ABI_OK);
	assert_int_equal(p->written, at + 5);
	assert_memory_equal(p->tx + (at & (p->tx_size - 1)), "hello", 5);
	assert_int_equal(call(ABI_SYS_CONSOLE_WRITE, 0, 0, 0), ABI_OK);
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 0);
	memcpy(p->rx, "typed by me", 11);
	p->rx_tail = 0;
	p->rx_head = 11;
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 8);
	assert_memory_equal(&world.results2[0], "typed by", 8);
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 3);
	assert_int_equal(world.results2[0], 'e' << 16 | 'm' << 8 | ' ');
	/* a BREAK between bytes */
	p->rx_tail = 0;
	p->rx_break = true;
	p->rx_break_at = 5;
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 5);
	assert_memory_equal(&world.results2[0], "typed", 5);
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), ABI_CONSOLE_BREAK);
	assert_int_equal(world.results2[0], 0);
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 6);
	assert_int_equal(call(ABI_SYS_CONSOLE_READ, 0, 0, 0), 0);
}

static void the_timer(void **state)
{
	(void)state;
	assert_int_equal(call(ABI_SYS_TIMER, 1000000000, 0, 0), ABI_OK);
	assert_int_equal(v->monitor_timer.deadline, v->vm->tsc_start + tsc_hz);
	hw.tsc = v->vm->tsc_start + tsc_hz;
	world_forget();
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	irq_window();
	assert_int_equal(v->events, ABI_EV_TIMER);
	world_run();
	assert_int_equal(world.reasons[0], ABI_UP_EVENT);
	assert_int_equal(v->page->events, ABI_EV_TIMER);
	/* far away is not now */
	assert_int_equal(call(ABI_SYS_TIMER, ~0ull - 1, 0, 0), ABI_OK);
	assert_true(v->monitor_timer.deadline > hw.tsc + tsc_hz);
	assert_int_equal(call(ABI_SYS_TIMER, ~0ull, 0, 0), ABI_OK);
	assert_false(timer_is_set(&v->monitor_timer));
	/* the past comes at once */
	world_forget();
	vcpu_upcall(v, ABI_UP_EVENT);
	world_call(ABI_SYS_TIMER, 0, 0, 0);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	world_run();
	irq_window();
	assert_int_equal(v->events, ABI_EV_TIMER);
}

static void messages(void **state)
{
	(void)state;
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0x41, 0), ABI_OK);
	assert_int_equal(world.entries[0].inject.vector, 0x41);
	assert_int_equal(call(ABI_SYS_MSI, 0xfeeff000, 0x51, 0), ABI_OK); /* broadcast */
	assert_int_equal(world.entries[0].inject.vector, 0x51);
	assert_int_equal(call(ABI_SYS_MSI, 0xfee07000, 0x61, 0), ABI_OK); /* nobody */
	assert_int_equal(world.entries[0].inject.valid, 0);
	/* level: remembered for the EOI */
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0xc071, 0), ABI_OK);
	assert_int_equal(v->lapic.tmr[0x71 / 32] >> (0x71 % 32) & 1, 1);
	/* NMI */
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0x400, 0), ABI_OK);
	assert_int_equal(world.entries[0].inject.type, HV_EVENT_NMI);
	/* modes that go nowhere here */
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0x500, 0), ABI_OK);
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0x200, 0), ABI_OK);
	assert_int_equal(world.entries[0].inject.valid, 0);
	/* a vector that no interrupt may have is the LAPIC's to note */
	assert_int_equal(call(ABI_SYS_MSI, 0xfee00000, 0x05, 0), ABI_OK);
	assert_int_equal(world.entries[0].inject.valid, 0);
	assert_int_not_equal(v->lapic.esr_pending, 0);
}

static void nmi_and_extint(void **state)
{
	(void)state;
	assert_int_equal(call(ABI_SYS_NMI, 0, 0, 0), ABI_OK);
	assert_int_equal(world.entries[0].inject.type, HV_EVENT_NMI);
	v->hv.rflags &= ~RFLAGS_IF;
	assert_int_equal(call(ABI_SYS_EXTINT, 1, 0, 0), ABI_OK);
	assert_true(v->extint);
	assert_int_equal(world.entries[0].want_window, 1);
	assert_int_equal(call(ABI_SYS_EXTINT, 0, 0, 0), ABI_OK);
	assert_false(v->extint);
	assert_int_equal(world.entries[0].want_window, 0);
}

static void lapic_registers(void **state)
{
	(void)state;
	assert_int_equal(call(ABI_SYS_LAPIC_WRITE, LAPIC_TPR, 0x30, 0), ABI_OK);
	assert_int_equal(world.entries[0].tpr, 3);
	assert_int_equal(call(ABI_SYS_LAPIC_READ, LAPIC_TPR, 0, 0), ABI_OK);
	assert_int_equal(world.results2[0], 0x30);
	v->lapic.apic_base |= 1u << 10; /* x2APIC: no page */
	assert_int_equal(call(ABI_SYS_LAPIC_WRITE, LAPIC_TPR, 0x20, 0), ABI_OK);
	assert_int_equal(v->lapic.tpr, 0x30);
	assert_int_equal(call(ABI_SYS_LAPIC_READ, LAPIC_TPR, 0, 0), ABI_OK);
	assert_int_equal(world.results2[0], 0xffffffff);
}

static void stops(void **state)
{
	static const enum vm_end ends[] = {
		[ABI_STOP_POWEROFF] = VM_END_POWEROFF,	   [ABI_STOP_RESET] = VM_END_RESET,
		[ABI_STOP_DEBUG_EXIT] = VM_END_DEBUG_EXIT, [ABI_STOP_BAD_IMAGE] = VM_END_BAD_IMAGE,
		[ABI_STOP_EMULATION] = VM_END_EMULATION,   [ABI_STOP_UNHEARD] = VM_END_STOPPED,
		[ABI_STOP_WATCHDOG] = VM_END_WATCHDOG,
	};

	(void)state;
	/* what would look like the administrator's doing */
	assert_int_equal(call(ABI_SYS_STOP, ABI_STOP_UNHEARD, 0, 0), ABI_EPERM);
	assert_false(v->stop_asked);
	v->vm->told_to_stop = true;
	for (u32 i = 0; i < ABI_STOP_COUNT; i++) {
		v->ended = v->stop_asked = false;
		world_forget();
		vcpu_upcall(v, ABI_UP_EVENT);
		world_call(ABI_SYS_STOP, i, 0x2a, 0);
		world_call(ABI_SYS_STOP, ABI_STOP_POWEROFF, 7, 0); /* the first one counts */
		world_finish(ABI_FIN_NONE, 0, 0, 0);
		assert_int_equal(world_run(), VCPU_LEAVE_ENDED);
		assert_int_equal(world.results[0], ABI_OK);
		assert_int_equal(v->vm->end, ends[i]);
		assert_int_equal(v->vm->end_code, 0x2a);
	}
	assert_int_equal(world.entry_count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bad_arguments_change_nothing),
		T(get_state),
		T(set_state_is_checked),
		T(log_is_one_line_of_text),
		T(log_is_limited),
		T(console_bytes),
		T(the_timer),
		T(messages),
		T(nmi_and_extint),
		T(lapic_registers),
		T(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
