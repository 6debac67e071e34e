/*
 * The shell's loop (kernel/shell.h): what is typed goes through the line
 * editor into words and to a command; log lines come in between. All of it is
 * CPU 0's; only the flag that there are log lines is set by other CPUs.
 */
#include "kernel/shell.h"
#include "kernel/control.h"
#include "kernel/line.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define POLL_BYTES 256 /* typed bytes taken per call */
#define POLL_LINES 32  /* log lines shown per call */
#define CTRL_C 3

static struct {
	struct console_port *port;
	struct line line;
	struct log_reader log; /* lines before it have been shown */
	bool started;
	bool busy;			/* a command runs, and host_poll() may call us */
	bool away;			/* a guest has the console: no prompt is shown */
	bool log_waits;			/* atomic */
	bool (*step)(bool interrupted); /* of the command that goes on; or NULL */
	void (*draw)(void);		/* a picture is kept up to date: no prompt is shown */
	ns_t draw_every, draw_at;
} shell;

/* ------------------------------------------------------------------ output */

void shell_write(const char *s, u32 n)
{
	u32 size = shell.port->tx_size;

	/* ends when there is room, or when no wire takes anything */
	while (console_shell_backlog() + n > size && console_pump())
		host_poll();
	console_port_write(shell.port, s, n);
}

