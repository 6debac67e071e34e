/*
 * The console's serial port: a 16550 at an I/O port (National PC16550D), its
 * poll and interrupt sides. 8N1. Every poll is bounded: a dead UART
 * costs characters, never time. Owned by CPU 0; panic may break in.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "arch/types.h"

/* ISA interrupt of a standard port, or -1. */
int uart_isa_irq(u16 port);

/* Finds out whether a UART is there and programs it for baud bits a second, 115200 or a
 * divisor of that. ERR_NODEV. */
enum err uart_init(u16 port, u32 baud) MUST_CHECK;
bool uart_present(void);

/* struct console_wire's functions: bytes received since, up to a BREAK (0: none); was the
 * next thing a BREAK; bytes taken (0: full). */
u32 uart_rx(char *buf, u32 max);
bool uart_break(void);
u32 uart_tx(const char *buf, u32 n);

/* From polling to interrupts: once uart_irq() is registered for the routed
 * vector. notify is called in it when there is something to read or room to write.
 * Lets interrupts in. False: none came (another line, a dead UART); still polled. */
bool uart_use_irq(void (*notify)(void)) MUST_CHECK;
void uart_irq(void);

/* Waits until the last byte has left the wire, bounded: before power goes. */
void uart_drain(void);

/* Polled, for early boot and panic; "\n" goes out as "\r\n". */
void uart_write(const char *buf, u32 n);

#endif
