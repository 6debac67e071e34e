/*
 * What the files of the console mux share (kernel/console.h): console.c has the
 * focus, input and the pump, console_port.c the rings of a port, console_out.c
 * the way from the shown port to the wires. Included by these alone.
 */
#ifndef KERNEL_CONSOLE_MUX_H
#define KERNEL_CONSOLE_MUX_H

#include "kernel/console.h"

#define CONSOLE_OUT_SIZE 2048u	 /* on its way to the wires */
#define CONSOLE_TYPED_SIZE 4096u /* on its way to a port */
#define CONSOLE_READ 64u	 /* bytes read from a wire at once */
#define CONSOLE_STEP 1024u	 /* bytes moved per call of console_pump, each way */

/* All of it CPU 0's, except what is marked. */
struct console_mux {
	struct console_port *shell;
	struct console_port *input;  /* gets what is typed */
	struct console_port *output; /* is shown; atomic, read on any CPU */
	struct console_port *next;   /* is shown once the shell's port is at switch_at */
	u64 switch_at;
	struct console_wire *wire[CONSOLE_MAX_WIRES];
	u32 wires;
	ns_t (*now)(void);
	void (*kick)(void);
	void (*on_return)(struct console_port *left);
	u64 out_head; /* position behind the newest byte of out */
	u32 typed_head, typed_tail;
	bool typed_break; /* a BREAK came at typed_break_at */
	u32 typed_break_at;
	bool escape; /* Ctrl-] came; a second one may follow */
	ns_t escape_since;
	ns_t taken_at;	/* when the guest had taken CONSOLE_READ bytes, or all there were */
	u32 taken_mark; /* how far in typed it was then; moves on with what is dropped */
	bool stuck;	/* console_stuck() */
	bool held;	/* typed bytes wait for room in a port; atomic */
	char out[CONSOLE_OUT_SIZE];
	char typed[CONSOLE_TYPED_SIZE];
};
extern struct console_mux mux;

/* ns since boot; 0 while no clock runs. */
static inline ns_t console_now(void)
{
	return mux.now ? mux.now() : 0;
}

/* console_port.c; any CPU */

/* A typed byte for this port; false: no room. */
void console_port_type_break(struct console_port *p); /* behind what was typed */
bool console_port_type(struct console_port *p, char c) MUST_CHECK;
/* Up to n bytes that have not been shown, no further than stop (0: no such
 * limit); lost: how many before them are gone. */
u32 console_port_take(struct console_port *p, char *buf, u32 n, u64 stop, u64 *lost);
/* Go back a little before what is new, to the beginning of a line. */
void console_port_rewind(struct console_port *p);
/* Has it bytes that have not been shown? */
bool console_port_pending(struct console_port *p);

/* console_out.c; CPU 0 */

/* Something is pending, and each wire that it is for took nothing the last time. */
bool console_output_stuck(void);

/* From now on this port is shown. */
void console_show(struct console_port *p);
/* From the shown port into mux.out; at most CONSOLE_STEP bytes. */
void console_fill(void);
/* From mux.out into one wire, as much as it takes. */
void console_drain_wire(struct console_wire *w);
/* Is there something to send that a wire would take? */
bool console_output_pending(void);

#endif
