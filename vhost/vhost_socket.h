/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_SOCKET_H
#define VHOST_VHOST_SOCKET_H

/*
 * Where a device meets its front end
 * ==================================
 *
 * A vhost-user connection is made in one of two ways. As a server we listen at a path and the guest
 * comes to us; as a client the guest's process listens and we connect, again and again until it is
 * there. In both, either side may go and come back: a connection that ends puts the socket back to
 * where it began. One device talks to one front end at a time; a second one that comes to a server
 * waits until the first is gone.
 *
 *	LISTENING (server) --accept--> CONNECTED --hung up--> LISTENING
 *	WAITING (client)  --connect-> CONNECTED --hung up--> WAITING
 *	CONNECTED --fault--> WAITING until the deadline, then as before
 *
 * Waiting grows from VHOST_SOCKET_RETRY_MIN_NS, doubling up to VHOST_SOCKET_RETRY_MAX_NS, with each
 * attempt that fails and each connection that ends in a fault; so a front end that breaks the rules
 * in a loop costs a few messages a second. A connection that lasted resets it. A front end that
 * sends more than VHOST_SOCKET_MESSAGES_PER_S is read no further in that second; one that does not
 * send the rest of a message within VHOST_SOCKET_MESSAGE_NS is disconnected (it may be dead, with
 * its own end of the connection held by the part that came).
 *
 * There is no loop in here: the caller watches one file descriptor (an epoll instance that holds
 * all others, and stays the same) for reading, and a deadline, and calls vhost_socket_run() when
 * either is due. Time is the caller's, so that tests need not wait.
 *
 * A stale socket file, which nobody listens at, is replaced; one that is in use, or is no socket,
 * is an error. On close the file is removed if it is still ours.
 *
 * Life cycle: vhost_socket_open(), run, vhost_socket_close(), which detaches the device.
 *
 * Thread-safety: control thread only.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/clock.h"
#include "lib/error.h"
#include "vhost/vhost_dev.h"

#define VHOST_SOCKET_RETRY_MIN_NS (100 * CLOCK_NS_PER_MS)
#define VHOST_SOCKET_RETRY_MAX_NS (5 * CLOCK_NS_PER_S)
#define VHOST_SOCKET_MESSAGES_PER_S 2000
#define VHOST_SOCKET_MESSAGE_NS (5 * CLOCK_NS_PER_S)

/* No deadline. */
#define VHOST_SOCKET_NEVER UINT64_MAX

enum vhost_socket_state {
	VHOST_SOCKET_LISTENING,
	VHOST_SOCKET_WAITING,
	VHOST_SOCKET_CONNECTED,
};

struct vhost_socket_config {
	const char *path; /* copied */
	bool is_client;
	mode_t access; /* server: permissions of the socket file, such as 0660 */
	gid_t group; /* server: its group; (gid_t)-1: as it comes */
};

struct vhost_socket;

/*
 * Begin to listen, or to connect (a client for which nobody listens yet is no error). `dev` is not
 * attached, and outlives the socket. Returns 0 or a negative errno.
 */
int vhost_socket_open(const struct vhost_socket_config *config, struct vhost_dev *dev,
		      uint64_t now_ns, struct vhost_socket **sp, struct error *e) WARN_UNUSED;
void vhost_socket_close(struct vhost_socket *s);

/* What to watch for reading; constant. */
int vhost_socket_get_fd(const struct vhost_socket *s);

/* When to call vhost_socket_run() without an event, ns; VHOST_SOCKET_NEVER: no need. */
uint64_t vhost_socket_get_deadline(const struct vhost_socket *s);

/* Do what is due: accept, connect, handle messages and broken rings. Never blocks. */
void vhost_socket_run(struct vhost_socket *s, uint64_t now_ns);

enum vhost_socket_state vhost_socket_get_state(const struct vhost_socket *s);

/* One sentence about what it waits for, or why it is not connected. */
const char *vhost_socket_get_text(const struct vhost_socket *s);

#endif
