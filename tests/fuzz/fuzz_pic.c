/*
 * The pair of 8259As against a slow model that follows the datasheet step by
 * step, with what a PC fixes (cascade on input 2, ELCR): after each access, each
 * change of a wire and each acknowledge the same INTR, the same vector, the same
 * bytes read.
 */
// SOURCES: vmm/pic.c vmm/ioport.c vmm/iomap.c vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp,indirect-calls
// RUNS: 40000
// MAX_LEN: 300
#include "fuzz.h"
#include "machine.h"
#include "vmm/irq.h"
#include "vmm/pic.h"

void irq_sync(u32 irq)
{
	(void)irq; /* no source computes its edges here */
}

struct chip {
	bool line[8], latch[8], level[8], mask[8], service[8];
	u32 first;     /* the input of highest priority now */
	u32 base, icw; /* icw: the next one expected, 0 none */
	bool single, needs_icw4, aeoi, rotate, nested, special, read_service, poll;
};
static struct chip chip[2]; /* master, slave */

static bool asks(const struct chip *c, u32 i)
{
	return c->level[i] ? c->line[i] : c->latch[i];
}

/* The input whose interrupt this chip would raise now; 8: none. */
static u32 winner(const struct chip *c)
{
	if (c->icw)
		return 8;
	for (u32 n = 0; n < 8; n++) { /* from the highest priority down */
		u32 i = (c->first + n) % 8;
		bool serving = c->service[i] && !(c->special && c->mask[i]);

		if (asks(c, i) && !c->mask[i]) {
			if (!serving)
				return i;
			/* the master lets the slave interrupt itself, if it is told to */
			if (c == &chip[0] && i == 2 && c->nested)
				return i;
		}
		if (serving)
			return 8; /* the rest has lower priority than this */
	}
	return 8;
}

static bool output(void)
{
	chip[0].line[2] = winner(&chip[1]) != 8;
	return winner(&chip[0]) != 8;
}

static void take(struct chip *c, u32 i)
{
	c->latch[i] = false;
	if (!c->aeoi)
		c->service[i] = true;
	else if (c->rotate)
		c->first = (i + 1) % 8;
}

static u32 acknowledge(void)
{
	struct chip *c = &chip[0];
	u32 i;

	output();
	i = winner(c);
	if (i == 2 && !c->single) {
		take(c, 2);
		c = &chip[1];
		i = winner(c);
	}
	if (i == 8)
		return c->base + 7;
	take(c, i);
	return c->base + i;
}

static void command(struct chip *c, u8 value)
{
	u32 i = value & 7;

	if (value & 0x10) { /* ICW1 */
		for (u32 n = 0; n < 8; n++)
			c->latch[n] = c->mask[n] = c->service[n] = false;
		c->single = value & 2;
		c->needs_icw4 = value & 1;
		c->icw = 2;
		c->first = 0;
		c->aeoi = c->rotate = c->nested = c->special = false;
		c->read_service = c->poll = false;
		return;
	}
	if (value & 8) { /* OCW3 */
		c->poll = value & 4;
		if (value & 2)
			c->read_service = value & 1;
		if (value & 0x40)
			c->special = value & 0x20;
		return;
	}
	if (value >> 5 == 1 || value >> 5 == 5) { /* the highest in service */
		for (i = 0; i < 8; i++) {
			u32 k = (c->first + i) % 8;

			if (c->service[k] && !(c->special && c->mask[k])) {
				c->service[k] = false;
				if (value >> 5 == 5)
					c->first = (k + 1) % 8;
				return;
			}
		}
		return;
	}
	if (value >> 5 == 0 || value >> 5 == 4)
		c->rotate = value >> 5 == 4;
	if (value >> 5 == 3 || value >> 5 == 7)
		c->service[i] = false;
	if (value >> 5 == 6 || value >> 5 == 7)
		c->first = (i + 1) % 8;
}

static void data(struct chip *c, u8 value)
{
	switch (c->icw) {
	case 2:
		c->base = value & 0xf8;
		c->icw = !c->single ? 3 : c->needs_icw4 ? 4 : 0;
		return;
	case 3: c->icw = c->needs_icw4 ? 4 : 0; return;
	case 4:
		c->aeoi = value & 2;
		c->nested = value & 0x10;
		c->icw = 0;
		return;
	}
	for (u32 i = 0; i < 8; i++)
		c->mask[i] = value >> i & 1;
}

static u8 bits(const bool *set)
{
	u8 value = 0;

	for (u32 i = 0; i < 8; i++)
		value |= (u8)(set[i] << i);
	return value;
}

static u8 expect_read(struct chip *c, bool odd)
{
	u8 value = 0;

	if (c->poll) {
		u32 i;

		output();
		i = winner(c);
		c->poll = false;
		if (i == 8)
			return 0;
		take(c, i);
		return (u8)(0x80 | i);
	}
	if (odd)
		return bits(c->mask);
	if (c->read_service)
		return bits(c->service);
	output();
	for (u32 i = 0; i < 8; i++)
		value |= (u8)(asks(c, i) << i);
	return value;
}

static void wire(u32 irq, bool level)
{
	struct chip *c = &chip[irq / 8];

	pic_set(irq, level);
	if (level && !c->line[irq % 8])
		c->latch[irq % 8] = true;
	if (!level)
		c->latch[irq % 8] = false;
	c->line[irq % 8] = level;
}

static void start(void)
{
	machine_reset();
	pic_init();
	memset(chip, 0, sizeof(chip));
	for (u32 n = 0; n < 2; n++)
		for (u32 i = 0; i < 8; i++)
			chip[n].mask[i] = true;
	chip[0].base = 0x08;
	chip[1].base = 0x70;
	chip[0].needs_icw4 = chip[1].needs_icw4 = true;
	chip[0].level[2] = chip[1].level[1] = true; /* cascade, SCI */
}

static void elcr(u32 n, u8 value)
{
	out8(BOARD_ELCR + n, value);
	for (u32 i = 0; i < 8; i++)
		if ((n ? 0xdeu : 0xf8u) >> i & 1)
			chip[n].level[i] = value >> i & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_in in = { bytes, size };

	start();
	while (in.n) {
		u8 op = fuzz_u8(&in), arg;
		u32 n = op >> 3 & 1, port = n ? BOARD_PIC1 : BOARD_PIC0, irq = op >> 4;

		switch (op & 7) {
		case 0:
			arg = fuzz_u8(&in);
			out8(port, arg);
			command(&chip[n], arg);
			break;
		case 1:
			arg = fuzz_u8(&in);
			out8(port + 1, arg);
			data(&chip[n], arg);
			break;
		case 2: FUZZ_CHECK(in8(port) == expect_read(&chip[n], false)); break;
		case 3: FUZZ_CHECK(in8(port + 1) == expect_read(&chip[n], true)); break;
		case 4:
		case 5:
			if (irq != 2)
				wire(irq, !(op & 8));
			break;
		case 6: FUZZ_CHECK(pic_ack() == acknowledge()); break;
		case 7: elcr(n, fuzz_u8(&in)); break;
		}
		FUZZ_CHECK(fake.extint == output());
	}
	return 0;
}
