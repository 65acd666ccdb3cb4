/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SYSTEM_BED_H
#define TESTS_SYSTEM_BED_H

/*
 * What a system test in C stands on: a network namespace of its own, devices in it, raw sockets at
 * their far ends, and a datapath whose pipeline passes packets straight from one port to the other.
 *
 * The namespace is the process's own, without a name: whatever way the test ends, it and its
 * devices are gone.
 *
 * Thread-safety: one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/datapath.h"
#include "lib/util.h"

/* Moves the process into new network and mount namespaces. Exits with 77 and the reason when it may
 * not. */
void bed_enter(void);

/* Runs a shell command; a failure fails the test. */
void bed_run(const char *format, ...) PRINTF_FORMAT(1, 2);

/* Makes a pair of veths, both up, without IPv6's own chatter. `options` go to ip link add for both.
 */
void bed_add_veth(const char *name, const char *peer, const char *options);

/* Opens a raw socket on a device; `vnet`: each frame has a struct virtio_net_hdr ahead. */
int bed_open_raw(const char *ifname, bool vnet);

/* Reads a frame, for at most `timeout_ms`. Returns its length or -1. */
int bed_receive(int fd, void *buf, size_t size, int timeout_ms);

/* Reads frames until one has Ethernet type 0x88b5 (local experimental, which tests send). */
int bed_receive_test(int fd, void *buf, size_t size, int timeout_ms);

/* Writes a frame of `len` bytes of that type: addresses, type, then a pattern made of `seed`. */
void bed_fill(uint8_t *frame, uint32_t len, uint32_t seed);

/* Pushes a tag where the sender's stack keeps it beside the packet, as a NIC that strips tags
 * would: on all that leaves by the device. */
void bed_attach_vlan_push(const char *ifname, uint16_t tci);

/* Makes a datapath of `n_workers` workers and `n_frames` frames (0: the default), whose pipeline
 * sends what comes in by port 1 out by port 2, by 2 out by 1. */
struct datapath *bed_create_datapath(unsigned int n_workers, uint32_t n_frames);

/* Adds an afxdp port; fails the test when it cannot. Options: "key=value ..." */
uint32_t bed_add_port(struct datapath *dp, const char *name, const char *options);

/* The same, expected to fail: returns the error. */
int bed_try_port(struct datapath *dp, const char *name, const char *options, struct error *err);

/* The same for a port of any type. */
uint32_t bed_add_typed_port(struct datapath *dp, const char *type, const char *name,
			    const char *options);
int bed_try_typed_port(struct datapath *dp, const char *type, const char *name, const char *options,
		       struct error *err);

/* Makes named namespaces, with lo up, in a /run of the process's own. NULL ends the list. */
void bed_add_namespaces(const char *const *names);

/* Runs a shell command in a named namespace; a failure fails the test. */
void bed_run_in(const char *ns, const char *format, ...) PRINTF_FORMAT(2, 3);

/* One line of the port's status; "" when there is none of that name. */
const char *bed_get_status(struct datapath *dp, uint32_t port_no, const char *name);

/* Frames that are in none of pool, caches and hands; 0 when all ports are closed. */
uint32_t bed_count_lent(struct datapath *dp);

/* The port's counters, summed. */
void bed_get_counters(struct datapath *dp, uint32_t port_no, struct port_counters *sum);

#endif
