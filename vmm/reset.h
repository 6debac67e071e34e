/*
 * The reset control register 0xCF9 (also the FADT's reset register) and system
 * control port A, 0x92.
 */
#ifndef VMM_RESET_H
#define VMM_RESET_H

#include "vmm/lib.h"

void reset_init(void); /* claims port 0x92 */

/* 0xCF9, which lies within the PCI address register: vmm/pcihost.c has the port. */
u8 reset_control_read(void);
void reset_control_write(u8 value);

#endif
