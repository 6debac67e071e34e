/*
 * What the fuzzers share: reading a structured input byte by byte, and a check
 * that names itself before it ends the program.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input not yet used. What is beyond its end reads as zero. */
struct fuzz_in {
	const uint8_t *p;
	size_t n;
};

static inline uint64_t fuzz_take(struct fuzz_in *in, size_t bytes)
{
	uint64_t value = 0;
	size_t n = bytes < in->n ? bytes : in->n;

	memcpy(&value, in->p, n);
	in->p += n;
	in->n -= n;
	return value;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	return (uint8_t)fuzz_take(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	return (uint16_t)fuzz_take(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_in *in)
{
	return (uint32_t)fuzz_take(in, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_in *in)
{
	return fuzz_take(in, 8);
}

/* 0 to n - 1 */
static inline uint32_t fuzz_below(struct fuzz_in *in, uint32_t n)
{
	return (n <= 256 ? fuzz_u8(in) : fuzz_u32(in)) % n;
}

/* Up to n bytes to buf, the rest of it zeroed. */
static inline size_t fuzz_bytes(struct fuzz_in *in, void *buf, size_t n)
{
	size_t got = n < in->n ? n : in->n;

	memset(buf, 0, n);
	memcpy(buf, in->p, got);
	in->p += got;
	in->n -= got;
	return got;
}

#define FUZZ_CHECK(c) \
	do { \
		if (!(c)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #c); \
			__builtin_trap(); \
		} \
	} while (0)

#endif
