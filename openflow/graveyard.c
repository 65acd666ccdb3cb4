/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/graveyard.h"

#include <errno.h>
#include <stdlib.h>
#include "lib/rcu.h"

/* Items of the first load; each further one is twice as large. */
#define GRAVEYARD_FIRST 16

struct graveyard_load {
	struct rcu_deferred rcu;
	uint32_t n;
	uint32_t capacity;
	void *items[];
};

static void graveyard_load_free(struct rcu_deferred *d)
{
	struct graveyard_load *load = container_of(d, struct graveyard_load, rcu);

	for (uint32_t i = 0; i < load->n; i++)
		free(load->items[i]);
	free(load);
}

void graveyard_uninit(struct graveyard *yard)
{
	graveyard_run(yard);
	free(yard->load);
	yard->load = NULL;
}

/* Makes room for one more item. Returns the load, or NULL when out of memory. */
static struct graveyard_load *graveyard_grow(struct graveyard *yard)
{
	struct graveyard_load *load = yard->load;
	uint32_t capacity = load ? load->capacity * 2 : GRAVEYARD_FIRST;

	if (load && load->n < load->capacity)
		return load;
	load = realloc(load, sizeof(*load) + capacity * sizeof(load->items[0]));
	if (!load)
		return NULL;
	if (!yard->load)
		load->n = 0;
	load->capacity = capacity;
	yard->load = load;
	return load;
}

int graveyard_reserve(struct graveyard *yard)
{
	return graveyard_grow(yard) ? 0 : -ENOMEM;
}

void graveyard_insert(struct graveyard *yard, void *item)
{
	struct graveyard_load *load;

	if (!item)
		return;
	load = graveyard_grow(yard);
	if (unlikely(!load)) {
		rcu_wait();
		free(item);
		return;
	}
	load->items[load->n++] = item;
}

void graveyard_run(struct graveyard *yard)
{
	struct graveyard_load *load = yard->load;

	if (!load || !load->n)
		return;
	yard->load = NULL;
	rcu_defer(&load->rcu, graveyard_load_free);
}
