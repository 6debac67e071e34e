/*
 * bulkhead.toml -> a plan: what the host and each VM shall be (docs/config.md).
 *
 * All complaints at once, each with line, column and remedy; a VM that has one
 * is marked invalid and the others stay. Pure: no allocation, no log, nothing
 * created, so the loader links it too. struct config is big (about 120 KiB):
 * keep one in static memory.
 */
#ifndef KERNEL_CONFIG_H
#define KERNEL_CONFIG_H

#include "arch/types.h"
#include "kernel/toml.h"

#define CONFIG_MAX_VMS 16
#define CONFIG_MAX_CPUS 64
#define CONFIG_MAX_MODULES 15
#define CONFIG_MAX_ERRORS 64
#define CONFIG_PATH_SIZE 112 /* bytes, the NUL included */
#define CONFIG_NAME_SIZE 32
#define CONFIG_CMDLINE_SIZE 1024
#define CONFIG_MEMORY_MAX GIB(170) /* of a VM: space.h */
#define CONFIG_STOP_TIMEOUT 10u	   /* default, seconds */
#define CONFIG_STOP_TIMEOUT_MAX 3600u

enum config_policy { POLICY_STOP, POLICY_RESTART, POLICY_PAUSE };

/* Where something stands in the file; line 0: it does not. */
struct config_at {
	u32 line, col;
};

struct vm_config {
	char name[CONFIG_NAME_SIZE];
	u32 cpus[CONFIG_MAX_CPUS]; /* physical CPUs, by number; this version: one */
	u32 cpu_count;
	u64 memory;		       /* bytes, a multiple of 2 MiB */
	char kernel[CONFIG_PATH_SIZE]; /* as the file spells it: '/' between folders */
	char initrd[CONFIG_MAX_MODULES][CONFIG_PATH_SIZE];
	u32 initrd_count;
	char cmdline[CONFIG_CMDLINE_SIZE];
	bool autostart;
	enum config_policy on_crash, on_reboot;
	bool watchdog;			/* there is one */
	enum config_policy on_watchdog; /* RESTART where the file says "reset" */
	bool watchdog_nmi;		/* it sends an NMI, on_watchdog does not count */
	u32 stop_timeout;		/* seconds a guest has to power off; 0: it is not asked */
	bool debug_exit;
	u32 line;   /* of its [[vm]] */
	bool valid; /* false: an error names it, it must not be started */
	struct config_at name_at, cpus_at, memory_at, kernel_at, cmdline_at;
	struct config_at initrd_at[CONFIG_MAX_MODULES];
};

struct host_config {
	char console[32]; /* "com1".."com4" or "io:0x..." */
	u16 console_io;	  /* the same as a port number */
	u32 baud;	  /* bits a second; divides 115200 */
	u32 log_level;	  /* enum log_level of arch/log.h */
	bool panic_reboot;
	struct config_at console_at;
};

struct config_error {
	u32 line, col;	/* from 1; col counts characters. 0: of the file as a whole */
	int vm;		/* index of the VM that is refused because of it, or -1 */
	char text[256]; /* printable UTF-8 */
};

struct config {
	struct host_config host;
	struct vm_config vm[CONFIG_MAX_VMS]; /* in file order; nameless ones are "vm?<n>" */
	u32 vm_count;
	struct config_error errors[CONFIG_MAX_ERRORS]; /* sorted by line by each call */
	u32 error_count;
	u32 errors_dropped; /* more than fit */
	struct toml doc;    /* the text must stay only during config_parse */
};

/* What a plan is checked against. */
struct machine_facts {
	u32 cpu_count;
	u64 memory; /* bytes that guests can have */
	/* NULL: the file is there; else why it is not. */
	const char *(*file_problem)(void *arg, const char *path);
	void *arg;
	bool small_pages; /* as in struct hv_ops */
};

/* Fill c from text (no NUL needed). What needs no machine is checked; what is
 * wrong stands in c->errors, and every key that could not be read has its
 * default. An empty text is a plan without VMs. */
void config_parse(struct config *c, const char *text, size_t len);

/* Add what does not fit this machine: CPUs that do not exist or that two VMs
 * claim, memory (summed up in file order), files. */
void config_check_machine(struct config *c, const struct machine_facts *facts);

/* "bulkhead.toml:12:3: text" into buf, for log or screen; returns its length. */
int config_error_format(const struct config_error *e, const char *file, char *buf, size_t n);

#endif
