// SOURCES-OF: tests/unit/test_config.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// MAX_LEN: 400
#include "kernel/config.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct config config;

/* Any bytes: every complaint has a place within the text, and what is valid
 * has all that a VM needs. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct machine_facts machine = { .cpu_count = 4, .memory = GIB(4) };

	config_parse(&config, (const char *)data, size);
	config_check_machine(&config, &machine);
	for (u32 i = 0; i < config.error_count; i++)
		if (config.errors[i].line == 0 || config.errors[i].col == 0 ||
		    config.errors[i].text[0] == '\0')
			__builtin_trap();
	for (u32 i = 0; i < config.vm_count; i++) {
		const struct vm_config *v = &config.vm[i];

		if (v->valid && (v->cpu_count != 1 || v->cpus[0] >= 4 || v->memory < MIB(2) ||
				 v->kernel[0] == '\0' || v->name[0] == '\0'))
			__builtin_trap();
	}
	return 0;
}
