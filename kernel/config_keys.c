/*
 * The keys of bulkhead.toml (docs/config.md): each with the function that
 * reads its value into the plan or says what is wrong with it.
 */
#include "kernel/config_keys.h"
#include "kernel/print.h"
#include "kernel/string.h"

/* -------------------------------------------------------- reading one value */

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

static bool want(const struct config_reader *r, u32 node, enum toml_kind kind, const char *example)
{
	u32 is = r->c->doc.node[node].kind;

	if (is == kind)
		return true;
	config_complain(r->c, config_value_at(r->c, node), r->vm,
			"'%s' must be %s, not %s: write %s", r->key, kind_name(kind), kind_name(is),
			example);
	return false;
}

/* A string without control characters into buf; at most size - 1 bytes. */
static bool read_text(const struct config_reader *r, u32 node, char *buf, u32 size)
{
	u32 n = toml_string(&r->c->doc, node, buf, size), i;

	if (n >= size) {
		config_complain(r->c, config_value_at(r->c, node), r->vm,
				"'%s' is %u bytes long: at most %u are possible", r->key, n,
				size - 1);
		buf[0] = '\0';
		return false;
	}
	for (i = 0; i < n; i++) {
		if (((u8)buf[i] >= ' ' && buf[i] != 0x7f) || buf[i] == '\t')
			continue;
		config_complain(r->c, config_value_at(r->c, node), r->vm,
				"'%s' holds the control character 0x%02x: remove it", r->key,
				(u8)buf[i]);
		buf[0] = '\0';
		return false;
	}
	return true;
}

/* One of count words; its index, or -1 after a complaint. */
static int read_word(const struct config_reader *r, const char *const *words, u32 count)
{
	char text[32], list[96];
	u32 i, n = 0;

	for (i = 0; i < count; i++)
		n += (u32)str_format(list + n, sizeof(list) - n, "%s\"%s\"",
				     i == 0	      ? ""
				     : i + 1 == count ? " or "
						      : ", ",
				     words[i]);
	if (r->c->doc.node[r->node].kind == TOML_STRING) {
		n = toml_string(&r->c->doc, r->node, text, sizeof(text));
		for (i = 0; i < count; i++)
			if (n < sizeof(text) && strlen(text) == n && strcmp(text, words[i]) == 0)
				return (int)i;
	}
	config_complain(r->c, config_value_at(r->c, r->node), r->vm, "'%s' must be %s", r->key,
			list);
	return -1;
}

static void read_boolean(const struct config_reader *r, bool *out)
{
	if (r->c->doc.node[r->node].kind == TOML_BOOLEAN)
		*out = toml_boolean(&r->c->doc, r->node);
	else
		config_complain(r->c, config_value_at(r->c, r->node), r->vm,
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

static void read_console(const struct config_reader *r)
{
	struct host_config *h = &r->c->host;
	char text[sizeof(h->console)];
	u16 port = 0;

	h->console_at = config_value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "console = \"com1\""))
		return;
	if (!read_text(r, r->node, text, sizeof(text)))
		return;
	port = console_port_of(text);
	if (!port) {
		config_complain(
			r->c, h->console_at, -1,
			"\"%s\" is no console: write \"com1\" to \"com4\", or the port of a "
			"16550 UART such as \"io:0x3f8\"",
			text);
		return;
	}
	memcpy(h->console, text, sizeof(text));
	h->console_io = port;
}

static void read_baud(const struct config_reader *r)
{
	static const u32 rates[] = { 9600, 19200, 38400, 57600, 115200 };
	s64 baud;

	if (!want(r, r->node, TOML_INTEGER, "baud = 115200"))
		return;
	baud = toml_integer(&r->c->doc, r->node);
	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		if (baud == rates[i]) {
			r->c->host.baud = rates[i];
			return;
		}
	}
	config_complain(r->c, config_value_at(r->c, r->node), r->vm,
			"%lld baud are not possible: 9600, 19200, 38400, 57600 and 115200 are",
			(long long)baud);
}

