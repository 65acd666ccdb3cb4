/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_mem_priv.h - what port_mem.c (control) and port_mem_io.c (workers) share.
 *
 * A `struct mem_wire` has two ends; each end has a ring for every receive queue there. A port holds
 * one end: it receives from that end's rings and transmits into the other's. Who holds the other
 * end: peer=NAME   the port of that name, or nobody yet (or any more): its rings are shut
 *   collect=on  the port itself, on the test's behalf
 *   neither     nobody; transmitting does not touch the wire
 * A wire between two ports is found by their names; it is freed when both have closed, so that a
 * worker which still transmits at one end never meets a freed ring.
 *
 * Frames in a ring belong to its `owner`, a queue's id: closing the port gets them back with
 * frame_pool_reclaim().
 *
 * Sleeping: a receive queue's fd is a timer. Arming it sets the time at which a rate-limited replay
 * has its next packet (or never); whoever puts a packet into an armed ring makes it go off at once.
 *
 * Thread-safety: rings have locks. Wires are made, joined and left under the mutex in port_mem.c.
 */
#ifndef VSWITCH_DATAPATH_PORT_MEM_PRIV_H
#define VSWITCH_DATAPATH_PORT_MEM_PRIV_H

#include "datapath/capture.h"
#include "datapath/port_mem.h"
#include "lib/rcu.h"

struct mem_port;

/* A bounded queue of packets: producers and consumers in any number. */
struct mem_ring {
	struct spinlock lock cacheline_aligned;
	uint32_t head; /* next to take, free running; written under lock, read by anyone */
	uint32_t tail; /* next to put, likewise */
	uint32_t owner GUARDED; /* of the packets inside; lock */
	bool is_open GUARDED; /* somebody takes packets out; lock */
	int fd GUARDED; /* the consumer's timer, -1: none; lock */
	bool is_armed; /* the consumer wants `fd` to go off; atomic */
	struct packet *slots[MEM_RING_SIZE] GUARDED; /* lock */
};

/* One end of a wire. */
struct mem_end {
	char name[PORT_NAME_SIZE]; /* of the port that may hold it */
	struct mem_port *port; /* who holds it now; NULL: nobody. Under the mutex */
	unsigned int n_rings; /* rings in use, 0: nobody there. Atomic: rings are set before it */
	struct mem_ring *rings[PORT_QUEUES_MAX]; /* made when first needed, freed with the wire */
};

struct mem_wire {
	struct mem_wire *next; /* in the list of wires between ports; mutex */
	struct datapath *dp; /* whose ports it joins */
	struct mem_end ends[2];
};

/* A packet to be replayed. */
struct mem_record {
	const uint8_t *data; /* in the capture; padded to CAPTURE_ALIGN */
	uint32_t len; /* bytes */
	uint32_t hash; /* flow_key_hash() */
	struct flow_layout layout;
};

/* One queue's share of a capture file. The polling worker alone changes `next`, `loop`, `sent` and
 * `start_ns`. */
struct mem_replay {
	struct mem_record *records cacheline_aligned; /* owned */
	uint32_t n; /* of records */
	uint32_t next; /* the record that is due */
	uint64_t loop; /* rounds made */
	uint64_t n_loops; /* rounds to make; UINT64_MAX: forever */
	uint64_t sent; /* packets so far */
	uint64_t interval_ps; /* picoseconds between packets; 0: as fast as they are taken */
	uint64_t start_ns; /* clock_now() of the first poll, 0: not begun */
	bool has_metadata; /* hand hash and layout over */
	bool is_done; /* no packet left; atomic */
};

struct mem_rxq {
	struct port_rxq rxq cacheline_aligned;
	struct mem_ring *ring; /* in the port's end of the wire */
	RCU_POINTER(struct mem_replay) replay; /* NULL: none */
};

struct mem_txq {
	struct port_txq txq cacheline_aligned;
	struct mem_end *far; /* the other end of the wire; NULL: a null port */
	struct capture_writer *recorder; /* tx=FILE; NULL: not recorded */
};

/* A file that was given to replay, with every queue's share. */
struct mem_source {
	char *path;
	struct capture *capture;
	struct mem_replay replays[PORT_QUEUES_MAX];
};

struct mem_port {
	struct port port;
	struct mem_wire *wire;
	unsigned int side; /* our end: wire->ends[side] */
	bool has_metadata; /* metadata=on */
	bool does_collect; /* collect=on: the far end is ours too */
	struct mem_source *source; /* rx=FILE; NULL: none */
	struct capture_writer *recorder; /* tx=FILE; NULL: none */
	struct mutex inject_lock;
	struct frame_cache inject_cache GUARDED; /* frames for port_mem_inject(); inject_lock */
	struct mem_rxq rxqs[PORT_QUEUES_MAX];
	struct mem_txq txqs[PORT_QUEUES_MAX];
};

unsigned int port_mem_rx(struct port_rxq *rxq, struct frame_cache *cache,
			 struct port_counters *counters, struct packet **packets, unsigned int max);
void port_mem_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		 struct packet **packets, unsigned int n);
bool port_mem_arm(struct port_rxq *rxq);

/* Puts up to `n` packets, held by the caller, into the ring. Returns how many fitted; -EPIPE: shut.
 */
int mem_ring_put(struct mem_ring *ring, struct packet **packets, unsigned int n);
/* Takes up to `max` packets out; the caller holds them then. */
unsigned int mem_ring_take(struct mem_ring *ring, struct packet **packets, unsigned int max);
/* Makes the consumer's fd readable, if it is armed. */
void mem_ring_wake(struct mem_ring *ring);

#endif /* VSWITCH_DATAPATH_PORT_MEM_PRIV_H */
