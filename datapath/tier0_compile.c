/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "datapath/tier0_compile.h"

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_ARP 0x0806
#define TYPE_VLAN 0x8100
#define TYPE_VLAN_AD 0x88a8

/* The outermost tag, as far as the steps so far have brought it. */
enum tag {
	TAG_UNKNOWN, /* the mask does not tell whether there is one */
	TAG_ABSENT, /* there never was one */
	TAG_ORIGINAL, /* the packet's own */
	TAG_POPPED, /* it was taken off; none behind it */
	TAG_POPPED_UNKNOWN, /* it was taken off, and the mask does not tell what is behind it */
	TAG_NEW, /* a known one, on a packet without */
	TAG_REPLACED, /* a known one in the place of the packet's own */
};

struct compiler {
	const struct flow_key *key;
	const struct flow_key *mask;
	struct tier0_slot *slot;
	enum tag tag;
	uint16_t tpid; /* of a known tag, host order */
	uint16_t tci; /* the same, network order */
	int ttl; /* as set by a step; -1: the packet's own */
	uint8_t n_decrements; /* of the packet's own */
	bool has_output;
};

const char *tier0_reason_format(enum tier0_reason reason)
{
	static const char *const texts[] = {
#define X(SYMBOL, TEXT) TEXT,
		TIER0_REASONS(X)
#undef X
	};

	return texts[reason];
}

/* The Ethernet type, when the mask pins it down; 0: it does not. */
static uint16_t get_type(const struct compiler *c)
{
	return c->mask->dl_type == 0xffff ? ntohs(c->key->dl_type) : 0;
}

