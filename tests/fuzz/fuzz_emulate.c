/*
 * The monitor's instruction upcalls (MMIO, string I/O, CR, DR), and PEEK, on a
 * guest in one of four modes, with code, registers, segments and page-table
 * entries from the input. Each upcall ends in exactly one finish that the kernel
 * takes, and where a model follows (emulate_model.h) in the one that it expects;
 * memory outside of what the guest may write, and RIP, stay as they were.
 */
// SOURCES: vmm/peek.c vmm/emulate.c vmm/string_op.c vmm/access.c vmm/fetch.c vmm/walk.c vmm/decode.c vmm/alu.c vmm/control.c vmm/iomap.c vmm/timer.c vmm/vm.c vmm/lib.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp,indirect-calls
// RUNS: 15000
// MAX_LEN: 128
#include "fuzz.h"
#include "emulate_model.h"
#include "machine.h"
#include "vmm/access.h"
#include "vmm/control.h"
#include "vmm/decode.h"
#include "vmm/emulate.h"
#include "vmm/fetch.h"
#include "vmm/peek.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

/* Guest-physical layout: code, data, tables; the last page may not be written. */
#define CODE 0x3000u
#define DATA 0x10000u
#define TABLES 0x20000u
#define READ_ONLY 0x30000u
#define DEVICE 0xfeb00000u /* a device of ours */
#define RAM MIB(1)

int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MODE_REAL 0
#define MODE_32 1
#define MODE_PAE32 2
#define MODE_64 3

/* What our device was asked, in order. */
static u32 device_accesses;
static struct trace {
	bool write;
	u64 off, value;
	u32 size;
} traces[8];

static u64 device_value(u64 off, u32 size)
{
	return 0x1122334455667788ull * (off + 1) & size_mask(size);
}

static void trace(bool write, u64 off, u32 size, u64 value)
{
	if (device_accesses < ARRAY_SIZE(traces))
		traces[device_accesses] = (struct trace){ write, off, value, size };
	device_accesses++;
}

static u64 device_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	FUZZ_CHECK(size >= 1 && size <= 8 && off + size <= 0x2000);
	trace(false, off, size, device_value(off, size));
	return device_value(off, size);
}

static void device_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	FUZZ_CHECK(size >= 1 && size <= 8 && off + size <= 0x2000);
	FUZZ_CHECK((value & ~size_mask(size)) == 0);
	trace(true, off, size, value);
}

static void put64(u64 at, u64 value)
{
	memcpy(guest_ptr(at, 8), &value, 8);
}

/* The page table's content, and that of the page which may not be written. */
static u64 page_table[512];
static u8 sealed[PAGE_SIZE];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (u64 i = 0; i < 512; i++)
		page_table[i] = i << 12 | (i == READ_ONLY >> 12 ? 5 : 7);
	page_table[0xfe] = DEVICE | 7;
	page_table[0xff] = (DEVICE + 0x1000) | 7;
	page_table[511] = DEVICE | 7;
	memset(sealed, 0xee, sizeof(sealed));
	return 0;
}

/* Linear 0 to 64 KiB + ... identity; DEVICE to 0xfe000 on, READ_ONLY not writable. */
static void make_tables(u32 mode, struct abi_state *s)
{
	u64 pml4 = TABLES, pdpt = TABLES + 0x1000, pd = TABLES + 0x2000, pt = TABLES + 0x3000;

	if (mode == MODE_64)
		put64(pml4, pdpt | 7);
	put64(pdpt, pd | (mode == MODE_64 ? 7 : 1));
	put64(pd, pt | 7);
	put64(pdpt + 24, pd | (mode == MODE_64 ? 7 : 1)); /* and the last 2 MiB below 4 GiB */
	put64(pd + 8 * 511, pt | 7);
	put64(pd + 8, DEVICE | 0x87); /* 2 MiB from 0x200000 on: devices */
	memcpy(guest_ptr(pt, PAGE_SIZE), page_table, PAGE_SIZE);
	memcpy(guest_ptr(READ_ONLY, PAGE_SIZE), sealed, PAGE_SIZE);
	s->cr0 = 0x80010001;
	s->cr3 = mode == MODE_64 ? pml4 : pdpt;
	s->cr4 = 0x20;
	s->efer = mode == MODE_64 ? 0xd00 : 0x800;
}

