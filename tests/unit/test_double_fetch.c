/*
 * Guest memory that changes after every single access to it, as another vCPU or
 * a device could change it: what the monitor has checked or decoded is what it
 * uses. The page faults at each access, the access is stepped over, and before
 * the next one the page holds the other of two contents.
 */
// SOURCES: vmm/emulate.c vmm/string_op.c vmm/access.c vmm/fetch.c vmm/decode.c vmm/walk.c
// SOURCES: vmm/alu.c vmm/iomap.c vmm/lib.c vmm/vm.c tests/unit/fake/sys_fake.c
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sys_fake.h"
#include "vmm/emulate.h"
#include "vmm/iomap.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define MMIO 0xd0000000ull
#define CODE 0x1000u
#define DATA 0x6000u
#define EFLAGS_TF 0x100

static struct abi_vcpu *v;
static u64 device[512];

static u8 *page; /* the one that changes; NULL: none */
static u8 contents[2][PAGE_SIZE];
static u32 touched; /* how often it was accessed */

static u64 device_read(void *dev, u64 off, u32 size)
{
	u64 value = 0;

	(void)dev;
	memcpy(&value, (u8 *)device + off, size);
	return value;
}

static void device_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	memcpy((u8 *)device + off, &value, size);
}

static void show(u32 which)
{
	mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	memcpy(page, contents[which], PAGE_SIZE);
	mprotect(page, PAGE_SIZE, PROT_NONE);
}

/* Somebody touches the page: let that one instruction through. */
static void on_access(int sig, siginfo_t *info, void *context)
{
	u8 *at = info->si_addr;

	if (!page || at < page || at >= page + PAGE_SIZE) {
		signal(sig, SIG_DFL); /* a bug: it faults again */
		return;
	}
	touched++;
	mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= EFLAGS_TF;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~EFLAGS_TF;
	show(touched & 1);
}

static int setup(void **state)
{
	struct io_range mem = { MMIO, sizeof(device), NULL, device_read, device_write, "memory" };

	(void)state;
	sys_fake_reset(0x400000, 0);
	walk_forget();
	iomap_clear();
	iomap_add(IO_MMIO, &mem);
	memset(device, 0, sizeof(device));
	memset(contents, 0, sizeof(contents));
	v = &fake_vcpu;
	v->rip = CODE;
	v->rflags = 2;
	v->gpa = MMIO;
	for (u32 i = 0; i < ABI_SEGS; i++) {
		v->state.seg[i].limit = 0xffffffff;
		v->state.seg[i].attr = 0x93 | ABI_ATTR_DB;
	}
	v->state.seg[ABI_CS].attr = 0x9b | ABI_ATTR_L;
	v->state.efer = 0x500;
	v->gpr[ABI_RBX] = v->gpr[ABI_RDI] = MMIO;
	v->gpr[ABI_RSI] = DATA;
	v->gpr[ABI_RAX] = 0x1122334455667788;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (page)
		mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	page = NULL;
	return 0;
}

/* From here on the page of gpa changes: content 0 is what is seen first. */
static void change(gpa_t gpa)
{
	struct sigaction segv = { .sa_sigaction = on_access, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction trap = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &segv, NULL); /* cmocka has its own at the test's start */
	sigaction(SIGTRAP, &trap, NULL);
	page = guest_ptr(gpa, PAGE_SIZE);
	touched = 0;
	show(0);
}

static void emulate(void)
{
	SYS_FAKE_UPCALL(emulate_mmio(v));
}

/* The memory does what the other tests rely on. */
static void it_changes(void **state)
{
	const volatile u8 *p;

	(void)state;
	contents[0][5] = 1;
	contents[1][5] = 2;
	change(DATA);
	p = page + 5;
	assert_int_equal(*p, 1);
	assert_int_equal(*p, 2);
	assert_int_equal(*p, 1);
	assert_int_equal(touched, 3);
}

/* An instruction that becomes another one, of another length, behind its first byte's read. */
static void an_instruction_is_what_was_read(void **state)
{
	static const u8 store[] = { 0x89, 0x03 };		       /* mov [rbx], eax */
	static const u8 other[] = { 0xc7, 0x43, 8, 0xff, 0xff, 0, 0 }; /* mov dword [rbx + 8] */

	(void)state;
	memcpy(contents[0], store, sizeof(store));
	memcpy(contents[1], other, sizeof(other));
	for (u32 cached = 0; cached < 2; cached++) {
		change(CODE);
		device[0] = 0;
		emulate();
		/* its word, and the next: the second is not looked at for these */
		assert_int_equal(touched, 2);
		assert_int_equal(fake.fin, ABI_FIN_REG);
		assert_int_equal(fake.c, sizeof(store));
		assert_int_equal(device[0], 0x55667788);
		assert_int_equal(device[1], 0);
	}
	change(CODE);
	show(1); /* the other one first */
	touched = 1;
	emulate();
	assert_int_equal(touched, 3);
	assert_int_equal(fake.c, sizeof(other));
}

/* At a page's end, where it is copied byte by byte. */
static void also_byte_by_byte(void **state)
{
	static const u8 store[] = { 0x89, 0x03 };

	(void)state;
	for (u32 i = 0; i < sizeof(store); i++) /* each byte is right when its turn comes only */
		contents[i & 1][PAGE_SIZE - 2 + i] = store[i];
	v->rip = CODE + PAGE_SIZE - 2;
	change(CODE);
	emulate();
	assert_int_equal(touched, 2);
	assert_int_equal(fake.c, sizeof(store));
	assert_int_equal(device[0], 0x55667788);
}

/* What a string instruction moves to a device. */
static void an_operand_is_read_once(void **state)
{
	(void)state;
	memcpy(guest_ptr(CODE, 1), "\xa5", 1); /* movsd */
	memset(contents[0], 0x11, PAGE_SIZE);
	memset(contents[1], 0x22, PAGE_SIZE);
	change(DATA);
	emulate();
	assert_int_equal(touched, 1);
	assert_int_equal(device[0], 0x11111111);
}

/* A page table entry: its checks and its address are of one reading. */
static void an_entry_is_read_once(void **state)
{
	u64 *top = (u64 *)(void *)guest_ptr(0x10000, 3 * PAGE_SIZE);
	u64 entry[2] = { 0x13000 | 0x63, 0x14000 };
	struct walk w;

	(void)state;
	top[0] = 0x11023;
	top[512] = 0x12023;
	top[1024] = 0x15023;
	v->state.cr0 = 0x80000001;
	v->state.cr4 = 0x20;
	v->state.cr3 = 0x10000;
	for (u32 i = 0; i < 2; i++)
		memcpy(contents[i] + 8, &entry[i], 8);
	change(0x15000);
	assert_int_equal(walk(v, 0x1000, PF_WRITE, &w), WALK_OK);
	assert_int_equal(w.gpa, 0x13000);
	assert_int_equal(touched, 1);
	/* without "accessed" and "dirty": it sets them in what it read, or tries again */
	entry[0] = 0x13003;
	memcpy(contents[0] + 8, &entry[0], 8);
	walk_forget();
	change(0x15000);
	assert_int_equal(walk(v, 0x1000, PF_WRITE, &w), WALK_BUSY);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_changes),
		T(an_instruction_is_what_was_read),
		T(also_byte_by_byte),
		T(an_operand_is_read_once),
		T(an_entry_is_read_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
