/*
 * The 16550A (National PC16550D datasheet). Transmission takes no time: a byte
 * written goes to the console at once, so the transmitter is always empty.
 * Reception has no bit rate either: console input moves into the FIFO as far
 * as there is room, and fewer bytes than the trigger level count as timed out
 * at once. As on a PC, the interrupt wire is open unless MCR says OUT2.
 * No lock: upcalls of a VM never overlap.
 */
#include "vmm/uart.h"

#include "vmm/board.h"
#include "vmm/ioport.h"
#include "vmm/irq.h"
#include "vmm/sys.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RX 0x01u
#define IER_THRE 0x02u
#define IER_LINE 0x04u
#define IER_MODEM 0x08u
#define IER_ALL 0x0fu

#define IIR_NONE 0x01u
#define IIR_MODEM 0x00u
#define IIR_THRE 0x02u
#define IIR_RX 0x04u
#define IIR_LINE 0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u

#define LCR_BREAK 0x40u
#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_ALL 0x1fu

#define LSR_DATA 0x01u
#define LSR_OVERRUN 0x02u
#define LSR_BREAK 0x10u
#define LSR_EMPTY 0x60u /* THRE, TEMT */
#define LSR_FIFO_ERROR 0x80u
#define LSR_ERRORS 0x1eu

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u
#define MSR_TERI 0x04u /* RI fell; the other deltas are the line's bit >> 4 */

#define FIFO_SIZE 16u

static struct {
	u8 ier, fcr, lcr, mcr, msr, scratch;
	u8 dll, dlm;
	u8 lsr;	   /* errors not yet read; the rest is computed */
	bool thre; /* "transmitter empty" was not reported yet */
	bool more; /* the console may have input */
	bool irq;  /* the wire */
	u32 rx_head, rx_count;
	struct {
		u8 byte, errors;
	} rx[FIFO_SIZE];
	u32 stash_at, stash_count; /* input taken from the console, beyond the FIFO */
	char stash[8];
} uart;

/* ----------------------------------------------------------- interrupts */

static u32 rx_trigger(void)
{
	static const u8 level[4] = { 1, 4, 8, 14 };

	return uart.fcr & FCR_ENABLE ? level[uart.fcr >> 6] : 1;
}

static u8 line_status(void)
{
	u8 lsr = uart.lsr | LSR_EMPTY;

	if (!uart.rx_count)
		return lsr;
	lsr |= LSR_DATA | uart.rx[uart.rx_head].errors;
	if (!(uart.fcr & FCR_ENABLE))
		return lsr;
	for (u32 i = 0; i < uart.rx_count; i++)
		if (uart.rx[(uart.rx_head + i) % FIFO_SIZE].errors)
			lsr |= LSR_FIFO_ERROR;
	return lsr;
}

