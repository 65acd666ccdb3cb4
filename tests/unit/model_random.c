/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "openflow/field.h"
#include "tests/unit/model_random.h"
#include "tests/unit/switch_model.h"
#include "tests/unit/test.h"

uint32_t model_random_address(struct random *rng)
{
	return 0xc6120000 | random_below(rng, 2) << 16 | random_below(rng, 3) << 8 |
	       random_below(rng, 8);
}

static void set_action(struct ofaction *action, enum field_id field, uint64_t value, int n_bytes)
{
	action->type = OFACTION_SET_FIELD;
	action->field = field;
	for (int i = 0; i < n_bytes; i++)
		action->set.value[i] = (uint8_t)(value >> 8 * (n_bytes - 1 - i));
	field_get_exact(field_get(field), action->set.mask);
}

static void random_header_action(struct random *rng, struct ofaction *action)
{
	switch (random_below(rng, 10)) {
	case 0: /* an address that nobody has: learning it disturbs nobody */
		set_action(action, FIELD_ETH_SRC, 0x020000000080 | random_below(rng, 2), 6);
		break;
	case 1:
		set_action(action, FIELD_ETH_DST,
			   0x020000000000 | random_below(rng, MODEL_RANDOM_HOSTS), 6);
		break;
	case 2:
		set_action(action, FIELD_IPV4_SRC, model_random_address(rng), 4);
		break;
	case 3:
		set_action(action, FIELD_IPV4_DST, model_random_address(rng), 4);
		break;
	case 4:
		set_action(action, FIELD_TP_DST, 1000 + random_below(rng, 4), 2);
		break;
	case 5:
		set_action(action, FIELD_IP_TOS, random_below(rng, 4) << 3, 1);
		break;
	case 6:
		set_action(action, FIELD_VLAN_VID, 10 * random_below(rng, 3), 2);
		break;
	case 7:
		set_action(action, FIELD_VLAN_PCP, random_below(rng, 8), 1);
		break;
	case 8:
		action->type = OFACTION_STRIP_VLAN;
		break;
	default:
		action->type = OFACTION_DEC_TTL;
	}
}

void model_random_actions(struct random *rng, struct ofaction_list *list)
{
	static const uint32_t reserved[] = {OFPORT_NORMAL, OFPORT_NORMAL, OFPORT_NORMAL,
					    OFPORT_FLOOD,  OFPORT_ALL,	  OFPORT_IN_PORT};
	uint32_t n_outputs = random_below(rng, 3) + random_chance(rng, 80);

	ofaction_list_init(list);
	for (uint32_t i = 0; i < MIN(n_outputs, 2u); i++) {
		struct ofaction action;

		while (random_chance(rng, 40)) {
			memset(&action, 0, sizeof(action));
			random_header_action(rng, &action);
			assert_int_equal(ofaction_list_append(list, &action), 0);
		}
		memset(&action, 0, sizeof(action));
		action.type = OFACTION_OUTPUT;
		action.port = random_chance(rng, 40) ? reserved[random_below(rng, 6)]
						     : 1 + random_below(rng, MODEL_PORTS + 1);
		assert_int_equal(ofaction_list_append(list, &action), 0);
	}
}

void model_random_match(struct random *rng, struct match *match)
{
	memset(match, 0, sizeof(*match));
	if (random_chance(rng, 30)) {
		match->value.in_port = 1 + random_below(rng, MODEL_PORTS);
		match->mask.in_port = UINT32_MAX;
	}
	if (random_chance(rng, 25)) {
		model_mac(random_below(rng, MODEL_RANDOM_HOSTS), match->value.dl_dst);
		memset(match->mask.dl_dst, 0xff, 6);
	}
	if (random_chance(rng, 15)) {
		match->value.dl_src[5] = (uint8_t)random_below(rng, 2);
		match->mask.dl_src[5] = 1;
	}
	if (random_chance(rng, 20)) {
		match->value.vlan_tci = random_chance(rng, 30)
						? 0
						: htons((uint16_t)(0x1000 |
								   10 * random_below(rng, 3)));
		match->mask.vlan_tci = htons(0x1fff);
	}
	if (random_chance(rng, 60)) {
		match->value.dl_type = random_chance(rng, 80) ? htons(0x0800) : htons(0x86dd);
		match->mask.dl_type = UINT16_MAX;
		if (random_chance(rng, 50)) {
			match->mask.nw_dst = htonl(UINT32_MAX << random_below(rng, 12));
			match->value.nw_dst = htonl(model_random_address(rng)) & match->mask.nw_dst;
		}
		if (random_chance(rng, 20)) {
			match->mask.nw_src = htonl(UINT32_MAX << random_below(rng, 12));
			match->value.nw_src = htonl(model_random_address(rng)) & match->mask.nw_src;
		}
		if (random_chance(rng, 15)) {
			match->value.nw_tos = 4;
			match->mask.nw_tos = 0xfc;
		}
		if (random_chance(rng, 50)) {
			match->value.nw_proto = random_chance(rng, 50) ? 6 : 17;
			match->mask.nw_proto = 0xff;
			if (random_chance(rng, 60)) {
				match->value.tp_dst =
					htons((uint16_t)(80 + random_below(rng, 4)));
				match->mask.tp_dst = UINT16_MAX;
			}
		}
	}
}
