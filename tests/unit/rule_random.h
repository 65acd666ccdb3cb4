/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_RULE_RANDOM_H
#define TESTS_UNIT_RULE_RANDOM_H

/*
 * Random rules that a person could have written: each field only where its prerequisites hold,
 * exact, by prefix or with an arbitrary mask. Few values for each field, so that rules overlap.
 * They are made by way of field.h, not of the text, so that the text can be held against them.
 *
 * Thread-safety: one generator belongs to one thread.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "lib/util.h"
#include "openflow/field.h"
#include "openflow/match_text.h"
#include "openflow/rule.h"

struct rule_random {
	uint64_t state; /* of xorshift64*, not 0 */
};

static inline uint32_t rule_random_next(struct rule_random *r, uint32_t n)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * UINT64_C(2685821657736338717)) >> 33) % n;
}

/* A mask of `n` bytes: mostly exact, sometimes a prefix or any bits; never none. */
static inline void rule_random_mask(struct rule_random *r, const struct field *field, uint8_t *mask)
{
	uint32_t bits = rule_random_next(r, field->n_bytes * 8) + 1;
	uint8_t exact[FIELD_BYTES_MAX];
	bool some = false;

	field_get_exact(field, exact);
	memcpy(mask, exact, field->n_bytes);
	switch (field->is_maskable ? rule_random_next(r, 4) : 0) {
	case 2: /* prefix */
		for (uint32_t i = 0; i < field->n_bytes * 8u; i++) {
			if (i >= bits)
				mask[i / 8] &= (uint8_t)~(0x80 >> i % 8);
		}
		break;
	case 3:
		for (int i = 0; i < field->n_bytes; i++)
			mask[i] &= (uint8_t)rule_random_next(r, 256);
		break;
	default:
		break;
	}
	for (int i = 0; i < field->n_bytes; i++)
		some |= mask[i] != 0;
	if (!some)
		memcpy(mask, exact, field->n_bytes);
}

/* A value of the field, one of a few, without bits that it cannot have. */
static inline void rule_random_value(struct rule_random *r, const struct field *field,
				     uint8_t *value)
{
	uint32_t pick = rule_random_next(r, 6);

	memset(value, 0, field->n_bytes);
	for (int i = 0; i < field->n_bytes; i++) {
		if (rule_random_next(r, 3) == 0)
			value[i] = (uint8_t)(pick * 0x3b + (uint32_t)i);
	}
	value[field->n_bytes - 1] = (uint8_t)(pick * 53);
	for (int i = 0; field->n_bytes <= 4 && i < field->n_bytes; i++)
		value[i] &= (uint8_t)(field->max >> 8 * (field->n_bytes - 1 - i));
}

/* One run of bits of a field of at most 4 bytes, as load sets them; never none. */
static inline void rule_random_run(struct rule_random *r, const struct field *field, uint8_t *mask)
{
	uint32_t low = (uint32_t)__builtin_ctz(field->max);
	uint32_t n = 32 - (uint32_t)__builtin_clz(field->max) - low;
	uint32_t first = rule_random_next(r, n), length = 1 + rule_random_next(r, n - first);
	uint32_t bits = (length == 32 ? UINT32_MAX : (1u << length) - 1) << (first + low);

	if (length == n) {
		field_get_exact(field, mask);
		return;
	}
	for (int i = field->n_bytes - 1; i >= 0; i--, bits >>= 8)
		mask[i] = (uint8_t)bits;
}

/* Puts a field into the match, value and mask as above. */
static inline void rule_random_put(struct rule_random *r, struct match *match, enum field_id id)
{
	const struct field *field = field_get(id);
	uint8_t value[FIELD_BYTES_MAX], mask[FIELD_BYTES_MAX];
	struct match part;

	rule_random_value(r, field, value);
	rule_random_mask(r, field, mask);
	for (int i = 0; i < field->n_bytes; i++)
		value[i] &= mask[i];
	field_spread(field, value, &part.value);
	field_spread(field, mask, &part.mask);
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		match->value.w[i] |= part.value.w[i];
		match->mask.w[i] |= part.mask.w[i];
	}
}

