/*
 * The administration shell on the serial console (docs/admin.md).
 *
 * A table of commands over kernel/control.h. It never blocks: shell_poll()
 * takes what was typed and runs at most one command. CPU 0 only. The prompt
 * is exactly "bulkhead> ", and every command's output ends with the next one.
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include "arch/types.h"
#include "kernel/console.h"

#define SHELL_PROMPT "bulkhead> "
#define SHELL_MAX_ARGS 8

struct shell_command {
	const char *name;
	/* for help and for Tab: "" none, "VM" a VM's name, "on|off" one of these,
	 * "[VM]" may be left out; other capitals stand for what is not completed */
	const char *args;
	const char *help; /* one line */
	u32 min_args, max_args;
	/* argv[0] is the command's name. */
	void (*run)(int argc, char **argv);
};

/* port is the mux's shell port (console_init was called with it). */
void shell_init(struct console_port *port);
/* Boot is done: greeting and first prompt. From now on log lines are shown by
 * shell_poll (it replaces the log's sink), also while a line is being typed. */
void shell_start(void);
/* Take input and new log lines; runs one command at most. True: call again. */
bool shell_poll(void);
/* Output of a command. Waits, bounded, for the wires if it is very much. */
void shell_printf(const char *fmt, ...) PRINTF(1, 2);

/* For a command that takes its time: after it returned, step runs at each
 * shell_poll() and the prompt comes when it returns false. Log lines are shown
 * meanwhile. interrupted: Ctrl-C was typed (and what was typed before it is
 * dropped). */
void shell_go_on(bool (*step)(bool interrupted));

/* Text as it is, n bytes. */
void shell_write(const char *s, u32 n);
/* The VM of that name; NULL: it was said that there is none, and which are. */
struct vm;
struct vm *shell_find_vm(const char *name);
/* `log` has shown the lines before r: do not show them again. */
struct log_reader;
void shell_log_shown(const struct log_reader *r);

/* From a command: instead of a prompt, draw is called now and every so many ns,
 * or less often if the line is slow, until a key is typed. */
void shell_watch(void (*draw)(void), ns_t every);
/* Line number n that was typed, the oldest first; NULL: no more. */
const char *shell_history(u32 n);

/* shell_cmds.c */
extern const struct shell_command shell_commands[];
extern const u32 shell_command_count;

#endif
