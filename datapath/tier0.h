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
 * Unless they are pinned (tier0_config.bpffs): then programs and tables outlive a process that is
 * killed, or that has said so (tier0_keep), and hot flows go on. The next one takes them over as
 * they are. Its ports get the numbers that they had; its programs hold slots to the generation
 * that was left, whatever it changes, until it has the rules (tier0_adopt): then each flow is
 * translated anew, and goes on if the answer is the same. What nobody knows any more is removed.
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
struct pin_dir;
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

struct tier0_config {
	bool wanted;
	uint32_t max_flows; /* a power of two; 0: a default */
	/* A BPF file system, and the folder in it, to pin everything in; NULL: nothing is pinned */
	const char *bpffs;
	const char *pin_name;
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
	const char *pinned; /* the folder; NULL: nothing is pinned */
	const char *why_not_pinned; /* "": nobody has asked for it */
};

/* ---- control thread ------------------------------------------------------------------------- */

/* Makes the control map, if it is wanted and possible; else there is no tier 0, and the generation
 * is kept in ordinary memory. Or takes over what is pinned. Returns 0 or -ENOMEM. */
int tier0_create(const struct tier0_config *config, struct tier0 **tier0p) WARN_UNUSED;
/* No program may be attached any more but those that are kept, no worker may run. NULL is allowed.
 */
void tier0_destroy(struct tier0 *tier0);

/* Takes away what another process has left pinned there. Returns 0, or a negative errno with `err`
 * set when the folder cannot be looked into. */
int tier0_discard(const char *bpffs, const char *pin_name, struct error *err) WARN_UNUSED;

/* From here on programs, tables and answers stay as they are, also when ports close and tier0 is
 * destroyed. Without pins: nothing. */
void tier0_keep(struct tier0 *tier0);

/* For drivers: where to pin, NULL: nowhere. */
struct pin_dir *tier0_get_pins(const struct tier0 *tier0);

/* The number that the port of that name had when its flows were made; 0: none. Until
 * tier0_adopt(). */
uint32_t tier0_get_former_no(const struct tier0 *tier0, const char *name);
/* Had some port that number? */
bool tier0_is_former_no(const struct tier0 *tier0, uint32_t no);

/* Ports are open, rules are known: checks what was taken over, in the workers, and removes what is
 * stale. Does nothing when nothing was. */
void tier0_adopt(struct datapath *dp);

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
