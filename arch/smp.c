/*
 * Starts the application processors one after the other (SDM Vol. 3A 8.4.4):
 * INIT, one start-up IPI, a second one if nothing happens. Each wait is
 * bounded. BSP only, during init. smp_invited names the one CPU that may come
 * now: who finds it taken (too late, or started twice) stops in trampoline.S.
 */
#include "arch/smp.h"
#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/fpu.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/x86.h"

#define SECOND_TRY_MS 20u
#define GIVE_UP_MS 200u

struct trampoline_args {
	u64 table, high, cr3, stack_top, index;
};

extern const u8 trampoline_start[], trampoline_end[], trampoline_args[];
void trampoline_high(void);
void smp_ap_main(void);
extern u32 smp_invited;

/*
 * PML4, PDPT, PD and PT at once: entry 0 leads back here three times, then the
 * trampoline's own page; entry 511 is the kernel image's. So the page needs no
 * further tables.
 */
static u64 table[512] ALIGNED(PAGE_SIZE);
static void (*ap_entry)(void);
static u64 boot_tsc_adjust;
u32 smp_invited; /* index of the CPU that may come now; 0: none. Atomic */

/* Guest time begins on CPU 0 and goes on elsewhere, but firmware may have left the TSCs apart
 * (SDM Vol. 3B, 18.17.3). Where it has not said so, they are taken to be equal. */
static void take_tsc_adjust(const struct cpu *c)
{
	u64 value;

	if (!cpu_has(CPU_TSC_ADJUST) || !rdmsr_safe(MSR_TSC_ADJUST, &value) ||
	    value == boot_tsc_adjust)
		return;
	wrmsr_safe(MSR_TSC_ADJUST, boot_tsc_adjust);
	log_warn("CPU %u: firmware set its TSC apart from CPU 0's by %ld: corrected", c->index,
		 (s64)(value - boot_tsc_adjust));
}

void smp_ap_main(void)
{
	struct cpu *c = this_cpu();

	cpu_init_this(c);
	apic_init_ap();
	fpu_init_cpu();
	take_tsc_adjust(c);
	__atomic_store_n(&c->online, 1, __ATOMIC_RELEASE);
	ap_entry();
	cpu_halt();
}

/* Waits until *word is `value`. */
static bool wait_for(const u32 *word, u32 value, u32 ms)
{
	for (u32 i = 0; i < ms * 10; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
			return true;
		cpu_delay_us(100);
	}
	return false;
}

/* ERR_TIMEOUT: it did not come, and cannot any more. ERR_BUSY: it came, took
 * its stack, and got no further. */
static enum err start_one(const struct cpu *c, u8 page)
{
	u32 index = c->index;

	__atomic_store_n(&smp_invited, index, __ATOMIC_RELEASE);
	if (apic_send_init(c->apic_id)) {
		cpu_delay_us(10000);
		apic_send_startup(c->apic_id, page);
		if (!wait_for(&smp_invited, 0, SECOND_TRY_MS)) {
			apic_send_startup(c->apic_id, page);
			wait_for(&smp_invited, 0, GIVE_UP_MS);
		}
	}
	if (__atomic_compare_exchange_n(&smp_invited, &index, 0, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		apic_send_init(c->apic_id); /* forget the start-up IPI: the page goes away */
		return ERR_TIMEOUT;
	}
	return wait_for(&c->online, 1, GIVE_UP_MS) ? OK : ERR_BUSY;
}

static bool known(u32 apic)
{
	for (u32 i = 0; i < cpu_count; i++) {
		if (cpus[i].apic_id == apic)
			return true;
	}
	return false;
}

static void fill(volatile u8 *to, const void *from, u64 n)
{
	const u8 *p = from;

	for (u64 i = 0; i < n; i++)
		to[i] = p ? p[i] : 0;
}

u32 smp_start(const u32 *apic_ids, u32 n, hpa_t trampoline, void (*entry)(void))
{
	hpa_t table_hpa = kimage_hpa(table);
	volatile u8 *page = kmap_ram(trampoline, PAGE_SIZE);
	u64 args_at = (u64)trampoline_args - (u64)trampoline_start;

	ap_entry = entry;
	cpus[0].online = 1;
	if (cpu_has(CPU_TSC_ADJUST))
		rdmsr_safe(MSR_TSC_ADJUST, &boot_tsc_adjust);
	if (n <= 1)
		return cpu_count;
	if (!page || trampoline == 0 || trampoline >= MIB(1) || trampoline % PAGE_SIZE ||
	    table_hpa >= GIB(4)) {
		log_error("no low memory to start other CPUs from: this one runs alone");
		return cpu_count;
	}
	table[0] = table_hpa | 3;
	table[trampoline / PAGE_SIZE] = trampoline | 3;
	table[511] = kspace_pml4_entry(511);

	for (u32 i = 0; i < n; i++) {
		struct cpu *c = &cpus[cpu_count];
		struct trampoline_args args;
		enum err err;

		if (known(apic_ids[i]))
			continue;
		if (cpu_count == MAX_CPUS) {
			log_warn("more than %u CPUs: the rest stays off", MAX_CPUS);
			break;
		}
		c->index = cpu_count;
		c->apic_id = apic_ids[i];
		if (!c->stack_top && cpu_alloc_stacks(c) != OK) {
			log_error("no memory for the stacks of CPU %u", c->index);
			break;
		}
		args = (struct trampoline_args){ table_hpa, (u64)trampoline_high, kspace_root(),
						 c->stack_top, c->index };
		fill(page, trampoline_start, (u64)trampoline_end - (u64)trampoline_start);
		fill(page + args_at, &args, sizeof(args));
		err = start_one(c, (u8)(trampoline / PAGE_SIZE));
		if (err == OK) {
			cpu_count++;
			continue;
		}
		log_warn("the CPU with APIC id %u does not start", apic_ids[i]);
		if (err == ERR_BUSY)
			break; /* its entry and its stack cannot be used for another */
	}
	fill(page, NULL, PAGE_SIZE);
	fill((volatile u8 *)table, NULL, sizeof(table));
	return cpu_count;
}
