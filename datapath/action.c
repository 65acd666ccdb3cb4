/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/action.h"

void action_list_init(struct action_list *list)
{
	memset(list, 0, sizeof(*list));
}

void action_list_uninit(struct action_list *list)
{
	free(list->actions);
	action_list_init(list);
}

int action_list_append(struct action_list *list, const struct action *action)
{
	if (list->n >= ACTION_LIST_MAX)
		return -E2BIG;
	if (list->n == list->capacity) {
		uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
		void *bigger = realloc(list->actions, capacity * sizeof(*list->actions));

		if (!bigger)
			return -ENOMEM;
		list->actions = bigger;
		list->capacity = capacity;
	}
	list->actions[list->n++] = *action;
	return 0;
}

int action_list_append_output(struct action_list *list, uint32_t port)
{
	struct action action = {.type = ACTION_OUTPUT, .port = port};

	return action_list_append(list, &action);
}

/* ---- text ------------------------------------------------------------------------------------ */

enum value_kind { VALUE_NONE, VALUE_MAC, VALUE_IPV4, VALUE_IPV6, VALUE_BE32, VALUE_BE16, VALUE_U8 };

static const struct {
	const char *name;
	enum value_kind kind;
} action_texts[] = {
	[ACTION_OUTPUT] = {"output", VALUE_NONE},
	[ACTION_SET_ETH_SRC] = {"set_eth_src", VALUE_MAC},
	[ACTION_SET_ETH_DST] = {"set_eth_dst", VALUE_MAC},
	[ACTION_SET_IPV4_SRC] = {"set_ipv4_src", VALUE_IPV4},
	[ACTION_SET_IPV4_DST] = {"set_ipv4_dst", VALUE_IPV4},
	[ACTION_SET_IPV6_SRC] = {"set_ipv6_src", VALUE_IPV6},
	[ACTION_SET_IPV6_DST] = {"set_ipv6_dst", VALUE_IPV6},
	[ACTION_SET_IPV6_LABEL] = {"set_ipv6_label", VALUE_BE32},
	[ACTION_SET_TOS] = {"set_tos", VALUE_U8},
	[ACTION_SET_TTL] = {"set_ttl", VALUE_U8},
	[ACTION_DEC_TTL] = {"dec_ttl", VALUE_NONE},
	[ACTION_SET_TP_SRC] = {"set_tp_src", VALUE_BE16},
	[ACTION_SET_TP_DST] = {"set_tp_dst", VALUE_BE16},
	[ACTION_SET_ARP_OP] = {"set_arp_op", VALUE_BE16},
	[ACTION_SET_ARP_SPA] = {"set_arp_spa", VALUE_IPV4},
	[ACTION_SET_ARP_TPA] = {"set_arp_tpa", VALUE_IPV4},
	[ACTION_SET_ARP_SHA] = {"set_arp_sha", VALUE_MAC},
	[ACTION_SET_ARP_THA] = {"set_arp_tha", VALUE_MAC},
	[ACTION_SET_ND_TARGET] = {"set_nd_target", VALUE_IPV6},
	[ACTION_PUSH_VLAN] = {"push_vlan", VALUE_BE16},
	[ACTION_POP_VLAN] = {"pop_vlan", VALUE_NONE},
	[ACTION_SET_VLAN_TCI] = {"set_vlan_tci", VALUE_BE16},
};

static void format_value(enum value_kind kind, const union action_value *v, char *buf, size_t size)
{
	switch (kind) {
	case VALUE_NONE:
		buf[0] = '\0';
		break;
	case VALUE_MAC:
		snprintf(buf, size, "%02x:%02x:%02x:%02x:%02x:%02x", v->mac[0], v->mac[1],
			 v->mac[2], v->mac[3], v->mac[4], v->mac[5]);
		break;
	case VALUE_IPV4:
		inet_ntop(AF_INET, &v->ipv4, buf, (socklen_t)size);
		break;
	case VALUE_IPV6:
		inet_ntop(AF_INET6, v->ipv6, buf, (socklen_t)size);
		break;
	case VALUE_BE32:
		snprintf(buf, size, "0x%x", ntohl(v->be32));
		break;
	case VALUE_BE16:
		snprintf(buf, size, "0x%x", ntohs(v->be16));
		break;
	case VALUE_U8:
		snprintf(buf, size, "0x%x", v->u8);
		break;
	}
}

/* Bytes of a value of that kind. */
static size_t value_size(enum value_kind kind)
{
	static const size_t sizes[] = {0, 6, 4, 16, 4, 2, 1};

	return sizes[kind];
}

static bool mask_is_whole(enum value_kind kind, const union action_value *mask)
{
	for (size_t i = 0; i < value_size(kind); i++)
		if (mask->ipv6[i] != 0xff)
			return false;
	return true;
}

/* Appends to buf like snprintf, past its end too: `*len` counts what there would be. */
static void __attribute__((format(printf, 4, 5)))
append(char *buf, size_t size, size_t *len, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(*len < size ? buf + *len : NULL, *len < size ? size - *len : 0, format, args);
	va_end(args);
	*len += n > 0 ? (size_t)n : 0;
}

size_t action_list_format(const struct action *actions, uint32_t n, char *buf, size_t size)
{
	char value[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];
	size_t len = 0;

	if (n == 0)
		append(buf, size, &len, "drop");
	for (uint32_t i = 0; i < n; i++) {
		const struct action *a = &actions[i];
		const char *comma = i ? "," : "", *name = action_texts[a->type].name;
		enum value_kind kind = action_texts[a->type].kind;

		format_value(kind, &a->value, value, sizeof(value));
		format_value(kind, &a->mask, mask, sizeof(mask));
		if (a->type == ACTION_OUTPUT)
			append(buf, size, &len, "%s%s(%u)", comma, name, a->port);
		else if (kind == VALUE_NONE)
			append(buf, size, &len, "%s%s", comma, name);
		else if (a->type == ACTION_PUSH_VLAN || mask_is_whole(kind, &a->mask))
			append(buf, size, &len, "%s%s(%s)", comma, name, value);
		else
			append(buf, size, &len, "%s%s(%s/%s)", comma, name, value, mask);
	}
	return len;
}
