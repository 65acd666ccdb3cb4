/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LINK_WATCH_H
#define VSWITCHD_LINK_WATCH_H

/*
 * Tells when a network interface comes or goes
 * ============================================
 *
 * Listens to the kernel's link notifications in the switch's own namespace and calls back for each
 * interface that was removed (a container's veth whose namespace ended, a NIC that was pulled out)
 * and for each that is new, or has changed: a port may have waited for it.
 * The owner puts link_watch_get_fd() into its event loop and calls link_watch_run() when it is
 * readable.
 *
 * The kernel drops notifications when the socket is full. That is noticed, and the callback is then
 * called once with ifindex 0: anything may have gone, look at all ports.
 *
 * Life cycle: link_watch_create() .. link_watch_destroy(). The callback may destroy nothing but
 * its own ports; not the watch.
 *
 * Thread-safety: one thread at a time, the control thread.
 */

#include "lib/error.h"
#include "lib/util.h"

#include <stdbool.h>

struct link_watch;

/*
 * The interface `name` with index `ifindex` is gone from this namespace, or (`gone` false) it is
 * there, new or changed. ifindex 0 (and name ""): notifications were lost.
 */
typedef void link_watch_cb(void *aux, unsigned int ifindex, const char *name, bool gone);

/* Start to listen. Returns 0 with *watch set, or a negative errno. */
int link_watch_create(link_watch_cb *cb, void *aux, struct link_watch **watch,
		      struct error *e) WARN_UNUSED;

/* NULL is allowed. */
void link_watch_destroy(struct link_watch *watch);

/* Readable when there is something to do. Owned by the watch. */
int link_watch_get_fd(const struct link_watch *watch);

/* Handle all that has arrived; never blocks. Returns 0 or a negative errno. */
int link_watch_run(struct link_watch *watch) WARN_UNUSED;

#endif
