/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_FRAMES_H
#define TESTS_UNIT_FRAMES_H

/*
 * Makes Ethernet frames for tests, and checks their sums with the plainest code there is, which
 * shares nothing with what it tests.
 *
 * Thread-safety: pure functions over the caller's memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What to make; zero is a sensible value for all but ethertype. */
struct frame_spec {
	uint16_t
		ethertype; /* 0x0800, 0x86dd; anything else: no L3 header but `payload_len` bytes */
	bool tagged; /* with one 802.1Q tag */
	uint16_t tci; /* of that tag, host order */
	uint8_t proto; /* 6, 17, 1, 58; else: payload right behind IP */
	uint32_t src,
		dst; /* last 32 bits of the addresses, host order (198.18.0.0/15, 2001:db8::) */
	uint16_t sport, dport;
	uint8_t ttl, tos;
	uint8_t tcp_flags;
	uint32_t seq;
	uint32_t payload_len; /* bytes behind L4 (or L3), filled with a pattern */
	bool partial; /* leave the L4 checksum partial */
};

/* Writes the frame to `buf` (room for 66,000 bytes is enough). Returns its length. */
uint32_t frame_build(const struct frame_spec *spec, uint8_t *buf);

/* Are IPv4 header checksum, IP lengths and L4 checksum (TCP, UDP, ICMP, ICMPv6) of the frame right?
 */
bool frame_sums_are_right(const uint8_t *frame, uint32_t len);

/* Offset of the L3 header, of the L4 header (0: none). */
uint32_t frame_l3(const uint8_t *frame);
uint32_t frame_l4(const uint8_t *frame);

#endif