/* The pending interrupt of highest priority. */
static u8 pending(void)
{
	if (uart.ier & IER_LINE && line_status() & LSR_ERRORS)
		return IIR_LINE;
	if (uart.ier & IER_RX && uart.rx_count)
		return uart.rx_count >= rx_trigger() ? IIR_RX : IIR_TIMEOUT;
	if (uart.ier & IER_THRE && uart.thre)
		return IIR_THRE;
	if (uart.ier & IER_MODEM && uart.msr & 0x0f)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(void)
{
	bool level =
		uart.ier && (uart.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && pending() != IIR_NONE;

	if (level != uart.irq) {
		uart.irq = level;
		irq_set(BOARD_IRQ_COM1, level);
	}
}

/* ------------------------------------------------------------- receiver */

static u32 rx_room(void)
{
	return (uart.fcr & FCR_ENABLE ? FIFO_SIZE : 1) - uart.rx_count;
}

static void rx_put(u8 byte, u8 errors)
{
	u32 at = (uart.rx_head + uart.rx_count) % FIFO_SIZE;

	if (!rx_room()) { /* a full FIFO keeps what it has, the single register does not */
		uart.lsr |= LSR_OVERRUN;
		if (uart.fcr & FCR_ENABLE)
			return;
		at = uart.rx_head;
		uart.rx_count = 0;
	}
	uart.rx[at].byte = byte;
	uart.rx[at].errors = errors;
	uart.rx_count++;
}

/* Moves console input into the receiver while there is room. */
static void rx_fill(void)
{
	if (uart.mcr & MCR_LOOP) /* the wire is cut off */
		return;
	while (rx_room()) {
		if (!uart.stash_count) {
			if (!uart.more)
				return;
			uart.stash_at = 0;
			uart.stash_count = sys_console_read(uart.stash, sizeof(uart.stash));
			if (uart.stash_count == ABI_CONSOLE_BREAK) {
				uart.stash_count = 0;
				rx_put(0, LSR_BREAK);
				continue;
			}
			uart.more = uart.stash_count >= sizeof(uart.stash) || sys_console_more();
			if (!uart.stash_count)
				return;
		}
		rx_put((u8)uart.stash[uart.stash_at++ % sizeof(uart.stash)], 0);
		uart.stash_count--;
	}
}

static u8 rx_get(void)
{
	u8 byte = uart.rx[uart.rx_head].byte; /* an empty receiver repeats its last */

	if (!uart.rx_count)
		return byte;
	uart.lsr |= uart.rx[uart.rx_head].errors; /* until LSR is read */
	uart.rx_count--;
	if (uart.rx_count || uart.stash_count || uart.more) {
		uart.rx_head = (uart.rx_head + 1) % FIFO_SIZE;
		rx_fill();
	}
	update_irq();
	return byte;
}

void uart_console_event(void)
{
	uart.more = true;
	rx_fill();
	update_irq();
}

/* ------------------------------------------------- the other registers */

/* What the modem lines say: a terminal that is there, or MCR's own outputs. */
static u8 modem_lines(void)
{
	u8 lines = 0;

	if (!(uart.mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if (uart.mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (uart.mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (uart.mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (uart.mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void update_modem(void)
{
	u8 lines = modem_lines(), changed = (lines ^ uart.msr) & 0xf0;

	uart.msr |= (changed & ~MSR_RI) >> 4;
	if (changed & MSR_RI && !(lines & MSR_RI))
		uart.msr |= MSR_TERI;
	uart.msr = (u8)((uart.msr & 0x0f) | lines);
}

static void fcr_written(u8 value)
{
	if (!(value & FCR_ENABLE))
		value = 0; /* the other bits count only with it */
	if (((value ^ uart.fcr) & FCR_ENABLE) || value & FCR_CLEAR_RX)
		uart.rx_count = 0;
	uart.fcr = value & (0xc0u | FCR_ENABLE);
	rx_fill();
}

static void ier_written(u8 value)
{
	value &= IER_ALL;
	if (value & ~uart.ier & IER_THRE)
		uart.thre = true; /* enabling it reports an empty transmitter */
	uart.ier = value;
}

static void lcr_written(u8 value)
{
	if (value & ~uart.lcr & LCR_BREAK && uart.mcr & MCR_LOOP)
		rx_put(0, LSR_BREAK);
	uart.lcr = value;
}

static u8 iir_read(void)
{
	u8 iir = pending();

	if (iir == IIR_THRE) {
		uart.thre = false;
		update_irq();
	}
	return iir | (uart.fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static u8 lsr_read(void)
{
	u8 lsr = line_status();

	if (unlikely(lsr & LSR_ERRORS)) {
		uart.lsr = 0;
		if (uart.rx_count)
			uart.rx[uart.rx_head].errors = 0;
		update_irq();
	}
	return lsr;
}

static u8 msr_read(void)
{
	u8 msr = uart.msr;

	if (msr & 0x0f) {
		uart.msr = msr & 0xf0;
		update_irq();
	}
	return msr;
}

static u8 read_byte(u32 reg)
{
	switch (reg) {
	case REG_DATA: return uart.lcr & LCR_DLAB ? uart.dll : rx_get();
	case REG_IER: return uart.lcr & LCR_DLAB ? uart.dlm : uart.ier;
	case REG_IIR_FCR: return iir_read();
	case REG_LCR: return uart.lcr;
	case REG_MCR: return uart.mcr;
	case REG_LSR: return lsr_read();
	case REG_MSR: return msr_read();
	default: return uart.scratch;
	}
}

static void data_written(u8 value)
{
	char c = (char)value;

	if (unlikely(uart.lcr & LCR_DLAB)) {
		uart.dll = value;
		return;
	}
	if (unlikely(uart.mcr & MCR_LOOP))
		rx_put(value, 0);
	else
		sys_console_write(&c, 1);
	uart.thre = true; /* empty again already */
	if (uart.ier && !uart.irq)
		update_irq();
}

static void write_byte(u32 reg, u8 value)
{
	switch (reg) {
	case REG_DATA: data_written(value); return;
	case REG_IER:
		if (uart.lcr & LCR_DLAB)
			uart.dlm = value;
		else
			ier_written(value);
		break;
	case REG_IIR_FCR: fcr_written(value); break;
	case REG_LCR: lcr_written(value); break;
	case REG_MCR:
		uart.mcr = value & MCR_ALL;
		update_modem();
		rx_fill();
		break;
	case REG_LSR:
	case REG_MSR: return; /* for factory tests only */
	default: uart.scratch = value; return;
	}
	update_irq();
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	return io_split_read(off, size, read_byte);
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	io_split_write(off, size, value, write_byte);
}

void uart_init(void)
{
	memset(&uart, 0, sizeof(uart));
	uart.dll = 12;	 /* 9600 baud */
	uart.lcr = 0x03; /* 8N1 */
	uart.msr = modem_lines();
	uart.more = true;
	io_claim(IO_PORT, &(struct io_range){ BOARD_COM1, 8, NULL, port_read, port_write, "uart" });
}
