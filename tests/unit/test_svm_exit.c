/*
 * arch/svm/svm_exit.c on a plain VMCB: every exit code there is, with and
 * without the next RIP, and events packed and unpacked.
 */
// SOURCES: arch/svm/svm_exit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/svm/svm_exit.h"

#define RIP 0x401000ull

static struct hv_vcpu v;
static struct vmcb b;

static const struct hv_exit *decode(u64 code, bool nrip)
{
	memset(&v.exit, 0xa5, sizeof(v.exit));
	v.rip = RIP;
	b.exit_code = code;
	svm_decode_exit(&v, &b, nrip);
	return &v.exit;
}

static int setup(void **state)
{
	(void)state;
	memset(&v, 0, sizeof(v));
	memset(&b, 0, sizeof(b));
	return 0;
}

/* APM Vol. 2, Appendix C */
static const struct {
	u64 code;
	u32 reason, len;
	bool grows; /* with prefixes: nRIP says how long it is */
} codes[] = {
	{ 0x60, HV_EXIT_INTR, 0, false }, { 0x61, HV_EXIT_NMI, 0, false },
	{ 0x63, HV_EXIT_INTR, 0, false }, { 0x64, HV_EXIT_WINDOW, 0, false },
	{ 0x6f, HV_EXIT_GP, 0, false },	  { 0x72, HV_EXIT_CPUID, 2, true },
	{ 0x73, HV_EXIT_UD, 0, false },	  { 0x74, HV_EXIT_IRET, 0, false },
	{ 0x76, HV_EXIT_SKIP, 2, true },  { 0x78, HV_EXIT_HLT, 1, true },
	{ 0x7a, HV_EXIT_UD, 0, false },	  { 0x7f, HV_EXIT_SHUTDOWN, 0, false },
	{ 0x80, HV_EXIT_UD, 0, false },	  { 0x81, HV_EXIT_HYPERCALL, 3, true },
	{ 0x82, HV_EXIT_UD, 0, false },	  { 0x83, HV_EXIT_UD, 0, false },
	{ 0x84, HV_EXIT_UD, 0, false },	  { 0x85, HV_EXIT_UD, 0, false },
	{ 0x86, HV_EXIT_UD, 0, false },	  { 0x89, HV_EXIT_SKIP, 2, true },
	{ 0x8a, HV_EXIT_UD, 0, false },	  { 0x8b, HV_EXIT_UD, 0, false },
	{ 0x8c, HV_EXIT_UD, 0, false },	  { 0x8d, HV_EXIT_XSETBV, 3, true },
	{ 0x8e, HV_EXIT_UD, 0, false },	  { 0xa0, HV_EXIT_UD, 0, false },
	{ 0xa1, HV_EXIT_UD, 0, false },	  { 0xa3, HV_EXIT_UD, 0, false },
	{ 0xa4, HV_EXIT_UD, 0, false },
};

static void simple_codes(void **state)
{
	(void)state;
	b.next_rip = RIP + 5;
	for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
		const struct hv_exit *x = decode(codes[i].code, false);

		assert_int_equal(x->reason, codes[i].reason);
		assert_int_equal(x->insn_len, codes[i].len);
		assert_int_equal(x->cut.valid, 0);
		x = decode(codes[i].code, true);
		assert_int_equal(x->reason, codes[i].reason);
		assert_int_equal(x->insn_len, codes[i].grows ? 5 : 0);
	}
}

static bool is_named(u64 code)
{
	for (u32 i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code)
			return true;
	return code < 0x60 || code == 0x65 || code == 0x7b || code == 0x7c || code == 0x400;
}

static void unknown_codes(void **state)
{
	static const u64 odd[] = { 0x401,
				   0x402,
				   0x403,
				   0x1000,
				   0xfffffffe,
				   0x100000072,
				   0xfffffffffffffffe,
				   0x8000000000000072 };

	(void)state;
	b.exit_info1 = 0x1111222233334444;
	b.exit_info2 = 0x5555666677778888;
	for (u64 code = 0; code < 0x600 + ARRAY_SIZE(odd); code++) {
		u64 c = code < 0x600 ? code : odd[code - 0x600];
		const struct hv_exit *x;

		if (is_named(c))
			continue;
		x = decode(c, true);
		assert_int_equal(x->reason, HV_EXIT_UNKNOWN);
		assert_int_equal(x->insn_len, 0);
		assert_int_equal(x->raw.code, c);
		assert_int_equal(x->raw.info1, b.exit_info1);
		assert_int_equal(x->raw.info2, b.exit_info2);
	}
}

