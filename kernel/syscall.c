/*
 * The monitor's system calls but FINISH (kernel/abi.h). Arguments are checked
 * before anything is done; a bad one is answered and changes nothing. Runs
 * open, on the vCPU's CPU. Every call is bounded.
 */
#include "arch/cpu.h"
#include "arch/log.h"
#include "arch/x86.h"
#include "kernel/control_regs.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "kernel/vm.h"

static s64 sys_get_state(struct vcpu *v)
{
	vcpu_fill_regs(v);
	hv->get_state(&v->hv, (struct hv_state *)&v->page->state);
	return ABI_OK;
}

/* The state is the guest's own, and the processor checks it at VMRUN; only
 * what the kernel itself relies on is checked here. */
static bool state_valid(struct vcpu *v, const struct hv_state *s)
{
	return cr0_valid(s->cr0) && cr4_valid(s->cr4, v->vm->cpuid.cr4) &&
	       efer_valid(0, s->efer & ~EFER_LMA, 0, v->vm->cpuid.efer) && dr_valid(s->dr6) &&
	       dr_valid(s->dr7) && s->cr8 < 16 &&
	       cr3_valid(s->cr3, s->efer, s->cr4, v->vm->page->phys_bits);
}

static s64 sys_set_state(struct vcpu *v)
{
	struct hv_state s;

	if (v->upcall != ABI_UP_START)
		return ABI_EPERM;
	memcpy(&s, &v->page->state, sizeof(s));
	if (!state_valid(v, &s))
		return ABI_EINVAL;
	if ((s.cr0 & CR0_PG) && (s.efer & EFER_LME))
		s.efer |= EFER_LMA;
	else
		s.efer &= ~EFER_LMA;
	s.cr0 = cr0_fixed(s.cr0);
	for (u32 i = 0; i < HV_GPRS; i++)
		v->hv.gpr[i] = v->page->gpr[i];
	v->hv.rip = v->page->rip;
	v->hv.rflags = (v->page->rflags & RFLAGS_CF) | RFLAGS_FIXED;
	lapic_set_cr8(&v->lapic, s.cr8);
	hv->set_state(&v->hv, &s);
	return ABI_OK;
}

static s64 sys_log(struct vcpu *v, u64 len)
{
	char text[sizeof(v->page->log) + 1];

	if (len > sizeof(v->page->log))
		return ABI_EINVAL;
	memcpy(text, v->page->log, len);
	text[len] = 0;
	for (u64 i = 0; i < len; i++) /* one line of plain text, whatever it was */
		if (text[i] < ' ' || text[i] > '~')
			text[i] = text[i] ? '?' : 0;
	if (vm_may_log(v->vm, 1))
		log_info("%s: %s", v->vm->config->name, text);
	return ABI_OK;
}

static s64 sys_console_write(struct vcpu *v, u64 bytes, u64 n)
{
	if (n > sizeof(bytes))
		return ABI_EINVAL;
	console_port_write(&v->vm->port, (const char *)&bytes, (u32)n);
	return ABI_OK;
}

static s64 sys_console_read(struct vcpu *v)
{
	u64 bytes = 0;
	u32 n = console_port_read(&v->vm->port, (char *)&bytes, sizeof(bytes));

	v->uctx.gpr[HV_RDX] = bytes;
	return n || !console_port_break(&v->vm->port) ? n : ABI_CONSOLE_BREAK;
}

static s64 sys_timer(struct vcpu *v, u64 at)
{
	v->monitor_at = at;
	vcpu_set_monitor_timer(v);
	return ABI_OK;
}

/* SDM Vol. 3A "Message signalled interrupts": the address names the
 * destination, the data the vector and mode. */
static s64 sys_msi(struct vcpu *v, u64 address, u64 data)
{
	u32 dest = (address >> 12) & 0xff;
	bool logical = address & BIT(2), level = data & BIT(15);
	u8 vector = (u8)data;

	if (address >> 20 != 0xfee || data >> 32)
		return ABI_EINVAL;
	if (!lapic_match(&v->lapic, dest, logical, false))
		return ABI_OK; /* nobody there: lost, as on a real bus */
	switch ((data >> 8) & 7) {
	case LAPIC_MODE_FIXED:
	case LAPIC_MODE_LOWEST: lapic_deliver(&v->lapic, vector, level); break;
	case LAPIC_MODE_NMI: v->nmi_pending = true; break;
	case LAPIC_MODE_EXTINT:
	case LAPIC_MODE_INIT:
	case LAPIC_MODE_SMI: return ABI_OK; /* not wired on this board */
	default: return ABI_EINVAL;
	}
	vcpu_request(v, VCPU_REQ_EVENT);
	return ABI_OK;
}

