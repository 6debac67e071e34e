// SOURCES: kernel/console*.c kernel/print.c tests/unit/fake/wire_fake.c
#include "kernel/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire_fake.h"

static struct console_port shell, alpha, beta;
static char shell_memory[4096], alpha_memory[4096], beta_memory[4096];
static struct console_port *returned;
static u32 ready_calls;

static void on_return(struct console_port *left)
{
	returned = left;
}

static void on_ready(struct console_port *port)
{
	assert_ptr_equal(port, &alpha);
	ready_calls++;
}

static int two_wires(void **state)
{
	(void)state;
	wire_setup(&shell, shell_memory, sizeof(shell_memory), 2);
	console_set_return(on_return);
	console_port_init(&alpha, "alpha", alpha_memory, sizeof(alpha_memory));
	alpha.rx_ready = on_ready;
	console_port_init(&beta, "beta", beta_memory, sizeof(beta_memory));
	returned = NULL;
	ready_calls = 0;
	wire_said();
	return 0;
}

static void say(struct console_port *p, const char *s)
{
	console_port_write(p, s, (u32)strlen(s));
}

static void type(const char *s)
{
	wire_type(s, (u32)strlen(s));
}

static const char *read_all(struct console_port *p)
{
	static char buf[8192];
	u32 n = 0, k;

	while ((k = console_port_read(p, buf + n, 7)) != 0)
		n += k;
	buf[n] = '\0';
	return buf;
}

static void shell_has_the_line(void **state)
{
	(void)state;
	say(&shell, "one\ntwo\n");
	assert_string_equal(wire_said(), "one\r\ntwo\r\n");
	assert_string_equal(wires_fake[1].out, "one\r\ntwo\r\n");
	type("list\r");
	assert_false(console_pump());
	assert_true(console_port_ready(&shell));
	assert_string_equal(read_all(&shell), "list\r");
	assert_ptr_equal(console_focused(), &shell);
}

static void guest_gets_input_and_line(void **state)
{
	(void)state;
	say(&alpha, "old\n");
	say(&beta, "never seen");
	assert_string_equal(wire_said(), "");
	say(&shell, "to alpha\n");
	console_focus(&alpha);
	say(&shell, "a log line meanwhile\n");
	type("ls\r");
	assert_string_equal(wire_said(), "to alpha\r\nold\n"); /* raw: no CR is added */
	assert_int_equal(ready_calls, 1);
	assert_string_equal(read_all(&alpha), "ls\r");
	assert_string_equal(read_all(&shell), "");
	say(&alpha, "x\r\n");
	assert_string_equal(wire_said(), "x\r\n");
	/* Ctrl-] goes back; what the shell had to say comes now */
	type("\x1d");
	wire_said();
	assert_ptr_equal(console_focused(), &alpha); /* a second one may come */
	wire_now += CONSOLE_ESCAPE_NS;
	assert_string_equal(wire_said(), "a log line meanwhile\r\n\r\n");
	assert_ptr_equal(console_focused(), &shell);
	assert_ptr_equal(returned, &alpha);
	say(&alpha, "kept\n");
	assert_string_equal(wire_said(), "");
	/* a little of what was seen comes again, and all that was not */
	console_focus(&alpha);
	assert_string_equal(wire_said(), "old\nx\r\nkept\n");
}

/* A BREAK reaches the guest that has the line, where it came among the bytes. */
static void breaks(void **state)
{
	(void)state;
	console_focus(&alpha);
	wire_said();
	type("ab");
	wires_fake[0].brk = true;
	wire_said();
	type("c");
	wire_said();
	assert_int_equal(ready_calls, 2);
	assert_false(console_port_break(&alpha));
	assert_string_equal(read_all(&alpha), "ab");
	assert_true(console_port_ready(&alpha));
	assert_true(console_port_break(&alpha));
	assert_false(console_port_break(&alpha));
	assert_string_equal(read_all(&alpha), "c");
	/* nothing but that */
	wires_fake[0].brk = true;
	wire_said();
	assert_int_equal(ready_calls, 3);
	assert_true(console_port_ready(&alpha));
	assert_int_equal(console_port_read(&alpha, alpha_memory, 1), 0);
	assert_true(console_port_break(&alpha));
	assert_false(console_port_ready(&alpha));
	/* a VM that starts anew */
	wires_fake[0].brk = true;
	wire_said();
	console_port_flush_rx(&alpha);
	assert_false(console_port_break(&alpha));
	/* the shell has none, and nobody gets it later */
	console_focus(&shell);
	wires_fake[0].brk = true;
	type("version");
	wire_said();
	assert_false(console_port_break(&shell));
	assert_string_equal(read_all(&shell), "version");
	wire_said();
	console_focus(&alpha);
	type("d");
	wire_said();
	assert_false(console_port_break(&alpha));
	assert_string_equal(read_all(&alpha), "d");
	/* it does not keep Ctrl-] from being seen */
	wires_fake[0].brk = true;
	type("\x1d");
	wire_said();
	wire_now += CONSOLE_ESCAPE_NS;
	wire_said();
	assert_ptr_equal(console_focused(), &shell);
}

