/*
 * The watchdog (Intel 6300ESB, PCI 00:01.0), started for one second as Linux's
 * driver does it. Without a word the guest then does nothing, and its VM is
 * over; "reset": that with interrupts off, for good; "ping": it is kept from that for three seconds, and switched off;
 * "nmi": an NMI comes instead.
 */
#include "lib.h"

const char guest_name[] = "watchdog";

#define SECOND 512 /* of each of the two timers: half of it */

static volatile u8 *regs;
static volatile u32 nmis;

static u32 config_read(u32 reg)
{
	outl(0xcf8, 0x80000000 | 1 << 11 | (reg & 0xfc));
	return inl(0xcfc) >> (8 * (reg & 3));
}

static void config_at(u32 reg)
{
	outl(0xcf8, 0x80000000 | 1 << 11 | (reg & 0xfc));
}

static void write16(u32 reg, u16 value)
{
	*(volatile u16 *)(regs + reg) = value;
}

static void unlock(void)
{
	write16(0xc, 0x80);
	write16(0xc, 0x86);
}

static void set_timer(u32 reg, u32 value)
{
	unlock();
	*(volatile u32 *)(regs + reg) = value;
	CHECK(*(volatile u32 *)(regs + reg) == value, "register %x keeps no %x", reg, value);
}

static void ping(void)
{
	unlock();
	write16(0xc, 0x100);
}

static bool on_trap(struct frame *f)
{
	nmis += f->vector == 2;
	return f->vector == 2;
}

void guest_main(void)
{
	if (config_read(0) != 0x25ab8086) {
		fail("PCI 00:01.0 is %x", config_read(0));
		return;
	}
	config_at(4);
	outw(0xcfc, 2);
	regs = map_window(config_read(0x10));
	config_at(0x60);
	outw(0xcfc, 3);
	set_timer(0, SECOND);
	set_timer(4, SECOND);
	trap_hook = on_trap;
	ping();
	config_at(0x68);
	outb(0xcfc, 2);
	print("READY %s\n", guest_name);
	if (option("ping")) {
		for (u32 i = 0; i < 12; i++) {
			spin_us(250000);
			ping();
		}
		outb(0xcfc, 0);
		spin_us(1500000);
		return;
	}
	if (option("reset")) /* as dead as can be */
		asm volatile("cli; hlt");
	for (u32 i = 0; i < 20 && !nmis; i++)
		spin_us(250000);
	CHECK(option("nmi") && nmis == 1, "%u NMIs", nmis);
	outb(0xcfc, 0);
}