static void make_guest(struct fuzz_in *in, struct abi_vcpu *v, u32 mode, u8 odd)
{
	struct abi_state *s = &v->state;

	for (u32 i = ABI_ES; i <= ABI_GS; i++)
		s->seg[i] = (struct abi_segment){ 8, 0xc93, 0xffffffff, 0 };
	s->seg[ABI_CS].attr = mode == MODE_64 ? 0xa9b : mode == MODE_REAL ? 0x9b : 0xc9b;
	if (mode == MODE_REAL) {
		for (u32 i = ABI_ES; i <= ABI_GS; i++)
			s->seg[i].limit = 0xffff;
		s->seg[ABI_DS].base = 0x8000;
	} else if (mode == MODE_32) {
		s->cr0 = 1;
	} else {
		make_tables(mode, s);
	}
	if (odd & 1) { /* a segment of the guest's choice */
		struct abi_segment *g = &s->seg[fuzz_below(in, ABI_GS + 1)];

		g->attr = fuzz_u16(in) & 0xfff;
		g->limit = fuzz_u32(in);
		g->base = fuzz_u64(in);
		if (g->attr & 0x100) /* AVL, which means nothing: just below 4 GiB */
			g->base = 0xfffffff0;
	}
	if (odd & 2 && mode >= MODE_PAE32) /* a table entry, too */
		put64(TABLES + 8 * (fuzz_u16(in) % 2048), fuzz_u64(in));
	if (odd & 4)
		s->cr4 ^= fuzz_u32(in) & 0x300008;
	v->cpl = odd & 8 ? 3 : 0;
	v->rip = CODE + (odd & 16 ? 0xfff - fuzz_u8(in) % 16 : 0x100);
	v->rflags = 2 | (fuzz_u32(in) & 0x3f7fd5);
	for (u32 i = 0; i < 16; i++) {
		static const u64 base[] = { DATA,   0xfe000,	0x200000, READ_ONLY - 4,
					    DEVICE, 0xfee00000, 0x1fffff, 0 };
		u8 how = fuzz_u8(in);

		v->gpr[i] = how & 0x80 ? fuzz_u64(in) : base[how & 7] + (how >> 3 & 15);
	}
}

static bool fits(u32 reason, enum abi_finish kind)
{
	switch (reason) {
	case ABI_UP_MMIO:
		return kind == ABI_FIN_REG || kind == ABI_FIN_REGS || kind == ABI_FIN_LAPIC_READ ||
		       kind == ABI_FIN_LAPIC_WRITE;
	case ABI_UP_PIO_STRING: return kind == ABI_FIN_REGS;
	case ABI_UP_CR: return kind == ABI_FIN_CR || kind == ABI_FIN_REG;
	default: return kind == ABI_FIN_DR || kind == ABI_FIN_REG;
	}
}

/* As kernel/upcall.c looks at it. */
static void check_finish(const struct abi_vcpu *v, const struct abi_vcpu *old, u32 reason)
{
	static const u32 faults = BIT(6) | BIT(12) | BIT(13) | BIT(14);
	u64 len = 0;

	FUZZ_CHECK(fake.finish_count == 1);
	FUZZ_CHECK(v->rip == old->rip);
	FUZZ_CHECK(((v->rflags ^ old->rflags) & ~0x8d5ull) == 0); /* status flags alone */
	FUZZ_CHECK(v->state.cr0 == old->state.cr0 && v->state.cr3 == old->state.cr3);
	switch (fake.fin) {
	case ABI_FIN_NONE: return; /* again, or the VM has been stopped */
	case ABI_FIN_FAULT:
		FUZZ_CHECK(fake.a < 32 && faults >> fake.a & 1);
		FUZZ_CHECK(fake.b <= 0x1f && (fake.a == 14 || fake.b == 0));
		return;
	case ABI_FIN_REG:
		FUZZ_CHECK(fake.a <= ABI_NO_GPR);
		len = fake.c;
		break;
	case ABI_FIN_REGS: len = fake.a; break;
	case ABI_FIN_CR:
		FUZZ_CHECK(fake.a <= 15 && v->cpl == 0);
		len = fake.c;
		break;
	case ABI_FIN_DR:
		FUZZ_CHECK(fake.a <= 7 && fake.a != 4 && fake.a != 5 && v->cpl == 0);
		len = fake.c;
		break;
	case ABI_FIN_LAPIC_READ:
		FUZZ_CHECK(fake.a < 0x1000 && fake.b < ABI_NO_GPR);
		len = fake.c;
		break;
	case ABI_FIN_LAPIC_WRITE:
		FUZZ_CHECK(fake.a < 0x1000 && fake.b <= 0xffffffff);
		len = fake.c;
		break;
	default: FUZZ_CHECK(false);
	}
	FUZZ_CHECK(fits(reason, fake.fin));
	FUZZ_CHECK(len <= INSN_MAX && (len || fake.fin == ABI_FIN_REGS));
}

