/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tier0.h - the kernel tier: hot megaflows that BPF programs carry out, so that their packets never
 * reach user space.
 *
 * The tables lie in memory that programs and workers share (bpf/tier0.h). What is in them, and who
 * writes it:
 *
 *   - the generation, which is the datapath's own: one store makes every answer stale, in the
 *     kernel as in the workers' caches (pipeline.h). A stale answer is not used, its packet goes to
 *     the worker, which asks the rules and calls the answer valid again or takes it out.
 *   - a slot belongs to one flow of one worker (tier0_flow.h), which alone stamps it, reads its
 *     counters and gives it up. Two workers may have the same megaflow: the first one has the slot.
 *   - masks and hash buckets are changed under a lock, in a few hundred nanoseconds.
 *   - targets and the programs' port numbers are the control thread's.
 *
 * Whatever is given up (a slot, a mask, a device) may still be in the hands of a program that runs.
 * It is labelled, and used anew when a grace period of the kernel's RCU has passed since;
 * membarrier(2) tells, for programs run in RCU read-side critical sections.
 *
 * Where something is missing (privilege, kernel) there is no tier 0; tier0_get_error() says what.
 *
 * Life cycle: made with the datapath, before its workers. The tables, some 40 MB, are made when the
 * first driver asks for them (tier0_reserve), and go with the datapath.
 *
 * Thread-safety: as each function says.
 */
#ifndef VSWITCH_DATAPATH_TIER0_H
#define VSWITCH_DATAPATH_TIER0_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "bpf/tier0.h"
#include "datapath/tier0_compile.h"
#include "lib/error.h"

/* Flows that fit unless told otherwise; a power of two. */
#define TIER0_FLOWS_DEFAULT 131072u

struct datapath;
struct port;
struct tier0;
struct tier0_maps;

/* What a port's driver has for tier 0; all zero: nothing. Set in open(), `target` in refresh() and
 * set() as well (then call tier0_update_port()). */
struct port_tier0 {
	struct tier0_port *program; /* port of the BPF program that looks up what comes in here,
				     * mapped; NULL: there is none. in_port is the datapath's */
	struct tier0_target target; /* what BPF programs may send here; flags 0: nothing */
	bool several; /* the program can send copies */
	uint32_t sends_by; /* the program can send to targets with this flag: TIER0_TARGET_XDP or
			    * TIER0_TARGET_TC */
	struct error why_no_program; /* means nothing if there is one */
	struct error why_no_target; /* means nothing if target.flags is set */
};

struct tier0_stats {
	bool is_on; /* there are tables */
	uint32_t max_flows;
	uint32_t n_flows; /* that are in now */
	uint32_t n_waiting; /* slots that wait for a grace period */
	uint32_t n_masks;
	uint64_t n_inserted; /* ever */
	uint64_t n_refused; /* for want of room, ever */
	uint64_t insert_ns; /* time that all of these took */
	uint64_t memory; /* bytes of the tables */
};

/* ---- control thread ------------------------------------------------------------------------- */

/* Makes the control map, if `wanted` and possible; else there is no tier 0, and the generation is
 * kept in ordinary memory. Returns 0 or -ENOMEM. */
int tier0_create(bool wanted, uint32_t max_flows, struct tier0 **tier0p) WARN_UNUSED;
/* No program may be attached any more, no worker may run. NULL is allowed. */
void tier0_destroy(struct tier0 *tier0);

/* The datapath's generation. */
atomic_uint_fast64_t *tier0_get_generation(struct tier0 *tier0);

/* For drivers' open(): makes the tables, if they are not there yet. Returns NULL with `why` set
 * when there is no tier 0. */
const struct tier0_maps *tier0_reserve(struct tier0 *tier0, struct error *why);

/* Why there is no tier 0; "" when there is, or nobody has asked for the tables yet. */
const char *tier0_get_error(const struct tier0 *tier0);

void tier0_get_stats(struct tier0 *tier0, struct tier0_stats *stats);

/* Puts a port that workers know to use, as source and target. */
void tier0_add_port(struct tier0 *tier0, struct port *port);
/* Ends it: on return no program looks up what comes in by the port, nor sends anything there. */
void tier0_remove_port(struct tier0 *tier0, struct port *port);
/* For drivers: port->tier0.target has changed. Returns true when less can be sent there than
 * before: bump the generation. */
bool tier0_update_port(struct tier0 *tier0, struct port *port);

/* Waits until no program holds what was given up before; 8 to 16 ms. */
void tier0_wait(struct tier0 *tier0);
/* About once a second: waits likewise, if somebody waits for it, and puts the busiest masks
 * first. */
void tier0_run(struct tier0 *tier0);

#endif /* VSWITCH_DATAPATH_TIER0_H */