static void escape_then_a_command(void **state)
{
	(void)state;
	console_focus(&alpha);
	wire_said();
	type("a\x1dlist\r");
	wire_said();
	assert_string_equal(read_all(&alpha), "a");
	assert_ptr_equal(console_focused(), &shell);
	assert_string_equal(read_all(&shell), "list\r");
}

static void escape_twice_is_one(void **state)
{
	(void)state;
	console_focus(&alpha);
	type("a\x1d\x1d"
	     "b");
	wire_said();
	assert_string_equal(read_all(&alpha), "a\x1d"
					      "b");
	assert_ptr_equal(console_focused(), &alpha);
	/* also when they come apart, but soon */
	type("\x1d");
	wire_said();
	wire_now += CONSOLE_ESCAPE_NS - 1;
	type("\x1d");
	wire_said();
	assert_string_equal(read_all(&alpha), "\x1d");
	assert_ptr_equal(console_focused(), &alpha);
	/* in the shell it is a key like others */
	console_focus(NULL);
	type("\x1d");
	wire_said();
	assert_string_equal(read_all(&shell), "\x1d");
}

static void escape_without_a_clock(void **state)
{
	(void)state;
	console_set_clock(NULL);
	console_focus(&alpha);
	type("\x1d");
	wire_said();
	assert_ptr_equal(console_focused(), &shell);
}

static void pasted_behind_the_command(void **state)
{
	char c;

	(void)state;
	type("console alpha\runame\r");
	wire_said();
	do
		assert_int_equal(console_port_read(&shell, &c, 1), 1);
	while (c != '\r');
	console_focus(&alpha);
	assert_int_equal(console_port_read(&shell, &c, 1), 0);
	wire_said();
	assert_string_equal(read_all(&alpha), "uname\r");
}

static void full_input(void **state)
{
	static char many[8000], got[8192];
	u32 n, kicks;

	(void)state;
	memset(many, 'x', sizeof(many));
	console_focus(&alpha);
	wire_type(many, 600);
	wire_said();
	/* 512 are in the port; the others wait */
	assert_int_equal(alpha.rx_dropped, 0);
	kicks = wire_kicks;
	n = console_port_read(&alpha, got, sizeof(got));
	assert_int_equal(n, CONSOLE_RX_SIZE);
	assert_int_equal(wire_kicks, kicks + 1);
	wire_said();
	assert_int_equal(console_port_read(&alpha, got, sizeof(got)), 88);
	/* nobody reads: left on the wire for a second, then dropped, and counted */
	wire_type(many, sizeof(many));
	wire_said();
	assert_true(console_stuck());
	wire_now += CONSOLE_STALL_NS - 1;
	wire_said();
	assert_int_equal(alpha.rx_dropped, 0);
	assert_int_equal(wires_fake[0].in_len - wires_fake[0].in_pos, 8000 - 512 - 4096);
	wire_now++;
	wire_said();
	assert_in_range(alpha.rx_dropped, 8000 - 512 - 4096, 8000 - 512 - 4096 + 64);
	assert_int_equal(wires_fake[0].in_pos, wires_fake[0].in_len);
	assert_false(console_stuck());
	/* and Ctrl-] is never stuck behind the rest */
	type("\x1d?");
	wire_said();
	assert_ptr_equal(console_focused(), &shell);
	assert_string_equal(read_all(&shell), "?");
	console_port_flush_rx(&alpha);
	assert_false(console_port_ready(&alpha));
}

/* Pasted at a guest that reads, a little at a time: all of it arrives. */
static void slow_guest(void **state)
{
	static char many[20000], got[sizeof(many)];
	u32 n = 0, i;

	(void)state;
	for (i = 0; i < sizeof(many); i++)
		many[i] = (char)('!' + i % 93);
	console_focus(&alpha);
	wire_type(many, sizeof(many));
	for (i = 0; i < 10000 && n < sizeof(many); i++) {
		wire_said();
		wire_now += CONSOLE_STALL_NS / 5;
		n += console_port_read(&alpha, got + n, MIN(16u, (u32)sizeof(got) - n));
	}
	assert_int_equal(n, sizeof(many));
	assert_memory_equal(got, many, n);
	assert_int_equal(alpha.rx_dropped, 0);
	assert_false(console_stuck());
}

