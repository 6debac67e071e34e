/*
 * The shell's commands that look closer (kernel/shell_info.c), for the table in
 * kernel/shell_cmds.c.
 */
#ifndef KERNEL_SHELL_INFO_H
#define KERNEL_SHELL_INFO_H

void cmd_info(int argc, char **argv);
void cmd_cpus(int argc, char **argv);
void cmd_files(int argc, char **argv);
void cmd_set(int argc, char **argv);
void cmd_history(int argc, char **argv);

#endif
