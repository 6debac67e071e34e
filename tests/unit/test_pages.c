/*
 * kernel/pages*.c: boot on awkward memory maps, scrubbing (invariant 6), owners,
 * the kernel's reserve, random operations against a model, several CPUs at
 * once, and leaks: after everything is freed, the numbers are those of boot.
 */
// SOURCES: kernel/pages*.c tests/unit/fake/fake_panic.c tests/unit/fake/fake_kdirect.c
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/frames.h"
#include "fake_panic.h"
#include "kernel/pages.h"

#define CHUNKS 24 /* of real memory behind the addresses */

static u8 *ram;
static hpa_t base;
static u64 scrubs, scrubbed_bytes;
static hpa_t mapped[4096];
static u32 mapped_count;
static bool booted, map_allocates;

static bool backed(hpa_t at, u64 size)
{
	return at >= base && at + size <= base + CHUNKS * CHUNK_SIZE;
}

static void scrub(hpa_t at, u64 size)
{
	assert_int_equal(at % size, 0);
	__atomic_fetch_add(&scrubs, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&scrubbed_bytes, size, __ATOMIC_RELAXED);
	if (backed(at, size))
		memset((void *)at, 0, size);
}

static void map_kernel(hpa_t chunk)
{
	assert_int_equal(chunk % CHUNK_SIZE, 0);
	assert_true(backed(chunk, CHUNK_SIZE));
	for (u32 i = 0; i < mapped_count; i++)
		assert_true(mapped[i] != chunk);
	mapped[mapped_count++] = chunk;
	if (booted && map_allocates)
		for (u32 i = 0; i < 3; i++)
			assert_non_null(kpage_alloc(PAGE_OWNER_HV));
}

static const struct page_ops ops = { .map_kernel = map_kernel, .scrub = scrub };

static int setup(void **state)
{
	(void)state;
	ram = mmap(NULL, (CHUNKS + 1) * CHUNK_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(ram != MAP_FAILED);
	base = ALIGN_UP((u64)ram, CHUNK_SIZE);
	scrubs = scrubbed_bytes = mapped_count = 0;
	booted = map_allocates = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(ram, (CHUNKS + 1) * CHUNK_SIZE);
}

static void boot(u32 chunks)
{
	struct mem_range r = { base, chunks * CHUNK_SIZE };

	/* what firmware leaves behind */
	for (u32 i = 0; i < chunks; i++)
		memset((u8 *)base + i * CHUNK_SIZE, 0xa5, PAGE_SIZE * 3);
	pages_init(&r, 1, &ops);
	booted = true;
}

static void check_sums(void)
{
	struct page_stats s = pages_stats();

	assert_int_equal(s.total, s.free + s.dirty + s.chunks + s.user + s.kernel + s.lost);
}

static bool all_zero(const void *p, u64 size)
{
	const u64 *w = p;

	for (u64 i = 0; i < size / 8; i++)
		if (w[i])
			return false;
	return true;
}

/* ------------------------------------------------------------------ boot */

static void boots_dirty(void **state)
{
	struct page_stats s;
	u32 cursor = 0;
	hpa_t chunk;

	(void)state;
	boot(CHUNKS);
	s = pages_stats();
	assert_int_equal(s.total, CHUNKS * CHUNK_SIZE);
	assert_int_equal(s.kernel, CHUNK_SIZE); /* the tables and the first pages */
	assert_int_equal(s.dirty, (CHUNKS - 1) * CHUNK_SIZE);
	assert_int_equal(s.free, 0);
	assert_true(s.reserved > 0 && s.reserved <= 8 * PAGE_SIZE);
	assert_int_equal(pages_owned(PAGE_OWNER_HV, PAGE_KERNEL), s.reserved);
	assert_int_equal(mapped_count, 1);
	assert_true(pages_kernel_chunk(&cursor, &chunk));
	assert_int_equal(chunk, mapped[0]);
	assert_false(pages_kernel_chunk(&cursor, &chunk));

	for (u32 i = 0; i < CHUNKS - 1; i++)
		assert_true(pages_scrub_step());
	assert_false(pages_scrub_step());
	assert_int_equal(pages_stats().free, (CHUNKS - 1) * CHUNK_SIZE);
	check_sums();
}

static void awkward_ranges(void **state)
{
	/* a fragment; two touching ranges that make a chunk only together; unaligned
	 * ends; one that begins at 0 */
	struct mem_range r[] = {
		{ 0, MIB(1) },
		{ MIB(3), MIB(2) },
		{ base + KIB(4), CHUNK_SIZE - KIB(4) },
		{ base + CHUNK_SIZE, KIB(64) },
		{ base + CHUNK_SIZE + KIB(64), 4 * CHUNK_SIZE },
		{ base + 10 * CHUNK_SIZE, 2 * CHUNK_SIZE + KIB(12) },
	};
	u64 total = 0;
	struct page_stats s;
	hpa_t at;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(r); i++)
		total += r[i].size;
	pages_init(r, ARRAY_SIZE(r), &ops);
	s = pages_stats();
	assert_int_equal(s.total, total);
	assert_int_equal(s.kernel, CHUNK_SIZE);
	assert_int_equal(s.dirty, 5 * CHUNK_SIZE); /* 4 whole ones there + 2 - 1 */
	assert_int_equal(s.lost, total - 6 * CHUNK_SIZE);
	check_sums();
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(chunk_alloc(1, &at), OK);
		assert_true((at >= base + CHUNK_SIZE && at < base + 5 * CHUNK_SIZE) ||
			    (at >= base + 10 * CHUNK_SIZE && at < base + 12 * CHUNK_SIZE));
	}
	assert_int_equal(chunk_alloc(1, &at), ERR_NOMEM);
}

