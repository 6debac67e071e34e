/*
 * The library of the bare test guests: see lib.h. One CPU, no interrupts but
 * those a guest asks for, so nothing here needs a lock.
 */
#include "lib.h"

struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
};

struct multiboot_mmap {
	u32 size;
	u64 base, length;
	u32 type;
} __attribute__((packed));

struct idt_gate {
	u16 offset_low, selector, type, offset_mid;
	u32 offset_high, zero;
};

extern u8 trap_stubs[];
extern u32 boot_magic, boot_info;
extern u64 window_dir[512];

static struct idt_gate idt[256];
static u32 failures;

volatile struct fault fault;
volatile u64 fault_resume;
bool (*trap_hook)(struct frame *);
volatile u32 irq_count[256];
void (*irq_hook[256])(struct frame *);
volatile bool no_eoi;
bool x2apic, bulkhead;
u16 pm_port, pm_control;

void lib_start(void);
void trap(struct frame *f);

/* ------------------------------------------------ console and result */

void serial_init(void)
{
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x80);
	outb(COM1 + 0, 1); /* 115200 */
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3); /* 8N1 */
	outb(COM1 + 2, 7);
	outb(COM1 + 4, 3);
}

void put_char(char c)
{
	if (c == '\n')
		put_char('\r');
	for (u32 i = 0; i < 100000 && !(inb(COM1 + 5) & 0x20); i++)
		cpu_pause();
	outb(COM1, c);
}

int get_char(void)
{
	return inb(COM1 + 5) & 1 ? inb(COM1) : -1;
}

