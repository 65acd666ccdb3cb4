/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SYSTEM_TIER0_RULES_H
#define TESTS_SYSTEM_TIER0_RULES_H

/*
 * Cases for the programs that carry tier 0 out (tier0_cases.h), of which mask and actions come out
 * of real rule tables: random rules, some of which the packet meets, in a bridge with the ports of
 * a case; what translation makes of the packet is what is compiled.
 *
 * tier0_rules_check() holds another packet of the same flow against the tables once more: the mask
 * must have told all that the verdict rests on.
 *
 * Thread-safety: one thread, which has joined RCU by tier0_rules_init().
 */

#include "tests/system/tier0_cases.h"

void tier0_rules_init(void);
void tier0_rules_uninit(void);

/* As tier0_case_make(). */
bool tier0_rules_make(struct tier0_case *c, struct random *rng, bool several);

/* The case's packet has changed, in bits outside of the mask: the tables say the same of it. */
void tier0_rules_check(const struct tier0_case *c);

#endif
