/*
 * A 16550 UART at an I/O port (PC16550D datasheet). Received bytes go through
 * a ring when interrupts are used. CPU 0 alone uses it after boot; a panic may
 * write over it at any time, so nothing here keeps state about the transmitter
 * but its interrupt enable and whether it stalled.
 */
#include "drivers/uart.h"
#include "arch/x86.h"
#include "kernel/string.h"

enum reg { DATA = 0, IER = 1, FCR = 2, IIR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

#define IER_RX 1u
#define IER_TX 2u
#define LCR_8N1 3u
#define LCR_DLAB 0x80u
#define FCR_RESET 0x07u /* on, both cleared; interrupt at the first byte */
#define FCR_ON 0x01u
#define MCR_RTS 0x02u
#define MCR_DTR_RTS_OUT2 0x0bu /* OUT2 is the interrupt's gate on a PC */
#define MCR_LOOP 0x10u
#define LSR_DATA 0x01u
#define LSR_BREAK 0x10u /* with a null byte; reading LSR clears it */
#define LSR_TX_EMPTY 0x20u
#define LSR_ALL_SENT 0x40u
#define IIR_NONE 0x01u /* no interrupt is pending */

#define BAUD_MAX 115200u /* the divisor 1 */
#define FIFO_SIZE 16u
/* A byte takes 87 us, at 9600 baud 1 ms; a port access about 1 us; an emulator may keep us waiting. */
#define POLLS 1000000u
#define POLLS_STALLED 500u
#define IRQ_POLLS 50000u /* until the transmitter's interrupt: a full FIFO takes 1.4 to 17 ms */
#define PASSES_MAX 16u	 /* of the interrupt handler */
#define DRAIN_MAX 256u
#define RING_SIZE 512u

static u16 base; /* 0: no UART */
static bool by_irq;
static void (*notify_fn)(void);
static u8 ier;
static u32 interrupts; /* taken so far */

/* filled in the interrupt, emptied by uart_rx(); the same CPU, interrupts off */
static char ring[RING_SIZE];
static u32 ring_in, ring_out;
static bool held;	 /* the ring is full: the sender is told to wait, by RTS */
static bool break_due;	 /* LSR told of one; its null byte is still to be read */
static bool break_waits; /* one stands at break_at; a later one takes its place */
static u32 break_at;

static u8 reg_read(enum reg r)
{
	return inb((u16)(base + r));
}

static void reg_write(enum reg r, u32 v)
{
	outb((u16)(base + r), (u8)v);
}

/* Nobody who looks at LSR may lose a BREAK by that. */
static u8 line_status(void)
{
	u8 lsr = reg_read(LSR);

	break_due |= (lsr & LSR_BREAK) != 0;
	return lsr;
}

int uart_isa_irq(u16 port)
{
	switch (port) {
	case 0x3f8:
	case 0x3e8: return 4;
	case 0x2f8:
	case 0x2e8: return 3;
	default: return -1;
	}
}

/* The scratch register keeps what is written; an 8250 has none, but then the
 * modem control bits come back through the loop. */
static bool answers(void)
{
	u8 old_mcr, status;

	if (reg_read(LSR) == 0xff && reg_read(IER) == 0xff)
		return false;
	reg_write(SCR, 0x5a);
	if (reg_read(SCR) == 0x5a) {
		reg_write(SCR, 0xa5);
		if (reg_read(SCR) == 0xa5)
			return true;
	}
	old_mcr = reg_read(MCR);
	reg_write(MCR, MCR_LOOP | 0x0a); /* RTS and OUT2 appear as CTS and DCD */
	status = reg_read(MSR) & 0xf0;
	reg_write(MCR, old_mcr & 0x1f);
	return status == 0x90;
}

enum err uart_init(u16 port, u32 baud)
{
	u32 divisor = BAUD_MAX / baud;

