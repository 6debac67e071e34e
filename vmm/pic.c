/*
 * The 8259A pair. Differences to the chips: MCS-80 mode is taken for 8086 mode,
 * and LTIM (ICW1) is ignored for ELCR, as in every PC since EISA. A request on
 * an edge-triggered input is withdrawn when the wire falls before it was
 * acknowledged. The cascade input follows the second chip's INT by level.
 * No lock: upcalls of a VM never overlap.
 */
#include "vmm/pic.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/sys.h"

#define NONE 8 /* no input: one past the lowest rank */
#define CASCADE (1u << BOARD_IRQ_CASCADE)

/* ICW1, ICW4, OCW3 */
#define ICW1_IC4 0x01u
#define ICW1_SINGLE 0x02u
#define ICW1 0x10u
#define ICW4_AEOI 0x02u
#define ICW4_SFNM 0x10u
#define OCW3 0x08u
#define OCW3_ISR 0x01u
#define OCW3_READ 0x02u
#define OCW3_POLL 0x04u
#define OCW3_SMM 0x20u
#define OCW3_SET_SMM 0x40u

struct pic {
	u8 line;      /* levels of the inputs */
	u8 edge;      /* inputs that rose and were not served yet */
	u8 level;     /* level-triggered inputs (ELCR; the cascade) */
	u8 elcr_mask; /* inputs whose mode ELCR can change */
	u8 imr, isr;
	u8 base;     /* vector of input 0 */
	u8 lowest;   /* the input of lowest priority */
	u8 next_icw; /* 2, 3, 4: expected at the odd port; 0: initialised */
	u8 icw1;
	bool aeoi, rotate_aeoi, sfnm, smm;
	bool read_isr; /* the even port reads ISR, not IRR */
	bool poll;     /* the next read is a poll */
};

static struct pic chips[2]; /* master, slave */
static bool intr;	    /* the master's output, as the kernel knows it */

static inline u8 requests(const struct pic *p)
{
	return (u8)((p->edge & ~p->level) | (p->line & p->level));
}

/* Priority, 0 the highest, of the first input in a set; NONE if it is empty. */
static inline u32 rank_of(const struct pic *p, u8 inputs)
{
	u32 first = (p->lowest + 1) & 7;

	if (!inputs)
		return NONE;
	return (u32)__builtin_ctz((u32)inputs >> first | (u32)inputs << (8 - first));
}

static inline u32 input_at(const struct pic *p, u32 rank)
{
	return (p->lowest + 1 + rank) & 7;
}

/* What blocks: in special mask mode, masked inputs in service do not. */
static inline u8 serving(const struct pic *p)
{
	return p->smm ? (u8)(p->isr & ~p->imr) : p->isr;
}

/* The input for which this chip raises INT, or NONE. */
static inline u32 asking(const struct pic *p)
{
	u32 rank = rank_of(p, (u8)(requests(p) & ~p->imr));
	u32 busy = rank_of(p, serving(p));

	if (rank == NONE || p->next_icw)
		return NONE;
	if (rank < busy)
		return input_at(p, rank);
	/* special fully nested: the slave may interrupt itself */
	if (rank == busy && p->sfnm && p == &chips[0] && input_at(p, rank) == BOARD_IRQ_CASCADE)
		return BOARD_IRQ_CASCADE;
	return NONE;
}

static void update(void)
{
	struct pic *master = &chips[0];
	bool out;

	if (asking(&chips[1]) != NONE)
		master->line |= CASCADE;
	else
		master->line &= (u8)~CASCADE;
	out = asking(master) != NONE;
	if (out != intr) {
		intr = out;
		sys_extint(out);
	}
}

void pic_set(u32 irq, bool level)
{
	struct pic *p = &chips[irq >> 3 & 1];
	u8 bit = (u8)(1u << (irq & 7));

	if (level) {
		p->edge |= (u8)(bit & ~p->line);
		p->line |= bit;
	} else {
		p->edge &= (u8)~bit;
		p->line &= (u8)~bit;
	}
	update();
}

bool pic_wanted(u32 irq)
{
	const struct pic *p = &chips[irq >> 3 & 1];
	u8 bit = (u8)(1u << (irq & 7));

	if (p != &chips[0] && chips[0].imr & CASCADE)
		return false;
	return !((p->imr | requests(p)) & bit) && !p->next_icw;
}

/*
 * An input is acknowledged. A lazy source first adds the edges that coalesce
 * with this one, and afterwards sees that it is wanted again.
 */
static void take(struct pic *p, u32 input)
{
	u8 bit = (u8)(1u << input);
	u32 irq = (p == &chips[0] ? 0 : 8) + input;

	irq_sync(irq);
	p->edge &= (u8)~bit;
	if (!p->aeoi)
		p->isr |= bit;
	else if (p->rotate_aeoi)
		p->lowest = (u8)input;
	irq_sync(irq);
}

u32 pic_ack(void)
{
	struct pic *p = &chips[0];
	u32 input = asking(p), vector;

	if (input == BOARD_IRQ_CASCADE && !(p->icw1 & ICW1_SINGLE)) {
		take(p, input);
		p = &chips[1];
		input = asking(p);
	}
	if (input == NONE) {
		vector = p->base + 7u; /* spurious: nothing is put in service */
	} else {
		vector = p->base + input;
		take(p, input);
	}
	update();
	return vector;
}

