/* kernel/budget.h for the test variant: a monitor that hangs is given up sooner, and so is a VM that crashes. */
#ifndef KERNEL_BUDGET_H
#define KERNEL_BUDGET_H

#define BUDGET_S 2
#define BUDGET_START_S 4

#define RESTART_FIRST_NS 500000000ull
#define RESTART_MAX_NS 1000000000ull
#define RESTART_LIMIT 3u
#define RESTART_GOOD_NS 3000000000ull

#endif
