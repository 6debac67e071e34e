/*
 * Commands of kernel/shell_stop.c, for the shell's table. Each as struct
 * shell_command says; CPU 0 only.
 */
#ifndef KERNEL_SHELL_STOP_H
#define KERNEL_SHELL_STOP_H

void cmd_stop(int argc, char **argv);	  /* VM: the power button, then hard */
void cmd_kill(int argc, char **argv);	  /* VM: at once */
void cmd_poweroff(int argc, char **argv); /* all VMs, then the machine */
void cmd_reboot(int argc, char **argv);

#endif
