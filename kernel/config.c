/*
 * From the tree of bulkhead.toml to a plan (kernel/config.h, docs/config.md):
 * one table of keys for [host] and one for [[vm]], each with its reader.
 */
#include "kernel/config.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/utf8.h"

#define MEMORY_MAX GIB(1023) /* with the hole below 4 GiB: 40 address bits */

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
static void PRINTF(4, 5) complain(struct config *c, struct config_at at, int vm, const char *fmt,
				  ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_error(c, at.line, at.col, vm, fmt, ap);
	va_end(ap);
	if (vm >= 0)
		c->vm[vm].valid = false;
}

static struct config_at key_at(const struct config *c, u32 node)
{
	return (struct config_at){ c->doc.node[node].line, c->doc.node[node].col };
}

static struct config_at value_at(const struct config *c, u32 node)
{
	return (struct config_at){ c->doc.node[node].vline, c->doc.node[node].vcol };
}

/* By line and column; those of the file as a whole come first. */
static void sort_errors(struct config *c)
{
	struct config_error e;
	u32 i, k;

	for (i = 1; i < c->error_count; i++) {
		e = c->errors[i];
		for (k = i; k > 0 && (c->errors[k - 1].line > e.line ||
				      (c->errors[k - 1].line == e.line &&
				       c->errors[k - 1].col > e.col));
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

/* -------------------------------------------------------- reading one value */

/* What a key's reader gets. */
struct reader {
	struct config *c;
	int vm;		    /* -1: [host] */
	struct vm_config *v; /* of vm */
	const char *key;
	u32 node;
};

static const char *kind_name(u32 kind)
{
	static const char *const names[] = {
		[TOML_STRING] = "a string",
		[TOML_INTEGER] = "an integer",
		[TOML_BOOLEAN] = "true or false",
		[TOML_ARRAY] = "an array",
	};

	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "a table";
}

static bool want(const struct reader *r, u32 node, enum toml_kind kind, const char *example)
{
	u32 is = r->c->doc.node[node].kind;

	if (is == kind)
		return true;
	complain(r->c, value_at(r->c, node), r->vm, "'%s' must be %s, not %s: write %s", r->key,
		 kind_name(kind), kind_name(is), example);
	return false;
}

/* A string without control characters into buf; at most size - 1 bytes. */
static bool read_text(const struct reader *r, u32 node, char *buf, u32 size)
{
	u32 n = toml_string(&r->c->doc, node, buf, size), i;

	if (n >= size) {
		complain(r->c, value_at(r->c, node), r->vm,
			 "'%s' is %u bytes long: at most %u are possible", r->key, n, size - 1);
		buf[0] = '\0';
		return false;
	}
	for (i = 0; i < n; i++) {
		if (((u8)buf[i] >= ' ' && buf[i] != 0x7f) || buf[i] == '\t')
			continue;
		complain(r->c, value_at(r->c, node), r->vm,
			 "'%s' holds the control character 0x%02x: remove it", r->key, (u8)buf[i]);
		buf[0] = '\0';
		return false;
	}
	return true;
}

/* One of count words; its index, or -1 after a complaint. */
static int read_word(const struct reader *r, const char *const *words, u32 count)
{
	char text[32], list[96];
	u32 i, n = 0;

	for (i = 0; i < count; i++)
		n += (u32)str_format(list + n, sizeof(list) - n, "%s\"%s\"",
				     i == 0	    ? "" :
				     i + 1 == count ? " or " :
						      ", ",
				     words[i]);
	if (r->c->doc.node[r->node].kind == TOML_STRING) {
		n = toml_string(&r->c->doc, r->node, text, sizeof(text));
		for (i = 0; i < count; i++)
			if (n < sizeof(text) && strlen(text) == n && strcmp(text, words[i]) == 0)
				return (int)i;
	}
	complain(r->c, value_at(r->c, r->node), r->vm, "'%s' must be %s", r->key, list);
	return -1;
}

static void read_boolean(const struct reader *r, bool *out)
{
	if (r->c->doc.node[r->node].kind == TOML_BOOLEAN)
		*out = toml_boolean(&r->c->doc, r->node);
	else
		complain(r->c, value_at(r->c, r->node), r->vm,
			 "'%s' must be true or false, without quotes", r->key);
}

/* -------------------------------------------------------------------- [host] */

/* "com1".."com4", or "io:0x" and up to four hexadecimal digits; 0: neither. */
static u16 console_port_of(const char *s)
{
	static const u16 com[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	u32 value = 0, digits = 0, c;

	if (strncmp(s, "com", 3) == 0 && s[3] >= '1' && s[3] <= '4' && s[4] == '\0')
		return com[s[3] - '1'];
	if (strncmp(s, "io:0x", 5) != 0)
		return 0;
	for (s += 5; *s; s++, digits++) {
		c = (u8)*s | 0x20;
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			return 0;
		value = value << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
		if (value > 0xfff8) /* eight registers */
			return 0;
	}
	return digits ? (u16)value : 0;
}

static void read_console(const struct reader *r)
{
	struct host_config *h = &r->c->host;
	char text[sizeof(h->console)];
	u16 port = 0;

	h->console_at = value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "console = \"com1\""))
		return;
	if (!read_text(r, r->node, text, sizeof(text)))
		return;
	port = console_port_of(text);
	if (!port) {
		complain(r->c, h->console_at, -1,
			 "\"%s\" is no console: write \"com1\" to \"com4\", or the port of a "
			 "16550 UART such as \"io:0x3f8\"",
			 text);
		return;
	}
	memcpy(h->console, text, sizeof(text));
	h->console_io = port;
}

static void read_log_level(const struct reader *r)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };
	int i = read_word(r, words, ARRAY_SIZE(words));

	if (i >= 0)
		r->c->host.log_level = (u32)i;
}

