/*
 * The fake of the monitor's system calls: see sys_fake.h.
 */
#include "sys_fake.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/sys.h"
#include "vmm/vm.h"

struct sys_fake fake;
struct abi_vm fake_vm;
struct abi_vcpu fake_vcpu;

static u8 *ram;
static u64 ram_span, low_end, high_end; /* offsets in it */

/* Zeroed RAM; the mapping stays if it is long enough (a fuzzer comes here often). */
static void map_ram(u64 ram_low, u64 ram_high)
{
	u8 *high;

	if (ram && ABI_RAM_HIGH_BASE + ram_high > ram_span) {
		munmap(ram, ram_span);
		ram = NULL;
	}
	if (!ram) {
		ram_span = ABI_RAM_HIGH_BASE + ram_high;
		ram = mmap(NULL, ram_span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			   -1, 0);
		if (ram == MAP_FAILED)
			goto failed;
		low_end = high_end = 0;
	}
	high = ram + ABI_RAM_HIGH_BASE;
	if ((low_end && madvise(ram, low_end, MADV_DONTNEED)) ||
	    (high_end && madvise(high, high_end, MADV_DONTNEED)))
		goto failed;
	if (low_end == ram_low && high_end == ram_high)
		return;
	if ((low_end && mprotect(ram, low_end, PROT_NONE)) ||
	    (high_end && mprotect(high, high_end, PROT_NONE)) ||
	    (ram_low && mprotect(ram, ram_low, PROT_READ | PROT_WRITE)) ||
	    (ram_high && mprotect(high, ram_high, PROT_READ | PROT_WRITE)))
		goto failed;
	low_end = ram_low;
	high_end = ram_high;
	return;
failed:
	perror("guest RAM");
	abort();
}

void sys_fake_reset(u64 ram_low, u64 ram_high)
{
	/* its buffers, as far as they were used */
	memset(fake.log, 0, strlen(fake.log));
	memset(fake.out, 0, fake.out_len);
	fake.tsc = fake.log_lines = 0;
	memset(&fake.out_len, 0, sizeof(fake) - offsetof(struct sys_fake, out_len));
	memset(&fake_vm, 0, sizeof(fake_vm));
	memset(&fake_vcpu, 0, sizeof(fake_vcpu));
	fake.timer = ~0ull;

	map_ram(ram_low, ram_high);
	fake_vm.version = ABI_VERSION;
	fake_vm.vcpus = 1;
	fake_vm.ram_low = ram_low;
	fake_vm.ram_high = ram_high;
	fake_vm.tsc_hz = 1000000000;
	fake_vm.ns_mul = 1;
	fake_vm.ns_shift = 0;
	fake_vm.tsc_mul = 1u << 31;
	fake_vm.tsc_shift = 1;
	fake_vm.wall_base = 1700000000;
	fake_vm.phys_bits = 40;
	strcpy(fake_vm.name, "fake");

	vm = &fake_vm;
	vcpu = &fake_vcpu;
	guest_base = ram;
}

void sys_fake_no_finish(void)
{
	fprintf(stderr, "the upcall returned without sys_finish()\n");
	abort();
}

void sys_finish(enum abi_finish kind, u64 a, u64 b, u64 c)
{
	fake.finish_count++;
	fake.fin = kind;
	fake.a = a;
	fake.b = b;
	fake.c = c;
	if (!fake.finish_to) {
		fprintf(stderr, "sys_finish(%d) outside SYS_FAKE_UPCALL\n", (int)kind);
		abort();
	}
	longjmp(*fake.finish_to, 1);
}

static void log_args(const char *fmt, va_list args)
{
	size_t len = strlen(fake.log);

	if (len > sizeof(fake.log) - 512) /* full: .log_lines still counts */
		len = sizeof(fake.log) - 512;
	vsnprintf(fake.log + len, sizeof(fake.log) - len - 1, fmt, args);
	strcat(fake.log, "\n");
	fake.log_lines++;
}

void sys_log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_args(fmt, args);
	va_end(args);
}

void sys_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_args(fmt, args);
	va_end(args);
	sys_stop(ABI_STOP_EMULATION, 0);
	finish_none();
}

void sys_get_state(void)
{
	fake.get_state_calls++;
}

int sys_set_state(void)
{
	fake.set_state_calls++;
	return 0;
}

void sys_console_write(const char *bytes, u32 n)
{
	u32 room = (u32)sizeof(fake.out) - 1 - fake.out_len;

	if (n > room)
		n = room;
	memcpy(fake.out + fake.out_len, bytes, n);
	fake.out_len += n;
}

u32 sys_console_read(char *bytes, u32 max)
{
	u32 n = fake.in_len < max ? fake.in_len : max;

	if (fake.in_break) {
		fake.in_break = false;
		return ABI_CONSOLE_BREAK;
	}
	memcpy(bytes, fake.in, n);
	memmove(fake.in, fake.in + n, fake.in_len - n);
	fake.in_len -= n;
	return n;
}

bool sys_console_more(void)
{
	fake.in_break |= fake.more_breaks;
	fake.more_breaks = false;
	return fake.in_break;
}

void sys_timer(ns_t at)
{
	fake.timer = at;
	fake.timer_calls++;
}

void sys_msi(u64 address, u32 data)
{
	if (fake.msi_count < FAKE_MAX) {
		fake.msi[fake.msi_count].address = address;
		fake.msi[fake.msi_count].data = data;
	}
	fake.msi_count++;
}

void sys_extint(bool level)
{
	fake.extint = level;
	fake.extint_calls++;
}

void sys_nmi(u32 vcpu_id)
{
	(void)vcpu_id;
	fake.nmi_count++;
}

u32 sys_lapic_read(u32 offset)
{
	return fake.lapic[(offset / 4) % 1024];
}

void sys_lapic_write(u32 offset, u32 value)
{
	fake.lapic[(offset / 4) % 1024] = value;
}

void sys_stop(enum abi_stop why, u32 code)
{
	fake.stop_count++;
	fake.stop_why = why;
	fake.stop_code = code;
}

u64 sys_tsc(void)
{
	return fake.tsc;
}
