/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_DEV_PRIV_H
#define VHOST_VHOST_DEV_PRIV_H

/*
 * The inside of a device
 * ======================
 *
 * vhost_dev.c has the life cycle and the rings' starting and stopping, vhost_request.c the table of
 * requests and their handlers. A handler returns an outcome; on VHOST_OUTCOME_FAULT it has said
 * what is wrong by vhost_dev_fault().
 *
 * What is told of a ring is kept in struct dev_ring and lives until the connection ends; its struct
 * vring runs while all that is needed is there:
 *
 *	number, addresses, features known
 *	started (by SET_VRING_KICK, until GET_VRING_BASE)	-> vring_start(), publish
 *	and its addresses lie in guest memory
 *
 * After each message vhost_dev_publish() starts what can be started. A ring whose memory is not
 * there (any more) waits for the memory table that brings it.
 *
 * Thread-safety: control thread only.
 */

#include "vhost/dirty_log.h"
#include "vhost/guest_mem.h"
#include "vhost/inflight.h"
#include "vhost/vhost_dev.h"
#include "vhost/vhost_msg.h"

struct dev_ring {
	struct vring vring;
	struct inflight_ring inflight; /* in use while it runs, if the device has a record */
	struct vhost_addr addr; /* as the front end gave it */
	uint32_t num; /* descriptors, 0: not told */
	uint32_t base; /* where to go on, or where it stopped */
	bool has_addr;
	bool is_started; /* between SET_VRING_KICK and GET_VRING_BASE */
	bool is_enabled; /* by SET_VRING_ENABLE */
	int kick_fd; /* -1: none */
	int call_fd;
	int err_fd;
};

struct vhost_dev {
	struct vhost_dev_config config; /* name points into the next member */
	char name[64];
	const struct vhost_dev_ops *ops;
	void *aux;
	unsigned int n_rings;
	int alarm_fd;

	/* Of the connection. */
	int sock; /* -1: not attached */
	struct vhost_msg msg; /* the one that is coming in */
	uint64_t features; /* negotiated */
	uint64_t protocol_features;
	bool has_features; /* SET_FEATURES came */
	uint8_t device_status;
	unsigned int mtu;
	uint32_t published; /* rings that workers may use */
	struct dirty_log log;
	struct inflight_area inflight;
	enum vhost_fault fault; /* why the connection has to end */
	struct error error; /* the same for people */

	uint64_t n_messages;
	uint64_t n_refused;
	uint64_t faults[VHOST_N_FAULTS];
	struct dev_ring rings[VHOST_RINGS_MAX];
	struct guest_mem mem; /* large: last */
};

enum vhost_outcome {
	VHOST_OUTCOME_DONE,
	VHOST_OUTCOME_REPLY, /* msg holds the reply, size set; vhost_request_run() sends it */
	VHOST_OUTCOME_REFUSED, /* cannot be done; dev->error says why */
	VHOST_OUTCOME_FAULT, /* the connection has to end */
};

/* Notes why the connection has to end; of several, the first counts. */
enum vhost_outcome vhost_dev_fault(struct vhost_dev *dev, enum vhost_fault fault, const char *fmt,
				   ...) PRINTF_FORMAT(3, 4);

/* Takes those of `rings` that run away from their workers and stops them. */
void vhost_dev_withdraw(struct vhost_dev *dev, uint32_t rings);

/* Starts and publishes each ring that is ready. Returns 0, or -EPROTO with the fault noted. */
int vhost_dev_publish(struct vhost_dev *dev) WARN_UNUSED;

/* Forgets what was told of a ring that does not run: closes its descriptors, switches it off. */
void vhost_dev_reset_ring(struct vhost_dev *dev, unsigned int index);

static inline bool vhost_dev_has_protocol(const struct vhost_dev *dev,
					  enum vhost_protocol_feature feature)
{
	return dev->protocol_features & VHOST_BIT(feature);
}

static inline bool vhost_dev_has(const struct vhost_dev *dev, unsigned int feature)
{
	return dev->features & VHOST_BIT(feature);
}

/* Closes a descriptor that is there, and forgets it. */
void vhost_dev_close_fd(int *fd);

/* Checks and handles dev->msg, which is whole, and answers it. Returns 0, or -EPROTO with the fault
 * noted. */
int vhost_request_run(struct vhost_dev *dev) WARN_UNUSED;

#endif
