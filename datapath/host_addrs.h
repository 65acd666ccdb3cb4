/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_addrs.h - the addresses that the host has on a network device.
 *
 * Who takes a device for the switch asks, so that nobody loses his connection by accident, and who
 * leaves the host its share of a device (bpf/xdp_host.h) has to know which one it is.
 *
 * The answer is a copy; addresses come and go, so ask again.
 *
 * Thread-safety: as the socket's: the caller's.
 */
#ifndef VSWITCH_DATAPATH_HOST_ADDRS_H
#define VSWITCH_DATAPATH_HOST_ADDRS_H

#include <stdint.h>
#include "bpf/xdp_host.h"
#include "lib/error.h"

struct nl_sock;

struct host_addrs {
	uint8_t mac[6]; /* of the device */
	uint32_t n;
	struct xdp_host_addr addrs[XDP_HOST_ADDRS_MAX]; /* n of them; more than fit are left out */
	char global[64]; /* one that is not for this link alone, "192.0.2.1/24"; "": none */
};

/* Asks for the addresses of the device. Returns 0, -ENODEV, or another negative errno. */
int host_addrs_get(struct nl_sock *sock, int ifindex, struct host_addrs *addrs) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_HOST_ADDRS_H */
