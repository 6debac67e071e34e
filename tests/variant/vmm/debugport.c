/* vmm/debugport.c, and beside its ports those of misbehave.c. */
#define debugport_init plain_debugport_init
#include "../../../vmm/debugport.c"
#undef debugport_init
#include "tests/variant/vmm/misbehave.h"

void debugport_init(void);
void debugport_init(void)
{
	plain_debugport_init();
	if (vm->flags & ABI_VM_DEBUG_EXIT)
		misbehave_init();
}
