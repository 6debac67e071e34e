/*
 * The virtual PC on one page: every guest-physical address, I/O port and
 * interrupt line that a guest can meet. Devices, loaders and ACPI tables all
 * derive from here, so that they cannot disagree. Where nothing else is said
 * the values are those of the PC/AT and its successors.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "kernel/abi.h"

/* ------------------------------------------------ guest-physical memory */

/*
 *  0x00000 - 0x9fbff  usable; BIOS data area at 0x400
 *  0x9fc00 - 0x9ffff  EBDA (reserved)
 *  0xa0000 - 0xfffff  the ISA hole: backed by RAM, reserved in the E820 map;
 *                     ACPI tables at 0xe0000, RSDP at 0xf0000
 *  1 MiB   - ram_low  usable
 *  3 GiB   - 4 GiB    devices
 *  4 GiB   - ...      ram_high, usable
 */
#define BOARD_BDA 0x400u
#define BOARD_EBDA 0x9fc00u
#define BOARD_EBDA_SIZE 0x400u
#define BOARD_HOLE 0xa0000u
#define BOARD_HOLE_END 0x100000u
#define BOARD_ACPI 0xe0000u /* tables grow from here ... */
#define BOARD_ACPI_END 0xf0000u
#define BOARD_RSDP 0xf0000u /* ... and this is where legacy scans look */
#define BOARD_RAM_MIN 0x200000u

/* Scratch of the Linux loader, in conventional memory. */
#define BOARD_LINUX_GDT 0x1000u
#define BOARD_LINUX_PARAMS 0x2000u  /* the "zero page" */
#define BOARD_LINUX_CMDLINE 0x3000u /* one page */
#define BOARD_LINUX_TABLES 0x4000u  /* six pages of identity map */

/* ------------------------------------------------------- MMIO devices */

#define BOARD_PCI_MMIO 0xc0000000u /* window for BARs, up to the IOAPIC */
#define BOARD_PCI_MMIO_END 0xfec00000u
#define BOARD_IOAPIC 0xfec00000u
#define BOARD_IOAPIC_SIZE 0x1000u
#define BOARD_IOAPIC_PINS 24u
#define BOARD_IOAPIC_ID 14u /* 4 bits; 15 means broadcast on old buses */
#define BOARD_LAPIC 0xfee00000u
#define BOARD_LAPIC_SIZE 0x1000u

/* -------------------------------------------------------------- ports */

#define BOARD_PIC0 0x20u  /* 2 ports */
#define BOARD_PIC1 0xa0u  /* 2 ports */
#define BOARD_ELCR 0x4d0u /* 2 ports */
#define BOARD_PIT 0x40u	  /* 4 ports */
#define BOARD_PIT_HZ 1193182u
#define BOARD_PORT_B 0x61u /* PIT gate 2, speaker, refresh toggle */
#define BOARD_I8042_DATA 0x60u
#define BOARD_I8042_CMD 0x64u
#define BOARD_RTC 0x70u		/* 2 ports: index (bit 7: NMI mask), data */
#define BOARD_RTC_CENTURY 0x32u /* CMOS index, also in the FADT */
#define BOARD_POST 0x80u	/* POST code, written as a delay */
#define BOARD_PORT_A 0x92u	/* fast A20 and reset */
#define BOARD_COM1 0x3f8u	/* 8 ports */
#define BOARD_UART_HZ 1843200u

#define BOARD_PCI_ADDR 0xcf8u	      /* 32-bit */
#define BOARD_PCI_DATA 0xcfcu	      /* 4 ports */
#define BOARD_PCI_HOST_ID 0x00081b36u /* device 0:0.0: a host bridge nobody has quirks for */
#define BOARD_RESET 0xcf9u	      /* byte access only: lies within BOARD_PCI_ADDR */
#define BOARD_RESET_VALUE 0x06u

#define BOARD_DEBUG_EXIT 0xf4u	  /* only with ABI_VM_DEBUG_EXIT */
#define BOARD_DEBUG_CONSOLE 0xe9u /* the same; reads as 0xe9 */

/* ACPI power management: not hardware-reduced. There is no SMI command port,
 * so the machine is always in ACPI mode and SCI_EN always reads 1. */
#define BOARD_PM 0x600u
#define BOARD_PM_SIZE 0x40u
#define BOARD_PM1_EVT 0x600u /* PM1_STS, PM1_EN: 2 + 2 */
#define BOARD_PM1_EVT_LEN 4u
#define BOARD_PM1_CNT 0x604u
#define BOARD_PM1_CNT_LEN 2u
#define BOARD_PM_TMR 0x608u
#define BOARD_PM_TMR_LEN 4u
#define BOARD_PM_TMR_HZ 3579545u /* 32 bits wide (TMR_VAL_EXT) */
#define BOARD_GPE0 0x620u	 /* GPE0_STS, GPE0_EN: 2 + 2 */
#define BOARD_GPE0_LEN 4u

/* PM1_CNT (ACPI 6.5, 4.8.3.2.1) */
#define BOARD_PM1_SCI_EN 0x0001u
#define BOARD_PM1_SLP_TYP_SHIFT 10u /* 3 bits */
#define BOARD_PM1_SLP_EN 0x2000u
#define BOARD_SLP_TYP_S5 5u /* what \_S5 says, and what powers off */

/* --------------------------------------------------- interrupt lines */

/* ISA IRQ n is PIC line n and IOAPIC pin n, except IRQ 0: pin 2. */
#define BOARD_IRQ_PIT 0u
#define BOARD_GSI_PIT 2u
#define BOARD_IRQ_KBD 1u
#define BOARD_IRQ_CASCADE 2u
#define BOARD_IRQ_COM1 4u
#define BOARD_IRQ_RTC 8u
#define BOARD_IRQ_SCI 9u /* level-triggered, active high, in ELCR too */
#define BOARD_IRQ_MOUSE 12u
#define BOARD_ISA_IRQS 16u

_Static_assert(BOARD_PCI_MMIO == ABI_RAM_LOW_MAX, "devices begin where low RAM must end");
_Static_assert(BOARD_ACPI >= BOARD_HOLE && BOARD_RSDP < BOARD_HOLE_END, "tables are in the hole");

#endif
