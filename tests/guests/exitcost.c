/*
 * What each kind of exit costs: RDTSC around a loop, the empty loop
 * subtracted. Under QEMU's `-icount shift=0` a TSC tick is one instruction,
 * bare or below a hypervisor, so the lines
 *     bench <name> <instructions>
 * can be compared with others'. Values read are checked: a loop on the wrong
 * register looks plausible too.
 */
#include "lib.h"

const char guest_name[] = "exitcost";

#define LOOPS 1000

static u64 empty; /* ticks of LOOPS empty rounds */

/* RAX, RCX, RDX, RSI are set again before each instruction; the empty loop sets them too. */
static u64 last_eax, last_edx;

#define LOOP(insn, eax, ecx, edx, rsi) \
	({ \
		u64 best_ = ~0ull; \
		for (u32 try_ = 0; try_ < 3; try_++) { \
			register u64 n_ asm("r8") = LOOPS; \
			register u64 a_ asm("r9") = (eax); \
			register u64 c_ asm("r10") = (ecx); \
			register u64 d_ asm("r11") = (edx); \
			register u64 s_ asm("rsi") = (rsi); \
			u64 start_ = rdtsc(), took_; \
			asm volatile( \
				"1:\tmov %%r9, %%rax\n\tmov %%r10, %%rcx\n\tmov %%r11, %%rdx\n\t" insn \
				"\n\tdec %%r8\n\tjnz 1b" \
				: "+r"(n_), "=&a"(last_eax), "=&d"(last_edx) \
				: "r"(a_), "r"(c_), "r"(d_), "r"(s_) \
				: "rbx", "rcx", "memory"); \
			took_ = rdtsc() - start_; \
			best_ = took_ < best_ ? took_ : best_; \
		} \
		best_; \
	})

#define BENCH(name, insn, eax, ecx, edx, rsi) \
	do { \
		u64 t_ = LOOP(insn, eax, ecx, edx, rsi); \
		print("bench %s %lu\n", name, t_ > empty ? (t_ - empty + LOOPS / 2) / LOOPS : 0); \
	} while (0)

void guest_main(void)
{
	u32 r[4];
	u64 base = rdmsr(MSR_APIC_BASE);

	empty = LOOP("", 0, 0, 0, 0);
	print("loop overhead %lu\n", empty / LOOPS);
	cpuid(1, 0, r);
	BENCH("cpuid", "cpuid", 1, 0, 0, 0);
	CHECK((u32)last_eax == r[0], "CPUID gave %lx", last_eax);
	TRY("vmmcall", OUT("=a"(r[0])), "a"(0xffff) : "rbx", "rcx", "rdx", "memory");
	if (fault.vector < 0) {
		BENCH("hypercall", "vmmcall", 0xffff, 0, 0, 0);
	} else {
		TRY("vmcall", OUT("=a"(r[0])), "a"(0xffff) : "rbx", "rcx", "rdx", "memory");
		if (fault.vector < 0)
			BENCH("hypercall", "vmcall", 0xffff, 0, 0, 0);
	}
	BENCH("rdmsr_apic_base", "rdmsr", 0, MSR_APIC_BASE, 0, 0);
	CHECK((u32)last_eax == (u32)base, "RDMSR gave %lx", last_eax);
	if (try_rdmsr(MSR_TSC_ADJUST, NULL) < 0)
		BENCH("wrmsr_tsc_adjust", "wrmsr", 0, MSR_TSC_ADJUST, 0, 0);
	pic_mask(0xaaff);
	BENCH("in_pic", "inb %%dx, %%al", 0, 0, 0x21, 0);
	CHECK((u8)last_eax == 0xff, "IN from the PIC gave %lx", last_eax);
	BENCH("out_port80", "outb %%al, %%dx", 0, 0, 0x80, 0);
	BENCH("in_pm_timer", "inl %%dx, %%eax", 0, 0, pm_port, 0);
	outl(0xcf8, 0x80000000);
	BENCH("in_cf8", "inl %%dx, %%eax", 0, 0, 0xcf8, 0);
	CHECK((u32)last_eax == 0x80000000, "IN from 0xcf8 gave %lx", last_eax);
	BENCH("lapic_read", "movl (%%rsi), %%eax", 0, 0, 0, LAPIC_BASE + LAPIC_VERSION);
	CHECK((u32)last_eax == apic_read(LAPIC_VERSION), "LAPIC version %lx", last_eax);
	BENCH("lapic_eoi", "movl %%eax, (%%rsi)", 0, 0, 0, LAPIC_BASE + LAPIC_EOI);
	*(volatile u32 *)IOAPIC_BASE = 1;
	BENCH("ioapic_read", "movl (%%rsi), %%eax", 0, 0, 0, IOAPIC_BASE + 0x10);
	CHECK((last_eax & 0xff) >= 0x11, "IOAPIC version %lx", last_eax);
}