void shell_printf(const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = str_vformat(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	shell_write(buf, MIN((u32)n, (u32)sizeof(buf) - 1));
}

/* The log's sink: only a note, for the text may come while a line is typed. */
static void note_log(const char *text UNUSED, u32 n UNUSED)
{
	__atomic_store_n(&shell.log_waits, true, __ATOMIC_RELEASE);
	console_wake();
}

void shell_log_shown(const struct log_reader *r)
{
	shell.log = *r;
}

/* Up to max new log lines; before the first one, make room on the screen.
 * True: some were shown. */
static bool show_log(u32 max, bool editing)
{
	char text[LOG_SHOWN_MAX];
	bool shown = false;
	u32 n;

	if (!__atomic_exchange_n(&shell.log_waits, false, __ATOMIC_ACQUIRE))
		return false;
	while (max-- && (n = log_next(&shell.log, text, sizeof(text))) != 0) {
		if (!shown && editing)
			line_suspend(&shell.line);
		shown = true;
		if (shell.log.lost)
			shell_printf("[… %llu bytes of log lost]\n",
				     (unsigned long long)shell.log.lost);
		shell.log.lost = 0;
		shell_write(text, n);
	}
	if (max == UINT32_MAX) /* there may be more */
		__atomic_store_n(&shell.log_waits, true, __ATOMIC_RELAXED);
	if (shown && editing)
		line_resume(&shell.line);
	return shown;
}

void shell_watch(void (*draw)(void), ns_t every)
{
	shell.draw = draw;
	shell.draw_every = every;
	shell.draw_at = 0;
}

static void prompt(void)
{
	show_log(LOG_RING_SIZE, false);
	line_begin(&shell.line);
}

/* ---------------------------------------------------------------- commands */

static const struct shell_command *find_command(const char *name)
{
	u32 i;

	for (i = 0; i < shell_command_count; i++)
		if (strcmp(shell_commands[i].name, name) == 0)
			return &shell_commands[i];
	return NULL;
}

static int split(char *text, char **argv)
{
	int argc = 0;

	for (;;) {
		while (*text == ' ')
			*text++ = '\0';
		if (*text == '\0' || argc > SHELL_MAX_ARGS)
			return argc;
		argv[argc++] = text;
		while (*text && *text != ' ')
			text++;
	}
}

static void list_vms(void)
{
	u32 i;

	if (vm_count() == 0)
		shell_printf("there are no VMs");
	for (i = 0; i < vm_count(); i++)
		shell_printf("%s%s", i ? ", " : "VMs: ", vm_name(vm_at(i)));
	shell_printf("\n");
}

static bool wants_vm(const struct shell_command *c)
{
	return strncmp(c->args, "VM", 2) == 0 || strcmp(c->args, "[VM]") == 0;
}

static void run(char *text)
{
	char *argv[SHELL_MAX_ARGS + 1];
	const struct shell_command *c;
	int argc = split(text, argv);
	u32 args = (u32)argc - 1, i;

	if (argc == 0)
		return;
	c = find_command(argv[0]);
	if (!c) {
		shell_printf("no command \"%s\"; commands: ", argv[0]);
		for (i = 0; i < shell_command_count; i++)
			shell_printf("%s%s", i ? ", " : "", shell_commands[i].name);
		shell_printf("\n");
	} else if (args < c->min_args && args == 0 && wants_vm(c)) {
		shell_printf("%s needs a VM; ", c->name);
		list_vms();
	} else if (args < c->min_args) {
		shell_printf("%s needs more; usage: %s %s\n", c->name, c->name, c->args);
	} else if (args > c->max_args) {
		shell_printf("\"%s\" is too much; usage: %s%s%s\n", argv[c->max_args + 1], c->name,
			     *c->args ? " " : "", c->args);
	} else {
		c->run(argc, argv);
	}
}

struct vm *shell_find_vm(const char *name)
{
	u32 i;

	for (i = 0; i < vm_count(); i++)
		if (strcmp(vm_name(vm_at(i)), name) == 0)
			return vm_at(i);
	shell_printf("no VM \"%s\"; ", name);
	list_vms();
	return NULL;
}

const char *shell_history(u32 n)
{
	return line_history(&shell.line, n);
}

/* Word number n of args ("VM on|off", "[VM]"); NULL: there is none. *len is
 * without the brackets. */
static const char *args_word(const char *args, u32 n, u32 *len)
{
	for (;; args += *len) {
		while (*args == ' ' || *args == '[' || *args == ']')
			args++;
		for (*len = 0; args[*len] && args[*len] != ' ' && args[*len] != ']';)
			(*len)++;
		if (*len == 0 || n-- == 0)
			return *len ? args : NULL;
	}
}

/* Alternative number n of "on|off|show"; NULL: no more. */
static const char *alternative(const char *word, u32 len, u32 n)
{
	static char text[24];
	u32 i = 0, k = 0;

	for (; n && i < len; i++)
		n -= word[i] == '|';
	if (n || i == len)
		return NULL;
	while (i < len && word[i] != '|' && k < sizeof(text) - 1)
		text[k++] = word[i++];
	text[k] = '\0';
	return text;
}

/* Words for Tab: commands, and behind one what its args say: VMs for "VM",
 * lower-case words for themselves. */
static const char *complete(const char *before, u32 before_len, u32 n)
{
	char text[LINE_MAX], *argv[SHELL_MAX_ARGS + 1];
	const struct shell_command *c;
	const char *word;
	u32 len;
	int argc;

	memcpy(text, before, before_len);
	text[before_len] = '\0';
	argc = split(text, argv);
	if (argc == 0)
		return n < shell_command_count ? shell_commands[n].name : NULL;
	c = find_command(argv[0]);
	word = c ? args_word(c->args, (u32)argc - 1, &len) : NULL;
	if (!word)
		return NULL;
	if (len == 2 && strncmp(word, "VM", 2) == 0)
		return n < vm_count() ? vm_name(vm_at(n)) : NULL;
	return *word >= 'A' && *word <= 'Z' ? NULL : alternative(word, len, n);
}

/* -------------------------------------------------------------------- loop */

static void end_command(void)
{
	shell.away = console_focused() != shell.port;
	if (!shell.away && !shell.draw)
		prompt();
}

/* The command that goes on takes its step. */
static void go_on(void)
{
	bool interrupted = console_take_key(CTRL_C), more;

	shell.busy = true;
	if (interrupted)
		shell_printf("^C\n");
	more = shell.step(interrupted);
	shell.busy = false;
	if (more) {
		show_log(POLL_LINES, false);
	} else {
		shell.step = NULL;
		end_command();
	}
}

static void finish_line(enum line_event event)
{
	shell.busy = true;
	if (event == LINE_TOO_LONG)
		shell_printf("that line is too long; at most %u characters\n", LINE_MAX - 1);
	else if (event == LINE_DONE)
		run(shell.line.text);
	shell.busy = false;
	if (shell.step)
		go_on();
	else
		end_command();
}

void shell_go_on(bool (*step)(bool interrupted))
{
	shell.step = step;
}

/* A key ends the picture; of a cursor key it is the first byte. */
static bool watch(void)
{
	ns_t now = host_uptime();
	char c;

	if (console_port_read(shell.port, &c, 1)) {
		shell.draw = NULL;
		shell_printf("\n");
		prompt();
		if (c == '\033')
			line_skip_escape(&shell.line);
		return true;
	}
	if (now >= shell.draw_at && console_shell_backlog() == 0) {
		shell.busy = true;
		shell.draw();
		shell.busy = false;
		shell.draw_at = now + shell.draw_every;
		host_wake_at(shell.draw_at);
	}
	return console_shell_backlog() && console_alive() && !console_stuck();
}

void shell_init(struct console_port *port)
{
	memset(&shell, 0, sizeof(shell));
	shell.port = port;
	line_init(&shell.line, SHELL_PROMPT, shell_write);
	shell.line.complete = complete;
}

void shell_start(void)
{
	log_reader_end(&shell.log);
	log_set_sink(note_log);
	shell_printf("\nBulkhead's shell; \"help\" lists the commands.\n");
	shell.started = true;
	prompt();
}

/* What is typed while a command goes on stays where it is. */
static bool more_to_do(void)
{
	return (!shell.step && console_port_ready(shell.port)) ||
	       (console_shell_backlog() && console_alive() && !console_stuck()) ||
	       __atomic_load_n(&shell.log_waits, __ATOMIC_RELAXED);
}

bool shell_poll(void)
{
	enum line_event event = LINE_NONE;
	u32 budget = POLL_BYTES;
	char c;

	if (!shell.started || shell.busy || console_focused() != shell.port)
		return false;
	if (shell.away) {
		shell.away = false;
		prompt();
	}
	if (shell.draw)
		return watch();
	if (shell.step) {
		go_on();
		return more_to_do();
	}
	show_log(POLL_LINES, true);
	while (event == LINE_NONE && budget-- && console_port_read(shell.port, &c, 1))
		event = line_feed(&shell.line, c);
	if (event != LINE_NONE)
		finish_line(event);
	return more_to_do();
}
