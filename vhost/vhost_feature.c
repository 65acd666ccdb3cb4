/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vhost_feature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/suggest.h"
#include "vhost/vhost_proto.h"

struct feature {
	unsigned int bit;
	const char *name;
};

static const struct feature features[] = {
	{VIRTIO_NET_F_CSUM, "csum"},
	{VIRTIO_NET_F_GUEST_CSUM, "guest_csum"},
	{VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "ctrl_guest_offloads"},
	{VIRTIO_NET_F_MTU, "mtu"},
	{VIRTIO_NET_F_MAC, "mac"},
	{VIRTIO_NET_F_GSO, "gso"},
	{VIRTIO_NET_F_GUEST_TSO4, "guest_tso4"},
	{VIRTIO_NET_F_GUEST_TSO6, "guest_tso6"},
	{VIRTIO_NET_F_GUEST_ECN, "guest_ecn"},
	{VIRTIO_NET_F_GUEST_UFO, "guest_ufo"},
	{VIRTIO_NET_F_HOST_TSO4, "host_tso4"},
	{VIRTIO_NET_F_HOST_TSO6, "host_tso6"},
	{VIRTIO_NET_F_HOST_ECN, "host_ecn"},
	{VIRTIO_NET_F_HOST_UFO, "host_ufo"},
	{VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf"},
	{VIRTIO_NET_F_STATUS, "status"},
	{VIRTIO_NET_F_CTRL_VQ, "ctrl_vq"},
	{VIRTIO_NET_F_CTRL_RX, "ctrl_rx"},
	{VIRTIO_NET_F_CTRL_VLAN, "ctrl_vlan"},
	{VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce"},
	{VIRTIO_NET_F_MQ, "mq"},
	{VIRTIO_NET_F_CTRL_MAC_ADDR, "ctrl_mac_addr"},
	{VHOST_F_LOG_ALL, "log_all"},
	{VIRTIO_F_ANY_LAYOUT, "any_layout"},
	{VIRTIO_RING_F_INDIRECT_DESC, "indirect_desc"},
	{VIRTIO_RING_F_EVENT_IDX, "event_idx"},
	{VHOST_USER_F_PROTOCOL_FEATURES, "protocol_features"},
	{VIRTIO_F_VERSION_1, "version_1"},
	{VIRTIO_F_RING_PACKED, "ring_packed"},
	{VIRTIO_F_IN_ORDER, "in_order"},
	{VHOST_NET_F_GUEST_USO4, "guest_uso4"},
	{VHOST_NET_F_GUEST_USO6, "guest_uso6"},
	{VHOST_NET_F_HOST_USO, "host_uso"},
};

static const struct feature protocol_features[] = {
	{VHOST_PROTOCOL_MQ, "mq"},
	{VHOST_PROTOCOL_LOG_SHMFD, "log_shmfd"},
	{VHOST_PROTOCOL_RARP, "rarp"},
	{VHOST_PROTOCOL_REPLY_ACK, "reply_ack"},
	{VHOST_PROTOCOL_NET_MTU, "net_mtu"},
	{VHOST_PROTOCOL_BACKEND_REQ, "backend_req"},
	{VHOST_PROTOCOL_INFLIGHT_SHMFD, "inflight_shmfd"},
	{VHOST_PROTOCOL_RESET_DEVICE, "reset_device"},
	{VHOST_PROTOCOL_CONFIGURE_MEM_SLOTS, "configure_mem_slots"},
	{VHOST_PROTOCOL_STATUS, "status"},
};

static const char *get_name(const struct feature *table, size_t n, unsigned int bit)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].bit == bit)
			return table[i].name;
	return NULL;
}

static void format(const struct feature *table, size_t n, uint64_t mask, struct strbuf *out)
{
	const char *comma = "";

	if (!mask)
		strbuf_puts(out, "none");
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = get_name(table, n, bit);

		if (!(mask & VHOST_BIT(bit)))
			continue;
		if (name)
			strbuf_printf(out, "%s%s", comma, name);
		else
			strbuf_printf(out, "%sbit%u", comma, bit);
		comma = ",";
	}
}

void vhost_feature_format(uint64_t mask, struct strbuf *out)
{
	format(features, ARRAY_SIZE(features), mask, out);
}

void vhost_feature_format_protocol(uint64_t mask, struct strbuf *out)
{
	format(protocol_features, ARRAY_SIZE(protocol_features), mask, out);
}

/* Adds the feature that is named by the first `length` bytes of `name`. */
static int parse_name(const char *name, size_t length, uint64_t *mask, struct error *e)
{
	struct suggest suggest;
	char word[32], hint[64];

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (strncmp(features[i].name, name, length) == 0 && !features[i].name[length]) {
			*mask |= VHOST_BIT(features[i].bit);
			return 0;
		}
	}
	snprintf(word, sizeof(word), "%.*s", (int)length, name);
	suggest_init(&suggest, word);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		suggest_offer(&suggest, features[i].name);
	return error_set(e, EINVAL, "unknown virtio feature '%s'%s", word,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

int vhost_feature_parse(const char *text, uint64_t *mask, struct error *e)
{
	*mask = 0;
	if (text[0] >= '0' && text[0] <= '9') {
		char *end;

		errno = 0;
		*mask = strtoull(text, &end, 0);
		if (!errno && !*end)
			return 0;
		return error_set(e, EINVAL, "feature mask '%s': not a number", text);
	}
	for (;;) {
		size_t length = strcspn(text, ",");
		int ret = parse_name(text, length, mask, e);

		if (ret || !text[length])
			return ret;
		text += length + 1;
	}
}
