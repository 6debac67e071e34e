/*
 * Guest loading: puts the configured kernel into fresh guest RAM and says in
 * which register state the boot processor enters it. Images are told apart by
 * their headers. Everything read from an image is untrusted.
 */
#ifndef VMM_LOAD_H
#define VMM_LOAD_H

#include <stdbool.h>

#include "kernel/abi.h"

/* Loads vm->kernel with vm->modules, writes BIOS data and ACPI tables, fills
 * page->gpr, rip, rflags and state for SYS_SET_STATE. False: refused, and the
 * reason was logged. */
bool load_guest(struct abi_vcpu *page);

/* The formats. x_probe looks at the header only; x_load is as load_guest, and
 * runs after the tables were written (rsdp: their address). */
bool linux_probe(const struct abi_file *file);
bool linux_load(struct abi_vcpu *page, gpa_t rsdp);
bool multiboot_probe(const struct abi_file *file);
bool multiboot_load(struct abi_vcpu *page);

/* Register state common to both: flat segments as in load_gdt(), no paging, protected
 * mode, interrupts off. */
void load_flat_state(struct abi_vcpu *page, gpa_t gdt);

/* Selectors in the descriptor table that load_gdt writes (also Linux's
 * __BOOT_CS and __BOOT_DS). */
#define LOAD_CS 0x10u
#define LOAD_DS 0x18u
#define LOAD_GDT_SIZE 32u

/* Writes the boot descriptor table at gdt, which lies in RAM: code is 64-bit or 32-bit. */
void load_gdt(gpa_t gdt, bool code64);

#endif
