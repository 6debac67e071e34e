/*
 * Two task switches by hardware in 32-bit protected mode: a far jump to a TSS,
 * and back (Intel SDM Vol. 3A, chapter 8). AMD-V leaves them to the processor:
 * PASS. On VT-x each is an exit, which ends the VM by name; whoever gets past
 * it there has failed.
 */
#include "lib.h"

const char guest_name[] = "tasks";

void switch_tasks(void);

extern u64 task_gdt[];
extern u32 task_there[], task_back[], task_marker;

asm("	.data\n"
    "	.balign 8\n"
    "task_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff, 0, 0\n"
    "task_gdt_pointer: .word 47\n"
    "	.quad task_gdt\n"
    "task_marker: .long 0\n"
    "task_there: .skip 104\n"
    "task_back: .skip 104\n"
    "task_old_gdt: .skip 10\n"
    "task_old_rsp: .quad 0\n"
    "task_old_cr3: .quad 0\n"
    "	.text\n"
    "switch_tasks:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	movq %rsp, task_old_rsp\n"
    "	movq %cr3, %rax\n"
    "	movq %rax, task_old_cr3\n"
    "	sgdt task_old_gdt\n"
    "	lgdt task_gdt_pointer\n"
    "	pushq $0x18\n"
    "	pushq $1f\n"
    "	lretq\n"
    "	.code32\n"
    "1:	movl $0x10, %eax\n"
    "	movl %eax, %ss; movl %eax, %ds; movl %eax, %es\n"
    "	movl %cr0, %eax\n"
    "	andl $0x7fffffff, %eax\n"
    "	movl %eax, %cr0\n"
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	andl $~0x100, %eax\n"
    "	wrmsr\n"
    "	movl $0x20, %eax\n"
    "	ltr %ax\n"
    "	ljmp $0x28, $0\n" /* to task_entry; comes back here */
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	orl $0x100, %eax\n"
    "	wrmsr\n"
    "	movl task_old_cr3, %eax\n"
    "	movl %eax, %cr3\n"
    "	movl %cr0, %eax\n"
    "	orl $0x80000000, %eax\n"
    "	movl %eax, %cr0\n"
    "	lgdt task_old_gdt\n"
    "	ljmp $8, $2f\n"
    "task_entry: movl %eax, task_marker\n" /* as task_there says */
    "	ljmp $0x20, $0\n"
    "	.code64\n"
    "2:	movl $16, %eax\n"
    "	movl %eax, %ds; movl %eax, %es; movl %eax, %ss\n"
    "	movq task_old_rsp, %rsp\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

extern char task_entry[];

static u64 tss_descriptor(const void *tss)
{
	u64 base = (u64)tss;

	return 103 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
}

void guest_main(void)
{
	static u8 stack[256] __attribute__((aligned(16)));
	u32 r[4];

	cpuid(0, 0, r);
	task_gdt[4] = tss_descriptor(task_back);
	task_gdt[5] = tss_descriptor(task_there);
	task_there[8] = (u32)(u64)task_entry; /* EIP */
	task_there[9] = 2;		      /* EFLAGS */
	task_there[10] = 0xcafe;	      /* EAX */
	task_there[14] = (u32)(u64)(stack + sizeof(stack));
	for (u32 i = 18; i < 24; i++) /* ES CS SS DS FS GS */
		task_there[i] = i == 19 ? 0x18 : 0x10;
	print("READY %s\n", guest_name);
	switch_tasks();
	asm volatile("clts"); /* each switch sets TS */
	CHECK(task_marker == 0xcafe, "the other task's EAX is %x", task_marker);
	CHECK(r[2] != 0x6c65746e, "past a task switch on VT-x");
}
