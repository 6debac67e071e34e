/*
 * The virtual PC is put together here: wires and interrupt controllers first,
 * then what drives them.
 */
#include "vmm/board.h"
#include "vmm/devices.h"

#include "vmm/debugport.h"
#include "vmm/i8042.h"
#include "vmm/ioapic.h"
#include "vmm/irq.h"
#include "vmm/pcihost.h"
#include "vmm/pic.h"
#include "vmm/pit.h"
#include "vmm/pm.h"
#include "vmm/pvclock.h"
#include "vmm/reset.h"
#include "vmm/rtc.h"
#include "vmm/uart.h"
#include "vmm/watchdog.h"

void board_init(void)
{
	irq_init();
	pic_init();
	ioapic_init();
	pit_init();
	rtc_init();
	pm_init();
	uart_init();
	i8042_init();
	reset_init();
	pcihost_init();
	watchdog_init();
	debugport_init();
	pvclock_init();
}
