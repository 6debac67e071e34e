/*
 * The guest page-table walker against a slow model of the processor's rules,
 * written from the manual (SDM Vol. 3 chapter 4), in all paging modes: result,
 * error code, accessed and dirty bits; and again after table entries changed,
 * when the walker's cache must not remember.
 */
// SOURCES: vmm/walk.c vmm/vm.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 30000
// MAX_LEN: 160
#include "fuzz.h"
#include "sys_fake.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define RAM MIB(1)
#define TABLES 0x8000u /* four pages, one a level */
#define CR0_PG BIT(31)
#define CR0_WP BIT(16)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define AC BIT(18)

struct model {
	enum walk_status status;
	struct walk out;
	struct {
		u64 at, value;
		u32 size;
	} set[4]; /* entries that get accessed or dirty bits */
	u32 sets;
};

static u64 entry_at(u64 at, u32 size)
{
	u64 value = 0;

	memcpy(&value, guest_ptr(at, size), size);
	return value;
}

/* One level's entry; false: the walk ends with it. */
static bool step(struct model *m, const struct abi_vcpu *v, u64 at, u32 size, u32 fault, u64 *e)
{
	(void)v;
	if (!guest_ptr(at, size)) {
		m->status = WALK_OUTSIDE;
		m->out.gpa = at;
		return false;
	}
	*e = entry_at(at, size);
	m->set[m->sets].at = at;
	m->set[m->sets].size = size;
	m->set[m->sets++].value = *e;
	if (!(*e & 1)) {
		m->status = WALK_FAULT;
		m->out.error = fault;
		return false;
	}
	return true;
}

static void finish(struct model *m, const struct abi_vcpu *v, u32 access, u32 fault, bool w, bool u,
		   bool nx, u64 gpa, bool accessed_at_top)
{
	bool user = access & PF_USER, write = access & PF_WRITE, fetch = access & PF_FETCH;
	u64 cr4 = v->state.cr4;
	bool ok;

	if (user)
		ok = u && (!write || w) && !(fetch && nx);
	else if (fetch)
		ok = !nx && !(u && cr4 & CR4_SMEP);
	else
		ok = !(u && cr4 & CR4_SMAP && !(v->rflags & AC)) &&
		     (!write || w || !(v->state.cr0 & CR0_WP));
	if (fetch && user && !u)
		ok = false;
	if (!ok) {
		m->status = WALK_FAULT;
		m->out.error = fault | PF_PRESENT;
		return;
	}
	m->status = WALK_OK;
	m->out.gpa = gpa;
	for (u32 i = accessed_at_top ? 0 : 1; i < m->sets; i++)
		m->set[i].value |= 0x20 | (write && i + 1 == m->sets ? 0x40 : 0);
}

static void reserved(struct model *m, u32 fault)
{
	m->status = WALK_FAULT;
	m->out.error = fault | PF_PRESENT | PF_RSVD;
}

static void model_32(struct model *m, const struct abi_vcpu *v, u64 lin, u32 access, u32 fault)
{
	u64 pde, pte;

	if (!step(m, v, (v->state.cr3 & 0xfffff000) + (lin >> 22 & 1023) * 4, 4, fault, &pde))
		return;
	if (pde & 0x80 && v->state.cr4 & CR4_PSE) {
		if (pde & BIT(21)) {
			reserved(m, fault);
			return;
		}
		finish(m, v, access, fault, pde & 2, pde & 4, false,
		       (pde & 0xffc00000) | (pde >> 13 & 0xff) << 32 | (lin & 0x3fffff), true);
		return;
	}
	if (!step(m, v, (pde & 0xfffff000) + (lin >> 12 & 1023) * 4, 4, fault, &pte))
		return;
	finish(m, v, access, fault, pde & pte & 2, pde & pte & 4, false,
	       (pte & 0xfffff000) | (lin & 0xfff), true);
}

static void model_wide(struct model *m, const struct abi_vcpu *v, u64 lin, u32 access, u32 fault)
{
	bool lma = v->state.efer & EFER_LMA, w = true, u = true, nx = false;
	u64 table = lma ? v->state.cr3 & 0x000ffffffffff000ull : v->state.cr3 & 0xffffffe0;
	u64 always = 0, e;

	for (u32 bit = (u32)vm->phys_bits; bit < 52; bit++)
		always |= BIT(bit);
	if (!(v->state.efer & EFER_NXE))
		always |= BIT(63);
	if (!lma)
		always |= 0x7ff0000000000000ull;
	for (int level = lma ? 4 : 3; level; level--) {
		u32 shift = 12 + 9 * (level - 1);
		bool top_pae = !lma && level == 3, large;
		u64 bad = always;

		if (!step(m, v, table + (lin >> shift & (top_pae ? 3 : 511)) * 8, 8, fault, &e))
			return;
		large = level == 1 || (e & 0x80 && level <= 3 && !top_pae);
		if (top_pae)
			bad |= 0x80000000000001c6ull; /* without A: vmm/walk.c */
		if (level == 4)
			bad |= 0x80;
		if (large && level > 1)
			bad |= (BIT(shift) - 1) & ~0x1fffull;
		if (e & bad) {
			reserved(m, fault);
			return;
		}
		if (!top_pae) {
			w &= !!(e & 2);
			u &= !!(e & 4);
			nx |= !!(e >> 63);
		}
		table = e & 0x000ffffffffff000ull;
		if (large) {
			u64 mask = BIT(shift) - 1;

			finish(m, v, access, fault, w, u, nx, (table & ~mask) | (lin & mask), lma);
			return;
		}
	}
}