static void no_memory(void)
{
	struct mem_range r = { MIB(1), MIB(2) };

	pages_init(&r, 1, &ops);
}

static void too_little_memory(void **state)
{
	(void)state;
	expect_assert_failure(no_memory());
}

/* 1 TiB, of which only the first chunks are real: nothing else is touched. */
static void large_machine(void **state)
{
	struct mem_range r[] = {
		{ base, 8 * CHUNK_SIZE },
		{ ALIGN_UP(base, GIB(1)) + GIB(64), GIB(512) },
		{ ALIGN_UP(base, GIB(1)) + GIB(1024), GIB(512) },
	};
	struct page_stats s;
	hpa_t at;

	(void)state;
	pages_init(r, 3, &ops);
	s = pages_stats();
	assert_true(s.reserved <= MIB(9));
	assert_int_equal(s.kernel, 5 * CHUNK_SIZE); /* table 8 MiB, and some pages */
	assert_int_equal(mapped_count, 5);
	check_sums();
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(chunk_alloc(1, &at), OK);
	assert_true(at >= r[1].base);
	assert_int_equal(pages_owned(1, PAGE_CHUNK), 1000 * CHUNK_SIZE);
	assert_int_equal(scrubs, 1000 + 5);
	assert_non_null(kpage_alloc(1));
}

/* The table ends just before the end of a chunk, at every distance from it. */
static void table_sizes(void **state)
{
	(void)state;
	for (u64 pages = 440; pages < 520; pages += 3) {
		u64 chunks = pages * (PAGE_SIZE / 16);
		struct mem_range r[] = {
			{ base, 6 * CHUNK_SIZE },
			{ base + 64 * CHUNK_SIZE, (chunks - 6) * CHUNK_SIZE },
		};
		void *p;

		mapped_count = 0;
		pages_init(r, 2, &ops);
		check_sums();
		assert_int_equal(pages_stats().reserved, (pages + 1) * PAGE_SIZE);
		p = kpages_alloc(16, 3);
		assert_non_null(p);
		assert_true((u64)p >= base + (pages + 1) * PAGE_SIZE);
		kpages_free(p, 16, 3);
	}
}

