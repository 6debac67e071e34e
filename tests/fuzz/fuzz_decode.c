/*
 * The instruction decoder against Zydis: lengths and operands, in three modes,
 * and the same bytes cut short.
 */
// SOURCES: vmm/decode.c
// LIBS: -lZydis
// RUNS: 150000
// MAX_LEN: 17
#include "fuzz.h"

#define DECODE_FAILED(what) __builtin_trap()
#include "decode_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct test t = { .mode = (enum insn_mode)fuzz_below(&in, 3) };
	u32 cut = fuzz_u8(&in);

	fuzz_bytes(&in, t.bytes, INSN_MAX);
	decode_check(&t, cut);
	return 0;
}
