/*
 * How the shell's commands show numbers: each fills buf and returns it; and
 * long lines. 80 columns is the narrowest terminal; nothing is wider than SHELL_WIDTH - 1.
 */
#ifndef KERNEL_SHELL_FORMAT_H
#define KERNEL_SHELL_FORMAT_H

#include "arch/types.h"

#define SHELL_WIDTH 80

struct vm_info;

/* "3.2s", "12m05s", "3h07m", "12d03h" */
const char *shell_show_time(ns_t ns, char *buf, u32 size);
/* As the configuration writes it: "256M", "2G". */
const char *shell_show_memory(u64 bytes, char *buf, u32 size);
/* A VM's physical CPUs: "1", "1-3,5" */
const char *shell_show_cpus(const struct vm_info *v, char *buf, u32 size);
/* part of whole as "93.1%" */
const char *shell_show_share(u64 part, u64 whole, char *buf, u32 size);
/* Prints it and a line feed, in lines of at most SHELL_WIDTH - 1 columns that end at a
 * space if they can; the first is indented by first, the others by rest. */
void shell_wrap(const char *text, u32 first, u32 rest);

#endif
