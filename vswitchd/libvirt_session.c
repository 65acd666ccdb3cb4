/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of libvirt's thread that runs in it: the connection, its events, the jobs. */
#include "vswitchd/libvirt_thread_priv.h"

#include "datapath/port.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "vswitchd/libvirt_xml.h"

#include <errno.h>
#include <grp.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRTY_MAX 64 /* domains that changed at once; more: look at all */
#define ALL_CALLBACKS 4

/* The connection, as the thread has it. */
struct session {
	struct libvirt_thread *thread;
	pthread_t loop; /* runs libvirt's events, and its keep-alive */
	virConnectPtr conn; /* NULL: not connected */
	uint64_t due_ns; /* clock_now() of the next attempt, or the next look at domains */
	unsigned int n_looks; /* since all domains were looked at */
	char (*transients)[LIBVIRT_UUID_SIZE]; /* transient domains at the last look; owned */
	size_t n_transients;
	bool was_told; /* that there is no connection */
	unsigned int retry_s; /* pause ahead of the next attempt */
	int callbacks[ALL_CALLBACKS]; /* registered for events; -1: not supported */
	struct libvirt_user user; /* that QEMU runs as */
	/* what events leave behind */
	struct mutex lock;
	bool stops GUARDED; /* the loop is to end; lock */
	bool is_closed GUARDED; /* libvirtd closed the connection, or does not answer; lock */
	char dirty[DIRTY_MAX][LIBVIRT_UUID_SIZE] GUARDED; /* domains that changed; lock */
	size_t n_dirty GUARDED; /* lock */
	bool all_dirty GUARDED; /* lock */
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

/* ---- events: libvirt calls these from the loop's thread ---------------------------------------
 */

static void on_stop(int timer, void *aux)
{
	(void)timer;
	(void)aux; /* it has woken the loop, which looks */
}

static void on_close(virConnectPtr conn, int reason, void *aux)
{
	struct session *s = aux;

	(void)conn;
	(void)reason;
	mutex_lock(&s->lock);
	s->is_closed = true;
	mutex_unlock(&s->lock);
	libvirt_wake(s->thread);
}

static void mark(struct session *s, virDomainPtr dom)
{
	char uuid[LIBVIRT_UUID_SIZE];
	bool known = false;

	if (virDomainGetUUIDString(dom, uuid) < 0)
		return;
	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_dirty && !known; i++)
		known = strcmp(s->dirty[i], uuid) == 0;
	if (!known && s->n_dirty == DIRTY_MAX)
		s->all_dirty = true;
	else if (!known)
		memcpy(s->dirty[s->n_dirty++], uuid, sizeof(uuid));
	mutex_unlock(&s->lock);
	libvirt_wake(s->thread);
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
	domain->user = s->user;
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

	if (n < 0)
		return;
	message = describe_all(s, doms, n);
	if (message)
		libvirt_tell(s->thread, message);
	for (int i = 0; i < n; i++)
		virDomainFree(doms[i]);
	free(doms);
}

/* Was the transient domain there at the last look? */
static bool is_known(const struct session *s, const char *uuid)
{
	for (size_t i = 0; i < s->n_transients; i++) {
		if (strcmp(s->transients[i], uuid) == 0)
			return true;
	}
	return false;
}

/* Tells of transient domains that are new: nothing else may, until QEMU has found the switch. */
static void look_for_transients(struct session *s)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(s->conn, &doms, VIR_CONNECT_LIST_DOMAINS_TRANSIENT);
	char(*now)[LIBVIRT_UUID_SIZE] = n > 0 ? calloc((size_t)n, sizeof(*now)) : NULL;

	for (int i = 0; i < n && now; i++) {
		if (virDomainGetUUIDString(doms[i], now[i]) == 0 && !is_known(s, now[i]))
			refresh(s, now[i]);
	}
	for (int i = 0; i < n; i++)
		virDomainFree(doms[i]);
	free(doms);
	if (n < 0)
		return;
	free(s->transients);
	s->transients = now;
	s->n_transients = now ? (size_t)n : 0;
}

/* ---- jobs -------------------------------------------------------------------------------------
 */

