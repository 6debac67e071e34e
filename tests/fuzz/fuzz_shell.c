/*
 * The administration shell over the console mux: typed bytes, log lines in
 * between, the focus at a guest now and then. Whatever is typed, the shell
 * comes to rest in few steps, prints text that a terminal can show, and has its
 * prompt at the end.
 */
// SOURCES: kernel/shell*.c kernel/line*.c kernel/console*.c kernel/print.c tests/unit/fake/control_fake.c tests/unit/fake/wire_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 6000
// MAX_LEN: 64
#include "fuzz.h"

#include "control_fake.h"
#include "kernel/shell.h"
#include "wire_fake.h"

#include "kernel/log.c" /* to empty it: what it held would be another input's */

static struct console_port port, alpha;
static char memory[CONSOLE_SHELL_SIZE], alpha_memory[4096];

static void settle(void)
{
	u32 i;

	for (i = 0; i < 5000; i++) {
		bool more = console_pump();

		/* at a guest, a Ctrl-] waits for a second one meanwhile */
		wire_now += console_focused() == &port ? 1000 : CONSOLE_ESCAPE_NS / 20;
		if (!shell_poll() && !more)
			break;
	}
	FUZZ_CHECK(i < 5000);
}

static void add_vm(const char *name, const char *state)
{
	struct vm *v = &fake_vms[fake_vm_count++];

	memset(v, 0, sizeof(*v));
	v->info.name = name;
	v->info.state = state;
	strcpy(v->info.reason, "a reason");
	v->info.cpus[0] = fake_vm_count;
	v->info.cpu_count = 1;
	v->info.memory = MIB(256);
	v->info.port = &alpha;
	if (fake_vm_count == 2)
		v->refuse = "it is not allowed";
}

static void start(void)
{
	fake_vm_count = 0;
	fake_calls[0] = '\0';
	fake_during = NULL;
	add_vm("alpha", "running");
	add_vm("beta", "stopped");
	console_port_init(&alpha, "alpha", alpha_memory, sizeof(alpha_memory));
	wire_setup(&port, memory, sizeof(memory), 1);
	log_set_sink(NULL);
	log_set_level(LOG_INFO);
	head = tail = 0;
	shell_init(&port);
	shell_start();
	settle();
}

/* What a terminal shows, or acts on as meant. */
static void check_text(u32 from)
{
	const char *s = wires_fake[0].out + from;

	for (; *s; s++) {
		if (*s == '\033') {
			FUZZ_CHECK(s[1] == '[');
			continue;
		}
		FUZZ_CHECK((u8)*s >= ' ' || strchr("\r\n\b\a\t", *s));
		FUZZ_CHECK(*s != 0x7f);
		if (*s == '\n')
			FUZZ_CHECK(s > wires_fake[0].out && s[-1] == '\r');
	}
}

static void check_prompt(void)
{
	static const char prompt[] = SHELL_PROMPT;
	const struct wire_fake *w = &wires_fake[0];

	FUZZ_CHECK(w->out_len >= strlen(prompt));
	FUZZ_CHECK(strcmp(w->out + w->out_len - strlen(prompt), prompt) == 0);
}

/* Words that mean something, so that commands are reached. */
static void type_word(struct fuzz_in *in)
{
	static const char *const words[] = {
		"help", "list",	 "info ", "start ", "stop ",   "reset ",  "kill ",     "pause ",
		"log ", "stats", "mem",	  "top",    "cpus",    "trace ",  "version",   "resume ",
		"nmi ", "dump ", "files", "crash ", "set ",    "history", "--json",    "alpha",
		"beta", "on",	 "off",	  "show",   "console", "debug",	  "log_level", "\r",
	};
	const char *word = words[fuzz_below(in, ARRAY_SIZE(words))];

	wire_type(word, (u32)strlen(word));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	start();
	for (u32 i = 0; in.n && i < 40; i++) {
		u8 op = fuzz_u8(&in);
		u32 from = wires_fake[0].out_len;

		if (op < 0x80) {
			char c = (char)op;

			wire_type(&c, 1);
		} else if (op < 0xd0) {
			type_word(&in);
		} else if (op < 0xe0) {
			char c = (char)fuzz_u8(&in);

			wire_type(&c, 1);
		} else if (op < 0xf0) {
			log_info("a line of the log, number %u", i);
		} else if (op < 0xf8) {
			console_port_write(&alpha, "the guest's text\r\n", 18);
			continue; /* raw: not the shell's */
		} else {
			settle();
			if (console_focused() == &port)
				check_text(from);
		}
	}
	settle();
	/* back from wherever it is, the line ended, twice: a full screen may show, too */
	for (u32 i = 0; i < 2; i++) {
		wire_type("\035", 1);
		settle();
		wire_now += CONSOLE_ESCAPE_NS;
		settle();
		wire_type("\003", 1);
		settle();
	}
	FUZZ_CHECK(console_focused() == &port);
	check_prompt();
	return 0;
}