/* One that takes a byte now and then cannot keep a Ctrl-] on the wire. */
static void trickling_guest(void **state)
{
	static char many[8000];
	u32 i;
	char c;

	(void)state;
	memset(many, 'x', sizeof(many));
	console_focus(&alpha);
	wire_type(many, sizeof(many));
	type("\x1d?");
	for (i = 0; i < 10; i++) {
		wire_said();
		wire_now += CONSOLE_STALL_NS / 5;
		assert_int_equal(console_port_read(&alpha, &c, 1), 1);
	}
	assert_ptr_equal(console_focused(), &shell);
}

/* What was pasted behind the command waits for its guest, however long that took. */
static void full_before_the_focus(void **state)
{
	static char many[5000];
	u32 n = 0, i;

	(void)state;
	memset(many, 'x', sizeof(many));
	wire_type(many, sizeof(many));
	wire_said();
	wire_now += 5 * CONSOLE_STALL_NS;
	console_focus(&alpha);
	for (i = 0; i < 20; i++) {
		wire_said();
		n += (u32)strlen(read_all(&alpha));
	}
	assert_int_equal(n, sizeof(many));
}

static void lost_output_is_told(void **state)
{
	char line[64];
	const char *said;
	u32 i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "line %03u\n", i);
		say(&alpha, line);
	}
	console_focus(&alpha);
	said = wire_said();
	snprintf(line, sizeof(line), "\r\n[… %u bytes lost]\r\n", 9000 - 4096);
	assert_memory_equal(said, line, strlen(line));
	assert_int_equal(strlen(said), strlen(line) + 4096);
	assert_non_null(strstr(said, "line 999\n"));
}

static void flood_of_the_shown_guest(void **state)
{
	const char *said;
	u32 i;

	(void)state;
	console_focus(&alpha);
	wire_said();
	wires_fake[0].room = wires_fake[1].room = 100;
	for (i = 0; i < 2000; i++)
		say(&alpha, "0123456789abcde\n");
	for (i = 0; i < 50; i++)
		assert_true(console_pump()); /* there is more, as long as the wire lives */
	wires_fake[0].room = wires_fake[1].room = ~0u;
	said = wire_said();
	assert_non_null(strstr(said, " bytes lost]\r\n"));
	assert_true(strlen(said) < 2 * 4096 + 100);
}

static void replay_begins_at_a_line(void **state)
{
	const char *said;
	char line[64];
	u32 i;

	(void)state;
	console_focus(&alpha);
	for (i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "this is line %04u\n", i);
		say(&alpha, line);
		wire_said();
	}
	console_focus(NULL);
	wire_said();
	console_focus(&alpha);
	said = wire_said();
	assert_memory_equal(said, "this is line ", 13);
	assert_int_equal(strlen(said), CONSOLE_REPLAY / 18 * 18);
	assert_non_null(strstr(said, "line 0099\n"));
}

static void dead_wire_holds_nobody(void **state)
{
	static char text[3000];
	u32 i;

	(void)state;
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	wires_fake[1].room = 5;
	wire_step = CONSOLE_STALL_NS / 50;
	for (i = 0; i < 4; i++)
		say(&shell, "begin\n");
	say(&shell, text);
	for (i = 0; i < 200; i++)
		console_pump();
	assert_true(wire_fake[1].stalled);
	/* wire 0 got all of it */
	assert_int_equal(wires_fake[0].out_len, 4 * 7 + sizeof(text) - 1);
	assert_false(console_pump());
	say(&shell, "end\n");
	for (i = 0; i < 20; i++)
		console_pump();
	assert_string_equal(wires_fake[0].out + wires_fake[0].out_len - 5, "end\r\n");
	/* it comes back, and is told what it missed */
	wires_fake[1].room = ~0u;
	say(&shell, "again\n");
	for (i = 0; i < 20; i++)
		console_pump();
	assert_false(wire_fake[1].stalled);
	assert_non_null(strstr(wires_fake[1].out, "begin"));
	assert_non_null(strstr(wires_fake[1].out, " bytes lost]\r\n"));
	assert_string_equal(wires_fake[1].out + wires_fake[1].out_len - 7, "again\r\n");
}

static void stuck(void **state)
{
	(void)state;
	console_pump();
	assert_false(console_stuck()); /* nothing to do */
	wires_fake[0].room = wires_fake[1].room = 20;
	say(&shell, "0123456789abcdefghijklmnopqrstuvwxyz");
	assert_true(console_pump());
	assert_true(console_stuck());
	type("x"); /* is read, and nothing else */
	console_pump();
	assert_true(console_stuck());
	wires_fake[1].room = 10; /* one goes on, and waits again */
	console_pump();
	assert_true(console_stuck());
	wires_fake[0].room = wires_fake[1].room = ~0u;
	while (console_pump())
		;
	assert_false(console_stuck());
}