static s64 sys_extint(struct vcpu *v, u64 level)
{
	if (level > 1)
		return ABI_EINVAL;
	v->extint = level;
	vcpu_request(v, VCPU_REQ_EVENT);
	return ABI_OK;
}

static s64 sys_nmi(struct vcpu *v, u64 vcpu)
{
	if (vcpu >= v->vm->vcpu_count)
		return ABI_EINVAL;
	v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
	return ABI_OK;
}

static s64 sys_lapic_read(struct vcpu *v, u64 offset)
{
	if (offset >= LAPIC_MMIO_SIZE)
		return ABI_EINVAL;
	v->uctx.gpr[HV_RDX] = 0xffffffff;
	if (lapic_mmio(&v->lapic))
		v->uctx.gpr[HV_RDX] = vcpu_lapic_read(v, (u32)offset, rdtsc());
	return ABI_OK;
}

static s64 sys_lapic_write(struct vcpu *v, u64 offset, u64 value)
{
	if (offset >= LAPIC_MMIO_SIZE || value > 0xffffffff)
		return ABI_EINVAL;
	if (lapic_mmio(&v->lapic))
		vcpu_lapic_effects(v, lapic_write(&v->lapic, (u32)offset, (u32)value,
						  vcpu_guest_tsc(v, rdtsc())));
	return ABI_OK;
}

/* The VM ends when this upcall does; the first reason given counts. */
static s64 sys_stop(struct vcpu *v, u64 why, u64 code)
{
	static const struct {
		enum vm_end end;
		const char *text;
	} ends[ABI_STOP_COUNT] = {
		[ABI_STOP_POWEROFF] = { VM_END_POWEROFF, "powered off" },
		[ABI_STOP_RESET] = { VM_END_RESET, "reset by the guest" },
		[ABI_STOP_DEBUG_EXIT] = { VM_END_DEBUG_EXIT, "debug exit" },
		[ABI_STOP_BAD_IMAGE] = { VM_END_BAD_IMAGE, "guest image refused, see log" },
		[ABI_STOP_EMULATION] = { VM_END_EMULATION, "cannot be emulated, see log" },
		[ABI_STOP_WATCHDOG] = { VM_END_WATCHDOG, "its watchdog has expired" },
		[ABI_STOP_UNHEARD] = { VM_END_STOPPED, "stopped by the administrator" },
	};

	if (why >= ABI_STOP_COUNT || code >> 32)
		return ABI_EINVAL;
	if (why == ABI_STOP_UNHEARD && !__atomic_load_n(&v->vm->told_to_stop, __ATOMIC_ACQUIRE))
		return ABI_EPERM;
	if (v->upcall == ABI_UP_PEEK && v->dump.ended)
		return ABI_EPERM; /* it is over, and kept as it was */
	if (v->stop_asked)
		return ABI_OK;
	v->stop_asked = true;
	if (why == ABI_STOP_UNHEARD)
		v->vm->stop_note = "it does not listen to the power button";
	if (why == ABI_STOP_DEBUG_EXIT)
		vcpu_set_end(v, ends[why].end, (u32)code, "debug exit 0x%x", (u32)code);
	else
		vcpu_set_end(v, ends[why].end, (u32)code, "%s", ends[why].text);
	if (vm_end_failed(ends[why].end))
		crash_record(v);
	return ABI_OK;
}

void vcpu_syscall(struct vcpu *v)
{
	u64 *r = v->uctx.gpr;
	u64 a = r[HV_RDI], b = r[HV_RSI];
	s64 result;

	switch (r[HV_RAX]) {
	case ABI_SYS_GET_STATE: result = sys_get_state(v); break;
	case ABI_SYS_SET_STATE: result = sys_set_state(v); break;
	case ABI_SYS_LOG: result = sys_log(v, a); break;
	case ABI_SYS_CONSOLE_WRITE: result = sys_console_write(v, a, b); break;
	case ABI_SYS_CONSOLE_READ: result = sys_console_read(v); break;
	case ABI_SYS_TIMER: result = sys_timer(v, a); break;
	case ABI_SYS_MSI: result = sys_msi(v, a, b); break;
	case ABI_SYS_EXTINT: result = sys_extint(v, a); break;
	case ABI_SYS_NMI: result = sys_nmi(v, a); break;
	case ABI_SYS_LAPIC_READ: result = sys_lapic_read(v, a); break;
	case ABI_SYS_LAPIC_WRITE: result = sys_lapic_write(v, a, b); break;
	case ABI_SYS_STOP: result = sys_stop(v, a, b); break;
	default: result = ABI_ENOSYS;
	}
	r[HV_RAX] = (u64)result;
}
