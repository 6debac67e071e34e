// SOURCES: kernel/log.c kernel/print.c
#include "kernel/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ns_t time_now;
static char sunk[65536];
static u32 sunk_len;

static ns_t fake_clock(void)
{
	return time_now;
}

static void fake_sink(const char *line, u32 n)
{
	assert_true(sunk_len + n < sizeof(sunk));
	memcpy(sunk + sunk_len, line, n + 1);
	sunk_len += n;
}

static int fresh(void **state)
{
	(void)state;
	time_now = 0;
	sunk_len = 0;
	sunk[0] = '\0';
	log_set_level(LOG_INFO);
	log_set_sink(fake_sink);
	log_set_clock(fake_clock);
	return 0;
}

static void lines(void **state)
{
	(void)state;
	time_now = 12345678901ull;
	log_info("%d CPUs", 4);
	log_warn("late");
	log_error("no %s\n", "disk");
	log_debug("not kept");
	assert_string_equal(sunk, "[   12.345678] 4 CPUs\n"
				  "[   12.345678] warning: late\n"
				  "[   12.345678] error: no disk\n");
	log_set_level(LOG_DEBUG);
	log_debug("kept");
	assert_non_null(strstr(sunk, "] kept\n"));
}

static void text_of_others(void **state)
{
	char text[400];

	(void)state;
	log_info("a\033[2Jb\nc\td\x7f\xff\xc2\x9b\xc3\xa4");
	assert_string_equal(sunk, "[    0.000000] a?[2Jb c d?\?\?\?\xc3\xa4\n");
	sunk_len = 0;
	memset(text, 'x', sizeof(text));
	text[399] = '\0';
	log_info("%s", text);
	assert_int_equal(sunk_len, 15 + LOG_LINE_MAX + 1);
	assert_string_equal(sunk + sunk_len - 5, "x...\n");
}

static void replay(void **state)
{
	(void)state;
	time_now = 5;
	log_replay("one\r\n\ntwo\nthree", 15);
	assert_string_equal(sunk, "[    0.000000] one\n[    0.000000] two\n[    0.000000] three\n");
}

static void reading(void **state)
{
	struct log_reader r, end, oldest;
	char buf[LOG_SHOWN_MAX];
	u32 i, n, count = 0, last = 0;

	(void)state;
	log_set_sink(NULL);
	log_reader_end(&r);
	end = r;
	assert_int_equal(log_next(&r, buf, sizeof(buf)), 0);
	log_info("first");
	n = log_next(&r, buf, sizeof(buf));
	assert_int_equal(n, strlen(buf));
	assert_string_equal(buf, "[    0.000000] first\n");
	assert_int_equal(log_next(&r, buf, sizeof(buf)), 0);
	/* cut to what fits, newline and all */
	assert_int_equal(log_next(&end, buf, 20), 19);
	assert_string_equal(buf, "[    0.000000] fir\n");
	/* far more than the ring holds: the newest are there, in order */
	for (i = 0; i < 5000; i++)
		log_info("line %u", i);
	log_reader_oldest(&oldest);
	while (log_next(&oldest, buf, sizeof(buf))) {
		count++;
		assert_int_equal(sscanf(buf, "[    0.000000] line %u\n", &i), 1);
		assert_true(count == 1 || i == last + 1);
		last = i;
	}
	assert_int_equal(last, 4999);
	assert_true(count > 1000);
	assert_int_equal(oldest.lost, 0);
	/* who was reading is told how much went by */
	assert_true(log_next(&r, buf, sizeof(buf)) > 0);
	assert_true(r.lost > 0);
}

static void tail(void **state)
{
	(void)state;
	log_info("one");
	log_info("two");
	log_info("three");
	sunk_len = 0;
	log_tail(2, fake_sink);
	assert_string_equal(sunk, "[    0.000000] two\n[    0.000000] three\n");
}

static void *writer(void *arg)
{
	u32 i;

	for (i = 0; i < 3000; i++)
		log_info("%s %u", (const char *)arg, i);
	return NULL;
}

static void many_cpus(void **state)
{
	static const char *const names[] = { "a", "bb", "ccc" };
	char buf[LOG_SHOWN_MAX], name[8];
	struct log_reader r;
	pthread_t thread[3];
	u32 i, value;

	(void)state;
	log_set_sink(NULL);
	for (i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, writer, (void *)names[i]);
	for (i = 0; i < 300; i++) {
		log_reader_oldest(&r);
		while (log_next(&r, buf, sizeof(buf)))
			assert_int_equal(buf[strlen(buf) - 1], '\n');
	}
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	log_reader_oldest(&r);
	while (log_next(&r, buf, sizeof(buf)))
		assert_int_equal(sscanf(buf, "[    0.000000] %7s %u\n", name, &value), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines, fresh),
		cmocka_unit_test_setup(text_of_others, fresh),
		cmocka_unit_test_setup(replay, fresh),
		cmocka_unit_test_setup(reading, fresh),
		cmocka_unit_test_setup(tail, fresh),
		cmocka_unit_test_setup(many_cpus, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
