/*
 * PAE paging outside long mode: 32-bit code under a PDPT of its own, with
 * exits to kernel and monitor in between. On VT-x the four PDPTEs are
 * registers that each exit saves and each entry loads: they change when CR3
 * or CR4 is written, not when memory is (Intel SDM Vol. 3A, 4.4.1); on AMD-V
 * they may be read at any time (APM Vol. 2, 15.25.10).
 */
#include "lib.h"

const char guest_name[] = "pae";

/* What the 32-bit side does, one after the other. */
enum action { END, READ, WRITE, LOAD_CR3, TOGGLE_PGE, EXITS };
struct step {
	u32 action, address, value;
	u32 vector, error; /* of the fault, ~0: none */
};

extern char entry_gp[], entry_pf[], entry_ud[];
void pae_run(struct step *steps, u64 root);

asm("	.data\n"
    "gdt32:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff\n"
    "gdt32_pointer: .word 31\n"
    "	.quad gdt32\n"
    "steps_table: .long step_end, step_read, step_write, step_cr3, step_pge, step_exits\n"
    "old_gdt: .skip 10\n"
    "old_idt: .skip 10\n"
    "old_rsp: .quad 0\n"
    "old_cr3: .quad 0\n"
    "faults_left: .long 100\n"
    "idt32_pointer: .word 32 * 8 - 1\n"
    "	.quad idt32\n"
    "	.text\n"
    "pae_run:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	movq %rsp, old_rsp\n"
    "	movq %cr3, %rax\n"
    "	movq %rax, old_cr3\n"
    "	sgdt old_gdt\n"
    "	sidt old_idt\n"
    "	movl %esi, %ebx\n"
    "	movl %edi, %esi\n"
    "	lgdt gdt32_pointer\n"
    "	lidt idt32_pointer\n"
    "	pushq $0x18\n"
    "	pushq $1f\n"
    "	lretq\n"
    "	.code32\n"
    "1:	movl $0x10, %eax\n"
    "	movl %eax, %ss; movl %eax, %ds; movl %eax, %es\n"
    "	movl %cr0, %eax\n"
    "	andl $0x7fffffff, %eax\n"
    "	movl %eax, %cr0\n" /* out of long mode */
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	andl $~0x100, %eax\n"
    "	wrmsr\n"
    "	movl %ebx, %cr3\n"
    "	movl %cr0, %eax\n"
    "	orl $0x80000000, %eax\n"
    "	movl %eax, %cr0\n" /* and into PAE paging */
    "next:	movl (%esi), %eax\n"
    "	movl 4(%esi), %edx\n"
    "	movl 8(%esi), %ecx\n"
    "	jmp *steps_table(,%eax,4)\n"
    "step_read: movl (%edx), %ecx\n"
    "	movl %ecx, 8(%esi)\n"
    "	jmp done\n"
    "step_write: movl %ecx, (%edx)\n"
    "	jmp done\n"
    "step_cr3: movl %edx, %cr3\n"
    "	jmp done\n"
    "step_pge: movl %cr4, %eax\n"
    "	xorl $0x80, %eax\n"
    "	movl %eax, %cr4\n"
    "	xorl $0x80, %eax\n"
    "	movl %eax, %cr4\n"
    "	jmp done\n"
    "step_exits: xorl %eax, %eax\n"
    "	cpuid\n"
    "	outb %al, $0x80\n"
    "	inb $0x21, %al\n"
    "done:	addl $20, %esi\n"
    "	jmp next\n"
    "entry_ud: pushl $0\n"
    "	pushl $6\n"
    "	jmp fault32\n"
    "entry_gp: pushl $13\n"
    "	jmp fault32\n"
    "entry_pf: pushl $14\n"
    "fault32: popl 12(%esi)\n"
    "	popl 16(%esi)\n"
    "	decl faults_left\n"
    "	js 2f\n"
    "	movl $done, (%esp)\n"
    "	iretl\n"
    "2:	movb 12(%esi), %al\n" /* no end of them: the vector is the debug exit's value */
    "	outb %al, $0xf4\n"
    "	hlt\n"
    "step_end: movl %cr0, %eax\n"
    "	andl $0x7fffffff, %eax\n"
    "	movl %eax, %cr0\n"
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	orl $0x100, %eax\n"
    "	wrmsr\n"
    "	movl old_cr3, %eax\n"
    "	movl %eax, %cr3\n"
    "	movl %cr0, %eax\n"
    "	orl $0x80000000, %eax\n"
    "	movl %eax, %cr0\n"
    "	lgdt old_gdt\n"
    "	ljmp $8, $1f\n"
    "	.code64\n"
    "1:	movl $16, %eax\n"
    "	movl %eax, %ds; movl %eax, %es; movl %eax, %ss\n"
    "	lidt old_idt\n"
    "	movq old_rsp, %rsp\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

extern u64 page_dirs[4][512]; /* start.S: the first 4 GiB, by 2 MiB; PAE's format too */

u64 idt32[32];
static u64 root[4] __attribute__((aligned(32)));
static u64 dirs[2][512] __attribute__((aligned(4096)));
static u64 tables[2][512] __attribute__((aligned(4096)));
static u32 pages[2][1024] __attribute__((aligned(4096)));

#define LEFT 0x40000000u  /* through PDPTE 1: pages[0] */
#define RIGHT 0x80000000u /* through PDPTE 2: pages[1] */
#define NO_FAULT ~0u
#define NO_CHECK ~1u

static bool intel;

static void prepare(void)
{
	memset(dirs, 0, sizeof(dirs));
	memset(tables, 0, sizeof(tables));
	for (u32 i = 0; i < 2; i++) {
		dirs[i][0] = (u64)tables[i] | 3;
		tables[i][0] = (u64)pages[i] | 3;
		pages[i][0] = 0x1111 * (i + 1);
		root[1 + i] = (u64)dirs[i] | 1;
	}
	root[0] = (u64)page_dirs[0] | 1;
	root[3] = (u64)page_dirs[3] | 1;
}

static void gate(u32 vector, const void *to)
{
	u64 at = (u64)to;

	idt32[vector] = (at & 0xffff) | 0x18ull << 16 | 0x8eull << 40 | (at >> 16) << 48;
}

/* Runs them; each step's fault, and each READ's value, must be as written. */
static void play(const char *what, struct step *steps, u32 count)
{
	static struct step did[16];

	memcpy(did, steps, count * sizeof(*steps));
	did[count].action = END;
	for (u32 i = 0; i < count; i++)
		did[i].vector = NO_FAULT;
	pae_run(did, (u64)root);
	for (u32 i = 0; i < count; i++) {
		if (steps[i].vector == NO_CHECK)
			continue;
		CHECK(did[i].vector == steps[i].vector, "%s, step %u: vector %d", what, i,
		      (int)did[i].vector);
		CHECK(did[i].vector == NO_FAULT || did[i].error == steps[i].error,
		      "%s, step %u: error %x", what, i, did[i].error);
		CHECK(did[i].vector != NO_FAULT || did[i].value == steps[i].value,
		      "%s, step %u: %x, not %x", what, i, did[i].value, steps[i].value);
	}
}

#define PLAY(what, ...) \
	do { \
		struct step steps[] = { __VA_ARGS__ }; \
		play(what, steps, ARRAY_SIZE(steps)); \
	} while (0)
#define DO(action, address, value) \
	{ \
		action, address, value, NO_FAULT, 0 \
	}
#define FAULTS(action, address, vector, error) \
	{ \
		action, address, 0, vector, error \
	}
#define UNLESS_AMD(action, address, value) \
	{ \
		action, address, value, intel &&option("strict") ? NO_FAULT : NO_CHECK, 0 \
	}

static void mapped(void)
{
	u32 version = apic_read(LAPIC_VERSION);

	prepare();
	PLAY("four regions", DO(READ, LEFT, 0x1111), DO(READ, RIGHT, 0x2222), DO(EXITS, 0, 0),
	     DO(READ, LEFT, 0x1111), DO(READ, RIGHT, 0x2222),
	     DO(READ, LAPIC_BASE + LAPIC_VERSION, version), DO(WRITE, LEFT + 4, 0xabcd),
	     DO(WRITE, LAPIC_BASE + LAPIC_TPR, 0), DO(READ, RIGHT, 0x2222),
	     FAULTS(READ, LEFT + 0x1000, 14, 0), FAULTS(WRITE, RIGHT + 0x200000, 14, 2));
	CHECK(pages[0][1] == 0xabcd, "what 32-bit code wrote is %x", pages[0][1]);
	prepare();
	root[2] = 0;
	PLAY("one absent", DO(READ, LEFT, 0x1111), FAULTS(READ, RIGHT, 14, 0), DO(EXITS, 0, 0),
	     FAULTS(READ, RIGHT, 14, 0));
}

static void reloaded(void)
{
	u32 slot = (u32)(u64)&root[1], right = (u32)(u64)dirs[1] | 1;

	prepare();
	PLAY("changed, CR3 written", DO(READ, LEFT, 0x1111), DO(WRITE, slot, right),
	     DO(EXITS, 0, 0), UNLESS_AMD(READ, LEFT, 0x1111), DO(EXITS, 0, 0),
	     DO(LOAD_CR3, (u32)(u64)root, 0), DO(READ, LEFT, 0x2222), DO(EXITS, 0, 0),
	     DO(READ, LEFT, 0x2222));
	prepare();
	PLAY("changed, CR4 written", DO(READ, LEFT, 0x1111), DO(WRITE, slot, right),
	     DO(EXITS, 0, 0), UNLESS_AMD(READ, LEFT, 0x1111), DO(TOGGLE_PGE, 0, 0),
	     DO(READ, LEFT, 0x2222), DO(EXITS, 0, 0), DO(READ, LEFT, 0x2222));
}

/* A reserved bit is found when the PDPTEs are loaded, and the old ones stay. */
static void reserved(void)
{
	u32 slot = (u32)(u64)&root[1];

	if (!intel || !option("strict"))
		return;
	prepare();
	PLAY("reserved bit", DO(WRITE, slot, (u32)(u64)dirs[1] | 3),
	     FAULTS(LOAD_CR3, (u32)(u64)root, 13, 0), DO(EXITS, 0, 0), DO(READ, LEFT, 0x1111));
}

void guest_main(void)
{
	u32 r[4];

	cpuid(0, 0, r);
	intel = r[2] == 0x6c65746e; /* GenuineI"ntel" */
	gate(6, entry_ud);
	gate(13, entry_gp);
	gate(14, entry_pf);
	for (u32 i = 0; i < 3; i++) {
		mapped();
		reloaded();
		reserved();
	}
}
