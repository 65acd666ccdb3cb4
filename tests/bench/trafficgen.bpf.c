// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel's half of trafficgen: a frame generator, a counting sink, and the least that a switch
 * can do (redirect without looking), which is the ceiling that every contender is measured against.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "tests/bench/trafficgen.h"

struct traffic_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

const volatile __u32 n_flows = 1; /* distinct flows the generator goes round */
const volatile __u32 out_ifindex; /* where generate() and forward() send */
const volatile __u32 ip_sum; /* sum over the IPv4 header without source address,
			      * unfolded */
const volatile __u32 udp_sum; /* the same over pseudo-header, UDP header and payload */
const volatile bool mark_flows; /* sink: remember which flows came by */
const volatile bool take_times; /* sink: look for gaps, and for probes, which are flows
				 * from n_flows on */

__u32 next_flow; /* generate() runs on one CPU only */
__u64 generated; /* frames made so far */
__u64 last_arrival; /* at the sink of a frame that is no probe; CLOCK_MONOTONIC, ns */
__u64 longest_gap; /* between two of these, ns; two CPUs at once may miss one */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct traffic_count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_MAX_FLOWS);
	__type(key, __u32);
	__type(value, __u8);
} seen SEC(".maps");

/* When each probe came: CLOCK_MONOTONIC, ns; 0: it did not. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_MAX_PROBES);
	__type(key, __u32);
	__type(value, __u64);
} arrivals SEC(".maps");

/* The frame's pages come back after use with whatever the last flow left in them, so all fields
 * that depend on the flow are written whole, none is adjusted. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct traffic_frame *frame = (void *)(long)ctx->data;
	__u32 flow = next_flow, source;
	__u16 port;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	next_flow = flow + 1 < n_flows ? flow + 1 : 0;
	source = traffic_source(flow);
	port = traffic_port(flow);
	generated++;
	frame->ip.saddr = bpf_htonl(source);
	frame->ip.check = bpf_htons(traffic_fold(ip_sum + (source >> 16) + (source & 0xffff)));
	frame->udp.source = bpf_htons(port);
	frame->udp.check =
		bpf_htons(traffic_fold(udp_sum + (source >> 16) + (source & 0xffff) + port));
	return bpf_redirect(out_ifindex, 0);
}

/* Notes when a frame of this flow came. Returns whether it is one of the n_flows, not a probe. */
static __always_inline bool take_time(__u32 flow)
{
	__u64 now = bpf_ktime_get_ns(), before, *arrival;

	if (flow >= n_flows) {
		flow -= n_flows;
		arrival = bpf_map_lookup_elem(&arrivals, &flow);
		if (arrival && !*arrival)
			*arrival = now;
		return false;
	}
	before = __sync_lock_test_and_set(&last_arrival, now);
	if (before && now > before && now - before > longest_gap)
		longest_gap = now - before;
	return true;
}

/* Counts one frame that reached the far end. */
static __always_inline void take(const void *data, const void *end)
{
	const struct traffic_frame *frame = data;
	struct traffic_count *count;
	__u32 zero = 0, flow;
	__u8 *mark;

	count = bpf_map_lookup_elem(&counts, &zero);
	if (!count)
		return;
	if ((const void *)(frame + 1) > end || frame->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    frame->ip.protocol != IPPROTO_UDP || frame->udp.dest != bpf_htons(TRAFFIC_DST_PORT)) {
		count->others++;
		return;
	}
	flow = (bpf_ntohs(frame->udp.source) - TRAFFIC_PORT_BASE) |
	       (bpf_ntohl(frame->ip.saddr) >> 8 & 0xff) << TRAFFIC_PORT_BITS;
	if (take_times && !take_time(flow))
		return;
	count->packets++;
	count->bytes += end - data;
	if (!mark_flows)
		return;
	mark = bpf_map_lookup_elem(&seen, &flow);
	if (mark)
		*mark = 1;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	take((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return XDP_DROP;
}

SEC("tc")
int sink_tc(struct __sk_buff *ctx)
{
	take((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return TC_ACT_SHOT;
}

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	return bpf_redirect(out_ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