static void read_log_level(const struct config_reader *r)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };
	int i = read_word(r, words, ARRAY_SIZE(words));

	if (i >= 0)
		r->c->host.log_level = (u32)i;
}

static void read_on_panic(const struct config_reader *r)
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

static void read_name(const struct config_reader *r)
{
	char text[128];
	u32 n, i;

	r->v->name_at = config_value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "name = \"alpha\""))
		return;
	n = toml_string(&r->c->doc, r->node, text, sizeof(text));
	if (!name_ok(text, n)) {
		config_complain(r->c, r->v->name_at, r->vm,
				"\"%s\" is no name: use 1 to 31 of a-z, 0-9, '_' and '-'", text);
		return;
	}
	for (i = 0; i < (u32)r->vm; i++) {
		if (strcmp(r->c->vm[i].name, text) == 0) {
			config_complain(
				r->c, r->v->name_at, r->vm,
				"the name \"%s\" is taken by the VM of line %u: choose another",
				text, r->c->vm[i].line);
			return;
		}
	}
	memcpy(r->v->name, text, n + 1);
}

static void read_cpus(const struct config_reader *r)
{
	const struct toml *t = &r->c->doc;
	u32 count = 0, node;
	s64 cpu;

	r->v->cpus_at = config_value_at(r->c, r->node);
	if (!want(r, r->node, TOML_ARRAY, "cpus = [1]"))
		return;
	for (node = t->node[r->node].child; node != TOML_NONE; node = t->node[node].next) {
		count++;
		if (!want(r, node, TOML_INTEGER, "cpus = [1]"))
			continue;
		cpu = toml_integer(t, node);
		if (cpu < 0 || cpu >= CONFIG_MAX_CPUS)
			config_complain(
				r->c, config_value_at(r->c, node), r->vm,
				"there is no CPU %lld: CPUs are numbered from 0 to at most %u",
				(long long)cpu, CONFIG_MAX_CPUS - 1);
		else if (r->v->cpu_count < CONFIG_MAX_CPUS)
			r->v->cpus[r->v->cpu_count++] = (u32)cpu;
	}
	if (count == 0)
		config_complain(r->c, r->v->cpus_at, r->vm,
				"'cpus' is empty: name one CPU, such as [1]");
	else if (count > 1)
		config_complain(r->c, r->v->cpus_at, r->vm,
				"'cpus' names %u CPUs: a VM has exactly one in this version",
				count);
}

static void read_memory(const struct config_reader *r)
{
	char text[32];
	u64 value = 0, unit;
	u32 n, i;

	r->v->memory_at = config_value_at(r->c, r->node);
	if (!want(r, r->node, TOML_STRING, "memory = \"256M\""))
		return;
	n = toml_string(&r->c->doc, r->node, text, sizeof(text));
	for (i = 0; i < n && i < 12 && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (u64)(text[i] - '0');
	unit = n != i + 1 || i == 0 ? 0 : text[i] == 'M' ? MIB(1) : text[i] == 'G' ? GIB(1) : 0;
	if (unit == 0) {
		config_complain(
			r->c, r->v->memory_at, r->vm,
			"\"%s\" is no amount of memory: write a whole number and M or G, such as "
			"\"256M\"",
			text);
	} else if (value == 0 || value > CONFIG_MEMORY_MAX / unit) {
		config_complain(r->c, r->v->memory_at, r->vm,
				"\"%s\" is not possible: from \"2M\" to \"170G\" is", text);
	} else if (value * unit % MIB(2)) {
		config_complain(
			r->c, r->v->memory_at, r->vm,
			"\"%s\" is not a multiple of 2M (memory comes in 2 MiB pages): write "
			"\"%lluM\"",
			text, (unsigned long long)(value + 1));
	} else {
		r->v->memory = value * unit;
	}
}

static void read_path(const struct config_reader *r, u32 node, char *path, struct config_at *at)
{
	*at = config_value_at(r->c, node);
	if (read_text(r, node, path, CONFIG_PATH_SIZE) && path[0] == '\0')
		config_complain(r->c, *at, r->vm,
				"'%s' is empty: write a path from the partition's root, such as "
				"\"bulkhead/vmlinuz\"",
				r->key);
}

static void read_kernel(const struct config_reader *r)
{
	r->v->kernel_at = config_value_at(r->c, r->node);
	if (want(r, r->node, TOML_STRING, "kernel = \"bulkhead/vmlinuz\""))
		read_path(r, r->node, r->v->kernel, &r->v->kernel_at);
}

static void read_initrd(const struct config_reader *r)
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
		config_complain(
			r->c, config_value_at(r->c, r->node), r->vm,
			"'initrd' must be a string, or an array of strings for Multiboot modules");
		return;
	}
	for (node = t->node[r->node].child; node != TOML_NONE; node = t->node[node].next) {
		if (!want(r, node, TOML_STRING, "initrd = [\"bulkhead/module1\"]"))
			continue;
		if (v->initrd_count == CONFIG_MAX_MODULES) {
			config_complain(r->c, config_value_at(r->c, node), r->vm,
					"'initrd' names more than %u files", CONFIG_MAX_MODULES);
			return;
		}
		read_path(r, node, v->initrd[v->initrd_count], &v->initrd_at[v->initrd_count]);
		v->initrd_count++;
	}
}

