/*
 * The shell's commands that look into a VM: dump and trace.
 */
#ifndef KERNEL_SHELL_DUMP_H
#define KERNEL_SHELL_DUMP_H

void cmd_dump(int argc, char **argv);
void cmd_trace(int argc, char **argv);

#endif
