/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * graveyard.h - memory that a writer took out of a structure, but readers may still look at.
 *
 * A writer that changes an RCU-read structure step by step retires many small pieces (trie nodes,
 * outgrown arrays). It throws each into its graveyard, and when the whole change is done buries
 * them all: they are freed together, one grace period later, in liburcu's helper thread. The pieces
 * need no room for a list of their own.
 *
 * Thread-safety: a graveyard belongs to its writer.
 */
#ifndef VSWITCH_OPENFLOW_GRAVEYARD_H
#define VSWITCH_OPENFLOW_GRAVEYARD_H

#include <stddef.h>
#include <stdint.h>
#include "lib/util.h"

struct graveyard_load;

struct graveyard {
	struct graveyard_load *load; /* what was retired since the last burial; NULL: no list yet */
};

static inline void graveyard_init(struct graveyard *yard)
{
	yard->load = NULL;
}

/* Buries what is left. */
void graveyard_uninit(struct graveyard *yard);

/* Makes sure that the next graveyard_insert() neither waits nor fails: for threads that are inside
 * a read-side critical section. Returns 0 or -ENOMEM. */
int graveyard_reserve(struct graveyard *yard) WARN_UNUSED;

/* Takes over `item`, made by malloc() and friends, that new readers cannot reach any more. Without
 * memory for the list it waits for a grace period and frees at once. NULL is allowed. */
void graveyard_insert(struct graveyard *yard, void *item);

/* Has everything freed after a grace period. Does not wait. */
void graveyard_run(struct graveyard *yard);

#endif /* VSWITCH_OPENFLOW_GRAVEYARD_H */
