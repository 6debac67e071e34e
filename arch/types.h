/*
 * Basic types, shared by every ring-0 file.
 *
 * Addresses carry their space in their type's name: hpa_t is host-physical,
 * gpa_t guest-physical, gva_t guest-linear. Sizes are bytes, times nanoseconds.
 */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 gpa_t;
typedef u64 hpa_t;
typedef u64 gva_t;
typedef u64 ns_t;

/* Every fallible function returns one of these; 0 is success. */
enum err {
	OK = 0,
	ERR_NOMEM,   /* the host has no memory left for this */
	ERR_INVAL,   /* an argument is out of its range */
	ERR_NOENT,   /* no such thing */
	ERR_EXIST,   /* it is there already, or overlaps one that is */
	ERR_BUSY,    /* not now: another operation is under way */
	ERR_NODEV,   /* the machine has no such device or feature */
	ERR_FAULT,   /* an address of another room is not mapped */
	ERR_TIMEOUT, /* the hardware did not answer in time */
	ERR_PERM,    /* not allowed in this state */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PACKED __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))
#define UNUSED __attribute__((unused))
#define NORETURN _Noreturn
#define NOINLINE __attribute__((noinline))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1ull << (n))
#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)
#define PAGE_SIZE 4096ull
#define CHUNK_SIZE MIB(2) /* a large page: the unit of guest RAM */
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((u64)(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((u64)(a)-1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#endif
