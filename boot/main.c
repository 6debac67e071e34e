/*
 * The composition root: brings the parts up, one after the other, and ties
 * them together. The only file that knows everything; its order is the order.
 */
#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/fpu.h"
#include "arch/frames.h"
#include "arch/hv.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/mmu.h"
#include "arch/panic.h"
#include "arch/smp.h"
#include "arch/trap.h"
#include "arch/x86.h"
#include "boot/boot_info.h"
#include "drivers/acpi.h"
#include "drivers/clock.h"
#include "drivers/ioapic.h"
#include "drivers/reset.h"
#include "drivers/rtc.h"
#include "drivers/uart.h"
#include "kernel/config.h"
#include "kernel/console.h"
#include "kernel/crashlog.h"
#include "kernel/host.h"
#include "kernel/log.h"
#include "kernel/monitor.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/shell.h"
#include "kernel/stop.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "kernel/time.h"
#include "kernel/version.h"
#include "kernel/vm.h"
#include "kernel/watchdog.h"

#define POLL_NS 5000000ull /* of a UART without interrupts */

const struct hv_ops *hv;

static u64 entry_tsc;
static const struct boot_info *info; /* on the identity map until map_boot_info() */
static struct acpi_info acpi;
static struct config config;
static struct host_facts facts;
static struct console_port shell_port;
static char shell_ring[CONSOLE_SHELL_SIZE];
static struct console_wire wire = {
	.name = "serial", .rx = uart_rx, .brk = uart_break, .tx = uart_tx
};
static struct timer poll_timer;

/* ------------------------------------------------- configuration, serial */

static void early_sink(const char *line, u32 n)
{
	uart_write(line, n);
}

static void start_log(void)
{
	enum err e;

	if (info->magic != BOOT_MAGIC || info->version != BOOT_VERSION)
		cpu_halt(); /* not our loader: nothing is known, not even a console */
	config_parse(&config, info->config_base ? (const char *)info->config_base : "",
		     info->config_size);
	e = uart_init(config.host.console_io, config.host.baud);
	panic_reboot = config.host.panic_reboot;
	panic_set_sink(uart_write);
	log_set_level((enum log_level)config.host.log_level);
	/* firmware's console has shown these lines already */
	log_replay(info->log, MIN(info->log_len, BOOT_LOG_SIZE));
	log_set_sink(early_sink);
	log_info("Bulkhead %s, started by %s", BULKHEAD_VERSION, info->firmware);
	if (e != OK)
		log_warn("no UART at %s: this machine has no console", config.host.console);
}

/* ---------------------------------------------------------------- memory */

static void scrub(hpa_t base, u64 size)
{
	memset(scratch_map(base), 0, size);
	scratch_unmap();
}

static void *frame_alloc(u16 owner)
{
	return kpage_alloc(owner);
}

static void start_memory(void)
{
	static const struct page_ops ops = { .map_kernel = kdirect_map_chunk, .scrub = scrub };
	static const struct frame_ops frames = { .alloc = frame_alloc, .free = kpage_free };
	static struct mem_range ranges[BOOT_MAX_RANGES];
	struct kspace_params params = {
		.kernel_phys = info->kernel_phys,
		.kernel_size = info->kernel_size,
		.ram = (const struct kspace_range *)ranges,
	};
	u32 n = 0;
	u64 early;

	_Static_assert(sizeof(struct kspace_range) == sizeof(struct mem_range), "one layout");
	for (u32 i = 0; i < info->range_count; i++) {
		const struct boot_range *r = &info->ranges[i];

		facts.total += r->kind == BOOT_MEM_RESERVED ? 0 : r->size;
		if (r->kind == BOOT_MEM_FREE)
			ranges[n++] = (struct mem_range){ r->base, r->size };
		else if (r->kind == BOOT_MEM_FILE)
			facts.files += r->size;
		else if (r->kind == BOOT_MEM_KERNEL || r->kind == BOOT_MEM_LOADER)
			/* the latter is kept: boot_info lies in it, and the rest is less than
			 * the pool's unit of 2 MiB */
			facts.image += r->size;
		else if (r->kind == BOOT_MEM_ACPI)
			facts.firmware += r->size;
	}
	params.ram_count = n;
	early = kspace_early_size(params.ram, n);
	for (u32 i = 0; i < n && early && !params.early_base; i++) {
		u64 base = ALIGN_UP(ranges[i].base, CHUNK_SIZE);

		if (base + early > ranges[i].base + ranges[i].size)
			continue;
		params.early_base = base;
		ranges[i].size -= base + early - ranges[i].base;
		ranges[i].base = base + early;
	}
	kspace_init(&params);
	pages_init(ranges, n, &ops);
	mmu_set_frames(&frames);
}