/* -------------------------------------------------------------- scrubbing */

static void chunks_come_scrubbed(void **state)
{
	hpa_t at[CHUNKS];

	(void)state;
	boot(CHUNKS);
	for (u32 round = 0; round < 3; round++) {
		u32 n = 0;

		while (chunk_alloc(7, &at[n]) == OK) {
			assert_true(all_zero((void *)at[n], CHUNK_SIZE));
			memset((void *)(at[n] + (u64)rand() % (CHUNK_SIZE - 64)), 0x5a, 64);
			n++;
			check_sums();
		}
		assert_int_equal(n, CHUNKS - 1);
		assert_int_equal(pages_owned(7, PAGE_CHUNK), n * CHUNK_SIZE);
		while (n)
			chunk_free(at[--n], 7);
		assert_int_equal(pages_stats().free, 0); /* none is free before its scrub */
		for (u32 i = 0; i < round * 5; i++)
			assert_true(pages_scrub_step());
		assert_int_equal(pages_stats().free, round * 5 * CHUNK_SIZE);
	}
}

static void user_pages_come_scrubbed(void **state)
{
	hpa_t at[1500];

	(void)state;
	boot(6);
	for (u32 round = 0; round < 3; round++) {
		u64 before;

		for (u32 i = 0; i < 1500; i++) {
			assert_int_equal(upage_alloc((u16)(1 + i % 3), &at[i]), OK);
			assert_true(all_zero((void *)at[i], PAGE_SIZE));
			memset((void *)at[i], 0x77, PAGE_SIZE);
		}
		assert_int_equal(pages_stats().user, 3 * CHUNK_SIZE);
		assert_int_equal(pages_owned(2, PAGE_USER), 500 * PAGE_SIZE);
		/* one page again: only that is scrubbed, and it is the next one given */
		before = scrubbed_bytes;
		upage_free(at[700], 1 + 700 % 3);
		assert_int_equal(scrubbed_bytes - before, PAGE_SIZE);
		assert_true(all_zero((void *)at[700], PAGE_SIZE));
		assert_int_equal(upage_alloc(1 + 700 % 3, &at[700]), OK);
		for (u32 i = 0; i < 1500; i++)
			upage_free(at[i], (u16)(1 + i % 3));
		check_sums();
		assert_int_equal(pages_stats().user, 0); /* emptied chunks are chunks again */
		assert_int_equal(pages_owned(2, PAGE_USER), 0);
	}
	/* ... for guest RAM, too */
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(chunk_alloc(1, &at[i]), OK);
	assert_int_equal(upage_alloc(1, &at[5]), ERR_NOMEM);
}

static void kernel_pages_come_zeroed(void **state)
{
	void *p[1200];

	(void)state;
	boot(8);
	map_allocates = true;
	for (u32 round = 0; round < 3; round++) {
		u64 kernel;

		for (u32 i = 0; i < 1200; i++) {
			p[i] = kpage_alloc(5);
			assert_non_null(p[i]);
			assert_int_equal((u64)p[i] % PAGE_SIZE, 0);
			assert_true(all_zero(p[i], PAGE_SIZE));
			memset(p[i], 0xee, PAGE_SIZE);
		}
		assert_int_equal(pages_owned(5, PAGE_KERNEL), 1200 * PAGE_SIZE);
		kernel = pages_stats().kernel;
		assert_int_equal(kernel, 3 * CHUNK_SIZE);
		for (u32 i = 0; i < 1200; i++)
			kpage_free(p[i], 5);
		assert_int_equal(pages_owned(5, PAGE_KERNEL), 0);
		assert_int_equal(pages_stats().kernel, kernel); /* they stay the kernel's */
		assert_int_equal(mapped_count, 3);
		check_sums();
	}
}