static void upcall(struct abi_vcpu *v, u32 reason)
{
	switch (reason) {
	case ABI_UP_MMIO: SYS_FAKE_UPCALL(emulate_mmio(v)); break;
	case ABI_UP_PIO_STRING: SYS_FAKE_UPCALL(emulate_pio_string(v)); break;
	case ABI_UP_CR: SYS_FAKE_UPCALL(control_cr(v)); break;
	case ABI_UP_PEEK: SYS_FAKE_UPCALL(peek(v)); break;
	default: SYS_FAKE_UPCALL(control_dr(v)); break;
	}
}

/* One byte that the administrator would see: as a read by the guest's kernel. */
static bool peeked(struct abi_vcpu *v, u64 lin, u8 *byte)
{
	const u8 *p;
	struct walk w;

	if (v->state.efer & EFER_LMA ? lin + BIT(47) >= BIT(48) : lin >> 32)
		return false;
	if (walk(v, lin, 0, &w) != WALK_OK)
		return false;
	p = guest_ptr(w.gpa, 1);
	if (p)
		*byte = *p;
	return p;
}

/* All bytes up to the first that cannot be read, and no more. */
static void check_peek(struct abi_vcpu *v, const struct abi_vcpu *old)
{
	u64 most = old->value < sizeof(v->log) ? old->value : sizeof(v->log);
	u8 byte = 0;

	FUZZ_CHECK(fake.finish_count == 1 && fake.fin == ABI_FIN_PEEK && fake.a <= most);
	FUZZ_CHECK(device_accesses == 0 && fake.stop_count == 0);
	for (u64 i = 0; i < fake.a; i++)
		FUZZ_CHECK(peeked(v, old->gpa + i, &byte) && (u8)v->log[i] == byte);
	FUZZ_CHECK(fake.a == most || !peeked(v, old->gpa + fake.a, &byte));
}

static bool ours(gpa_t gpa)
{
	return gpa >= DEVICE && gpa < DEVICE + 0x2000;
}

/* The device was asked for these bytes and no others: all reads, then all writes. */
static void check_accesses(const struct model *m)
{
	u32 want = 0, reads = 0;

	for (u32 i = 0; i < m->pieces; i++) {
		if (!ours(m->piece[i].gpa))
			continue;
		want += m->reads + m->writes;
		reads += m->reads;
	}
	FUZZ_CHECK(device_accesses == want);
	for (u32 k = 0; k < want; k++) {
		bool found = false;

		for (u32 i = 0; i < m->pieces; i++)
			found |= DEVICE + traces[k].off == m->piece[i].gpa &&
				 traces[k].size == m->piece[i].size;
		FUZZ_CHECK(found && traces[k].write == (k >= reads));
	}
}

/* Loads and stores of one piece: the value. */
static void check_value(const struct model *m, const struct abi_vcpu *old)
{
	const struct insn *in = &m->in;
	u64 want, was, off = m->piece[0].gpa - DEVICE;
	u32 size = m->piece[0].size;

	if (m->pieces != 1 || !ours(m->piece[0].gpa))
		return;
	if (m->writes && in->op == OP_MOV) {
		want = in->src == OPND_IMM ? in->imm
					   : old->gpr[in->src_reg] >> (in->src_high ? 8 : 0);
		FUZZ_CHECK(traces[0].value == (want & size_mask(size)));
		FUZZ_CHECK(fake.fin == ABI_FIN_REG && fake.a == ABI_NO_GPR);
	}
	if (!m->writes && (in->op == OP_MOV || in->op == OP_MOVZX || in->op == OP_MOVSX)) {
		want = device_value(off, size);
		if (in->op == OP_MOVSX && want >> (8 * size - 1))
			want |= ~size_mask(size);
		was = old->gpr[in->dst_reg];
		if (in->size == 4)
			want = (u32)want;
		else if (in->size == 2)
			want = (was & ~0xffffull) | (want & 0xffff);
		else if (in->size == 1 && in->dst_high)
			want = (was & ~0xff00ull) | (want & 0xff) << 8;
		else if (in->size == 1)
			want = (was & ~0xffull) | (want & 0xff);
		FUZZ_CHECK(fake.fin == ABI_FIN_REG && fake.a == in->dst_reg && fake.b == want);
	}
}

