/*
 * arch/vmx/vmx_exit.c on a VMCS in plain memory: every exit reason there is,
 * qualifications, and events packed and unpacked.
 */
// FLAGS: -Itests/unit/fake/vmx
// SOURCES: arch/vmx/vmx_exit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/vmx_exit.h"
#include "arch/x86.h"

#define RIP 0x401000ull

u64 fake_vmcs[0x8000];
static struct hv_vcpu v;
static struct vmx_vcpu x;

static const struct hv_exit *decode(u32 reason)
{
	memset(&v.exit, 0xa5, sizeof(v.exit));
	v.rip = RIP;
	vmx_decode_exit(&v, &x, reason);
	return &v.exit;
}

static const struct hv_exit *decode_q(u32 reason, u64 qualification)
{
	vmwrite(VMCS_EXIT_QUALIFICATION, qualification);
	return decode(reason);
}

static int setup(void **state)
{
	(void)state;
	memset(&v, 0, sizeof(v));
	memset(&x, 0, sizeof(x));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	vmwrite(VMCS_EXIT_INSN_LEN, 3);
	return 0;
}

/* SDM Vol. 3D, Appendix C */
static const struct {
	u32 number, reason;
	bool insn;
} reasons[] = {
	{ 1, HV_EXIT_INTR, false },   { 2, HV_EXIT_SHUTDOWN, false },
	{ 7, HV_EXIT_WINDOW, false }, { 8, HV_EXIT_NMI_WINDOW, false },
	{ 9, HV_EXIT_TASK, false },   { 10, HV_EXIT_CPUID, true },
	{ 11, HV_EXIT_UD, false },    { 12, HV_EXIT_HLT, true },
	{ 13, HV_EXIT_SKIP, true },   { 15, HV_EXIT_GP, false },
	{ 17, HV_EXIT_UD, false },    { 18, HV_EXIT_HYPERCALL, true },
	{ 19, HV_EXIT_UD, false },    { 20, HV_EXIT_UD, false },
	{ 21, HV_EXIT_UD, false },    { 22, HV_EXIT_UD, false },
	{ 23, HV_EXIT_UD, false },    { 24, HV_EXIT_UD, false },
	{ 25, HV_EXIT_UD, false },    { 26, HV_EXIT_UD, false },
	{ 27, HV_EXIT_UD, false },    { 36, HV_EXIT_UD, false },
	{ 39, HV_EXIT_UD, false },    { 50, HV_EXIT_UD, false },
	{ 53, HV_EXIT_UD, false },    { 54, HV_EXIT_SKIP, true },
	{ 55, HV_EXIT_XSETBV, true }, { 59, HV_EXIT_UD, false },
	{ 76, HV_EXIT_UD, false },    { 77, HV_EXIT_UD, false },
};

static bool has_operands(u32 number)
{
	return number == 0 || (number >= 28 && number <= 32) || number == 41 || number == 48;
}

static void every_reason(void **state)
{
	(void)state;
	for (u32 n = 0; n < 80; n++) {
		u32 expected = HV_EXIT_UNKNOWN, len = 0;

		if (has_operands(n))
			continue;
		for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
			if (reasons[i].number != n)
				continue;
			expected = reasons[i].reason;
			len = reasons[i].insn ? 3 : 0;
		}
		if (n == 33 || n == 34)
			expected = HV_EXIT_INVALID;
		assert_int_equal(decode(n)->reason, expected);
		assert_int_equal(v.exit.insn_len, len);
		assert_false(v.exit.cut.valid);
		if (expected == HV_EXIT_UNKNOWN)
			assert_int_equal(v.exit.raw.code, n);
	}
}

static void failed_entries_have_a_name(void **state)
{
	(void)state;
	assert_int_equal(decode(0x80000021)->reason, HV_EXIT_INVALID);
	assert_string_equal(v.exit.raw.why, "invalid guest state");
	assert_int_equal(decode(0x80000022)->reason, HV_EXIT_INVALID);
	assert_non_null(v.exit.raw.why);
	assert_int_equal(decode(0x80000029)->reason, HV_EXIT_EXC); /* which panics */
	assert_int_equal(v.exit.exc.vector, 18);
	assert_string_equal(vmx_insn_error_name(7), "invalid control fields");
	assert_string_equal(vmx_insn_error_name(14), "unknown VM-instruction error");
	assert_string_equal(vmx_insn_error_name(99), "unknown VM-instruction error");
	assert_string_equal(vmx_insn_error_name(~0u), "no current VMCS");
}

