/*
 * What every bare test guest is built from: console, checks, the exit port,
 * faults that come back as values, interrupts, and the board's chips.
 *
 * How a guest ends: it prints `PASS <name>`, or one line `FAIL <name>: why`
 * for each thing that was wrong, on COM1, and then writes EXIT_PASS or
 * EXIT_FAIL to the debug exit port 0xF4. The crashers end their VM their own
 * way instead; what they print before is `READY <name>`.
 */
#ifndef TESTS_GUESTS_LIB_H
#define TESTS_GUESTS_LIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define EXIT_PORT 0xf4
#define EXIT_PASS 0x10
#define EXIT_FAIL 0x21
#define DEBUG_PORT 0xe9
#define COM1 0x3f8
#define UNUSED __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Each guest defines these two. */
extern const char guest_name[];
void guest_main(void);

/* ------------------------------------------------ console and result */

void put_char(char c);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int get_char(void); /* -1: nothing was typed */
void serial_init(void);
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool had_failures(void);
void verdict(void);	     /* prints PASS, or FAILED when fail() was called */
_Noreturn void finish(void); /* verdict, then the exit port */
_Noreturn void halt_forever(void);

/* Says what was wrong and goes on: a run shows all that is broken. */
#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			fail(__VA_ARGS__); \
	} while (0)

bool option(const char *word); /* is it in the command line? */
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* --------------------------------------------------------- machine */

static inline u8 inb(u16 port)
{
	u8 v;
	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;
	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;
	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;
	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	asm volatile("cpuid"
		     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		     : "a"(leaf), "c"(sub));
}

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

#define DEFINE_CR(n) \
	static inline u64 read_cr##n(void) \
	{ \
		u64 v; \
		asm volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory"); \
		return v; \
	} \
	static inline void write_cr##n(u64 v) \
	{ \
		asm volatile("mov %0, %%cr" #n : : "r"(v) : "memory"); \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
DEFINE_CR(8)

/* --------------------------------------------- faults and interrupts */

struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

/*
 * TRY(instructions, outputs, inputs...): executes them; a fault in them ends
 * them. Evaluates nothing: afterwards fault.vector is -1, or the vector, with
 * the error code, the faulting RIP and CR2 beside it.
 */
struct fault {
	int vector;
	u64 error, rip, cr2;
};

extern volatile struct fault fault;
extern volatile u64 fault_resume;

#define TRY(insns, outputs, ...) \
	do { \
		fault.vector = -1; \
		asm volatile("movq $771f, fault_resume\n\t" insns "\n771:\n\t" \
			     "movq $0, fault_resume" \
			     : outputs \
			     : __VA_ARGS__); \
	} while (0)
#define OUT(...) __VA_ARGS__ /* more than one output */
#define NOTHING

int try_rdmsr(u32 msr, u64 *v); /* the vector, -1: none */
int try_wrmsr(u32 msr, u64 v);
int try_read32(volatile void *p, u32 *v);
int try_write32(volatile void *p, u32 v);
int try_xsetbv(u32 index, u64 v);
int try_cr0(u64 v);
int try_cr3(u64 v);
int try_cr4(u64 v);
int try_cr8(u64 v);

/* Runs first on every exception and interrupt; true: dealt with. */
extern bool (*trap_hook)(struct frame *);
/* Vectors from 32 on: counted, the hook called, then EOI unless no_eoi. */
extern volatile u32 irq_count[256];
extern void (*irq_hook[256])(struct frame *);
extern volatile bool no_eoi;

/* ------------------------------------------------------------ board */

#define LAPIC_BASE 0xfee00000ul
#define IOAPIC_BASE 0xfec00000ul
#define LAPIC_ID 0x20
#define LAPIC_VERSION 0x30
#define LAPIC_TPR 0x80
#define LAPIC_PPR 0xa0
#define LAPIC_EOI 0xb0
#define LAPIC_SVR 0xf0
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200
#define LAPIC_ESR 0x280
#define LAPIC_ICR 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LVT_MASKED 0x10000u

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_ADJUST 0x3b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_EFER 0xc0000080

extern bool x2apic; /* apic_read() and apic_write() go through MSRs */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
void apic_init(void); /* software-enabled, everything masked, TPR 0 */
void apic_enter_x2(void);
u32 apic_id(void);
void apic_self_ipi(u8 vector);
bool apic_in_irr(u8 vector);

u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 v);
void ioapic_route(u32 pin, u64 entry); /* bit 16: masked, bit 15: level */

void pic_init(u8 base); /* both, remapped to base and base + 8, all masked */
void pic_mask(u16 mask);

u32 acpi_find(const char *sig); /* address of that table, 0: none */
u32 acpi_field(const char *sig, u32 offset, u32 size);
extern u16 pm_port;	 /* the PM timer; 0: none */
extern u16 pm_control;	 /* PM1a control; 0: unknown */
u32 pm_read(void);	 /* 24 bits */
u32 pm_since(u32 start); /* ticks since pm_read() gave start; below 4 s */
#define PM_HZ 3579545u
#define PM_US(us) ((u32)((u64)(us)*PM_HZ / 1000000))
void spin_us(u32 us);

/* true as soon as *counter >= n; false after that many microseconds. IF = 1 inside. */
bool wait_count(volatile u32 *counter, u32 n, u32 us);

/* A 2 MiB window on any physical address; the next call moves it. */
volatile u8 *map_window(u64 pa);

/* Multiboot's memory map, RAM only: false when i is past the end. */
bool ram_range(u32 i, u64 *base, u64 *size);

extern bool bulkhead; /* runs on Bulkhead (else: on the bare emulator) */
bool cpu_has_avx(void);

#endif
