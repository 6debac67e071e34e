/*
 * The plan against the machine (kernel/config.h): CPUs that exist and belong
 * to one VM only, memory that is there, files that were found.
 */
#include "kernel/config_keys.h"

#define VM_OVERHEAD MIB(2) /* its monitor, vCPUs and page tables, out of the same pages */

/* What a VM takes beside its memory: with small pages a table for each 2 MiB, too. */
static u64 overhead(const struct vm_config *v, const struct machine_facts *m)
{
	return VM_OVERHEAD + (m->small_pages ? ALIGN_UP(v->memory / 512, MIB(2)) : 0);
}

static void check_cpus(struct config *c, u32 i, const struct machine_facts *m)
{
	const struct vm_config *v = &c->vm[i], *w;
	u32 k, n, o;

	for (k = 0; k < v->cpu_count; k++) {
		if (v->cpus[k] >= m->cpu_count) {
			config_complain(c, v->cpus_at, (int)i,
					"there is no CPU %u: this machine's CPUs are 0 to %u",
					v->cpus[k], m->cpu_count - 1);
			continue;
		}
		for (n = 0; n < i; n++) {
			w = &c->vm[n];
			for (o = 0; o < w->cpu_count && w->cpus[o] != v->cpus[k]; o++)
				;
			if (o == w->cpu_count)
				continue;
			config_complain(
				c, v->cpus_at, (int)i,
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
		config_complain(c, at, (int)i, "%s \"%s\": %s", key, path, why);
}

void config_check_machine(struct config *c, const struct machine_facts *m)
{
	u64 left = ALIGN_DOWN(m->memory, MIB(2)), room;
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
		room = left - MIN(left, overhead(v, m));
		if (v->memory > room)
			config_complain(
				c, v->memory_at, (int)i,
				"wants %lluM of memory, but %lluM of %lluM are left: give it less, or "
				"those before it",
				(unsigned long long)(v->memory >> 20),
				(unsigned long long)(room >> 20),
				(unsigned long long)(m->memory >> 20));
		else
			left = room - v->memory;
	}
	config_sort_errors(c);
}
