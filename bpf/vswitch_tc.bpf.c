// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vswitch_tc.bpf.c - the tc programs of a veth port.
 *
 *   vswitch_tc_in    on the ingress of the veth's end on our side: what the container sends goes to
 *                    the port's TAP device, whose queue user space reads. The packet stays an skb
 *                    up to there: segments are not cut, checksums not finished, tags stay beside
 *                    the frame or in it; the TAP says it all in its virtio-net header.
 *   vswitch_tc_in_tier0  the same, but hands over to
 *   vswitch_tc_tier0     which does so with what tier 0 has no answer for (tier0_tc.h); there is
 *                    one for all ports
 *   vswitch_tc_out   on the ingress of the TAP: what user space writes goes to the container.
 *   vswitch_tc_out_plain  the same for kernels without bpf_redirect_peer (before 5.10).
 *
 * To the container there are two ways. bpf_redirect_peer() puts the packet straight on the other
 * end's receive path, without a queue and another softirq in between; but it keeps the packet's
 * type, which is for the TAP device, so it is only for packets to the other end's own address,
 * whose type is certain. All others (broadcasts, flooded frames for somebody else, which a
 * container that routes must not take for its own) are transmitted by our end, and the other end
 * sees for itself what they are.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#define TIER0_MAPS
#include "bpf/tc_port.h"
#include "bpf/tier0_tc.h"

struct tc_port port;

/* The look-up: one program for all ports, for the verifier takes its time over it. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} vswitch_tc_progs SEC(".maps");

SEC("tc")
int vswitch_tc_in(struct __sk_buff *skb)
{
	return (int)bpf_redirect(port.tap_ifindex, 0);
}

/* What vswitch_tc_in_tier0 leaves in the packet's scratch space for vswitch_tc_tier0. */
enum { CB_IN_PORT, CB_TAP_IFINDEX };

SEC("tc")
int vswitch_tc_in_tier0(struct __sk_buff *skb)
{
	__u32 in_port = *(volatile __u32 *)&tier0_port.in_port;

	if (in_port) {
		skb->cb[CB_IN_PORT] = in_port;
		skb->cb[CB_TAP_IFINDEX] = port.tap_ifindex;
		bpf_tail_call(skb, &vswitch_tc_progs, 0);
	}
	return (int)bpf_redirect(port.tap_ifindex, 0);
}

SEC("tc")
int vswitch_tc_tier0(struct __sk_buff *skb)
{
	__u32 tap_ifindex = skb->cb[CB_TAP_IFINDEX];
	int action = tier0_run_tc(skb, skb->cb[CB_IN_PORT]);

	return action == TIER0_MISS ? (int)bpf_redirect(tap_ifindex, 0) : action;
}

SEC("tc")
int vswitch_tc_out(struct __sk_buff *skb)
{
	if (tier0_is_for(skb, *(volatile __u64 *)&port.peer_mac) &&
	    !bpf_skb_change_type(skb, PACKET_HOST))
		return (int)bpf_redirect_peer(port.ifindex, 0);
	return (int)bpf_redirect(port.ifindex, 0);
}

SEC("tc")
int vswitch_tc_out_plain(struct __sk_buff *skb)
{
	return (int)bpf_redirect(port.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
