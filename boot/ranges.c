/*
 * The memory map as a sorted, merged list of ranges: each ranges_set() cuts
 * its place out of what is there, then joins equal neighbours.
 */
#include "boot/ranges.h"

#include "kernel/string.h"

static u64 range_end(const struct boot_range *r)
{
	return r->base + r->size;
}

static void remove_at(struct range_list *list, u32 i)
{
	list->count--;
	memmove(&list->range[i], &list->range[i + 1], (list->count - i) * sizeof(list->range[0]));
}

static void insert_at(struct range_list *list, u32 i, u64 base, u64 size, u32 kind)
{
	memmove(&list->range[i + 1], &list->range[i], (list->count - i) * sizeof(list->range[0]));
	list->range[i] = (struct boot_range){ .base = base, .size = size, .kind = kind };
	list->count++;
}

static void drop_smallest(struct range_list *list)
{
	u32 victim = 0;

	for (u32 i = 1; i < list->count; i++) {
		const struct boot_range *r = &list->range[i], *v = &list->range[victim];
		bool r_free = r->kind == BOOT_MEM_FREE, v_free = v->kind == BOOT_MEM_FREE;

		if (r_free != v_free ? r_free : r->size < v->size)
			victim = i;
	}
	if (list->range[victim].kind == BOOT_MEM_FREE)
		list->lost += list->range[victim].size;
	remove_at(list, victim);
}

/* Take [base, end) away from everything that is listed. */
static void cut(struct range_list *list, u64 base, u64 end)
{
	for (u32 i = 0; i < list->count && list->range[i].base < end;) {
		struct boot_range *r = &list->range[i];
		u64 r_end = range_end(r);

		if (r_end <= base) {
			i++;
		} else if (r->base < base) {
			r->size = base - r->base;
			if (r_end > end)
				insert_at(list, i + 1, end, r_end - end, r->kind);
			i++;
		} else if (r_end > end) {
			r->base = end;
			r->size = r_end - end;
			i++;
		} else {
			remove_at(list, i);
		}
	}
}

void ranges_set(struct range_list *list, u64 base, u64 size, u32 kind)
{
	u64 end = base + size;
	u32 i = 0;

	if (size == 0 || end < base)
		return;
	/* one more for the new range, one more for a range that it splits */
	while (list->count + 2 > list->max)
		drop_smallest(list);
	cut(list, base, end);
	while (i < list->count && list->range[i].base < base)
		i++;
	insert_at(list, i, base, size, kind);
	if (i + 1 < list->count && list->range[i + 1].kind == kind &&
	    list->range[i + 1].base == end) {
		list->range[i].size += list->range[i + 1].size;
		remove_at(list, i + 1);
	}
	if (i > 0 && list->range[i - 1].kind == kind && range_end(&list->range[i - 1]) == base) {
		list->range[i - 1].size += list->range[i].size;
		remove_at(list, i);
	}
}

u64 ranges_total(const struct range_list *list, u32 kind)
{
	u64 sum = 0;

	for (u32 i = 0; i < list->count; i++) {
		if (list->range[i].kind == kind)
			sum += list->range[i].size;
	}
	return sum;
}
