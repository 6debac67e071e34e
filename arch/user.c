/*
 * Copies between the kernel and the user half of the current address space:
 * bounded by the caller, checked against the user range, fault-fixed. The only
 * place that opens SMAP's gate.
 */
#include "arch/user.h"
#include "arch/cpu.h"

bool user_copy_raw(void *to, const void *from, u64 n);

static bool is_user(u64 addr, u64 size)
{
	u64 top = 1ull << USER_TOP_BIT;

	return addr < top && size <= top - addr;
}

static enum err copy(void *to, const void *from, u64 n)
{
	bool smap = cpu_has(CPU_SMAP);
	bool ok;

	if (smap)
		__asm__ volatile("stac" ::: "memory");
	ok = user_copy_raw(to, from, n);
	if (smap)
		__asm__ volatile("clac" ::: "memory");
	return ok ? OK : ERR_FAULT;
}

enum err user_copy_from(void *to, u64 user, u64 size)
{
	return is_user(user, size) ? copy(to, (const void *)user, size) : ERR_FAULT;
}

enum err user_copy_to(u64 user, const void *from, u64 size)
{
	return is_user(user, size) ? copy((void *)user, from, size) : ERR_FAULT;
}
