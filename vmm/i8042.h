/*
 * The 8042 keyboard controller without keyboard or mouse: self-test, A20 and
 * reset for guests that use them, and quick refusals for those that probe.
 */
#ifndef VMM_I8042_H
#define VMM_I8042_H

#include "vmm/lib.h"

void i8042_init(void); /* claims its ports */

#endif
