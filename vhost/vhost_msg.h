/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_MSG_H
#define VHOST_VHOST_MSG_H

/*
 * Messages on a socket
 * ====================
 *
 * Receives one vhost-user message at a time from a non-blocking stream socket, however it was cut
 * up on its way, with the file descriptors that came beside any of its bytes; and sends one whole.
 * Never reads beyond the end of the message, so descriptors cannot slip from one into the next.
 *
 * Nothing that comes in is believed: a header of the wrong version, a payload larger than any
 * request has, or descriptors that were too many or got lost, end the conversation. All descriptors
 * in a struct vhost_msg are its own until someone takes them; vhost_msg_reset() closes the rest.
 * They are closed on exec from the start.
 *
 * Thread-safety: a message belongs to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/util.h"
#include "vhost/vhost_fault.h"
#include "vhost/vhost_proto.h"

struct vhost_msg {
	struct vhost_header header;
	uint32_t have; /* bytes received of header and payload together */
	union vhost_payload payload;
	unsigned int n_fds;
	int fds[VHOST_FDS_MAX]; /* n_fds of them; -1: taken */
};

void vhost_msg_init(struct vhost_msg *msg);

/* Close what descriptors it still has, and be as after vhost_msg_init(). */
void vhost_msg_reset(struct vhost_msg *msg);

/* Take descriptor `i` out of the message. */
int vhost_msg_take_fd(struct vhost_msg *msg, unsigned int i) WARN_UNUSED;

/*
 * Receive more of the message. Returns 1 when it is whole, 0 when nothing more is there now, -EPIPE
 * when the peer closed, -EPROTO with *fault set when it broke the rules, or another errno.
 */
int vhost_msg_receive(struct vhost_msg *msg, int sock, enum vhost_fault *fault) WARN_UNUSED;

/*
 * Send header and header.size bytes of payload, with descriptor `fd` unless it is -1, which stays
 * the caller's. Returns 0, -EAGAIN when the peer does not read, or another errno.
 */
int vhost_msg_send(const struct vhost_msg *msg, int sock, int fd) WARN_UNUSED;

#endif
