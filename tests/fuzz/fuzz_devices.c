/*
 * Every virtual device through the I/O map: a stream of accesses, with time
 * going on between them, interrupts acknowledged and console input arriving.
 * Checked: messages come from unmasked IOAPIC pins and are such as the kernel
 * takes; a masked PIC is silent; the PM timer tells the time; a wire is high
 * while its device asks; nobody wakes the host too often; no device stops the VM
 * but those that may. Half of the VMs have a watchdog.
 */
// SOURCES-OF: tests/unit/test_board.c
// FLAGS: -fno-sanitize-coverage=trace-cmp,indirect-calls
// RUNS: 8000
// MAX_LEN: 200
#include "fuzz.h"
#include "machine.h"
#include "vmm/devices.h"
#include "vmm/ioapic.h"
#include "vmm/ioport.h"
#include "vmm/pic.h"
#include "vmm/pm.h"
#include "vmm/pvclock.h"
#include "vmm/uart.h"
#include "vmm/vm.h"

#define RTE_LEVEL 0x8000u
#define RTE_REMOTE_IRR 0x4000u
#define RTE_MASKED 0x10000u

static struct {
	u32 low[BOARD_IOAPIC_PINS], high[BOARD_IOAPIC_PINS];
} before, after;

static u32 ioapic_reg(u32 reg)
{
	iomap_write(IO_MMIO, BOARD_IOAPIC, 4, reg);
	return (u32)iomap_read(IO_MMIO, BOARD_IOAPIC + 0x10, 4);
}

static void read_entries(u32 *low, u32 *high)
{
	u32 select = (u32)iomap_read(IO_MMIO, BOARD_IOAPIC, 4);

	for (u32 pin = 0; pin < BOARD_IOAPIC_PINS; pin++) {
		low[pin] = ioapic_reg(0x10 + 2 * pin);
		high[pin] = ioapic_reg(0x11 + 2 * pin);
		FUZZ_CHECK((low[pin] & ~0x1ffffu) == 0 && (low[pin] & 0x1000) == 0);
		FUZZ_CHECK((high[pin] & 0xffffff) == 0);
		if (low[pin] & RTE_REMOTE_IRR) /* fixed or lowest priority, by level */
			FUZZ_CHECK(low[pin] & RTE_LEVEL && (low[pin] & 0x600) == 0);
	}
	iomap_write(IO_MMIO, BOARD_IOAPIC, 4, select);
}

static bool sent_by(u32 low, u32 high, u64 address, u32 data)
{
	return !(low & RTE_MASKED) && (u8)low == (u8)data && (low & 0x700) == (data & 0x700) &&
	       high >> 24 == (address >> 12 & 0xff) && !(low & 0x800) == !(address & 4);
}

/* Each message fits an entry that is, or was before this step, open. */
static void check_messages(void)
{
	for (u32 i = 0; i < fake.msi_count && i < FAKE_MAX; i++) {
		u64 address = fake.msi[i].address;
		u32 data = fake.msi[i].data, mode = data >> 8 & 7;
		bool found = false;

		FUZZ_CHECK(address >> 20 == 0xfee);
		FUZZ_CHECK(mode != 2 && mode != 3 && mode != 6);
		if (data & 0x8000) /* by level: these modes alone */
			FUZZ_CHECK(mode <= 1);
		for (u32 pin = 0; pin < BOARD_IOAPIC_PINS; pin++)
			found |= sent_by(before.low[pin], before.high[pin], address, data) ||
				 sent_by(after.low[pin], after.high[pin], address, data);
		FUZZ_CHECK(found);
	}
	FUZZ_CHECK(fake.msi_count <= 4096); /* of one step */
}

static void check_stop(u32 flags)
{
	if (!fake.stop_count)
		return;
	FUZZ_CHECK(fake.stop_why != ABI_STOP_EMULATION && fake.stop_why != ABI_STOP_BAD_IMAGE);
	FUZZ_CHECK(fake.stop_why != ABI_STOP_DEBUG_EXIT || flags & ABI_VM_DEBUG_EXIT);
	FUZZ_CHECK(fake.stop_why != ABI_STOP_WATCHDOG ||
		   (flags & (ABI_VM_WATCHDOG | ABI_VM_WATCHDOG_NMI)) == ABI_VM_WATCHDOG);
	FUZZ_CHECK(fake.finish_count == 0);
}

