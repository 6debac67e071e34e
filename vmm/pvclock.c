/*
 * KVM's paravirtual clock, MSRs 0x4B564D00/01 and their older numbers. Guest
 * time and guest TSC are both linear in the host's TSC with factors that are
 * fixed for the VM's life, so one structure, written at registration, stays
 * true until the guest moves its TSC: it counts from guest time 0. No lock:
 * upcalls of a VM never overlap.
 */
#include "vmm/pvclock.h"

#include "vmm/vm.h"

#define MSR_WALL_OLD 0x11u
#define MSR_SYSTEM_OLD 0x12u
#define MSR_WALL 0x4b564d00u
#define MSR_SYSTEM 0x4b564d01u

#define SYSTEM_ENABLE 0x1u
#define FLAG_STABLE 0x1u /* all vCPUs' clocks agree */

struct pvclock_time { /* struct pvclock_vcpu_time_info */
	u32 version;  /* odd: being changed */
	u32 pad;
	u64 tsc_timestamp; /* guest TSC at .system_time */
	u64 system_time;   /* ns */
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 flags;
	u8 pad2[2];
};

struct pvclock_wall { /* at system time 0 */
	u32 version;
	u32 sec, nsec;
};

_Static_assert(sizeof(struct pvclock_time) == 32, "the guest's layout");
_Static_assert(sizeof(struct pvclock_wall) == 12, "the guest's layout");

static u64 wall_msr;
static u64 system_msr[ABI_MAX_VCPUS];

/*
 * Copies a structure that begins with a version into guest RAM, the version
 * odd meanwhile. Nothing happens if it does not lie wholly in RAM.
 */
static void publish(gpa_t gpa, void *data, u32 size)
{
	u8 *p = guest_ptr(gpa, size);
	volatile u32 *version = (volatile u32 *)(void *)p;
	u32 old;

	if (!p)
		return;
	old = *version & ~1u;
	*(u32 *)data = old + 1;
	*version = old + 1;
	__asm__ volatile("" ::: "memory"); /* stores stay in order on x86 */
	memcpy(p, data, size);
	__asm__ volatile("" ::: "memory");
	*version = old + 2;
}

static void write_wall(gpa_t gpa)
{
	struct pvclock_wall wall = {
		.sec = (u32)vm->wall_base,
		.nsec = vm->wall_nsec,
	};

	publish(gpa, &wall, sizeof(wall));
}

static void write_system(u64 msr)
{
	gpa_t gpa = msr & ~(u64)SYSTEM_ENABLE;
	struct pvclock_time time = {
		.tsc_timestamp = vm->tsc_base + vm->tsc_offset,
		.tsc_to_system_mul = vm->tsc_mul,
		.tsc_shift = (signed char)vm->tsc_shift,
		.flags = FLAG_STABLE,
	};

	if (msr & SYSTEM_ENABLE && !(msr & 2))
		publish(gpa, &time, sizeof(time));
}

static u32 slot(void)
{
	return vcpu->id % ABI_MAX_VCPUS;
}

void pvclock_init(void)
{
	wall_msr = 0;
	memset(system_msr, 0, sizeof(system_msr));
}

void pvclock_tsc_moved(void)
{
	write_system(system_msr[slot()]);
}

bool pvclock_rdmsr(u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_WALL:
	case MSR_WALL_OLD: *value = wall_msr; return true;
	case MSR_SYSTEM:
	case MSR_SYSTEM_OLD: *value = system_msr[slot()]; return true;
	default: return false;
	}
}

bool pvclock_wrmsr(u32 msr, u64 value)
{
	switch (msr) {
	case MSR_WALL:
	case MSR_WALL_OLD:
		wall_msr = value;
		if (!(value & 3))
			write_wall(value);
		return true;
	case MSR_SYSTEM:
	case MSR_SYSTEM_OLD:
		system_msr[slot()] = value;
		write_system(value);
		return true;
	default: return false;
	}
}
