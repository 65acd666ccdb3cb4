/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_THREAD_H
#define VSWITCHD_LIBVIRT_THREAD_H

/*
 * The thread that speaks to libvirtd
 * ==================================
 *
 * Calls of libvirt block: for the time that a VM takes to let go of a device, and for good when
 * libvirtd is stopped or hangs while a connection is made. So all of them are made in one thread of
 * their own (with a second one for libvirt's event loop, which notices that libvirtd does not
 * answer), and nothing but messages goes between it and the control thread:
 *
 *	control thread  --jobs-->      libvirt thread  --RPC-->     libvirtd
 *	                <--messages--                  <--events--
 *
 * The thread connects, and again when the connection is lost, with growing pauses up to
 * LIBVIRT_RETRY_MAX_S. Keep-alive messages find a libvirtd that answers no more. Once connected it
 * tells of all domains, and then of each that changes, as events say so (started, stopped, defined,
 * devices plugged and unplugged, metadata). Not every change has an event. A device that was
 * plugged into the next start only has none: so all domains are looked at every LIBVIRT_POLL_S as
 * well. A transient domain's start is told when QEMU runs, but a QEMU that listens at a socket, or
 * that reconnects, waits ahead of that for the switch: so transient domains are listed every
 * LIBVIRT_LOOK_S.
 *
 * Jobs are carried out in their order, between events. A job that is submitted always comes back,
 * in a message, unless the thread is destroyed before.
 *
 * Life cycle: libvirt_thread_create() (once at a time: libvirt's event loop is the process's),
 * libvirt_thread_destroy(), which waits for a call under way for LIBVIRT_STOP_S at most and then
 * leaves the thread to itself: the process is about to end.
 *
 * Thread-safety: the control thread. Without libvirt at build time creation says so.
 */

#include "lib/error.h"
#include "vswitchd/libvirt_domain.h"

#include <sys/queue.h>

#define LIBVIRT_RETRY_MAX_S 10
#define LIBVIRT_POLL_S 10
#define LIBVIRT_LOOK_S 2
#define LIBVIRT_KEEPALIVE_S 5 /* between messages; three without an answer end the connection */
#define LIBVIRT_STOP_S 2

struct libvirt_thread;

enum libvirt_job_type {
	LIBVIRT_JOB_GET, /* describe the domain */
	/* plug `xml`, which libvirt_nic_format() wrote, into the running machine and the next
	 * start, where its MAC address is missing */
	LIBVIRT_JOB_ATTACH,
	LIBVIRT_JOB_DETACH, /* unplug it, where it is */
};

/* Something to be done in the thread. */
struct libvirt_job {
	STAILQ_ENTRY(libvirt_job) link;
	enum libvirt_job_type type;
	char *domain; /* its name or UUID; owned */
	char *xml; /* of the device; owned */
	/* what came of it */
	/* 0, or a negative errno: -ENOENT (no such domain), -ENOTCONN, -EIO, or -EPIPE: the
	 * connection was lost under way, and nobody knows whether it is done */
	int err;
	struct error error;
	/* as the domain is after it, also after a failure; owned; NULL: it could not be read */
	struct libvirt_domain *result;
	/* called in the control thread by libvirt_thread_run(), and owns the job */
	void (*done)(struct libvirt_job *job);
	void *aux;
};

enum libvirt_message_type {
	LIBVIRT_CONNECTED,
	LIBVIRT_DISCONNECTED, /* or could not be connected; text says why */
	LIBVIRT_DOMAINS, /* all that there are */
	LIBVIRT_DOMAIN, /* one, new or changed */
	LIBVIRT_GONE, /* the one with this uuid */
};

/* What the thread tells; borrowed during the call, but domains that the callee sets to NULL are
 * its own from then on. */
struct libvirt_message {
	STAILQ_ENTRY(libvirt_message) link;
	enum libvirt_message_type type;
	struct error error; /* DISCONNECTED */
	char uuid[LIBVIRT_UUID_SIZE]; /* GONE */
	struct libvirt_domain **domains; /* DOMAINS, DOMAIN */
	size_t n_domains;
};

typedef void libvirt_thread_cb(void *aux, struct libvirt_message *message);

/* Returns 0, -EOPNOTSUPP (built without libvirt) or another negative errno, with `e` set. */
int libvirt_thread_create(const char *uri, libvirt_thread_cb *cb, void *aux,
			  struct libvirt_thread **threadp, struct error *e) WARN_UNUSED;
/* NULL is allowed. Jobs that have not come back are freed. */
void libvirt_thread_destroy(struct libvirt_thread *thread);

/* Becomes readable when there are messages: then call libvirt_thread_run(). */
int libvirt_thread_get_fd(const struct libvirt_thread *thread);
/* Hands what the thread has said to the callback, and finished jobs to theirs. */
void libvirt_thread_run(struct libvirt_thread *thread);

/* Makes a job; `xml` may be NULL. NULL: no memory. */
struct libvirt_job *libvirt_job_create(enum libvirt_job_type type, const char *domain,
				       const char *xml);
void libvirt_job_destroy(struct libvirt_job *job);
/* Takes the job over; its done() is called later. */
void libvirt_thread_submit(struct libvirt_thread *thread, struct libvirt_job *job);

#endif