	base = port;
	by_irq = false;
	ier = 0;
	held = false;
	ring_in = ring_out = 0;
	if (!answers()) {
		base = 0;
		return ERR_NODEV;
	}
	reg_write(IER, 0);
	reg_write(LCR, LCR_DLAB | LCR_8N1);
	reg_write(DATA, divisor & 0xff);
	reg_write(IER, divisor >> 8);
	reg_write(LCR, LCR_8N1);
	reg_write(FCR, FCR_RESET);
	reg_write(MCR, MCR_DTR_RTS_OUT2);
	return OK;
}

bool uart_present(void)
{
	return base != 0;
}

/* What was received into the ring, as far as it has room. True: something was. */
static bool read_fifo(void)
{
	bool news = false;

	for (u32 i = 0;
	     i < DRAIN_MAX && ring_in - ring_out < RING_SIZE && (line_status() & LSR_DATA); i++) {
		char c = (char)reg_read(DATA);

		news = true;
		if (break_due && c == 0) {
			break_due = false;
			break_waits = true;
			break_at = ring_in;
		} else {
			ring[ring_in++ % RING_SIZE] = c;
		}
	}
	return news;
}

static void set_ier(u8 value)
{
	if (ier != value) {
		ier = value;
		reg_write(IER, value);
	}
}

static u8 ier_rx(void)
{
	return held ? 0 : IER_RX;
}

/* What the ring has no room for stays in the FIFO and, with the flow control of
 * the line or of an emulator, with the sender. */
static void hold(bool on)
{
	held = on;
	reg_write(MCR, on ? MCR_DTR_RTS_OUT2 & ~MCR_RTS : MCR_DTR_RTS_OUT2);
	set_ier((u8)((ier & ~IER_RX) | ier_rx()));
}

u32 uart_rx(char *buf, u32 max)
{
	u32 n = 0;

	if (!base)
		return 0;
	if (!by_irq)
		read_fifo();
	while (n < max && ring_out != ring_in && !(break_waits && break_at == ring_out))
		buf[n++] = ring[ring_out++ % RING_SIZE];
	if (held && ring_in - ring_out < RING_SIZE / 2) {
		read_fifo();
		hold(false);
	}
	return n;
}

bool uart_break(void)
{
	bool is = break_waits && break_at == ring_out;

	break_waits &= !is;
	return is;
}

u32 uart_tx(const char *buf, u32 n)
{
	u32 sent = 0;

	if (!base)
		return n; /* nobody listens */
	if (n && (line_status() & LSR_TX_EMPTY)) {
		for (; sent < n && sent < FIFO_SIZE; sent++)
			reg_write(DATA, (u8)buf[sent]);
	}
	if (by_irq)
		set_ier(sent < n ? ier_rx() | IER_TX : ier_rx());
	return sent;
}

/* One pass over what the UART has to say. */
static bool serve(void)
{
	bool news = read_fifo();

	if (!held && ring_in - ring_out == RING_SIZE)
		hold(true);
	if ((ier & IER_TX) && (line_status() & LSR_TX_EMPTY)) {
		set_ier(ier_rx());
		news = true;
	}
	return news;
}

/*
 * An edge-triggered line: it must be seen low once before this returns, else a
 * byte that arrives while the transmitter's interrupt is served raises no
 * further edge and input is dead for good.
 */
void uart_irq(void)
{
	bool news = false;

	if (!base)
		return;
	interrupts++;
	for (u32 i = 0; i < PASSES_MAX; i++) {
		news |= serve();
		if (reg_read(IIR) & IIR_NONE) /* reading also ends a transmitter interrupt */
			break;
	}
	if (news && notify_fn)
		notify_fn();
}

bool uart_use_irq(void (*notify)(void))
{
	u32 before;

	if (!base)
		return false;
	notify_fn = notify;
	by_irq = true;
	uart_irq(); /* what came before */
	before = READ_ONCE(interrupts);
	set_ier(IER_RX | IER_TX); /* a transmitter that is empty says so */
	for (u32 i = 0; i < IRQ_POLLS && READ_ONCE(interrupts) == before; i++) {
		irq_window();
		line_status();
	}
	by_irq = READ_ONCE(interrupts) != before;
	set_ier(by_irq ? IER_RX : 0);
	return by_irq;
}

static void put(char c)
{
	static bool stalled; /* the last byte did not go out: the next waits not so long */

	for (u32 i = 0; i < (stalled ? POLLS_STALLED : POLLS); i++) {
		if (line_status() & LSR_TX_EMPTY) {
			reg_write(DATA, (u8)c);
			stalled = false;
			return;
		}
		cpu_pause();
	}
	stalled = true; /* it does not drain; dropping is all that is left */
}

void uart_write(const char *buf, u32 n)
{
	for (u32 i = 0; base && i < n; i++) {
		if (buf[i] == '\n')
			put('\r');
		put(buf[i]);
	}
}

void uart_drain(void)
{
	/* a full FIFO takes 1.4 to 17 ms */
	for (u32 i = 0; base && i < POLLS && !(line_status() & LSR_ALL_SENT); i++)
		cpu_pause();
}
