/*
 * From the tree of bulkhead.toml to a plan (kernel/config.h, docs/config.md):
 * complaints, tables, and which keys they have. What a key means stands in
 * config_keys.c, what the machine says to it in config_check.c.
 */
#include "kernel/config_keys.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/utf8.h"

/* ------------------------------------------------------------ complaints */

/* The file is anybody's text: no control characters in what gets printed. */
static void make_printable(char *s)
{
	u32 n;

	for (; *s; s += n) {
		n = utf8_len(s, strlen(s));
		if (n == 0 || (u8)*s < ' ' || *s == 0x7f || ((u8)*s == 0xc2 && (u8)s[1] < 0xa0)) {
			*s = '?';
			n = 1;
		}
	}
}

static void add_error(struct config *c, u32 line, u32 col, int vm, const char *fmt, va_list ap)
{
	struct config_error *e;
	int n = 0;

	if (c->error_count == CONFIG_MAX_ERRORS) {
		c->errors_dropped++;
		return;
	}
	e = &c->errors[c->error_count++];
	e->line = line;
	e->col = col;
	e->vm = vm;
	if (vm >= 0)
		n = str_format(e->text, sizeof(e->text), "VM %s: ", c->vm[vm].name);
	str_vformat(e->text + n, sizeof(e->text) - (size_t)n, fmt, ap);
	make_printable(e->text);
}

/* Against a place; vm -1: against no VM. */
void config_complain(struct config *c, struct config_at at, int vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_error(c, at.line, at.col, vm, fmt, ap);
	va_end(ap);
	if (vm >= 0)
		c->vm[vm].valid = false;
}

/* By line and column; those of the file as a whole come first. */
void config_sort_errors(struct config *c)
{
	struct config_error e;
	u32 i, k;

	for (i = 1; i < c->error_count; i++) {
		e = c->errors[i];
		for (k = i;
		     k > 0 && (c->errors[k - 1].line > e.line ||
			       (c->errors[k - 1].line == e.line && c->errors[k - 1].col > e.col));
		     k--)
			c->errors[k] = c->errors[k - 1];
		c->errors[k] = e;
	}
}

int config_error_format(const struct config_error *e, const char *file, char *buf, size_t n)
{
	if (e->line == 0)
		return str_format(buf, n, "%s: %s", file, e->text);
	return str_format(buf, n, "%s:%u:%u: %s", file, e->line, e->col, e->text);
}

/* ------------------------------------------------------------------ the keys */

/* Letters to insert, delete or replace between two words (Levenshtein); words
 * of 32 and more are far from everything. */
