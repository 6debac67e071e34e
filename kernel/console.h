/*
 * The console mux: wires (UARTs) and ports (the shell, each guest's UART)
 * meet here; one port has the focus, and Ctrl-] gives it back to the shell.
 *
 * A port is written from any CPU (its lock guards its rings); all else is
 * CPU 0's alone. What a port writes without the focus stays in its scrollback
 * and is shown when it gets the focus. A wire that takes no bytes is waited
 * for CONSOLE_STALL_NS in all and then left behind: nobody ever hangs on it.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "arch/spinlock.h"
#include "arch/types.h"

#define CONSOLE_RX_SIZE 512	      /* a port's input */
#define CONSOLE_SCROLLBACK_SIZE 16384 /* what a guest's port is usually given */
#define CONSOLE_SHELL_SIZE 65536      /* holds `log` in one go */
#define CONSOLE_REPLAY 1024	      /* bytes shown again upon focus, if seen before */
#define CONSOLE_MAX_WIRES 4
#define CONSOLE_ESCAPE 0x1d	       /* Ctrl-] */
#define CONSOLE_STALL_NS 1000000000ull /* a wire, or a guest's input, without progress is dead */
#define CONSOLE_STALL_POLLS 1000000u   /* tries: the same where no clock runs */
#define CONSOLE_FLUSH_NS 5000000000ull /* console_flush gives up */
#define CONSOLE_ESCAPE_NS 300000000ull /* a second Ctrl-] must follow within this */

/* A line to the outside. The driver fills name, rx and tx; both must return
 * at once and are called on CPU 0 only (console_panic_write: on any). */
struct console_wire {
	const char *name;
	u32 (*rx)(char *buf, u32 max);	   /* bytes that have arrived; 0: none */
	bool (*brk)(void);		   /* behind them, a BREAK; NULL: there are none */
	u32 (*tx)(const char *buf, u32 n); /* takes as many as fit now */
	/* the mux's own */
	u64 sent;      /* position in the mux's output that this wire has reached */
	u64 lost;      /* bytes dropped and not yet told */
	ns_t since;    /* when it last took a byte, while it has some to take */
	u32 polls;     /* tries since then */
	bool waiting;  /* since and polls are running */
	bool stalled;  /* left behind */
	char note[48]; /* what only this wire is told: how much it has missed */
	u32 note_len, note_sent;
};

struct console_port {
	char name[32];
	/* Input arrived (guest ports). On CPU 0, no lock held. May be NULL. */
	void (*rx_ready)(struct console_port *port);
	void *arg; /* the owner's */
	/* the mux's own, under lock */
	struct spinlock lock;
	char *tx;    /* scrollback: the last tx_size bytes written */
	u32 tx_size; /* a power of two */
	bool crlf;   /* '\n' goes out as CR LF (shell) */
	u64 written; /* bytes written ever */
	u64 shown;   /* position up to which they went out */
	u32 rx_head, rx_tail;
	bool rx_break;	 /* a BREAK came at rx_break_at, before what was typed then */
	u32 rx_break_at; /* a later one takes its place */
	u64 rx_dropped;	 /* input bytes that found the ring full */
	char rx[CONSOLE_RX_SIZE];
};

/* shell becomes the shell's port and has the focus; memory is its ring, size
 * bytes, a power of two (CONSOLE_SHELL_SIZE). */
void console_init(struct console_port *shell, char *memory, u32 size);
/* ns since boot; NULL while no clock runs. */
void console_set_clock(ns_t (*now)(void));
/* Wakes CPU 0 when a port has something to show; called on any CPU, without
 * locks. NULL: CPU 0 polls. */
void console_set_kick(void (*kick)(void));
/* Called on CPU 0 when Ctrl-] gave the focus back to the shell. */
void console_set_return(void (*on_return)(struct console_port *left));

/* ERR_NOMEM: there are CONSOLE_MAX_WIRES already. What was printed before the
 * first wire came is shown on it. */
enum err console_add_wire(struct console_wire *wire) MUST_CHECK;

/* memory: scrollback of size bytes, a power of two. rx_ready and arg may be
 * set afterwards. */
void console_port_init(struct console_port *port, const char *name, char *memory, u32 size);

/* Any CPU. Never waits for a wire; the oldest bytes give way. */
void console_port_write(struct console_port *port, const char *s, u32 n);
/* Any CPU. Bytes typed for this port, up to max. The shell's own port: only
 * while it has the focus. */
u32 console_port_read(struct console_port *port, char *buf, u32 max);
/* Any CPU. Is a BREAK the next thing to read? Then it has been read; bytes behind
 * it are given only afterwards. The shell's port has none. */
bool console_port_break(struct console_port *port);
/* Any CPU. Is there something to read? */
bool console_port_ready(struct console_port *port);
/* Forget unread input (a VM starts anew). The scrollback stays. */
void console_port_flush_rx(struct console_port *port);

/* CPU 0. Give the focus to port (the shell's pointer or NULL: back to the
 * shell). What the shell has written before goes out first. */
void console_focus(struct console_port *port);
struct console_port *console_focused(void);

/* CPU 0. Move input to the focus and output to the wires; a bounded amount
 * per call. True: there is more to move. */
bool console_pump(void);

/* CPU 0. All that there was more of, at the last pump, waits for wires that took nothing, or
 * for a guest to read: it is enough to pump again when one has room or it has read, or after
 * CONSOLE_RETRY_NS. */
#define CONSOLE_RETRY_NS 1000000ull
bool console_stuck(void);

/* CPU 0. Pump until everything of the focused port has gone out, or the
 * wires are dead: bounded. */
void console_flush(void);

/* CPU 0. Was this key typed at the shell, and not read yet? Then it and all
 * that was typed before it is gone. */
bool console_take_key(char key);

/* CPU 0. Bytes of the shell's output that have not gone out yet. */
u32 console_shell_backlog(void);

/* Any CPU. Wake CPU 0 through the kick hook. */
void console_wake(void);

/* A log sink for the time before the shell runs: into the shell's port. */
void console_log_sink(const char *line, u32 n);

/* CPU 0. Does any wire take bytes at present? */
bool console_alive(void);

/* Any CPU, no locks, no buffers: straight to every wire, '\n' as CR LF,
 * bounded per byte. For panic only: nothing works normally afterwards. */
void console_panic_write(const char *s, u32 n);

#endif
