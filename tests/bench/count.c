/*
 * A QEMU TCG plugin that counts instructions: those of Bulkhead's kernel and
 * monitor one address at a time, the guest's and all others in sums, and
 * writes what it has counted whenever the code reaches a mark.
 *
 * For one thread (-icount) and one VM. QEMU, docs/devel/tcg-plugins.rst; its
 * header is in no package of Debian 12, so the few declarations that are used
 * stand here (API version 1).
 *
 * Arguments: out=FILE kernel=LO:HI monitor=LO:HI entry=ADDR guest=LO:HI
 * linux=ADDR (of the kernel's 64-bit entry, both may be given twice) bare=1
 *
 * Marks: `entry` (first instruction of the kernel), `run` (first VMRUN),
 * `linux` (the guest kernel's 64-bit entry), `tsc` (each RDTSC of the guest
 * in guest=), `mark` (the instruction of MARK below). Each writes a line
 *     NAME guest other vmruns kernel@cpu0 kernel@cpu1 monitor
 * and a `tsc` or `mark` also what every address did since the last such line:
 *     +ADDR COUNT
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t u64;
typedef uint8_t u8;

/* ------------------------------------------------------ QEMU's interface */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef u64 plugin_id;
struct info;

int qemu_plugin_install(plugin_id id, const struct info *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*fn)(plugin_id, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
u64 qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*fn)(unsigned int cpu, void *arg), int flags,
					    void *arg);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr,
						u64 add);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* ---------------------------------------------------------------- counts */

struct range {
	u64 lo, hi;
};

/* A counted instruction of the kernel or the monitor. */
struct place {
	u64 address, count, shown;
};

#define MAX_CODE (1u << 20)

static struct range kernel, monitor, guest;
static u64 entry, linux_entry[2];
static unsigned int linux_entries;
static bool bare;
static FILE *out;

static struct place *kernel_places, *monitor_places;
static u64 guest_count, other_count, vmruns, kernel_count[2], monitor_count;
static bool in_guest, seen_entry, seen_run, seen_linux;

static bool within(const struct range *r, u64 a)
{
	return a >= r->lo && a < r->hi;
}

static void line(const char *name)
{
	fprintf(out, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		name, guest_count, other_count, vmruns, kernel_count[0], kernel_count[1],
		monitor_count);
}

static void show(struct place *p, const struct range *r)
{
	for (u64 i = 0; p && i < r->hi - r->lo; i++) {
		if (p[i].count != p[i].shown)
			fprintf(out, "+%" PRIx64 " %" PRIu64 "\n", r->lo + i,
				p[i].count - p[i].shown);
		p[i].shown = p[i].count;
	}
}

static void detail(const char *name)
{
	line(name);
	show(kernel_places, &kernel);
	show(monitor_places, &monitor);
	fflush(out);
}

static void at_tsc(unsigned int cpu, void *arg)
{
	detail("tsc");
}

static void at_mark(unsigned int cpu, void *arg)
{
	detail("mark");
}

static void at_linux(unsigned int cpu, void *arg)
{
	if (!seen_linux && (bare || in_guest)) {
		seen_linux = true;
		detail("linux");
	}
}

static void at_kernel(unsigned int cpu, void *arg)
{
	struct place *p = arg;

	if (!seen_entry && p->address == entry) {
		seen_entry = true;
		line("entry");
	}
	p->count++;
	kernel_count[cpu != 0]++;
}

static void at_vmrun(unsigned int cpu, void *arg)
{
	at_kernel(cpu, arg);
	if (!seen_run)
		detail("run");
	seen_run = true;
	vmruns++;
	in_guest = true;
}

static void after_vmrun(unsigned int cpu, void *arg)
{
	in_guest = false;
	at_kernel(cpu, arg);
}

/* ----------------------------------------------------------- translation */

static const u8 vmrun[] = { 0x0f, 0x01, 0xd8 }, rdtsc[] = { 0x0f, 0x31 };
/* nopl 0x42484d4b(%rax): nothing else has a reason to execute that one */
static const u8 mark[] = { 0x0f, 0x1f, 0x80, 0x4b, 0x4d, 0x48, 0x42 };

static bool is(struct qemu_plugin_insn *insn, const u8 *bytes, size_t n)
{
	return qemu_plugin_insn_size(insn) == n && !memcmp(qemu_plugin_insn_data(insn), bytes, n);
}

/* Guest and host never share a translation, so what is executing now tells
 * whose code this is where the address does not. */
static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	static u64 behind_vmrun;

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		u64 a = qemu_plugin_insn_vaddr(insn);

		if (within(&kernel, a)) {
			struct place *p = &kernel_places[a - kernel.lo];
			void (*fn)(unsigned int, void *) = at_kernel;

			p->address = a;
			if (is(insn, vmrun, sizeof(vmrun))) {
				behind_vmrun = a + sizeof(vmrun);
				fn = at_vmrun;
			} else if (a == behind_vmrun) {
				fn = after_vmrun;
			}
			qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, 0, p);
			continue;
		}
		if (within(&monitor, a) && !in_guest && seen_entry) {
			struct place *p = &monitor_places[a - monitor.lo];

			p->address = a;
			qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &p->count, 1);
			qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &monitor_count, 1);
			continue;
		}
		for (unsigned int k = 0; k < linux_entries; k++)
			if (a == linux_entry[k])
				qemu_plugin_register_vcpu_insn_exec_cb(insn, at_linux, 0, NULL);
		if (is(insn, mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, 0, NULL);
		if (within(&guest, a) && in_guest && is(insn, rdtsc, sizeof(rdtsc)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_tsc, 0, NULL);
		qemu_plugin_register_vcpu_insn_exec_inline(
			insn, 0, in_guest ? &guest_count : &other_count, 1);
	}
}

/* ----------------------------------------------------------------- start */

static bool parse_range(const char *text, struct range *r, struct place **places)
{
	if (sscanf(text, "%" SCNx64 ":%" SCNx64, &r->lo, &r->hi) != 2 || r->hi <= r->lo ||
	    r->hi - r->lo > MAX_CODE)
		return false;
	if (places)
		*places = calloc(r->hi - r->lo, sizeof(**places));
	return !places || *places;
}

static bool parse(const char *arg)
{
	const char *value = strchr(arg, '=');

	if (!value++)
		return false;
	if (!strncmp(arg, "out=", 4))
		return (out = fopen(value, "w"));
	if (!strncmp(arg, "kernel=", 7))
		return parse_range(value, &kernel, &kernel_places);
	if (!strncmp(arg, "monitor=", 8))
		return parse_range(value, &monitor, &monitor_places);
	if (!strncmp(arg, "guest=", 6))
		return parse_range(value, &guest, NULL);
	if (!strncmp(arg, "entry=", 6))
		return (entry = strtoull(value, NULL, 16));
	if (!strncmp(arg, "linux=", 6) && linux_entries < 2)
		return (linux_entry[linux_entries++] = strtoull(value, NULL, 16));
	if (!strncmp(arg, "bare=", 5))
		return (bare = true);
	return false;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id,
							       const struct info *info, int argc,
							       char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!parse(argv[i])) {
			fprintf(stderr, "count: bad argument %s\n", argv[i]);
			return 1;
		}
	if (!out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
