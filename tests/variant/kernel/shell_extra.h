/* kernel/shell_extra.h for the test variant: commands that break things. */
#ifndef KERNEL_SHELL_EXTRA_H
#define KERNEL_SHELL_EXTRA_H

void cmd_cmdline(int argc, char **argv);
void cmd_panic(int argc, char **argv);
void cmd_host_nmi(int argc, char **argv);
void cmd_selftest(int argc, char **argv);

#define SHELL_EXTRA_COMMANDS \
	{ "cmdline", "VM WORDS",	 "TEST: a VM's command line from its next start on", \
	  2,	     SHELL_MAX_ARGS - 1, cmd_cmdline }, \
		{ "panic", "HOW CPU", "TEST: a bug in the kernel", 2, 2, cmd_panic }, \
		{ "host-nmi", "CPU", "TEST: NMIs to a CPU", 1, 1, cmd_host_nmi }, \
		{ "selftest", "", "TEST: what the processor protects", 0, 0, cmd_selftest },

#endif
