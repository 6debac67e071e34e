/*
 * ACPI fixed hardware (ACPI 6.5, 4.8.3 and 4.8.4). The PM timer's carry is
 * computed; the host's timer is set for it only while the guest has that event
 * enabled. SCI_EN is hardwired on, and sleep states other than S5 are left
 * again at once. No lock: upcalls of a VM never overlap.
 */
#include "vmm/pm.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/sys.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define STS_TIMER 0x0001u
#define STS_POWER_BUTTON 0x0100u
#define STS_WAKE 0x8000u
#define EN_WRITABLE 0x0721u
#define CNT_WRITABLE 0x1c02u /* SLP_TYP, BM_RLD */
#define CARRY_BIT 31u	     /* TMR_VAL_EXT: the timer is 32 bits wide */

static struct {
	u16 sts, en, cnt;
	u16 gpe_sts, gpe_en;
	u64 carries; /* of the timer's top bit that were accounted */
	struct vtimer timer;
} pm;

static u64 ticks_now(void)
{
	return ns_to_ticks(vm_now(), BOARD_PM_TMR_HZ);
}

static void update_sci(void)
{
	irq_set(BOARD_IRQ_SCI, (pm.sts & pm.en) || (pm.gpe_sts & pm.gpe_en));
}

/* TMR_STS is set whenever the timer's top bit has changed. */
static void sync(void)
{
	u64 carries = ticks_now() >> CARRY_BIT;

	if (carries != pm.carries) {
		pm.carries = carries;
		pm.sts |= STS_TIMER;
	}
	update_sci();
	if (pm.en & STS_TIMER && !(pm.sts & STS_TIMER))
		vtimer_set(&pm.timer, ticks_to_ns((carries + 1) << CARRY_BIT, BOARD_PM_TMR_HZ));
	else
		vtimer_cancel(&pm.timer);
}

static void timer_fired(void *arg)
{
	(void)arg;
	sync();
}

bool pm_power_button(void)
{
	pm.sts |= STS_POWER_BUTTON;
	update_sci();
	return pm.en & STS_POWER_BUTTON;
}

static u16 *word_at(u32 reg)
{
	switch (reg & ~1u) {
	case BOARD_PM1_EVT - BOARD_PM: return &pm.sts;
	case BOARD_PM1_EVT - BOARD_PM + 2: return &pm.en;
	case BOARD_PM1_CNT - BOARD_PM: return &pm.cnt;
	case BOARD_GPE0 - BOARD_PM: return &pm.gpe_sts;
	case BOARD_GPE0 - BOARD_PM + 2: return &pm.gpe_en;
	default: return NULL;
	}
}

static u8 read_byte(u32 reg)
{
	u32 timer_byte = reg - (BOARD_PM_TMR - BOARD_PM);
	const u16 *word = word_at(reg);

	if (timer_byte < 4)
		return (u8)(ticks_now() >> (8 * timer_byte));
	if (!word)
		return 0;
	if (word == &pm.sts)
		sync();
	return (u8)(*word >> (8 * (reg & 1)));
}

/* SLP_EN was written. */
static void enter_sleep(void)
{
	if ((pm.cnt >> BOARD_PM1_SLP_TYP_SHIFT & 7) == BOARD_SLP_TYP_S5)
		sys_stop(ABI_STOP_POWEROFF, 0);
	else
		pm.sts |= STS_WAKE; /* slept and woken */
}

static void write_byte(u32 reg, u8 value)
{
	u16 *word = word_at(reg);
	u16 bits, lane;

	if (!word)
		return;
	bits = (u16)(value << (8 * (reg & 1)));
	lane = (u16)(0xff << (8 * (reg & 1)));
	sync();
	if (word == &pm.sts || word == &pm.gpe_sts) {
		*word &= (u16)~bits;
	} else if (word == &pm.cnt) {
		pm.cnt = (u16)((pm.cnt & ~(lane & CNT_WRITABLE)) | (bits & CNT_WRITABLE));
		if (bits & BOARD_PM1_SLP_EN)
			enter_sleep();
	} else {
		lane &= word == &pm.en ? EN_WRITABLE : 0xffff;
		*word = (u16)((*word & ~lane) | (bits & lane));
	}
	sync();
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	if (likely(off == BOARD_PM_TMR - BOARD_PM && size == 4))
		return (u32)ticks_now();
	return io_read_bytes(off, size, read_byte);
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	io_split_write(off, size, value, write_byte);
}

void pm_init(void)
{
	memset(&pm, 0, sizeof(pm));
	pm.cnt = BOARD_PM1_SCI_EN;
	pm.timer.fn = timer_fired;
	pm.carries = ticks_now() >> CARRY_BIT;
	io_claim(IO_PORT,
		 &(struct io_range){ BOARD_PM, BOARD_PM_SIZE, NULL, port_read, port_write, "pm" });
}