static bool is_ip(uint16_t type)
{
	return type == TYPE_IPV4 || type == TYPE_IPV6;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

/* Do the masks have bits in the same half of the word? */
static bool overlap(uint32_t a, uint32_t b)
{
	return ((a & 0xffff) && (b & 0xffff)) || (a >> 16 && b >> 16);
}

/*
 * Joins a patch with an earlier one of the same word. Checksums are updated by halves of a word:
 * one that changes twice is left as two steps, so that the sums come out bit by bit as in user
 * space.
 */
static bool merge(struct compiler *c, const struct tier0_op *op)
{
	for (int i = 0; i < c->slot->n_ops; i++) {
		struct tier0_op *old = &c->slot->ops[i];

		if (old->type != TIER0_OP_PATCH || old->base != op->base ||
		    old->offset != op->offset || old->sums != op->sums ||
		    (op->sums && overlap(old->mask, op->mask)))
			continue;
		old->value = (old->value & ~op->mask) | op->value;
		old->mask |= op->mask;
		return true;
	}
	return false;
}

static enum tier0_reason add_op(struct compiler *c, const struct tier0_op *op)
{
	if (op->type == TIER0_OP_PATCH && merge(c, op))
		return TIER0_NONE;
	if (c->slot->n_ops == TIER0_OPS_MAX)
		return TIER0_LENGTH;
	c->slot->ops[c->slot->n_ops++] = *op;
	return TIER0_NONE;
}

/* Sets `size` bytes at `offset` from `base`, under `mask`. */
static enum tier0_reason add_patch(struct compiler *c, uint8_t base, size_t offset,
				   const void *value, const void *mask, size_t size, uint8_t sums)
{
	const uint8_t *v = value, *m = mask;
	enum tier0_reason why = TIER0_NONE;
	size_t end = offset + size;

	for (size_t word = offset & ~(size_t)3; word < end && !why; word += 4) {
		struct tier0_op op = {.base = base, .offset = (uint8_t)word, .sums = sums};
		uint8_t bytes[4] = {0}, masks[4] = {0};

		for (size_t at = word; at < word + 4; at++) {
			if (at < offset || at >= end)
				continue;
			masks[at - word] = m[at - offset];
			bytes[at - word] = v[at - offset] & m[at - offset];
		}
		memcpy(&op.value, bytes, sizeof(bytes));
		memcpy(&op.mask, masks, sizeof(masks));
		/* An IPv4 checksum is recomputed whether bits change or not, so keep the step. */
		if (op.mask || sums)
			why = add_op(c, &op);
	}
	return why;
}

static enum tier0_reason set_ip(struct compiler *c, const struct action *action, uint16_t type,
				size_t offset, size_t size)
{
	uint8_t sums = TIER0_SUM_L4 | TIER0_SUM_PSEUDO;

	if (get_type(c) != type)
		return TIER0_MATCH;
	c->slot->needs |= TIER0_NEEDS_L3;
	if (type == TYPE_IPV4)
		sums |= TIER0_SUM_IPV4_HIGH | TIER0_SUM_IPV4_LOW;
	return add_patch(c, TIER0_BASE_L3, offset, &action->value, &action->mask, size, sums);
}

static enum tier0_reason set_ipv6_label(struct compiler *c, const struct action *action)
{
	uint32_t mask = action->mask.be32 & htonl(0x000fffff);

	if (get_type(c) != TYPE_IPV6)
		return TIER0_MATCH;
	c->slot->needs |= TIER0_NEEDS_L3;
	return add_patch(c, TIER0_BASE_L3, 0, &action->value, &mask, 4, 0);
}

static enum tier0_reason set_tos(struct compiler *c, const struct action *action)
{
	uint32_t value = htonl((uint32_t)action->value.u8 << 20);
	uint32_t mask = htonl((uint32_t)action->mask.u8 << 20);

	c->slot->needs |= TIER0_NEEDS_L3;
	switch (get_type(c)) {
	case TYPE_IPV4:
		return add_patch(c, TIER0_BASE_L3, 1, &action->value, &action->mask, 1,
				 TIER0_SUM_IPV4_HIGH);
	case TYPE_IPV6:
		return add_patch(c, TIER0_BASE_L3, 0, &value, &mask, 4, 0);
	default:
		return TIER0_MATCH;
	}
}

static enum tier0_reason set_ttl(struct compiler *c, const struct action *action)
{
	static const uint8_t whole = 0xff;

	c->slot->needs |= TIER0_NEEDS_L3;
	/* Behind a decrement of its own, the order would have to be kept. */
	if (c->n_decrements)
		return TIER0_ACTION;
	c->ttl = action->value.u8;
	switch (get_type(c)) {
	case TYPE_IPV4:
		return add_patch(c, TIER0_BASE_L3, 8, &action->value, &whole, 1,
				 TIER0_SUM_IPV4_HIGH);
	case TYPE_IPV6:
		return add_patch(c, TIER0_BASE_L3, 7, &action->value, &whole, 1, 0);
	default:
		return TIER0_MATCH;
	}
}

static enum tier0_reason dec_ttl(struct compiler *c)
{
	struct tier0_op op = {.type = TIER0_OP_DEC_TTL};

	if (!is_ip(get_type(c)))
		return TIER0_MATCH;
	/* A TTL that was set, and one that will not do, are for user space. */
	if (c->ttl >= 0 || c->n_decrements == UINT8_MAX - 1)
		return TIER0_ACTION;
	c->n_decrements++;
	c->slot->needs |= TIER0_NEEDS_L3;
	c->slot->min_ttl = (uint8_t)(c->n_decrements + 1);
	op.base = get_type(c) == TYPE_IPV4 ? 4 : 6;
	return add_op(c, &op);
}

/* `index`: 0 the source port or ICMP type, 1 the destination port or ICMP code. */
static enum tier0_reason set_tp(struct compiler *c, const struct action *action, size_t index)
{
	uint8_t value, mask;

	if (!is_ip(get_type(c)) || c->mask->nw_proto != 0xff)
		return TIER0_MATCH;
	c->slot->needs |= TIER0_NEEDS_L4;
	switch (c->key->nw_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return add_patch(c, TIER0_BASE_L4, 2 * index, &action->value, &action->mask, 2,
				 TIER0_SUM_L4);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		value = (uint8_t)ntohs(action->value.be16);
		mask = (uint8_t)ntohs(action->mask.be16);
		return add_patch(c, TIER0_BASE_L4, index, &value, &mask, 1, TIER0_SUM_L4);
	default:
		return TIER0_ACTION;
	}
}

static enum tier0_reason set_arp(struct compiler *c, const struct action *action, size_t offset,
				 size_t size)
{
	if (get_type(c) != TYPE_ARP)
		return TIER0_MATCH;
	c->slot->needs |= TIER0_NEEDS_L3;
	return add_patch(c, TIER0_BASE_L3, offset, &action->value, &action->mask, size, 0);
}

/* ---- the tag ----------------------------------------------------------------------------------
 */

static enum tag first_tag(const struct flow_key *key, const struct flow_key *mask)
{
	if (!(mask->vlan_tci & htons(FLOW_VLAN_PRESENT)))
		return TAG_UNKNOWN;
	return key->vlan_tci & htons(FLOW_VLAN_PRESENT) ? TAG_ORIGINAL : TAG_ABSENT;
}

static enum tier0_reason push_vlan(struct compiler *c, uint16_t tpid)
{
	if (c->tag != TAG_ABSENT && c->tag != TAG_POPPED)
		return TIER0_VLAN;
	c->tag = c->tag == TAG_ABSENT ? TAG_NEW : TAG_REPLACED;
	c->tpid = tpid;
	c->tci = 0;
	return TIER0_NONE;
}

static enum tier0_reason pop_vlan(struct compiler *c)
{
	uint16_t type = get_type(c);

	switch (c->tag) {
	case TAG_UNKNOWN:
	case TAG_POPPED_UNKNOWN:
		return TIER0_VLAN;
	case TAG_ORIGINAL:
		c->tag = !type || type == TYPE_VLAN || type == TYPE_VLAN_AD ? TAG_POPPED_UNKNOWN
									    : TAG_POPPED;
		break;
	case TAG_NEW:
		c->tag = TAG_ABSENT;
		break;
	case TAG_REPLACED:
		c->tag = TAG_POPPED;
		break;
	case TAG_ABSENT:
	case TAG_POPPED:
		break;
	}
	return TIER0_NONE;
}

static enum tier0_reason set_vlan_tci(struct compiler *c, const struct action *action)
{
	uint16_t value = action->value.be16, mask = action->mask.be16;
	enum tier0_reason why;

	if (c->tag == TAG_ORIGINAL)
		return add_patch(c, TIER0_BASE_L2, 14, &value, &mask, 2, 0);
	if (c->tag == TAG_ABSENT || c->tag == TAG_POPPED) {
		why = push_vlan(c, TYPE_VLAN);
		if (why)
			return why;
	}
	if (c->tag != TAG_NEW && c->tag != TAG_REPLACED)
		return TIER0_VLAN;
	c->tci = (uint16_t)((c->tci & ~mask) | (value & mask));
	return TIER0_NONE;
}

/* What the steps come to. */
static enum tier0_reason finish_tag(struct compiler *c)
{
	static const uint32_t whole = UINT32_MAX;
	uint16_t tag[2] = {htons(c->tpid), c->tci};

	switch (c->tag) {
	case TAG_NEW:
		c->slot->vlan = TIER0_VLAN_PUSH;
		memcpy(&c->slot->vlan_tag, tag, sizeof(tag));
		break;
	case TAG_REPLACED:
		return add_patch(c, TIER0_BASE_L2, 12, tag, &whole, 4, 0);
	case TAG_POPPED:
	case TAG_POPPED_UNKNOWN:
		c->slot->vlan = TIER0_VLAN_POP;
		break;
	case TAG_UNKNOWN:
	case TAG_ABSENT:
	case TAG_ORIGINAL:
		break;
	}
	return TIER0_NONE;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static enum tier0_reason add_output(struct compiler *c, uint32_t port, bool several)
{
	struct tier0_op op = {.type = TIER0_OP_OUTPUT, .value = port};

	if (!c->has_output) {
		c->has_output = true;
		c->slot->output = (uint16_t)port;
		return finish_tag(c);
	}
	return several ? add_op(c, &op) : TIER0_OUTPUTS;
}

static enum tier0_reason add_change(struct compiler *c, const struct action *action)
{
	if (c->has_output)
		return TIER0_ORDER;
	switch ((enum action_type)action->type) {
	case ACTION_SET_ETH_SRC:
		return add_patch(c, TIER0_BASE_L2, 6, &action->value, &action->mask, 6, 0);
	case ACTION_SET_ETH_DST:
		return add_patch(c, TIER0_BASE_L2, 0, &action->value, &action->mask, 6, 0);
	case ACTION_SET_IPV4_SRC:
		return set_ip(c, action, TYPE_IPV4, 12, 4);
	case ACTION_SET_IPV4_DST:
		return set_ip(c, action, TYPE_IPV4, 16, 4);
	case ACTION_SET_IPV6_SRC:
		return set_ip(c, action, TYPE_IPV6, 8, 16);
	case ACTION_SET_IPV6_DST:
		return set_ip(c, action, TYPE_IPV6, 24, 16);
	case ACTION_SET_IPV6_LABEL:
		return set_ipv6_label(c, action);
	case ACTION_SET_TOS:
		return set_tos(c, action);
	case ACTION_SET_TTL:
		return set_ttl(c, action);
	case ACTION_DEC_TTL:
		return dec_ttl(c);
	case ACTION_SET_TP_SRC:
		return set_tp(c, action, 0);
	case ACTION_SET_TP_DST:
		return set_tp(c, action, 1);
	case ACTION_SET_ARP_OP:
		return set_arp(c, action, 6, 2);
	case ACTION_SET_ARP_SPA:
		return set_arp(c, action, 14, 4);
	case ACTION_SET_ARP_TPA:
		return set_arp(c, action, 24, 4);
	case ACTION_SET_ARP_SHA:
		return set_arp(c, action, 8, 6);
	case ACTION_SET_ARP_THA:
		return set_arp(c, action, 18, 6);
	case ACTION_PUSH_VLAN:
		return push_vlan(c, ntohs(action->value.be16));
	case ACTION_POP_VLAN:
		return pop_vlan(c);
	case ACTION_SET_VLAN_TCI:
		return set_vlan_tci(c, action);
	case ACTION_SET_ND_TARGET:
	case ACTION_OUTPUT:
		break;
	}
	return TIER0_ACTION;
}

enum tier0_reason tier0_compile(const struct flow_key *key, const struct flow_key *mask,
				const struct action *actions, uint32_t n, bool several,
				struct tier0_slot *slot)
{
	struct compiler c = {
		.key = key,
		.mask = mask,
		.slot = slot,
		.tag = first_tag(key, mask),
		.ttl = -1,
	};
	enum tier0_reason why = TIER0_NONE;

	slot->output = 0;
	slot->n_ops = slot->needs = slot->min_ttl = 0;
	slot->vlan = TIER0_VLAN_KEEP;
	slot->vlan_tag = 0;
	for (uint32_t i = 0; i < n && !why; i++)
		why = actions[i].type == ACTION_OUTPUT
			      ? add_output(&c, actions[i].port, several)
			      : add_change(&c, &actions[i]);
	/* Only a list that ends in an output is sure to send the packet. */
	if (!why && n && actions[n - 1].type != ACTION_OUTPUT)
		why = TIER0_ACTION;
	return why;
}