static void read_on_panic(const struct reader *r)
{
	static const char *const words[] = { "halt", "reboot" };
	int i = read_word(r, words, ARRAY_SIZE(words));

	if (i >= 0)
		r->c->host.panic_reboot = i == 1;
}

/* -------------------------------------------------------------------- [[vm]] */

static bool name_ok(const char *s, u32 n)
{
	u32 i;

	if (n == 0 || n >= CONFIG_NAME_SIZE)
		return false;
	for (i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '_' ||
		      s[i] == '-'))
			return false;
	return true;
}

static void read_name(const struct reader *r)
{
	char text[128];
	u32 n, i;

	r->v->name_at = value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "name = \"alpha\""))
		return;
	n = toml_string(&r->c->doc, r->node, text, sizeof(text));
	if (!name_ok(text, n)) {
		complain(r->c, r->v->name_at, r->vm,
			 "\"%s\" is no name: use 1 to 31 of a-z, 0-9, '_' and '-'", text);
		return;
	}
	for (i = 0; i < (u32)r->vm; i++) {
		if (strcmp(r->c->vm[i].name, text) == 0) {
			complain(r->c, r->v->name_at, r->vm,
				 "the name \"%s\" is taken by the VM of line %u: choose another",
				 text, r->c->vm[i].line);
			return;
		}
	}
	memcpy(r->v->name, text, n + 1);
}

static void read_cpus(const struct reader *r)
{
	const struct toml *t = &r->c->doc;
	u32 count = 0, node;
	s64 cpu;

	r->v->cpus_at = value_at(r->c, r->node);
	if (!want(r, r->node, TOML_ARRAY, "cpus = [1]"))
		return;
	for (node = t->node[r->node].child; node != TOML_NONE; node = t->node[node].next) {
		count++;
		if (!want(r, node, TOML_INTEGER, "cpus = [1]"))
			continue;
		cpu = toml_integer(t, node);
		if (cpu < 0 || cpu >= CONFIG_MAX_CPUS)
			complain(r->c, value_at(r->c, node), r->vm,
				 "there is no CPU %lld: CPUs are numbered from 0 to at most %u",
				 (long long)cpu, CONFIG_MAX_CPUS - 1);
		else if (r->v->cpu_count < CONFIG_MAX_CPUS)
			r->v->cpus[r->v->cpu_count++] = (u32)cpu;
	}
	if (count == 0)
		complain(r->c, r->v->cpus_at, r->vm, "'cpus' is empty: name one CPU, such as [1]");
	else if (count > 1)
		complain(r->c, r->v->cpus_at, r->vm,
			 "'cpus' names %u CPUs: a VM has exactly one in this version", count);
}