static void ports(void **state)
{
	(void)state;
	decode_q(30, 0x03f80008); /* IN, one byte */
	assert_int_equal(v.exit.reason, HV_EXIT_PIO);
	assert_int_equal(v.exit.pio.port, 0x3f8);
	assert_int_equal(v.exit.pio.size, 1);
	assert_true(v.exit.pio.in);
	assert_false(v.exit.pio.string);
	assert_int_equal(v.exit.insn_len, 3);
	decode_q(30, 0xffff0033); /* REP OUTS, four bytes */
	assert_int_equal(v.exit.pio.port, 0xffff);
	assert_int_equal(v.exit.pio.size, 4);
	assert_false(v.exit.pio.in);
	assert_true(v.exit.pio.string);
}

static void nested_faults(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_PHYSICAL, 0xfee000b0);
	decode_q(48, 0x182); /* a write, at the end of a translation */
	assert_int_equal(v.exit.reason, HV_EXIT_NPF);
	assert_int_equal(v.exit.npf.gpa, 0xfee000b0);
	assert_true(v.exit.npf.write);
	assert_false(v.exit.npf.fetch | v.exit.npf.walk | v.exit.npf.present);
	assert_int_equal(v.exit.insn_len, 0);
	decode_q(48, 0x81); /* a read of the guest's own tables */
	assert_true(v.exit.npf.walk);
	assert_false(v.exit.npf.write);
	decode_q(48, 0x194); /* a fetch from what can be written alone */
	assert_true(v.exit.npf.fetch & v.exit.npf.present);
}

static void an_iret_that_faults_keeps_nmis_blocked(void **state)
{
	(void)state;
	decode_q(48, 0x1181);
	assert_int_equal(x.interruptibility, 8);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 8);
	x.interruptibility = 0;
	vmwrite(VMCS_IDT_VECTORING_INFO, 0x80000020);
	decode_q(48, 0x1181);
	assert_int_equal(x.interruptibility, 0);
}

static void control_registers(void **state)
{
	(void)state;
	v.gpr[HV_RBX] = 0xdeadbeef80000031;
	decode_q(28, 0x300); /* MOV to CR0 from RBX, 32-bit mode */
	assert_int_equal(v.exit.reason, HV_EXIT_CR);
	assert_true(v.exit.cr.decoded & v.exit.cr.write);
	assert_int_equal(v.exit.cr.nr, 0);
	assert_int_equal(v.exit.cr.value, 0x80000031);
	vmwrite(VMCS_GUEST_EFER, EFER_LMA | EFER_LME);
	vmwrite(VMCS_GUEST_CS_ACCESS, 0xa09b);
	decode_q(28, 0x304);
	assert_int_equal(v.exit.cr.nr, 4);
	assert_true(v.exit.cr.value == 0xdeadbeef80000031);
	decode_q(28, 0xc18); /* MOV R12 from CR8 */
	assert_false(v.exit.cr.write);
	assert_int_equal(v.exit.cr.nr, 8);
	assert_int_equal(v.exit.cr.gpr, HV_R12);
	vmwrite(VMCS_CR0_MASK, CR0_NE);
	vmwrite(VMCS_CR0_SHADOW, 0);
	vmwrite(VMCS_GUEST_CR0, CR0_PE | CR0_TS | CR0_NE);
	decode_q(28, 0x20); /* CLTS */
	assert_int_equal(v.exit.cr.value, CR0_PE);
	decode_q(28, 0x60030); /* LMSW 6: PE stays */
	assert_int_equal(v.exit.cr.value, CR0_PE | CR0_EM | CR0_MP);
}

static void debug_registers(void **state)
{
	(void)state;
	decode_q(29, 0x307);
	assert_int_equal(v.exit.reason, HV_EXIT_DR);
	assert_int_equal(v.exit.cr.nr, 7);
	assert_true(v.exit.cr.write);
	assert_false(v.exit.cr.decoded);
	assert_false(decode_q(29, 0x316)->cr.write);
	x.dr6 = 0xffff0ff0;
	x.dr7 = 0x2400; /* general detect: the exit came first */
	decode_q(29, 0x307);
	assert_int_equal(v.exit.reason, HV_EXIT_EXC);
	assert_int_equal(v.exit.exc.vector, 1);
	assert_int_equal(x.dr6, 0xffff2ff0);
	assert_int_equal(x.dr7, 0x400);
	assert_int_equal(vmread(VMCS_GUEST_DR7), 0x400);
}

