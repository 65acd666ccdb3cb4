/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_FOREIGN_FD_H
#define VHOST_FOREIGN_FD_H

/*
 * Descriptors that somebody else sent, and how to be rid of them
 * ==============================================================
 *
 * A front end may send any descriptor that it has, and whoever holds the last one does what closing
 * takes: close() of a TCP socket waits for its peer as long as SO_LINGER says, hours if the sender
 * set it so, and close() of a file asks its file system, which may be a program (FUSE) that does
 * not answer for good. That must not be waited for.
 *
 * foreign_fd_close() closes at once what closes at once: files in memory, anonymous inodes
 * (eventfds), pipes, and sockets, whose lingering is switched off first. For any other file a
 * thread is made, which closes it and ends; a device never keeps one, so only a front end that
 * breaks the rules costs it. When FOREIGN_FD_THREADS_MAX of them hang, further files stay open:
 * leaked, eight for each connection that ends in a fault, and told in the log.
 *
 * Thread-safety: any thread.
 */

#include "lib/util.h"

/* Files being closed at once. */
#define FOREIGN_FD_THREADS_MAX 64

/* Close a descriptor that came from outside. Never blocks. */
void foreign_fd_close(int fd);

/* Files whose closing is under way; for tests. */
unsigned int foreign_fd_count(void);

#endif
