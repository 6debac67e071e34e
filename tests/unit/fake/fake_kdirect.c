/*
 * The direct window for unit tests: host-physical addresses are the test's own.
 */
#include "arch/frames.h"

u64 kdirect_base;