/* What the kernel goes on reading of what the loader left, without the identity map. */
static void map_boot_info(void)
{
	info = kmap_mmio((hpa_t)info, sizeof(*info), true);
	if (!info)
		panic("no memory for the boot information");
	if (!symbols_init(kmap_mmio(info->symbols_base, info->symbols_size, true),
			  info->symbols_size))
		log_warn("no kernel symbols: a panic will show plain addresses");
	if (info->crash_area)
		panic_set_record(kmap_mmio(info->crash_area, CRASHLOG_SIZE, false));
	if (info->crash_text) {
		facts.crash = kmap_mmio(info->crash_text, info->crash_len, true);
		facts.crash_len = facts.crash ? (u32)info->crash_len : 0;
	}
	monitor_init(kmap_mmio(info->monitor_base, info->monitor_size, true), info->monitor_base,
		     info->monitor_size);
}

/* --------------------------------------------------------------- machine */

static const void *map_table(hpa_t pa, size_t size)
{
	return kmap_mmio(pa, size, true);
}

static void start_machine(void)
{
	s64 wall = info->wall_time;
	u64 wall_tsc = info->wall_time_tsc;

	acpi_parse(info->rsdp, map_table, &acpi);
	apic_init_bsp();
	ioapic_init(&acpi);
	clock_init(&acpi);
	apic_calibrate(tsc_hz);
	if (!wall) {
		wall = rtc_read();
		wall_tsc = rdtsc();
	}
	time_init(entry_tsc, wall, wall_tsc);
	log_set_clock(time_now);
	reset_init(&acpi);
	panic_set_reboot(reset_reboot);
	percpu_init();
}

static void start_virtualisation(void)
{
	const char *why = "no virtualisation";
	char text[64];

	hv = cpu_has(CPU_VMX) ? vmx_probe(&why) : svm_probe(&why);
	if (!hv)
		panic("%s", why); /* the loader looked before: it comes here never */
	if (hv->cpu_on() != OK)
		panic("%s cannot be turned on", hv->name);
	hv->describe(text, sizeof(text));
	str_format(facts.platform, sizeof(facts.platform), "%s with %s", hv->name, text);
}

static void ap_main(void)
{
	if (hv->cpu_on() != OK)
		panic("CPU %u: %s cannot be turned on", this_cpu()->index, hv->name);
	percpu_init();
	cpu_loop();
}

/* The CPUs of MP services; the MADT's where that is silent, and a warning
 * where the two disagree. */
static void start_cpus(void)
{
	const u32 *ids = info->apic_ids;
	u32 n = MIN(info->cpu_count, BOOT_MAX_CPUS);
	char brand[49];

	if (!n) {
		ids = acpi.cpu_apic_id;
		n = acpi.cpu_count;
	} else if (acpi.madt && acpi.cpu_count != n) {
		log_warn("firmware says %u CPUs, its MADT %u: using the former", n, acpi.cpu_count);
	}
	smp_start(ids, n, info->trampoline, ap_main);
	cpu_brand(brand);
	log_info("%u CPU%s: %s, %s", cpu_count, cpu_count == 1 ? "" : "s", brand, facts.platform);
}

/* ------------------------------------------------------- console, plan */

static void poll_uart(struct timer *t)
{
	host_wake();
	timer_set(&this_percpu()->timers, t, rdtsc() + time_ticks(POLL_NS));
}

static void start_console(void)
{
	int irq = uart_isa_irq(config.host.console_io);
	u8 vector = 0;

	console_init(&shell_port, shell_ring, sizeof(shell_ring));
	console_set_clock(time_now);
	console_set_kick(host_wake);
	if (!uart_present() || console_add_wire(&wire) != OK)
		return;
	if (irq >= 0 && irq < 16)
		vector = irq_alloc(uart_irq);
	if (vector &&
	    ioapic_route(acpi.isa[irq].gsi, vector, cpus[0].apic_id, acpi.isa[irq].level,
			 acpi.isa[irq].low) == OK &&
	    uart_use_irq(host_wake))
		return;
	log_info("serial: no interrupt, polled");
	poll_timer.fn = poll_uart;
	poll_uart(&poll_timer);
}