/* An acknowledge gives the vector of an input that asked, or the spurious one. */
static void acknowledge(void)
{
	bool asked = fake.extint;
	u32 vector = pic_ack();

	FUZZ_CHECK(vector <= 0xff);
	if (!asked)
		FUZZ_CHECK((vector & 7) == 7);
}

/* The chip's own register: masked inputs of the master alone keep INTR low. */
static void check_pic(void)
{
	if (in8(BOARD_PIC0 + 1) == 0xff) /* an odd read has no side effect unless polling */
		FUZZ_CHECK(!fake.extint);
}

static void check_time(void)
{
	u32 timer = in32(BOARD_PM_TMR);

	FUZZ_CHECK(timer == (u32)ns_to_ticks(fake.tsc, BOARD_PM_TMR_HZ));
	FUZZ_CHECK(in8(BOARD_PM_TMR) == (u8)timer && in16(BOARD_PM_TMR + 2) == timer >> 16);
	FUZZ_CHECK(in16(BOARD_PM1_CNT) & BOARD_PM1_SCI_EN);
}

static void check_nobody(u32 port, u32 size)
{
	for (u32 i = 0; i < size; i++)
		if (port + i > 0xffff || iomap_find(IO_PORT, port + i))
			return;
	FUZZ_CHECK(iomap_read(IO_PORT, port, size) == size_mask(size));
}

static void go_on(u64 ns)
{
	u32 before = fake.msi_count, wakeups = run(ns);

	/* the PIT, or the RTC's 8 kHz, and a watchdog; the rest is a handful */
	FUZZ_CHECK(wakeups <= (fake_vm.flags & ABI_VM_WATCHDOG ? 2 : 1) * (ns / 100000) + 70);
	FUZZ_CHECK(fake.msi_count - before <= 4 * (wakeups + 1));
	if (fake.msi_count > FAKE_MAX)
		fake.msi_count = FAKE_MAX;
}

/* ------------------------------------------- wires: what asks is heard */

/* IRR of a chip; with its inputs level-triggered, the wires themselves. */
static u8 wires(u32 chip)
{
	u32 port = chip ? BOARD_PIC1 : BOARD_PIC0;

	out8(port, 0x0a); /* read IRR next; ends a poll */
	return in8(port);
}

/* At the end of an input, for looking changes things. */
static void check_wires(void)
{
	u8 sci, master, iir, mcr, ier;

	out8(BOARD_ELCR, 0xf8);
	out8(BOARD_ELCR + 1, 0xde);
	out8(0x3fb, in8(0x3fb) & 0x7f); /* DLAB off */
	ier = in8(0x3f9);
	mcr = in8(0x3fc);
	master = wires(0);
	iir = in8(0x3fa);
	FUZZ_CHECK(!!(master & 0x10) == (ier && (mcr & 0x18) == 8 && !(iir & 1)));
	sci = wires(1) >> 1 & 1;
	FUZZ_CHECK(sci == (!!(in16(BOARD_PM1_EVT) & in16(BOARD_PM1_EVT + 2)) ||
			   !!(in16(BOARD_GPE0) & in16(BOARD_GPE0 + 2))));
	/* a level-triggered, unmasked pin whose wire is high has its message under way */
	read_entries(after.low, after.high);
	for (u32 pin = 0; pin < BOARD_IOAPIC_PINS; pin++) {
		u32 low = after.low[pin], mode = low >> 8 & 7;
		bool high = pin == 9 ? sci : pin == 4 && master & 0x10;

		if (high && low & RTE_LEVEL && mode <= 1 && !(low & RTE_MASKED))
			FUZZ_CHECK(low & RTE_REMOTE_IRR);
	}
}

static u32 port_of(struct fuzz_in *in)
{
	static const u16 bases[] = { 0x20,  0xa0,  0x4d0, 0x40,	 0x60,	0x61,  0x64,
				     0x70,  0x92,  0x3f8, 0x600, 0x604, 0x608, 0x620,
				     0xcf8, 0xcfc, 0xcf9, 0xe9,	 0xf4,	0x80 };
	u8 which = fuzz_u8(in);

	if (which >= 240)
		return fuzz_u16(in);
	return bases[which % ARRAY_SIZE(bases)] + (which / ARRAY_SIZE(bases)) % 8;
}

static void msr(struct fuzz_in *in)
{
	static const u32 numbers[] = { 0x11, 0x12, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x10 };
	u32 number = numbers[fuzz_below(in, ARRAY_SIZE(numbers))];
	u64 value = fuzz_u64(in), got = 0;

	if (pvclock_wrmsr(number, value))
		FUZZ_CHECK(pvclock_rdmsr(number, &got) && got == value);
	else
		FUZZ_CHECK(!pvclock_rdmsr(number, &got));
}

