/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_MODEL_RANDOM_H
#define TESTS_UNIT_MODEL_RANDOM_H

/*
 * Random matches and actions of the kind that the model (switch_model.h) knows: few values for each
 * field, the same that the packets have, so that rules overlap and are met.
 *
 * Thread-safety: one generator belongs to one thread.
 */

#include "openflow/match.h"
#include "openflow/ofaction.h"
#include "tests/unit/random.h"

/* Hosts that rules know, from 0 on. */
#define MODEL_RANDOM_HOSTS 10

/* An address in 198.18.0.0/15, host order. */
uint32_t model_random_address(struct random *rng);

void model_random_match(struct random *rng, struct match *match);

/* Up to two outputs with header changes ahead of each; sometimes nothing. The caller owns the
 * list. */
void model_random_actions(struct random *rng, struct ofaction_list *list);

#endif
