/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datapath.h - the whole of the packet-moving half: frame pool, ports, workers, caches.
 *
 * Runs without a daemon: tests and benchmarks make one, give it a pipeline (pipeline.h) and mem
 * ports.
 *
 *     ports --rx--> worker --> signature cache --> megaflow cache --> pipeline (rules)
 *       ^                                  |
 *       +---------------tx---- actions <---+
 *
 * Ownership: the datapath owns pool, ports and workers. Workers own their caches. The pipeline's
 * owner outlives the datapath.
 *
 * Thread-safety: datapath_* functions are for the one control thread, unless they say otherwise.
 * The control thread must be registered with RCU (datapath_create() does it) and must not be inside
 * a read-side critical section when it calls them: several wait for a grace period.
 */
#ifndef VSWITCH_DATAPATH_DATAPATH_H
#define VSWITCH_DATAPATH_DATAPATH_H

#include <stdint.h>
#include "datapath/pipeline.h"
#include "datapath/port.h"
#include "datapath/tier0.h"
#include "lib/error.h"

struct flow;
struct worker;

/* Most workers. */
#define DATAPATH_WORKERS_MAX 64

struct datapath_config {
	unsigned int n_workers; /* 1..DATAPATH_WORKERS_MAX */
	const int *cores; /* n_workers CPU numbers to pin to, -1: not pinned; NULL: none is
			   * pinned */
	uint32_t n_frames; /* frames in the pool; 0: a default */
	uint32_t max_flows; /* megaflows a worker may cache; 0: a default */
	struct tier0_config tier0; /* how BPF programs carry hot flows out, where ports can */
	const struct pipeline *pipeline;
	void *pipeline_aux;
};

struct datapath;

/* Makes the datapath and starts its workers, idle. Returns 0 or a negative errno with `err` set. */
int datapath_create(const struct datapath_config *config, struct datapath **dpp,
		    struct error *err) WARN_UNUSED;

/* Removes all ports, stops the workers, frees everything. NULL is allowed. */
void datapath_destroy(struct datapath *dp);

/* Opens a port and puts it to work. Stores its number. Returns 0 or a negative errno with `err`
 * set:
 * -EEXIST for a name in use. */
int datapath_add_port(struct datapath *dp, const char *type, const struct port_config *config,
		      uint32_t *port_no, struct error *err) WARN_UNUSED;

/* Removes a port: on return no worker uses it and all its frames are back. Returns 0 or -ENOENT. */
int datapath_remove_port(struct datapath *dp, uint32_t port_no) WARN_UNUSED;

/* The port of that number or name, or NULL; valid until it is removed. */
struct port *datapath_get_port(const struct datapath *dp, uint32_t port_no);
struct port *datapath_lookup_port(const struct datapath *dp, const char *name);

/* What all ports counted that were removed since the start. */
void datapath_get_removed_counters(const struct datapath *dp, struct port_counters *sum);

/*
 * What ports have to do in the control thread (a guest calls, or is to be called): a descriptor to
 * watch for reading, the same for the datapath's whole life, and what to call when it is readable.
 * Deadlines of ports make it readable, too.
 */
int datapath_get_control_fd(const struct datapath *dp);
void datapath_run_control(struct datapath *dp);

/* Tells every cached verdict to be checked again before its next use, and waits until no worker
 * uses an old one. */
void datapath_invalidate(struct datapath *dp);
/* As datapath_invalidate() without the wait; for workers, within the pipeline (MAC learning). */
void datapath_invalidate_async(struct datapath *dp);
/* The present generation. Any thread. */
uint64_t datapath_get_generation(const struct datapath *dp);

/* For drivers, in open(): the maps for the port's BPF program, or NULL with `why` set. */
const struct tier0_maps *datapath_reserve_tier0(struct datapath *dp, struct error *why);
/* For drivers, in refresh() and set(): port->tier0.target has changed. */
void datapath_update_target(struct port *port);
/* For drivers: where to pin what is to outlive us; NULL: nowhere. */
struct pin_dir *datapath_get_pins(const struct datapath *dp);
/* All ports that were configured are open, and the pipeline knows the rules: hot flows that another
 * process has left go on if they are still right. */
void datapath_adopt_tier0(struct datapath *dp);
/* From here on hot flows go on in the kernel as they are, also when the datapath is destroyed, if
 * they are pinned. */
void datapath_keep_tier0(struct datapath *dp);
/* Why there is no tier 0 for any port; "" when there is one or none was asked for. */
const char *datapath_get_tier0_error(const struct datapath *dp);
void datapath_get_tier0_stats(struct datapath *dp, struct tier0_stats *stats);

/* Makes each worker credit what its flows counted so far; counters of rules are exact on return. */
void datapath_fold_counters(struct datapath *dp);

/* Removes cached flows that carried nothing for `idle_ns`; folds counters too. To be called about
 * once a second. */
void datapath_sweep(struct datapath *dp, uint64_t idle_ns);

/* Describes one cached megaflow to dump-cache. */
struct datapath_flow_info {
	unsigned int worker;
	const struct flow_key *key;
	const struct flow_key *mask;
	const struct action *actions;
	uint32_t n_actions;
	enum drop_reason drop_reason;
	uint64_t n_packets;
	uint64_t n_bytes;
	uint64_t used_ns; /* clock_now() of the last packet; 0: never */
	uint64_t n_signature; /* of n_packets, how many tier 1 answered */
	uint64_t n_tier0; /* of n_packets, how many tier 0 carried */
	enum tier0_reason tier0_reason; /* why it is not in tier 0 now; TIER0_NONE: it is */
};
typedef void datapath_flow_cb(void *aux, const struct datapath_flow_info *info);

/* Calls `cb` for a copy of each cached flow of worker `worker` (-1: all), in the calling thread.
 * Returns 0, or -ENOMEM when some were left out. */
int datapath_dump_flows(struct datapath *dp, int worker, datapath_flow_cb *cb, void *aux);

/* What a worker did; single writer, read any time. */
struct worker_stats {
	uint64_t rx_packets; /* that came to user space */
	uint64_t hits_tier0; /* packets of its flows that did not */
	uint64_t hits_signature; /* tier 1 */
	uint64_t hits_megaflow; /* tier 2 */
	uint64_t misses; /* tier 3: translations */
	uint64_t revalidations; /* of flows of an older generation */
	uint64_t subtables_probed; /* by all tier 2 look-ups together */
	uint64_t polls; /* rounds over the queues */
	uint64_t sleeps; /* times it went to sleep */
	uint64_t busy_ns; /* time awake */
	uint64_t n_flows; /* megaflows cached now */
	uint64_t n_subtables; /* masks among them */
	unsigned int n_rxqs; /* receive queues it polls */
	int core; /* CPU it is pinned to, -1: none */
};
unsigned int datapath_get_n_workers(const struct datapath *dp);
void datapath_get_worker_stats(const struct datapath *dp, unsigned int worker,
			       struct worker_stats *stats);

/* Frames in the pool, and its memory. */
struct frame_pool *datapath_get_pool(const struct datapath *dp);

/* A cache for the control thread's own packets. */
struct frame_cache *datapath_get_control_cache(struct datapath *dp);

#endif /* VSWITCH_DATAPATH_DATAPATH_H */
