/* Ends by HLT with interrupts off: nothing can ever wake it. */
#include "lib.h"

const char guest_name[] = "hltoff";

void guest_main(void)
{
	print("READY %s\n", guest_name);
	halt_forever();
}
