/*
 * What the test variant's monitor does wrong when its guest asks for it: the
 * numbers that monitor (vmm/misbehave.c), guest (tests/guests/badmonitor.c)
 * and tests/system/test_monitor_crash.py agree on. Number 1 is the first one.
 *
 * The guest writes the number to MISBEHAVE_PORT; when it has written an
 * upcall's reason + 1 to MISBEHAVE_WHEN before, it happens at the next such
 * upcall instead. What returns is answered at MISBEHAVE_PORT: how many things
 * were not as they should be. With "start=N" in its command line a VM's
 * monitor does N while it starts.
 */
#ifndef TESTS_VARIANT_MISBEHAVE_H
#define TESTS_VARIANT_MISBEHAVE_H

#define MISBEHAVE_PORT 0xe8
#define MISBEHAVE_WHEN 0xe7
#define MISBEHAVE_ABSENT 0xff /* what MISBEHAVE_PORT reads where there is none of this */

/* One instruction each that ring 3 must not get away with. RAX, RCX and RDX
 * are 0, RDI points at 64 bytes. X(name, instructions) */
#define MISBEHAVE_INSNS(X) \
	X(hlt, "hlt") \
	X(cli, "cli") \
	X(sti, "sti") \
	X(in, "movl $0x3f8, %%edx; inb %%dx, %%al") \
	X(out, "movl $0x3f8, %%edx; outb %%al, %%dx") \
	X(ins, "movl $0x60, %%edx; insb") \
	X(cr0_read, "movq %%cr0, %%rax") \
	X(cr0_write, "movq %%rax, %%cr0") \
	X(cr3_read, "movq %%cr3, %%rax") \
	X(cr3_write, "movq %%rax, %%cr3") \
	X(cr4_write, "movq %%rax, %%cr4") \
	X(cr8_write, "movq %%rax, %%cr8") \
	X(dr7_read, "movq %%db7, %%rax") \
	X(dr7_write, "movq %%rax, %%db7") \
	X(rdmsr, "movl $0xc0000080, %%ecx; rdmsr") \
	X(wrmsr, "movl $0xc0000082, %%ecx; wrmsr") \
	X(rdpmc, "rdpmc") \
	X(xsetbv, "xsetbv") \
	X(lgdt, "lgdt (%%rdi)") \
	X(lidt, "lidt (%%rdi)") \
	X(lldt, "lldt %%ax") \
	X(ltr, "movl $0x28, %%eax; ltr %%ax") \
	X(lmsw, "lmsw %%ax") \
	X(clts, "clts") \
	X(invlpg, "invlpg (%%rdi)") \
	X(wbinvd, "wbinvd") \
	X(invd, "invd") \
	X(swapgs, "swapgs") \
	X(sysret, "sysretq") \
	X(sysenter, "sysenter") \
	X(sysexit, "sysexitl") \
	X(monitor, "movq %%rdi, %%rax; .byte 0x0f, 0x01, 0xc8") \
	X(mwait, ".byte 0x0f, 0x01, 0xc9") \
	X(vmrun, "vmrun") \
	X(vmload, "vmload") \
	X(vmsave, "vmsave") \
	X(vmmcall, "vmmcall") \
	X(stgi, "stgi") \
	X(clgi, "clgi") \
	X(invlpga, "invlpga") \
	X(rdfsbase, "rdfsbase %%rax") \
	X(wrgsbase, "wrgsbase %%rax") \
	X(int_0x80, "int $0x80") \
	X(int_nmi, "int $2") \
	X(int_df, "int $8") \
	X(int_timer, "int $0xf0") \
	X(int_halt, "int $0xf3") \
	X(int3, "int3") \
	X(ud2, "ud2") \
	X(divide, "divl %%ecx") \
	X(single_step, "pushfq; orq $0x100, (%%rsp); popfq; nop") \
	X(iopl, "pushfq; orq $0x3000, (%%rsp); popfq; cli") \
	X(ss_kernel, "movl $0x10, %%eax; movl %%eax, %%ss") \
	X(ds_tss, "movl $0x28, %%eax; movl %%eax, %%ds") \
	X(ds_beyond, "movl $0xfff8, %%eax; movl %%eax, %%ds") \
	X(iret_kernel, "movq %%rsp, %%rax; pushq $0x10; pushq %%rax; pushq $2; pushq $0x08;" \
		       "pushq $0x400000; iretq") \
	X(iret_tss, "movq %%rsp, %%rax; pushq $0x1b; pushq %%rax; pushq $2; pushq $0x2b;" \
		    "pushq $0x400000; iretq") \
	X(iret_null, "movq %%rsp, %%rax; pushq $0; pushq %%rax; pushq $2; pushq $0;" \
		     "pushq $0x400000; iretq") \
	X(iret_kernel_rip, \
	  "movq %%rsp, %%rax; pushq $0x1b; pushq %%rax; pushq $0x202; pushq $0x23;" \
	  "pushq $-0x80000000; iretq") \
	X(iret_nt, "pushfq; orq $0x4000, (%%rsp); popfq; movq %%rsp, %%rax; pushq $0x1b;" \
		   "pushq %%rax; pushq $2; pushq $0x23; pushq $0x400000; iretq") \
	X(lret_kernel, "pushq $0x08; pushq $0x400000; lretq") \
	X(lret_32, "pushq $0x33; pushq $0x400000; lretq") \
	X(jump_wild, "movabsq $0x123456789abcdef0, %%rax; jmp *%%rax") \
	X(push_wild, "movabsq $0x8000000000000000, %%rsp; pushq %%rax") \
	X(push_kernel, "movq $-0x1000, %%rsp; pushq %%rax")

