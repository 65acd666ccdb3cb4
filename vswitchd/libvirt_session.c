/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of libvirt's thread that runs in it: the connection, its events, the jobs. */
#include "vswitchd/libvirt_thread_priv.h"

#include "lib/log.h"
#include "vswitchd/libvirt_xml.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#define DIRTY_MAX 64 /* domains that changed at once; more: look at all */
#define ALL_CALLBACKS 4

/* The connection, as the thread has it. */
struct session {
	struct libvirt_thread *thread;
	virConnectPtr conn; /* NULL: not connected */
	int timer; /* of libvirt's loop: the next attempt, or the next look at all domains */
	bool is_due; /* the timer went off */
	bool is_closed; /* libvirtd closed the connection, or does not answer */
	bool was_told; /* that there is no connection */
	unsigned int retry_s; /* pause ahead of the next attempt */
	int callbacks[ALL_CALLBACKS]; /* registered for events; -1: not supported */
	char dirty[DIRTY_MAX][LIBVIRT_UUID_SIZE]; /* domains that changed */
	size_t n_dirty;
	bool all_dirty;
	uint32_t uid, gid; /* that QEMU runs as; UINT32_MAX: not known */
};

/* ---- errors -----------------------------------------------------------------------------------
 */

/* libvirt would print to standard error. */
static void ignore_error(void *aux, virErrorPtr error)
{
	(void)aux;
	(void)error;
}

