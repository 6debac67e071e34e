/*
 * The fake machine under the kernel's core: see world.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "world.h"

#include "arch/apic.h"
#include "arch/fpu.h"
#include "arch/frames.h"
#include "arch/kmap.h"
#include "arch/trap.h"
#include "arch/vectors.h"
#include "arch/x86.h"
#include "kernel/host.h"
#include "kernel/monitor.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "kernel/time.h"

struct hw_fake hw;
struct world world;
struct cpu cpus[MAX_CPUS];
u32 cpu_count = WORLD_CPUS;
u64 tsc_hz = 1000000000;

#define HOST_ROOT 0x1000ull
#define HOST_XCR0 (XCR0_X87 | XCR0_SSE | XCR0_AVX)

/* ---------------------------------------------------------- processor */

struct cpu *this_cpu(void)
{
	return &cpus[hw.cpu];
}

bool cpu_has(enum cpu_feature f)
{
	return hw.has[f];
}

u32 cpu_phys_bits(void)
{
	return 48;
}

u64 rdtsc(void)
{
	return hw.tsc += 10;
}

u64 rdmsr(u32 msr)
{
	(void)msr;
	return 0;
}

bool rdmsr_safe(u32 msr, u64 *value)
{
	*value = msr == MSR_BIOS_SIGN_ID ? 0x8001250 : 0;
	return msr == MSR_BIOS_SIGN_ID;
}

void wrmsr(u32 msr, u64 value)
{
	if (msr == MSR_TSC_AUX)
		hw.tsc_aux = value;
	else if (msr == MSR_PRED_CMD)
		hw.ibpb++;
	else
		fail_msg("wrmsr %x", msr);
}

u64 read_cr3(void)
{
	return hw.cr3[hw.cpu];
}

void write_cr3(u64 value)
{
	hw.cr3[hw.cpu] = value;
}

u64 xgetbv(u32 index)
{
	assert_int_equal(index, 0);
	assert_true(hw.has[CPU_XSAVE]); /* else #UD in ring 0 */
	return hw.xcr0[hw.cpu];
}

void xsetbv(u32 index, u64 value)
{
	assert_int_equal(index, 0);
	assert_true(hw.has[CPU_XSAVE]);
	assert_true(value & XCR0_X87); /* else #GP in ring 0 */
	assert_int_equal(value & ~HOST_XCR0, 0);
	hw.xcr0[hw.cpu] = value;
}

void cpuid_count(u32 leaf, u32 sub, u32 r[4])
{
	static const struct {
		u32 leaf, sub, r[4];
	} table[] = {
		{ 0x0, 0, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
		{ 0x1, 0, { 0x00800f12, 0x00010800, 0x7ed8320b, 0x178bfbff } },
		{ 0x7, 0, { 0, 0x209c01a9, 0, 0 } },
		{ 0xd, 0, { 7, 832, 832, 0 } },
		{ 0xd, 2, { 256, 576, 0, 0 } },
		{ 0x80000000, 0, { 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65 } },
		{ 0x80000001, 0, { 0x00800f12, 0, 0x35c233ff, 0x2fd3fbff } },
		{ 0x80000008, 0, { 0x3030, 0, 0, 0 } },
	};

	memset(r, 0, 16);
	for (u32 i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].leaf == leaf && table[i].sub == sub)
			memcpy(r, table[i].r, 16);
}

/* --------------------------------------------------------- interrupts */

static irq_fn *handlers[256];

void irq_register(u8 vector, irq_fn *fn)
{
	handlers[vector] = fn;
}

void apic_timer_set(u64 tsc)
{
	hw.armed[hw.cpu] = tsc;
}

bool apic_send(u32 apic_id, u8 vector)
{
	assert_int_equal(vector, VEC_KICK);
	assert_true(apic_id < WORLD_CPUS);
	hw.kicked[apic_id] = true;
	hw.kicks[apic_id]++;
	return true;
}