static inline void rule_random_match(struct rule_random *r, struct match *match)
{
	static const uint16_t types[] = {0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8035,
					 0x88cc, 0x05ff};
	static const uint8_t protos[] = {6, 6, 17, 132, 1, 58, 0, 47};

	memset(match, 0, sizeof(*match));
	if (rule_random_next(r, 8)) {
		match->value.dl_type = htons(types[rule_random_next(r, ARRAY_SIZE(types))]);
		match->mask.dl_type = UINT16_MAX;
	}
	if (match_needs_hold(match, FIELD_NEEDS_IP) && rule_random_next(r, 4)) {
		match->value.nw_proto = protos[rule_random_next(r, ARRAY_SIZE(protos))];
		match->mask.nw_proto = UINT8_MAX;
	}
	if (match_needs_hold(match, FIELD_NEEDS_ICMPV6) && rule_random_next(r, 2)) {
		match->value.tp_src = htons((uint16_t)(135 + rule_random_next(r, 2)));
		match->mask.tp_src = UINT16_MAX;
	}
	if (rule_random_next(r, 3) == 0) {
		match->value.in_port = rule_random_next(r, 4) ? 1 + rule_random_next(r, 12)
							      : OFPORT_LOCAL;
		match->mask.in_port = UINT32_MAX;
	}
	switch (rule_random_next(r, 8)) {
	case 0:
		rule_random_put(r, match, FIELD_VLAN_TCI);
		break;
	case 1: /* untagged */
		match->mask.vlan_tci = htons(0x1fff);
		break;
	case 2:
		rule_random_put(r, match, FIELD_VLAN_PCP);
		/* fall through */
	case 3:
		rule_random_put(r, match, FIELD_VLAN_VID);
		match->value.vlan_tci |= htons(FLOW_VLAN_PRESENT);
		match->mask.vlan_tci |= htons(FLOW_VLAN_PRESENT);
		break;
	default:
		break;
	}
	for (enum field_id id = FIELD_ETH_DST; id < FIELD_N_IDS; id++) {
		struct match bits = {0};
		uint8_t exact[FIELD_BYTES_MAX];
		uint64_t taken = 0;

		if (id == FIELD_ETH_TYPE || id == FIELD_IP_PROTO || id == FIELD_IP_DSCP ||
		    (id >= FIELD_VLAN_TCI && id <= FIELD_VLAN_PCP) || rule_random_next(r, 3) ||
		    !match_needs_hold(match, field_get(id)->needs))
			continue;
		/* later fragments have no ICMPv6 type */
		if (id == FIELD_IP_FRAG && match->mask.tp_src)
			continue;
		/* the place may be another field's already; code 0 is what ND asks for */
		field_get_exact(field_get(id), exact);
		field_spread(field_get(id), exact, &bits.mask);
		for (int i = 0; i < FLOW_KEY_WORDS; i++)
			taken |= bits.mask.w[i] & match->mask.w[i];
		if (!taken && id != FIELD_ICMPV6_CODE)
			rule_random_put(r, match, id);
	}
}

/* One action that may stand in a rule with `match`; `has_tag` is kept up to date. */
static inline void rule_random_action(struct rule_random *r, const struct match *match,
				      bool *has_tag, struct ofaction *action)
{
	static const uint32_t ports[] = {OFPORT_IN_PORT, OFPORT_NORMAL, OFPORT_FLOOD, OFPORT_ALL,
					 OFPORT_LOCAL};
	const struct field *field;
	enum field_id id;

	memset(action, 0, sizeof(*action));
	switch (rule_random_next(r, 8)) {
	case 0:
		action->type = OFACTION_DEC_TTL;
		return;
	case 1:
		action->type = OFACTION_STRIP_VLAN;
		*has_tag = false;
		return;
	case 2:
		action->type = OFACTION_PUSH_VLAN;
		action->tpid = rule_random_next(r, 2) ? 0x8100 : 0x88a8;
		*has_tag = true;
		return;
	case 3:
	case 4:
	case 5:
		id = rule_random_next(r, FIELD_N_IDS);
		field = field_get(id);
		if (!field->is_writable || !match_needs_hold(match, field->needs) ||
		    ((id == FIELD_VLAN_VID || id == FIELD_VLAN_PCP) && !*has_tag))
			break;
		action->type = OFACTION_SET_FIELD;
		action->field = (uint8_t)id;
		rule_random_value(r, field, action->set.value);
		if (field->is_maskable || rule_random_next(r, 2))
			rule_random_mask(r, field, action->set.mask);
		else
			rule_random_run(r, field, action->set.mask);
		for (int i = 0; i < field->n_bytes; i++)
			action->set.value[i] &= action->set.mask[i];
		return;
	default:
		break;
	}
	action->type = OFACTION_OUTPUT;
	action->port = rule_random_next(r, 3) ? 1 + rule_random_next(r, 12)
					      : ports[rule_random_next(r, ARRAY_SIZE(ports))];
}

/* A whole rule; the caller owns spec->actions. */
static inline void rule_random_spec(struct rule_random *r, struct rule_spec *spec)
{
	uint32_t n = rule_random_next(r, 5);
	struct ofaction action;
	bool has_tag;

	memset(spec, 0, sizeof(*spec));
	rule_random_match(r, &spec->match);
	spec->priority = rule_random_next(r, 3) ? (uint16_t)rule_random_next(r, 8)
						: RULE_PRIORITY_DEFAULT;
	spec->cookie = rule_random_next(r, 2) ? 0 : rule_random_next(r, UINT32_MAX);
	spec->idle_timeout = rule_random_next(r, 4) ? 0 : (uint16_t)rule_random_next(r, 65536);
	spec->hard_timeout = rule_random_next(r, 4) ? 0 : (uint16_t)rule_random_next(r, 65536);
	spec->table_id = rule_random_next(r, 4) ? 0 : (uint8_t)rule_random_next(r, 254);
	spec->out_port = OFPORT_NONE;
	ofaction_list_init(&spec->actions);
	has_tag = spec->match.value.vlan_tci & htons(FLOW_VLAN_PRESENT);
	while (n-- > 0) {
		rule_random_action(r, &spec->match, &has_tag, &action);
		if (ofaction_list_append(&spec->actions, &action))
			abort();
	}
}

#endif