static void print_number(u64 v, u32 base, bool negative, u32 width, char pad)
{
	char buf[24];
	u32 n = 0;

	do {
		buf[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative)
		buf[n++] = '-';
	for (; width > n; width--)
		put_char(pad);
	while (n)
		put_char(buf[--n]);
}

static void vprint(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		char pad = ' ';
		u32 width = 0, longs = 0;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == '0')
			pad = *fmt++;
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		for (; *fmt == 'l'; fmt++)
			longs++;
		switch (*fmt) {
		case 'c': put_char(va_arg(ap, int)); break;
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put_char(*s);
			break;
		case 'd': {
			s64 v = longs ? va_arg(ap, s64) : va_arg(ap, int);
			print_number(v < 0 ? -(u64)v : (u64)v, 10, v < 0, width, pad);
			break;
		}
		case 'u':
		case 'x': {
			u64 v = longs ? va_arg(ap, u64) : va_arg(ap, u32);
			print_number(v, *fmt == 'x' ? 16 : 10, false, width, pad);
			break;
		}
		default: put_char(*fmt); break;
		}
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	if (++failures > 20)
		return;
	print("FAIL %s: ", guest_name);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

void halt_forever(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

bool had_failures(void)
{
	return failures;
}

void verdict(void)
{
	if (failures)
		print("FAILED %s: %u checks\n", guest_name, failures);
	else
		print("PASS %s\n", guest_name);
}

void finish(void)
{
	cli();
	verdict();
	outb(EXIT_PORT, failures ? EXIT_FAIL : EXIT_PASS);
	halt_forever();
}

void *memset(void *p, int c, size_t n)
{
	void *to = p;

	asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *p, const void *from, size_t n)
{
	void *to = p;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return p;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

static struct multiboot_info *info(void)
{
	return (struct multiboot_info *)(u64)boot_info;
}

bool option(const char *word)
{
	const char *p = info()->flags & 4 ? (const char *)(u64)info()->cmdline : "";

	while (*p) {
		u32 n = 0;

		while (*p == ' ')
			p++;
		while (word[n] && p[n] == word[n])
			n++;
		if (!word[n] && (!p[n] || p[n] == ' '))
			return true;
		while (*p && *p != ' ')
			p++;
	}
	return false;
}

/* --------------------------------------------- faults and interrupts */

void trap(struct frame *f)
{
	if (trap_hook && trap_hook(f))
		return;
	if (f->vector >= 32) {
		irq_count[f->vector]++;
		if (irq_hook[f->vector])
			irq_hook[f->vector](f);
		if (!no_eoi)
			apic_write(LAPIC_EOI, 0);
		return;
	}
	if (f->vector == 2) {
		irq_count[2]++;
		return;
	}
	if (fault_resume) {
		fault.vector = (int)f->vector;
		fault.error = f->error;
		fault.rip = f->rip;
		fault.cr2 = read_cr2();
		f->rip = fault_resume;
		fault_resume = 0;
		return;
	}
	fail("unexpected exception %lu error %lx at %lx, cr2 %lx", f->vector, f->error, f->rip,
	     read_cr2());
	finish();
}

static void idt_init(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

	for (u32 i = 0; i < 256; i++) {
		u64 at = (u64)trap_stubs + 16 * i;

		idt[i] =
			(struct idt_gate){ at & 0xffff, 8, 0x8e00, at >> 16 & 0xffff, at >> 32, 0 };
	}
	asm volatile("lidt %0" : : "m"(pointer));
}

int try_rdmsr(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0;

	TRY("rdmsr", OUT("+a"(lo), "+d"(hi)), "c"(msr) : "memory");
	if (fault.vector < 0 && v)
		*v = (u64)hi << 32 | lo;
	return fault.vector;
}

int try_wrmsr(u32 msr, u64 v)
{
	TRY("wrmsr", NOTHING, "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return fault.vector;
}

int try_read32(volatile void *p, u32 *v)
{
	u32 got = 0;

	TRY("movl (%1), %0", "+r"(got), "r"(p) : "memory");
	*v = got;
	return fault.vector;
}

int try_write32(volatile void *p, u32 v)
{
	TRY("movl %1, (%0)", NOTHING, "r"(p), "r"(v) : "memory");
	return fault.vector;
}

int try_xsetbv(u32 index, u64 v)
{
	TRY("xsetbv", NOTHING, "c"(index), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return fault.vector;
}

#define DEFINE_TRY_CR(n) \
	int try_cr##n(u64 v) \
	{ \
		TRY("mov %0, %%cr" #n, NOTHING, "r"(v) : "memory"); \
		return fault.vector; \
	}
DEFINE_TRY_CR(0)
DEFINE_TRY_CR(3)
DEFINE_TRY_CR(4)
DEFINE_TRY_CR(8)

/* ------------------------------------------------------------ board */

u32 apic_read(u32 reg)
{
	if (x2apic)
		return (u32)rdmsr(0x800 + (reg >> 4));
	return *(volatile u32 *)(LAPIC_BASE + reg);
}

void apic_write(u32 reg, u32 v)
{
	if (x2apic)
		wrmsr(0x800 + (reg >> 4), v);
	else
		*(volatile u32 *)(LAPIC_BASE + reg) = v;
}

u32 apic_id(void)
{
	return x2apic ? apic_read(LAPIC_ID) : apic_read(LAPIC_ID) >> 24;
}

void apic_init(void)
{
	x2apic = rdmsr(MSR_APIC_BASE) & 0x400;
	apic_write(LAPIC_SVR, 0x1ff);
	apic_write(LAPIC_TPR, 0);
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | 0xfe);
	apic_write(LAPIC_LVT_LINT0, LVT_MASKED | 0xfe);
	apic_write(LAPIC_TIMER_INITIAL, 0);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb); /* by 1 */
}

void apic_enter_x2(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0x400);
	apic_init();
}

void apic_self_ipi(u8 vector)
{
	if (x2apic)
		wrmsr(0x830, 0x40000u | vector);
	else
		apic_write(LAPIC_ICR, 0x40000u | vector);
}

bool apic_in_irr(u8 vector)
{
	return apic_read(LAPIC_IRR + (vector / 32) * 16) >> (vector % 32) & 1;
}

u32 ioapic_read(u32 reg)
{
	*(volatile u32 *)IOAPIC_BASE = reg;
	return *(volatile u32 *)(IOAPIC_BASE + 0x10);
}

void ioapic_write(u32 reg, u32 v)
{
	*(volatile u32 *)IOAPIC_BASE = reg;
	*(volatile u32 *)(IOAPIC_BASE + 0x10) = v;
}

void ioapic_route(u32 pin, u64 entry)
{
	ioapic_write(0x10 + 2 * pin, LVT_MASKED);
	ioapic_write(0x11 + 2 * pin, entry >> 32);
	ioapic_write(0x10 + 2 * pin, (u32)entry);
}

void pic_init(u8 base)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, base);
	outb(0xa1, base + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	pic_mask(0xffff);
}

void pic_mask(u16 mask)
{
	outb(0x21, mask & 0xff);
	outb(0xa1, mask >> 8);
}

static bool sums_to_zero(const u8 *p, u32 n)
{
	u8 sum = 0;

	while (n--)
		sum += *p++;
	return !sum;
}

u32 acpi_find(const char *sig)
{
	for (const u8 *p = (u8 *)0xe0000; p < (u8 *)0x100000; p += 16) {
		const u32 *rsdt;

		if (memcmp(p, "RSD PTR ", 8) || !sums_to_zero(p, 20))
			continue;
		rsdt = (u32 *)(u64) * (const u32 *)(p + 16);
		for (u32 i = 9; rsdt && i < rsdt[1] / 4; i++)
			if (!memcmp((void *)(u64)rsdt[i], sig, 4))
				return rsdt[i];
		if (p[15] >= 2) {
			const u8 *xsdt = *(u8 *const *)(p + 24);

			for (u32 at = 36; xsdt && at < *(u32 *)(xsdt + 4); at += 8) {
				u64 table;

				memcpy(&table, xsdt + at, 8);
				if (!memcmp((void *)table, sig, 4))
					return (u32)table;
			}
		}
	}
	return 0;
}

u32 acpi_field(const char *sig, u32 offset, u32 size)
{
	u32 table = acpi_find(sig), v = 0;

	if (table)
		memcpy(&v, (void *)(u64)(table + offset), size);
	return v;
}

u32 pm_read(void)
{
	return inl(pm_port) & 0xffffff;
}

u32 pm_since(u32 start)
{
	return (pm_read() - start) & 0xffffff;
}

void spin_us(u32 us)
{
	u32 start = pm_read();

	while (pm_since(start) < PM_US(us))
		cpu_pause();
}

bool wait_count(volatile u32 *counter, u32 n, u32 us)
{
	u32 start = pm_read();

	sti();
	while (*counter < n && pm_since(start) < PM_US(us))
		cpu_pause();
	cli();
	return *counter >= n; /* it may have come with the last look at the clock */
}

volatile u8 *map_window(u64 pa)
{
	u64 va = 256ull << 30;

	window_dir[0] = (pa & ~0x1fffffull) | 0x9b;
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
	return (u8 *)va + (pa & 0x1fffff);
}

bool ram_range(u32 i, u64 *base, u64 *size)
{
	u64 at = info()->mmap_addr, end = at + info()->mmap_length;

	if (!(info()->flags & 0x40))
		return false;
	for (; at < end; at += ((struct multiboot_mmap *)at)->size + 4) {
		struct multiboot_mmap *m = (void *)at;

		if (m->type == 1 && !i--) {
			*base = m->base;
			*size = m->length;
			return true;
		}
	}
	return false;
}

bool cpu_has_avx(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	return (r[2] & 0x14000000) == 0x14000000;
}

void lib_start(void)
{
	u32 r[4];

	serial_init();
	idt_init();
	cpuid(1, 0, r);
	if (r[2] >> 31) {
		cpuid(0x40000000, 0, r);
		bulkhead = r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d;
	}
	if (boot_magic != 0x2badb002)
		fail("EAX is %x, not Multiboot's", boot_magic);
	pm_port = (u16)acpi_field("FACP", 76, 4);
	pm_control = (u16)acpi_field("FACP", 64, 4);
	if (!pm_port)
		pm_port = 0xb008; /* PIIX4's: a machine without tables */
	pic_init(0x20);
	apic_init();
	guest_main();
	finish();
}