void irq_window(void)
{
	assert_false(hw.closed);
	if (hw.window)
		hw.window();
	if (hw.kicked[hw.cpu]) {
		hw.kicked[hw.cpu] = false;
		handlers[VEC_KICK]();
	}
	/* A real APIC would come again at once, for ever: that must not happen. */
	for (u32 i = 0; hw.armed[hw.cpu] && hw.armed[hw.cpu] <= hw.tsc; i++) {
		assert_true(i < 100);
		hw.armed[hw.cpu] = 0;
		handlers[VEC_TIMER]();
	}
}

void sti_hlt(void)
{
	hw.hlts++;
	irq_window();
}

bool shell_poll(void)
{
	return false;
}

/* ------------------------------------------------------- FPU, mappings */

u32 fpu_size(void)
{
	return 832;
}

u64 fpu_host_xcr0(void)
{
	return HOST_XCR0;
}

void fpu_reset(void *area)
{
	memset(area, 0, fpu_size());
}

void fpu_save(void *area)
{
	assert_int_equal(hw.xcr0[hw.cpu], HOST_XCR0);
	assert_ptr_equal(area, hw.fpu[hw.cpu]);
	hw.fpu[hw.cpu] = NULL;
}

void fpu_load(const void *area)
{
	assert_int_equal(hw.xcr0[hw.cpu], HOST_XCR0);
	assert_null(hw.fpu[hw.cpu]);
	assert_int_equal((u64)area % 64, 0);
	hw.fpu[hw.cpu] = area;
}

hpa_t kspace_root(void)
{
	return HOST_ROOT;
}

void kspace_fill(hpa_t pml4)
{
	assert_int_equal(pml4 % PAGE_SIZE, 0);
}

void *scratch_map(hpa_t pa)
{
	return (void *)pa;
}

void scratch_unmap(void)
{
}

/* ------------------------------------------------------------- vendor */

static u64 *msr_slot(struct hv_vcpu *v, u32 msr)
{
	static const u32 numbers[] = {
#define X(name, number) number,
		HV_MSRS(X)
#undef X
	};
	struct world_area *a = v->area;

	if (msr == MSR_EFER)
		return &a->s.efer;
	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i] == msr)
			return &a->msrs[i];
	return NULL;
}

static enum err fake_init(struct hv_vcpu *v, u64 tsc_offset, u16 owner)
{
	struct world_area *a = mmu_frame_alloc(owner);

	if (!a)
		return ERR_NOMEM;
	assert_int_not_equal(v->nested_root, 0);
	v->area = a;
	a->tsc_offset = tsc_offset;
	a->s.cr0 = 0x60000010;
	v->rip = 0xfff0;
	v->rflags = RFLAGS_FIXED;
	return OK;
}

static void fake_fini(struct hv_vcpu *v, u16 owner)
{
	if (v->area) {
		assert_false(((struct world_area *)v->area)->loaded);
		mmu_frame_free(v->area, owner);
	}
	v->area = NULL;
}

static void fake_load(struct hv_vcpu *v)
{
	struct world_area *a = v->area;

	assert_false(a->loaded);
	a->loaded = true;
}

static void fake_put(struct hv_vcpu *v)
{
	struct world_area *a = v->area;

	assert_false(hw.closed);
	assert_true(a->loaded);
	a->loaded = false;
}

static void fake_close(void)
{
	assert_false(hw.closed);
	hw.closed = true;
}

static void fake_open(struct hv_vcpu *v)
{
	(void)v;
	assert_true(hw.closed);
	hw.closed = false;
	hw.opens++;
}

