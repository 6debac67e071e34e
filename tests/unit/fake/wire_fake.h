/*
 * A console wire for unit tests: what it was sent is a string, what is typed
 * comes from a string. room is how many bytes it takes before it is full.
 */
#ifndef FAKE_WIRE_FAKE_H
#define FAKE_WIRE_FAKE_H

#include "kernel/console.h"

#define WIRE_OUT_SIZE (1u << 20)

struct wire_fake {
	char out[WIRE_OUT_SIZE]; /* NUL-terminated */
	u32 out_len;
	u32 room; /* bytes that it still takes; ~0u: any number */
	char in[32768];
	u32 in_len, in_pos;
	bool brk; /* a BREAK behind all that is typed */
	u32 tx_calls;
};

extern struct wire_fake wires_fake[2];
extern struct console_wire wire_fake[2];
extern ns_t wire_now;  /* the clock's time */
extern ns_t wire_step; /* by which it goes on each time it is read */
extern u32 wire_kicks; /* how often CPU 0 was woken */

/* A mux with the shell's port and n wires. */
void wire_setup(struct console_port *shell, char *memory, u32 size, u32 n);
void wire_type(const char *s, u32 n);
/* Pump until nothing moves; then what wire 0 was sent since the last call. */
const char *wire_said(void);

#endif