/* libvirt's words for what just failed, as the negative errno that fits. */
static int fail(struct error *e)
{
	const virError *error = virGetLastError();

	error_set(e, EIO, "%s", error && error->message ? error->message : "unknown error");
	if (!error)
		return -EIO;
	switch (error->code) {
	case VIR_ERR_NO_DOMAIN:
		return -ENOENT;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_CONFIG_UNSUPPORTED:
		return -EOPNOTSUPP;
	case VIR_ERR_OPERATION_TIMEOUT:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

/* ---- events: libvirt calls these from its loop ------------------------------------------------
 */

static void on_wake(int watch, int fd, int events, void *aux)
{
	(void)watch;
	(void)events;
	(void)aux;
	libvirt_drain(fd);
}

static void on_timer(int timer, void *aux)
{
	struct session *s = aux;

	virEventUpdateTimeout(timer, -1);
	s->is_due = true;
}

static void on_close(virConnectPtr conn, int reason, void *aux)
{
	struct session *s = aux;

	(void)conn;
	(void)reason;
	s->is_closed = true;
}

static void mark(struct session *s, virDomainPtr dom)
{
	char uuid[LIBVIRT_UUID_SIZE];

	if (s->all_dirty || virDomainGetUUIDString(dom, uuid) < 0)
		return;
	for (size_t i = 0; i < s->n_dirty; i++) {
		if (strcmp(s->dirty[i], uuid) == 0)
			return;
	}
	if (s->n_dirty == DIRTY_MAX)
		s->all_dirty = true;
	else
		memcpy(s->dirty[s->n_dirty++], uuid, sizeof(uuid));
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *aux)
{
	(void)conn;
	(void)event;
	(void)detail;
	mark(aux, dom);
	return 0;
}

static void on_device(virConnectPtr conn, virDomainPtr dom, const char *device, void *aux)
{
	(void)conn;
	(void)device;
	mark(aux, dom);
}

static void on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *aux)
{
	(void)conn;
	(void)type;
	(void)uri;
	mark(aux, dom);
}

/* ---- domains ----------------------------------------------------------------------------------
 */

/* Adds one of the domain's descriptions. */
static int read_xml(virDomainPtr dom, unsigned int flags, enum libvirt_scope scope,
		    struct libvirt_domain *domain, struct error *e)
{
	char *xml = virDomainGetXMLDesc(dom, flags);
	struct error why = ERROR_INIT;

	if (!xml)
		return fail(e);
	/* a domain whose XML makes no sense is shown with that, and has no ports */
	if (libvirt_xml_parse_domain(domain, scope, xml, &why) && !domain->problem)
		domain->problem = strdup(why.text);
	free(xml);
	return 0;
}

/* Describes a domain. NULL with `e` set, and *err a negative errno. */
static struct libvirt_domain *describe(const struct session *s, virDomainPtr dom, int *err,
				       struct error *e)
{
	char uuid[LIBVIRT_UUID_SIZE] = "";
	struct libvirt_domain *domain;
	int state, reason;

	virDomainGetUUIDString(dom, uuid);
	domain = libvirt_domain_create(virDomainGetName(dom), uuid);
	if (!domain) {
		*err = error_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	domain->uid = s->uid;
	domain->gid = s->gid;
	domain->is_running = virDomainIsActive(dom) == 1;
	domain->is_persistent = virDomainIsPersistent(dom) == 1;
	if (virDomainGetState(dom, &state, &reason, 0) == 0)
		domain->is_paused = state == VIR_DOMAIN_PAUSED;
	*err = 0;
	if (domain->is_running)
		*err = read_xml(dom, 0, LIBVIRT_LIVE, domain, e);
	if (domain->is_persistent && !*err)
		*err = read_xml(dom, VIR_DOMAIN_XML_INACTIVE, LIBVIRT_CONFIG, domain, e);
	if (!*err)
		return domain;
	libvirt_domain_destroy(domain);
	return NULL;
}

static struct libvirt_message *create_message(enum libvirt_message_type type)
{
	struct libvirt_message *message = calloc(1, sizeof(*message));

	if (message)
		message->type = type;
	else
		log_error_limited("libvirt: out of memory");
	return message;
}

static void tell_gone(struct session *s, const char *uuid)
{
	struct libvirt_message *message = create_message(LIBVIRT_GONE);

	if (!message)
		return;
	memcpy(message->uuid, uuid, sizeof(message->uuid));
	libvirt_tell(s->thread, message);
}

/* Tells of a domain as it is now; takes `domain` over. */
static void tell_domain(struct session *s, struct libvirt_domain *domain)
{
	struct libvirt_message *message = create_message(LIBVIRT_DOMAIN);

	if (message)
		message->domains = malloc(sizeof(struct libvirt_domain *));
	if (!message || !message->domains) {
		libvirt_domain_destroy(domain);
		free(message);
		return;
	}
	message->domains[0] = domain;
	message->n_domains = 1;
	libvirt_tell(s->thread, message);
}

static void refresh(struct session *s, const char *uuid)
{
	virDomainPtr dom = virDomainLookupByUUIDString(s->conn, uuid);
	struct error e = ERROR_INIT;
	struct libvirt_domain *domain;
	int err;

	if (!dom) {
		if (fail(&e) == -ENOENT)
			tell_gone(s, uuid);
		return;
	}
	domain = describe(s, dom, &err, &e);
	virDomainFree(dom);
	if (domain)
		tell_domain(s, domain);
	else if (err == -ENOENT)
		tell_gone(s, uuid);
}

/* All domains as a message; NULL: the list is not whole, and nothing must follow from it. */
static struct libvirt_message *describe_all(struct session *s, virDomainPtr *doms, int n)
{
	struct libvirt_message *message = create_message(LIBVIRT_DOMAINS);
	struct error e = ERROR_INIT;
	int err = 0;

	if (!message)
		return NULL;
	message->domains = calloc((size_t)n + 1, sizeof(struct libvirt_domain *));
	if (!message->domains)
		err = -ENOMEM;
	for (int i = 0; i < n && !err; i++) {
		struct libvirt_domain *domain = describe(s, doms[i], &err, &e);

		if (domain)
			message->domains[message->n_domains++] = domain;
		else if (err == -ENOENT)
			err = 0; /* it went away meanwhile */
	}
	if (!err)
		return message;
	log_warn_limited("libvirt: cannot look at its domains: %s", e.text);
	libvirt_message_destroy(message);
	return NULL;
}

static void refresh_all(struct session *s)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(s->conn, &doms, 0);
	struct libvirt_message *message;

	s->all_dirty = false;
	s->n_dirty = 0;
	if (n < 0)
		return;
	message = describe_all(s, doms, n);
	if (message)
		libvirt_tell(s->thread, message);
	for (int i = 0; i < n; i++)
		virDomainFree(doms[i]);
	free(doms);
}

/* ---- jobs -------------------------------------------------------------------------------------
 */

/* Where a device is to be changed: in what there is of the domain. */
static unsigned int choose_flags(virDomainPtr dom)
{
	unsigned int flags = 0;

	if (virDomainIsActive(dom) == 1)
		flags |= VIR_DOMAIN_AFFECT_LIVE;
	if (virDomainIsPersistent(dom) == 1)
		flags |= VIR_DOMAIN_AFFECT_CONFIG;
	return flags;
}

/*
 * Unplugs from each of the two descriptions that has the device: one that was unplugged by hand
 * from the other is no failure.
 */
static int detach(virDomainPtr dom, const struct libvirt_domain *before, const char *xml,
		  const char *mac, struct error *e)
{
	const struct libvirt_nic *nic = libvirt_domain_lookup_nic(before, mac);
	unsigned int flags = 0;

	if (nic && nic->in[LIBVIRT_LIVE])
		flags |= VIR_DOMAIN_AFFECT_LIVE;
	if (nic && nic->in[LIBVIRT_CONFIG])
		flags |= VIR_DOMAIN_AFFECT_CONFIG;
	if (flags && virDomainDetachDeviceFlags(dom, xml, flags) < 0)
		return fail(e);
	return 0;
}

/* The MAC address in the XML of a job, which libvirt_nic_format() wrote. */
static void find_mac(const char *xml, char mac[LIBVIRT_MAC_SIZE])
{
	static const char start[] = "<mac address='";
	const char *at = strstr(xml, start);

	mac[0] = '\0';
	if (at)
		strncat(mac, at + strlen(start), LIBVIRT_MAC_SIZE - 1);
}

static int run_detach(struct session *s, struct libvirt_job *job, virDomainPtr dom)
{
	struct libvirt_domain *before;
	char mac[LIBVIRT_MAC_SIZE];
	int err;

	before = describe(s, dom, &err, &job->error);
	if (!before)
		return err;
	find_mac(job->xml, mac);
	err = detach(dom, before, job->xml, mac, &job->error);
	libvirt_domain_destroy(before);
	return err;
}

static void run_job(struct session *s, struct libvirt_job *job)
{
	virDomainPtr dom = virDomainLookupByName(s->conn, job->domain);
	struct error ignored = ERROR_INIT;
	int err;

	if (!dom)
		dom = virDomainLookupByUUIDString(s->conn, job->domain);
	if (!dom) {
		job->err = fail(&job->error);
		/* what is no UUID is no domain's either */
		if (virConnectIsAlive(s->conn) == 1)
			job->err = error_set(&job->error, ENOENT, "there is no domain '%.60s'",
					     job->domain);
		return;
	}
	if (job->type == LIBVIRT_JOB_ATTACH &&
	    virDomainAttachDeviceFlags(dom, job->xml, choose_flags(dom)) < 0)
		job->err = fail(&job->error);
	else if (job->type == LIBVIRT_JOB_DETACH)
		job->err = run_detach(s, job, dom);
	job->result = describe(s, dom, &err, job->err ? &ignored : &job->error);
	if (!job->err && err)
		job->err = err;
	virDomainFree(dom);
}

static void run_jobs(struct session *s)
{
	struct libvirt_job *job;

	while ((job = libvirt_take_job(s->thread))) {
		if (s->conn && virConnectIsAlive(s->conn) == 1)
			run_job(s, job);
		else
			job->err = error_set(&job->error, ENOTCONN, "libvirtd is gone");
		libvirt_finish(s->thread, job);
	}
}

/* ---- the connection ---------------------------------------------------------------------------
 */

static void tell_connected(struct session *s)
{
	struct libvirt_message *message = create_message(LIBVIRT_CONNECTED);

	if (message)
		libvirt_tell(s->thread, message);
}

static void tell_disconnected(struct session *s, const char *why)
{
	struct libvirt_message *message = create_message(LIBVIRT_DISCONNECTED);

	if (!message)
		return;
	error_set(&message->error, ENOTCONN, "%s", why);
	libvirt_tell(s->thread, message);
}

static void set_timer(struct session *s, unsigned int seconds)
{
	s->is_due = false;
	virEventUpdateTimeout(s->timer, (int)seconds * 1000);
}

static void wait_longer(struct session *s)
{
	set_timer(s, s->retry_s);
	s->retry_s = MIN(s->retry_s * 2, (unsigned int)LIBVIRT_RETRY_MAX_S);
}

static void register_events(struct session *s)
{
	const struct {
		int event;
		virConnectDomainEventGenericCallback cb;
	} events[ALL_CALLBACKS] = {
		{VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
		{VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
		{VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
		{VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
	};

	for (int i = 0; i < ALL_CALLBACKS; i++)
		s->callbacks[i] = virConnectDomainEventRegisterAny(s->conn, NULL, events[i].event,
								   events[i].cb, s, NULL);
	if (s->callbacks[0] < 0)
		log_warn("libvirt: this driver has no events; domains are looked at every %d s",
			 LIBVIRT_POLL_S);
}

static void learn_user(struct session *s)
{
	char *xml = virConnectGetCapabilities(s->conn);

	s->uid = s->gid = UINT32_MAX;
	if (xml && !libvirt_xml_parse_user(xml, &s->uid, &s->gid))
		log_debug("libvirt: its capabilities do not say whom QEMU runs as");
	free(xml);
}

static void connect_session(struct session *s)
{
	struct error e = ERROR_INIT;

	s->is_closed = false;
	s->conn = virConnectOpen(s->thread->uri);
	if (!s->conn) {
		(void)fail(&e);
		if (!s->was_told)
			tell_disconnected(s, e.text);
		s->was_told = true;
		wait_longer(s);
		return;
	}
	s->retry_s = 1;
	s->was_told = false;
	(void)virConnectSetKeepAlive(s->conn, LIBVIRT_KEEPALIVE_S, 3);
	(void)virConnectRegisterCloseCallback(s->conn, on_close, s, NULL);
	register_events(s);
	learn_user(s);
	tell_connected(s);
	s->all_dirty = true;
	set_timer(s, LIBVIRT_POLL_S);
}

static void disconnect(struct session *s)
{
	for (int i = 0; i < ALL_CALLBACKS; i++) {
		if (s->callbacks[i] >= 0)
			(void)virConnectDomainEventDeregisterAny(s->conn, s->callbacks[i]);
		s->callbacks[i] = -1;
	}
	(void)virConnectUnregisterCloseCallback(s->conn, on_close);
	virConnectClose(s->conn);
	s->conn = NULL;
	s->n_dirty = 0;
	s->all_dirty = false;
}

/* What a turn of the loop has left to do. */
static void work(struct session *s)
{
	if (s->conn && (s->is_closed || virConnectIsAlive(s->conn) != 1)) {
		disconnect(s);
		tell_disconnected(s, "libvirtd closed the connection or does not answer");
		s->was_told = true;
		wait_longer(s);
	}
	if (!s->conn && s->is_due)
		connect_session(s);
	run_jobs(s);
	if (!s->conn)
		return;
	if (s->is_due) {
		s->all_dirty = true;
		set_timer(s, LIBVIRT_POLL_S);
	}
	if (s->all_dirty)
		refresh_all(s);
	while (s->n_dirty > 0)
		refresh(s, s->dirty[--s->n_dirty]);
}

void *libvirt_thread_main(void *arg)
{
	struct session s = {.thread = arg, .retry_s = 1, .uid = UINT32_MAX, .gid = UINT32_MAX};
	struct libvirt_thread *thread = arg;
	int watch;

	for (int i = 0; i < ALL_CALLBACKS; i++)
		s.callbacks[i] = -1;
	pthread_setname_np(pthread_self(), "libvirt");
	libvirt_xml_init();
	virSetErrorFunc(NULL, ignore_error);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
		tell_disconnected(&s, "the library cannot be set up");
		return NULL;
	}
	watch = virEventAddHandle(thread->in_fd, VIR_EVENT_HANDLE_READABLE, on_wake, &s, NULL);
	s.timer = virEventAddTimeout(0, on_timer, &s, NULL);
	while (!libvirt_is_stopping(thread)) {
		if (virEventRunDefaultImpl() < 0)
			log_error_limited("libvirt: its event loop fails");
		work(&s);
	}
	if (s.conn)
		disconnect(&s);
	virEventRemoveTimeout(s.timer);
	virEventRemoveHandle(watch);
	return NULL;
}
