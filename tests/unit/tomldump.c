/*
 * A host program for tests/system/test_toml.py: reads documents from standard
 * input, each as its length in a line and then its bytes, and answers each
 * with one line of JSON:
 *   {"ok": bool, "toml": the tree, "errors": [[line, col, vm, text], ...],
 *    "syntax": number of errors that are TOML's, "host": ..., "vm": [...]}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/config.h"

static struct config config;
static struct toml tree;
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

static void put_text(const char *s, size_t n)
{
	putchar('"');
	for (; n; n--, s++) {
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void put_string(const char *s)
{
	put_text(s, strlen(s));
}

static void put_key(u32 node)
{
	char key[80];
	u32 n = toml_key(&tree, node, key, sizeof(key));

	put_text(key, n);
	printf(": ");
}

static void put_scalar(u32 node)
{
	u32 n;
	char *s;

	switch (tree.node[node].kind) {
	case TOML_STRING:
		n = toml_string(&tree, node, NULL, 0);
		s = malloc(n + 1);
		toml_string(&tree, node, s, n + 1);
		put_text(s, n);
		free(s);
		break;
	case TOML_INTEGER: printf("%lld", (long long)toml_integer(&tree, node)); break;
	case TOML_BOOLEAN: printf("%s", toml_boolean(&tree, node) ? "true" : "false"); break;
	default: abort();
	}
}

static void put_value(u32 node)
{
	u32 i;

	if (tree.node[node].kind != TOML_ARRAY) {
		put_scalar(node);
		return;
	}
	printf("[");
	for (i = tree.node[node].child; i != TOML_NONE; i = tree.node[i].next) {
		put_scalar(i);
		if (tree.node[i].next != TOML_NONE)
			printf(", ");
	}
	printf("]");
}

static void put_table(u32 node)
{
	u32 i;

	printf("{");
	for (i = tree.node[node].child; i != TOML_NONE; i = tree.node[i].next) {
		put_key(i);
		put_value(i);
		if (tree.node[i].next != TOML_NONE)
			printf(", ");
	}
	printf("}");
}

static bool same_key(u32 a, u32 b)
{
	char x[80], y[80];
	u32 n = toml_key(&tree, a, x, sizeof(x));

	return toml_key(&tree, b, y, sizeof(y)) == n && memcmp(x, y, n) == 0;
}

/* All [[name]] of one name become one list, where the first of them stands. */
static void put_elements(u32 first)
{
	u32 i;

	printf("[");
	for (i = first; i != TOML_NONE; i = tree.node[i].next) {
		if (!same_key(first, i))
			continue;
		if (i != first)
			printf(", ");
		put_table(i);
	}
	printf("]");
}

static void put_root(void)
{
	bool comma = false;
	u32 i, k;

	printf("{");
	for (i = tree.node[0].child; i != TOML_NONE; i = tree.node[i].next) {
		for (k = tree.node[0].child; !same_key(k, i); k = tree.node[k].next)
			;
		if (k != i)
			continue;
		if (comma)
			printf(", ");
		comma = true;
		put_key(i);
		if (tree.node[i].kind == TOML_ELEMENT)
			put_elements(i);
		else if (tree.node[i].kind == TOML_TABLE)
			put_table(i);
		else
			put_value(i);
	}
	printf("}");
}

static void put_vm(const struct vm_config *v)
{
	u32 i;

	printf("{\"valid\": %s, \"name\": ", v->valid ? "true" : "false");
	put_string(v->name);
	printf(", \"cpus\": [");
	for (i = 0; i < v->cpu_count; i++)
		printf("%s%u", i ? ", " : "", v->cpus[i]);
	printf("], \"memory\": %llu, \"kernel\": ", (unsigned long long)v->memory);
	put_string(v->kernel);
	printf(", \"initrd\": [");
	for (i = 0; i < v->initrd_count; i++) {
		printf("%s", i ? ", " : "");
		put_string(v->initrd[i]);
	}
	printf("], \"cmdline\": ");
	put_string(v->cmdline);
	printf(", \"autostart\": %s, \"on_crash\": \"%s\", \"on_reboot\": \"%s\", "
	       "\"debug_exit\": %s}",
	       v->autostart ? "true" : "false",
	       v->on_crash == POLICY_STOP    ? "stop"
	       : v->on_crash == POLICY_PAUSE ? "pause"
					     : "restart",
	       v->on_reboot == POLICY_STOP ? "stop" : "restart", v->debug_exit ? "true" : "false");
}

static void dump(const char *text, size_t len)
{
	bool ok;
	u32 i;

	syntax_errors = 0;
	ok = toml_parse(&tree, text, len, count_error, NULL);
	config_parse(&config, text, len);
	printf("{\"ok\": %s, \"syntax\": %u, \"toml\": ", ok ? "true" : "false", syntax_errors);
	if (ok)
		put_root();
	else
		printf("null");
	printf(", \"errors\": [");
	for (i = 0; i < config.error_count; i++) {
		printf("%s[%u, %u, %d, ", i ? ", " : "", config.errors[i].line,
		       config.errors[i].col, config.errors[i].vm);
		put_string(config.errors[i].text);
		printf("]");
	}
	printf("], \"dropped\": %u, \"host\": {\"console\": ", config.errors_dropped);
	put_string(config.host.console);
	printf(", \"console_io\": %u, \"log_level\": %u, \"panic_reboot\": %s}, \"vm\": [",
	       config.host.console_io, config.host.log_level,
	       config.host.panic_reboot ? "true" : "false");
	for (i = 0; i < config.vm_count; i++) {
		printf("%s", i ? ", " : "");
		put_vm(&config.vm[i]);
	}
	printf("]}\n");
	fflush(stdout);
}

int main(void)
{
	unsigned long len;
	char *text;

	while (scanf("%lu", &len) == 1 && getchar() == '\n') {
		text = malloc(len ? len : 1); /* no NUL: a reader too far is seen */
		if (fread(text, 1, len, stdin) != len)
			return 1;
		dump(text, len);
		free(text);
	}
	return 0;
}
