/*
 * arch/x86.h for unit tests of drivers: ports are functions of the test's own.
 * First on the include path: "FLAGS:" of a test.
 */
#ifndef FAKE_PORTS_ARCH_X86_H
#define FAKE_PORTS_ARCH_X86_H

#define inb real_inb
#define outb real_outb
#define irq_window real_irq_window
#include_next "arch/x86.h"
#undef inb
#undef outb
#undef irq_window

u8 inb(u16 port);
void outb(u16 port, u8 value);
void irq_window(void);

#endif
