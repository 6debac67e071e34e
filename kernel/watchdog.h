/* Monitors that do not come back (kernel/watchdog.c). */
#ifndef KERNEL_WATCHDOG_H
#define KERNEL_WATCHDOG_H

/* On CPU 0, once, when the VMs are planned. */
void watchdog_start(void);

#endif
