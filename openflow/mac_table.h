/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mac_table.h - which station lives behind which port of a bridge, learned from source addresses.
 *
 * An entry says: MAC address M in VLAN V was last seen at port P, at time T. Entries age out, are
 * limited in number, and can be put in by hand (static: never learned over, aged or evicted).
 *
 * Data structure: a hash index (hash_index.h) to entries, read without locks, its hash seeded by
 * chance; beside it, for each port, a ring of what was learned there, oldest first. When the table
 * is full, a new address takes the place of the oldest entry of the port that has most, so that one
 * port that makes addresses up cannot push out the others.
 *
 * Who depends on what. A verdict of `normal` rests on two facts: the source is known to live at the
 * ingress port, and the destination lives at some port, or is unknown and therefore flooded. A
 * cached flow records both facts and checks them again (xlate.h) when the datapath's generation has
 * changed. So a change here need not name the flows that it concerns, it only has to bump the
 * generation, and that only if a cached flow may rest on the old state:
 *   - an entry that moves: always;
 *   - one that goes away: only if mac_table_lookup() told somebody of it since it came;
 *   - a new entry: only if a packet to an address of its bucket was flooded since the last bump.
 *     mac_table_lookup() marks the bucket before it looks, mac_table_learn() looks at the mark
 *     after it inserted: one of the two sees the other.
 *
 * Storms: at most MAC_TABLE_LEARN_RATE changes a second (with a burst of as many as half that) are
 * made from packets; past that addresses stay unlearned, which floods, and are counted. Touching
 * known entries is free of it. mac_table_touch() learns later what the limit left out.
 *
 * Life cycle: made with its bridge. Entries are freed a grace period after they are unlinked.
 *
 * Thread-safety: lookup, learn and touch by any thread inside an RCU read-side critical section;
 * changes take a short mutex. The rest is for the control thread.
 */
#ifndef VSWITCH_OPENFLOW_MAC_TABLE_H
#define VSWITCH_OPENFLOW_MAC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/util.h"

#define MAC_TABLE_AGEING_DEFAULT 300 /* s */
#define MAC_TABLE_AGEING_MAX 1000000 /* s */
#define MAC_TABLE_LIMIT_DEFAULT 8192 /* entries */
#define MAC_TABLE_LIMIT_MAX (1u << 20)
#define MAC_TABLE_LEARN_RATE 20000 /* changes/s made from packets */

/* No port: the address is unknown. */
#define MAC_TABLE_NO_PORT 0

struct mac_table;

/* What happened to a source address. */
enum mac_learn {
	MAC_LEARN_KNOWN, /* it was there; its age starts anew */
	MAC_LEARN_NEW, /* entered; nobody depended on its absence */
	MAC_LEARN_CHANGED, /* entered or moved: bump the generation */
	MAC_LEARN_REFUSED, /* multicast, a static entry elsewhere, or over the limits */
};

/* What a listing tells of an entry. */
struct mac_entry_info {
	uint8_t mac[6];
	uint16_t vlan; /* 0: untagged */
	uint32_t ofport; /* OpenFlow port number */
	uint64_t age; /* ns since the last packet; 0 for static entries */
	bool is_static;
};

struct mac_table_stats {
	uint32_t n_entries; /* all, static ones too */
	uint32_t n_static;
	uint32_t limit;
	uint32_t ageing; /* s; 0: entries do not age */
	uint64_t n_learned; /* new entries made from packets, so far */
	uint64_t n_moved;
	uint64_t n_aged;
	uint64_t n_evicted; /* to make room */
	uint64_t n_throttled; /* packets that were not learned from, for the rate limit */
};

int mac_table_create(struct mac_table **tablep) WARN_UNUSED;
/* No reader may be left. NULL is allowed. */
void mac_table_destroy(struct mac_table *table);

/* Seconds until an unused entry goes, 0: never; and most entries. Returns 0, -ERANGE or -ENOMEM. */
int mac_table_set_ageing(struct mac_table *table, uint32_t seconds, struct error *err) WARN_UNUSED;
int mac_table_set_limit(struct mac_table *table, uint32_t limit, struct error *err) WARN_UNUSED;

/* The port behind which `mac` lives in `vlan`, or MAC_TABLE_NO_PORT: then the bucket is marked, see
 * above. */
uint32_t mac_table_lookup(struct mac_table *table, const uint8_t mac[6], uint16_t vlan);
/* The same without the mark: for who does not build a verdict on the answer. */
uint32_t mac_table_peek(const struct mac_table *table, const uint8_t mac[6], uint16_t vlan);

/* A packet from `mac` came in by `ofport` at `now` (ns). */
enum mac_learn mac_table_learn(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			       uint32_t ofport, uint64_t now);

/*
 * Cached flows carried packets from `mac` by `ofport`, the last at `used` (ns, in the past). Keeps
 * the entry fresh. Where there is none, or one elsewhere that has been silent for longer, learns
 * it.
 */
enum mac_learn mac_table_touch(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			       uint32_t ofport, uint64_t used);

/* Puts in a static entry; a learned one at its place is turned into it. Returns 0, -ENOSPC,
 * -ENOMEM. */
int mac_table_insert_static(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
			    uint32_t ofport, struct error *err) WARN_UNUSED;
/* Removes an entry, static or learned. Packets from before `now` do not bring it back. Returns 0 or
 * -ENOENT. */
int mac_table_remove(struct mac_table *table, const uint8_t mac[6], uint16_t vlan,
		     uint64_t now) WARN_UNUSED;

/* Removes what was learned (of `ofport` only, unless it is MAC_TABLE_NO_PORT). Packets from before
 * `now` do not bring it back. Returns how many; the caller bumps the generation. */
uint32_t mac_table_flush(struct mac_table *table, uint32_t ofport, uint64_t now);
/* Removes all entries of a port, static ones too: it is going away. Returns how many. */
uint32_t mac_table_remove_port(struct mac_table *table, uint32_t ofport);

/* Removes entries that are past their age at `now`. About once a second. Returns how many; sets
 * `changed` (which it never clears) when a verdict may rest on one: bump the generation. */
uint32_t mac_table_expire(struct mac_table *table, uint64_t now, bool *changed);

/* Calls `cb` for each entry, in no order. `cb` must not call back. */
typedef void mac_table_dump_cb(void *aux, const struct mac_entry_info *info);
void mac_table_dump(struct mac_table *table, uint64_t now, mac_table_dump_cb *cb, void *aux);

void mac_table_get_stats(struct mac_table *table, struct mac_table_stats *stats);

#endif /* VSWITCH_OPENFLOW_MAC_TABLE_H */
