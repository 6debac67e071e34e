/*
 * The guest's page tables, walked in software: see walk.h. A small cache keeps
 * finished walks together with every entry that they read; a hit reads those
 * entries again, so it needs no invalidation and is never stale.
 */
#include "vmm/walk.h"

#include "vmm/vm.h"

#define CR0_WP BIT(16)
#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

#define LEVELS 4
#define RETRIES 4 /* walks when another vCPU changes entries under us */
#define CACHE 16  /* entries, a power of two */

struct pte {
	u8 *at; /* in guest RAM */
	u64 value;
};

static struct walk_hit cache[CACHE]; /* .entry[0].at = NULL: empty */

/* What all levels of one walk share. */
struct walker {
	const struct abi_vcpu *v;
	gva_t lin;
	u32 access;
	struct walk *out;
	u32 count;
	bool wide; /* entries of 8 bytes, else 4 */
	struct pte pte[LEVELS];
	u64 rights; /* PTE_W | PTE_U of all levels, and-ed; PTE_NX or-ed */
};

static u64 reserved_bits(const struct abi_vcpu *v)
{
	u64 bits = BIT(52) - BIT(vm->phys_bits);

	if (!(v->state.efer & EFER_NXE))
		bits |= PTE_NX;
	if (!(v->state.efer & EFER_LMA))
		bits |= BIT(63) - BIT(52);
	return bits;
}

static enum walk_status fault(struct walker *w, u32 why)
{
	const struct abi_state *s = &w->v->state;
	u32 error = w->access & (PF_WRITE | PF_USER);

	if (w->access & PF_FETCH && ((s->cr4 & CR4_PAE && s->efer & EFER_NXE) || s->cr4 & CR4_SMEP))
		error |= PF_FETCH;
	w->out->error = error | why;
	return WALK_FAULT;
}

static enum walk_status read_entry(struct walker *w, gpa_t at, u64 *value)
{
	u8 *p = guest_ptr(at, w->wide ? 8 : 4);

	if (!p) {
		w->out->gpa = at;
		return WALK_OUTSIDE;
	}
	*value = w->wide ? guest_read64(p) : guest_read32(p);
	w->pte[w->count++] = (struct pte){ p, *value };
	return *value & PTE_P ? WALK_OK : fault(w, 0);
}

/* Does the leaf let this access through? SDM Vol. 3 "Determination of Access Rights" */
static bool permitted(const struct walker *w)
{
	const struct abi_state *s = &w->v->state;
	bool user_page = w->rights & PTE_U, user = w->access & PF_USER;

	if (user && !user_page)
		return false;
	if (w->access & PF_FETCH) {
		if (w->rights & PTE_NX)
			return false;
		return user || !user_page || !(s->cr4 & CR4_SMEP);
	}
	if (!user && user_page && s->cr4 & CR4_SMAP && !(w->v->rflags & RFLAGS_AC))
		return false;
	if (w->access & PF_WRITE && !(w->rights & PTE_W))
		return !user && !(s->cr0 & CR0_WP);
	return true;
}

/* Sets accessed, and dirty in the leaf. False: an entry changed meanwhile. */
static bool set_accessed(struct walker *w)
{
	for (u32 i = 0; i < w->count; i++) {
		struct pte *p = &w->pte[i];
		u64 want = p->value | PTE_A;
		bool same;

		if (i + 1 == w->count && w->access & PF_WRITE)
			want |= PTE_D;
		if (want == p->value)
			continue;
		if (w->wide) {
			same = __atomic_compare_exchange_n((u64 *)(void *)p->at, &p->value, want,
							   false, __ATOMIC_SEQ_CST,
							   __ATOMIC_SEQ_CST);
		} else {
			u32 old = (u32)p->value;

			same = __atomic_compare_exchange_n((u32 *)(void *)p->at, &old, (u32)want,
							   false, __ATOMIC_SEQ_CST,
							   __ATOMIC_SEQ_CST);
		}
		if (!same)
			return false;
		p->value = want;
	}
	return true;
}

static enum walk_status leaf(struct walker *w, gpa_t page, u64 offset_mask)
{
	if (!permitted(w))
		return fault(w, PF_PRESENT);
	w->out->gpa = (page & ~offset_mask) | (w->lin & offset_mask);
	return WALK_OK;
}

static enum walk_status walk_32bit(struct walker *w)
{
	const struct abi_state *s = &w->v->state;
	enum walk_status status;
	u64 pde, pte;

	status = read_entry(w, (s->cr3 & 0xfffff000) + (w->lin >> 22) * 4, &pde);
	if (status != WALK_OK)
		return status;
	w->rights = pde & (PTE_W | PTE_U);
	if (pde & PTE_PS && s->cr4 & CR4_PSE) {
		if (pde & BIT(21)) /* above PSE-36's address bits 39 to 32 in 20 to 13 */
			return fault(w, PF_PRESENT | PF_RSVD);
		return leaf(w, (pde & 0xffc00000) | (pde & 0x1fe000) << 19, 0x3fffff);
	}
	status = read_entry(w, (pde & 0xfffff000) + ((w->lin >> 12) & 0x3ff) * 4, &pte);
	if (status != WALK_OK)
		return status;
	w->rights &= pte;
	return leaf(w, pte & 0xfffff000, 0xfff);
}

