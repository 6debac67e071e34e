/*
 * What is said when a VM crashes: where it stood, what it did last. To the
 * log, and kept in vm->crash for `crash VM`; nothing of guest memory is read.
 */
#include "arch/log.h"
#include "kernel/print.h"
#include "kernel/time.h"
#include "kernel/vm.h"

#define LINES (VCPU_TRACE + 11) /* of the longest record */

/* One line to both; what does not fit into the record is in the log only. */
static void tell(const struct vcpu *v, enum log_level level, const char *fmt, ...) PRINTF(3, 4);
static void tell(const struct vcpu *v, enum log_level level, const char *fmt, ...)
{
	struct vm_crash *c = v->vm->crash;
	char line[192];
	va_list args;
	u32 at, room;
	int n;

	va_start(args, fmt);
	str_vformat(line, sizeof(line), fmt, args);
	va_end(args);
	if (!v->vm->log.quiet)
		log_write(level, "%s: %s", v->vm->config->name, line);
	if (!c)
		return;
	at = MIN(c->len, (u32)sizeof(c->text) - 1);
	room = (u32)sizeof(c->text) - at;
	n = str_format(c->text + at, room, "%s\n", line);
	__atomic_store_n(&c->len, at + MIN((u32)n, room - 1), __ATOMIC_RELEASE);
}

static void last_exits(const struct vcpu *v)
{
	u32 count = v->trace_next < VCPU_TRACE ? v->trace_next : VCPU_TRACE;

	for (u32 i = 0; i < count; i++) {
		const struct exit_record *t =
			&v->trace[(v->trace_next - count + i) & (VCPU_TRACE - 1)];

		tell(v, LOG_INFO, "  exit %-9s at %016lx  %x", hv_reason_name(t->reason), t->rip,
		     t->info);
	}
}

/* Of a monitor that failed: where it stands in its image, vmm/. */
static void monitor_registers(const struct vcpu *v)
{
	const u64 *g = v->uctx.gpr;

	tell(v, LOG_INFO, "monitor, upcall %u: rip %lx rsp %lx rflags %lx", v->upcall, v->uctx.rip,
	     g[HV_RSP], v->uctx.rflags);
	tell(v, LOG_INFO, "  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx", g[HV_RAX],
	     g[HV_RBX], g[HV_RCX], g[HV_RDX], g[HV_RSI], g[HV_RDI], g[HV_RBP]);
}

void crash_record(struct vcpu *v)
{
	const u64 *g = v->hv.gpr;
	struct hv_state s;
	ns_t now;

	if (v->vm->crash)
		v->vm->crash->len = 0;
	v->vm->log.quiet = !vm_may_log(v->vm, LINES);
	now = time_now();
	tell(v, LOG_ERROR, "%s", v->vm->reason);
	tell(v, LOG_INFO, "at %lu.%03lu s, %lu.%03lu s after its start", now / 1000000000,
	     now / 1000000 % 1000, (now - v->vm->started) / 1000000000,
	     (now - v->vm->started) / 1000000 % 1000);
	hv->get_state(&v->hv, &s);
	tell(v, LOG_ERROR, "vCPU %u on CPU %u: rip %016lx rflags %lx", v->id, v->cpu, v->hv.rip,
	     v->hv.rflags);
	tell(v, LOG_INFO, "rax %016lx rbx %016lx rcx %016lx rdx %016lx", g[HV_RAX], g[HV_RBX],
	     g[HV_RCX], g[HV_RDX]);
	tell(v, LOG_INFO, "rsi %016lx rdi %016lx rbp %016lx rsp %016lx", g[HV_RSI], g[HV_RDI],
	     g[HV_RBP], g[HV_RSP]);
	tell(v, LOG_INFO, "r8  %016lx r9  %016lx r10 %016lx r11 %016lx", g[HV_R8], g[HV_R9],
	     g[HV_R10], g[HV_R11]);
	tell(v, LOG_INFO, "r12 %016lx r13 %016lx r14 %016lx r15 %016lx", g[HV_R12], g[HV_R13],
	     g[HV_R14], g[HV_R15]);
	tell(v, LOG_INFO, "cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", s.cr0, s.cr2, s.cr3, s.cr4,
	     s.efer);
	tell(v, LOG_INFO, "cs %x base %lx ss %x gdt %lx idt %lx", s.seg[HV_CS].selector,
	     s.seg[HV_CS].base, s.seg[HV_SS].selector, s.gdtr_base, s.idtr_base);
	last_exits(v);
	if (v->vm->end == VM_END_MONITOR)
		monitor_registers(v);
}
