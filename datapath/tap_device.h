/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap_device.h - a TAP device and its queues, for the port drivers that have one.
 *
 * Two drivers do: port_tap.h, where the host is at the other side of the device, and port_veth.h,
 * where tc programs are. Each queue of the device is one file descriptor, for both directions, a
 * receive queue and a transmit queue of the port; packets come and go with a virtio-net header
 * (vnet_hdr.h), and what comes is read into an rx_buffer.
 *
 * When the device is deleted its descriptors report an error for ever, which would keep a worker
 * that sleeps on them awake. The first to notice marks the queue as gone and puts /dev/null in the
 * descriptor's place.
 *
 * Life cycle: tap_device_open() makes or opens the device and adds its queues to the port; it is
 * still down, and nothing flows. tap_device_close() closes the queues, with which a device that is
 * not persistent vanishes, and takes their frames back; it also ends what tap_device_open() did not
 * finish. tap_device.c is the control thread's, tap_device_io.c the workers'.
 *
 * Thread-safety: a queue's receive half belongs to the worker that polls it, the transmit half to
 * whoever holds the transmit queue (port.h); `is_gone` is atomic. All else: control thread.
 */
#ifndef VSWITCH_DATAPATH_TAP_DEVICE_H
#define VSWITCH_DATAPATH_TAP_DEVICE_H

#include <net/if.h>
#include "datapath/port.h"
#include "datapath/rx_buffer.h"

struct nl_sock;
struct rtnl_link;

/* After so many polls that found nothing a queue gives its frames back, so that many idle devices
 * do not use up the pool. */
#define TAP_IDLE_POLLS 64

/* Segments of a packet to be sent. */
#define TAP_SEGS_MAX 128

struct tap_queue {
	struct port_rxq rxq cacheline_aligned; /* rxq.fd is the queue's descriptor */
	bool is_gone; /* the device is deleted; relaxed atomic */
	uint8_t n_idle; /* polls in a row that found nothing, TAP_IDLE_POLLS at most; worker */
	int null_fd; /* the device's */
	struct rx_buffer buffer;
	struct port_txq txq cacheline_aligned;
};

struct tap_device {
	struct port *port; /* whose queues these are */
	char name[IFNAMSIZ]; /* when it was opened */
	int ifindex;
	int null_fd; /* /dev/null, see above; -1: none */
	bool has_uso; /* the kernel takes UDP segmentation */
	uint64_t drops_at_open; /* the device's count when it was opened */
	struct nl_sock *sock; /* route netlink */
	unsigned int n_queues; /* of them open, all added to the port */
	struct tap_queue *queues;
};

/* Does the kernel have such devices for us? Makes none. Returns 0 or a negative errno with `err`
 * set. */
int tap_device_probe(struct error *err) WARN_UNUSED;

/* Opens a queue of device `name`, making it if there is none; a %d in the name is the kernel's to
 * fill in. Returns its descriptor or a negative errno with `err` set. */
int tap_device_open_queue(const char *name, bool is_multi_queue, struct error *err) WARN_UNUSED;

/* Opens device `name` with `n_queues` queues, making it if there is none. Returns 0 or a negative
 * errno with `err` set; in both cases the device is to be closed. */
int tap_device_open(struct tap_device *dev, struct port *port, const char *name,
		    unsigned int n_queues, struct error *err) WARN_UNUSED;

/* Closes what is open. A device of all zeroes is allowed. */
void tap_device_close(struct tap_device *dev);

/* Asks for the device's link, for the caller to put. Returns 0, -ENODEV when the device is deleted,
 * -EXDEV when it is in another network namespace, where it cannot be seen. */
int tap_device_get_link(const struct tap_device *dev, struct rtnl_link **link) WARN_UNUSED;

/* Packets that were lost since it was opened because nobody had read those before them. */
uint64_t tap_device_get_drops(const struct tap_device *dev, struct rtnl_link *link);

/* Sets the port's caps, but for the length. */
void tap_device_set_caps(const struct tap_device *dev);

/* The offloads that it takes, for people: "csum,tso4,tso6,uso". */
const char *tap_device_format_offloads(const struct tap_device *dev);

/* rx and tx of struct port_class. */
unsigned int tap_device_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max);
void tap_device_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n);

#endif /* VSWITCH_DATAPATH_TAP_DEVICE_H */
