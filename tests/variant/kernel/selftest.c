/*
 * `selftest` of the test variant: tries in ring 0 what the processor and the
 * page tables must prevent, and looks through all page tables for what they
 * must not hold. CPU 0; control registers of all CPUs.
 */
#include "arch/apic.h"
#include "arch/frames.h"
#include "arch/kmap.h"
#include "arch/layout.h"
#include "arch/mmu.h"
#include "arch/trap.h"
#include "arch/user.h"
#include "arch/x86.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "kernel/shell_extra.h"
#include "kernel/vm.h"
#include "tests/variant/arch/expect.h"

#define ANY_ERROR ~0ull
#define PTE_ADDR 0x000ffffffffff000ull
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

extern u8 __text_start[], __text_end[], __rodata_start[];

static u32 passed, failed;

static void say(bool ok, const char *what)
{
	shell_printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	if (ok)
		passed++;
	else
		failed++;
}

static void absent(const char *what)
{
	shell_printf("n/a  %s: this processor has no such thing\n", what);
}

/* After TRY(): a page fault with that error code, at that address if not 0? */
static void must_fault(const char *what, u64 error, u64 addr)
{
	int vector = expectation.vector;
	u64 got = expectation.error, cr2 = expectation.cr2;

	say(vector == EXC_PF && (error == ANY_ERROR || got == error) && (!addr || cr2 == addr),
	    what);
	if (vector != EXC_PF || (error != ANY_ERROR && got != error))
		shell_printf("     vector %d error %lx at %lx\n", vector, got, cr2);
}

static void read_faults(const char *what, u64 addr, u64 error)
{
	TRY("movb (%%rax), %%al", addr);
	must_fault(what, error, addr);
}

/* Writes back what is there, so that a hole in the wall does no harm. */
static void write_faults(const char *what, u64 addr, u64 error)
{
	TRY("lock orb $0, (%%rax)", addr);
	must_fault(what, error, addr);
}

static void call_faults(const char *what, u64 addr, u64 error)
{
	TRY("call *%%rax", addr);
	must_fault(what, error, addr);
}

/* ------------------------------------------------------------ the image */

static void try_image(void)
{
	static u8 data[16] = { 0xc3 };
	volatile u8 stack[16] = { 0xc3 };
	u8 *page = kpage_alloc(0);
	u64 fetch = PF_PRESENT | PF_FETCH;

	write_faults("write to the kernel's code", (u64)__text_start, PF_PRESENT | PF_WRITE);
	write_faults("write to the kernel's constants", (u64)__rodata_start, PF_PRESENT | PF_WRITE);
	write_faults("write to code through the direct window",
		     KDIRECT_BASE + kimage_hpa(__text_start), PF_WRITE);
	read_faults("NULL", 0, 0);
	read_faults("identity map", 0x100000, 0);
	if (!cpu_has(CPU_NX)) {
		absent("NX");
		return;
	}
	call_faults("execute the kernel's data", (u64)data, fetch);
	call_faults("execute the kernel's constants", (u64)__rodata_start, fetch);
	call_faults("execute the stack", (u64)stack, fetch);
	if (!page)
		return;
	page[0] = 0xc3;
	call_faults("execute the direct window", (u64)page, fetch);
	kpage_free(page, 0);
}

/* --------------------------------------------------------------- stacks */

static void try_stack(const char *what, u64 top)
{
	u64 base = ALIGN_DOWN(top - 1, KSTACK_SIZE);

	write_faults(what, base - 8, PF_WRITE);
	write_faults("  its other end", top, PF_WRITE);
}

static void try_stacks(void)
{
	for (u32 i = 0; i < cpu_count; i++) {
		shell_printf("CPU %u\n", i);
		try_stack("guard page of its stack", cpus[i].stack_top);
		try_stack("guard page of its NMI stack", cpus[i].tss.ist[IST_NMI - 1]);
		try_stack("guard page of its #DF stack", cpus[i].tss.ist[IST_DF - 1]);
		try_stack("guard page of its #MC stack", cpus[i].tss.ist[IST_MC - 1]);
	}
}

/* ------------------------------------------------- a VM's memory, ring 3's */

static struct vm *running_vm(void)
{
	for (u32 i = 0; i < vms_count; i++)
		if (vms[i].state == VM_RUNNING)
			return &vms[i];
	return NULL;
}

static void try_user_pages(struct vm *vm)
{
	u64 cr3 = read_cr3();

	write_cr3(vm->space.user.root);
	if (cpu_has(CPU_SMEP))
		call_faults("execute the monitor's code in ring 0 (SMEP)", ABI_IMAGE_BASE,
			    PF_PRESENT | PF_FETCH);
	else
		absent("SMEP");
	if (cpu_has(CPU_SMAP)) {
		read_faults("read the monitor's page in ring 0 (SMAP)", ABI_VM_PAGE, PF_PRESENT);
		write_faults("write the monitor's page in ring 0 (SMAP)", ABI_VCPU_PAGE(0),
			     PF_PRESENT | PF_WRITE);
		read_faults("read guest RAM in ring 0 (SMAP)", ABI_GUEST_BASE, PF_PRESENT);
	} else {
		absent("SMAP");
	}
	write_cr3(cr3);
}

static void try_guest_ram(const struct vm *vm)
{
	const struct space *s = &vm->space;
	u32 open = 0;

	for (u32 i = 0; i < s->extent_count; i++)
		for (u64 at = 0; at < s->extents[i].size; at += CHUNK_SIZE) {
			u64 addr = KDIRECT_BASE + s->extents[i].hpa + at;

			TRY("movb (%%rax), %%al", addr);
			open += expectation.vector != EXC_PF;
		}
	for (u32 i = 0; i < s->upage_count; i++) {
		TRY("movb (%%rax), %%al", KDIRECT_BASE + s->upages[i]);
		open += expectation.vector != EXC_PF;
	}
	shell_printf("%s: %u extents, %u pages of its monitor\n", vm->config->name, s->extent_count,
		     s->upage_count);
	say(open == 0, "none of them in the direct window");
}

