/* The test variant's monitor: see tests/variant/misbehave.h. */
#ifndef TESTS_VARIANT_VMM_MISBEHAVE_H
#define TESTS_VARIANT_VMM_MISBEHAVE_H

#include "kernel/abi.h"

/* Claims the ports; does what "start=N" in the command line says. */
void misbehave_init(void);
/* At the beginning of each upcall: is it the one that was waited for? */
void misbehave_at(struct abi_vcpu *page);

#endif
