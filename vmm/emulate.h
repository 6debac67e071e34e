/*
 * Instructions carried out for the guest: accesses to emulated memory, string
 * I/O, and skipping. Each function ends the upcall.
 */
#ifndef VMM_EMULATE_H
#define VMM_EMULATE_H

#include "kernel/abi.h"
#include "vmm/lib.h"

NORETURN void emulate_mmio(struct abi_vcpu *v);	      /* upcall MMIO */
NORETURN void emulate_pio_string(struct abi_vcpu *v); /* upcall PIO_STRING */

#endif
