/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/match.h"

bool match_equals(const struct match *a, const struct match *b)
{
	uint64_t diff = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		diff |= (a->value.w[i] ^ b->value.w[i]) | (a->mask.w[i] ^ b->mask.w[i]);
	return diff == 0;
}

bool match_covers(const struct match *outer, const struct match *inner)
{
	uint64_t diff = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		diff |= outer->mask.w[i] & ~inner->mask.w[i];
		diff |= (outer->value.w[i] ^ inner->value.w[i]) & outer->mask.w[i];
	}
	return diff == 0;
}