static enum walk_status walk_64bit(struct walker *w)
{
	const struct abi_state *s = &w->v->state;
	bool lma = s->efer & EFER_LMA;
	u64 reserved = reserved_bits(w->v), entry;
	gpa_t table = lma ? s->cr3 & (BIT(52) - 4096) : s->cr3 & 0xffffffe0;
	enum walk_status status;

	w->rights = PTE_W | PTE_U;
	for (u32 shift = lma ? 39 : 30;; shift -= 9) {
		u64 size = BIT(shift), bad = reserved;
		bool pdpte = !lma && shift == 30;

		status = read_entry(w, table + ((w->lin >> shift) & (pdpte ? 3 : 511)) * 8, &entry);
		if (status != WALK_OK)
			return status;
		if (pdpte)
			bad |= 0x1c6 | PTE_NX; /* no rights at this level; QEMU sets 0x20 */
		else if (shift == 39)
			bad |= PTE_PS;
		else if (entry & PTE_PS && shift > 12)
			bad |= size - BIT(13); /* 12 is PAT */
		if (entry & bad)
			return fault(w, PF_PRESENT | PF_RSVD);
		if (!pdpte)
			w->rights = (w->rights & entry & (PTE_W | PTE_U)) |
				    ((w->rights | entry) & PTE_NX);
		table = entry & (BIT(52) - 4096);
		if (shift == 12 || (entry & PTE_PS && shift != 39 && !pdpte))
			return leaf(w, table, size - 1);
	}
}

static u32 slot(gva_t lin, u32 access)
{
	return ((lin >> 12) ^ (access >> 1)) % CACHE;
}

const struct walk_hit *walk_cached(const struct abi_vcpu *v, gva_t lin, u32 access)
{
	const struct walk_hit *h = &cache[slot(lin, access)];
	const struct walk_entry *e = h->entry;

	if (h->page != (lin & ~0xfffull) || h->cr3 != v->state.cr3 ||
	    h->access != (access | (v->rflags & RFLAGS_AC)) || h->cr0 != v->state.cr0 ||
	    h->cr4 != v->state.cr4 || h->efer != v->state.efer)
		return NULL;
	if (!h->entry[0].at)
		return NULL;
	if ((guest_read64(e[0].at) ^ e[0].value) | (guest_read64(e[1].at) ^ e[1].value) |
	    (guest_read64(e[2].at) ^ e[2].value) | (guest_read64(e[3].at) ^ e[3].value))
		return NULL;
	return h;
}

static void remember(const struct walker *w)
{
	const struct abi_state *s = &w->v->state;
	struct walk_hit *h = &cache[slot(w->lin, w->access)];

	h->page = w->lin & ~0xfffull;
	h->cr0 = s->cr0;
	h->cr3 = s->cr3;
	h->cr4 = s->cr4;
	h->efer = s->efer;
	h->access = w->access | (w->v->rflags & RFLAGS_AC);
	h->gpa = w->out->gpa & ~0xfffull;
	h->ram = guest_ptr(h->gpa, PAGE_SIZE);
	for (u32 i = 0; i < LEVELS; i++) /* large pages have fewer levels */
		h->entry[i] = i < w->count ? (struct walk_entry){ w->pte[i].at, w->pte[i].value }
					   : h->entry[i - 1];
}

enum walk_status walk(const struct abi_vcpu *v, gva_t lin, u32 access, struct walk *out)
{
	const struct walk_hit *h = walk_cached(v, lin, access);

	if (h) {
		out->gpa = h->gpa | (lin & 0xfff);
		return WALK_OK;
	}
	if (!(v->state.cr0 & CR0_PG)) {
		out->gpa = lin;
		return WALK_OK;
	}
	for (u32 try = 0; try < RETRIES; try++) {
		bool lma = v->state.efer & EFER_LMA;
		struct walker w = { .v = v,
				    .lin = lin,
				    .access = access,
				    .out = out,
				    .wide = v->state.cr4 & CR4_PAE };
		enum walk_status status = w.wide ? walk_64bit(&w) : walk_32bit(&w);

		if (status != WALK_OK)
			return status;
		if (w.wide && !lma) { /* PAE's top level has neither bit */
			w.count--;
			for (u32 i = 0; i < w.count; i++)
				w.pte[i] = w.pte[i + 1];
		}
		if (set_accessed(&w)) {
			if (lma)
				remember(&w);
			return WALK_OK;
		}
	}
	return WALK_BUSY;
}

void walk_forget(void)
{
	for (u32 i = 0; i < CACHE; i++)
		cache[i].entry[0].at = NULL;
}
