/*
 * The watchdog timer of Intel's 6300ESB I/O controller hub (datasheet 300641,
 * chapter "Watchdog Timer"). While enabled, the first timer counts its preload
 * value down, then the second its own; the guest begins that anew by writing
 * RELOAD. At the second end the VM is over, or gets an NMI: ABI_VM_WATCHDOG_NMI.
 * Registers behind BAR 0 take a write only after 0x80 and 0x86 were written to
 * RELOAD. There is no interrupt wire: the end of the first timer is a status
 * bit. A reset that the watchdog made is not remembered. No lock: upcalls of a
 * VM never overlap.
 */
#include "vmm/watchdog.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/pcihost.h"
#include "vmm/sys.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define ID 0x25ab8086u
#define CLASS 0x08800000u /* another system peripheral, revision 0 */

/* configuration space */
#define COMMAND 0x04u
#define COMMAND_MEMORY 0x0002u
#define COMMAND_WRITABLE 0x0146u
#define BAR 0x10u
#define BAR_SIZE 0x10u
#define SUBSYSTEM 0x2cu
#define CONFIG 0x60u /* 16 bits */
#define CONFIG_WRITABLE 0x27u
#define CONFIG_MHZ 0x04u    /* the prescaler: 2^5 instead of 2^15 PCI clocks */
#define CONFIG_NO_OUT 0x20u /* the second end has no effect */
#define LOCK 0x68u	    /* 8 bits */
#define LOCK_LOCKED 0x01u   /* until reset, as is ENABLE then */
#define LOCK_ENABLE 0x02u
#define LOCK_FREE 0x04u /* free-running: the second end has no effect */

/* behind the BAR */
#define PRELOAD1 0x0u
#define PRELOAD2 0x4u
#define STATUS 0x8u
#define STATUS_FIRST 0x1u
#define RELOAD 0xcu
#define RELOAD_NOW 0x100u
#define RELOAD_TIMEOUT 0x200u /* the second timer has ended; write 1 to clear */
#define PRELOAD_MASK 0xfffffu

/* a PCI clock of 33 MHz, ns: a fraction that up to 2^35 clocks do not overflow */
#define CLOCK_NS(clocks) ((clocks)*1000 / 33)
#define LENGTH_MIN 100000u /* ns: one that runs free may not wake the host more often */

static struct {
	u16 command, config;
	u8 lock, line;
	u32 bar, preload[2];
	bool first_ended, timeout;
	u32 unlocked; /* steps of the sequence 0x80, 0x86 that were made */
	u32 stage;    /* which of the timers counts */
	struct vtimer timer;
} wd;

static ns_t length(u32 preload)
{
	u64 ticks = (u64)preload + 1;
	u64 clocks = ticks * (wd.config & CONFIG_MHZ ? 1u << 5 : 1u << 15);

	return max_u64(CLOCK_NS(clocks), LENGTH_MIN);
}

static void count(u32 stage)
{
	wd.stage = stage;
	if (wd.lock & LOCK_ENABLE)
		vtimer_set(&wd.timer, vm_now() + length(wd.preload[stage]));
	else
		vtimer_cancel(&wd.timer);
}

static void fired(void *arg)
{
	(void)arg;
	if (wd.stage == 0) {
		wd.first_ended = true;
		count(1);
		return;
	}
	wd.timeout = true;
	if (wd.lock & LOCK_FREE || wd.config & CONFIG_NO_OUT) {
		count(0);
	} else if (vm->flags & ABI_VM_WATCHDOG_NMI) {
		sys_log("the watchdog has expired: NMI");
		sys_nmi(0);
		count(0);
	} else {
		sys_stop(ABI_STOP_WATCHDOG, 0);
	}
}

/* ------------------------------------------------ configuration space */

static u32 config_read(u32 reg)
{
	switch (reg) {
	case 0x00: return ID;
	case COMMAND: return wd.command;
	case 0x08: return CLASS;
	case BAR: return wd.bar;
	case SUBSYSTEM: return ID;
	case 0x3c: return wd.line; /* no interrupt pin */
	case CONFIG: return wd.config;
	case LOCK: return wd.lock;
	default: return 0;
	}
}

