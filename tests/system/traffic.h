/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SYSTEM_TRAFFIC_H
#define TESTS_SYSTEM_TRAFFIC_H

/*
 * Real traffic for system tests of port drivers: between two namespaces whose interfaces lead to
 * ports 1 and 2 of a crossing datapath (bed.h), and single packets with offloads by raw sockets.
 *
 * Every function fails the test when something is not as it should be.
 *
 * Thread-safety: one thread.
 */

#include "tests/system/bed.h"

struct port;

/* Makes namespaces a and b, moves interface `if_a` into a and `if_b` into b, gives them
 * addresses 198.51.100.1 and .2, 2001:db8:1::1 and ::2, and brings them up. */
void traffic_add_namespaces(const char *if_a, const char *if_b);
/* Removes both namespaces. */
void traffic_remove_namespaces(void);

/* A TCP server in namespace b, for one connection and for a minute at most. */
void traffic_start_server(void);
/* Runs the client in namespace a against the newest server; `options` are iperf3's and the shell's.
 */
void traffic_start_client(const char *address, const char *options);
void traffic_stop_server(void);

/* Ping and TCP, both families and ways, from a to b, with offloads as the kernel sets them; ports 1
 * and 2 must have sent packets larger than an MTU, and refused none. */
void traffic_run(struct datapath *dp);

/*
 * Packets of up to 64 KiB to be segmented, IPv4, IPv6, TCP, UDP, with and without a tag, go into
 * `ifname` by a raw socket and come out of mem port `mem` (collect=on csum=on gso=on) as they were,
 * and the same way back.
 */
void traffic_check_offloads(const char *ifname, struct port *mem);

/* The worker does not run although nothing happens: less than a fifth of half a second. */
void traffic_check_idle(struct datapath *dp, unsigned int worker);

/* Removes ports 1 to `n_ports`, finds each frame back, and destroys the datapath. */
void traffic_remove_ports(struct datapath *dp, uint32_t n_ports);

/* Tries to add a port of that type in a process without privilege: refused with -EPERM and a text
 * that has `word` in it. */
void traffic_check_unprivileged(const char *type, const char *name, const char *word);

#endif
