/*
 * Shell commands beside those of kernel/shell_cmds.c: none. The test variant
 * has a header of this name (tests/variant/kernel) with commands that break
 * things on purpose.
 */
#ifndef KERNEL_SHELL_EXTRA_H
#define KERNEL_SHELL_EXTRA_H

#define SHELL_EXTRA_COMMANDS /* entries of shell_commands[], each with its comma */

#endif
