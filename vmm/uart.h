/*
 * COM1: a 16550A UART whose wire is the VM's console. IRQ 4.
 */
#ifndef VMM_UART_H
#define VMM_UART_H

#include "vmm/lib.h"

void uart_init(void); /* claims its ports */

/* ABI_EV_CONSOLE: takes input that has come, as far as there is room. */
void uart_console_event(void);

#endif
