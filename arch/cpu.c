/*
 * Bringing a processor into the kernel's state: GDT, TSS, IST stacks, IDT,
 * control registers, system-call MSRs (APM Vol. 2 chapters 3, 4, 6, 12), and
 * the CPUID features that we look at. Features are read once, by the BSP.
 */
#include "arch/cpu.h"
#include "arch/hv.h"
#include "arch/kmap.h"
#include "arch/trap.h"
#include "arch/vectors.h"
#include "arch/x86.h"

#define DESC_KCODE 0x00af9b000000ffffull
#define DESC_KDATA 0x00cf93000000ffffull
#define DESC_UDATA 0x00cff3000000ffffull
#define DESC_UCODE 0x00affb000000ffffull
#define DESC_TSS_AVAILABLE 0x89ull

#define PAT_RESET 0x0007040600070406ull
#define IST_PAGES 2
#define STACK_PAGES (KSTACK_SIZE / PAGE_SIZE)

struct cpu cpus[MAX_CPUS];
u32 cpu_count = 1;
u64 tsc_hz;

/* boot/entry.S starts on it; left by cpu_enter(). */
u8 boot_stack[KSTACK_SIZE] ALIGNED(KSTACK_SIZE);

static bool features[CPU_FEATURE_COUNT];
static u32 phys_bits = 36;

void cpu_load_segments(const void *gdt_pointer);
NORETURN void cpu_jump(u64 stack_top, void (*entry)(void));
void syscall_entry(void);
extern u8 boot_stack[KSTACK_SIZE];

static u32 max_leaf(u32 leaf)
{
	u32 r[4];

	cpuid_count(leaf & 0x80000000u, 0, r);
	/* processors without extended leaves answer anything */
	return (r[0] ^ leaf) & 0x80000000u ? 0 : r[0];
}

static void read_features(void)
{
	static const struct {
		u32 leaf, sub;
		u8 reg, bit;
	} where[CPU_FEATURE_COUNT] = {
#define X(name, leaf, sub, reg, bit) { leaf, sub, reg, bit },
		CPU_FEATURES(X)
#undef X
	};
	u32 r[4];

	for (u32 i = 0; i < CPU_FEATURE_COUNT; i++) {
		features[i] = false;
		if (where[i].leaf > max_leaf(where[i].leaf))
			continue;
		/* sub-leaf 1 of 0xD exists only with XSAVE, which comes earlier in the list */
		if (where[i].leaf == 0xd && !features[CPU_XSAVE])
			continue;
		cpuid_count(where[i].leaf, where[i].sub, r);
		features[i] = r[where[i].reg] >> where[i].bit & 1;
	}
	if (!features[CPU_SVM]) {
		for (u32 i = CPU_NPT; i <= CPU_DECODE_ASSISTS; i++)
			features[i] = false;
	}
	if (max_leaf(0x80000008) >= 0x80000008) {
		cpuid_count(0x80000008, 0, r);
		phys_bits = MIN(r[0] & 0xff, 52);
	}
}

bool cpu_has(enum cpu_feature f)
{
	return features[f];
}

u32 cpu_phys_bits(void)
{
	return phys_bits;
}

void cpu_brand(char buf[49])
{
	u32 r[4];

	for (u32 i = 0; i < 49; i++)
		buf[i] = 0;
	if (max_leaf(0x80000004) >= 0x80000004) {
		for (u32 leaf = 0; leaf < 3; leaf++) {
			cpuid_count(0x80000002 + leaf, 0, r);
			for (u32 i = 0; i < 16; i++)
				buf[leaf * 16 + i] = (char)(r[i / 4] >> (i % 4 * 8));
		}
	} else {
		cpuid_count(0, 0, r);
		for (u32 i = 0; i < 12; i++)
			buf[i] = (char)(r[(const u8[]){ 1, 3, 2 }[i / 4]] >> (i % 4 * 8));
	}
	for (u32 i = 48; i-- > 0 && (buf[i] == ' ' || buf[i] == 0);)
		buf[i] = 0;
}

