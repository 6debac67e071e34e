/*
 * Makes the monitor of the test variant misbehave (tests/variant/misbehave.h):
 * "do=N" in the command line says how, "when=R" waits for an upcall of that
 * reason + 1 and brings one about, "string" writes the port by OUTSB, "key"
 * waits for one on the console first. All hex. PASS when the VM lives on and
 * nothing was wrong.
 */
#include "lib.h"

#include "kernel/abi.h"
#include "tests/variant/misbehave.h"

const char guest_name[] = "badmonitor";

#define MSR_SYSTEM_TIME 0x4b564d01 /* the monitor's, not the kernel's */

/* "key=" as one word of the command line, for each digit of a hex number. */
static u32 number(const char *key)
{
	char word[16];

	for (u32 v = 0; v < 256; v++) {
		u32 n = 0;

		for (; key[n]; n++)
			word[n] = key[n];
		if (v >= 16)
			word[n++] = "0123456789abcdef"[v >> 4];
		word[n++] = "0123456789abcdef"[v & 15];
		word[n] = 0;
		if (option(word))
			return v;
	}
	return 0;
}

static void out_string(u16 port, u8 byte)
{
	const u8 *p = &byte;

	asm volatile("outsb" : "+S"(p) : "d"(port) : "memory");
}

static void bring_about(u32 reason)
{
	u32 v;
	u64 w;

	switch (reason) {
	case ABI_UP_EVENT: /* the next key */
		for (u64 i = 0; i < 20000000000; i++)
			cpu_pause();
		break;
	case ABI_UP_PIO_IN: inb(0x61); break;
	case ABI_UP_PIO_OUT: outb(0x80, 0); break;
	case ABI_UP_PIO_STRING: out_string(0x80, 0); break;
	case ABI_UP_MMIO: try_read32((u32 *)IOAPIC_BASE, &v); break;
	case ABI_UP_CR: try_cr4(read_cr4() ^ 0x80); break;
	case ABI_UP_DR: TRY("mov %%db7, %0", "=r"(w), "m"(v)); break;
	case ABI_UP_RDMSR: try_rdmsr(MSR_SYSTEM_TIME, &w); break;
	case ABI_UP_WRMSR: try_wrmsr(MSR_SYSTEM_TIME, 0); break;
	case ABI_UP_INTACK:
		apic_write(LAPIC_LVT_LINT0, 0x700);
		outb(0x43, 0x34); /* counter 0, rate generator */
		outb(0x40, 0);
		outb(0x40, 0x10);
		pic_mask(0xfffe);
		sti();
		spin_us(100000);
		cli();
		break;
	default: fail("upcall %u cannot be brought about", reason);
	}
}

void guest_main(void)
{
	u32 when = number("when="), what = number("do=");

	print("READY %s\n", guest_name);
	if (option("key"))
		while (get_char() < 0)
			cpu_pause();
	if (when)
		outb(MISBEHAVE_WHEN, (u8)when);
	if (what && option("string"))
		TRY("outsb", NOTHING, "S"(&what), "d"(MISBEHAVE_PORT) : "memory");
	else if (what)
		TRY("outb %0, %1", NOTHING, "a"((u8)what), "Nd"((u16)MISBEHAVE_PORT) : "memory");
	if (what && fault.vector >= 0)
		print("FAULT %u error %lx cr2 %lx\n", (u32)fault.vector, fault.error, fault.cr2);
	if (when)
		bring_about(when - 1);
	CHECK(inb(MISBEHAVE_PORT) == 0, "%u things were wrong", inb(MISBEHAVE_PORT));
}
