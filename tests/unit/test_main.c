/*
 * The monitor's entry (vmm/main.c vmm/peek.c): each upcall reaches its handler and ends in
 * the finish that the kernel expects; events are looked at first.
 */
// SOURCES: vmm/main.c vmm/peek.c vmm/emulate.c vmm/string_op.c vmm/access.c vmm/fetch.c vmm/walk.c
// SOURCES: vmm/decode.c vmm/alu.c vmm/control.c vmm/lib.c vmm/load*.c vmm/e820.c vmm/acpi_tables.c
// SOURCES: vmm/acpi_dsdt.c
// SOURCES-OF: tests/unit/test_board.c
#include "machine.h"
#include "vmm/main.h"
#include "vmm/multiboot.h"
#include "vmm/vm.h"

static u8 image[0x1000];

static int setup(void **state)
{
	struct mb_header h = { MB_HEADER_MAGIC,
			       MB_ADDRESSES,
			       (u32) - (MB_HEADER_MAGIC + MB_ADDRESSES),
			       MIB(1),
			       MIB(1),
			       0,
			       0,
			       MIB(1) };

	(void)state;
	machine_reset();
	memcpy(image, &h, sizeof(h));
	fake_vm.flags = ABI_VM_DEBUG_EXIT;
	fake_vm.kernel.addr = (u64)(uintptr_t)image;
	fake_vm.kernel.size = sizeof(image);
	strcpy(fake_vm.kernel.path, "a kernel");
	return 0;
}

static void run_upcall(u32 reason)
{
	fake_vcpu.reason = reason;
	SYS_FAKE_UPCALL(upcall(&fake_vcpu));
	fake_vcpu.events = 0;
}

static int started(void **state)
{
	setup(state);
	run_upcall(ABI_UP_START);
	return 0;
}

static void start_loads_the_guest(void **state)
{
	(void)state;
	run_upcall(ABI_UP_START);
	assert_int_equal(fake.fin, ABI_FIN_REGS);
	assert_int_equal(fake.set_state_calls, 1);
	assert_int_equal(fake.stop_count, 0);
	assert_int_equal(fake_vcpu.rip, MIB(1));
	assert_int_equal(in8(0xe9), 0xe9); /* devices are there */
}

static void start_refuses(void **state)
{
	(void)state;
	fake_vm.version = ABI_VERSION + 1;
	run_upcall(ABI_UP_START);
	assert_int_equal(fake.stop_why, ABI_STOP_BAD_IMAGE);
	setup(state);
	image[0] = 0;
	run_upcall(ABI_UP_START);
	assert_int_equal(fake.stop_why, ABI_STOP_BAD_IMAGE);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
	assert_int_equal(fake.set_state_calls, 0);
	assert_int_equal(fake.log_lines, 1);
}

static void ports(void **state)
{
	(void)state;
	fake_vcpu.port = 0xe9;
	fake_vcpu.size = 1;
	fake_vcpu.value = 'x';
	run_upcall(ABI_UP_PIO_OUT);
	assert_int_equal(fake.fin, ABI_FIN_OUT);
	assert_string_equal(fake.out, "x");
	run_upcall(ABI_UP_PIO_IN);
	assert_int_equal(fake.fin, ABI_FIN_IN);
	assert_int_equal(fake.a, 0xe9);
	fake_vcpu.port = 0x1f0; /* nobody's */
	fake_vcpu.size = 4;
	run_upcall(ABI_UP_PIO_IN);
	assert_int_equal(fake.a, 0xffffffff);
}

static void msrs(void **state)
{
	(void)state;
	fake_vcpu.msr = 0x4b564d00;
	fake_vcpu.value = 0x8000;
	run_upcall(ABI_UP_WRMSR);
	assert_int_equal(fake.fin, ABI_FIN_MSR);
	run_upcall(ABI_UP_RDMSR);
	assert_int_equal(fake.fin, ABI_FIN_MSR);
	assert_int_equal(fake.a, 0x8000);
	fake_vcpu.msr = 0x1b;
	run_upcall(ABI_UP_RDMSR);
	assert_int_equal(fake.fin, ABI_FIN_FAULT);
	assert_int_equal(fake.a, 13);
	run_upcall(ABI_UP_WRMSR);
	assert_int_equal(fake.fin, ABI_FIN_FAULT);
}

static void interrupts(void **state)
{
	(void)state;
	run_upcall(ABI_UP_INTACK);
	assert_int_equal(fake.fin, ABI_FIN_INTACK);
	assert_int_equal(fake.a, 0x08 + 7); /* nobody asked: spurious */
	fake_vcpu.vector = 0x41;
	run_upcall(ABI_UP_EOI);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
}

static void code_is_decoded(void **state)
{
	static const u8 code[] = { 0x0f, 0x20, 0xc0 }; /* MOV EAX, CR0 */

	(void)state;
	memcpy(guest_ptr(fake_vcpu.rip, sizeof(code)), code, sizeof(code));
	run_upcall(ABI_UP_CR);
	assert_int_equal(fake.fin, ABI_FIN_REG);
	assert_int_equal(fake.c, 3);
	assert_int_equal(fake.b, fake_vcpu.state.cr0);
	run_upcall(ABI_UP_DR); /* it is none: again */
	assert_int_equal(fake.fin, ABI_FIN_NONE);
	fake_vcpu.fetch = 1;
	run_upcall(ABI_UP_MMIO);
	assert_int_equal(fake.fin, ABI_FIN_FAULT);
	assert_int_equal(fake.a, 6); /* #UD */
	run_upcall(ABI_UP_PIO_STRING);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
}

static bool rang;

static void ring(void *arg)
{
	(void)arg;
	rang = true;
}

static void events_come_first(void **state)
{
	struct vtimer t = { .fn = ring };

	(void)state;
	vtimer_set(&t, 5);
	fake.tsc = 10;
	run_upcall(ABI_UP_EVENT);
	assert_false(rang);
	fake_vcpu.events = ABI_EV_TIMER | ABI_EV_CONSOLE;
	fake.in[0] = 'k';
	fake.in_len = 1;
	fake_vcpu.port = 0x3fd;
	fake_vcpu.size = 1;
	run_upcall(ABI_UP_PIO_IN);
	assert_true(rang);
	assert_int_equal(fake.a & 1, 1); /* the UART has it already */
	run_upcall(ABI_UP_EVENT);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
}

static void an_unknown_upcall_stops_the_vm(void **state)
{
	(void)state;
	run_upcall(ABI_UPCALL_COUNT);
	assert_int_equal(fake.stop_why, ABI_STOP_EMULATION);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(start_loads_the_guest, setup),
		cmocka_unit_test_setup(start_refuses, setup),
		cmocka_unit_test_setup(ports, started),
		cmocka_unit_test_setup(msrs, started),
		cmocka_unit_test_setup(interrupts, started),
		cmocka_unit_test_setup(code_is_decoded, started),
		cmocka_unit_test_setup(events_come_first, started),
		cmocka_unit_test_setup(an_unknown_upcall_stops_the_vm, started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
