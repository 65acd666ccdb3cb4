/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_DAEMON_H
#define VSWITCHD_DAEMON_H

/*
 * What any daemon does around its work
 * ====================================
 *
 * Goes into the background, makes sure that it is the only one, writes its pid, gives up
 *privileges, and says when it is ready. In this order, in main():
 *
 *	daemon_fork()		the parent stays until the child reports, and exits with its answer
 *	daemon_lock()		RUNDIR/vswitchd.lock, held until the process ends, however it ends
 *	daemon_drop_privileges()
 *	...			open everything
 *	daemon_report_ready()	lets the parent go, tells systemd
 *
 * Who starts `vswitchd` from a shell thus has it running, or sees on the terminal why not.
 *
 * Thread-safety: the main thread, while it is alone (daemon_report_*: any time after).
 */

#include "lib/error.h"
#include "lib/util.h"

#include <stdbool.h>

#define DAEMON_LOCK_NAME "vswitchd.lock"
#define DAEMON_PIDFILE_NAME "vswitchd.pid"

/* A pipe to the waiting parent; -1: there is none (foreground). */
struct daemon {
	int parent_fd;
	int lock_fd; /* -1: not locked */
	char *pidfile; /* owned; NULL: none was written */
};

#define DAEMON_INIT                                                                                \
	{                                                                                          \
		.parent_fd = -1, .lock_fd = -1                                                     \
	}

/* Closes and removes what the functions below made, in the process that stays. */
void daemon_uninit(struct daemon *daemon);

/* Goes into the background: a child in a session of its own, in "/". The parent does not return. */
int daemon_fork(struct daemon *daemon, struct error *e) WARN_UNUSED;

/* Makes `rundir` if only its last part is missing, and locks it. -EBUSY with the other's pid in
 * `e`. */
int daemon_lock(struct daemon *daemon, const char *rundir, struct error *e) WARN_UNUSED;

/* Writes the pid to `path`, whole or not at all. */
int daemon_write_pidfile(struct daemon *daemon, const char *path, struct error *e) WARN_UNUSED;

/*
 * Keeps, of the capabilities that there are, those that the switch needs, and gives up the rest for
 * good. Without any (a plain user) it does nothing.
 */
int daemon_drop_privileges(struct error *e) WARN_UNUSED;

/* Work can begin: lets the parent exit with success, tells systemd, closes the terminal. */
void daemon_report_ready(struct daemon *daemon);
/* It cannot: the parent prints `text` and exits with status 1. Without a parent, prints it. */
void daemon_report_failure(struct daemon *daemon, const char *text);
/* The stop has begun: tells systemd. */
void daemon_report_stopping(void);

#endif
