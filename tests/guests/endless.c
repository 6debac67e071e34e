/*
 * Exceptions whose delivery raises them again, for ever: the guest executes no
 * instruction any more (CVE-2015-5307 and CVE-2015-8104). The command line
 * says which: "db", a breakpoint on the first instruction of #DB's handler,
 * its stack the same each time by IST; "ac", #AC to a handler in ring 3 with
 * an unaligned stack, in legacy protected mode; "step", a handler of #DB that
 * single-steps itself, where an emulator has neither of the others.
 */
#include "lib.h"

const char guest_name[] = "endless";

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, zero;
};

static u64 tables[8]; /* the GDT */
static struct gate idt[2];
static u32 tss[26];
static u8 handler_stack[4096] __attribute__((aligned(16)));
struct pointer {
	u16 limit;
	u64 base;
} __attribute__((packed));

void breakpoint_handler(void);
void step_handler(void);
void ac_handler(void);
void ac_begin(void);
asm("breakpoint_handler: nop; nop; 1: jmp 1b\n"
    "step_handler: pushfq; orl $0x100, (%rsp); popfq; nop; nop; jmp step_handler\n");

static void debug_loop(void (*handler)(void), bool breakpoint)
{
	struct pointer gdt = { sizeof(tables) - 1, (u64)tables },
		       vectors = { sizeof(idt) - 1, (u64)idt };
	u64 at = (u64)handler, base = (u64)tss,
	    stack = (u64)(handler_stack + sizeof(handler_stack));

	tables[1] = 0x00af9b000000ffff; /* as start.S has it: 64-bit code, data */
	tables[2] = 0x00cf93000000ffff;
	tables[4] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		    (base >> 24 & 0xff) << 56;
	tss[9] = (u32)stack; /* IST1 */
	idt[1] = (struct gate){ (u16)at, 8, 1, 0x8e, (u16)(at >> 16), 0, 0 };
	asm volatile("lgdt %0; ltr %w1; lidt %2" : : "m"(gdt), "r"(0x20), "m"(vectors) : "memory");
	if (breakpoint)
		asm volatile("mov %0, %%dr0; mov %1, %%dr7" : : "r"(at), "r"(0x401ul));
	asm volatile("jmp *%0" : : "r"(at));
}

u64 ac_gdt[5] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff,
		  0x00cff3000000ffff };
static u64 ac_idt[18];
struct pointer ac_gdt_pointer = { sizeof(ac_gdt) - 1, (u64)ac_gdt };
struct pointer ac_idt_pointer = { sizeof(ac_idt) - 1, (u64)ac_idt };
u8 ac_stack[4096] __attribute__((aligned(16)));

asm("ac_begin:\n"
    "	lgdt ac_gdt_pointer\n"
    "	lidt ac_idt_pointer\n"
    "	movl $ac_stack + 4096, %esp\n"
    "	pushq $8\n"
    "	pushq $1f\n"
    "	lretq\n"
    ".code32\n"
    "1:	movl $0x23, %eax\n"
    "	movl %eax, %ds\n"
    "	movl $0x10, %eax\n"
    "	movl %eax, %ss\n"
    "	movl %cr0, %eax\n"
    "	andl $0x7fffffff, %eax\n" /* no paging: out of long mode */
    "	orl $0x40000, %eax\n"	  /* AM */
    "	movl %eax, %cr0\n"
    "	pushl $0x23\n"
    "	pushl $ac_stack + 2049\n"
    "	pushl $0x40002\n" /* AC */
    "	pushl $0x1b\n"
    "	pushl $2f\n"
    "	iret\n"
    "2:	movl ac_stack + 1, %eax\n"
    "ac_handler:\n"
    "	jmp ac_handler\n"
    ".code64\n");

static void alignment_loop(void)
{
	u64 at = (u64)ac_handler;

	ac_idt[17] = (at & 0xffff) | 0x1bull << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
	ac_begin();
}

void guest_main(void)
{
	print("READY %s\n", guest_name);
	if (option("db"))
		debug_loop(breakpoint_handler, true);
	if (option("step"))
		debug_loop(step_handler, false);
	if (option("ac"))
		alignment_loop();
	fail("still running");
}
