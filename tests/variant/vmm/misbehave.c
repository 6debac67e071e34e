/*
 * A monitor that does on request what no monitor may (tests/variant/misbehave.h).
 * Whatever of it the kernel and the processor let pass comes back, and the
 * guest finds out.
 */
#include "tests/variant/vmm/misbehave.h"

#include "arch/layout.h"
#include "tests/variant/misbehave.h"
#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/sys.h"
#include "vmm/vm.h"

static u32 wrong;	/* what MISBEHAVE_PORT reads */
static u32 armed, when; /* a misbehaviour, and the upcall's reason + 1 */

/* ------------------------------------------------------------- helpers */

static s64 call(u64 nr, u64 a, u64 b, u64 c)
{
	register u64 r10 __asm__("r10") = c;
	register u64 r8 __asm__("r8") = ~0ull;
	u64 rdx = ~0ull;
	s64 rax = (s64)nr;

	__asm__ volatile("syscall"
			 : "+a"(rax), "+d"(rdx), "+r"(r10), "+r"(r8)
			 : "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return rax;
}

static void expect(s64 got, s64 wanted, const char *what, u64 arg)
{
	if (got == wanted)
		return;
	wrong++;
	sys_log("%s (%llx) gives %lld, not %lld", what, (unsigned long long)arg, (long long)got,
		(long long)wanted);
}

/* The value behind "key=" in the command line at *p, which moves on; hex. */
static u64 number_at(const char **p)
{
	u64 value = 0;

	for (;; (*p)++) {
		char c = **p;

		if (c >= '0' && c <= '9')
			value = value << 4 | (u64)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (u64)(c - 'a' + 10);
		else
			return value;
	}
}

static const char *find_key(const char *key)
{
	size_t n = strlen(key);

	for (const char *p = vm->cmdline; *p; p++)
		if (strncmp(p, key, n) == 0 && (p == vm->cmdline || p[-1] == ' '))
			return p + n;
	return NULL;
}

static u64 number_of(const char *key)
{
	const char *p = find_key(key);

	return p ? number_at(&p) : 0;
}

static u64 random_state;

static u64 random(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return random_state >> 32 | random_state << 32;
}

/* ------------------------------------------------- forbidden instructions */

#define INSN(name, insns) \
	static void do_##name(void) \
	{ \
		static u64 operand[8]; \
\
		__asm__ volatile(insns : : "a"(0), "c"(0), "d"(0), "D"(operand) : "memory", "cc"); \
	}
MISBEHAVE_INSNS(INSN)
MISBEHAVE_UMIP(INSN)
#undef INSN

/* --------------------------------------------------- forbidden accesses */

static void read_at(u64 addr)
{
	u8 byte;

	__asm__ volatile("movb (%1), %0" : "=q"(byte) : "r"(addr) : "memory");
}

static void write_at(u64 addr)
{
	__asm__ volatile("movb %b1, (%0)" : : "r"(addr), "q"(0) : "memory");
}

/* To a RET there, if it may be executed. */
static void call_at(u64 addr)
{
	__asm__ volatile("call *%0"
			 :
			 : "r"(addr)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

#define ACCESS(name, how, addr) \
	static void do_##name(void) \
	{ \
		how(addr); \
	}
#define RET 0xc3

static u8 some_data[16] = { RET };

ACCESS(null_read, read_at, 0)
ACCESS(null_write, write_at, 0)
ACCESS(null_jump, call_at, 0)
ACCESS(text_write, write_at, (u64)read_at)
ACCESS(rodata_write, write_at, (u64) "constant")
ACCESS(vm_page_write, write_at, ABI_VM_PAGE)
ACCESS(file_write, write_at, vm->kernel.addr)
ACCESS(data_exec, call_at, (u64)some_data)
ACCESS(kernel_read, read_at, KERNEL_BASE)
ACCESS(kernel_write, write_at, KERNEL_BASE)
ACCESS(kernel_jump, call_at, KERNEL_BASE)
ACCESS(direct_read, read_at, KDIRECT_BASE + BOARD_RAM_MIN)
ACCESS(kernel_stack_write, write_at, KSTACK_BASE)
ACCESS(device_read, read_at, KMMIO_BASE)
ACCESS(scratch_write, write_at, KSCRATCH_BASE)
ACCESS(beyond_ram, read_at, ABI_GUEST_BASE + vm->ram_low)
ACCESS(other_vcpu, read_at, ABI_VCPU_PAGE(1))
ACCESS(other_stack, write_at, ABI_STACK_TOP(1) - 8)
ACCESS(beyond_files, read_at, vm->kernel.addr + ALIGN_UP(vm->kernel.size, PAGE_SIZE))
ACCESS(wild_read, read_at, 0x0123456789abcdefull)

static void do_stack_exec(void)
{
	volatile u8 code[16] = { RET };

	call_at((u64)code);
}

static void do_ram_exec(void)
{
	u8 *p = guest_ptr(0x80000, 1);

	*p = RET;
	call_at((u64)p);
}

static void do_vcpu_page_exec(void)
{
	vcpu->log[0] = (char)RET;
	call_at((u64)vcpu->log);
}

static NOINLINE u64 deeper(u64 n)
{
	volatile u64 frame[16] = { n };

	return n == ~0ull ? 0 : deeper(n + 1) + frame[n & 15];
}

static void do_stack_overflow(void)
{
	deeper(0);
}

/* ---------------------------------------------------------------- loops */

static void do_loop(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void do_loop_of_calls(void)
{
	for (;;)
		call(ABI_SYS_LAPIC_READ, 0x30, 0, 0);
}

/* ----------------------------------------------- how an upcall may end */

static void do_finish(void)
{
	const char *p = find_key("finish=");
	u64 arg[4] = { 0 };

	for (u32 i = 0; p && i < 4; i++) {
		arg[i] = number_at(&p);
		if (*p != ',')
			break;
		p++;
	}
	__asm__ volatile("movq %[c], %%r10\n\t"
			 "syscall"
			 :
			 : "a"((u64)ABI_SYS_FINISH), "D"(arg[0]), "S"(arg[1]),
			   "d"(arg[2]), [c] "r"(arg[3])
			 : "r10", "memory");
}

static void do_regs_rip(void)
{
	vcpu->rip = 0x8123456789abcdefull;
	sys_finish(ABI_FIN_REGS, 0, 0, 0);
}

static void do_regs_rsp(void)
{
	for (u32 i = 0; i < 16; i++)
		vcpu->gpr[i] = ~0ull << 63 | i;
	sys_finish(ABI_FIN_REGS, 15, 0, 0);
}

static void do_regs_flags(void)
{
	vcpu->rflags = ~0ull;
	sys_finish(ABI_FIN_REGS, 0, 0, 0);
}

static u64 some_word(void)
{
	static const u64 words[] = {
		0,
		1,
		~0ull,
		0xffffffff,
		0x8000000000000000ull,
		0x7fffffffffffffffull,
		0x0000800000000000ull,
		0xffff800000000000ull,
		0xfee00000,
		0x1000,
		0x80000001,
		0x80050033,
		0x60000010,
		0xe0000011,
		0x20,
		0x6f0,
		0x3f07ff,
		0x500,
		0xd01,
		0x1500,
		0xffff0ff0,
		0x400,
		0xffffffff00000000ull,
	};
	u64 r = random();

	if (r % 4 == 0)
		return random();
	return words[r / 4 % ARRAY_SIZE(words)];
}

static void fill_wild(void)
{
	u64 *word = (u64 *)&vcpu->state;

	for (u32 i = 0; i < sizeof(vcpu->state) / 8; i++)
		word[i] = some_word();
	for (u32 i = 0; i < 16; i++)
		vcpu->gpr[i] = some_word();
	vcpu->rip = some_word();
	vcpu->rflags = some_word();
	vcpu->state.cr8 &= 0xf;
	/* what is checked most strictly must be right more often to get through */
	if (random() % 8) {
		vcpu->state.cr0 &= 0xffffffff;
		vcpu->state.cr3 &= 0xfffff000;
		vcpu->state.cr4 &= 0x6f0;
		vcpu->state.efer &= 0xd01;
		vcpu->state.dr6 &= 0xffffffff;
		vcpu->state.dr7 &= 0xffffffff;
	}
}

/* While the VM starts: state that the kernel lets pass, and go. */
static void do_run_wild_state(void)
{
	random_state = number_of("seed=");
	for (u32 i = 0; i < 100000; i++) {
		fill_wild();
		if (call(ABI_SYS_SET_STATE, 0, 0, 0) == ABI_OK)
			sys_finish(ABI_FIN_NONE, 0, 0, 0);
	}
}

/* While the VM starts: the loader sets things right afterwards. */
static void do_wild_states(void)
{
	u32 taken = 0;

	for (u32 i = 0; i < 5000; i++) {
		s64 r;

		fill_wild();
		r = call(ABI_SYS_SET_STATE, 0, 0, 0);
		taken += r == ABI_OK;
		if (r != ABI_OK && r != ABI_EINVAL)
			expect(r, ABI_EINVAL, "SET_STATE", i);
	}
	sys_log("%u of 5000 wild states taken", taken);
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	memset(&vcpu->state, 0, sizeof(vcpu->state));
}

/* ------------------------------------------------------------- harmless */

static const u64 wild[] = { ~0ull, ~0ull - 1, 1ull << 63, 1ull << 32, 0x7fffffffffffffffull };

static void calls_without_meaning(void)
{
	for (u64 nr = ABI_SYSCALL_COUNT; nr < 300; nr++)
		expect(call(nr, nr, nr, nr), ABI_ENOSYS, "call", nr);
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++)
		expect(call(wild[i], 0, 0, 0), ABI_ENOSYS, "call", wild[i]);
	/* low halves that name a call */
	for (u64 nr = 0; nr < ABI_SYSCALL_COUNT; nr++)
		expect(call(nr | 1ull << 32, 0, 0, 0), ABI_ENOSYS, "call", nr | 1ull << 32);
}

static void do_calls(void)
{
	bool start = vcpu->reason == ABI_UP_START;

	wrong = 0;
	calls_without_meaning();
	if (!start)
		expect(call(ABI_SYS_SET_STATE, ~0ull, ~0ull, ~0ull), ABI_EPERM, "SET_STATE", 0);
	expect(call(ABI_SYS_LOG, sizeof(vcpu->log) + 1, 0, 0), ABI_EINVAL, "LOG", 257);
	expect(call(ABI_SYS_CONSOLE_WRITE, 0, 9, 0), ABI_EINVAL, "CONSOLE_WRITE", 9);
	expect(call(ABI_SYS_EXTINT, 2, 0, 0), ABI_EINVAL, "EXTINT", 2);
	expect(call(ABI_SYS_NMI, 1, 0, 0), ABI_EINVAL, "NMI", 1);
	expect(call(ABI_SYS_LAPIC_READ, 0x1000, 0, 0), ABI_EINVAL, "LAPIC_READ", 0x1000);
	expect(call(ABI_SYS_LAPIC_WRITE, 0x1000, 0, 0), ABI_EINVAL, "LAPIC_WRITE", 0x1000);
	expect(call(ABI_SYS_STOP, ABI_STOP_COUNT, 0, 0), ABI_EINVAL, "STOP", ABI_STOP_COUNT);
	expect(call(ABI_SYS_MSI, 0xfed00000, 0x41, 0), ABI_EINVAL, "MSI", 0xfed00000);
	expect(call(ABI_SYS_MSI, 0xfee00000, 0x341, 0), ABI_EINVAL, "MSI, mode", 3);
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		u64 w = wild[i];

		expect(call(ABI_SYS_LOG, w, 0, 0), ABI_EINVAL, "LOG", w);
		expect(call(ABI_SYS_CONSOLE_WRITE, w, w, 0), ABI_EINVAL, "CONSOLE_WRITE", w);
		expect(call(ABI_SYS_EXTINT, w, 0, 0), ABI_EINVAL, "EXTINT", w);
		expect(call(ABI_SYS_NMI, w, 0, 0), ABI_EINVAL, "NMI", w);
		expect(call(ABI_SYS_LAPIC_READ, w, 0, 0), ABI_EINVAL, "LAPIC_READ", w);
		expect(call(ABI_SYS_LAPIC_WRITE, w, 0, 0), ABI_EINVAL, "LAPIC_WRITE", w);
		expect(call(ABI_SYS_LAPIC_WRITE, 0x80, w, 0), ABI_EINVAL, "LAPIC_WRITE value", w);
		expect(call(ABI_SYS_STOP, w, 0, 0), ABI_EINVAL, "STOP", w);
		expect(call(ABI_SYS_STOP, 0, w, 0), ABI_EINVAL, "STOP code", w);
		expect(call(ABI_SYS_MSI, w, 0x41, 0), ABI_EINVAL, "MSI", w);
		expect(call(ABI_SYS_MSI, 0xfee00000, w, 0), ABI_EINVAL, "MSI data", w);
		if (w != ~0ull)
			expect(call(ABI_SYS_TIMER, w, w, w), ABI_OK, "TIMER", w);
	}
	/* wild, but not refused: nothing may come of it */
	for (u64 offset = 0; offset < 0x1000; offset += 7)
		expect(call(ABI_SYS_LAPIC_READ, offset, 0, 0), ABI_OK, "LAPIC_READ", offset);
	expect(call(ABI_SYS_MSI, 0xfeeff004, 0x41, 0), ABI_OK, "MSI to nobody", 0);
	expect(call(ABI_SYS_MSI, 0xfee00000, 5, 0), ABI_OK, "MSI, vector", 5);
	expect(call(ABI_SYS_GET_STATE, ~0ull, ~0ull, ~0ull), ABI_OK, "GET_STATE", 0);
	sys_timer(0); /* vmm/timer.c finds its place again */
}

#define ROUNDS 3000000

/* Time for interrupts to come, and calls: with whatever is in the registers. */
#define SPIN_AND_CALL \
	"movl %[rounds], %%r13d\n" \
	"1: decl %%r13d\n\t" \
	"jnz 1b\n\t" \
	"movl %[call], %%eax\n\t" \
	"syscall\n\t"
#define SPIN_OPERANDS [rounds] "i"(ROUNDS), [call] "i"(ABI_SYS_GET_STATE)
#define SPIN_CLOBBERS "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r13", "memory"

static void do_flags(void)
{
	/* carry .. sign, direction, overflow, NT, RF, AC, VIF, VIP, ID */
	u64 flags = 0x3d4cd7;

	__asm__ volatile("pushq %[flags]\n\t"
			 "popfq\n\t" SPIN_AND_CALL "pushq $0x202\n\t"
			 "popfq"
			 :
			 : [flags] "r"(flags), SPIN_OPERANDS
			 : SPIN_CLOBBERS, "cc");
}

static void do_segments(void)
{
	__asm__ volatile("movl $0x1b, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t" SPIN_AND_CALL "movl $3, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t" SPIN_AND_CALL
			 :
			 : SPIN_OPERANDS
			 : SPIN_CLOBBERS);
}

static void do_stack_pointer(void)
{
	static const u64 pointers[] = { 0, 8, 0x8000000000000000ull, KERNEL_BASE, ~0ull };

	for (u32 i = 0; i < ARRAY_SIZE(pointers); i++)
		__asm__ volatile("movq %%rsp, %%r12\n\t"
				 "movq %[sp], %%rsp\n\t" SPIN_AND_CALL "movq %%r12, %%rsp"
				 :
				 : [sp] "b"(pointers[i]), SPIN_OPERANDS
				 : SPIN_CLOBBERS, "r12");
}

/* ---------------------------------------------------------------- which */

static void misbehave(u32 number)
{
	static void (*const acts[MISBEHAVE_COUNT])(void) = {
#define I(name, insns) [MISBEHAVE_##name] = do_##name,
#define X(name) [MISBEHAVE_##name] = do_##name,
		MISBEHAVE_ALL(I, X)
#undef I
#undef X
	};

	wrong = 0;
	if (number && number < MISBEHAVE_COUNT)
		acts[number]();
	else
		wrong = 1;
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	(void)size;
	return wrong < MISBEHAVE_ABSENT ? wrong : MISBEHAVE_ABSENT - 1;
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)size;
	if (off == 0)
		when = (u32)value;
	else if (when)
		armed = (u32)value;
	else
		misbehave((u32)value);
}

void misbehave_init(void)
{
	_Static_assert(MISBEHAVE_WHEN + 1 == MISBEHAVE_PORT, "one range");
	io_claim(IO_PORT, &(struct io_range){ MISBEHAVE_WHEN, 2, NULL, port_read, port_write,
					      "misbehaviour" });
	if (find_key("start="))
		misbehave((u32)number_of("start="));
}

void misbehave_at(struct abi_vcpu *page)
{
	u32 number = armed;

	if (!armed || page->reason + 1 != when)
		return;
	armed = when = 0;
	misbehave(number);
}