static void all_wires_dead(void **state)
{
	u32 i, kicks;

	(void)state;
	wires_fake[0].room = wires_fake[1].room = 0;
	wire_step = CONSOLE_STALL_NS / 100;
	assert_true(console_alive());
	for (i = 0; i < 1000; i++)
		say(&shell, "0123456789abcde\n");
	console_flush(); /* ends */
	assert_false(console_alive());
	assert_false(console_pump());
	kicks = wire_kicks;
	for (i = 0; i < 1000; i++)
		say(&shell, "0123456789abcde\n");
	assert_in_range(wire_kicks - kicks, 1, 20); /* tried again now and then */
	wires_fake[0].room = wires_fake[1].room = ~0u;
	assert_non_null(strstr(wire_said(), " bytes lost]\r\n"));
	assert_true(console_alive());
	assert_int_equal(console_shell_backlog(), 0);
}

static void flush_without_a_clock(void **state)
{
	(void)state;
	console_set_clock(NULL);
	wires_fake[0].room = wires_fake[1].room = 0;
	say(&shell, "x");
	console_flush();
	assert_false(console_alive());
	assert_in_range(wires_fake[0].tx_calls, CONSOLE_STALL_POLLS, CONSOLE_STALL_POLLS + 10);
}

static void before_the_first_wire(void **state)
{
	static struct console_wire many[CONSOLE_MAX_WIRES + 1];
	u32 i;

	(void)state;
	wire_setup(&shell, shell_memory, sizeof(shell_memory), 0);
	console_log_sink("boot\n", 5);
	assert_false(console_pump());
	wires_fake[0].room = ~0u;
	assert_int_equal(console_add_wire(&wire_fake[0]), OK);
	assert_string_equal(wire_said(), "boot\r\n");
	wire_setup(&shell, shell_memory, sizeof(shell_memory), 0);
	for (i = 0; i < CONSOLE_MAX_WIRES; i++)
		assert_int_equal(console_add_wire(&many[i]), OK);
	assert_int_equal(console_add_wire(&many[i]), ERR_NOMEM);
}

static void kicks_when_idle_only(void **state)
{
	(void)state;
	wire_said();
	wire_kicks = 0;
	say(&alpha, "not shown");
	assert_int_equal(wire_kicks, 0);
	say(&shell, "a");
	say(&shell, "b");
	assert_int_equal(wire_kicks, 1);
	wire_said();
	say(&shell, "c");
	assert_int_equal(wire_kicks, 2);
}

static void bounded_work(void **state)
{
	u32 before;

	(void)state;
	for (u32 i = 0; i < 200; i++)
		say(&shell, "0123456789abcde\n");
	before = wires_fake[0].out_len;
	console_pump();
	assert_in_range(wires_fake[0].out_len - before, 100, 2048);
}

static void panic_goes_around(void **state)
{
	(void)state;
	say(&shell, "stuck in the ring");
	wires_fake[1].room = 2;
	console_panic_write("on\nfire\n", 8);
	console_panic_write("!", 1);
	assert_string_equal(wires_fake[0].out, "on\r\nfire\r\n!");
	assert_string_equal(wires_fake[1].out, "on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(shell_has_the_line, two_wires),
		cmocka_unit_test_setup(guest_gets_input_and_line, two_wires),
		cmocka_unit_test_setup(breaks, two_wires),
		cmocka_unit_test_setup(escape_then_a_command, two_wires),
		cmocka_unit_test_setup(escape_twice_is_one, two_wires),
		cmocka_unit_test_setup(escape_without_a_clock, two_wires),
		cmocka_unit_test_setup(pasted_behind_the_command, two_wires),
		cmocka_unit_test_setup(full_input, two_wires),
		cmocka_unit_test_setup(slow_guest, two_wires),
		cmocka_unit_test_setup(trickling_guest, two_wires),
		cmocka_unit_test_setup(full_before_the_focus, two_wires),
		cmocka_unit_test_setup(lost_output_is_told, two_wires),
		cmocka_unit_test_setup(flood_of_the_shown_guest, two_wires),
		cmocka_unit_test_setup(replay_begins_at_a_line, two_wires),
		cmocka_unit_test_setup(dead_wire_holds_nobody, two_wires),
		cmocka_unit_test_setup(stuck, two_wires),
		cmocka_unit_test_setup(all_wires_dead, two_wires),
		cmocka_unit_test_setup(flush_without_a_clock, two_wires),
		cmocka_unit_test_setup(before_the_first_wire, two_wires),
		cmocka_unit_test_setup(kicks_when_idle_only, two_wires),
		cmocka_unit_test_setup(bounded_work, two_wires),
		cmocka_unit_test_setup(panic_goes_around, two_wires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
