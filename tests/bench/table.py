"""What others need on the same emulated machine, and what Bulkhead aims at.

Peers: QEMU 7.2 TCG counting instructions, everything executed below the guest
for one exit and its handling, loop overhead (5 to 7) included; Debian 12's
Linux KVM 6.1 (with QEMU as its user space) and Xen 4.17 (PVH). None: no such
thing there.
"""

# name of the exit: (title, KVM, Xen, aim). The names are tests/guests/exitcost.c's.
EXITS = {
    "cpuid": ("CPUID", 2622, 2665, 200),
    "hypercall": ("hypercall", 2772, 2791, 200),
    "rdmsr_apic_base": ("RDMSR APIC_BASE", 2697, 2574, 200),
    "wrmsr_tsc_adjust": ("WRMSR TSC_ADJUST", 3251, 2738, 200),
    "in_pic": ("IN from the PIC (0x21)", 1689, 1189, 450),
    "in_pm_timer": ("IN from the PM timer", 5477, 1189, 450),
    "in_cf8": ("IN 0xcf8", 5336, 968, 450),
    "out_port80": ("OUT 0x80", None, None, 450),
    "lapic_read": ("LAPIC MMIO read", 3635, 4949, 800),
    "lapic_eoi": ("LAPIC MMIO EOI write", 3663, 5746, 800),
    "ioapic_read": ("IOAPIC MMIO read", 3816, 4672, 800),
}

# Debian's cloud kernel to userspace, in instructions, as a ratio to bare:
# (KVM with QEMU, aim)
BOOT = {"quiet": (1.09, 1.10), "verbose": (1.46, 1.15)}

# What both vendors share of an exit: VT-x to AMD-V, either way
SHARED_AIM = 1.15

IMAGE_AIM = 400 * 1024  # bytes of BOOTX64.EFI
VM_AIM = 512 * 1024  # bytes of hypervisor memory for a VM with one vCPU
