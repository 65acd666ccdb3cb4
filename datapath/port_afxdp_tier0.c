/* SPDX-License-Identifier: BSD-2-Clause */
/* What an AF_XDP port has for tier 0: its program as a source, its device as a target. */
#include <errno.h>
#include <string.h>

#include "bpf/tier0_maps.h"
#include "datapath/datapath.h"
#include "datapath/netdev_xdp.h"
#include "datapath/port_afxdp_priv.h"

/*
 * Before Linux 6.3 the kernel does not tell whether a device sends redirected frames, and one that
 * does not loses them silently. So there, only drivers are trusted which are known to when they
 * have an XDP program of their own, as a port has.
 */
static bool is_known_to_send(const struct afxdp_port *port)
{
	static const char *const drivers[] = {"bnxt_en", "ena",	  "i40e",      "ice",	    "igb",
					      "igc",	 "ixgbe", "mlx5_core", "virtio_net"};

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (port->mode <= AFXDP_MODE_NATIVE && !strcmp(port->driver, drivers[i]))
			return true;
	return false;
}

/* What other ports' programs may send to the device: asked of the kernel. */
static void set_target(struct afxdp_port *port, struct tier0_target *target, struct error *why)
{
	uint64_t features = 0;
	int ret = netdev_xdp_get_features(port->ifindex, &features);

	target->ifindex = (uint32_t)port->ifindex;
	target->max_len = port_get_max_len(&port->base);
	target->flags = TIER0_TARGET_TC;
	if (ret == -EOPNOTSUPP && is_known_to_send(port))
		target->flags |= TIER0_TARGET_XDP;
	else if (ret == -EOPNOTSUPP)
		error_set(why, ret, "Linux before 6.3 does not tell whether the device can");
	else if (ret)
		error_set(why, ret, "asking for the device's XDP features: %s", strerror(-ret));
	else if (!(features & NETDEV_XDP_XMIT))
		error_set(why, EOPNOTSUPP, "%s",
			  strcmp(port->driver, "veth")
				  ? "the driver has no ndo_xdp_xmit"
				  : "the veth's peer has neither GRO nor an XDP program");
	else
		target->flags |=
			TIER0_TARGET_XDP | (features & NETDEV_XDP_XMIT_SG ? TIER0_TARGET_FRAGS : 0);
}

void port_afxdp_refresh_target(struct afxdp_port *port)
{
	struct tier0_target *target = &port->base.tier0.target, now = *target;

	if (!port->tier0_maps)
		return;
	set_target(port, &now, &port->base.tier0.why_no_target);
	/* What is down takes nothing. */
	if (!port_get_link(&port->base))
		now.max_len = 0;
	if (!memcmp(&now, target, sizeof(now)))
		return;
	*target = now;
	datapath_update_target(&port->base);
}

void port_afxdp_prepare_tier0(struct afxdp_port *port)
{
	struct port_tier0 *tier0 = &port->base.tier0;

	if (port->wants_tier0)
		port->tier0_maps = datapath_reserve_tier0(port->base.dp, &tier0->why_no_program);
	else
		error_set(&tier0->why_no_program, EOPNOTSUPP, "kernel-tier=off");
	if (!port->tier0_maps)
		tier0->why_no_target = tier0->why_no_program;
}

/* A veth in native mode drops the skb when the frame is redirected. A TAP runs the program on some
 * frames before there is an skb, and on others on the skb, which tells that its checksum is
 * partial. */
static uint32_t get_program_flags(const struct afxdp_port *port, bool gets_partial_csums)
{
	if (!gets_partial_csums)
		return 0;
	if (port->mode == AFXDP_MODE_GENERIC || strcmp(port->driver, "veth"))
		return TIER0_PORT_PARTIAL;
	return TIER0_PORT_PARTIAL | TIER0_PORT_FINISH;
}

void port_afxdp_start_tier0(struct afxdp_port *port, bool gets_partial_csums)
{
	struct port_tier0 *tier0 = &port->base.tier0;

	if (!port->tier0_maps)
		return;
	tier0->program = port->prog->tier0;
	tier0->sends_by = TIER0_TARGET_XDP;
	tier0->several = port->tier0_maps->groups_fd >= 0;
	if (tier0->program)
		tier0->program->flags = get_program_flags(port, gets_partial_csums);
	else
		tier0->why_no_program = port->prog->why_no_tier0;
	set_target(port, &tier0->target, &tier0->why_no_target);
}
