/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/mac_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "bpf/flow_key.h"
#include "lib/clock.h"
#include "lib/mutex.h"
#include "openflow/hash_index.h"

#define RELAXED memory_order_relaxed

/* Marks of flooded addresses; a power of two. */
#define MARKS 4096u
/* A known address is written to once in this time, not with each packet. */
#define TOUCH_NS (100 * CLOCK_NS_PER_MS)
/* Cached flows report up to this late: by so much must their news be newer to move an address. */
#define CREDIT_MARGIN_NS (100 * CLOCK_NS_PER_MS)
/* Learning stops for so long once the rate is used up. */
#define THROTTLE_NS CLOCK_NS_PER_MS
/* Changes at once, after a pause. */
#define LEARN_BURST (MAC_TABLE_LEARN_RATE / 2)
/* Entries of a port that get a second chance at one eviction. */
#define SECOND_CHANCES 16

/* A port's learned entries, a ring in the order they are to be evicted. Under the table's lock. */
struct mac_port {
	uint32_t ofport;
	uint32_t n;
	struct mac_entry *oldest; /* NULL: none */
	struct mac_port *next;    /* of the table */
};

struct mac_entry {
	uint8_t mac[6];
	uint16_t vlan;
	uint32_t hash;
	_Atomic uint32_t ofport;
	_Atomic uint64_t used;    /* ns, of the last packet from there that was taken note of */
	_Atomic bool is_static;
	_Atomic bool is_removed;  /* unlinked: do not build on it */
	_Atomic bool is_relied_on; /* some verdict sends to it */

	/* Under the table's lock. */
	uint64_t queued;        /* `used` when it got its place in the ring */
	struct mac_port *port;  /* NULL: static, in no ring */
	struct mac_entry *prev; /* in the ring */
	struct mac_entry *next;

	struct rcu_deferred rcu;
};

struct mac_table {
	struct hash_index entries; /* written under the lock */
	uint64_t seed;             /* so that nobody can choose addresses of one hash */
	_Atomic uint64_t throttled_until; /* ns: no changes from packets before */
	_Atomic uint64_t flushed;         /* ns: older news makes no new entries */
	_Atomic uint64_t n_throttled;
	_Atomic bool marks[MARKS]; /* by hash: an unknown address of the bucket was looked up */

	struct mutex lock;
	struct graveyard yard GUARDED;
	struct mac_port *ports GUARDED;
	uint64_t tokens_at GUARDED; /* ns of the last refill */
	uint32_t tokens GUARDED;    /* changes that packets may make now */
	struct mac_table_stats stats GUARDED;
};

static uint32_t mac_hash(const struct mac_table *table, const uint8_t mac[6], uint16_t vlan)
{
	uint64_t h = vlan;

	memcpy((uint8_t *)&h + 2, mac, 6);
	h = (h ^ table->seed) * FLOW_HASH_K0;
	h ^= h >> 32;
	h *= FLOW_HASH_K1;
	return (uint32_t)(h >> 32);
}

int mac_table_create(struct mac_table **tablep)
{
	struct mac_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	hash_index_init(&table->entries);
	mutex_init(&table->lock);
	mutex_lock(&table->lock);
	graveyard_init(&table->yard);
	table->tokens = LEARN_BURST;
	table->stats.limit = MAC_TABLE_LIMIT_DEFAULT;
	table->stats.ageing = MAC_TABLE_AGEING_DEFAULT;
	mutex_unlock(&table->lock);
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = clock_now() ^ (uintptr_t)table;
	*tablep = table;
	return 0;
}

/* ---- rings, under the lock ---- */

static struct mac_port *mac_port_get(struct mac_table *table, uint32_t ofport) REQUIRES(table->lock)
{
	struct mac_port *port;

	for (port = table->ports; port; port = port->next) {
		if (port->ofport == ofport)
			return port;
	}
	port = calloc(1, sizeof(*port));
	if (!port)
		return NULL;
	port->ofport = ofport;
	port->next = table->ports;
	table->ports = port;
	return port;
}

/* Makes the entry the youngest of the port. */
static void ring_insert(struct mac_port *port, struct mac_entry *entry)
{
	struct mac_entry *oldest = port->oldest;

	entry->port = port;
	entry->queued = atomic_load_explicit(&entry->used, RELAXED);
	if (oldest) {
		entry->next = oldest;
		entry->prev = oldest->prev;
		oldest->prev->next = entry;
		oldest->prev = entry;
	} else {
		entry->next = entry;
		entry->prev = entry;
		port->oldest = entry;
	}
	port->n++;
}

