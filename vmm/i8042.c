/*
 * The 8042 (IBM PC/AT technical reference; PS/2 commands) with nothing plugged
 * in. A byte sent to the keyboard is answered 0xFE with the time-out bit, as
 * the controller does for a keyboard that stays silent; a driver that repeats
 * the byte more than once gets no further answer, because some would repeat
 * for ever. There is no auxiliary port: its tests fail at once. The A20 gate
 * is remembered, not obeyed: A20 is always on. No lock: upcalls never overlap.
 */
#include "vmm/i8042.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/sys.h"

#define ST_OUTPUT 0x01u /* a byte waits at port 0x60 */
#define ST_SYSTEM 0x04u
#define ST_COMMAND 0x08u /* the last write went to port 0x64 */
#define ST_UNLOCKED 0x10u
#define ST_AUX 0x20u
#define ST_TIMEOUT 0x40u

#define CFG_KBD_IRQ 0x01u
#define CFG_AUX_IRQ 0x02u
#define CFG_SYSTEM 0x04u
#define CFG_KBD_OFF 0x10u
#define CFG_AUX_OFF 0x20u
#define CFG_TRANSLATE 0x40u

#define OUT_NO_RESET 0x01u
#define OUT_A20 0x02u

#define KBD_RESEND 0xfe
#define REFUSALS 2

static struct {
	u8 status;  /* but for ST_SYSTEM, which is CFG_SYSTEM */
	u8 data;    /* the output buffer */
	u8 ram[32]; /* [0]: the configuration byte */
	u8 outport;
	u8 argument_of; /* the command whose argument port 0x60 takes next; 0: none */
	u8 last;	/* last byte sent to the keyboard, */
	u32 refused;	/* how often it was refused */
} kbc;

static void update_irq(void)
{
	bool full = kbc.status & ST_OUTPUT, aux = kbc.status & ST_AUX;

	irq_set(BOARD_IRQ_KBD, full && !aux && kbc.ram[0] & CFG_KBD_IRQ);
	irq_set(BOARD_IRQ_MOUSE, full && aux && kbc.ram[0] & CFG_AUX_IRQ);
}

/* Puts a byte into the output buffer. bits: ST_AUX, ST_TIMEOUT. */
static void answer(u8 value, u8 bits)
{
	kbc.status &= (u8) ~(ST_AUX | ST_TIMEOUT);
	kbc.status |= ST_OUTPUT | bits;
	kbc.data = value;
	update_irq();
}

static void reset_machine(void)
{
	sys_stop(ABI_STOP_RESET, 0);
}

static void outport_written(u8 value)
{
	kbc.outport = value;
	if (!(value & OUT_NO_RESET))
		reset_machine();
}

static void command(u8 value)
{
	kbc.status |= ST_COMMAND;
	kbc.argument_of = 0;
	if (value >= 0x20 && value <= 0x3f) {
		answer(kbc.ram[value & 31], 0);
		return;
	}
	if (value >= 0x60 && value <= 0x7f) {
		kbc.argument_of = value;
		return;
	}
	if (value >= 0xf0) { /* pulses the output port's low bits that are 0 */
		if (!(value & OUT_NO_RESET))
			reset_machine();
		return;
	}
	switch (value) {
	case 0xa4: answer(0xf1, 0); break; /* no password */
	case 0xa7: kbc.ram[0] |= CFG_AUX_OFF; break;
	case 0xa8: kbc.ram[0] &= (u8)~CFG_AUX_OFF; break;
	case 0xa9: answer(0x01, 0); break; /* auxiliary port: clock line stuck */
	case 0xaa:
		kbc.ram[0] |= CFG_SYSTEM;
		kbc.refused = 0;
		answer(0x55, 0);
		break;
	case 0xab: answer(0x00, 0); break;
	case 0xad: kbc.ram[0] |= CFG_KBD_OFF; break;
	case 0xae: kbc.ram[0] &= (u8)~CFG_KBD_OFF; break;
	case 0xc0: answer(0x80, 0); break; /* input port: not locked */
	case 0xd0: answer(kbc.outport, 0); break;
	case 0xd1:				   /* output port */
	case 0xd2:				   /* loop back as keyboard */
	case 0xd3:				   /* as auxiliary device */
	case 0xd4: kbc.argument_of = value; break; /* send to it */
	case 0xdd: kbc.outport &= (u8)~OUT_A20; break;
	case 0xdf: kbc.outport |= OUT_A20; break;
	default: break;
	}
}

static void to_keyboard(u8 value)
{
	if (value != kbc.last)
		kbc.refused = 0;
	kbc.last = value;
	if (kbc.refused >= REFUSALS)
		return;
	kbc.refused++;
	kbc.ram[0] &= (u8)~CFG_KBD_OFF; /* sending enables the port */
	answer(KBD_RESEND, ST_TIMEOUT);
}

static void data_written(u8 value)
{
	u8 to = kbc.argument_of;

	kbc.status &= (u8)~ST_COMMAND;
	kbc.argument_of = 0;
	switch (to) {
	case 0: to_keyboard(value); break;
	case 0xd1: outport_written(value); break;
	case 0xd2:
	case 0xd3: answer(value, 0); break; /* 0xd3 without ST_AUX: there is no such port */
	case 0xd4: answer(KBD_RESEND, ST_AUX | ST_TIMEOUT); break;
	default:
		kbc.ram[to & 31] = value;
		update_irq();
		break;
	}
}

static u64 data_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	(void)size;
	kbc.status &= (u8) ~(ST_OUTPUT | ST_AUX | ST_TIMEOUT);
	update_irq();
	return kbc.data;
}

static void data_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	(void)size;
	data_written((u8)value);
}

static u64 status_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	(void)size;
	return kbc.status | (kbc.ram[0] & CFG_SYSTEM ? ST_SYSTEM : 0);
}

static void command_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	(void)size;
	command((u8)value);
}

void i8042_init(void)
{
	memset(&kbc, 0, sizeof(kbc));
	kbc.status = ST_UNLOCKED;
	kbc.ram[0] = CFG_SYSTEM | CFG_AUX_OFF | CFG_TRANSLATE;
	kbc.outport = 0xcc | OUT_NO_RESET | OUT_A20;
	io_claim(IO_PORT, &(struct io_range){ BOARD_I8042_DATA, 1, NULL, data_read, data_write,
					      "i8042 data" });
	io_claim(IO_PORT, &(struct io_range){ BOARD_I8042_CMD, 1, NULL, status_read, command_write,
					      "i8042 command" });
}
