/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_THREAD_PRIV_H
#define VSWITCHD_LIBVIRT_THREAD_PRIV_H

/*
 * What both halves of libvirt's thread share: libvirt_thread.c has the queues and belongs to the
 * control thread, libvirt_session.c has the connection and runs in the thread.
 *
 * Thread-safety: members under `lock` are either's; `session` is the thread's own.
 */

#include "lib/mutex.h"
#include "vswitchd/libvirt_thread.h"

#include <pthread.h>

#ifdef HAVE_LIBVIRT
#define LIBVIRT_IS_BUILT_IN true
#else
#define LIBVIRT_IS_BUILT_IN false
#endif

STAILQ_HEAD(libvirt_jobs, libvirt_job);
STAILQ_HEAD(libvirt_messages, libvirt_message);

struct libvirt_thread {
	pthread_t thread;
	char *uri; /* owned */
	libvirt_thread_cb *cb;
	void *aux; /* for cb */
	int in_fd; /* eventfd: jobs, events, or time to stop */
	int out_fd; /* eventfd: messages, or finished jobs */
	struct mutex lock;
	struct libvirt_jobs jobs GUARDED; /* to be done; lock */
	struct libvirt_jobs finished GUARDED; /* done; lock */
	struct libvirt_messages messages GUARDED; /* lock */
	bool stopping GUARDED; /* lock */
};

/* The thread. */
void *libvirt_thread_main(void *thread);

/* ---- for the thread ---- */

/* Hands a message (malloc) over. */
void libvirt_tell(struct libvirt_thread *thread, struct libvirt_message *message);
void libvirt_message_destroy(struct libvirt_message *message);
/* The next job, or NULL. */
struct libvirt_job *libvirt_take_job(struct libvirt_thread *thread);
/* Hands it back. */
void libvirt_finish(struct libvirt_thread *thread, struct libvirt_job *job);
bool libvirt_is_stopping(struct libvirt_thread *thread);
/* Lets the thread look for work. */
void libvirt_wake(struct libvirt_thread *thread);
/* Empties an eventfd. */
void libvirt_drain(int fd);

#endif