static void read_memory(const struct reader *r)
{
	char text[32];
	u64 value = 0, unit;
	u32 n, i;

	r->v->memory_at = value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "memory = \"256M\""))
		return;
	n = toml_string(&r->c->doc, r->node, text, sizeof(text));
	for (i = 0; i < n && i < 12 && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (u64)(text[i] - '0');
	unit = n != i + 1 || i == 0 ? 0 : text[i] == 'M' ? MIB(1) : text[i] == 'G' ? GIB(1) : 0;
	if (unit == 0) {
		complain(r->c, r->v->memory_at, r->vm,
			 "\"%s\" is no amount of memory: write a whole number and M or G, such as "
			 "\"256M\"",
			 text);
	} else if (value == 0 || value > MEMORY_MAX / unit) {
		complain(r->c, r->v->memory_at, r->vm,
			 "\"%s\" is not possible: from \"2M\" to \"1023G\" is", text);
	} else if (value * unit % MIB(2)) {
		complain(r->c, r->v->memory_at, r->vm,
			 "\"%s\" is not a multiple of 2M (memory comes in 2 MiB pages): write "
			 "\"%lluM\"",
			 text, (unsigned long long)(value + 1));
	} else {
		r->v->memory = value * unit;
	}
}

static void read_path(const struct reader *r, u32 node, char *path, struct config_at *at)
{
	*at = value_at(r->c, node);
	if (read_text(r, node, path, CONFIG_PATH_SIZE) && path[0] == '\0')
		complain(r->c, *at, r->vm,
			 "'%s' is empty: write a path from the partition's root, such as "
			 "\"bulkhead/vmlinuz\"",
			 r->key);
}

static void read_kernel(const struct reader *r)
{
	r->v->kernel_at = value_at(r->c, r->node);
	if (want(r, r->node, TOML_STRING, "kernel = \"bulkhead/vmlinuz\""))
		read_path(r, r->node, r->v->kernel, &r->v->kernel_at);
}

static void read_initrd(const struct reader *r)
{
	const struct toml *t = &r->c->doc;
	struct vm_config *v = r->v;
	u32 node;

	if (t->node[r->node].kind == TOML_STRING) {
		read_path(r, r->node, v->initrd[0], &v->initrd_at[0]);
		v->initrd_count = 1;
		return;
	}
	if (t->node[r->node].kind != TOML_ARRAY) {
		complain(r->c, value_at(r->c, r->node), r->vm,
			 "'initrd' must be a string, or an array of strings for Multiboot modules");
		return;
	}
	for (node = t->node[r->node].child; node != TOML_NONE; node = t->node[node].next) {
		if (!want(r, node, TOML_STRING, "initrd = [\"bulkhead/module1\"]"))
			continue;
		if (v->initrd_count == CONFIG_MAX_MODULES) {
			complain(r->c, value_at(r->c, node), r->vm,
				 "'initrd' names more than %u files", CONFIG_MAX_MODULES);
			return;
		}
		read_path(r, node, v->initrd[v->initrd_count], &v->initrd_at[v->initrd_count]);
		v->initrd_count++;
	}
}

static void read_cmdline(const struct reader *r)
{
	r->v->cmdline_at = value_at(r->c, r->node);
	if (want(r, r->node, TOML_STRING, "cmdline = \"console=ttyS0\""))
		read_text(r, r->node, r->v->cmdline, sizeof(r->v->cmdline));
}

