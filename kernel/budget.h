/*
 * How long things may take. One upcall of a monitor, before its VM is failed,
 * in seconds of the monitor's and the kernel's time on its behalf (START loads
 * the guest's images); and restarts (kernel/restart.h). The test variant has a
 * shorter-tempered header of this name (tests/variant/kernel).
 */
#ifndef KERNEL_BUDGET_H
#define KERNEL_BUDGET_H

#define BUDGET_S 5
#define BUDGET_START_S 60

#define RESTART_FIRST_NS 1000000000ull /* the first wait after a crash; then twice that ... */
#define RESTART_MAX_NS 16000000000ull  /* ... up to this */
#define RESTART_LIMIT 6u	       /* restarts after crashes in a row, then it stays stopped */
#define RESTART_GOOD_NS 60000000000ull /* who ran for this long begins to count anew */

#endif