static void lock_written(u8 value)
{
	bool was = wd.lock & LOCK_ENABLE;

	if (wd.lock & LOCK_LOCKED)
		return;
	wd.lock = value & (LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE);
	if (was != !!(wd.lock & LOCK_ENABLE))
		count(0);
}

static void config_write(u32 reg, u8 value) /* one byte at any offset */
{
	u32 shift = 8 * (reg & 3), lane = 0xffu << shift, bits = (u32)value << shift;

	switch (reg & ~3u) {
	case COMMAND: wd.command = (u16)(((wd.command & ~lane) | bits) & COMMAND_WRITABLE); break;
	case BAR: wd.bar = ((wd.bar & ~lane) | bits) & ~(BAR_SIZE - 1); break;
	case 0x3c: wd.line = reg == 0x3c ? value : wd.line; break;
	case CONFIG: wd.config = (u16)(((wd.config & ~lane) | bits) & CONFIG_WRITABLE); break;
	case LOCK:
		if (reg == LOCK)
			lock_written(value);
		break;
	default: break;
	}
}

/* ------------------------------------------------ registers behind the BAR */

static bool decodes(u64 addr)
{
	return wd.command & COMMAND_MEMORY && addr - wd.bar < BAR_SIZE;
}

static u64 mmio_read(void *dev, u64 off, u32 size)
{
	u64 addr = BOARD_PCI_MMIO + off;
	u32 reg = (u32)(addr - wd.bar), value = 0;

	(void)dev;
	if (!decodes(addr) || (reg & 3) + size > 4)
		return ~0ull;
	switch (reg & ~3u) {
	case PRELOAD1: value = wd.preload[0]; break;
	case PRELOAD2: value = wd.preload[1]; break;
	case STATUS: value = wd.first_ended ? STATUS_FIRST : 0; break;
	case RELOAD: value = wd.timeout ? RELOAD_TIMEOUT : 0; break;
	}
	return value >> (8 * (reg & 3));
}

static void reload_written(u32 value)
{
	/* Linux' driver unlocks for a read, too: the sequence may begin anew at any step */
	if (value == 0x80) {
		wd.unlocked = 1;
		return;
	}
	if (wd.unlocked < 2) {
		wd.unlocked = wd.unlocked && value == 0x86 ? 2 : 0;
		return;
	}
	wd.unlocked = 0;
	if (value & RELOAD_TIMEOUT)
		wd.timeout = false;
	if (value & RELOAD_NOW)
		count(0);
}

static void mmio_write(void *dev, u64 off, u32 size, u64 value)
{
	u64 addr = BOARD_PCI_MMIO + off;
	u32 reg = (u32)(addr - wd.bar);

	(void)dev;
	(void)size; /* what is narrower than a register clears the rest of it */
	if (!decodes(addr))
		return;
	if (reg == RELOAD) {
		reload_written((u32)value);
		return;
	}
	if (wd.unlocked < 2) {
		wd.unlocked = 0;
		return;
	}
	wd.unlocked = 0;
	if (reg == PRELOAD1 || reg == PRELOAD2)
		wd.preload[reg / 4] = (u32)value & PRELOAD_MASK;
	else if (reg == STATUS && value & STATUS_FIRST)
		wd.first_ended = false;
}

void watchdog_init(void)
{
	static const struct pci_function function = { config_read, config_write };

	vtimer_cancel(&wd.timer);
	memset(&wd, 0, sizeof(wd));
	if (!(vm->flags & ABI_VM_WATCHDOG))
		return;
	wd.timer.fn = fired;
	wd.bar = BOARD_PCI_MMIO;
	wd.preload[0] = wd.preload[1] = PRELOAD_MASK;
	pcihost_add(1, &function);
	io_claim(IO_MMIO, &(struct io_range){ BOARD_PCI_MMIO, BOARD_PCI_MMIO_END - BOARD_PCI_MMIO,
					      NULL, mmio_read, mmio_write, "pci window" });
}