static void contiguous_pages(void **state)
{
	static const u32 sizes[] = { 1, 2, 3, 5, 8, 64, 100, 256, 511, 512 };
	void *p[ARRAY_SIZE(sizes)];

	(void)state;
	boot(CHUNKS);
	map_allocates = true;
	assert_null(kpages_alloc(0, 1));
	assert_null(kpages_alloc(513, 1));
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 n = sizes[i];

		p[i] = kpages_alloc(sizes[i], 9);
		assert_non_null(p[i]);
		assert_true(all_zero(p[i], n * PAGE_SIZE));
		if (!(n & (n - 1)))
			assert_int_equal((u64)p[i] % (n * PAGE_SIZE), 0);
		memset(p[i], (int)i + 1, n * PAGE_SIZE);
	}
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *q = p[i];

		for (u64 b = 0; b < sizes[i] * PAGE_SIZE; b += 512)
			assert_int_equal(q[b], i + 1); /* nobody else's */
		kpages_free(p[i], sizes[i], 9);
	}
	assert_int_equal(pages_owned(9, PAGE_KERNEL), 0);
	check_sums();
}

static void out_of_memory(void **state)
{
	hpa_t at, kept[CHUNKS];
	u32 n = 0;
	void *p, *last = NULL;

	(void)state;
	boot(6);
	map_allocates = true;
	while (chunk_alloc(1, &at) == OK)
		kept[n++] = at;
	assert_int_equal(n, 5);
	assert_int_equal(upage_alloc(1, &at), ERR_NOMEM);
	assert_null(kpages_alloc(512, 1));
	while ((p = kpage_alloc(1)))
		last = p;
	assert_null(kpage_alloc(1));
	kpage_free(last, 1);
	assert_non_null(kpage_alloc(1));
	chunk_free(kept[0], 1);
	assert_int_equal(upage_alloc(1, &at), OK); /* records come out of what is left */
	assert_null(kpages_alloc(64, 1));
	chunk_free(kept[1], 1);
	assert_non_null(kpages_alloc(64, 1));
	check_sums();
}

/* ------------------------------------------------------------ kernel bugs */

static void misuse_panics(void **state)
{
	hpa_t chunk, user, other;
	void *kernel;

	(void)state;
	boot(CHUNKS);
	assert_int_equal(chunk_alloc(1, &chunk), OK);
	assert_int_equal(upage_alloc(1, &user), OK);
	assert_int_equal(upage_alloc(1, &other), OK);
	kernel = kpage_alloc(1);
	assert_non_null(kernel);

	expect_assert_failure(chunk_free(chunk, 2));
	assert_string_equal(strstr(fake_panic_text, "chunk"), fake_panic_text + 7);
	expect_assert_failure(chunk_free(chunk + PAGE_SIZE, 1));
	expect_assert_failure(chunk_free(base + (CHUNKS + 3) * CHUNK_SIZE, 1));
	expect_assert_failure(chunk_free(0, 1));
	expect_assert_failure(chunk_free(ALIGN_DOWN(user, CHUNK_SIZE), 1));
	expect_assert_failure(chunk_free(mapped[0], PAGE_OWNER_HV));
	expect_assert_failure(upage_free(user, 2));
	expect_assert_failure(upage_free(user + 8, 1));
	expect_assert_failure(upage_free(chunk, 1));
	expect_assert_failure(upage_free((hpa_t)kernel, 1));
	expect_assert_failure(kpage_free((void *)user, 1));
	expect_assert_failure(kpage_free(kernel, 2));
	expect_assert_failure(kpages_free(kernel, 2, 1)); /* more than was given */
	expect_assert_failure(kpages_free(kernel, 600, 1));
	expect_assert_failure(kernel = kpage_alloc(PAGE_OWNERS));

	/* nothing of that changed anything, and the lock is free */
	upage_free(user, 1);
	expect_assert_failure(upage_free(user, 1));
	chunk_free(chunk, 1);
	expect_assert_failure(chunk_free(chunk, 1));
	kpage_free(kernel, 1);
	expect_assert_failure(kpage_free(kernel, 1));
	upage_free(other, 1);
	for (u32 k = 0; k < PAGE_KINDS; k++)
		assert_int_equal(pages_owned(1, (enum page_kind)k), 0);
	check_sums();
}

