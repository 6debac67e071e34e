/*
 * What is said when a VM crashes: where it stood, what it did last. To the
 * log; nothing of guest memory is read.
 */
#include "arch/log.h"
#include "kernel/vm.h"

static void last_exits(const struct vcpu *v)
{
	u32 count = v->trace_next < VCPU_TRACE ? v->trace_next : VCPU_TRACE;

	for (u32 i = 0; i < count; i++) {
		const struct vcpu_trace *t =
			&v->trace[(v->trace_next - count + i) & (VCPU_TRACE - 1)];

		log_info("%s:   exit %-9s at %016lx  %x", v->vm->config->name,
			 hv_reason_name(t->reason), t->rip, t->info);
	}
}

/* Of a monitor that failed: where it stands in its image, vmm/. */
static void monitor_registers(const struct vcpu *v)
{
	const char *name = v->vm->config->name;
	const u64 *g = v->uctx.gpr;

	log_info("%s: monitor, upcall %u: rip %lx rsp %lx rflags %lx", name, v->upcall, v->uctx.rip,
		 g[HV_RSP], v->uctx.rflags);
	log_info("%s:   rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx", name, g[HV_RAX],
		 g[HV_RBX], g[HV_RCX], g[HV_RDX], g[HV_RSI], g[HV_RDI], g[HV_RBP]);
}

void crash_record(struct vcpu *v)
{
	const char *name = v->vm->config->name;
	const u64 *g = v->hv.gpr;
	struct hv_state s;

	hv->get_state(&v->hv, &s);
	log_error("%s: vCPU %u on CPU %u: rip %016lx rflags %lx", name, v->id, v->cpu, v->hv.rip,
		  v->hv.rflags);
	log_info("%s: rax %016lx rbx %016lx rcx %016lx rdx %016lx", name, g[HV_RAX], g[HV_RBX],
		 g[HV_RCX], g[HV_RDX]);
	log_info("%s: rsi %016lx rdi %016lx rbp %016lx rsp %016lx", name, g[HV_RSI], g[HV_RDI],
		 g[HV_RBP], g[HV_RSP]);
	log_info("%s: r8  %016lx r9  %016lx r10 %016lx r11 %016lx", name, g[HV_R8], g[HV_R9],
		 g[HV_R10], g[HV_R11]);
	log_info("%s: r12 %016lx r13 %016lx r14 %016lx r15 %016lx", name, g[HV_R12], g[HV_R13],
		 g[HV_R14], g[HV_R15]);
	log_info("%s: cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", name, s.cr0, s.cr2, s.cr3, s.cr4,
		 s.efer);
	log_info("%s: cs %x base %lx ss %x gdt %lx idt %lx", name, s.seg[HV_CS].selector,
		 s.seg[HV_CS].base, s.seg[HV_SS].selector, s.gdtr_base, s.idtr_base);
	last_exits(v);
	if (v->vm->end == VM_END_MONITOR)
		monitor_registers(v);
}