static u8 poll(struct pic *p)
{
	u32 input = asking(p);

	p->poll = false;
	if (input == NONE)
		return 0;
	take(p, input);
	update();
	return (u8)(0x80 | input);
}

static void start_init(struct pic *p, u8 value)
{
	if (p == &chips[0])
		irq_sync(0);
	p->icw1 = value;
	p->next_icw = 2;
	p->edge = 0; /* the edge sense is reset: each must rise anew */
	p->imr = p->isr = 0;
	p->lowest = 7;
	p->aeoi = p->rotate_aeoi = p->sfnm = p->smm = false;
	p->read_isr = p->poll = false;
}

static void end_of_interrupt(struct pic *p, u8 value)
{
	u32 input = value & 7, rank;

	switch (value >> 5) {
	case 0: p->rotate_aeoi = false; break;
	case 4: p->rotate_aeoi = true; break;
	case 1: /* non-specific, */
	case 5: /* and rotate */
		rank = rank_of(p, serving(p));
		if (rank == NONE)
			break;
		input = input_at(p, rank);
		p->isr &= (u8) ~(1u << input);
		if (value >> 5 == 5)
			p->lowest = (u8)input;
		break;
	case 3: p->isr &= (u8) ~(1u << input); break;
	case 7:
		p->isr &= (u8) ~(1u << input);
		p->lowest = (u8)input;
		break;
	case 6: p->lowest = (u8)input; break;
	default: break; /* 2: no operation */
	}
}

static void write_even(struct pic *p, u8 value)
{
	if (value & ICW1) {
		start_init(p, value);
	} else if (value & OCW3) {
		p->poll = value & OCW3_POLL;
		if (value & OCW3_READ)
			p->read_isr = value & OCW3_ISR;
		if (value & OCW3_SET_SMM)
			p->smm = value & OCW3_SMM;
	} else {
		end_of_interrupt(p, value);
	}
	update();
}

static void write_odd(struct pic *p, u8 value)
{
	switch (p->next_icw) {
	case 2:
		p->base = value & 0xf8;
		p->next_icw = !(p->icw1 & ICW1_SINGLE) ? 3 : p->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 3: /* the cascade is wired, whatever this says */
		p->next_icw = p->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 4:
		p->aeoi = value & ICW4_AEOI;
		p->sfnm = value & ICW4_SFNM;
		p->next_icw = 0;
		break;
	default:
		value ^= p->imr;
		p->imr ^= value;
		update();
		if (value & 1 && p == &chips[0])
			irq_sync(0);
		return;
	}
	update();
	if (p == &chips[0] && !p->next_icw)
		irq_sync(0);
}

static u8 read_byte(struct pic *p, bool odd)
{
	if (unlikely(p->poll))
		return poll(p);
	if (odd)
		return p->imr;
	if (p->read_isr)
		return p->isr;
	if (p == &chips[0])
		irq_sync(0);
	return requests(p);
}

static __attribute__((noinline)) u64 read_bytes(struct pic *p, u64 off, u32 size)
{
	u64 value = 0;

	for (u32 i = 0; i < size && i < 8; i++)
		value |= (u64)read_byte(p, (off + i) & 1) << (8 * i);
	return value;
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	struct pic *p = dev;

	if (likely(off & 1 && !p->poll)) /* the mask: always one byte */
		return p->imr;
	return read_bytes(p, off, size);
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	for (u32 i = 0; i < size && i < 8; i++) {
		if ((off + i) & 1)
			write_odd(dev, (u8)(value >> (8 * i)));
		else
			write_even(dev, (u8)(value >> (8 * i)));
	}
}

static u8 elcr_read(u32 reg)
{
	return chips[reg & 1].level & chips[reg & 1].elcr_mask;
}

static void elcr_write(u32 reg, u8 value)
{
	struct pic *p = &chips[reg & 1];

	p->level = (u8)((p->level & ~p->elcr_mask) | (value & p->elcr_mask));
	update();
}

static u64 elcr_port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	return io_split_read(off, size, elcr_read);
}

static void elcr_port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	io_split_write(off, size, value, elcr_write);
}

void pic_init(void)
{
	static const u16 port[2] = { BOARD_PIC0, BOARD_PIC1 };

	chips[0] = (struct pic){ .base = 0x08, .elcr_mask = 0xf8, .level = CASCADE };
	chips[1] = (struct pic){ .base = 0x70, .elcr_mask = 0xde };
	chips[1].level = 1u << (BOARD_IRQ_SCI & 7);
	intr = false;
	for (u32 i = 0; i < 2; i++) {
		chips[i].imr = 0xff;
		chips[i].lowest = 7;
		chips[i].icw1 = ICW1 | ICW1_IC4;
		io_claim(IO_PORT,
			 &(struct io_range){ port[i], 2, &chips[i], port_read, port_write, "pic" });
	}
	io_claim(IO_PORT, &(struct io_range){ BOARD_ELCR, 2, NULL, elcr_port_read, elcr_port_write,
					      "elcr" });
}
