/*
 * `top`: what VMs and CPUs do, drawn again every second until a key is typed.
 */
#ifndef KERNEL_SHELL_TOP_H
#define KERNEL_SHELL_TOP_H

void cmd_top(int argc, char **argv);

#endif
