/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/foreign_fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

static atomic_uint n_closing;

unsigned int foreign_fd_count(void)
{
	return atomic_load(&n_closing);
}

/* A file with a path: its file system has a say in its closing. */
static bool is_file(int fd)
{
	char path[32], target[2];

	if (fcntl(fd, F_GET_SEALS) >= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* "socket:[...]", "pipe:[...]", "anon_inode:..." have none */
	return readlink(path, target, sizeof(target)) <= 0 || target[0] == '/';
}

static void *run_close(void *fd)
{
	close((int)(intptr_t)fd);
	atomic_fetch_sub(&n_closing, 1);
	return NULL;
}

/* Makes a thread that closes it, and takes no signals of ours. */
static int start_thread(int fd)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, &attr, run_close, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

void foreign_fd_close(int fd)
{
	const struct linger none = {0};

	if (!is_file(fd)) {
		/* Of anything but a socket it cannot be asked. */
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(fd);
		return;
	}
	if (atomic_fetch_add(&n_closing, 1) < FOREIGN_FD_THREADS_MAX && start_thread(fd) == 0)
		return;
	atomic_fetch_sub(&n_closing, 1);
	log_warn_limited("a file that a vhost-user front end sent cannot be closed: it stays open");
}
