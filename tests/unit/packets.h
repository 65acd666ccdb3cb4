/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_PACKETS_H
#define TESTS_UNIT_PACKETS_H

/*
 * Random packets for whoever parses them: stacks of headers as they occur, and as they should not.
 *
 * A packet is drawn from a seed: VLAN tags (none to three), 802.3, ARP, IPv4 with options and
 * fragments, IPv6 with extension headers in any order and number, TCP, UDP, SCTP, ICMP, neighbour
 * discovery with options; one in four is then damaged: bytes changed, cut short, lengthened,
 * length fields falsified. The same seed gives the same packet.
 *
 * Thread-safety: pure functions over the caller's memory.
 */

#include <stdint.h>

/* Room that a packet may take. */
#define PACKETS_SIZE_MAX 1600

/* Writes packet number `seed`; returns its length, from 0 to PACKETS_SIZE_MAX. */
uint32_t packets_make(uint64_t seed, uint8_t *buf);

#endif
