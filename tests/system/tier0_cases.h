/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SYSTEM_TIER0_CASES_H
#define TESTS_SYSTEM_TIER0_CASES_H

/*
 * Random cases for the programs that carry tier 0 out: a packet, the mask that a translation has
 * looked at, a list of actions, and the slot that these are compiled to; and what user space makes
 * of the same packet. Who has a program (tier0_xdp.c, tier0_tc.c) runs it on the packet and
 *compares.
 *
 *	if (!tier0_case_make(&c, &rng, several))
 *		continue;			// cannot be expressed
 *	tier0_case_install(&c, &rng, &maps);
 *	... run ...
 *	err = tier0_case_apply(&c, finishes, expected, &expected_len, &is_partial);
 *
 * A case is made of its seed alone; when one fails, its seed is printed.
 *
 * Thread-safety: one thread.
 */

#include "bpf/tier0_maps.h"
#include "datapath/action.h"
#include "datapath/tier0_compile.h"
#include "tests/unit/packets.h"
#include "tests/unit/random.h"

#define TIER0_CASE_ACTIONS 6
/* That a case has room for; rules make more of them. */
#define TIER0_CASE_ACTIONS_MAX 32
/* Datapath port numbers; TIER0_CASE_COPY gets copies. */
#define TIER0_CASE_IN 1
#define TIER0_CASE_OUT 2
#define TIER0_CASE_COPY 3
/* Number of the slot. */
#define TIER0_CASE_SLOT 5
/* Longest frame that the output port takes. */
#define TIER0_CASE_LEN_MAX 1518
/* Bytes that no case has. */
#define TIER0_CASE_BUF_SIZE 4096

struct tier0_case {
	uint64_t seed;
	uint8_t frame[PACKETS_SIZE_MAX];
	uint32_t len;
	struct flow_key key; /* of the frame */
	struct flow_layout layout;
	struct flow_key mask;
	struct action actions[TIER0_CASE_ACTIONS_MAX];
	uint32_t n_actions;
	bool maybe_partial; /* the port's frames may have partial checksums */
	struct tier0_slot slot;
};

void tier0_cases_init(void);
void tier0_cases_uninit(void);

/* Makes the case of c->seed, from which `rng` was seeded. Returns false when tier 0 cannot express
 * it. `several`: the program sends copies. */
bool tier0_case_make(struct tier0_case *c, struct random *rng, bool several);

/* The same in parts, for who has mask and actions from elsewhere: makes the packet; false: it is
 * too short for one. */
bool tier0_case_make_packet(struct tier0_case *c, struct random *rng);
/* Makes the slot of mask and actions. */
bool tier0_case_compile(struct tier0_case *c, struct random *rng, bool several);

/* Puts the case's flow in, behind a few masks that have nothing. */
void tier0_case_install(struct tier0_case *c, struct random *rng, struct tier0_maps *maps);

/* What user space makes of the packet. `finishes`: the port where it goes takes no partial
 * checksum. Returns 0 or a drop reason as a negative number. */
int tier0_case_apply(const struct tier0_case *c, bool finishes, uint8_t *out, uint32_t *len,
		     bool *is_partial);

/* Does a packet that the flow is for have what the steps need? */
bool tier0_case_has_needs(const struct tier0_case *c, uint32_t out_len);

/* Changes bytes of the headers: the packet may be one of the flow's still. Returns whether. */
bool tier0_case_mutate(struct tier0_case *c, struct random *rng, struct tier0_maps *maps);

/* Fails the test, with the case in words. */
void tier0_case_fail(const struct tier0_case *c, const char *what);

#endif