static void msrs(void **state)
{
	(void)state;
	v.gpr[HV_RCX] = 0xffffffffc0000080;
	assert_int_equal(decode(31)->reason, HV_EXIT_RDMSR);
	assert_int_equal(v.exit.msr.index, 0xc0000080);
	assert_int_equal(decode(32)->reason, HV_EXIT_WRMSR);
	assert_int_equal(v.exit.insn_len, 3);
}

static void exceptions(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_INTR_INFO, 0x80000202);
	assert_int_equal(decode(0)->reason, HV_EXIT_NMI);
	vmwrite(VMCS_EXIT_INTR_INFO, 0x80000b11);
	assert_int_equal(decode(0)->reason, HV_EXIT_EXC);
	assert_int_equal(v.exit.exc.vector, 17);
	assert_true(v.exit.exc.has_error);
	x.dr6 = 0xffff0ff5;
	vmwrite(VMCS_EXIT_INTR_INFO, 0x80000301);
	decode_q(0, 0x4002); /* single step, and breakpoint 1 */
	assert_int_equal(v.exit.exc.vector, 1);
	assert_false(v.exit.exc.has_error);
	assert_int_equal(x.dr6, 0xffff4ff2);
	assert_int_equal(v.rip, RIP);
	vmwrite(VMCS_EXIT_INTR_INFO, 0x80000501); /* INT1 */
	decode_q(0, 0);
	assert_int_equal(v.rip, RIP + 3);
}

static void cut_events(void **state)
{
	static const struct {
		u32 info, type;
	} cuts[] = {
		{ 0x80000020, HV_EVENT_EXTINT },    { 0x80000202, HV_EVENT_NMI },
		{ 0x80000b0e, HV_EVENT_EXCEPTION }, { 0x80000480, HV_EVENT_SOFT },
		{ 0x80000501, HV_EVENT_SOFT },	    { 0x80000603, HV_EVENT_SOFT },
	};

	(void)state;
	vmwrite(VMCS_IDT_VECTORING_ERROR, 0x15);
	for (u32 i = 0; i < ARRAY_SIZE(cuts); i++) {
		vmwrite(VMCS_IDT_VECTORING_INFO, cuts[i].info);
		decode(1);
		assert_true(v.exit.cut.valid);
		assert_int_equal(v.exit.cut.type, cuts[i].type);
		assert_int_equal(v.exit.cut.vector, cuts[i].info & 0xff);
		assert_int_equal(v.exit.cut.error, cuts[i].info & 0x800 ? 0x15 : 0);
	}
}

static void events_packed(void **state)
{
	struct hv_event e = { 1, HV_EVENT_EXCEPTION, 13, 1, 0x18 };

	(void)state;
	assert_int_equal(vmx_event_pack(&e, false), 0x80000b0d);
	assert_int_equal(vmx_event_pack(&e, true), 0x8000030d);
	e = (struct hv_event){ 1, HV_EVENT_NMI, 2, 0, 0 };
	assert_int_equal(vmx_event_pack(&e, false), 0x80000202);
	e = (struct hv_event){ 1, HV_EVENT_EXTINT, 0x31, 0, 0 };
	assert_int_equal(vmx_event_pack(&e, true), 0x80000031);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_reason, setup),
		cmocka_unit_test_setup(failed_entries_have_a_name, setup),
		cmocka_unit_test_setup(ports, setup),
		cmocka_unit_test_setup(nested_faults, setup),
		cmocka_unit_test_setup(an_iret_that_faults_keeps_nmis_blocked, setup),
		cmocka_unit_test_setup(control_registers, setup),
		cmocka_unit_test_setup(debug_registers, setup),
		cmocka_unit_test_setup(msrs, setup),
		cmocka_unit_test_setup(exceptions, setup),
		cmocka_unit_test_setup(cut_events, setup),
		cmocka_unit_test_setup(events_packed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
