/*
 * Fetching and decoding: see fetch.h. Code bytes are copied once and decoded
 * from the copy. Decoded instructions are cached by their bytes: a hit compares
 * all of them, so changed code can never be taken for what it was.
 */
#include "vmm/fetch.h"

#include "vmm/sys.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define CACHE 32 /* entries, a power of two */

struct decoded {
	u64 lo, hi;	      /* the instruction's bytes, those behind it zero */
	u64 lo_mask, hi_mask; /* which they are */
	u32 mode;	      /* enum insn_mode */
	struct insn in;	      /* .len = 0: empty */
};

static struct decoded cache[CACHE];

struct code {
	union {
		u8 bytes[INSN_BUF];
		u64 words[INSN_BUF / 8];
	};
	u32 n; /* of them valid */
};

/* Where the code byte at lin lies. Bytes up to the page's end follow it. */
static const u8 *code_ptr(struct abi_vcpu *v, gva_t lin)
{
	u32 access = PF_FETCH | (v->cpl == 3 ? PF_USER : 0);
	struct walk w;
	const u8 *p;

	switch (walk(v, lin, access, &w)) {
	case WALK_OK: break;
	case WALK_FAULT: finish_fault(VEC_PF, w.error, lin);
	case WALK_BUSY: fetch_stale(v);
	case WALK_OUTSIDE: sys_fail("page table outside RAM at %lx, code at %lx", w.gpa, lin);
	}
	p = guest_ptr(w.gpa, 1);
	if (!p)
		fetch_fail(v, "code outside RAM");
	return p;
}

static gva_t code_linear(const struct abi_vcpu *v, enum insn_mode mode, u64 rip)
{
	if (mode == INSN_64)
		return rip;
	return (u32)(v->state.seg[ABI_CS].base + rip);
}

static void add_bytes(struct code *code, const u8 *p, u32 n)
{
	for (u32 i = 0; i < n; i++)
		code->bytes[code->n++] = *(const volatile u8 *)&p[i];
}

/* An instruction near a page's end: its second page is touched only if needed. */
static const struct insn *fetch_slow(struct abi_vcpu *v, enum insn_mode mode, const u8 *p, u32 room)
{
	static struct insn in;
	struct code code = { .n = 0 };
	enum insn_status status;

	add_bytes(&code, p, (u32)min_u64(room, INSN_MAX));
	status = insn_decode(&in, code.bytes, code.n, mode);
	if (status == INSN_SHORT) {
		p = code_ptr(v, code_linear(v, mode, v->rip + code.n));
		add_bytes(&code, p, INSN_MAX - code.n);
		status = insn_decode(&in, code.bytes, code.n, mode);
	}
	if (status != INSN_OK)
		fetch_fail(v, "cannot decode");
	return &in;
}

static NOINLINE const struct insn *decode_into(struct abi_vcpu *v, enum insn_mode mode, u64 lo,
					       u64 hi, struct decoded *e)
{
	struct code code = { .words = { lo, hi } };
	u32 bits;

	e->in.len = 0;
	if (insn_decode(&e->in, code.bytes, INSN_MAX, mode) != INSN_OK) {
		e->in.len = 0;
		fetch_fail(v, "cannot decode");
	}
	bits = 8u * e->in.len;
	e->lo_mask = bits >= 64 ? ~0ull : BIT(bits) - 1;
	e->hi_mask = bits <= 64 ? 0 : BIT(bits - 64) - 1;
	e->lo = lo & e->lo_mask;
	e->hi = hi & e->hi_mask;
	e->mode = mode;
	return &e->in;
}

/* 16 bytes at p are in its page. */
static inline const struct insn *fetch_fast(struct abi_vcpu *v, enum insn_mode mode, const u8 *p)
{
	struct decoded *e = &cache[(v->rip ^ (v->rip >> 6)) % CACHE];
	u64 lo = guest_read64(p), hi = guest_read64(p + 8);

	if (likely(!(((lo & e->lo_mask) ^ e->lo) | ((hi & e->hi_mask) ^ e->hi)) &&
		   e->mode == mode && e->in.len))
		return &e->in;
	return decode_into(v, mode, lo, hi, e);
}

static NOINLINE const struct insn *fetch_any(struct abi_vcpu *v, enum insn_mode mode)
{
	const u8 *p = code_ptr(v, code_linear(v, mode, v->rip));
	u32 room = PAGE_SIZE - ((u64)p & (PAGE_SIZE - 1));
	const struct insn *in;

	in = room >= 16 ? fetch_fast(v, mode, p) : fetch_slow(v, mode, p, room);
	if (mode != INSN_64 && v->rip + in->len - 1 > v->state.seg[ABI_CS].limit)
		finish_fault(VEC_GP, 0, 0);
	return in;
}

const struct insn *fetch_insn(struct abi_vcpu *v)
{
	enum insn_mode mode = fetch_mode(v);
	u32 offset = v->rip & (PAGE_SIZE - 1);
	const struct walk_hit *h;

	if (mode == INSN_64 && offset <= PAGE_SIZE - 16) {
		h = walk_cached(v, v->rip, PF_FETCH | (v->cpl == 3 ? PF_USER : 0));
		if (likely(h && h->ram))
			return fetch_fast(v, INSN_64, h->ram + offset);
	}
	return fetch_any(v, mode);
}

/* The bytes at RIP as they are now, each with a space in front. */
static void code_text(const struct abi_vcpu *v, char text[3 * INSN_MAX + 1])
{
	enum insn_mode mode = fetch_mode(v);

	text[0] = 0;
	for (u32 i = 0; i < INSN_MAX; i++) {
		struct walk w;
		const u8 *p = NULL;

		if (walk(v, code_linear(v, mode, v->rip + i), PF_FETCH, &w) == WALK_OK)
			p = guest_ptr(w.gpa, 1);
		if (!p)
			break;
		str_format(text + 3 * i, 4, " %02x", *p);
	}
}

void fetch_stale(const struct abi_vcpu *v)
{
	static u64 rip, count;
	static ns_t since;
	ns_t now = vm_now();
	char text[3 * INSN_MAX + 1];

	if (v->rip != rip || now - since > 1000000000) {
		rip = v->rip;
		since = now;
		count = 0;
	}
	if (++count > 1000) {
		code_text(v, text);
		sys_fail("no progress at RIP %lx, guest-physical %lx, %u-bit code:%s", v->rip,
			 v->gpa, 16u << fetch_mode(v), text);
	}
	finish_none();
}

void fetch_fail(struct abi_vcpu *v, const char *what)
{
	char text[3 * INSN_MAX + 1];

	code_text(v, text);
	sys_log("%s at RIP %lx, guest-physical %lx, %u-bit code:%s", what, v->rip, v->gpa,
		16u << fetch_mode(v), text);
	finish_fault(VEC_UD, 0, 0);
}
