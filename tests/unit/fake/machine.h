/*
 * A machine of virtual devices for host tests: the fake system calls with an
 * I/O map, guest time that runs when told to, and port accesses by name.
 */
#ifndef TESTS_UNIT_FAKE_MACHINE_H
#define TESTS_UNIT_FAKE_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "sys_fake.h"
#include "vmm/board.h"
#include "vmm/iomap.h"
#include "vmm/timer.h"

static inline void machine_reset(void)
{
	sys_fake_reset(MIB(4), 0);
	iomap_clear();
	vtimer_clear();
}

static inline u8 in8(u32 port)
{
	return (u8)iomap_read(IO_PORT, port, 1);
}

static inline u16 in16(u32 port)
{
	return (u16)iomap_read(IO_PORT, port, 2);
}

static inline u32 in32(u32 port)
{
	return (u32)iomap_read(IO_PORT, port, 4);
}

static inline void out8(u32 port, u32 value)
{
	iomap_write(IO_PORT, port, 1, value & 0xff);
}

static inline void out16(u32 port, u32 value)
{
	iomap_write(IO_PORT, port, 2, value & 0xffff);
}

static inline void out32(u32 port, u32 value)
{
	iomap_write(IO_PORT, port, 4, value);
}

/* Guest time goes to this moment; timers fire on the way. -> how many wake-ups. */
static inline u32 run_to(u64 ns)
{
	u32 wakeups = 0;

	while (fake.timer <= ns && wakeups < 1000000) {
		if (fake.timer > fake.tsc)
			fake.tsc = fake.timer;
		fake.timer = ~0ull;
		vtimer_run();
		wakeups++;
	}
	fake.tsc = ns;
	return wakeups;
}

static inline u32 run(u64 ns)
{
	return run_to(fake.tsc + ns);
}

#endif