/* Where `is_there` says that the interface is, of what there is of the domain. */
static unsigned int choose_flags(const struct libvirt_domain *domain, const char *mac,
				 bool is_there)
{
	const struct libvirt_nic *nic = libvirt_domain_lookup_nic(domain, mac);
	unsigned int flags = 0;

	if (domain->is_running && (nic && nic->in[LIBVIRT_LIVE]) == is_there)
		flags |= VIR_DOMAIN_AFFECT_LIVE;
	if (domain->is_persistent && (nic && nic->in[LIBVIRT_CONFIG]) == is_there)
		flags |= VIR_DOMAIN_AFFECT_CONFIG;
	return flags;
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

/*
 * Plugs the interface in where it is missing, or out where it is: what a person has done to one of
 * the two descriptions by hand is no failure.
 */
static int change_device(struct session *s, struct libvirt_job *job, virDomainPtr dom)
{
	bool attaches = job->type == LIBVIRT_JOB_ATTACH;
	struct libvirt_domain *before;
	char mac[LIBVIRT_MAC_SIZE];
	unsigned int flags;
	int err;

	before = describe(s, dom, &err, &job->error);
	if (!before)
		return err;
	find_mac(job->xml, mac);
	flags = choose_flags(before, mac, !attaches);
	if (flags && (attaches ? virDomainAttachDeviceFlags(dom, job->xml, flags)
			       : virDomainDetachDeviceFlags(dom, job->xml, flags)) < 0)
		err = fail(&job->error);
	if (err && virConnectIsAlive(s->conn) != 1)
		err = error_set(&job->error, EPIPE, "libvirtd went away meanwhile");
	libvirt_domain_destroy(before);
	return err;
}

/* The domain of that name, or with that UUID. NULL with the job's error set. */
static virDomainPtr find_domain(struct session *s, struct libvirt_job *job)
{
	virDomainPtr dom = virDomainLookupByName(s->conn, job->domain);

	if (dom)
		return dom;
	job->err = fail(&job->error);
	if (job->err == -ENOENT && strlen(job->domain) == LIBVIRT_UUID_SIZE - 1)
		dom = virDomainLookupByUUIDString(s->conn, job->domain);
	if (!dom && job->err == -ENOENT)
		error_set(&job->error, ENOENT, "there is no domain '%.60s'", job->domain);
	else if (!dom && virConnectIsAlive(s->conn) != 1)
		job->err = error_set(&job->error, ENOTCONN, "libvirtd does not answer");
	else if (dom)
		job->err = 0;
	return dom;
}

static void run_job(struct session *s, struct libvirt_job *job)
{
	virDomainPtr dom = find_domain(s, job);
	struct error ignored = ERROR_INIT;
	int err;

	if (!dom)
		return;
	if (job->type != LIBVIRT_JOB_GET)
		job->err = change_device(s, job, dom);
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
	s->due_ns = clock_now() + seconds * CLOCK_NS_PER_S;
}

/* Forgets what events have left behind. */
static void clear_events(struct session *s)
{
	mutex_lock(&s->lock);
	s->is_closed = s->all_dirty = false;
	s->n_dirty = 0;
	mutex_unlock(&s->lock);
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

/* The group that its sockets need, if it is not in the one that they have anyhow. */
static void choose_group(struct libvirt_user *user, uint32_t gid)
{
	struct group group, *found = NULL;
	char buf[4096];

	if (user->uid == 0)
		return;
	if (getgrnam_r(PORT_GUESTS_GROUP, &group, buf, sizeof(buf), &found) == 0 && found) {
		for (size_t i = 0; i < user->n_gids; i++) {
			if (user->gids[i] == found->gr_gid)
				return;
		}
	}
	if (getgrgid_r(gid, &group, buf, sizeof(buf), &found) == 0 && found)
		snprintf(user->group, sizeof(user->group), "%s", found->gr_name);
}

static void add_group(struct libvirt_user *user, uint32_t gid)
{
	for (size_t i = 0; i < user->n_gids; i++) {
		if (user->gids[i] == gid)
			return;
	}
	if (user->n_gids < LIBVIRT_GROUPS_MAX)
		user->gids[user->n_gids++] = gid;
}

/* The groups that libvirt gives QEMU: the one that it is told, and all of its user's. */
static void list_groups(struct libvirt_user *user, uint32_t gid)
{
	struct passwd passwd, *found = NULL;
	gid_t gids[LIBVIRT_GROUPS_MAX];
	int n = LIBVIRT_GROUPS_MAX;
	char buf[4096];

	add_group(user, gid);
	if (getpwuid_r(user->uid, &passwd, buf, sizeof(buf), &found) || !found ||
	    getgrouplist(found->pw_name, found->pw_gid, gids, &n) < 0)
		return;
	for (int i = 0; i < n; i++)
		add_group(user, gids[i]);
}

static void learn_user(struct session *s)
{
	char *xml = virConnectGetCapabilities(s->conn);
	uint32_t uid, gid;

	s->user = (struct libvirt_user){.uid = UINT32_MAX};
	if (xml && libvirt_xml_parse_user(xml, &uid, &gid)) {
		s->user.uid = uid;
		list_groups(&s->user, gid);
		choose_group(&s->user, gid);
	} else {
		log_debug("libvirt: its capabilities do not say whom QEMU runs as");
	}
	free(xml);
}

static void connect_session(struct session *s)
{
	struct error e = ERROR_INIT;

	clear_events(s);
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
	if (virConnectSetKeepAlive(s->conn, LIBVIRT_KEEPALIVE_S, 3) != 0)
		log_debug("libvirt: this connection has no keep-alive messages");
	(void)virConnectRegisterCloseCallback(s->conn, on_close, s, NULL);
	register_events(s);
	learn_user(s);
	tell_connected(s);
	refresh_all(s);
	s->n_looks = 0;
	set_timer(s, LIBVIRT_LOOK_S);
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
}

/* Is the connection gone? */
static bool is_lost(struct session *s)
{
	bool closed;

	mutex_lock(&s->lock);
	closed = s->is_closed;
	mutex_unlock(&s->lock);
	return s->conn && (closed || virConnectIsAlive(s->conn) != 1);
}

/* Takes one of the domains that changed. Returns false if there is none; *all: there are many. */
static bool take_dirty(struct session *s, char uuid[LIBVIRT_UUID_SIZE], bool *all)
{
	bool taken;

	mutex_lock(&s->lock);
	*all = s->all_dirty;
	taken = s->n_dirty > 0;
	if (*all)
		s->n_dirty = 0;
	else if (taken)
		memcpy(uuid, s->dirty[--s->n_dirty], LIBVIRT_UUID_SIZE);
	s->all_dirty = false;
	mutex_unlock(&s->lock);
	return taken;
}

/* Tells of what changed. */
static void refresh_dirty(struct session *s)
{
	char uuid[LIBVIRT_UUID_SIZE];
	bool all;

	while (take_dirty(s, uuid, &all)) {
		if (all)
			refresh_all(s);
		else
			refresh(s, uuid);
	}
}

/* What has no event. */
static void look(struct session *s)
{
	look_for_transients(s);
	if (++s->n_looks >= LIBVIRT_POLL_S / LIBVIRT_LOOK_S) {
		refresh_all(s);
		s->n_looks = 0;
	}
	set_timer(s, LIBVIRT_LOOK_S);
}

/* One turn: whatever is to be done now. */
static void work(struct session *s)
{
	if (is_lost(s)) {
		disconnect(s);
		tell_disconnected(s, "libvirtd closed the connection or does not answer");
		s->was_told = true;
		wait_longer(s);
	}
	if (!s->conn && clock_now() >= s->due_ns)
		connect_session(s);
	run_jobs(s);
	if (!s->conn)
		return;
	if (clock_now() >= s->due_ns)
		look(s);
	refresh_dirty(s);
}

/* Until there is a job, an event, or something due. */
static void wait_for_work(const struct session *s)
{
	uint64_t now = clock_now();
	struct pollfd fd = {.fd = s->thread->in_fd, .events = POLLIN};
	uint64_t ms = s->due_ns > now ? (s->due_ns - now) / CLOCK_NS_PER_MS + 1 : 0;

	if (poll(&fd, 1, (int)ms) > 0)
		libvirt_drain(fd.fd);
}

/* ---- the two threads --------------------------------------------------------------------------
 */

/*
 * libvirt's event loop has a thread to itself: a call that waits for libvirtd would hold up the
 * timer that finds out that libvirtd does not answer.
 */
static void *loop_main(void *arg)
{
	struct session *s = arg;
	bool stops = false;

	pthread_setname_np(pthread_self(), "libvirt-events");
	while (!stops) {
		if (virEventRunDefaultImpl() < 0)
			log_error_limited("libvirt: its event loop fails");
		mutex_lock(&s->lock);
		stops = s->stops;
		mutex_unlock(&s->lock);
	}
	return NULL;
}

static void stop_loop(struct session *s)
{
	int timer;

	mutex_lock(&s->lock);
	s->stops = true;
	mutex_unlock(&s->lock);
	timer = virEventAddTimeout(0, on_stop, s, NULL);
	pthread_join(s->loop, NULL);
	virEventRemoveTimeout(timer);
}

void *libvirt_thread_main(void *arg)
{
	struct session s = {.thread = arg, .retry_s = 1, .user.uid = UINT32_MAX};

	for (int i = 0; i < ALL_CALLBACKS; i++)
		s.callbacks[i] = -1;
	pthread_setname_np(pthread_self(), "libvirt");
	mutex_init(&s.lock);
	libvirt_xml_init();
	virSetErrorFunc(NULL, ignore_error);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
	    pthread_create(&s.loop, NULL, loop_main, &s)) {
		tell_disconnected(&s, "the library cannot be set up");
		goto out;
	}
	while (!libvirt_is_stopping(s.thread)) {
		work(&s);
		wait_for_work(&s);
	}
	if (s.conn)
		disconnect(&s);
	stop_loop(&s);
out:
	free(s.transients);
	mutex_uninit(&s.lock);
	return NULL;
}