/* The same for instructions that tell where the kernel's tables are: they
 * fault where the processor has UMIP. */
#define MISBEHAVE_UMIP(X) \
	X(sgdt, "sgdt (%%rdi)") \
	X(sidt, "sidt (%%rdi)") \
	X(sldt, "sldt %%rax") \
	X(str, "str %%rax") \
	X(smsw, "smsw %%rax")

/* Accesses to what is not the monitor's, or not for that. X(name) */
#define MISBEHAVE_ACCESSES(X) \
	X(null_read) \
	X(null_write) \
	X(null_jump) \
	X(text_write) \
	X(rodata_write) \
	X(vm_page_write) \
	X(file_write) \
	X(stack_exec) \
	X(data_exec) \
	X(ram_exec) \
	X(vcpu_page_exec) \
	X(kernel_read) \
	X(kernel_write) \
	X(kernel_jump) \
	X(direct_read) \
	X(kernel_stack_write) \
	X(device_read) \
	X(scratch_write) \
	X(beyond_ram) \
	X(other_vcpu) \
	X(other_stack) \
	X(beyond_files) \
	X(wild_read) \
	X(stack_overflow)

#define MISBEHAVE_LOOPS(X) X(loop) X(loop_of_calls)

/* How an upcall ends; FINISH: "finish=KIND,A,B,C" (hex) in the command line. */
#define MISBEHAVE_FINISHES(X) X(finish) X(regs_rip) X(regs_rsp) X(regs_flags) X(run_wild_state)

/* These return. */
#define MISBEHAVE_HARMLESS(X) X(calls) X(flags) X(segments) X(stack_pointer) X(wild_states)

#define MISBEHAVE_ALL(I, X) \
	MISBEHAVE_INSNS(I) \
	MISBEHAVE_UMIP(I) \
	MISBEHAVE_ACCESSES(X) MISBEHAVE_LOOPS(X) MISBEHAVE_FINISHES(X) MISBEHAVE_HARMLESS(X)

enum misbehaviour {
	MISBEHAVE_NOT,
#define I(name, insns) MISBEHAVE_##name,
#define X(name) MISBEHAVE_##name,
	MISBEHAVE_ALL(I, X)
#undef I
#undef X
		MISBEHAVE_COUNT
};
_Static_assert(MISBEHAVE_COUNT <= MISBEHAVE_ABSENT, "one byte says which");

#endif
