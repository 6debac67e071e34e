/*
 * Where every upcall enters C: called by vmm/start.S.
 */
#ifndef VMM_MAIN_H
#define VMM_MAIN_H

#include "kernel/abi.h"

/* page: the shared page of the vCPU whose upcall this is. Never returns. */
void upcall(struct abi_vcpu *page);

#endif