static void ring_remove(struct mac_entry *entry)
{
	struct mac_port *port = entry->port;

	if (!port)
		return;
	if (port->oldest == entry)
		port->oldest = entry->next == entry ? NULL : entry->next;
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->port = NULL;
	port->n--;
}

/* The entry to give up for a new one: of the port with most, the oldest that was not used since it
 * got its place. NULL: all entries are static. */
static struct mac_entry *mac_table_choose_victim(struct mac_table *table) REQUIRES(table->lock)
{
	struct mac_port *port, *fullest = NULL;

	for (port = table->ports; port; port = port->next) {
		if (port->n && (!fullest || port->n > fullest->n))
			fullest = port;
	}
	if (!fullest)
		return NULL;
	for (int i = 0; i < SECOND_CHANCES; i++) {
		struct mac_entry *entry = fullest->oldest;

		if (atomic_load_explicit(&entry->used, RELAXED) <= entry->queued)
			break;
		ring_remove(entry);
		ring_insert(fullest, entry);
	}
	return fullest->oldest;
}

/* ---- entries ---- */

static struct mac_entry *mac_entry_find(const struct mac_table *table, uint32_t hash,
					const uint8_t mac[6], uint16_t vlan)
{
	struct hash_index_cursor cursor;
	struct mac_entry *entry;

	for (entry = hash_index_first(&table->entries, hash, &cursor); entry;
	     entry = hash_index_next(&cursor)) {
		if (memcmp(entry->mac, mac, 6) == 0 && entry->vlan == vlan)
			return entry;
	}
	return NULL;
}

static void mac_entry_free(struct rcu_deferred *d)
{
	free(container_of(d, struct mac_entry, rcu));
}

/* Unlinks the entry. Returns whether a verdict may rest on it. */
static bool mac_entry_remove(struct mac_table *table, struct mac_entry *entry) REQUIRES(table->lock)
{
	bool relied_on;

	ring_remove(entry);
	hash_index_remove(&table->entries, entry->hash, entry);
	table->stats.n_entries--;
	table->stats.n_static -= atomic_load_explicit(&entry->is_static, RELAXED);
	/* Either we see that it is relied on, or who is about to rely on it sees this. */
	atomic_store(&entry->is_removed, true);
	relied_on = atomic_load(&entry->is_relied_on);
	rcu_defer(&entry->rcu, mac_entry_free);
	return relied_on;
}

/*
 * Links a new entry in, making room for it. `changed` is set when verdicts may rest on what was
 * before. Returns NULL when there is no room or memory.
 */
