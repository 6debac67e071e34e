/*
 * A guest instruction's access to memory: see access.h. Segments as in SDM
 * Vol. 3 chapter 5 and, for 64-bit mode, APM Vol. 2 section 4.5.
 */
#include "vmm/access.h"

#include "vmm/board.h"
#include "vmm/fetch.h"
#include "vmm/iomap.h"
#include "vmm/sys.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define ATTR_TYPE_CODE 0x8u
#define ATTR_TYPE_DOWN 0x4u  /* data: expands down */
#define ATTR_TYPE_WRITE 0x2u /* data: writable; code: readable */
#define ATTR_P 0x80u

static bool segment_allows(const struct abi_vcpu *v, const struct abi_segment *s, u64 off, u32 size,
			   enum access_kind kind)
{
	u64 last = off + size - 1;
	bool protected = v->state.cr0 & CR0_PE && !(v->rflags & RFLAGS_VM);

	if (protected) {
		if (!(s->attr & ATTR_P))
			return false;
		if (s->attr & ATTR_TYPE_CODE) {
			if (kind == ACCESS_WRITE || !(s->attr & ATTR_TYPE_WRITE))
				return false;
		} else if (kind == ACCESS_WRITE && !(s->attr & ATTR_TYPE_WRITE)) {
			return false;
		}
		if ((s->attr & (ATTR_TYPE_CODE | ATTR_TYPE_DOWN)) == ATTR_TYPE_DOWN)
			return off > s->limit &&
			       last <= (s->attr & ABI_ATTR_DB ? 0xffffffff : 0xffff);
	}
	return last <= s->limit;
}

static bool canonical(u64 lin)
{
	return (u64)((s64)(lin << 16) >> 16) == lin;
}

/* A fault of the guest's: now, or after what is done so far. */
static NORETURN void guest_fault(u8 vector, u32 error, gva_t lin, bool progress)
{
	if (progress)
		sys_finish(ABI_FIN_REGS, 0, 0, 0);
	finish_fault(vector, error, lin);
}

static gva_t linear(struct abi_vcpu *v, u32 seg, u64 off, u32 size, enum access_kind kind,
		    bool progress)
{
	const struct abi_segment *s = &v->state.seg[seg];

	if (likely(fetch_mode(v) == INSN_64)) {
		u64 lin = off;

		if (seg >= ABI_FS)
			lin += s->base;
		if (likely(canonical(lin) && canonical(lin + size - 1)))
			return lin;
	} else if (segment_allows(v, s, off, size, kind)) {
		return (u32)(s->base + off);
	}
	guest_fault(seg == ABI_SS ? VEC_SS : VEC_GP, 0, 0, progress);
}

static gpa_t translate(struct abi_vcpu *v, gva_t lin, enum access_kind kind, bool progress)
{
	u32 flags = (kind == ACCESS_WRITE ? PF_WRITE : 0) | (v->cpl == 3 ? PF_USER : 0);
	struct walk w;

	switch (walk(v, lin, flags, &w)) {
	case WALK_OK: return w.gpa;
	case WALK_FAULT: guest_fault(VEC_PF, w.error, lin, progress);
	case WALK_BUSY:
		if (progress)
			sys_finish(ABI_FIN_REGS, 0, 0, 0);
		fetch_stale(v);
	case WALK_OUTSIDE: break;
	}
	sys_fail("page table outside RAM at %lx, RIP %lx, address %lx", w.gpa, v->rip, lin);
}

void access_open(struct abi_vcpu *v, u32 seg, u64 off, u32 size, enum access_kind kind,
		 bool progress, struct access *out)
{
	gva_t lin = linear(v, seg, off, size, kind, progress);
	u32 room = PAGE_SIZE - (lin & (PAGE_SIZE - 1));

	out->size = size;
	out->gpa[0] = translate(v, lin, kind, progress);
	out->ram[0] = guest_ptr(out->gpa[0], 1);
	out->count = 1;
	out->first = size;
	if (unlikely(room < size)) {
		lin += room;
		if (fetch_mode(v) != INSN_64)
			lin = (u32)lin;
		out->gpa[1] = translate(v, lin, kind, progress);
		out->ram[1] = guest_ptr(out->gpa[1], 1);
		out->count = 2;
		out->first = room;
	}
}

/* Registers of the LAPIC page are 32 bits at multiples of 16. */
static u64 lapic_read(u32 offset, u32 size)
{
	u32 shift = 8 * (offset & 3);

	if (offset & 0xc)
		return 0;
	return ((u64)sys_lapic_read(offset & ~3u) >> shift) & size_mask(size);
}

static void lapic_write(u32 offset, u32 size, u64 value)
{
	if (!(offset & 0xf) && size >= 4)
		sys_lapic_write(offset, (u32)value);
}

static u64 device_read(gpa_t gpa, u32 size)
{
	if (gpa - BOARD_LAPIC < BOARD_LAPIC_SIZE)
		return lapic_read((u32)(gpa - BOARD_LAPIC), size);
	return iomap_read(IO_MMIO, gpa, size);
}

static void device_write(gpa_t gpa, u32 size, u64 value)
{
	if (gpa - BOARD_LAPIC < BOARD_LAPIC_SIZE)
		lapic_write((u32)(gpa - BOARD_LAPIC), size, value);
	else
		iomap_write(IO_MMIO, gpa, size, value);
}

/* Odd sizes are the two parts of an access that crosses a page. */
static u64 piece_read(const struct access *a, u32 i, u32 size)
{
	u8 *p = a->ram[i];
	u64 value = 0;

	if (!p)
		return device_read(a->gpa[i], size);
	switch (size) {
	case 8: return guest_read64(p);
	case 4: return guest_read32(p);
	case 2: return guest_read16(p);
	}
	for (u32 n = 0; n < size; n++)
		value |= (u64) * (volatile u8 *)&p[n] << (8 * n);
	return value;
}

static void piece_write(const struct access *a, u32 i, u32 size, u64 value)
{
	u8 *p = a->ram[i];

	if (!p) {
		device_write(a->gpa[i], size, value);
		return;
	}
	switch (size) {
	case 8: guest_write64(p, value); return;
	case 4: guest_write32(p, (u32)value); return;
	case 2: guest_write16(p, (u16)value); return;
	}
	for (u32 n = 0; n < size; n++)
		*(volatile u8 *)&p[n] = (u8)(value >> (8 * n));
}

u64 access_read(const struct access *a)
{
	u64 value = piece_read(a, 0, a->first);

	if (unlikely(a->count > 1))
		value |= piece_read(a, 1, a->size - a->first) << (8 * a->first);
	return value;
}

void access_write(const struct access *a, u64 value)
{
	if (unlikely(a->count > 1)) {
		piece_write(a, 1, a->size - a->first, value >> (8 * a->first));
		value &= size_mask(a->first);
	}
	piece_write(a, 0, a->first, value);
}