/* Its registers in configuration space and behind its BAR, mostly unlocked. */
static void watchdog(struct fuzz_in *in, u8 how)
{
	static const u8 regs[] = { 0x04, 0x10, 0x60, 0x68, 0x68, 0x3c, 0x00, 0x2c };
	u32 size = 1u << (how >> 4 & 1) << (how >> 5 & 1);
	u64 at = BOARD_PCI_MMIO + (how & 15), value = fuzz_take(in, size);

	if (how & 0x80) {
		out32(BOARD_PCI_ADDR, 0x80000000 | 1 << 11 | regs[how & 7]);
		iomap_write(IO_PORT, BOARD_PCI_DATA, size, value);
		return;
	}
	if (how & 0x40) {
		FUZZ_CHECK((iomap_read(IO_MMIO, at, size) & ~size_mask(size)) == 0);
		return;
	}
	iomap_write(IO_MMIO, BOARD_PCI_MMIO + 0xc, 2, 0x80);
	iomap_write(IO_MMIO, BOARD_PCI_MMIO + 0xc, 2, 0x86);
	iomap_write(IO_MMIO, at, size, value);
}

static void input(struct fuzz_in *in)
{
	u32 n = fuzz_below(in, 64);

	while (n-- && fake.in_len < sizeof(fake.in))
		fake.in[fake.in_len++] = (char)fuzz_u8(in);
	uart_console_event();
}

static void step(struct fuzz_in *in, u8 op)
{
	u32 size = 1u << (op >> 4) % 3, port;

	switch (op & 15) {
	case 0 ... 4:
		port = port_of(in);
		iomap_write(IO_PORT, port, size, fuzz_take(in, size));
		break;
	case 5 ... 7:
		port = port_of(in);
		FUZZ_CHECK((iomap_read(IO_PORT, port, size) & ~size_mask(size)) == 0);
		check_nobody(port, size);
		break;
	case 8: /* an IOAPIC register */
		iomap_write(IO_MMIO, BOARD_IOAPIC, 4, fuzz_u8(in) % 0x44);
		iomap_write(IO_MMIO, BOARD_IOAPIC + 0x10, 4, fuzz_u32(in));
		break;
	case 9: { /* any access to its page, also odd sizes and across the end */
		u64 at = BOARD_IOAPIC + fuzz_u16(in) % 0x1010 - 8;

		size = 1 + (op >> 4) % 8;
		if (fuzz_u8(in) & 1)
			iomap_write(IO_MMIO, at, size, fuzz_u64(in) & size_mask(size));
		else
			FUZZ_CHECK((iomap_read(IO_MMIO, at, size) & ~size_mask(size)) == 0);
		break;
	}
	case 10: /* seconds now and then, mostly less: each may be 10,000 ticks */
		port = fuzz_u32(in) >> (op >> 4) * 2;
		go_on(op >> 4 ? port % 50000000 : port);
		break;
	case 11: acknowledge(); break;
	case 12: ioapic_eoi(fuzz_u8(in)); break;
	case 13: input(in); break;
	case 14:
		if (op & 0x80)
			pm_power_button();
		else
			watchdog(in, fuzz_u8(in));
		break;
	case 15: msr(in); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 flags = fuzz_u8(&in) & (ABI_VM_DEBUG_EXIT | ABI_VM_WATCHDOG | ABI_VM_WATCHDOG_NMI);

	machine_reset();
	fake_vm.flags = flags;
	fake.tsc = fuzz_u16(&in) * 1000003ull;
	board_init();
	read_entries(before.low, before.high);
	for (u32 i = 0; in.n && i < 100; i++) {
		u8 op = fuzz_u8(&in);

		fake.out_len = 0;
		fake.msi_count = 0;
		step(&in, op);
		/* an entry changes by a write, an EOI, or as its message goes out */
		if (fake.msi_count || ((op & 15) >= 8 && (op & 15) <= 12 && (op & 15) != 10) ||
		    i % 16 == 15)
			read_entries(after.low, after.high);
		check_messages();
		check_stop(flags);
		FUZZ_CHECK(!fake.nmi_count || flags & ABI_VM_WATCHDOG);
		if (i % 8 == 0) {
			check_time();
			check_pic();
		}
		before = after;
	}
	go_on(300000000);
	check_wires();
	return 0;
}
