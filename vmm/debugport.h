/*
 * Test guests' ports: exit with a code (as QEMU's isa-debug-exit) and the
 * debug console (as Bochs's port 0xE9).
 */
#ifndef VMM_DEBUGPORT_H
#define VMM_DEBUGPORT_H

#include "vmm/lib.h"

void debugport_init(void); /* claims its ports if the VM page says ABI_VM_DEBUG_EXIT */

#endif
