/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What trafficgen's BPF programs and its user side agree on.
 *
 * Every frame of a benchmark is one of F flows. A flow is a number, 0 to F - 1, and only three
 * fields of the frame depend on it: the UDP source port (TRAFFIC_PORT_BASE plus the number's low
 * TRAFFIC_PORT_BITS), the IPv4 source address (last octet: 1 plus the number modulo TRAFFIC_HOSTS;
 * the one before it: the rest of the number) and the two checksums, which always are right. All
 * else comes from a template that user space builds. So F flows are F distinct 5-tuples, and the
 * sink can tell a frame of ours, and its flow, by looking at it.
 *
 * Thread-safety: constants and one plain struct, nothing to guard.
 */
#ifndef TESTS_BENCH_TRAFFICGEN_H
#define TESTS_BENCH_TRAFFICGEN_H

#include <linux/types.h>

#define TRAFFIC_PORT_BASE 1024	    /* source port of flow 0 */
#define TRAFFIC_PORT_BITS 15	    /* source ports are 1024 to 33791 */
#define TRAFFIC_MAX_FLOWS (1 << 20) /* 32 values of the third octet */
#define TRAFFIC_HOSTS 64	    /* power of two: values of the last octet */
#define TRAFFIC_SOURCE 0xc6120000u  /* 198.18.0.0, host byte order; the host octet is added */
#define TRAFFIC_TARGET 0xc6130001u  /* 198.19.0.1, host byte order */
#define TRAFFIC_DST_PORT 5001	    /* UDP destination port of every frame */
#define TRAFFIC_MIN_SIZE 60	    /* bytes, an Ethernet frame without its checksum */
#define TRAFFIC_MAX_SIZE 1514	    /* bytes */
#define TRAFFIC_MAX_PROBES 16384    /* flows of one frame each, see `trafficgen steady` */

/* Source address of a flow, host byte order. */
static inline __attribute__((always_inline)) __u32 traffic_source(__u32 flow)
{
	return TRAFFIC_SOURCE + 1 + (flow & (TRAFFIC_HOSTS - 1)) +
	       (flow >> TRAFFIC_PORT_BITS << 8);
}

/* Source port of a flow, host byte order. */
static inline __attribute__((always_inline)) __u16 traffic_port(__u32 flow)
{
	return TRAFFIC_PORT_BASE + (flow & ((1 << TRAFFIC_PORT_BITS) - 1));
}

/* The Internet checksum, host byte order, of what adds up to `sum`. */
static inline __attribute__((always_inline)) __u16 traffic_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What the sink has counted on one CPU. */
struct traffic_count {
	__u64 packets;	/* frames of ours */
	__u64 bytes;	/* their lengths, without the Ethernet checksum */
	__u64 others;	/* frames that are not ours: neighbour discovery and the like */
};

#endif
