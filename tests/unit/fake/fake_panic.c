/*
 * panic() for unit tests: fails the running test, or satisfies cmocka's
 * expect_assert_failure(). The message stays in fake_panic_text.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/panic.h"
#include "fake_panic.h"

char fake_panic_text[256];

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake_panic_text, sizeof(fake_panic_text), fmt, args);
	va_end(args);
	mock_assert(0, fake_panic_text, __FILE__, __LINE__);
	abort();
}

bool panic_active(void)
{
	return false;
}
