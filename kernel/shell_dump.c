/*
 * dump and trace (docs/admin.md): a VM's vCPUs as numbers. tools/trace.py reads
 * what `trace VM show` prints: keep the two alike. CPU 0 only.
 */
#include "kernel/shell_dump.h"

#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/inspect.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/shell_format.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace.h"

typedef unsigned long long ull;

/* -------------------------------------------------------------------- dump */

static void print_registers(const struct vcpu_dump *d)
{
	static const char names[HV_GPRS][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						"rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
						"r12", "r13", "r14", "r15" };
	const struct hv_state *s = &d->state;
	u32 i;

	shell_printf("  rip %016llx  rflags %08llx\n", (ull)d->rip, (ull)d->rflags);
	for (i = 0; i < HV_GPRS; i++)
		shell_printf("  %s %016llx%s", names[i], (ull)d->gpr[i], i % 3 == 2 ? "\n" : "");
	shell_printf("\n  cr0 %08llx  cr2 %016llx  cr3 %016llx\n", (ull)s->cr0, (ull)s->cr2,
		     (ull)s->cr3);
	shell_printf("  cr4 %08llx  cr8 %llx  efer %llx  dr6 %llx  dr7 %llx\n", (ull)s->cr4,
		     (ull)s->cr8, (ull)s->efer, (ull)s->dr6, (ull)s->dr7);
}

static void print_segments(const struct hv_state *s)
{
	static const char names[HV_SEGS][3] = { "es", "cs", "ss", "ds", "fs", "gs", "ld", "tr" };
	u32 i;

	for (i = 0; i < HV_SEGS; i++)
		shell_printf("  %s %04x base %016llx limit %08x attr %03x\n", names[i],
			     s->seg[i].selector, (ull)s->seg[i].base, s->seg[i].limit,
			     s->seg[i].attr);
	shell_printf("  gdt base %016llx limit %x\n", (ull)s->gdtr_base, s->gdtr_limit);
	shell_printf("  idt base %016llx limit %x\n", (ull)s->idtr_base, s->idtr_limit);
}

static void print_exits(const struct vcpu_dump *d)
{
	u32 i;

	shell_printf("last exits, the newest below\n");
	for (i = 0; i < d->exit_count; i++)
		shell_printf("  %-10s rip %016llx  %x\n", hv_reason_name(d->exits[i].reason),
			     (ull)d->exits[i].rip, d->exits[i].info);
}

/* Two words a line, with their address. */
static void print_stack(const struct vcpu_dump *d)
{
	u64 word;
	u32 i;

	shell_printf("stack\n");
	if (d->stack_len < 8)
		shell_printf("  %016llx: %s\n", (ull)d->stack,
			     d->unread ? "not read, for its monitor has failed" : "not in RAM");
	for (i = 0; i + 8 <= d->stack_len; i += 8) {
		memcpy(&word, d->bytes + i, 8);
		if (i % 16 == 0)
			shell_printf("  %016llx:", (ull)(d->stack + i));
		shell_printf(" %016llx%s", (ull)word, i % 16 || i + 16 > d->stack_len ? "\n" : "");
	}
}

void cmd_dump(int argc UNUSED, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	static struct vcpu_dump d;
	const char *why = NULL;
	u32 i = 0;

	if (!vm)
		return;
	do {
		if (vm_dump(vm, i, &d, &why) != OK) {
			shell_printf("cannot dump %s: %s\n", argv[1], why ? why : "unknown reason");
			return;
		}
		shell_printf("%s: vCPU %u on CPU %u, %s\n", argv[1], i, d.cpu,
			     d.ended	? "ended"
			     : d.halted ? "halted"
					: "in the guest");
		print_registers(&d);
		print_segments(&d.state);
		print_exits(&d);
		print_stack(&d);
	} while (++i < vm_vcpu_count(vm));
}

/* ------------------------------------------------------------------- trace */

static void show_trace(const struct vm *vm, u32 i, const struct trace_info *info)
{
	struct trace_entry e;
	struct vcpu_info c;
	char head[160];
	u64 pos = 0;
	ns_t at;

	vm_vcpu(vm, i, &c);
	str_format(head, sizeof(head),
		   "trace of %s: vCPU %u, CPU %u, %s, %llu exits, the last %u follow", vm_name(vm),
		   i, c.cpu, info->on ? "on" : "off", (ull)info->exits,
		   (u32)MIN(info->exits, (u64)TRACE_SIZE - 1));
	shell_wrap(head, 0, 4);
	while (vm_trace_read(vm, i, &pos, &e, 1)) {
		at = time_delta(e.ticks);
		shell_printf("%6llu.%09llu %-10s %016llx %08x %016llx\n", (ull)(at / 1000000000),
			     (ull)(at % 1000000000), hv_reason_name(e.reason), (ull)e.rip, e.info,
			     (ull)e.rax);
		/* a guest may be faster than this line: no further than it was */
		if (pos >= info->exits)
			break;
	}
	shell_printf("end of trace\n");
}

void cmd_trace(int argc UNUSED, char **argv)
{
	struct vm *vm = shell_find_vm(argv[1]);
	bool on = strcmp(argv[2], "on") == 0;
	struct trace_info info;
	const char *why = NULL;
	char text[128];
	u32 i;

	if (!vm)
		return;
	if (on || strcmp(argv[2], "off") == 0) {
		if (vm_trace(vm, on, &why) == OK)
			shell_printf("trace of %s: %s\n", argv[1], argv[2]);
		else
			shell_printf("cannot trace %s: %s\n", argv[1],
				     why ? why : "unknown reason");
	} else if (strcmp(argv[2], "show") != 0) {
		shell_printf("trace what? on, off or show, not \"%s\"\n", argv[2]);
	} else if (!vm_trace_info(vm, 0, &info)) {
		str_format(text, sizeof(text), "%s has no trace; trace %s on begins one", argv[1],
			   argv[1]);
		shell_wrap(text, 0, 4);
	} else {
		for (i = 0; i < vm_vcpu_count(vm); i++)
			if (vm_trace_info(vm, i, &info))
				show_trace(vm, i, &info);
	}
}