static void fake_run(struct hv_vcpu *h)
{
	struct vcpu *v = (struct vcpu *)h;
	struct world_entry *e = &world.entries[world.entry_count];
	struct world_exit *x = &world.exits[world.exit_next];

	assert_true(hw.closed);
	if (world.at_rest && world.exit_next == world.exit_count)
		world.rested++;
	else
		world.entry_count++;
	assert_true(world.entry_count < WORLD_SCRIPT);
	assert_int_equal(hw.cr3[hw.cpu], v->vm->space.user.root);
	assert_ptr_equal(hw.fpu[hw.cpu], v->fpu);
	assert_ptr_equal(percpus[hw.cpu].vcpu, v);
	*e = (struct world_entry){
		.inject = h->inject,
		.want_window = h->want_window,
		.watch_iret = h->watch_iret,
		.shadow = h->shadow,
		.tpr = h->tpr,
		.rip = h->rip,
		.rflags = h->rflags,
	};
	memcpy(e->gpr, h->gpr, sizeof(e->gpr));
	h->inject.valid = 0;
	if (world.exit_next == world.exit_count) { /* the script is over: come back */
		h->exit = (struct hv_exit){ .reason = HV_EXIT_INTR };
		vcpu_request(v, VCPU_REQ_LEAVE);
		return;
	}
	world.exit_next++;
	h->exit = x->exit;
	if (x->fn)
		x->fn(v);
}

static void fake_get_state(struct hv_vcpu *v, struct hv_state *s)
{
	assert_false(hw.closed);
	*s = ((struct world_area *)v->area)->s;
	s->cr8 = v->tpr;
	memcpy(s->dr, v->dr, sizeof(s->dr));
}

static void fake_set_state(struct hv_vcpu *v, const struct hv_state *s)
{
	assert_false(hw.closed);
	((struct world_area *)v->area)->s = *s;
	v->tpr = (u8)s->cr8;
	memcpy(v->dr, s->dr, sizeof(s->dr));
}

static void fake_get_mmu(struct hv_vcpu *v, struct hv_state *s, u8 *cpl)
{
	const struct world_area *a = v->area;

	memcpy(s->seg, a->s.seg, sizeof(s->seg[0]) * (HV_GS + 1));
	s->cr0 = a->s.cr0;
	s->cr3 = a->s.cr3;
	s->cr4 = a->s.cr4;
	s->efer = a->s.efer;
	*cpl = a->cpl;
}

static void fake_set_cr(struct hv_vcpu *v, u32 nr, u64 value)
{
	struct hv_state *s = &((struct world_area *)v->area)->s;

	switch (nr) {
	case 0: s->cr0 = value; break;
	case 2: s->cr2 = value; break;
	case 3: s->cr3 = value; break;
	case 4: s->cr4 = value; break;
	case 8: v->tpr = (u8)value; break;
	default: fail_msg("CR%u", nr);
	}
}

static void fake_grant_cr(struct hv_vcpu *v, u32 nr, u64 value)
{
	((struct world_area *)v->area)->granted[nr] = value;
}

static u64 fake_get_cr(struct hv_vcpu *v, u32 nr)
{
	const struct hv_state *s = &((struct world_area *)v->area)->s;

	return nr == 0 ? s->cr0 : nr == 2 ? s->cr2 : nr == 3 ? s->cr3 : nr == 4 ? s->cr4 : v->tpr;
}

static void fake_set_dr(struct hv_vcpu *v, u32 nr, u64 value)
{
	struct hv_state *s = &((struct world_area *)v->area)->s;

	if (nr < 4)
		v->dr[nr] = value;
	else if (nr == 6)
		s->dr6 = value;
	else
		s->dr7 = value;
}

static bool fake_get_msr(struct hv_vcpu *v, u32 msr, u64 *value)
{
	const u64 *slot = msr_slot(v, msr);

	if (slot)
		*value = *slot;
	return slot;
}

static bool fake_set_msr(struct hv_vcpu *v, u32 msr, u64 value)
{
	u64 *slot = msr_slot(v, msr);

	if (slot)
		*slot = value;
	return slot;
}

static void fake_set_tsc_offset(struct hv_vcpu *v, u64 offset)
{
	((struct world_area *)v->area)->tsc_offset = offset;
}

