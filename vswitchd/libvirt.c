/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/libvirt.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/suggest.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* A job under way. */
struct request {
	LIST_ENTRY(request) link; /* in lv->requests */
	struct libvirt *lv;
	enum libvirt_job_type type;
	bool is_late; /* who waits was told so */
	libvirt_done_cb *cb; /* NULL: nobody waits any more */
	void *aux; /* for cb */
	uint64_t started_ns; /* clock_now() */
};

/* A followed port that could not be made what it is to be. */
struct failure {
	char port[CONFIG_NAME_SIZE];
	struct error error;
	uint64_t tried_ns; /* clock_now() */
};

struct libvirt {
	struct vswitch *vs;
	struct libvirt_thread *thread;
	struct event *event; /* the thread has something to tell */
	const char *uri;
	bool is_connected;
	bool is_known; /* domains are those of this connection, and all of them */
	struct error why; /* there is no connection */
	struct libvirt_domain **domains; /* owned, each too */
	size_t n_domains;
	struct failure *failures; /* owned */
	size_t n_failures;
	uint64_t n_changes; /* of vs, when its ports were last compared with the domains */
	LIST_HEAD(, request) requests;
};

/* ---- the list of domains ----------------------------------------------------------------------
 */

static void remove_domain(struct libvirt *lv, const char *uuid)
{
	for (size_t i = 0; i < lv->n_domains; i++) {
		if (strcmp(lv->domains[i]->uuid, uuid) != 0)
			continue;
		libvirt_domain_destroy(lv->domains[i]);
		lv->domains[i] = lv->domains[--lv->n_domains];
		return;
	}
}

/* Enters a domain, in place of what was known of it; takes it over. */
static void put_domain(struct libvirt *lv, struct libvirt_domain *domain)
{
	struct libvirt_domain **grown;

	for (size_t i = 0; i < lv->n_domains; i++) {
		if (strcmp(lv->domains[i]->uuid, domain->uuid) != 0)
			continue;
		libvirt_domain_destroy(lv->domains[i]);
		lv->domains[i] = domain;
		return;
	}
	grown = reallocarray(lv->domains, lv->n_domains + 1, sizeof(*grown));
	if (!grown) {
		libvirt_domain_destroy(domain);
		return;
	}
	lv->domains = grown;
	lv->domains[lv->n_domains++] = domain;
}

static void clear_domains(struct libvirt *lv)
{
	for (size_t i = 0; i < lv->n_domains; i++)
		libvirt_domain_destroy(lv->domains[i]);
	free(lv->domains);
	lv->domains = NULL;
	lv->n_domains = 0;
}

/* Two interfaces may ask for one name: then the same one gets it each time. */
static int by_uuid(const void *a, const void *b)
{
	const struct libvirt_domain *const *left = a, *const *right = b;

	return strcmp((*left)->uuid, (*right)->uuid);
}

const struct libvirt_domain *libvirt_lookup_domain(const struct libvirt *lv, const char *name)
{
	for (size_t i = 0; i < lv->n_domains; i++) {
		if (strcmp(lv->domains[i]->name, name) == 0)
			return lv->domains[i];
	}
	for (size_t i = 0; i < lv->n_domains; i++) {
		if (strcmp(lv->domains[i]->uuid, name) == 0)
			return lv->domains[i];
	}
	return NULL;
}

struct libvirt_domain *const *libvirt_get_domains(const struct libvirt *lv, size_t *n)
{
	*n = lv->n_domains;
	return lv->domains;
}

const char *libvirt_suggest(const struct libvirt *lv, const char *name, char *buf, size_t size)
{
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (size_t i = 0; i < lv->n_domains; i++)
		suggest_offer(&suggest, lv->domains[i]->name);
	return suggest_format(&suggest, buf, size);
}

/* ---- following --------------------------------------------------------------------------------
 */

static struct failure *lookup_failure(const struct libvirt *lv, const char *port)
{
	for (size_t i = 0; i < lv->n_failures; i++) {
		if (strcmp(lv->failures[i].port, port) == 0)
			return &lv->failures[i];
	}
	return NULL;
}

const char *libvirt_get_failure(const struct libvirt *lv, const char *port)
{
	const struct failure *failure = lookup_failure(lv, port);

	return failure ? failure->error.text : NULL;
}

static void forget_failure(struct libvirt *lv, const char *port)
{
	struct failure *failure = lookup_failure(lv, port);

	if (failure)
		*failure = lv->failures[--lv->n_failures];
}

/* Remembers why, and when it was tried (0: not at all), and says so if that is new. */
static void note_failure(struct libvirt *lv, const char *port, uint64_t tried_ns,
			 const struct error *e)
{
	struct failure *failure = lookup_failure(lv, port), *grown;

	if (!failure) {
		grown = reallocarray(lv->failures, lv->n_failures + 1, sizeof(*grown));
		if (!grown)
			return;
		lv->failures = grown;
		failure = &grown[lv->n_failures++];
		*failure = (struct failure){0};
		snprintf(failure->port, sizeof(failure->port), "%s", port);
	}
	failure->tried_ns = tried_ns;
	if (strcmp(failure->error.text, e->text) == 0)
		return;
	failure->error = *e;
	log_warn("libvirt: port %s: %s", port, e->text);
}

