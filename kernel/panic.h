/*
 * The parts of panic (arch/panic.h) that main() connects: where the text goes,
 * what happens afterwards.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "arch/panic.h"
#include "arch/types.h"

/* Reboot after a panic instead of halting: [host] on_panic. */
extern bool panic_reboot;

/* A polled, lock-free way out (uart_write()); NULL: nothing is shown. */
void panic_set_sink(void (*write)(const char *s, u32 n));
/* CRASHLOG_SIZE bytes that outlive a warm reset: what is said goes there, too. */
struct crashlog;
void panic_set_record(struct crashlog *area);
/* How to reboot (reset_reboot()). */
void panic_set_reboot(void (*reboot)(void));

#endif