static void load_tables(struct cpu *c)
{
	u64 base = (u64)&c->tss;
	struct {
		u16 limit;
		u64 base;
	} PACKED p = { sizeof(c->gdt) - 1, (u64)c->gdt };

	c->tss.io_map = sizeof(c->tss);
	c->gdt[0] = 0;
	c->gdt[SEL_KCODE / 8] = DESC_KCODE;
	c->gdt[SEL_KDATA / 8] = DESC_KDATA;
	c->gdt[SEL_UDATA / 8] = DESC_UDATA;
	c->gdt[SEL_UCODE / 8] = DESC_UCODE;
	c->gdt[SEL_TSS / 8] = (sizeof(c->tss) - 1) | (base & 0xffffff) << 16 |
			      DESC_TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	c->gdt[SEL_TSS / 8 + 1] = base >> 32;
	cpu_load_segments(&p);
	trap_load_idt();
}

static void set_control_registers(void)
{
	u64 cr4 = read_cr4() & CR4_LA57; /* cannot change in long mode */
	u64 efer = rdmsr(MSR_EFER);

	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	cr4 |= CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (cpu_has(CPU_PGE))
		cr4 |= CR4_PGE;
	if (cpu_has(CPU_XSAVE))
		cr4 |= CR4_OSXSAVE;
	if (cpu_has(CPU_UMIP))
		cr4 |= CR4_UMIP;
	if (cpu_has(CPU_SMEP))
		cr4 |= CR4_SMEP;
	if (cpu_has(CPU_SMAP))
		cr4 |= CR4_SMAP;
	write_cr4(cr4);
	efer |= EFER_SCE;
	if (cpu_has(CPU_NX))
		efer |= EFER_NXE;
	wrmsr(MSR_EFER, efer);
	if (cpu_has(CPU_PAT))
		wrmsr(MSR_PAT, PAT_RESET);
	write_dr7(0x400);
}

static void set_syscall_msrs(struct cpu *c)
{
	wrmsr(MSR_STAR, (u64)(SEL_KDATA | 3) << 48 | (u64)SEL_KCODE << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_CSTAR, 0); /* no compatibility mode: there is no such code segment */
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT);
	wrmsr(MSR_SYSENTER_CS, 0);
	wrmsr(MSR_SYSENTER_ESP, 0);
	wrmsr(MSR_SYSENTER_EIP, 0);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
	wrmsr(MSR_KERNEL_GS_BASE, (u64)c);
}

void cpu_init_bsp(void)
{
	struct cpu *c = &cpus[0];
	u64 sp;

	c->self = c;
	*(struct cpu **)boot_stack = c;
	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	*(struct cpu **)(sp & ~(KSTACK_SIZE - 1)) = c;
	read_features();
	/* until cpu_init_this(): the middle of the stack that we are on */
	for (u32 i = 0; i < 3; i++)
		c->tss.ist[i] = (u64)boot_stack + KSTACK_SIZE / 2;
	load_tables(c);
	irq_register(VEC_HALT, cpu_halt);
}

enum err cpu_alloc_stacks(struct cpu *c)
{
	c->self = c;
	c->stack_top = kstack_alloc(c, STACK_PAGES);
	if (!c->stack_top)
		return ERR_NOMEM;
	for (u32 i = 0; i < 3; i++) {
		u64 top = kstack_alloc(c, IST_PAGES);

		if (!top)
			return ERR_NOMEM;
		c->tss.ist[i] = top;
	}
	return OK;
}

void cpu_init_this(struct cpu *c)
{
	load_tables(c);
	set_control_registers();
	set_syscall_msrs(c);
}

void cpu_enter(struct cpu *c, void (*entry)(void))
{
	cpu_jump(c->stack_top, entry);
}

void cpu_delay_us(u64 us)
{
	u64 start = rdtsc();
	u64 ticks = us * ((tsc_hz ? tsc_hz : 1000000000) / 1000000);

	while (rdtsc() - start < ticks)
		cpu_pause();
}

void cpu_halt(void)
{
	struct cpu *c = this_cpu();

	cli();
	if (c && hv)
		hv->cpu_off();
	if (c)
		WRITE_ONCE(c->halted, 1);
	for (;;)
		__asm__ volatile("cli\n\thlt" ::: "memory");
}
