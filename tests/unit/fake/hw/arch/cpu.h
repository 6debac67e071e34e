/*
 * arch/cpu.h for unit tests: this_cpu() is the one that the test says
 * (hw.cpu), not the one whose stack this is.
 */
#ifndef FAKE_HW_ARCH_CPU_H
#define FAKE_HW_ARCH_CPU_H

#define this_cpu real_this_cpu
#include_next "arch/cpu.h"
#undef this_cpu

struct cpu *this_cpu(void);

#endif