static const struct boot_file *find_boot_file(const char *path)
{
	for (u32 i = 0; i < MIN(info->file_count, BOOT_MAX_FILES); i++)
		if (strcmp(info->files[i].path, path) == 0)
			return &info->files[i];
	return NULL;
}

_Static_assert(BOOT_MAX_FILES == 64, "file_problem() says so");

static const char *file_problem(void *arg, const char *path)
{
	const struct boot_file *f = find_boot_file(path);

	(void)arg;
	if (!f && info->file_count >= BOOT_MAX_FILES)
		return "more than 64 files are named: name fewer";
	if (!f)
		return "it was not loaded";
	return f->missing ? f->why : NULL;
}

static bool find_file(const char *path, struct vm_file *out)
{
	const struct boot_file *f = find_boot_file(path);

	if (!f || f->missing)
		return false;
	*out = (struct vm_file){ .path = f->path, .base = f->base, .size = f->size };
	return true;
}

static void tell_file(u32 i, struct file_info *out)
{
	const struct boot_file *f = &info->files[i];

	*out = (struct file_info){
		.path = f->path,
		.size = f->size,
		.missing = f->missing ? f->why : NULL,
	};
}

static void plan_vms(void)
{
	struct page_stats s = pages_stats();
	struct machine_facts machine = {
		.cpu_count = cpu_count,
		.memory = s.free + s.dirty,
		.small_pages = hv && hv->small_pages,
		.file_problem = file_problem,
	};
	char text[384];
	const char *file = info->config_path[0] ? info->config_path : "bulkhead.toml";

	log_info("memory: %lu MiB, %lu MiB for guests", facts.total >> 20, machine.memory >> 20);
	if (!info->config_base)
		log_error("%s: not found: no VMs are defined", file);
	config_check_machine(&config, &machine);
	for (u32 i = 0; i < config.error_count; i++) {
		config_error_format(&config.errors[i], file, text, sizeof(text));
		log_error("%s", text);
	}
	if (config.errors_dropped)
		log_error("%s: and %u more complaints", file, config.errors_dropped);
	vms_init(&config, find_file);
	for (u32 i = 0; i < vms_count; i++) {
		bool autostart = vms[i].config->autostart && !info->skip_autostart;

		log_info("VM %s: CPU %u, %lu MiB, %s%s", vms[i].config->name,
			 vms[i].config->cpus[0], vms[i].config->memory >> 20, vms[i].config->kernel,
			 !vms[i].valid ? " (refused)"
			 : autostart   ? ""
				       : " (not started)");
		if (autostart && vms[i].valid && vm_begin_start(&vms[i]) != OK)
			log_error("%s: cannot be started", vms[i].config->name);
	}
	if (facts.crash)
		log_warn("the run before this one ended in a panic: \"crash\" shows it");
	if (info->skip_autostart)
		log_info("a key was pressed at boot: no VM is started");
}

static void power_off(void)
{
	uart_drain();
	reset_poweroff();
}

static void restart(void)
{
	uart_drain();
	cli();
	cpus_stop();
	hv->cpu_off();
	reset_reboot();
}

static void main_on_own_stack(void)
{
	cpu_init_this(this_cpu());
	fpu_init_cpu();
	start_virtualisation();
	kspace_drop_identity();
	start_cpus();
	facts.poweroff = power_off;
	facts.reboot = restart;
	facts.file_count = MIN(info->file_count, BOOT_MAX_FILES);
	facts.file = tell_file;
	host_init(&facts);
	start_console();
	plan_vms();
	watchdog_start();
	shell_init(&shell_port);
	shell_start();
	cpu_loop();
}

NORETURN void main(const struct boot_info *boot);
void main(const struct boot_info *boot)
{
	entry_tsc = rdtsc();
	info = boot;
	cpu_init_bsp();
	start_log();
	start_memory();
	map_boot_info();
	start_machine();
	if (cpu_alloc_stacks(this_cpu()) != OK)
		panic("no memory for stacks");
	cpu_enter(this_cpu(), main_on_own_stack);
}
