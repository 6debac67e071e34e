/* kernel/budget.h for the test variant: a monitor that hangs is given up sooner. */
#ifndef KERNEL_BUDGET_H
#define KERNEL_BUDGET_H

#define BUDGET_S 2
#define BUDGET_START_S 4

#endif