static void check_model(const struct model *m, const struct abi_vcpu *old)
{
	switch (m->end) {
	case MODEL_UNKNOWN: return;
	case MODEL_FAULT:
		FUZZ_CHECK(fake.fin == ABI_FIN_FAULT && fake.a == m->vector && fake.b == m->error);
		FUZZ_CHECK(m->vector != 14 || fake.c == m->cr2);
		FUZZ_CHECK(device_accesses == 0);
		return;
	case MODEL_FAIL: FUZZ_CHECK(fake.stop_count == 1 && device_accesses == 0); return;
	case MODEL_AGAIN: FUZZ_CHECK(fake.fin == ABI_FIN_NONE && device_accesses == 0); return;
	case MODEL_DONE:
		FUZZ_CHECK(fake.fin != ABI_FIN_NONE && fake.fin != ABI_FIN_FAULT);
		FUZZ_CHECK((fake.fin == ABI_FIN_REGS ? fake.a : fake.c) == m->in.len);
		check_accesses(m);
		check_value(m, old);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u32 reasons[] = { ABI_UP_MMIO, ABI_UP_MMIO, ABI_UP_MMIO, ABI_UP_PIO_STRING,
				       ABI_UP_CR,   ABI_UP_DR,	 ABI_UP_MMIO, ABI_UP_PEEK };
	static const u64 pages[] = { DEVICE, DEVICE + 0x1000, 0xfee00000, 0xfec00000 };
	struct fuzz_in in = { data, size };
	u8 what = fuzz_u8(&in), odd = fuzz_u8(&in), page = fuzz_u8(&in);
	u32 reason = reasons[what & 7], mode = what >> 3 & 3;
	struct abi_vcpu *v = &fake_vcpu, old;
	struct model m = { .end = MODEL_UNKNOWN };

	sys_fake_reset(RAM, 0);
	iomap_clear();
	vtimer_clear();
	walk_forget();
	iomap_add(IO_MMIO,
		  &(struct io_range){ DEVICE, 0x2000, NULL, device_read, device_write, "device" });
	iomap_add(IO_PORT, &(struct io_range){ 0x100, 0x80, NULL, device_read, device_write, "p" });
	make_guest(&in, v, mode, odd);
	v->reason = reason;
	v->gpa = pages[page & 3] + (page >> 2);
	v->port = 0x100 + (page >> 2);
	v->size = (u8)(1u << page % 3);
	v->write = odd >> 5 & 1;
	/* the code last: all that is left of the input */
	fuzz_bytes(&in, guest_ptr(v->rip, INSN_MAX), INSN_MAX);
	if (reason == ABI_UP_MMIO)
		m = model_mmio(v);
	if (odd & 0x40) /* with caches empty, and with what the model's walks left there */
		walk_forget();
	device_accesses = 0;
	if (reason == ABI_UP_PEEK) {
		v->gpa = v->gpr[ABI_RSP] & (odd & 32 ? ~0ull : ~0ull >> 32);
		v->value = v->gpr[ABI_RCX] & 511;
	}
	old = *v;
	upcall(v, reason);
	if (reason == ABI_UP_PEEK) {
		check_peek(v, &old);
		return 0;
	}
	check_finish(v, &old, reason);
	check_model(&m, &old);
	FUZZ_CHECK(device_accesses <= 2 * 1024 + 16);
	if (mode >= MODE_PAE32 && !(odd & 6) && v->state.cr0 & BIT(16))
		FUZZ_CHECK(memcmp(guest_ptr(READ_ONLY, PAGE_SIZE), sealed, PAGE_SIZE) == 0);
	if (fake.stop_count)
		FUZZ_CHECK(fake.stop_why == ABI_STOP_EMULATION && fake.log_lines);
	/* once more, through the caches: the same instruction ends the same way, unless
	 * it is an SMSW that may have written over itself */
	if (fake.fin == ABI_FIN_REG && fake.a != ABI_NO_GPR && reason != ABI_UP_MMIO) {
		u64 a = fake.a, b = fake.b, c = fake.c;

		*v = old;
		fake.finish_count = 0;
		upcall(v, reason);
		FUZZ_CHECK(fake.fin == ABI_FIN_REG && fake.a == a && fake.b == b && fake.c == c);
	}
	return 0;
}