static void invalid_in_both_spellings(void **state)
{
	(void)state;
	assert_int_equal(decode(0xffffffffffffffff, true)->reason, HV_EXIT_INVALID);
	assert_int_equal(v.exit.raw.code, 0xffffffffffffffff);
	assert_int_equal(decode(0xffffffff, true)->reason, HV_EXIT_INVALID);
	assert_int_equal(v.exit.insn_len, 0);
}

static void control_and_debug_registers(void **state)
{
	(void)state;
	for (u32 nr = 0; nr < 16; nr++)
		for (u32 write = 0; write < 2; write++) {
			const struct hv_exit *x = decode(write * 0x10 + nr, true);

			assert_int_equal(x->reason, HV_EXIT_CR);
			assert_int_equal(x->cr.nr, nr);
			assert_int_equal(x->cr.write, write);
			assert_int_equal(x->insn_len, 0); /* LMSW, CLTS, MOV: the monitor decodes */
			x = decode(0x20 + write * 0x10 + nr, true);
			assert_int_equal(x->reason, HV_EXIT_DR);
			assert_int_equal(x->cr.nr, nr);
			assert_int_equal(x->cr.write, write);
			assert_int_equal(x->insn_len, 0);
		}
	assert_int_equal(decode(0x65, true)->reason, HV_EXIT_CR);
	assert_int_equal(v.exit.cr.nr, 0);
	assert_int_equal(v.exit.cr.write, 1);
	assert_int_equal(v.exit.insn_len, 0);
}

static void exceptions(void **state)
{
	(void)state;
	b.exit_info1 = 0xdead00000018;
	b.exit_info2 = 0xfffff000;
	for (u32 i = 0; i < 32; i++) {
		const struct hv_exit *x = decode(0x40 + i, true);

		assert_int_equal(x->reason, HV_EXIT_EXC);
		assert_int_equal(x->exc.vector, i);
		assert_int_equal(x->exc.has_error, i == 17);
		assert_int_equal(x->exc.error, 0x18);
		assert_int_equal(x->exc.cr2, 0xfffff000);
		assert_int_equal(x->insn_len, 0);
	}
}

static void port_accesses(void **state)
{
	(void)state;
	for (u32 port = 0; port < 0x10000; port += port < 0x400 ? 1 : 0xff)
		for (u32 size = 1; size <= 4; size *= 2)
			for (u32 bits = 0; bits < 4; bits++) {
				u32 in = bits & 1, string = bits >> 1;
				const struct hv_exit *x;

				/* the address size and segment bits must not matter */
				b.exit_info1 =
					(u64)port << 16 | 0x1e80 | size << 4 | string << 2 | in;
				b.exit_info2 = RIP + 2;
				x = decode(0x7b, false);
				assert_int_equal(x->reason, HV_EXIT_PIO);
				assert_int_equal(x->pio.port, port);
				assert_int_equal(x->pio.size, size);
				assert_int_equal(x->pio.in, in);
				assert_int_equal(x->pio.string, string);
				assert_int_equal(x->insn_len, 2); /* also without nRIP */
			}
}

static void msr_accesses(void **state)
{
	(void)state;
	v.gpr[HV_RCX] = 0xffffffff0000001b;
	b.next_rip = RIP + 3;
	b.exit_info1 = 0;
	assert_int_equal(decode(0x7c, false)->reason, HV_EXIT_RDMSR);
	assert_int_equal(v.exit.insn_len, 2);
	assert_int_equal(v.exit.msr.index, 0x1b);
	b.exit_info1 = 1;
	assert_int_equal(decode(0x7c, true)->reason, HV_EXIT_WRMSR);
	assert_int_equal(v.exit.insn_len, 3);
	assert_int_equal(v.exit.msr.index, 0x1b);
}

