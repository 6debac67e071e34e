/*
 * What the parts of the configuration reader share (config.c, config_keys.c,
 * config_check.c); not for others.
 */
#ifndef KERNEL_CONFIG_KEYS_H
#define KERNEL_CONFIG_KEYS_H

#include "kernel/config.h"

#define CONFIG_HOST_KEYS 4
#define CONFIG_VM_KEYS 13

/* What a key's reader gets. */
struct config_reader {
	struct config *c;
	int vm;		     /* -1: [host] */
	struct vm_config *v; /* of vm */
	const char *key;
	u32 node; /* of the key and its value */
};

struct config_key {
	const char *name;
	void (*read)(const struct config_reader *r);
	const char *required; /* what to add when it is missing; NULL: it has a default */
};

/* config_keys.c */
extern const struct config_key config_host_keys[CONFIG_HOST_KEYS];
extern const struct config_key config_vm_keys[CONFIG_VM_KEYS];

/* config.c: complain about a place; vm is refused because of it, or -1. */
void config_complain(struct config *c, struct config_at at, int vm, const char *fmt, ...)
	PRINTF(4, 5);
/* By line and column; those of the file as a whole come first. */
void config_sort_errors(struct config *c);

static inline struct config_at config_key_at(const struct config *c, u32 node)
{
	return (struct config_at){ c->doc.node[node].line, c->doc.node[node].col };
}

static inline struct config_at config_value_at(const struct config *c, u32 node)
{
	return (struct config_at){ c->doc.node[node].vline, c->doc.node[node].vcol };
}

#endif
