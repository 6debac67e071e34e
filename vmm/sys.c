/*
 * The monitor's system calls (kernel/abi.h): SYSCALL with the number in RAX,
 * arguments in RDI, RSI, RDX, R10; results in RAX and RDX; RCX and R11 lost.
 */
#include "vmm/sys.h"

#include "vmm/vm.h"

static inline s64 call(u64 nr, u64 a, u64 b, u64 *out)
{
	s64 rax;
	u64 rdx;

	__asm__ volatile("syscall"
			 : "=a"(rax), "=d"(rdx)
			 : "a"(nr), "D"(a), "S"(b)
			 : "rcx", "r8", "r9", "r10", "r11", "memory");
	if (out)
		*out = rdx;
	return rax;
}

void sys_finish(enum abi_finish kind, u64 a, u64 b, u64 c)
{
	register u64 r10 __asm__("r10") = c;

	__asm__ volatile("syscall"
			 :
			 : "a"((u64)ABI_SYS_FINISH), "D"((u64)kind), "S"(a), "d"(b), "r"(r10)
			 : "memory");
	__builtin_unreachable(); /* the next upcall begins at the entry point */
}

void sys_get_state(void)
{
	call(ABI_SYS_GET_STATE, 0, 0, NULL);
}

int sys_set_state(void)
{
	return (int)call(ABI_SYS_SET_STATE, 0, 0, NULL);
}

static void log_args(const char *fmt, va_list args)
{
	int n = str_vformat(vcpu->log, sizeof(vcpu->log), fmt, args);

	call(ABI_SYS_LOG, min_u64((u64)n, sizeof(vcpu->log) - 1), 0, NULL);
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

void sys_console_write(const char *bytes, u32 n)
{
	while (n) {
		u32 part = n < 8 ? n : 8;
		u64 word = 0;

		for (u32 i = 0; i < part; i++)
			word |= (u64)(u8)bytes[i] << (8 * i);
		call(ABI_SYS_CONSOLE_WRITE, word, part, NULL);
		bytes += part;
		n -= part;
	}
}

/* What the kernel gave and the caller had no room for, low byte first; a BREAK
 * behind bytes that the caller got. */
static u64 unread;
static u32 unread_count;
static bool unread_break;

u32 sys_console_read(char *bytes, u32 max)
{
	u32 done = 0;

	if (unread_break) {
		unread_break = false;
		return ABI_CONSOLE_BREAK;
	}
	while (done < max) {
		if (!unread_count) {
			s64 n = call(ABI_SYS_CONSOLE_READ, 0, 0, &unread);

			if (n == ABI_CONSOLE_BREAK && !done)
				return ABI_CONSOLE_BREAK;
			unread_break = n == ABI_CONSOLE_BREAK;
			if (n <= 0 || unread_break)
				break;
			unread_count = (u32)n;
		}
		bytes[done++] = (char)unread;
		unread >>= 8;
		unread_count--;
	}
	return done;
}

bool sys_console_more(void)
{
	return unread_break;
}

void sys_timer(ns_t at)
{
	call(ABI_SYS_TIMER, at, 0, NULL);
}

void sys_msi(u64 address, u32 data)
{
	call(ABI_SYS_MSI, address, data, NULL);
}

void sys_extint(bool level)
{
	call(ABI_SYS_EXTINT, level, 0, NULL);
}

void sys_nmi(u32 vcpu_id)
{
	call(ABI_SYS_NMI, vcpu_id, 0, NULL);
}

u32 sys_lapic_read(u32 offset)
{
	u64 value = 0;

	if (call(ABI_SYS_LAPIC_READ, offset, 0, &value))
		return 0;
	return (u32)value;
}

void sys_lapic_write(u32 offset, u32 value)
{
	call(ABI_SYS_LAPIC_WRITE, offset, value, NULL);
}

void sys_stop(enum abi_stop why, u32 code)
{
	call(ABI_SYS_STOP, why, code, NULL);
}

u64 sys_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
