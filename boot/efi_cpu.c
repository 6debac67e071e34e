/*
 * Can Bulkhead run here, and which CPUs are there? AMD APM Vol. 2, 15.4 (SVM
 * and its switches); Intel SDM Vol. 3C, 24.6 and 24.7 (VMX and its switches);
 * PI 1.7 Vol. 2, 13.4 (MP services). Each refusal says what is missing and
 * what to do about it.
 */
#include "boot/efi_loader.h"

#include "arch/vmx/caps.h"
#include "arch/x86.h"
#include "kernel/string.h"

#define MEMORY_LEAST MIB(64)

#define CPUID_1_ECX_VMX BIT(5)
#define CPUID_1_ECX_HYPERVISOR BIT(31)
#define CPUID_EXT1_ECX_SVM BIT(2)
#define CPUID_EXT1_EDX_NX BIT(20)
#define CPUID_SVM_EDX_NPT BIT(0)
#define SVM_DISABLED BIT(4) /* VM_CR.SVMDIS */
#define SVM_LOCKED BIT(3)   /* VM_CR.LOCK */

/* Not in gnu-efi's headers. */
struct mp_processor {
	u64 id; /* APIC id */
	u32 status;
	u32 package, core, thread;
	u32 extended[6];
};

struct mp_services {
	EFI_STATUS(EFIAPI *count)(struct mp_services *, UINTN *all, UINTN *enabled);
	EFI_STATUS(EFIAPI *info)(struct mp_services *, UINTN number, struct mp_processor *);
};

#define MP_BSP 1u
#define MP_ENABLED 2u
#define MP_HEALTHY 4u

static EFI_GUID mp_guid = {
	0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
};

static EFI_STATUS no_virtualisation(bool nested)
{
	if (nested)
		return refuse(EFI_UNSUPPORTED, "the hypervisor below shows neither AMD-V nor VT-x; "
					       "switch on nested virtualisation there.");
	return refuse(EFI_UNSUPPORTED, "this CPU has no hardware virtualisation "
				       "(AMD-V or VT-x), or the firmware hides it; look for "
				       "\"SVM mode\", \"VMX\" or \"virtualisation\" in the "
				       "firmware's setup.");
}

static EFI_STATUS amd_check(u32 highest)
{
	u32 r[4] = { 0 };
	u64 vm_cr = rdmsr(MSR_AMD_VM_CR);

	if ((vm_cr & SVM_DISABLED) && (vm_cr & SVM_LOCKED))
		return refuse(EFI_UNSUPPORTED, "the firmware has switched AMD-V off and locked it; "
					       "look for \"SVM mode\" in its setup.");
	if (highest >= 0x8000000a)
		cpuid_count(0x8000000a, 0, r);
	if (!(r[3] & CPUID_SVM_EDX_NPT))
		return refuse(EFI_UNSUPPORTED, "AMD-V has no nested paging (NPT) on this CPU.");
	return EFI_SUCCESS;
}

/* An unlocked IA32_FEATURE_CONTROL is fine: the kernel sets and locks it on each CPU. */
static EFI_STATUS intel_check(void)
{
	struct vmx_controls controls;
	struct vmx_caps caps;
	const char *why;

	if (vmx_locked_off(rdmsr(MSR_FEATURE_CONTROL)))
		return refuse(EFI_UNSUPPORTED,
			      "the firmware has switched VT-x off and locked it; look for "
			      "\"Intel Virtualization Technology\" or \"VMX\" in its setup.");
	vmx_caps_read(&caps);
	if (!vmx_choose_controls(&caps, &controls, &why))
		return refuse(EFI_UNSUPPORTED, "%s.", why);
	return EFI_SUCCESS;
}

EFI_STATUS cpu_check(void)
{
	u32 r[4], highest, features;
	EFI_STATUS status;

	cpuid_count(1, 0, r);
	features = r[2];
	cpuid_count(0x80000000, 0, r);
	highest = r[0];
	memset(r, 0, sizeof(r));
	if (highest >= 0x80000001 && highest < 0x80010000)
		cpuid_count(0x80000001, 0, r);
	if (!(r[2] & CPUID_EXT1_ECX_SVM) && !(features & CPUID_1_ECX_VMX))
		return no_virtualisation(features & CPUID_1_ECX_HYPERVISOR);
	if (!(r[3] & CPUID_EXT1_EDX_NX))
		return refuse(EFI_UNSUPPORTED, "the no-execute bit (NX) is off; "
					       "switch it on in the firmware's setup.");
	status = features & CPUID_1_ECX_VMX ? intel_check() : amd_check(highest);
	if (EFI_ERROR(status))
		return status;
	if (read_cr4() & CR4_LA57)
		return refuse(EFI_UNSUPPORTED, "the firmware uses 5-level paging; "
					       "switch it (\"LA57\") off in the firmware's setup.");
	if (memory_free() < MEMORY_LEAST)
		return refuse(EFI_OUT_OF_RESOURCES,
			      "only %llu MiB of memory are free, %llu needed.",
			      (unsigned long long)(memory_free() >> 20),
			      (unsigned long long)(MEMORY_LEAST >> 20));
	return EFI_SUCCESS;
}

static u32 own_apic_id(void)
{
	u32 r[4];

	cpuid_count(0, 0, r);
	if (r[0] >= 0xb) {
		cpuid_count(0xb, 0, r);
		if (r[1] & 0xffff)
			return r[3];
	}
	cpuid_count(1, 0, r);
	return r[1] >> 24;
}

void cpu_collect(void)
{
	struct boot_info *info = loader.info;
	struct mp_services *mp = NULL;
	UINTN all = 0, enabled = 0;

	info->bsp_apic_id = own_apic_id();
	if (EFI_ERROR(loader.bs->LocateProtocol(&mp_guid, NULL, (void **)&mp)) || !mp ||
	    EFI_ERROR(mp->count(mp, &all, &enabled))) {
		say("The firmware has no MP services: CPUs are taken from ACPI alone");
		return;
	}
	for (UINTN i = 0; i < all; i++) {
		struct mp_processor cpu;

		memset(&cpu, 0, sizeof(cpu));
		if (EFI_ERROR(mp->info(mp, i, &cpu)) || !(cpu.status & MP_ENABLED) ||
		    !(cpu.status & MP_HEALTHY))
			continue;
		if (cpu.status & MP_BSP)
			info->bsp_apic_id = (u32)cpu.id;
		if (info->cpu_count < BOOT_MAX_CPUS)
			info->apic_ids[info->cpu_count++] = (u32)cpu.id;
	}
}