static void nested_faults(void **state)
{
	static const struct {
		u64 info;
		u8 present, write, fetch, walk;
	} cases[] = {
		{ 0x100000004, 0, 0, 0, 0 }, { 0x100000006, 0, 1, 0, 0 },
		{ 0x100000007, 1, 1, 0, 0 }, { 0x100000014, 0, 0, 1, 0 },
		{ 0x200000006, 0, 1, 0, 1 }, { 0x200000005, 1, 0, 0, 1 },
	};

	(void)state;
	b.exit_info2 = 0xfee000b0;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct hv_exit *x;

		b.exit_info1 = cases[i].info;
		x = decode(0x400, true);
		assert_int_equal(x->reason, HV_EXIT_NPF);
		assert_int_equal(x->insn_len, 0);
		assert_int_equal(x->npf.gpa, 0xfee000b0);
		assert_int_equal(x->npf.present, cases[i].present);
		assert_int_equal(x->npf.write, cases[i].write);
		assert_int_equal(x->npf.fetch, cases[i].fetch);
		assert_int_equal(x->npf.walk, cases[i].walk);
	}
}

static void cut_short_events(void **state)
{
	(void)state;
	b.exit_int_info = 0x0000000280000b0e; /* #PF, error code 2 */
	decode(0x400, true);
	assert_int_equal(v.exit.cut.valid, 1);
	assert_int_equal(v.exit.cut.type, HV_EVENT_EXCEPTION);
	assert_int_equal(v.exit.cut.vector, 14);
	assert_int_equal(v.exit.cut.has_error, 1);
	assert_int_equal(v.exit.cut.error, 2);
	b.exit_int_info = 0x80000030; /* external interrupt 0x30, on any exit */
	decode(0x7f, true);
	assert_int_equal(v.exit.cut.type, HV_EVENT_EXTINT);
	assert_int_equal(v.exit.cut.vector, 0x30);
	assert_int_equal(v.exit.cut.has_error, 0);
	b.exit_int_info &= ~SVM_EVENT_VALID;
	decode(0x400, true);
	assert_int_equal(v.exit.cut.valid, 0);
}

static void events_pack_and_unpack(void **state)
{
	static const u8 types[] = { HV_EVENT_EXTINT, HV_EVENT_NMI, HV_EVENT_EXCEPTION,
				    HV_EVENT_SOFT };

	(void)state;
	for (u32 t = 0; t < ARRAY_SIZE(types); t++)
		for (u32 vector = 0; vector < 256; vector++)
			for (u32 has = 0; has < 2; has++) {
				struct hv_event e = { .valid = 1,
						      .type = types[t],
						      .vector = (u8)vector,
						      .has_error = (u8)has,
						      .error = has ? 0xfedcba98 : 0 };
				u64 info = svm_event_pack(&e);
				struct hv_event back = svm_event_unpack(info);

				assert_int_equal(info & 0xff, vector);
				assert_int_equal(info >> 8 & 7, types[t]);
				assert_int_equal(info >> 11 & 1, has);
				assert_int_equal(info >> 12 & 0x7ffff, 0); /* reserved */
				assert_int_equal(info >> 31 & 1, 1);
				assert_int_equal(info >> 32, has ? 0xfedcba98 : 0);
				assert_memory_equal(&e, &back, sizeof(e));
			}
	assert_int_equal(svm_event_unpack(0x7fffffff).valid, 0);
}

static void reasons_have_names(void **state)
{
	(void)state;
	assert_string_equal(hv_reason_name(HV_EXIT_UNKNOWN), "UNKNOWN");
	assert_string_equal(hv_reason_name(HV_EXIT_INVALID), "INVALID");
	assert_string_equal(hv_reason_name(HV_EXIT_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(simple_codes, setup),
		cmocka_unit_test_setup(unknown_codes, setup),
		cmocka_unit_test_setup(invalid_in_both_spellings, setup),
		cmocka_unit_test_setup(control_and_debug_registers, setup),
		cmocka_unit_test_setup(exceptions, setup),
		cmocka_unit_test_setup(port_accesses, setup),
		cmocka_unit_test_setup(msr_accesses, setup),
		cmocka_unit_test_setup(nested_faults, setup),
		cmocka_unit_test_setup(cut_short_events, setup),
		cmocka_unit_test_setup(events_pack_and_unpack, setup),
		cmocka_unit_test_setup(reasons_have_names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
