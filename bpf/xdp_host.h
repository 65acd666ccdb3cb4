/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdp_host.h - which frames the host gets of a NIC that it shares with the switch (keep-host=on).
 *
 * The host goes on using the device: what it sends leaves as before, and of what arrives it gets
 *   - frames to the device's own Ethernet address, tagged or not
 *   - ARP requests and IPv6 neighbour solicitations for an address that it has on the device
 *   - IPv6 router advertisements
 *   - DHCP replies that are broadcast and name the device's Ethernet address
 * All else is the switch's. A frame goes one way only: XDP makes no copies.
 *
 * User space says before loading whether it is so, and tells addresses at any time.
 *
 * Sources: RFC 826, RFC 2131, RFC 4861.
 *
 * Thread-safety: one writer in user space; the Ethernet address is one aligned word.
 */
#ifndef VSWITCH_BPF_XDP_HOST_H
#define VSWITCH_BPF_XDP_HOST_H

#include "bpf/flow_parse.h"

/* IP addresses that the host may have on a device; more are not known here. */
#define XDP_HOST_ADDRS_MAX 256

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d. */
struct xdp_host_addr {
	__u8 bytes[16];
};

#ifdef __bpf__

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

/* Set before loading: without, the verifier leaves all of this out. */
const volatile __u32 xdp_host_on;
/* The device's Ethernet address, the first six bytes. */
__u64 xdp_host_mac;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_HOST_ADDRS_MAX);
	__type(key, struct xdp_host_addr);
	__type(value, __u8);
} xdp_host_addrs SEC(".maps");

FLOW_INLINE bool xdp_host_has(const void *address, __u32 size)
{
	struct xdp_host_addr addr = {.bytes = {0}};

	if (size == 4) {
		addr.bytes[10] = 0xff;
		addr.bytes[11] = 0xff;
	}
	__builtin_memcpy(addr.bytes + 16 - size, address, size);
	return bpf_map_lookup_elem(&xdp_host_addrs, &addr) != NULL;
}

/* Is it a DHCP reply to us? Its chaddr lies 28 bytes behind the UDP header. */
FLOW_INLINE bool xdp_host_is_dhcp(const struct xdp_md *ctx, const struct flow_key *key,
				  const struct flow_layout *layout)
{
	const __u8 *chaddr = (const __u8 *)(long)ctx->data +
			     (layout->l4_off & (FLOW_HEADERS_SIZE_MAX - 1)) + 8 + 28;
	__u64 mac = *(volatile __u64 *)&xdp_host_mac;

	if (key->nw_proto != 17 || key->tp_src != FLOW_BE16(67) || key->tp_dst != FLOW_BE16(68) ||
	    chaddr + 6 > (const __u8 *)(long)ctx->data_end)
		return false;
	return *(const flow_u16 *)chaddr == (__u16)mac &&
	       *(const flow_u16 *)(chaddr + 2) == (__u16)(mac >> 16) &&
	       *(const flow_u16 *)(chaddr + 4) == (__u16)(mac >> 32);
}

/* Is the frame the host's? `key` is as flow_key_parse() has left it. */
FLOW_INLINE bool xdp_host_wants(const struct xdp_md *ctx, const struct flow_key *key,
				const struct flow_layout *layout)
{
	if (!xdp_host_on)
		return false;
	if ((key->w[1] & 0xffffffffffffull) == *(volatile __u64 *)&xdp_host_mac)
		return true;
	if (!(key->dl_dst[0] & 1) || key->vlan_tci)
		return false;
	switch (key->dl_type) {
	case FLOW_BE16(0x0806):
		return key->nw_proto == 1 && xdp_host_has(&key->nw_dst, 4);
	case FLOW_BE16(0x0800):
		return xdp_host_is_dhcp(ctx, key, layout);
	case FLOW_BE16(0x86dd):
		if (key->nw_proto != 58)
			return false;
		return key->tp_src == FLOW_BE16(134) ||
		       (key->tp_src == FLOW_BE16(135) && xdp_host_has(key->nd_target, 16));
	default:
		return false;
	}
}

#endif /* __bpf__ */

#endif /* VSWITCH_BPF_XDP_HOST_H */
