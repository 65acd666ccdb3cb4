/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xlate.h - translation: what the rules of a bridge say about a packet, as a verdict for the
 * datapath.
 *
 * For a packet that missed the caches: find the bridge that its port belongs to, look the headers
 * up in the bridge's tables, turn the winning rule's actions into datapath actions, and collect on
 * the way every bit of the packet that a decision rested on. Any packet that agrees in these bits
 * gets the same verdict; that is what makes it a megaflow.
 *
 * Looking at a field that an earlier action has set wholly is not looking at the packet: such bits
 * stay wildcarded.
 *
 * Limits, so that no rule can make a verdict grow without bound: XLATE_NORMALS_MAX `normal`s
 * in one translation, ACTION_LIST_MAX datapath actions; past them the packet drops as flow_limit.
 *
 * The verdict's cookie is a record of what it rests on: bridge, port configuration, version of the
 * rules, the rule that won, and for each `normal` which source was learned where and where the
 * destination was found. With it revalidation is a handful of comparisons and one or two MAC
 * look-ups, and traffic is credited.
 *
 * Thread-safety: the pipeline's operations are for workers, see pipeline.h.
 */
#ifndef VSWITCH_OPENFLOW_XLATE_H
#define VSWITCH_OPENFLOW_XLATE_H

#include "datapath/pipeline.h"

/* Most `normal` actions in one translation. */
#define XLATE_NORMALS_MAX 4

/* The datapath's pipeline over a struct bridge_table (its aux). */
extern const struct pipeline xlate_pipeline;

#endif /* VSWITCH_OPENFLOW_XLATE_H */