static u32 distance(const char *a, const char *b)
{
	u32 n = (u32)strlen(a), m = (u32)strlen(b), i, k, diagonal, above;
	u32 row[33];

	if (n > 32 || m > 32)
		return 99;
	for (k = 0; k <= m; k++)
		row[k] = k;
	for (i = 1; i <= n; i++) {
		diagonal = row[0];
		row[0] = i;
		for (k = 1; k <= m; k++) {
			above = row[k];
			row[k] = MIN(MIN(above, row[k - 1]) + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

/* The key that was probably meant, or NULL. */
static const char *nearest(const char *word, const struct config_key *keys, u32 count)
{
	u32 i, d, best = MIN(2u, (u32)strlen(word) / 2) + 1;
	const char *found = NULL;

	for (i = 0; i < count; i++) {
		d = distance(word, keys[i].name);
		if (d < best) {
			best = d;
			found = keys[i].name;
		}
	}
	return found;
}

static const char *list_keys(const struct config_key *keys, u32 count, char *buf, u32 size)
{
	u32 i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < count && n < size; i++)
		n += (u32)str_format(buf + n, size - n, "%s%s", i ? ", " : "", keys[i].name);
	return buf;
}

static void unknown_key(struct config *c, u32 node, int vm, const struct config_key *keys,
			u32 count)
{
	const struct config_key *others =
		keys == config_vm_keys ? config_host_keys : config_vm_keys;
	u32 n_others = keys == config_vm_keys ? CONFIG_HOST_KEYS : CONFIG_VM_KEYS, i;
	const char *near;
	char name[80], list[224];

	toml_key(&c->doc, node, name, sizeof(name));
	near = nearest(name, keys, count);
	for (i = 0; i < n_others; i++) {
		if (strcmp(others[i].name, name) == 0) {
			config_complain(c, config_key_at(c, node), vm, "'%s' belongs under %s",
					name, keys == config_vm_keys ? "[host]" : "[[vm]]");
			return;
		}
	}
	if (near)
		config_complain(c, config_key_at(c, node), vm,
				"unknown key '%s': did you mean '%s'?", name, near);
	else
		config_complain(c, config_key_at(c, node), vm,
				"unknown key '%s': the keys here are %s", name,
				list_keys(keys, count, list, sizeof(list)));
}

/* The node of a key under a table, or TOML_NONE. */
static u32 find_key(const struct toml *t, u32 table, const char *key)
{
	char name[80];
	u32 i;

	for (i = t->node[table].child; i != TOML_NONE; i = t->node[i].next)
		if (toml_key(t, i, name, sizeof(name)) == strlen(key) && strcmp(name, key) == 0)
			return i;
	return TOML_NONE;
}

static void read_table(struct config *c, u32 table, int vm, const struct config_key *keys,
		       u32 count)
{
	struct config_reader r = { c, vm, vm < 0 ? NULL : &c->vm[vm], NULL, 0 };
	u32 i, k, node;
	char name[80];

	for (i = 0; i < count; i++) {
		node = find_key(&c->doc, table, keys[i].name);
		r.key = keys[i].name;
		r.node = node;
		if (node != TOML_NONE)
			keys[i].read(&r);
		/* a line that could not be read may have been this key's */
		else if (keys[i].required && !c->doc.node[table].broken)
			config_complain(c, config_key_at(c, table), vm,
					"'%s' is missing: add a line such as %s", keys[i].name,
					keys[i].required);
	}
	for (node = c->doc.node[table].child; node != TOML_NONE; node = c->doc.node[node].next) {
		toml_key(&c->doc, node, name, sizeof(name));
		for (k = 0; k < count && strcmp(name, keys[k].name) != 0; k++)
			;
		if (k == count)
			unknown_key(c, node, vm, keys, count);
	}
}

static void read_vm(struct config *c, u32 table)
{
	struct vm_config *v = &c->vm[c->vm_count];
	int vm = (int)c->vm_count;

	str_format(v->name, sizeof(v->name), "vm?%u", c->vm_count + 1);
	v->autostart = true;
	v->on_crash = POLICY_STOP;
	v->on_reboot = POLICY_RESTART;
	v->on_watchdog = POLICY_RESTART;
	v->stop_timeout = CONFIG_STOP_TIMEOUT;
	v->line = c->doc.node[table].line;
	v->valid = !c->doc.node[table].broken;
	c->vm_count++;
	if (c->doc.node[table].kind == TOML_TABLE)
		config_complain(c, config_key_at(c, table), vm,
				"a VM is written with two brackets: [[vm]]");
	read_table(c, table, vm, config_vm_keys, CONFIG_VM_KEYS);
}

/* A child of the root: a table, or a key that stands before all tables. */
static void read_top(struct config *c, u32 node)
{
	u32 kind = c->doc.node[node].kind;
	bool table = kind == TOML_TABLE || kind == TOML_ELEMENT;
	char name[80];
	u32 n = toml_key(&c->doc, node, name, sizeof(name));

	if (!table)
		config_complain(
			c, config_key_at(c, node), -1,
			"'%s' stands before the first table: bring it under [host] or [[vm]]",
			name);
	else if (n == 2 && strcmp(name, "vm") == 0 && c->vm_count == CONFIG_MAX_VMS)
		config_complain(c, config_key_at(c, node), -1, "more than %u VMs", CONFIG_MAX_VMS);
	else if (n == 2 && strcmp(name, "vm") == 0)
		read_vm(c, node);
	else if (n == 4 && strcmp(name, "host") == 0 && kind == TOML_ELEMENT)
		config_complain(c, config_key_at(c, node), -1, "there is one host: write [host]");
	else if (n == 4 && strcmp(name, "host") == 0)
		read_table(c, node, -1, config_host_keys, CONFIG_HOST_KEYS);
	else
		config_complain(c, config_key_at(c, node), -1,
				"unknown table '%s': the tables are [host] and [[vm]]", name);
}

/* ------------------------------------------------------------------- the whole */

/* A syntax error: its table is noted in vm until the VMs are known. */
static void on_syntax_error(struct toml *t, u32 line, u32 col, u32 table, const char *text)
{
	struct config *c = t->arg;
	struct config_error *e;

	if (c->error_count == CONFIG_MAX_ERRORS) {
		c->errors_dropped++;
		return;
	}
	e = &c->errors[c->error_count++];
	e->line = line;
	e->col = col;
	e->vm = (int)table;
	str_format(e->text, sizeof(e->text), "%s", text);
	make_printable(e->text);
}

/* The VM that stands at a table's node, or -1. */
static int vm_of_node(const struct config *c, u32 node)
{
	u32 i;

	if (node == TOML_NONE || node == 0)
		return -1;
	for (i = 0; i < c->vm_count; i++)
		if (c->vm[i].line == c->doc.node[node].line)
			return (int)i;
	return -1;
}

void config_parse(struct config *c, const char *text, size_t len)
{
	u32 syntax, i;

	memset(c, 0, sizeof(*c));
	str_format(c->host.console, sizeof(c->host.console), "com1");
	c->host.console_io = 0x3f8;
	c->host.baud = 115200;
	c->host.log_level = 2; /* info */
	toml_parse(&c->doc, text, len, on_syntax_error, c);
	syntax = c->error_count;
	if (c->doc.count)
		for (i = c->doc.node[0].child; i != TOML_NONE; i = c->doc.node[i].next)
			read_top(c, i);
	for (i = 0; i < syntax; i++)
		c->errors[i].vm = vm_of_node(c, (u32)c->errors[i].vm);
	config_sort_errors(c);
}