/* ---------------------------------------------------------- against a model */

#define THINGS 900

static struct thing {
	enum page_kind kind;
	hpa_t at; /* 0: none */
	u32 pages;
	u16 owner;
	u8 mark;
} things[THINGS];

static void thing_fill(const struct thing *t)
{
	for (u32 i = 0; i < t->pages; i++)
		memset((u8 *)t->at + i * PAGE_SIZE, t->mark, 64);
}

static void thing_check(const struct thing *t, u8 mark)
{
	for (u32 i = 0; i < t->pages; i++) {
		const u8 *p = (u8 *)t->at + i * PAGE_SIZE;

		for (u32 b = 0; b < 64; b++)
			assert_int_equal(p[b], mark);
		assert_int_equal(p[PAGE_SIZE - 1], 0);
	}
}

static bool thing_new(struct thing *t)
{
	enum err err = OK;

	t->owner = (u16)(rand() % 6);
	t->mark = (u8)(1 + rand() % 255);
	t->pages = 1;
	t->at = 0;
	switch (rand() % 16) {
	case 0:
		t->kind = PAGE_CHUNK;
		t->pages = (u32)(CHUNK_SIZE / PAGE_SIZE);
		err = chunk_alloc(t->owner, &t->at);
		break;
	case 1 ... 7:
		t->kind = PAGE_USER;
		err = upage_alloc(t->owner, &t->at);
		break;
	default:
		t->kind = PAGE_KERNEL;
		t->pages = rand() % 8 ? 1 : 1 + (u32)rand() % 20;
		t->at = (hpa_t)kpages_alloc(t->pages, t->owner);
		if (!t->at)
			err = ERR_NOMEM;
	}
	if (err) {
		t->at = 0;
		return false;
	}
	assert_true(backed(t->at, t->pages * PAGE_SIZE));
	thing_check(t, 0);
	thing_fill(t);
	return true;
}

static void thing_free(struct thing *t)
{
	thing_check(t, t->mark); /* nobody else wrote here */
	if (t->kind == PAGE_CHUNK)
		chunk_free(t->at, t->owner);
	else if (t->kind == PAGE_USER)
		upage_free(t->at, t->owner);
	else
		kpages_free((void *)t->at, t->pages, t->owner);
	t->at = 0;
}

static void check_owned(u64 records)
{
	u64 sums[6][PAGE_KINDS] = { 0 };

	for (u32 i = 0; i < THINGS; i++)
		if (things[i].at)
			sums[things[i].owner][things[i].kind] += things[i].pages * PAGE_SIZE;
	for (u16 o = 0; o < 6; o++)
		for (u32 k = 0; k < PAGE_KINDS; k++)
			if (o != PAGE_OWNER_HV || k != PAGE_KERNEL)
				assert_int_equal(pages_owned(o, (enum page_kind)k), sums[o][k]);
	assert_true(pages_owned(0, PAGE_KERNEL) >= sums[0][PAGE_KERNEL] + records);
}