/* ---------------------------------------------------- all page tables */

struct leaf {
	u64 va, size;
	hpa_t pa;
	bool write, exec, user;
};

static bool owns(const struct space *s, hpa_t pa, u64 size)
{
	for (u32 i = 0; i < s->extent_count; i++)
		if (pa < s->extents[i].hpa + s->extents[i].size && pa + size > s->extents[i].hpa)
			return true;
	for (u32 i = 0; i < s->upage_count; i++)
		if (s->upages[i] >= pa && s->upages[i] < pa + size)
			return true;
	return false;
}

static struct {
	const struct space *of; /* whose tables these are; NULL: the kernel's */
	u32 leaves, both, shared, wrong_half;
} audit;

static void see_leaf(const struct leaf *l)
{
	audit.leaves++;
	audit.both += l->write && l->exec;
	audit.wrong_half += l->user != (l->va >> 47 == 0);
	for (u32 i = 0; i < vms_count; i++)
		if (&vms[i].space != audit.of && vms[i].space.user.root)
			audit.shared += owns(&vms[i].space, l->pa, l->size);
}

/* One level of tables; va: what entry 0 maps. Rights are what all levels grant. */
static void see_table(hpa_t table, u32 level, u64 va, u32 from, u32 to, struct leaf rights)
{
	const u64 *entry = virt_of(table);
	u64 span = PAGE_SIZE << 9 * (level - 1);

	for (u32 i = from; i < to; i++) {
		u64 e = entry[i];
		struct leaf l = {
			.va = va + i * span,
			.size = span,
			.pa = e & PTE_ADDR,
			.write = rights.write && e & BIT(1),
			.user = rights.user && e & BIT(2),
			.exec = rights.exec && !(e & PTE_NX),
		};

		if (!(e & 1))
			continue;
		if (level == 4 && i >= 256)
			l.va |= 0xffff000000000000ull;
		if (level == 1 || e & PTE_PS) {
			l.pa &= ~(span - 1);
			see_leaf(&l);
		} else {
			see_table(l.pa, level - 1, l.va, 0, 512, l);
		}
	}
}

static void audit_tables(const char *whose, hpa_t root, const struct space *of, u32 from, u32 to,
			 bool nested)
{
	struct leaf all = { .write = true, .exec = true, .user = true };

	audit.of = of;
	audit.leaves = audit.both = audit.shared = audit.wrong_half = 0;
	see_table(root, 4, 0, from, to, all);
	shell_printf("%s: %u leaves\n", whose, audit.leaves);
	say(audit.leaves > 0 && audit.shared == 0, "nobody else's memory in them");
	if (nested)
		return; /* a guest may execute what it writes */
	say(audit.both == 0, "nothing both writable and executable");
	say(audit.wrong_half == 0, "ring 3's pages in the lower half only");
}

static void audit_vm(const struct vm *vm)
{
	shell_printf("%s\n", vm->config->name);
	audit_tables("  its monitor's tables", vm->space.user.root, &vm->space, 0, 256, false);
	audit_tables("  its nested tables", vm->space.nested.root, &vm->space, 0, 512, true);
}

/* ---------------------------------------------------- all CPUs' registers */

static u32 right_cpus;

static void look_at_registers(void)
{
	u64 cr4 = read_cr4();
	bool ok = read_cr0() & CR0_WP;

	ok &= !cpu_has(CPU_NX) || rdmsr(MSR_EFER) & EFER_NXE;
	ok &= !cpu_has(CPU_SMEP) || cr4 & CR4_SMEP;
	ok &= !cpu_has(CPU_SMAP) || cr4 & CR4_SMAP;
	ok &= !cpu_has(CPU_UMIP) || cr4 & CR4_UMIP;
	ok &= !(read_rflags() & (RFLAGS_AC | RFLAGS_IF));
	ok &= rdmsr(MSR_KERNEL_GS_BASE) == (u64)this_cpu() || rdmsr(MSR_GS_BASE) == 0;
	__atomic_fetch_add(&right_cpus, ok, __ATOMIC_RELAXED);
}

static void try_registers(void)
{
	static u8 vector;

	right_cpus = 0;
	if (!vector)
		vector = irq_alloc(look_at_registers);
	look_at_registers();
	for (u32 i = 1; i < cpu_count; i++)
		apic_send(cpus[i].apic_id, vector);
	for (u32 i = 0; i < 100 && READ_ONCE(right_cpus) < cpu_count; i++)
		cpu_delay_us(1000);
	shell_printf("WP NX%s%s%s\n", cpu_has(CPU_SMEP) ? " SMEP" : "",
		     cpu_has(CPU_SMAP) ? " SMAP" : "", cpu_has(CPU_UMIP) ? " UMIP" : "");
	say(right_cpus == cpu_count, "on every CPU");
}

void cmd_selftest(int argc UNUSED, char **argv UNUSED)
{
	struct vm *vm = running_vm();

	passed = failed = 0;
	try_registers();
	try_image();
	try_stacks();
	if (vm)
		try_user_pages(vm);
	else
		shell_printf("n/a  no VM runs\n");
	audit_tables("the kernel's tables", kspace_root(), NULL, 0, 512, false);
	for (u32 i = 0; i < vms_count; i++) {
		if (vms[i].state != VM_RUNNING)
			continue;
		try_guest_ram(&vms[i]);
		audit_vm(&vms[i]);
	}
	shell_printf("selftest: %u passed, %u failed\n", passed, failed);
}
