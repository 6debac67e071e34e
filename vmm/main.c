/*
 * The monitor: what to do at each upcall (kernel/abi.h). Each handler ends in
 * a SYS_FINISH, so none returns.
 */
#include "vmm/main.h"

#include "vmm/control.h"
#include "vmm/devices.h"
#include "vmm/emulate.h"
#include "vmm/fetch.h"
#include "vmm/ioapic.h"
#include "vmm/iomap.h"
#include "vmm/load.h"
#include "vmm/peek.h"
#include "vmm/pic.h"
#include "vmm/pm.h"
#include "vmm/pvclock.h"
#include "vmm/sys.h"
#include "vmm/timer.h"
#include "vmm/uart.h"
#include "vmm/vm.h"

static NORETURN void do_start(struct abi_vcpu *v)
{
	int err;

	if (vm->version != ABI_VERSION) {
		sys_log("monitor speaks ABI %u, kernel %u", ABI_VERSION, vm->version);
		sys_stop(ABI_STOP_BAD_IMAGE, 0);
		finish_none();
	}
	board_init();
	if (!load_guest(v)) { /* said why */
		sys_stop(ABI_STOP_BAD_IMAGE, 0);
		finish_none();
	}
	err = sys_set_state();
	if (err) {
		sys_log("the kernel refuses the guest's first state (%d)", err);
		sys_stop(ABI_STOP_BAD_IMAGE, 0);
		finish_none();
	}
	sys_finish(ABI_FIN_REGS, 0, 0, 0);
}

static NORETURN void do_event(struct abi_vcpu *v)
{
	(void)v; /* .events was looked at already */
	finish_none();
}

static NORETURN void do_pio_in(struct abi_vcpu *v)
{
	sys_finish(ABI_FIN_IN, iomap_read(IO_PORT, v->port, v->size), 0, 0);
}

static NORETURN void do_pio_out(struct abi_vcpu *v)
{
	iomap_write(IO_PORT, v->port, v->size, v->value);
	sys_finish(ABI_FIN_OUT, 0, 0, 0);
}

static NORETURN void do_rdmsr(struct abi_vcpu *v)
{
	u64 value;

	if (!pvclock_rdmsr(v->msr, &value))
		finish_fault(VEC_GP, 0, 0);
	sys_finish(ABI_FIN_MSR, value, 0, 0);
}

static NORETURN void do_wrmsr(struct abi_vcpu *v)
{
	if (!pvclock_wrmsr(v->msr, v->value))
		finish_fault(VEC_GP, 0, 0);
	sys_finish(ABI_FIN_MSR, 0, 0, 0);
}

static NORETURN void do_intack(struct abi_vcpu *v)
{
	(void)v;
	sys_finish(ABI_FIN_INTACK, pic_ack(), 0, 0);
}

static NORETURN void do_eoi(struct abi_vcpu *v)
{
	ioapic_eoi(v->vector);
	finish_none();
}

typedef void upcall_fn(struct abi_vcpu *v);

static upcall_fn *const handlers[ABI_UPCALL_COUNT] = {
	[ABI_UP_START] = do_start,
	[ABI_UP_EVENT] = do_event,
	[ABI_UP_PIO_IN] = do_pio_in,
	[ABI_UP_PIO_OUT] = do_pio_out,
	[ABI_UP_PIO_STRING] = emulate_pio_string,
	[ABI_UP_MMIO] = emulate_mmio,
	[ABI_UP_CR] = control_cr,
	[ABI_UP_DR] = control_dr,
	[ABI_UP_RDMSR] = do_rdmsr,
	[ABI_UP_WRMSR] = do_wrmsr,
	[ABI_UP_INTACK] = do_intack,
	[ABI_UP_EOI] = do_eoi,
	[ABI_UP_PEEK] = peek,
};

static void do_events(u32 events)
{
	if (events & ABI_EV_TIMER)
		vtimer_run();
	if (events & ABI_EV_CONSOLE)
		uart_console_event();
	if (events & ABI_EV_POWER_BUTTON && !pm_power_button())
		sys_stop(ABI_STOP_UNHEARD, 0);
	if (events & ABI_EV_TSC)
		pvclock_tsc_moved();
}

void upcall(struct abi_vcpu *page)
{
	u32 reason = page->reason;

	vcpu = page;
	if (unlikely(page->events))
		do_events(page->events);
	if (unlikely(reason >= ABI_UPCALL_COUNT))
		sys_fail("unknown upcall %u", reason);
	handlers[reason](page);
}