static void fake_ids(u32 cpu, struct hv_ids *out)
{
	*out = (struct hv_ids){ "ASID", 7, cpu, 1 };
}

static struct hv_ops fake_ops = {
	.name = "fake",
	.area_pages = 1,
	.ids = fake_ids,
	.vcpu_init = fake_init,
	.vcpu_fini = fake_fini,
	.load = fake_load,
	.put = fake_put,
	.run = fake_run,
	.close = fake_close,
	.open = fake_open,
	.get_state = fake_get_state,
	.set_state = fake_set_state,
	.get_mmu = fake_get_mmu,
	.set_cr = fake_set_cr,
	.grant_cr = fake_grant_cr,
	.get_cr = fake_get_cr,
	.set_dr = fake_set_dr,
	.get_msr = fake_get_msr,
	.set_msr = fake_set_msr,
	.set_tsc_offset = fake_set_tsc_offset,
};
const struct hv_ops *hv = &fake_ops;

void world_small_pages(bool on)
{
	fake_ops.small_pages = on;
}

/* ------------------------------------------------------------- ring 3 */

enum user_exit user_run(struct user_ctx *ctx)
{
	struct vcpu *v = percpus[hw.cpu].vcpu;
	const struct world_call *c = &world.calls[world.call_next];

	if (world.at_rest && world.call_next == world.call_count) {
		ctx->gpr[HV_RDI] = ABI_FIN_NONE;
		return USER_FINISH;
	}
	assert_false(hw.closed);
	assert_ptr_equal(ctx, &v->uctx);
	assert_int_equal(hw.cr3[hw.cpu], v->vm->space.user.root);
	if (ctx->resume == USER_FRESH) {
		assert_int_equal(ctx->start_rip, monitor_entry());
		assert_int_equal(ctx->start_rdi, ABI_VCPU_PAGE(v->id));
		assert_int_equal(ctx->start_rsp, ABI_STACK_TOP(v->id));
		world.reasons[world.upcall_count++] = v->page->reason;
	} else if (world.call_next && ctx->resume == USER_SYSRET) {
		world.results[world.call_next - 1] = ctx->gpr[HV_RAX];
		world.results2[world.call_next - 1] = ctx->gpr[HV_RDX];
	}
	if (world.call_next == world.call_count)
		fail_msg("upcall %u: the monitor's script is over", v->page->reason);
	world.call_next++;
	if (c->fn)
		c->fn(v);
	if (c->why == USER_SYSCALL) {
		ctx->gpr[HV_RDI] = c->a;
		ctx->gpr[HV_RSI] = c->b;
		ctx->gpr[HV_RDX] = c->c;
		if (c->nr == ABI_SYS_FINISH) /* arch/entry.S tells it apart, too */
			return USER_FINISH;
		ctx->gpr[HV_RAX] = c->nr;
		ctx->resume = USER_SYSRET;
	} else if (c->why == USER_IRQ) {
		ctx->resume = USER_IRET;
		irq_window();
	}
	return c->why;
}

const struct user_fault *user_fault(void)
{
	return &world.fault;
}

/* ------------------------------------------------------------- memory */

static u8 *ram;
static u64 ram_size;

static void scrub(hpa_t at, u64 size)
{
	memset((void *)at, 0, size);
}

static void map_kernel(hpa_t chunk)
{
	(void)chunk;
}

static void *frame_alloc(u16 owner)
{
	return kpage_alloc(owner);
}

static void frame_free(void *page, u16 owner)
{
	kpage_free(page, owner);
}

/* ---------------------------------------------------------- a monitor */

static u8 image[3 * 4096] ALIGNED(4096);
static u8 kernel_file[8192] ALIGNED(4096);

static void put64(u8 *at, u64 value)
{
	memcpy(at, &value, 8);
}