static bool is_waiting(const struct libvirt *lv, const char *port, uint64_t now)
{
	const struct failure *failure = lookup_failure(lv, port);

	return failure && failure->tried_ns &&
	       now - failure->tried_ns < LIBVIRT_RETRY_PORT_S * CLOCK_NS_PER_S;
}

static int run_action(struct libvirt *lv, const struct libvirt_plan *plan,
		      const struct libvirt_action *action, struct error *e)
{
	struct vswitch *vs = lv->vs;
	struct config wanted;
	int err;

	if (config_clone(&wanted, &vs->config))
		return error_set(e, ENOMEM, "out of memory");
	err = libvirt_plan_edit(plan, action, &wanted, e);
	if (err) {
		config_uninit(&wanted);
		return err;
	}
	return vswitch_change(vs, &vs->config, &wanted, e);
}

static void tell_action(const struct libvirt_action *action)
{
	const char *domain = action->wanted ? action->wanted->domain->name : "";

	if (action->type == LIBVIRT_REMOVE_PORT)
		log_info("bridge %s: port %s goes with its domain", action->bridge, action->port);
	else if (action->type == LIBVIRT_ADD_PORT)
		log_info("bridge %s: port %s comes with domain %s", action->bridge, action->port,
			 domain);
	else
		log_info("bridge %s: port %s changes with domain %s", action->bridge, action->port,
			 domain);
}

static void run_plan(struct libvirt *lv, const struct libvirt_plan *plan)
{
	uint64_t now = clock_now();

	for (size_t i = 0; i < plan->n_actions; i++) {
		const struct libvirt_action *action = &plan->actions[i];
		struct error e = ERROR_INIT;

		if (is_waiting(lv, action->port, now))
			continue;
		if (run_action(lv, plan, action, &e)) {
			note_failure(lv, action->port, now, &e);
			continue;
		}
		forget_failure(lv, action->port);
		tell_action(action);
	}
}

/* Forgets failures of ports that nobody asks for any more, and notes what cannot even be tried. */
static void note_refusals(struct libvirt *lv, const struct libvirt_plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < lv->n_failures; i++) {
		if (libvirt_plan_asks(plan, lv->failures[i].port))
			lv->failures[kept++] = lv->failures[i];
	}
	lv->n_failures = kept;
	for (size_t i = 0; i < plan->n_wanted; i++) {
		const struct libvirt_wanted *wanted = &plan->wanted[i];

		if (wanted->fate == LIBVIRT_REFUSED)
			note_failure(lv, wanted->port, 0, &wanted->problem);
	}
}

/* Makes the ports be what the domains ask for. */
static void follow(struct libvirt *lv)
{
	struct libvirt_plan *plan;

	if (!lv->is_known)
		return;
	qsort(lv->domains, lv->n_domains, sizeof(struct libvirt_domain *), by_uuid);
	if (libvirt_plan_create(&lv->vs->config, lv->vs->rundir, lv->domains, lv->n_domains,
				&plan)) {
		log_error_limited("libvirt: out of memory");
		return;
	}
	run_plan(lv, plan);
	note_refusals(lv, plan);
	libvirt_plan_destroy(plan);
	lv->n_changes = lv->vs->n_changes;
}

/* ---- what the thread tells --------------------------------------------------------------------
 */

