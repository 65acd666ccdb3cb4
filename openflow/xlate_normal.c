/* SPDX-License-Identifier: BSD-2-Clause */
/* The action `normal`: a learning switch with VLANs. */
#include <arpa/inet.h>
#include <string.h>
#include "lib/clock.h"
#include "openflow/xlate_priv.h"

#define VLAN_VID_MASK 0x0fff
#define TCI_PRESENT htons(FLOW_VLAN_PRESENT)

#define MAC_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARGS(mac) (mac)[0], (mac)[1], (mac)[2], (mac)[3], (mac)[4], (mac)[5]

/* Does the port carry packets of that VLAN? */
static bool port_carries(const struct bridge_port *port, uint16_t vlan)
{
	if (port->tag)
		return port->tag == vlan;
	return !port->is_limited || vlan_bitmap_has(&port->trunks, vlan);
}

/* The VLAN that a packet with that tag belongs to when it comes in by `port`; -1: not let in. */
static int ingress_vlan(const struct bridge_port *port, uint16_t tci)
{
	uint16_t vlan = tci & TCI_PRESENT ? ntohs(tci) & VLAN_VID_MASK : 0;

	if (port->tag)
		return vlan == 0 ? port->tag : -1;
	return port_carries(port, vlan) ? vlan : -1;
}

/* The tag with which a packet of `vlan`, now tagged `tci`, leaves by `port`. */
static uint16_t egress_tci(const struct bridge_port *port, uint16_t vlan, uint16_t tci)
{
	if (port->tag)
		return 0;
	if (vlan == 0)
		return tci; /* untagged, or tagged with a priority only */
	/* The priority stays; a new tag has none. */
	return htons((uint16_t)((ntohs(tci) & ~VLAN_VID_MASK) | FLOW_VLAN_PRESENT | vlan));
}

/* Group addresses that bridges do not forward, IEEE 802.1Q table 8-1. */
static bool is_link_local(const uint8_t mac[6])
{
	static const uint8_t prefix[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return memcmp(mac, prefix, sizeof(prefix)) == 0 && mac[5] <= 0x0f;
}

/* The bits of the packet that every `normal` looks at. */
static void look_at_l2(struct xlate *x)
{
	struct flow_key bits = {.vlan_tci = htons(FLOW_VLAN_PRESENT | VLAN_VID_MASK)};

	memset(bits.dl_src, 0xff, sizeof(bits.dl_src));
	memset(bits.dl_dst, 0xff, sizeof(bits.dl_dst));
	xlate_look(x, &bits);
}

static void learn(struct xlate *x, const struct xlate_normal *normal)
{
	if (x->trace)
		return;
	if (mac_table_learn(x->bridge->macs, normal->src, normal->vlan, x->in_port->ofport,
			    clock_now_coarse()) == MAC_LEARN_CHANGED)
		bridge_table_invalidate_async(x->bridge->table);
}

/* Where the destination lives; NULL: unknown, or behind a port that is gone. */
static const struct bridge_port *find_destination(struct xlate *x, struct xlate_normal *normal)
{
	struct mac_table *macs = x->bridge->macs;

	normal->has_dst = true;
	normal->dst_ofport = x->trace ? mac_table_peek(macs, normal->dst, normal->vlan)
				      : mac_table_lookup(macs, normal->dst, normal->vlan);
	return normal->dst_ofport == MAC_TABLE_NO_PORT
		       ? NULL
		       : bridge_ports_lookup(x->ports, normal->dst_ofport);
}

static void forward(struct xlate *x, const struct bridge_port *port, uint16_t vlan)
{
	if (port == x->in_port) {
		xlate_tell(x, 2, "it lives behind the port that the packet came from");
		xlate_note_drop(x, DROP_HAIRPIN);
		return;
	}
	if (!port_carries(port, vlan)) {
		xlate_tell(x, 2, "port '%s' does not carry VLAN %u", port->name, vlan);
		xlate_note_drop(x, DROP_VLAN);
		return;
	}
	xlate_emit_vlan(x, egress_tci(port, vlan, x->now.vlan_tci));
	xlate_emit_output(x, port);
}

/* Sends the packet to all ports of the VLAN but the one it came from: first to those that take it
 * with the tag it has, then to the others, so that the tag changes twice at most. */
static void flood(struct xlate *x, uint16_t vlan)
{
	bool is_tagged = x->now.vlan_tci & TCI_PRESENT;

	for (int access = 0; access < 2; access++) {
		/* Tagged packets go to trunks first, others to access ports. */
		bool wants_access = access == (is_tagged ? 1 : 0);

		for (uint32_t i = 0; i < x->ports->n; i++) {
			const struct bridge_port *port = x->ports->ports[i];

			if (port == x->in_port || !port_carries(port, vlan) ||
			    (port->tag != 0) != wants_access)
				continue;
			xlate_emit_vlan(x, egress_tci(port, vlan, x->now.vlan_tci));
			xlate_emit_output(x, port);
		}
	}
}

void xlate_normal(struct xlate *x)
{
	const struct bridge_port *port = NULL;
	struct xlate_normal *normal;
	int vlan;

	if (x->n_normals == XLATE_NORMALS_MAX) {
		x->is_failed = true;
		return;
	}
	look_at_l2(x);
	vlan = ingress_vlan(x->in_port, x->now.vlan_tci);
	if (vlan < 0) {
		xlate_tell(x, 2, "port '%s' does not take the packet's VLAN", x->in_port->name);
		xlate_note_drop(x, DROP_VLAN);
		return;
	}
	if (is_link_local(x->now.dl_dst)) {
		xlate_tell(x, 2, "bridges do not forward " MAC_FORMAT, MAC_ARGS(x->now.dl_dst));
		xlate_note_drop(x, DROP_LINK_LOCAL);
		return;
	}
	normal = &x->normals[x->n_normals++];
	memcpy(normal->src, x->now.dl_src, 6);
	memcpy(normal->dst, x->now.dl_dst, 6);
	normal->vlan = (uint16_t)vlan;
	learn(x, normal);
	if (!(normal->dst[0] & 1))
		port = find_destination(x, normal);
	xlate_tell(x, 2, MAC_FORMAT " in VLAN %d %s%s", MAC_ARGS(normal->dst), vlan,
		   normal->dst[0] & 1 ? "is a group: to all ports"
		   : port             ? "lives behind port "
				      : "is unknown: to all ports",
		   port ? port->name : "");
	if (port)
		forward(x, port, normal->vlan);
	else
		flood(x, normal->vlan);
}
