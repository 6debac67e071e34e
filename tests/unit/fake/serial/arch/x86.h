/* arch/x86.h as far as drivers/uart.c needs it: a port is the test's. */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "arch/types.h"

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

u8 inb(u16 port);
void outb(u16 port, u8 value);
void irq_window(void);
static inline void cpu_pause(void)
{
}

#endif
