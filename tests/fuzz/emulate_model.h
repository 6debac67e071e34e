/*
 * For fuzz_emulate: what an MMIO upcall must come to, worked out step by step
 * from the manual (SDM Vol. 1 3.7.5, Vol. 3 5.3 to 5.6; APM Vol. 2 4.5): the
 * address, what the segment and the page tables say, which bytes are touched,
 * and for plain loads and stores the value. Decoding and the page walk are the
 * real ones; fuzz_decode and fuzz_walk look at those.
 */
#ifndef TESTS_FUZZ_EMULATE_MODEL_H
#define TESTS_FUZZ_EMULATE_MODEL_H

#include "fuzz.h"
#include "vmm/access.h"
#include "vmm/decode.h"
#include "vmm/fetch.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

enum model_end {
	MODEL_UNKNOWN, /* not followed here */
	MODEL_FAULT,
	MODEL_FAIL,  /* the VM stops */
	MODEL_AGAIN, /* not what this exit was about */
	MODEL_DONE,
};

struct model {
	enum model_end end;
	u32 vector, error;
	u64 cr2;
	struct insn in;
	bool reads, writes;
	u32 pieces;
	struct {
		gpa_t gpa;
		u32 size;
	} piece[2];
};

/* The code bytes at RIP; false: something about them is not plain. */
static bool model_fetch(struct model *m, const struct abi_vcpu *v)
{
	enum insn_mode mode = fetch_mode(v);
	u8 bytes[INSN_BUF] = { 0 };

	for (u32 i = 0; i < INSN_MAX; i++) {
		u64 lin = v->rip + i;
		const u8 *p;
		struct walk w;

		if (mode != INSN_64)
			lin = (u32)(v->state.seg[ABI_CS].base + lin);
		if (walk(v, lin, PF_FETCH | (v->cpl == 3 ? PF_USER : 0), &w) != WALK_OK)
			return false;
		p = guest_ptr(w.gpa, 1);
		if (!p)
			return false;
		bytes[i] = *p;
	}
	if (insn_decode(&m->in, bytes, INSN_MAX, mode) != INSN_OK)
		return false;
	return mode == INSN_64 || v->rip + m->in.len - 1 <= v->state.seg[ABI_CS].limit;
}

/* Which accesses the operation makes; false: not followed here. */
static bool model_kind(struct model *m, u32 *size)
{
	const struct insn *in = &m->in;
	bool to_mem = in->dst == OPND_MEM;

	*size = in->size;
	if (!to_mem && in->src != OPND_MEM)
		return false;
	switch (in->op) {
	case OP_MOV:
	case OP_MOVBE:
		m->reads = !to_mem;
		m->writes = to_mem;
		return true;
	case OP_MOVZX:
	case OP_MOVSX:
		*size = in->src_size;
		m->reads = true;
		return true;
	case OP_CMP:
	case OP_TEST:
	case OP_BT: m->reads = true; return true;
	case OP_ADD ... OP_XOR:
		m->reads = true;
		m->writes = to_mem;
		return true;
	case OP_INC ... OP_NEG:
	case OP_XCHG:
	case OP_XADD:
	case OP_CMPXCHG:
	case OP_BTS:
	case OP_BTR:
	case OP_BTC: m->reads = m->writes = true; return true;
	default: return false;
	}
}

static u64 model_offset(const struct model *m, const struct abi_vcpu *v)
{
	const struct insn *in = &m->in;
	u64 off = (u64)in->disp;

	if (in->base < 16)
		off += v->gpr[in->base];
	if (in->index < 16)
		off += v->gpr[in->index] * (1ull << in->scale);
	if (in->rip_relative)
		off += v->rip + in->len;
	if (in->op >= OP_BT && in->op <= OP_BTC && in->src == OPND_REG) {
		/* the bit string goes both ways, in units of the operand's size */
		u64 reg = v->gpr[in->src_reg];
		s64 bit = in->size == 8 ? (s64)reg : in->size == 4 ? (s32)reg : (s16)reg;
		s64 width = 8 * in->size, unit = bit / width;

		if (bit < 0 && bit % width)
			unit--;
		off += (u64)unit * in->size;
	}
	return in->asize == 8 ? off : in->asize == 4 ? (u32)off : (u16)off;
}

static bool model_segment(const struct abi_vcpu *v, const struct abi_segment *s, u64 off, u32 size,
			  bool write)
{
	u32 type = s->attr & 0xf;
	u64 last = off + size - 1;

	if (v->state.cr0 & 1 && !(v->rflags & BIT(17))) {
		bool code = type & 8;

		if (!(s->attr & 0x80)) /* not present: a null selector */
			return false;
		if (write ? code || !(type & 2) : code && !(type & 2))
			return false;
		if (!code && type & 4) { /* from the limit up */
			u64 top = s->attr & ABI_ATTR_DB ? 0xffffffff : 0xffff;

			return off > s->limit && last <= top;
		}
	}
	return last <= s->limit;
}

static bool model_canonical(u64 lin)
{
	return lin < BIT(47) || lin >= ~0ull - BIT(47) + 1;
}

static void model_fault(struct model *m, u32 vector, u32 error, u64 cr2)
{
	m->end = MODEL_FAULT;
	m->vector = vector;
	m->error = error;
	m->cr2 = cr2;
}

static struct model model_mmio(const struct abi_vcpu *v)
{
	struct model m = { .end = MODEL_UNKNOWN };
	bool wide = fetch_mode(v) == INSN_64, touches = false;
	const struct abi_segment *s;
	u64 off, lin, done = 0;
	u32 size;

	if (!model_fetch(&m, v) || !model_kind(&m, &size))
		return m;
	off = model_offset(&m, v);
	s = &v->state.seg[m.in.seg];
	lin = wide ? off + (m.in.seg == ABI_FS || m.in.seg == ABI_GS ? s->base : 0)
		   : (u32)(s->base + off);
	if (wide ? !model_canonical(lin) || !model_canonical(lin + size - 1)
		 : !model_segment(v, s, off, size, m.writes)) {
		model_fault(&m, m.in.seg == ABI_SS ? 12 : 13, 0, 0);
		return m;
	}
	while (done < size) { /* one page after the other */
		u64 at = wide ? lin + done : (u32)(lin + done);
		u64 room = PAGE_SIZE - (at & (PAGE_SIZE - 1)), part = min_u64(room, size - done);
		struct walk w;

		switch (walk(v, at, (m.writes ? PF_WRITE : 0) | (v->cpl == 3 ? PF_USER : 0), &w)) {
		case WALK_OK: break;
		case WALK_FAULT: model_fault(&m, 14, w.error, at); return m;
		default: m.end = MODEL_FAIL; return m;
		}
		m.piece[m.pieces].gpa = w.gpa;
		m.piece[m.pieces++].size = (u32)part;
		touches |= w.gpa >> 12 == v->gpa >> 12;
		done += part;
	}
	m.end = touches ? MODEL_DONE : MODEL_AGAIN;
	return m;
}

#endif
