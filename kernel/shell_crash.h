/*
 * The command of kernel/shell_crash.c, for the shell's table; CPU 0 only.
 */
#ifndef KERNEL_SHELL_CRASH_H
#define KERNEL_SHELL_CRASH_H

void cmd_crash(int argc, char **argv); /* [VM] */

#endif