static void read_policy(const struct reader *r, enum config_policy *out)
{
	static const char *const words[] = { "stop", "restart" };
	int i = read_word(r, words, ARRAY_SIZE(words));

	if (i >= 0)
		*out = i == 0 ? POLICY_STOP : POLICY_RESTART;
}

static void read_on_crash(const struct reader *r)
{
	read_policy(r, &r->v->on_crash);
}

static void read_on_reboot(const struct reader *r)
{
	read_policy(r, &r->v->on_reboot);
}

static void read_autostart(const struct reader *r)
{
	read_boolean(r, &r->v->autostart);
}

static void read_debug_exit(const struct reader *r)
{
	read_boolean(r, &r->v->debug_exit);
}

/* ------------------------------------------------------------------ the keys */

struct key {
	const char *name;
	void (*read)(const struct reader *r);
	const char *required; /* what to add when it is missing; NULL: it has a default */
};

static const struct key host_keys[] = {
	{ "console", read_console, NULL },
	{ "log_level", read_log_level, NULL },
	{ "on_panic", read_on_panic, NULL },
};

static const struct key vm_keys[] = {
	/* the name first: later complaints tell it */
	{ "name", read_name, "name = \"alpha\"" },
	{ "cpus", read_cpus, "cpus = [1]" },
	{ "memory", read_memory, "memory = \"256M\"" },
	{ "kernel", read_kernel, "kernel = \"bulkhead/vmlinuz\"" },
	{ "initrd", read_initrd, NULL },
	{ "cmdline", read_cmdline, NULL },
	{ "autostart", read_autostart, NULL },
	{ "on_crash", read_on_crash, NULL },
	{ "on_reboot", read_on_reboot, NULL },
	{ "debug_exit", read_debug_exit, NULL },
};

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
static const char *nearest(const char *word, const struct key *keys, u32 count)
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

static const char *list_keys(const struct key *keys, u32 count, char *buf, u32 size)
{
	u32 i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < count && n < size; i++)
		n += (u32)str_format(buf + n, size - n, "%s%s", i ? ", " : "", keys[i].name);
	return buf;
}

