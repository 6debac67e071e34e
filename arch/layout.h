/*
 * The kernel's half of every address space (canonical upper half).
 *
 * All spaces share the PML4 entries 256..511, so a vCPU runs on its
 * monitor's CR3 with the kernel mapped supervisor-only. The lower half
 * belongs to the monitor and is laid out in kernel/abi.h.
 *
 * The direct window maps ONLY the frames that the kernel owns (page tables,
 * VMCBs, its own structures): guest RAM and monitor memory are never in it.
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#define KDIRECT_BASE 0xffff800000000000ull  /* hpa + this, kernel-owned frames only */
#define KDIRECT_SIZE 0x0000400000000000ull  /* 64 TiB */
#define KMMIO_BASE 0xffffc00000000000ull    /* device registers, uncached; firmware tables */
#define KSTACK_BASE 0xffffd00000000000ull   /* per-CPU stacks with guard pages */
#define KSCRATCH_BASE 0xffffd80000000000ull /* per-CPU 2 MiB slots: scrub and copy */
#define KERNEL_BASE 0xffffffff80000000ull   /* the kernel image (linker.ld) */

/*
 * Stacks are KSTACK_SIZE-aligned blocks; the first 8 bytes of the lowest
 * mapped page hold the struct cpu pointer (see this_cpu()), so per-CPU data
 * never depends on GS, which may hold a guest's value.
 */
#define KSTACK_SIZE 0x4000ull

#endif
