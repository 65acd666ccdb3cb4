/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_SWITCH_MODEL_H
#define TESTS_UNIT_SWITCH_MODEL_H

/*
 * A switch in the plainest code there is, to hold the real one against: a list of rules that is
 * searched from end to end, an array of who lives where, and packets as structures whose members
 * actions change, written out as frames only at the end. No cache, no mask, no index, no datapath.
 *
 * What it shares with the real one: the parser of headers (flow_parse.h) and struct match.
 *
 * Thread-safety: one thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include "openflow/rule.h"
#include "tests/unit/frames.h"

#define MODEL_RULES 64
#define MODEL_PORTS 6  /* OpenFlow ports 1..MODEL_PORTS */
#define MODEL_HOSTS 16
#define MODEL_VLANS 32 /* VLANs below that number are used */
#define MODEL_OUTPUTS 64
#define MODEL_FRAME 256

struct model_packet {
	uint32_t in_port; /* OpenFlow number */
	uint8_t dst[6];
	uint8_t src[6];
	struct frame_spec spec;
};

struct model_rule {
	bool is_there;
	struct rule_spec spec; /* actions are owned */
	uint64_t n_packets;
};

struct model_port {
	bool is_there;
	uint16_t tag;
	bool is_limited; /* a trunk that carries VLANs 0 and 20 only */
};

struct model {
	struct model_rule rules[MODEL_RULES];
	struct model_port ports[MODEL_PORTS + 1];
	uint32_t location[MODEL_VLANS][MODEL_HOSTS]; /* port, 0: unknown */
	bool is_dry; /* do not learn or count, only tell in `would_learn` */
	bool would_learn;
};

struct model_output {
	uint32_t port;
	uint32_t len;
	uint8_t frame[MODEL_FRAME];
};

/* What becomes of one packet or several. */
struct model_outputs {
	uint32_t n;
	struct model_output list[MODEL_OUTPUTS];
};

/* The address of host `n`; those from MODEL_HOSTS on are nobody's. */
void model_mac(uint32_t n, uint8_t mac[6]);

/* Writes the packet as a frame; returns its length. */
uint32_t model_build(const struct model_packet *packet, uint8_t *frame);

/* The rule with the highest priority that matches, or NULL. */
struct model_rule *model_lookup(struct model *model, const struct model_packet *packet);

/* Sends a packet through: counts, learns, and appends what comes out. */
void model_run(struct model *model, const struct model_packet *packet,
	       struct model_outputs *outputs);

/* Changes of rules, as flow_table.h has them. */
void model_add(struct model *model, const struct rule_spec *spec);
void model_modify(struct model *model, const struct rule_spec *spec, bool strict);
void model_delete(struct model *model, const struct rule_spec *spec, bool strict);
void model_clear(struct model *model);
uint32_t model_count_rules(const struct model *model);

/* Nobody lives at `port` any more; 0: anywhere. */
void model_forget(struct model *model, uint32_t port);

#endif
