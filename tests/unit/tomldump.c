/*
 * A host program for tests/system/test_toml.py: reads documents from standard
 * input, each as its length in a line and then its bytes, and answers each
 * with one line of JSON:
 *   {"ok": bool, "toml": the tree, "errors": [[line, col, vm, text], ...],
 *    "syntax": number of errors that are TOML's, "host": ..., "vm": [...]}
 */
#include "fake/toml_dump.h"
#include "kernel/config.h"

static struct config config;
static unsigned syntax_errors;

static void count_error(struct toml *t, u32 line, u32 col, u32 table, const char *text)
{
	(void)t;
	(void)line;
	(void)col;
	(void)table;
	(void)text;
	syntax_errors++;
}

static void put_vm(const struct vm_config *v)
{
	u32 i;

	fprintf(dump_to, "{\"valid\": %s, \"name\": ", v->valid ? "true" : "false");
	put_string(v->name);
	fprintf(dump_to, ", \"cpus\": [");
	for (i = 0; i < v->cpu_count; i++)
		fprintf(dump_to, "%s%u", i ? ", " : "", v->cpus[i]);
	fprintf(dump_to, "], \"memory\": %llu, \"kernel\": ", (unsigned long long)v->memory);
	put_string(v->kernel);
	fprintf(dump_to, ", \"initrd\": [");
	for (i = 0; i < v->initrd_count; i++) {
		fprintf(dump_to, "%s", i ? ", " : "");
		put_string(v->initrd[i]);
	}
	fprintf(dump_to, "], \"cmdline\": ");
	put_string(v->cmdline);
	fprintf(dump_to,
		", \"autostart\": %s, \"on_crash\": \"%s\", \"on_reboot\": \"%s\", "
		"\"watchdog\": %s, \"on_watchdog\": \"%s\", "
		"\"stop_timeout\": %u, \"debug_exit\": %s}",
		v->autostart ? "true" : "false",
		v->on_crash == POLICY_STOP    ? "stop"
		: v->on_crash == POLICY_PAUSE ? "pause"
					      : "restart",
		v->on_reboot == POLICY_STOP ? "stop" : "restart", v->watchdog ? "true" : "false",
		v->watchdog_nmi			 ? "nmi"
		: v->on_watchdog == POLICY_STOP	 ? "stop"
		: v->on_watchdog == POLICY_PAUSE ? "pause"
						 : "reset",
		v->stop_timeout, v->debug_exit ? "true" : "false");
}

static void dump(const char *text, size_t len)
{
	bool ok;
	u32 i;

	syntax_errors = 0;
	ok = toml_parse(&tree, text, len, count_error, NULL);
	config_parse(&config, text, len);
	fprintf(dump_to, "{\"ok\": %s, \"syntax\": %u, \"toml\": ", ok ? "true" : "false",
		syntax_errors);
	if (ok)
		put_root();
	else
		fprintf(dump_to, "null");
	fprintf(dump_to, ", \"errors\": [");
	for (i = 0; i < config.error_count; i++) {
		fprintf(dump_to, "%s[%u, %u, %d, ", i ? ", " : "", config.errors[i].line,
			config.errors[i].col, config.errors[i].vm);
		put_string(config.errors[i].text);
		fprintf(dump_to, "]");
	}
	fprintf(dump_to, "], \"dropped\": %u, \"host\": {\"console\": ", config.errors_dropped);
	put_string(config.host.console);
	fprintf(dump_to,
		", \"console_io\": %u, \"baud\": %u, \"log_level\": %u, \"panic_reboot\": %s}, \"vm\": [",
		config.host.console_io, config.host.baud, config.host.log_level,
		config.host.panic_reboot ? "true" : "false");
	for (i = 0; i < config.vm_count; i++) {
		fprintf(dump_to, "%s", i ? ", " : "");
		put_vm(&config.vm[i]);
	}
	fprintf(dump_to, "]}\n");
	fflush(dump_to);
}

int main(void)
{
	unsigned long len;
	char *text;

	dump_to = stdout;
	while (scanf("%lu", &len) == 1 && getchar() == '\n') {
		text = malloc(len ? len : 1); /* no NUL: a reader too far is seen */
		if (fread(text, 1, len, stdin) != len)
			return 1;
		dump(text, len);
		free(text);
	}
	return 0;
}