static void read_cmdline(const struct config_reader *r)
{
	r->v->cmdline_at = config_value_at(r->c, r->node);
	if (want(r, r->node, TOML_STRING, "cmdline = \"console=ttyS0\""))
		read_text(r, r->node, r->v->cmdline, sizeof(r->v->cmdline));
}

/* The first n of the words that enum config_policy numbers. */
static void read_policy(const struct config_reader *r, u32 n, enum config_policy *out)
{
	static const char *const words[] = { "stop", "restart", "pause" };
	int i = read_word(r, words, n);

	if (i >= 0)
		*out = (enum config_policy)i;
}

static void read_on_crash(const struct config_reader *r)
{
	read_policy(r, 3, &r->v->on_crash);
}

static void read_on_reboot(const struct config_reader *r)
{
	read_policy(r, 2, &r->v->on_reboot);
}

static void read_watchdog(const struct config_reader *r)
{
	read_boolean(r, &r->v->watchdog);
}

static void read_on_watchdog(const struct config_reader *r)
{
	static const char *const words[] = { "reset", "stop", "pause", "nmi" };
	static const u8 policy[] = { POLICY_RESTART, POLICY_STOP, POLICY_PAUSE, POLICY_RESTART };
	int i = read_word(r, words, ARRAY_SIZE(words));

	if (i < 0)
		return;
	r->v->on_watchdog = policy[i];
	r->v->watchdog_nmi = i == 3;
}

static void read_stop_timeout(const struct config_reader *r)
{
	s64 seconds;

	if (!want(r, r->node, TOML_INTEGER, "stop_timeout = 10"))
		return;
	seconds = toml_integer(&r->c->doc, r->node);
	if (seconds < 0 || seconds > CONFIG_STOP_TIMEOUT_MAX)
		config_complain(r->c, config_value_at(r->c, r->node), r->vm,
				"%lld seconds are not possible: from 0 to %u are",
				(long long)seconds, CONFIG_STOP_TIMEOUT_MAX);
	else
		r->v->stop_timeout = (u32)seconds;
}

static void read_autostart(const struct config_reader *r)
{
	read_boolean(r, &r->v->autostart);
}

static void read_debug_exit(const struct config_reader *r)
{
	read_boolean(r, &r->v->debug_exit);
}

/* ------------------------------------------------------------------ the keys */

const struct config_key config_host_keys[CONFIG_HOST_KEYS] = {
	{ "console", read_console, NULL },
	{ "baud", read_baud, NULL },
	{ "log_level", read_log_level, NULL },
	{ "on_panic", read_on_panic, NULL },
};

const struct config_key config_vm_keys[CONFIG_VM_KEYS] = {
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
	{ "watchdog", read_watchdog, NULL },
	{ "on_watchdog", read_on_watchdog, NULL },
	{ "stop_timeout", read_stop_timeout, NULL },
	{ "debug_exit", read_debug_exit, NULL },
};