static void segment(u32 i, u32 flags, u64 offset, u64 va, u64 filesz, u64 memsz)
{
	u8 *p = image + 64 + i * 56;

	p[0] = 1;
	p[4] = (u8)flags;
	put64(p + 8, offset);
	put64(p + 16, va);
	put64(p + 24, va);
	put64(p + 32, filesz);
	put64(p + 40, memsz);
	put64(p + 48, 4096);
}

static void make_image(void)
{
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\2\1\1", 7);
	put64(image + 24, ABI_IMAGE_BASE + 0x10); /* entry */
	put64(image + 32, 64);			  /* phoff */
	image[54] = 56;
	image[56] = 2;
	segment(0, 5, 0, ABI_IMAGE_BASE, 8192, 8192);
	segment(1, 6, 8192 + 0x100, ABI_IMAGE_BASE + 0x3100, 0x200, 0x1800);
	memset(image + 8192 + 0x100, 0xd5, 0x200);
}

static bool find_file(const char *path, struct vm_file *out)
{
	if (!strcmp(path, "missing"))
		return false;
	*out = (struct vm_file){ path, (hpa_t)kernel_file, sizeof(kernel_file) };
	return true;
}

/* -------------------------------------------------------------- world */

static void fill_config(u32 i, const char *name, u32 cpu)
{
	struct vm_config *c = &world.config.vm[i];

	strcpy(c->name, name);
	strcpy(c->kernel, "vmlinuz");
	strcpy(c->initrd[0], "initrd");
	c->initrd_count = 1;
	c->cpus[0] = cpu;
	c->cpu_count = 1;
	c->memory = 3 * CHUNK_SIZE;
	c->valid = true;
}

void world_setup(u32 chunks)
{
	static const struct page_ops page_ops = { map_kernel, scrub };
	static const struct frame_ops frame_ops = { frame_alloc, frame_free };
	static const struct host_facts facts;
	struct mem_range range;

	memset(&hw, 0, sizeof(hw));
	memset(&world, 0, sizeof(world));
	memset(vms, 0, sizeof(struct vm) * CONFIG_MAX_VMS);
	memset(percpus, 0, sizeof(percpus));
	vms_count = 0;
	hw.tsc = 1000000;
	for (u32 i = 0; i < WORLD_CPUS; i++) {
		hw.cr3[i] = HOST_ROOT;
		hw.xcr0[i] = HOST_XCR0;
	}
	hw.has[CPU_XSAVE] = hw.has[CPU_RDTSCP] = hw.has[CPU_IBPB] = true;
	ram_size = (chunks + 1) * CHUNK_SIZE;
	ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(ram != MAP_FAILED);
	range = (struct mem_range){ ALIGN_UP((u64)ram, CHUNK_SIZE), chunks * CHUNK_SIZE };
	pages_init(&range, 1, &page_ops);
	mmu_set_frames(&frame_ops);
	time_init(hw.tsc, 1700000000, hw.tsc);
	fake_ops.nested = &mmu_npt;
	make_image();
	monitor_init(image, (hpa_t)image, sizeof(image));
	host_init(&facts);
	for (hw.cpu = WORLD_CPUS; hw.cpu-- > 0;) {
		cpus[hw.cpu].index = cpus[hw.cpu].apic_id = hw.cpu;
		cpus[hw.cpu].online = 1;
		percpu_init();
	}
	hw.cpu = 0;
	world.config.vm_count = 2;
	fill_config(0, "alpha", 1);
	fill_config(1, "beta", 0);
}

void world_boot(void)
{
	vms_init(&world.config, find_file);
}

/* A turn of a CPU that runs no guest. */
static void turn(u32 cpu)
{
	hw.cpu = cpu;
	irq_window();
	percpu_sync();
	hw.cpu = 0;
}

void world_until(u32 i, enum vm_state state)
{
	for (u32 n = 0; vms[i].state != state; n++) {
		if (n > 10000)
			fail_msg("%s stays %s", vms[i].config->name, vm_state_name(&vms[i]));
		hw.cpu = 0;
		host_step();
		turn(1);
		hw.tsc += 1000000;
	}
}