static void unknown_key(struct config *c, u32 node, int vm, const struct key *keys, u32 count)
{
	const struct key *others = keys == vm_keys ? host_keys : vm_keys;
	u32 n_others = keys == vm_keys ? ARRAY_SIZE(host_keys) : ARRAY_SIZE(vm_keys), i;
	const char *near;
	char name[80], list[160];

	toml_key(&c->doc, node, name, sizeof(name));
	near = nearest(name, keys, count);
	for (i = 0; i < n_others; i++) {
		if (strcmp(others[i].name, name) == 0) {
			complain(c, key_at(c, node), vm, "'%s' belongs under %s", name,
				 keys == vm_keys ? "[host]" : "[[vm]]");
			return;
		}
	}
	if (near)
		complain(c, key_at(c, node), vm, "unknown key '%s': did you mean '%s'?", name, near);
	else
		complain(c, key_at(c, node), vm, "unknown key '%s': the keys here are %s", name,
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

static void read_table(struct config *c, u32 table, int vm, const struct key *keys, u32 count)
{
	struct reader r = { c, vm, vm < 0 ? NULL : &c->vm[vm], NULL, 0 };
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
			complain(c, key_at(c, table), vm, "'%s' is missing: add a line such as %s",
				 keys[i].name, keys[i].required);
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
	v->line = c->doc.node[table].line;
	v->valid = !c->doc.node[table].broken;
	c->vm_count++;
	if (c->doc.node[table].kind == TOML_TABLE)
		complain(c, key_at(c, table), vm, "a VM is written with two brackets: [[vm]]");
	read_table(c, table, vm, vm_keys, ARRAY_SIZE(vm_keys));
}

/* A child of the root: a table, or a key that stands before all tables. */
static void read_top(struct config *c, u32 node)
{
	u32 kind = c->doc.node[node].kind;
	bool table = kind == TOML_TABLE || kind == TOML_ELEMENT;
	char name[80];
	u32 n = toml_key(&c->doc, node, name, sizeof(name));

	if (!table)
		complain(c, key_at(c, node), -1,
			 "'%s' stands before the first table: bring it under [host] or [[vm]]", name);
	else if (n == 2 && strcmp(name, "vm") == 0 && c->vm_count == CONFIG_MAX_VMS)
		complain(c, key_at(c, node), -1, "more than %u VMs", CONFIG_MAX_VMS);
	else if (n == 2 && strcmp(name, "vm") == 0)
		read_vm(c, node);
	else if (n == 4 && strcmp(name, "host") == 0 && kind == TOML_ELEMENT)
		complain(c, key_at(c, node), -1, "there is one host: write [host]");
	else if (n == 4 && strcmp(name, "host") == 0)
		read_table(c, node, -1, host_keys, ARRAY_SIZE(host_keys));
	else
		complain(c, key_at(c, node), -1,
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
	c->host.log_level = 2; /* info */
	toml_parse(&c->doc, text, len, on_syntax_error, c);
	syntax = c->error_count;
	if (c->doc.count)
		for (i = c->doc.node[0].child; i != TOML_NONE; i = c->doc.node[i].next)
			read_top(c, i);
	for (i = 0; i < syntax; i++)
		c->errors[i].vm = vm_of_node(c, (u32)c->errors[i].vm);
	sort_errors(c);
}

/* -------------------------------------------------------- against the machine */

static void check_cpus(struct config *c, u32 i, const struct machine_facts *m)
{
	const struct vm_config *v = &c->vm[i], *w;
	u32 k, n, o;

	for (k = 0; k < v->cpu_count; k++) {
		if (v->cpus[k] >= m->cpu_count) {
			complain(c, v->cpus_at, (int)i,
				 "there is no CPU %u: this machine's CPUs are 0 to %u", v->cpus[k],
				 m->cpu_count - 1);
			continue;
		}
		for (n = 0; n < i; n++) {
			w = &c->vm[n];
			for (o = 0; o < w->cpu_count && w->cpus[o] != v->cpus[k]; o++)
				;
			if (o == w->cpu_count)
				continue;
			complain(c, v->cpus_at, (int)i,
				 "CPU %u belongs to VM %s (line %u) already: give each its own",
				 v->cpus[k], w->name, w->line);
			break;
		}
	}
}

static void check_file(struct config *c, u32 i, const struct machine_facts *m, const char *key,
		       const char *path, struct config_at at)
{
	const char *why;

	if (path[0] == '\0' || !m->file_problem)
		return;
	why = m->file_problem(m->arg, path);
	if (why)
		complain(c, at, (int)i, "%s \"%s\": %s", key, path, why);
}

void config_check_machine(struct config *c, const struct machine_facts *m)
{
	u64 left = ALIGN_DOWN(m->memory, MIB(2));
	struct vm_config *v;
	u32 i, k;

	for (i = 0; i < c->vm_count; i++) {
		v = &c->vm[i];
		check_cpus(c, i, m);
		check_file(c, i, m, "kernel", v->kernel, v->kernel_at);
		for (k = 0; k < v->initrd_count; k++)
			check_file(c, i, m, "initrd", v->initrd[k], v->initrd_at[k]);
		/* A VM that is refused for another reason keeps its share, so that
		 * who fits does not depend on who has a missing file. */
		if (v->memory > left)
			complain(c, v->memory_at, (int)i,
				 "wants %lluM of memory, but %lluM of %lluM are left: give it less, or "
				 "those before it",
				 (unsigned long long)(v->memory >> 20),
				 (unsigned long long)(left >> 20),
				 (unsigned long long)(m->memory >> 20));
		else
			left -= v->memory;
	}
	sort_errors(c);
}