static struct model model(const struct abi_vcpu *v, u64 lin, u32 access)
{
	struct model m = { .status = WALK_OK };
	const struct abi_state *s = &v->state;
	bool fetch_bit = (s->cr4 & CR4_PAE && s->efer & EFER_NXE) || s->cr4 & CR4_SMEP;
	u32 fault = access & (PF_WRITE | PF_USER);

	if (access & PF_FETCH && fetch_bit)
		fault |= PF_FETCH;
	m.out.gpa = lin;
	if (!(s->cr0 & CR0_PG))
		return m;
	if (s->cr4 & CR4_PAE)
		model_wide(&m, v, lin, access, fault);
	else
		model_32(&m, v, lin, access, fault);
	return m;
}

static void compare(struct abi_vcpu *v, u64 lin, u32 access)
{
	struct model m = model(v, lin, access);
	struct walk got = { 0 };
	enum walk_status status = walk(v, lin, access, &got);

	FUZZ_CHECK(status == m.status);
	if (status == WALK_FAULT)
		FUZZ_CHECK(got.error == m.out.error);
	else
		FUZZ_CHECK(got.gpa == m.out.gpa);
	if (status == WALK_OUTSIDE)
		m.sets = 0;
	for (u32 i = 0; i < m.sets; i++) {
		bool last = true; /* of those that name one place */

		for (u32 k = i + 1; k < m.sets; k++)
			last &= m.set[k].at != m.set[i].at;
		if (last)
			FUZZ_CHECK(entry_at(m.set[i].at, m.set[i].size) == m.set[i].value);
	}
}

/* A present entry that leads to another table, with a few bits of the input's. */
static u64 usual(struct fuzz_in *in, u32 level)
{
	u8 how = fuzz_u8(in);
	u64 e = TABLES + 0x1000ull * (level + 1);

	e |= how & 0x80 ? 1 : 7;
	if (how & 0x40)
		e |= 0x80;
	if (how & 0x20)
		e ^= BIT(fuzz_u8(in) & 63);
	if (how & 0x10)
		e = fuzz_u64(in);
	if (how & 0x08)
		e &= ~2ull;
	if (how & 0x04)
		e &= ~4ull;
	if (how & 0x02)
		e |= BIT(63);
	return e;
}

static void write_entries(struct fuzz_in *in, const struct abi_vcpu *v, u64 lin)
{
	bool wide = v->state.cr4 & CR4_PAE, lma = v->state.efer & EFER_LMA;
	u32 levels = !wide ? 2 : lma ? 4 : 3;

	for (u32 i = 0; i < levels; i++) {
		u64 e = usual(in, i), at = TABLES + 0x1000ull * i;
		u32 shift = wide ? 12 + 9 * (levels - 1 - i) : i ? 12 : 22;

		at += wide ? (lin >> shift & (i || lma ? 511 : 3)) * 8 : (lin >> shift & 1023) * 4;
		memcpy(guest_ptr(at, 8), &e, wide ? 8 : 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u8 mode = fuzz_u8(&in), bits = fuzz_u8(&in);
	struct abi_vcpu *v = &fake_vcpu;
	struct abi_state *s = &v->state;
	u64 lin;

	sys_fake_reset(RAM, 0);
	walk_forget();
	fake_vm.phys_bits = 36 + fuzz_below(&in, 17);
	s->cr0 = (mode & 0x80 ? 0 : CR0_PG) | (bits & 1 ? CR0_WP : 0);
	s->cr4 = (bits & 2 ? CR4_SMEP : 0) | (bits & 4 ? CR4_SMAP : 0) | (bits & 8 ? CR4_PSE : 0);
	s->efer = bits & 16 ? EFER_NXE : 0;
	v->rflags = bits & 32 ? AC : 0;
	if (mode & 3)
		s->cr4 |= CR4_PAE;
	if (mode & 2)
		s->efer |= EFER_LMA;
	s->cr3 = TABLES | (mode & 0x40 ? fuzz_u64(&in) & ~0x8000000000000fe0ull : 0);
	lin = fuzz_u64(&in);
	if (!(s->efer & EFER_LMA))
		lin = (u32)lin;
	else
		lin = (u64)((s64)(lin << 16) >> 16);
	write_entries(&in, v, lin);
	for (u32 i = 0; i < 6; i++) {
		u8 how = fuzz_u8(&in);

		/* a fetch is no write */
		compare(v, lin,
			how & 3	  ? (how & 3) << 1
			: how & 4 ? PF_FETCH | (how & PF_USER)
				  : 0);
		if (how & 8)
			write_entries(&in, v, lin);
		if (how & 16)
			lin ^= how >> 5; /* the same page */
	}
	return 0;
}