void world_forget(void)
{
	world.entry_count = world.exit_count = world.exit_next = 0;
	world.call_count = world.call_next = world.upcall_count = 0;
	hw.opens = 0;
}

void world_start(u32 i)
{
	assert_int_equal(vm_begin_start(&vms[i]), OK);
	world_until(i, VM_RUNNING);
	hw.cpu = vms[i].config->cpus[0];
	percpu_sync();
	irq_window();
	world.v = vms[i].vcpus[0];
	assert_ptr_equal(percpus[hw.cpu].vcpu, world.v);
	world_finish(ABI_FIN_NONE, 0, 0, 0);
	assert_int_equal(world_run(), VCPU_LEAVE_WORK);
	assert_int_equal(world.reasons[0], ABI_UP_START);
	world.v->hv.rflags = RFLAGS_FIXED | RFLAGS_IF;
	world.v->hv.rip = 0x1000;
	world_forget();
}

void world_exit_fn(struct hv_exit x, void (*fn)(struct vcpu *v))
{
	assert_true(world.exit_count < WORLD_SCRIPT);
	world.exits[world.exit_count++] = (struct world_exit){ x, fn };
}

void world_exit(struct hv_exit x)
{
	world_exit_fn(x, NULL);
}

void world_call(u64 nr, u64 a, u64 b, u64 c)
{
	world.calls[world.call_count++] = (struct world_call){ USER_SYSCALL, nr, a, b, c, NULL };
}

/* FINISH: (kind, a, b, c) in RDI, RSI, RDX, R10 */
static u64 finish_c[WORLD_SCRIPT];

static void set_r10(struct vcpu *v)
{
	v->uctx.gpr[HV_R10] = finish_c[world.call_next - 1];
}

void world_finish(enum abi_finish kind, u64 a, u64 b, u64 c)
{
	finish_c[world.call_count] = c;
	world.calls[world.call_count++] =
		(struct world_call){ USER_SYSCALL, ABI_SYS_FINISH, kind, a, b, set_r10 };
}

void world_user(enum user_exit why, void (*fn)(struct vcpu *v))
{
	world.calls[world.call_count++] = (struct world_call){ .why = why, .fn = fn };
}

enum vcpu_leave world_run(void)
{
	u32 entries = world.entry_count;

	hw.cpu = world.v->cpu;
	for (u32 i = 0; i < 100; i++) {
		enum vcpu_leave why = vcpu_run(world.v);

		if (why != VCPU_LEAVE_WORK ||
		    (world.exit_next == world.exit_count && world.entry_count > entries))
			return why;
	}
	fail_msg("the guest does not get on");
	return VCPU_LEAVE_WORK;
}

void world_teardown(void)
{
	hw.window = NULL;
	hw.closed = false;
	world.fail_at = 0;
	hw.cpu = 0;
	for (u32 i = 0; i < vms_count; i++) {
		if (vms[i].state == VM_STARTING || vm_is_up(&vms[i]))
			assert_int_equal(vm_begin_stop(&vms[i], VM_END_STOPPED), OK);
		world_until(i, VM_OFF);
		assert_int_equal(pages_owned(vms[i].id, PAGE_CHUNK), 0);
		assert_int_equal(pages_owned(vms[i].id, PAGE_USER), 0);
		assert_int_equal(pages_owned(vms[i].id, PAGE_KERNEL),
				 vms[i].scrollback ? CONSOLE_SCROLLBACK_SIZE : 0);
	}
	for (u32 i = 0; i < WORLD_CPUS; i++) {
		assert_int_equal(hw.cr3[i], HOST_ROOT);
		assert_int_equal(hw.xcr0[i], HOST_XCR0);
		assert_null(hw.fpu[i]);
		assert_int_equal(percpus[i].timers.count, i ? 0 : world.host_timers);
	}
	munmap(ram, ram_size);
}