static void random_against_model(void **state)
{
	u64 records, full = 0, kernel;

	(void)state;
	srand(2);
	memset(things, 0, sizeof(things));
	boot(CHUNKS);
	records = pages_stats().reserved;
	for (u32 step = 0; step < 60000; step++) {
		struct thing *t = &things[rand() % THINGS];
		/* in turn mostly growing and mostly shrinking */
		bool grow = step / 4000 % 2 ? rand() % 3 == 0 : rand() % 3 != 0;

		if (t->at && !grow)
			thing_free(t);
		else if (!t->at && grow)
			full += !thing_new(t);
		if (rand() % 10 == 0)
			pages_scrub_step();
		if (step % 500 == 0) {
			check_sums();
			check_owned(records);
		}
	}
	assert_true(full > 0); /* memory did run out at times */
	for (u32 i = 0; i < THINGS; i++)
		if (things[i].at)
			thing_free(&things[i]);
	check_owned(records);
	while (pages_scrub_step())
		;
	kernel = pages_stats().kernel;
	assert_int_equal(pages_stats().free + kernel, CHUNKS * CHUNK_SIZE);

	/* The same again leaks nothing: all is there that was there. */
	for (u32 round = 0; round < 20; round++) {
		for (u32 i = 0; i < 40; i++)
			thing_new(&things[i]);
		for (u32 i = 0; i < 40; i++)
			if (things[i].at)
				thing_free(&things[i]);
		while (pages_scrub_step())
			;
		assert_int_equal(pages_stats().kernel, kernel);
		assert_int_equal(pages_stats().free + kernel, CHUNKS * CHUNK_SIZE);
	}
}

/* ------------------------------------------------------------ several CPUs */

static int stop;

static void *scrubber(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pages_scrub_step();
		usleep(500); /* a ticket lock suffers when threads outnumber CPUs */
	}
	return NULL;
}

static void *worker(void *arg)
{
	u16 owner = (u16)(uintptr_t)arg;
	unsigned int seed = owner;
	struct thing t[64] = { 0 };

	for (u32 step = 0; step < 1500; step++) {
		struct thing *x = &t[rand_r(&seed) % 64];

		if (x->at) {
			thing_free(x);
			continue;
		}
		*x = (struct thing){ .owner = owner, .pages = 1, .mark = (u8)owner };
		switch (rand_r(&seed) % 12) {
		case 0:
			x->kind = PAGE_CHUNK;
			x->pages = (u32)(CHUNK_SIZE / PAGE_SIZE);
			if (chunk_alloc(owner, &x->at))
				x->at = 0;
			break;
		case 1 ... 6:
			x->kind = PAGE_USER;
			if (upage_alloc(owner, &x->at))
				x->at = 0;
			break;
		default:
			x->kind = PAGE_KERNEL;
			x->pages = 1 + (u32)rand_r(&seed) % 12;
			x->at = (hpa_t)kpages_alloc(x->pages, owner);
		}
		if (x->at) {
			thing_check(x, 0);
			thing_fill(x);
		}
	}
	for (u32 i = 0; i < 64; i++)
		if (t[i].at)
			thing_free(&t[i]);
	return NULL;
}

static void several_cpus(void **state)
{
	pthread_t cpu[3];

	(void)state;
	boot(16);
	map_allocates = true;
	stop = 0;
	pthread_create(&cpu[0], NULL, scrubber, NULL);
	for (uintptr_t i = 1; i < 3; i++)
		pthread_create(&cpu[i], NULL, worker, (void *)i);
	for (u32 i = 1; i < 3; i++)
		pthread_join(cpu[i], NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(cpu[0], NULL);
	while (pages_scrub_step())
		;
	for (u16 o = 1; o < 3; o++)
		for (u32 k = 0; k < PAGE_KINDS; k++)
			assert_int_equal(pages_owned(o, (enum page_kind)k), 0);
	assert_int_equal(pages_stats().free + pages_stats().kernel, 16 * CHUNK_SIZE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(boots_dirty),
		T(awkward_ranges),
		T(too_little_memory),
		T(large_machine),
		T(table_sizes),
		T(chunks_come_scrubbed),
		T(user_pages_come_scrubbed),
		T(kernel_pages_come_zeroed),
		T(contiguous_pages),
		T(out_of_memory),
		T(misuse_panics),
		T(random_against_model),
		T(several_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
