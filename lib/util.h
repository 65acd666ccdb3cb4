/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_UTIL_H
#define LIB_UTIL_H

/*
 * The small words that every room uses
 * ====================================
 *
 * Macros that the compiler folds away: array sizes, container_of, rounding, minimum and maximum,
 * branch hints, attributes, and checks at compile time. There is no code behind this header and
 * nothing in it knows of packets. For user space only: programs in bpf/ take theirs from libbpf.
 *
 * WARN_UNUSED goes on each function that returns 0 or a negative errno; the compiler then refuses
 * a caller who drops the answer.
 *
 * CACHE_LINE and cacheline_aligned keep what one thread writes away from what another reads: put
 * them on the first member of the hot half of a struct and allocate such structs with
 * aligned_alloc(CACHE_LINE, ROUND_UP(size, CACHE_LINE)).
 *
 * MIN, MAX, CLAMP, ROUND_UP and ROUND_DOWN evaluate each argument once. ROUND_UP and ROUND_DOWN
 * take any unit; IS_POW2 tells whether masking would do instead. ROUND_UP wraps around like any
 * unsigned sum when its result does not fit: whoever rounds a number from outside checks its range
 * first.
 *
 * Thread-safety: nothing here has state.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64 /* bytes; x86-64 and most arm64 */
#define cacheline_aligned __attribute__((aligned(CACHE_LINE)))

#define WARN_UNUSED __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define PACKED __attribute__((packed))
#define NORETURN __attribute__((noreturn))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
/* arguments are numbered from 1: the format, and the first that it prints (0: a va_list) */
#define PRINTF_FORMAT(fmt, first) __attribute__((format(printf, fmt, first)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* An expression worth 0 that does not compile when `cond` is false. */
#define BUILD_ASSERT_ZERO(cond)                                                                    \
	(sizeof(struct { _Static_assert(cond, #cond); char c; }) - sizeof(struct { char c; }))

/* Number of elements of an array; refuses a pointer. */
#define ARRAY_SIZE(a)                                                                              \
	(sizeof(a) / sizeof((a)[0]) +                                                              \
	 BUILD_ASSERT_ZERO(!__builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0]))))

/* A wire or shared struct has the size that the other side believes. */
#define ASSERT_SIZE(type, bytes)                                                                   \
	static_assert(sizeof(type) == (bytes), #type " is not " #bytes " bytes")
#define ASSERT_OFFSET(type, member, bytes)                                                         \
	static_assert(offsetof(type, member) == (bytes), #type "." #member " is not at " #bytes)
/* A name table has one entry for each value of its enum. */
#define ASSERT_ENTRIES(array, n) static_assert(sizeof(array) / sizeof((array)[0]) == (n), #array)

/* The struct around a member; refuses a pointer that is not to that member's type. */
#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		const __typeof__(((type *)0)->member) *member_ptr_ = (ptr);                        \
		(type *)((char *)(uintptr_t)member_ptr_ - offsetof(type, member));                 \
	})

/* Names of their own for the variables of each use, so that the macros nest without shadowing. */
#define UTIL_PASTE_(a, b) a##b
#define UTIL_PASTE(a, b) UTIL_PASTE_(a, b)
#define UTIL_PICK(op, a, b, ua, ub)                                                                \
	({                                                                                         \
		__typeof__(a) ua = (a);                                                            \
		__typeof__(b) ub = (b);                                                            \
		ua op ub ? ua : ub;                                                                \
	})
#define UTIL_UNIQUE(word) UTIL_PASTE(word, __COUNTER__)

#define MIN(a, b) UTIL_PICK(<, a, b, UTIL_UNIQUE(min_a_), UTIL_UNIQUE(min_b_))
#define MAX(a, b) UTIL_PICK(>, a, b, UTIL_UNIQUE(max_a_), UTIL_UNIQUE(max_b_))
#define CLAMP(x, low, high) MIN(MAX(x, low), high)

#define DIV_ROUND_UP(x, unit)                                                                      \
	({                                                                                         \
		__typeof__(x) div_x_ = (x);                                                        \
		__typeof__(x) div_unit_ = (unit);                                                  \
		div_x_ / div_unit_ + (div_x_ % div_unit_ != 0);                                    \
	})
#define ROUND_DOWN(x, unit)                                                                        \
	({                                                                                         \
		__typeof__(x) round_x_ = (x);                                                      \
		round_x_ - round_x_ % (__typeof__(x))(unit);                                       \
	})
#define ROUND_UP(x, unit)                                                                          \
	({                                                                                         \
		__typeof__(x) round_unit_ = (unit);                                                \
		DIV_ROUND_UP(x, round_unit_) * round_unit_;                                        \
	})
#define IS_POW2(x)                                                                                 \
	({                                                                                         \
		__typeof__(x) pow2_x_ = (x);                                                       \
		pow2_x_ > 0 && (pow2_x_ & (pow2_x_ - 1)) == 0;                                     \
	})

#endif
