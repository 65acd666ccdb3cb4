/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_NETNS_H
#define VSWITCHD_NETNS_H

/*
 * Other network namespaces
 * ========================
 *
 * Opens a namespace by name, path or PID (see vswitchd/container.h for the forms), and runs a
 * function inside it. A thread that changes its namespace would take everything that it opens later
 * with it, so it is never the caller: a helper thread enters, runs the function and ends. A socket
 * that the function opens belongs to the namespace for good and may be used by the caller
 * afterwards; netns_connect() does just that for netlink.
 *
 * Life cycle: netns_open() returns a file descriptor that keeps the namespace alive; close(2) it.
 *
 * Thread-safety: any thread. The function runs while the caller waits.
 */

#include "lib/error.h"
#include "lib/util.h"

struct nl_sock;

/* Where `ip netns` keeps its names. */
#define NETNS_DIR "/run/netns"

/* The part of `netns` that identifies it: NAME for /run/netns/NAME, else `netns` itself. */
const char *netns_format(const char *netns);

/*
 * Open the namespace. Returns a file descriptor, or -EINVAL (not a form of namespace, or not a
 * network namespace, or the caller's own), -ENOENT, -EACCES.
 */
int netns_open(const char *netns, struct error *e) WARN_UNUSED;

/* Run `run(aux)` in the namespace `fd`. Returns what it returned, or a negative errno. */
int netns_run(int fd, int (*run)(void *aux), void *aux, struct error *e) WARN_UNUSED;

/*
 * Open a route netlink socket in the namespace `fd`, or in the caller's own for -1, into *sock;
 * free it with nl_socket_free(). Returns 0 or a negative errno.
 */
int netns_connect(int fd, struct nl_sock **sock, struct error *e) WARN_UNUSED;

#endif
