/*
 * The PEEK upcall: the administrator looks at guest memory, which the kernel
 * does not map.
 */
#ifndef VMM_PEEK_H
#define VMM_PEEK_H

#include "kernel/abi.h"
#include "vmm/lib.h"

/* .value bytes at the linear address .gpa into .log, up to the first that is not in RAM. */
NORETURN void peek(struct abi_vcpu *v);

#endif
