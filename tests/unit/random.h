/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

/*
 * random.h - numbers that are the same in each run with the same seed.
 *
 * splitmix64: small, fast, and good enough to make rules and packets up. Start it with test_seed()
 * (test.h), plus something if one program runs several.
 *
 * Thread-safety: one generator belongs to one thread.
 */

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline void random_init(struct random *rng, uint64_t seed)
{
	rng->state = seed;
}

static inline uint64_t random_u64(struct random *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t random_u32(struct random *rng)
{
	return (uint32_t)(random_u64(rng) >> 32);
}

/* 0..n - 1 */
static inline uint32_t random_below(struct random *rng, uint32_t n)
{
	return (uint32_t)((uint64_t)random_u32(rng) * n >> 32);
}

/* true in `percent` of a hundred cases */
static inline bool random_chance(struct random *rng, uint32_t percent)
{
	return random_below(rng, 100) < percent;
}

#endif
