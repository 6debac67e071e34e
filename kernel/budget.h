/*
 * How long one upcall of a monitor may take before its VM is failed, in
 * seconds of the monitor's and the kernel's time on its behalf. START loads
 * the guest's images. The test variant has a shorter-tempered header of this
 * name (tests/variant/kernel).
 */
#ifndef KERNEL_BUDGET_H
#define KERNEL_BUDGET_H

#define BUDGET_S 5
#define BUDGET_START_S 60

#endif
