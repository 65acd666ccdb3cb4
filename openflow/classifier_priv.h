/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OPENFLOW_CLASSIFIER_PRIV_H
#define OPENFLOW_CLASSIFIER_PRIV_H

/*
 * What the classifier's writer (classifier.c) hands to its readers (classifier_lookup.c): the order
 * in which subtables are asked. A new order replaces the old one as a whole, under RCU.
 *
 * Thread-safety: immutable once published.
 */

#include <assert.h>
#include "openflow/classifier.h"
#include "openflow/subtable.h"

/* The order of look-ups, immutable. */
struct classifier_order {
	uint32_t n;
	struct classifier_entry {
		const struct subtable *subtable;
		/* Copies of what rules most subtables out, so that these need not be touched. */
		uint16_t max_priority;
		uint16_t dl_type;
		bool has_one_type;
		uint8_t tries; /* bit T: ask trie T */
		uint8_t prefix[SUBTABLE_TRIES];
	} entries[];
};

static_assert(sizeof(struct classifier_entry) == 24, "entries lie close together");

#endif
