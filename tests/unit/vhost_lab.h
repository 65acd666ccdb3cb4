/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_VHOST_LAB_H
#define TESTS_UNIT_VHOST_LAB_H

/*
 * A switch with vhost-user ports and guests in this process at the other ends of their sockets: the
 * real datapath, its workers, and the test's own thread as the control thread. Port 1 and port 2
 * are wired to each other, 3 and 4 likewise; index i is port i + 1. Sockets lie in a folder of the
 * test's own.
 *
 * Life cycle of a test: lab_start(); lab_add() ports; lab_boot() guests; lab_shut_down(), which
 * holds the sums against each other and takes the census of frames. A group has lab_set_up() and
 * lab_tear_down().
 *
 * Thread-safety: the test's own thread; a guest's packets may be another's business.
 */

#include "tests/unit/test.h"

#include "datapath/datapath.h"
#include "tests/unit/vhost_guest.h"

#define LAB_N_FRAMES 8192u
#define LAB_PATIENCE_NS (60 * CLOCK_NS_PER_S)
#define LAB_PORTS 4

#define F(name) VHOST_BIT(VIRTIO_NET_F_##name)
#define CSUM_FEATURES (F(CSUM) | F(GUEST_CSUM))
#define TSO_FEATURES (CSUM_FEATURES | F(HOST_TSO4) | F(HOST_TSO6) | F(GUEST_TSO4) | F(GUEST_TSO6))
#define BASE_FEATURES (VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define MERGED F(MRG_RXBUF)
#define INDIRECT VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VHOST_BIT(VIRTIO_F_IN_ORDER)

extern struct datapath *lab_dp;
extern struct vhost_guest lab_guests[LAB_PORTS];
extern char lab_folder[];
extern char lab_paths[LAB_PORTS][64];

int lab_set_up(void **state);
int lab_tear_down(void **state);

/* What the daemon's loop does. */
void lab_run_control(void *aux);

void lab_start(unsigned int n_workers);
/* Ends with the sums right, all frames back and nothing watched. */
void lab_stop(void);
/* Turns the first `n` guests off, and stops. */
void lab_shut_down(unsigned int n);

/* Adds port `i`; `options` is KEY=VALUE pairs with blanks between them. */
int lab_try_add(unsigned int i, const char *options, struct error *err);
void lab_add(unsigned int i, const char *options);
struct port *lab_get_port(unsigned int i);

uint64_t lab_get_drops(unsigned int i, enum drop_reason reason);
/* Waits until the port has counted `n` drops of that reason, and no more. */
void lab_wait_drops(unsigned int i, enum drop_reason reason, uint64_t n);
/* What came in and was copied went out or was dropped, over all ports. */
void lab_check_sums(void);

/* Boots guest `i` at port `i`; path and run are filled in, n_pairs 0: one. */
void lab_boot(unsigned int i, struct guest_config config);
/* Starts with ports and guests 0 and 1, of these features beside the usual ones. */
void lab_boot_two(uint64_t first, uint64_t second);

/* Sends, waiting while the ring is full; receives, waiting for it. */
void lab_send(unsigned int i, unsigned int pair, const struct virtio_net_hdr *hdr,
	      const void *frame, uint32_t len);
uint32_t lab_receive(unsigned int i, unsigned int pair, struct virtio_net_hdr *hdr, void *frame,
		     uint32_t size);

/* A frame of `len` bytes that is number `n`, and is it? */
void lab_make_frame(uint8_t *frame, uint32_t len, uint32_t n);
void lab_check_frame(const uint8_t *frame, uint32_t len, uint32_t n);

#endif