static struct mac_entry *mac_entry_insert(struct mac_table *table, uint32_t hash,
					  const uint8_t mac[6], uint16_t vlan, uint32_t ofport,
					  uint64_t now, bool *changed) REQUIRES(table->lock)
{
	struct mac_entry *entry, *victim = NULL;

	if (graveyard_reserve(&table->yard))
		return NULL;
	if (table->stats.n_entries >= table->stats.limit) {
		victim = mac_table_choose_victim(table);
		if (!victim)
			return NULL;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	memcpy(entry->mac, mac, 6);
	entry->vlan = vlan;
	entry->hash = hash;
	atomic_init(&entry->ofport, ofport);
	atomic_init(&entry->used, now);
	if (hash_index_insert(&table->entries, hash, entry, &table->yard)) {
		free(entry);
		return NULL;
	}
	graveyard_run(&table->yard);
	table->stats.n_entries++;
	if (victim) {
		*changed |= mac_entry_remove(table, victim);
		table->stats.n_evicted++;
	}
	/* The entry is in: who looks from here on finds it, who looked before has left a mark. */
	*changed |= atomic_exchange(&table->marks[hash % MARKS], false);
	return entry;
}

void mac_table_destroy(struct mac_table *table)
{
	struct mac_entry *entry;
	struct mac_port *port;
	uint32_t i = 0;

	if (!table)
		return;
	mutex_lock(&table->lock);
	while ((entry = hash_index_walk(&table->entries, &i)))
		free(entry);
	while ((port = table->ports)) {
		table->ports = port->next;
		free(port);
	}
	graveyard_uninit(&table->yard);
	mutex_unlock(&table->lock);
	hash_index_uninit(&table->entries);
	mutex_uninit(&table->lock);
	free(table);
}

/* ---- look-up ---- */

uint32_t mac_table_peek(const struct mac_table *table, const uint8_t mac[6], uint16_t vlan)
{
	const struct mac_entry *entry =
		mac_entry_find(table, mac_hash(table, mac, vlan), mac, vlan);

	return entry ? atomic_load_explicit(&entry->ofport, RELAXED) : MAC_TABLE_NO_PORT;
}

uint32_t mac_table_lookup(struct mac_table *table, const uint8_t mac[6], uint16_t vlan)
{
	uint32_t hash = mac_hash(table, mac, vlan);
	_Atomic bool *mark = &table->marks[hash % MARKS];
	struct mac_entry *entry;

	do {
		entry = mac_entry_find(table, hash, mac, vlan);
		if (!entry) {
			if (!atomic_load(mark))
				atomic_store(mark, true);
			/* It may have come in just before the mark. */
			entry = mac_entry_find(table, hash, mac, vlan);
		}
		if (!entry)
			return MAC_TABLE_NO_PORT;
		if (!atomic_load(&entry->is_relied_on))
			atomic_store(&entry->is_relied_on, true);
		/* Removed just now: then it is not found a second time. */
	} while (unlikely(atomic_load(&entry->is_removed)));
	return atomic_load_explicit(&entry->ofport, memory_order_acquire);
}

/* ---- learning ---- */

/* Takes one change off the budget; false when it is used up. */
static bool mac_table_take_token(struct mac_table *table, uint64_t now) REQUIRES(table->lock)
{
	uint64_t passed = now > table->tokens_at ? now - table->tokens_at : 0;
	uint64_t fresh = passed >= CLOCK_NS_PER_S
				 ? LEARN_BURST
				 : passed * MAC_TABLE_LEARN_RATE / CLOCK_NS_PER_S;

	if (fresh) {
		table->tokens = (uint32_t)MIN(table->tokens + fresh, (uint64_t)LEARN_BURST);
		table->tokens_at = now;
	}
	if (!table->tokens) {
		atomic_store_explicit(&table->throttled_until, now + THROTTLE_NS, RELAXED);
		return false;
	}
	table->tokens--;
	return true;
}

static enum mac_learn mac_table_throttle(struct mac_table *table)
{
	atomic_fetch_add_explicit(&table->n_throttled, 1, RELAXED);
	return MAC_LEARN_REFUSED;
}

/* Enters or moves an address. */
static enum mac_learn mac_table_change(struct mac_table *table, uint32_t hash, const uint8_t mac[6],
				       uint16_t vlan, uint32_t ofport, uint64_t now)
	REQUIRES(table->lock)
{
	struct mac_entry *entry = mac_entry_find(table, hash, mac, vlan);
	struct mac_port *port = mac_port_get(table, ofport);
	bool changed = false;

	if (!port)
		return MAC_LEARN_REFUSED;
	if (entry && atomic_load_explicit(&entry->ofport, RELAXED) == ofport)
		return MAC_LEARN_KNOWN; /* another worker was first */
	if (entry && atomic_load_explicit(&entry->is_static, RELAXED))
		return MAC_LEARN_REFUSED;
	if (!mac_table_take_token(table, now))
		return mac_table_throttle(table);
	if (entry) {
		ring_remove(entry);
		atomic_store_explicit(&entry->used, now, RELAXED);
		atomic_store_explicit(&entry->ofport, ofport, memory_order_release);
		table->stats.n_moved++;
		changed = true;
	} else {
		entry = mac_entry_insert(table, hash, mac, vlan, ofport, now, &changed);
		if (!entry)
			return MAC_LEARN_REFUSED;
		table->stats.n_learned++;
	}
	ring_insert(port, entry);
	return changed ? MAC_LEARN_CHANGED : MAC_LEARN_NEW;
}

static void mac_entry_touch(struct mac_entry *entry, uint64_t now)
{
	uint64_t used = atomic_load_explicit(&entry->used, RELAXED);

	/* Racing stores leave one of two times that are equally good. */
	if (now > used + TOUCH_NS)
		atomic_store_explicit(&entry->used, now, RELAXED);
}

/* No station has such an address: groups, and none at all. */
static bool mac_is_learnable(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0;
}

enum mac_learn mac_table_learn(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			       uint32_t ofport, uint64_t now)
{
	uint32_t hash = mac_hash(table, mac, vlan);
	struct mac_entry *entry;
	enum mac_learn learn;

	if (unlikely(!mac_is_learnable(mac)))
		return MAC_LEARN_REFUSED;
	entry = mac_entry_find(table, hash, mac, vlan);
	if (likely(entry && atomic_load_explicit(&entry->ofport, RELAXED) == ofport)) {
		mac_entry_touch(entry, now);
		return MAC_LEARN_KNOWN;
	}
	if (entry && atomic_load_explicit(&entry->is_static, RELAXED))
		return MAC_LEARN_REFUSED;
	if (now < atomic_load_explicit(&table->throttled_until, RELAXED))
		return mac_table_throttle(table);
	mutex_lock(&table->lock);
	learn = mac_table_change(table, hash, mac, vlan, ofport, now);
	mutex_unlock(&table->lock);
	return learn;
}

enum mac_learn mac_table_touch(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			       uint32_t ofport, uint64_t used)
{
	const struct mac_entry *entry =
		mac_entry_find(table, mac_hash(table, mac, vlan), mac, vlan);
	uint64_t known = atomic_load_explicit(&table->flushed, RELAXED);

	if (entry && atomic_load_explicit(&entry->ofport, RELAXED) != ofport)
		known = atomic_load_explicit(&entry->used, RELAXED) + CREDIT_MARGIN_NS;
	if (used <= known)
		return MAC_LEARN_REFUSED;
	return mac_table_learn(table, mac, vlan, ofport, used);
}

/* ---- control ---- */

int mac_table_set_ageing(struct mac_table *table, uint32_t seconds, struct error *err)
{
	if (seconds > MAC_TABLE_AGEING_MAX)
		return error_set(err, ERANGE, "ageing of %u s: at most %u s", seconds,
				 MAC_TABLE_AGEING_MAX);
	mutex_lock(&table->lock);
	table->stats.ageing = seconds;
	mutex_unlock(&table->lock);
	return 0;
}

int mac_table_set_limit(struct mac_table *table, uint32_t limit, struct error *err)
{
	struct mac_entry *victim;
	int rc = 0;

	if (limit < 1 || limit > MAC_TABLE_LIMIT_MAX)
		return error_set(err, ERANGE, "limit of %u MAC addresses: 1 to %u", limit,
				 MAC_TABLE_LIMIT_MAX);
	mutex_lock(&table->lock);
	if (limit < table->stats.n_static) {
		rc = error_set(err, ERANGE, "limit of %u MAC addresses: %u are static", limit,
			       table->stats.n_static);
	} else {
		table->stats.limit = limit;
		while (table->stats.n_entries > limit &&
		       (victim = mac_table_choose_victim(table))) {
			mac_entry_remove(table, victim);
			table->stats.n_evicted++;
		}
	}
	mutex_unlock(&table->lock);
	return rc;
}

int mac_table_insert_static(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			    uint32_t ofport, struct error *err)
{
	uint32_t hash = mac_hash(table, mac, vlan);
	struct mac_entry *entry;
	bool changed = false;

	mutex_lock(&table->lock);
	entry = mac_entry_find(table, hash, mac, vlan);
	if (entry) {
		ring_remove(entry);
		atomic_store_explicit(&entry->ofport, ofport, memory_order_release);
	} else {
		entry = mac_entry_insert(table, hash, mac, vlan, ofport, 0, &changed);
	}
	if (entry && !atomic_load_explicit(&entry->is_static, RELAXED)) {
		atomic_store_explicit(&entry->is_static, true, RELAXED);
		table->stats.n_static++;
	}
	mutex_unlock(&table->lock);
	if (!entry)
		return error_set(err, ENOSPC,
				 "no room for a static entry: raise the limit of MAC addresses");
	return 0;
}

int mac_table_remove(struct mac_table *table, const uint8_t mac[6], uint16_t vlan, uint64_t now)
{
	struct mac_entry *entry;

	mutex_lock(&table->lock);
	entry = mac_entry_find(table, mac_hash(table, mac, vlan), mac, vlan);
	if (entry)
		mac_entry_remove(table, entry);
	mutex_unlock(&table->lock);
	atomic_store_explicit(&table->flushed, now, RELAXED);
	return entry ? 0 : -ENOENT;
}

/* Removes the entries that `match` chooses. Returns how many, and whether verdicts may rest on
 * one. */
static uint32_t mac_table_remove_if(struct mac_table *table,
				    bool (*match)(const struct mac_entry *entry, uint64_t arg),
				    uint64_t arg, bool *relied_on) REQUIRES(table->lock)
{
	struct mac_entry *entry;
	uint32_t i = 0, n = 0;

	while ((entry = hash_index_walk(&table->entries, &i))) {
		if (!match(entry, arg))
			continue;
		*relied_on |= mac_entry_remove(table, entry);
		n++;
	}
	return n;
}

static bool is_learned_at(const struct mac_entry *entry, uint64_t ofport)
{
	return !atomic_load_explicit(&entry->is_static, RELAXED) &&
	       (ofport == MAC_TABLE_NO_PORT ||
		atomic_load_explicit(&entry->ofport, RELAXED) == ofport);
}

static bool is_at(const struct mac_entry *entry, uint64_t ofport)
{
	return atomic_load_explicit(&entry->ofport, RELAXED) == ofport;
}

static bool is_older_than(const struct mac_entry *entry, uint64_t time)
{
	return !atomic_load_explicit(&entry->is_static, RELAXED) &&
	       atomic_load_explicit(&entry->used, RELAXED) < time;
}

uint32_t mac_table_flush(struct mac_table *table, uint32_t ofport, uint64_t now)
{
	bool relied_on = false;
	uint32_t n;

	mutex_lock(&table->lock);
	n = mac_table_remove_if(table, is_learned_at, ofport, &relied_on);
	mutex_unlock(&table->lock);
	atomic_store_explicit(&table->flushed, now, RELAXED);
	return n;
}

uint32_t mac_table_remove_port(struct mac_table *table, uint32_t ofport)
{
	struct mac_port **link, *port;
	bool relied_on = false;
	uint32_t n;

	mutex_lock(&table->lock);
	n = mac_table_remove_if(table, is_at, ofport, &relied_on);
	for (link = &table->ports; (port = *link); link = &port->next) {
		if (port->ofport == ofport) {
			*link = port->next;
			free(port);
			break;
		}
	}
	mutex_unlock(&table->lock);
	return n;
}

uint32_t mac_table_expire(struct mac_table *table, uint64_t now, bool *changed)
{
	uint32_t n = 0;
	uint64_t age;

	mutex_lock(&table->lock);
	age = table->stats.ageing * CLOCK_NS_PER_S;
	if (age && now > age)
		n = mac_table_remove_if(table, is_older_than, now - age, changed);
	table->stats.n_aged += n;
	mutex_unlock(&table->lock);
	return n;
}

void mac_table_dump(struct mac_table *table, uint64_t now, mac_table_dump_cb *cb, void *aux)
{
	struct mac_entry_info *infos;
	struct mac_entry *entry;
	uint32_t i = 0, n = 0;

	/* Copied first: workers must not wait for what `cb` does. */
	mutex_lock(&table->lock);
	infos = malloc((table->stats.n_entries + 1) * sizeof(*infos));
	while (infos && (entry = hash_index_walk(&table->entries, &i))) {
		struct mac_entry_info *info = &infos[n++];
		uint64_t used = atomic_load_explicit(&entry->used, RELAXED);

		memcpy(info->mac, entry->mac, 6);
		info->vlan = entry->vlan;
		info->ofport = atomic_load_explicit(&entry->ofport, RELAXED);
		info->is_static = atomic_load_explicit(&entry->is_static, RELAXED);
		info->age = info->is_static || used > now ? 0 : now - used;
	}
	mutex_unlock(&table->lock);
	for (i = 0; i < n; i++)
		cb(aux, &infos[i]);
	free(infos);
}

void mac_table_get_stats(struct mac_table *table, struct mac_table_stats *stats)
{
	mutex_lock(&table->lock);
	*stats = table->stats;
	mutex_unlock(&table->lock);
	stats->n_throttled = atomic_load_explicit(&table->n_throttled, RELAXED);
}
