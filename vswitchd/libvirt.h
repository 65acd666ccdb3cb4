/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_H
#define VSWITCHD_LIBVIRT_H

/*
 * The switch follows libvirt's domains
 * ====================================
 *
 * The control thread's half of everything that has to do with VMs: it takes what libvirt's thread
 * (libvirt_thread.h) tells of domains, keeps the list, and makes the switch's ports what follows
 * from it (libvirt_plan.h), each port in a change of its own (vswitch.h), so that they are on disk
 * like any other. It is looked at again, once a second, when the config has changed or a port could
 * not be made, for what it asks for may have become possible: a bridge that was made, a name that
 * became free. A port that cannot be made is logged once for each reason and tried again every
 * LIBVIRT_RETRY_PORT_S.
 *
 * What is not known is not acted upon: while libvirtd cannot be reached all ports stay as they
 * are, also those that were followed by a daemon before this one. When it is back its first list of
 * domains says what became of them meanwhile.
 *
 * Methods that need libvirt (methods_vm.c, methods_check.c) submit jobs; whoever waits for one that
 * has not come back within LIBVIRT_JOB_S is told so, and may answer without: nothing here waits for
 * libvirtd.
 *
 * Life cycle: libvirt_create(), libvirt_run() each second, libvirt_destroy(), which gives up what
 * is still under way.
 *
 * Thread-safety: the control thread.
 */

#include "vswitchd/libvirt_plan.h"
#include "vswitchd/libvirt_thread.h"
#include "vswitchd/vswitch.h"

struct event_base;
struct libvirt;

#define LIBVIRT_URI_DEFAULT "qemu:///system"
#define LIBVIRT_JOB_S 30
#define LIBVIRT_RETRY_PORT_S 5

/* `uri` is the caller's and outlives it. Returns 0, or a negative errno with `e` set: the switch
 * works without. */
int libvirt_create(struct event_base *base, struct vswitch *vs, const char *uri,
		   struct libvirt **lvp, struct error *e) WARN_UNUSED;
/* NULL is allowed. */
void libvirt_destroy(struct libvirt *lv);

/* Once a second; NULL is allowed. */
void libvirt_run(struct libvirt *lv);

/* What there is to say about the connection. */
struct libvirt_status {
	const char *uri;
	bool is_connected;
	const char *text; /* why not; "" */
	size_t n_domains; /* that are known */
	size_t n_followed; /* ports that follow them */
};

void libvirt_get_status(const struct libvirt *lv, struct libvirt_status *status);

/* The domain of that name or UUID as last told; NULL: not known. Good until the event loop goes on.
 */
const struct libvirt_domain *libvirt_lookup_domain(const struct libvirt *lv, const char *name);

/* All domains as last told, for libvirt_plan_create(). */
struct libvirt_domain *const *libvirt_get_domains(const struct libvirt *lv, size_t *n);

/* Why the port of that name could not be made or changed when it was last tried; NULL: it could. */
const char *libvirt_get_failure(const struct libvirt *lv, const char *port);

/* ", did you mean 'DOMAIN'?" or "", in `buf`. */
const char *libvirt_suggest(const struct libvirt *lv, const char *name, char *buf, size_t size);

/*
 * What came of a job: `err` as in struct libvirt_job, -ETIMEDOUT or -ECANCELED as well; `domain`
 * NULL or as it is after the job, the callee's to take by setting it to NULL.
 */
typedef void libvirt_done_cb(void *aux, int err, struct error *e, struct libvirt_domain **domain);

/*
 * Submits a job; `cb` is called once, later, if it returns 0. A job that changes a domain may still
 * do so after -ETIMEDOUT: then `cb` is called again, when it has come back. -ENOTCONN, -ENOMEM with
 * `e` set.
 */
int libvirt_submit(struct libvirt *lv, enum libvirt_job_type type, const char *domain,
		   const char *xml, libvirt_done_cb *cb, void *aux, struct error *e) WARN_UNUSED;

#endif