static void on_message(void *aux, struct libvirt_message *message)
{
	struct libvirt *lv = aux;

	switch (message->type) {
	case LIBVIRT_CONNECTED:
		lv->is_connected = true;
		log_info("libvirt: connected to %s, following its domains", lv->uri);
		break;
	case LIBVIRT_DISCONNECTED:
		lv->is_connected = lv->is_known = false;
		lv->why = message->error;
		log_info("libvirt: not connected to %s (%s); VMs are followed when it is there",
			 lv->uri, lv->why.text);
		break;
	case LIBVIRT_DOMAINS:
		clear_domains(lv);
		lv->domains = message->domains;
		lv->n_domains = message->n_domains;
		message->domains = NULL;
		message->n_domains = 0;
		lv->is_known = true;
		break;
	case LIBVIRT_DOMAIN:
		put_domain(lv, message->domains[0]);
		message->n_domains = 0;
		break;
	case LIBVIRT_GONE:
		remove_domain(lv, message->uuid);
		break;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *aux)
{
	struct libvirt *lv = aux;

	(void)fd;
	(void)what;
	libvirt_thread_run(lv->thread);
	follow(lv);
}

/* ---- jobs -------------------------------------------------------------------------------------
 */

static void request_destroy(struct request *request)
{
	LIST_REMOVE(request, link);
	free(request);
}

/* Tells whoever waits, if someone still does. */
static void request_answer(struct request *request, int err, struct error *e,
			   struct libvirt_domain **domain)
{
	libvirt_done_cb *cb = request->cb;

	request->cb = NULL;
	if (cb)
		cb(request->aux, err, e, domain);
}

static void on_done(struct libvirt_job *job)
{
	struct request *request = job->aux;
	struct libvirt *lv = request->lv;

	request_answer(request, job->err, &job->error, &job->result);
	/* it is newer than what the list has */
	if (job->result && lv->is_known) {
		put_domain(lv, job->result);
		job->result = NULL;
	}
	request_destroy(request);
	libvirt_job_destroy(job);
}

int libvirt_submit(struct libvirt *lv, enum libvirt_job_type type, const char *domain,
		   const char *xml, libvirt_done_cb *cb, void *aux, struct error *e)
{
	struct libvirt_job *job;
	struct request *request;

	if (!lv->is_connected)
		return error_set(e, ENOTCONN, "there is no connection to libvirt's %s: %s", lv->uri,
				 lv->why.text[0] ? lv->why.text : "it is being made");
	job = libvirt_job_create(type, domain, xml);
	request = calloc(1, sizeof(*request));
	if (!job || !request)
		goto fail;
	request->lv = lv;
	request->type = type;
	request->cb = cb;
	request->aux = aux;
	request->started_ns = clock_now();
	LIST_INSERT_HEAD(&lv->requests, request, link);
	job->done = on_done;
	job->aux = request;
	libvirt_thread_submit(lv->thread, job);
	return 0;

fail:
	free(request);
	libvirt_job_destroy(job);
	return error_set(e, ENOMEM, "out of memory");
}

/* Tells those who wait for too long; what changes a domain is still waited for. */
static void expire_requests(struct libvirt *lv)
{
	uint64_t now = clock_now();
	struct request *request, *next;
	struct error e = ERROR_INIT;

	for (request = LIST_FIRST(&lv->requests); request; request = next) {
		libvirt_done_cb *cb = request->cb;

		next = LIST_NEXT(request, link);
		if (!cb || request->is_late ||
		    now - request->started_ns < LIBVIRT_JOB_S * CLOCK_NS_PER_S)
			continue;
		request->is_late = true;
		if (request->type == LIBVIRT_JOB_GET)
			request->cb = NULL;
		error_set(&e, ETIMEDOUT, "libvirtd does not answer, for %d s now", LIBVIRT_JOB_S);
		cb(request->aux, -ETIMEDOUT, &e, &(struct libvirt_domain *){NULL});
		next = LIST_FIRST(&lv->requests);
	}
}

/* ---- the whole --------------------------------------------------------------------------------
 */

void libvirt_run(struct libvirt *lv)
{
	if (!lv)
		return;
	expire_requests(lv);
	/* what a domain asks for may have become possible, or somebody else took it away */
	if (lv->n_failures || lv->n_changes != lv->vs->n_changes)
		follow(lv);
}

void libvirt_get_status(const struct libvirt *lv, struct libvirt_status *status)
{
	const struct config *config = &lv->vs->config;

	*status = (struct libvirt_status){.uri = lv->uri, .is_connected = lv->is_connected};
	status->text = lv->is_connected ? "" : lv->why.text;
	status->n_domains = lv->n_domains;
	for (size_t i = 0; i < config->n_bridges; i++) {
		for (size_t j = 0; j < config->bridges[i].n_ports; j++)
			status->n_followed += libvirt_port_follows(&config->bridges[i].ports[j]);
	}
}

int libvirt_create(struct event_base *base, struct vswitch *vs, const char *uri,
		   struct libvirt **lvp, struct error *e)
{
	struct libvirt *lv = calloc(1, sizeof(*lv));
	int err;

	if (!lv)
		return error_set(e, ENOMEM, "out of memory");
	LIST_INIT(&lv->requests);
	lv->vs = vs;
	lv->uri = uri;
	err = libvirt_thread_create(uri, on_message, lv, &lv->thread, e);
	if (err)
		goto fail;
	lv->event = event_new(base, libvirt_thread_get_fd(lv->thread), EV_READ | EV_PERSIST,
			      on_readable, lv);
	if (!lv->event || event_add(lv->event, NULL) < 0) {
		err = error_set(e, ENOMEM, "cannot wait for libvirt");
		goto fail;
	}
	*lvp = lv;
	return 0;

fail:
	libvirt_destroy(lv);
	return err;
}

void libvirt_destroy(struct libvirt *lv)
{
	struct libvirt_domain *none = NULL;
	struct error e = ERROR_INIT;
	struct request *request;

	if (!lv)
		return;
	lv->is_connected = lv->is_known = false;
	error_set(&lv->why, ECANCELED, "vswitchd stops");
	while ((request = LIST_FIRST(&lv->requests))) {
		error_set(&e, ECANCELED, "vswitchd stops");
		request_answer(request, -ECANCELED, &e, &none);
		request_destroy(request);
	}
	if (lv->event)
		event_free(lv->event);
	libvirt_thread_destroy(lv->thread);
	clear_domains(lv);
	free(lv->failures);
	free(lv);
}
