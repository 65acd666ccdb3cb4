/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Methods that need libvirt. Each asks libvirt's thread to describe the domain, goes on when that
 * has come back, and answers then; nothing here waits. A refused attach-vm takes its port away
 * again, so that nothing is left of it on either side; one that is refused because libvirt takes
 * too long does so when libvirt has come back.
 */
#include "vswitchd/methods.h"

#include "lib/log.h"
#include "vswitchd/libvirt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PATH_SIZE 108 /* of a Unix socket with the NUL */

/* A call under way. */
struct command {
	LIST_ENTRY(command) link; /* in `commands` */
	struct libvirt *lv;
	struct vswitch *vs;
	struct rpc_later *later; /* the answer that is owed; NULL: given, for it took too long */
	char *domain; /* as the user named it, then its name; owned */
	char bridge[CONFIG_BRIDGE_NAME_SIZE];
	char port[CONFIG_NAME_SIZE]; /* "": not yet known */
	char path[PATH_SIZE]; /* of the port's socket */
	struct libvirt_nic nic; /* to plug in or out; its path is that above */
	json_t *options; /* of the port; owned; NULL: none */
	uint32_t queues; /* 0: not said */
	uint32_t ofport; /* 0: not said */
	bool made_port; /* this call made the port: remove it if the rest fails */
};

/* All calls under way: two for one bridge and domain would undo each other. Control thread. */
static LIST_HEAD(, command) commands = LIST_HEAD_INITIALIZER(commands);

/* ---- a call -----------------------------------------------------------------------------------
 */

static void command_destroy(struct command *command)
{
	LIST_REMOVE(command, link);
	json_decref(command->options);
	free(command->domain);
	free(command);
}

/* Answers, and is done. */
static void command_finish(struct command *command, int err, const struct error *e)
{
	rpc_finish(command->later, err, e);
	command_destroy(command);
}

static bool is_under_way(const char *bridge, const char *domain)
{
	const struct command *command;

	LIST_FOREACH(command, &commands, link)
	{
		if (strcmp(command->bridge, bridge) == 0 && strcmp(command->domain, domain) == 0)
			return true;
	}
	return false;
}

/* Begins a call about a bridge and a domain. NULL with `e` set, and *err a negative errno. */
static struct command *command_create(struct rpc_call *call, int *err, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	const char *domain = rpc_get_string(call, "domain");
	struct command *command;

	*err = -ENOENT;
	if (!bridge)
		return NULL;
	if (!call->vswitch->libvirt) {
		*err = error_set(e, ENOTSUP, "this vswitchd does not speak to libvirt: it was "
					     "started with --no-libvirt, or built without it");
		return NULL;
	}
	if (is_under_way(bridge->name, domain)) {
		*err = error_set(e, EBUSY,
				 "another command for domain %s on bridge %s is under way", domain,
				 bridge->name);
		return NULL;
	}
	command = calloc(1, sizeof(*command));
	*err = error_set(e, ENOMEM, "out of memory");
	if (!command)
		return NULL;
	command->domain = strdup(domain);
	if (!command->domain) {
		free(command);
		return NULL;
	}
	command->lv = call->vswitch->libvirt;
	command->vs = call->vswitch;
	command->options = json_incref(json_object_get(call->params, "options"));
	snprintf(command->bridge, sizeof(command->bridge), "%s", bridge->name);
	LIST_INSERT_HEAD(&commands, command, link);
	return command;
}

/* Asks for the domain and lets `cb` go on; to be returned by the method. */
static int command_start(struct command *command, struct rpc_call *call, libvirt_done_cb *cb,
			 struct error *e)
{
	int err;

	command->later = rpc_defer(call, e);
	if (!command->later) {
		command_destroy(command);
		return -ENOTSUP;
	}
	err = libvirt_submit(command->lv, LIBVIRT_JOB_GET, command->domain, NULL, cb, command, e);
	if (err)
		command_finish(command, err, e);
	return -EINPROGRESS;
}

/* What to say of a domain that could not be described. */
static void explain_missing(const struct command *command, int err, struct error *e)
{
	char hint[80];

	if (err == -ENOENT)
		error_set(e, err, "there is no domain '%.60s'%s", command->domain,
			  libvirt_suggest(command->lv, command->domain, hint, sizeof(hint)));
}

/* ---- the port ---------------------------------------------------------------------------------
 */

static bool label_is(const struct config_port *port, const char *key, const char *value)
{
	const char *is = config_options_get(&port->options, key);

	return is && strcmp(is, value) == 0;
}

/* The port of `bridge` that attach-vm made for the domain; `domain` may be NULL: only by name. */
static struct config_port *find_port(const struct config_bridge *bridge, const char *name,
				     const struct libvirt_domain *domain)
{
	for (size_t i = 0; i < bridge->n_ports; i++) {
		struct config_port *port = &bridge->ports[i];
		const char *mac = config_options_get(&port->options, LIBVIRT_LABEL_MAC);

		if (!label_is(port, LIBVIRT_LABEL_BY, LIBVIRT_BY_ATTACH))
			continue;
		/* a domain may have been renamed, its interface is the same */
		if (label_is(port, LIBVIRT_LABEL_DOMAIN, name) ||
		    (domain && mac && libvirt_domain_lookup_nic(domain, mac)))
			return port;
	}
	return NULL;
}

/* Changes the port's bridge as `edit` says, in one change. */
static int change(struct command *command,
		  int (*edit)(struct command *command, struct config *config,
			      struct config_bridge *bridge, struct error *e),
		  struct error *e)
{
	struct vswitch *vs = command->vs;
	struct config_bridge *bridge;
	struct config wanted;
	int err;

	if (config_clone(&wanted, &vs->config))
		return error_set(e, ENOMEM, "out of memory");
	bridge = vswitch_lookup_bridge(&wanted, command->bridge, e);
	err = bridge ? edit(command, &wanted, bridge, e) : -ENOENT;
	if (!err)
		return vswitch_change(vs, &vs->config, &wanted, e);
	config_uninit(&wanted);
	return err;
}

static int edit_remove(struct command *command, struct config *config,
		       struct config_bridge *bridge, struct error *e)
{
	(void)config;
	(void)e;
	config_forget_port(bridge, command->port);
	return 0;
}

/* From now on the port goes when the interface does. */
static int edit_follow(struct command *command, struct config *config,
		       struct config_bridge *bridge, struct error *e)
{
	struct config_port *port = config_lookup_port(config, bridge, command->port, NULL);

	if (port && config_options_set(&port->options, LIBVIRT_LABEL_BY, LIBVIRT_BY_FOLLOW))
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}

static int edit_options(struct command *command, struct config *config,
			struct config_bridge *bridge, struct error *e)
{
	struct config_port *port = config_lookup_port(config, bridge, command->port, NULL);

	return port ? methods_edit_options(&port->options, command->options, e) : 0;
}

/* ---- attach-vm --------------------------------------------------------------------------------
 */

/* An address that is the same each time, with the first bytes that QEMU's have. */
static void make_mac(const char *bridge, const char *uuid, char mac[LIBVIRT_MAC_SIZE])
{
	uint64_t hash = XXH64(uuid, strlen(uuid), XXH64(bridge, strlen(bridge) + 1, 2));

	snprintf(mac, LIBVIRT_MAC_SIZE, "52:54:00:%02x:%02x:%02x", (unsigned int)(hash & 0xff),
		 (unsigned int)(hash >> 8 & 0xff), (unsigned int)(hash >> 16 & 0xff));
}

static int set_number(struct config_options *options, const char *key, uint32_t number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return config_options_set(options, key, text);
}

/* The new port's options: its own, then the user's, then the labels. */
static int fill_port(struct command *command, const struct libvirt_domain *domain,
		     struct config_port *port, struct error *e)
{
	int err = 0;

	if (command->nic.queues > 1)
		err = set_number(&port->options, "queues", command->nic.queues);
	if (!err)
		err = libvirt_set_group(domain, &port->options);
	if (err)
		return error_set(e, err, "out of memory");
	err = methods_edit_options(&port->options, command->options, e);
	if (err)
		return err;
	err = config_options_set(&port->options, LIBVIRT_LABEL_DOMAIN, domain->name);
	if (!err)
		err = config_options_set(&port->options, LIBVIRT_LABEL_MAC, command->nic.mac);
	if (!err)
		err = config_options_set(&port->options, LIBVIRT_LABEL_BY, LIBVIRT_BY_ATTACH);
	port->ofport = command->ofport;
	return err ? error_set(e, err, "out of memory") : 0;
}

static int make_port(struct command *command, const struct libvirt_domain *domain, struct error *e)
{
	struct vswitch *vs = command->vs;
	struct config_bridge *bridge;
	struct config_port *port;
	struct config wanted;
	int err;

	if (config_clone(&wanted, &vs->config))
		return error_set(e, ENOMEM, "out of memory");
	bridge = vswitch_lookup_bridge(&wanted, command->bridge, e);
	err = bridge ? 0 : -ENOENT;
	port = bridge ? config_add_port(&wanted, bridge, command->port, LIBVIRT_PORT_TYPE, e)
		      : NULL;
	if (!err)
		err = port ? fill_port(command, domain, port, e) : -EEXIST;
	if (!err && !libvirt_get_path(vs->rundir, bridge, port, command->path))
		err = error_set(e, ENAMETOOLONG, "the path of its socket would be too long: choose "
						 "one with path=");
	if (err) {
		config_uninit(&wanted);
		return err;
	}
	err = vswitch_change(vs, &vs->config, &wanted, e);
	command->made_port = !err;
	return err;
}

/* Says what keeps the domain from sharing its memory, with the XML that mends it. */
static int check_memory(const struct libvirt_domain *domain, struct error *e)
{
	if (domain->is_persistent && !domain->shares_memory[LIBVIRT_CONFIG])
		return error_set(e, EINVAL,
				 "domain %s does not share its memory, which the switch needs: "
				 "with 'virsh edit %s' put %s into it%s",
				 domain->name, domain->name, libvirt_memory_xml,
				 domain->is_running ? ", then shut it down and start it" : "");
	if (domain->is_running && !domain->shares_memory[LIBVIRT_LIVE])
		return error_set(e, EINVAL,
				 "domain %s runs without shared memory, which the switch needs: %s",
				 domain->name,
				 domain->is_persistent
					 ? "it is defined with it since, so shut it down and "
					   "start it"
					 : "start it anew from an XML with <memoryBacking><source "
					   "type='memfd'/><access mode='shared'/></memoryBacking>");
	return 0;
}

/* Tells what was attached. */
static void tell_attached(struct command *command)
{
	const struct config_port *port =
		config_lookup_port(&command->vs->config, NULL, command->port, NULL);
	json_t *result = command->later->result;

	methods_set(result, "port", json_string(command->port));
	methods_set(result, "ofport", json_integer(port ? port->ofport : 0));
	methods_set(result, "domain", json_string(command->domain));
	methods_set(result, "mac", json_string(command->nic.mac));
	methods_set(result, "socket", json_string(command->path));
}

/* Takes the port away that was made for nothing; `edit` says how. */
static void undo_port(struct command *command,
		      int (*edit)(struct command *command, struct config *config,
				  struct config_bridge *bridge, struct error *e))
{
	struct error e = ERROR_INIT;

	if (command->made_port && change(command, edit, &e))
		log_error("port %s: cannot be removed again: %s", command->port, e.text);
}

/* An interface that was plugged in too late is out again, or not. */
static void on_undone(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct command *command = aux;

	(void)domain;
	if (err == -ETIMEDOUT)
		return; /* it comes back once more */
	if (err && err != -ENOENT)
		log_warn("domain %s keeps an interface that was plugged in too late: %s",
			 command->domain, e->text);
	/* with the interface, if that is still there */
	undo_port(command, edit_follow);
	command_destroy(command);
}

/*
 * It took so long that the command was refused meanwhile. The port had to stay, for a QEMU that
 * plugs a card in waits for its socket and does nothing else; now it goes, with the card.
 */
static void on_attached_late(struct command *command, int err, struct error *e)
{
	struct strbuf xml = STRBUF_INIT;

	if (err && err != -EPIPE && err != -ECANCELED) {
		undo_port(command, edit_remove);
		command_destroy(command);
		return;
	}
	libvirt_nic_format(&command->nic, &xml);
	if (err || !command->made_port ||
	    libvirt_submit(command->lv, LIBVIRT_JOB_DETACH, command->domain, strbuf_get(&xml),
			   on_undone, command, e)) {
		undo_port(command, edit_follow);
		command_destroy(command);
	}
	strbuf_uninit(&xml);
}

/* Answers that libvirt takes too long; the command goes on without anybody who waits. */
static void answer_late(struct command *command, struct error *e)
{
	error_prefix(e, -ETIMEDOUT,
		     "domain %s does not get the interface now, and will not keep it",
		     command->domain);
	rpc_finish(command->later, -ETIMEDOUT, e);
	command->later = NULL;
}

/* libvirt has plugged the interface in, or not. */
static void on_attached(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct command *command = aux;

	(void)domain;
	if (!command->later) {
		on_attached_late(command, err, e);
		return;
	}
	if (err == -ETIMEDOUT) {
		answer_late(command, e);
		return;
	}
	if (err) {
		error_prefix(e, err, "libvirt does not give domain %s the interface",
			     command->domain);
		/* who knows: the port goes when libvirt is back and the interface is not there */
		undo_port(command, err == -EPIPE || err == -ECANCELED ? edit_follow : edit_remove);
	} else if (!command->made_port) {
		err = change(command, edit_options, e);
	}
	if (!err)
		tell_attached(command);
	command_finish(command, err, e);
}

/* A port is there already: what cannot be changed in place is the same as before? */
static int check_existing(const struct command *command, const struct config_port *port,
			  struct error *e)
{
	const char *queues = config_options_get(&port->options, "queues");
	const char *mac = config_options_get(&port->options, LIBVIRT_LABEL_MAC);

	if ((command->nic.mac[0] && mac && strcmp(command->nic.mac, mac) != 0) ||
	    (command->queues && command->queues != strtoul(queues ? queues : "1", NULL, 10)))
		return error_set(e, EEXIST,
				 "domain %s has port %s on bridge %s already, with mac=%s and "
				 "queues=%s: detach-vm first to change them",
				 command->domain, port->name, command->bridge, mac ? mac : "(none)",
				 queues ? queues : "1");
	return 0;
}

/* Takes over what the port that is there says. */
static int take_existing(struct command *command, const struct config_bridge *bridge,
			 const struct config_port *port, struct error *e)
{
	const char *queues = config_options_get(&port->options, "queues");
	const char *mac = config_options_get(&port->options, LIBVIRT_LABEL_MAC);
	int err = check_existing(command, port, e);

	if (err)
		return err;
	snprintf(command->port, sizeof(command->port), "%s", port->name);
	command->nic.queues = (uint32_t)strtoul(queues ? queues : "1", NULL, 10);
	if (mac)
		snprintf(command->nic.mac, sizeof(command->nic.mac), "%s", mac);
	if (!libvirt_get_path(command->vs->rundir, bridge, port, command->path))
		return error_set(e, EINVAL, "port %s has no socket", port->name);
	return 0;
}

/* The port that the domain is to have: the one that is there, or a new one. */
static int prepare_port(struct command *command, const struct libvirt_domain *domain,
			struct error *e)
{
	const struct config_bridge *bridge =
		vswitch_lookup_bridge(&command->vs->config, command->bridge, e);
	const struct config_port *port;

	if (!bridge)
		return -ENOENT;
	port = find_port(bridge, domain->name, domain);
	if (port)
		return take_existing(command, bridge, port, e);
	if (!command->nic.mac[0])
		make_mac(bridge->name, domain->uuid, command->nic.mac);
	if (libvirt_domain_lookup_nic(domain, command->nic.mac))
		return error_set(e, EEXIST,
				 "domain %s has an interface with MAC address %s: choose another "
				 "with mac=",
				 domain->name, command->nic.mac);
	command->nic.queues = MAX(command->queues, 1u);
	libvirt_format_port(bridge->name, domain->name, command->port);
	return make_port(command, domain, e);
}

static void on_attach(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct command *command = aux;
	struct strbuf xml = STRBUF_INIT;
	char *name;

	if (err) {
		explain_missing(command, err, e);
		command_finish(command, err, e);
		return;
	}
	err = check_memory(*domain, e);
	name = strdup((*domain)->name);
	if (!err && !name)
		err = error_set(e, ENOMEM, "out of memory");
	if (!err)
		err = prepare_port(command, *domain, e);
	if (err) {
		free(name);
		command_finish(command, err, e);
		return;
	}
	free(command->domain);
	command->domain = name;
	command->nic.path = command->path;
	command->nic.reconnects = true;
	libvirt_nic_format(&command->nic, &xml);
	err = libvirt_submit(command->lv, LIBVIRT_JOB_ATTACH, command->domain, strbuf_get(&xml),
			     on_attached, command, e);
	if (err)
		on_attached(command, err, e, domain);
	strbuf_uninit(&xml);
}

/* The options that are not the port's. */
static int read_attach(struct command *command, const struct rpc_call *call, struct error *e)
{
	const char *mtu = json_string_value(json_object_get(command->options, "mtu"));
	const char *mac = rpc_get_string(call, "mac");

	/* whether it makes sense is for the port to say */
	command->nic.mtu = mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0;
	command->queues = rpc_get_uint(call, "queues", 0);
	command->ofport = rpc_get_uint(call, "ofport_request", 0);
	if (rpc_has(call, "queues") && (command->queues < 1 || command->queues > PORT_QUEUES_MAX))
		return error_set(e, EINVAL, "queues=%u: must be from 1 to %d", command->queues,
				 PORT_QUEUES_MAX);
	if (rpc_has(call, "ofport_request") &&
	    (command->ofport < 1 || command->ofport > OFPORT_MAX))
		return error_set(e, EINVAL, "ofport_request=%u: must be from 1 to %u",
				 command->ofport, OFPORT_MAX);
	if (mac && !libvirt_mac_parse(mac, command->nic.mac))
		return error_set(e, EINVAL,
				 "mac=%.40s: must be a unicast MAC address, such as "
				 "52:54:00:12:34:56",
				 mac);
	if (json_object_get(command->options, "mode"))
		return error_set(e, EINVAL, "mode=: with attach-vm the switch listens; for the "
					    "other way define the interface yourself");
	return 0;
}

int method_attach_vm(struct rpc_call *call, struct error *e)
{
	struct command *command;
	int err;

	command = command_create(call, &err, e);
	if (!command)
		return err;
	err = read_attach(command, call, e);
	if (!err)
		return command_start(command, call, on_attach, e);
	command_destroy(command);
	return err;
}

/* ---- detach-vm --------------------------------------------------------------------------------
 */

/* libvirt has unplugged the interface, or not; or the guest has not let go of it yet. */
static void on_detached(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct command *command = aux;
	const struct libvirt_nic *nic =
		*domain ? libvirt_domain_lookup_nic(*domain, command->nic.mac) : NULL;
	bool waits = !err && nic && nic->in[LIBVIRT_LIVE];

	if (err == -ETIMEDOUT && command->later) {
		error_prefix(e, err, "port %s goes with the interface of domain %s", command->port,
			     command->domain);
		rpc_finish(command->later, err, e);
		command->later = NULL;
		return;
	}
	if (err == -ENOENT)
		err = 0; /* the domain is gone, and its interface with it */
	if (err)
		error_prefix(e, err, "libvirt does not take the interface from domain %s",
			     command->domain);
	else
		err = change(command, waits ? edit_follow : edit_remove, e);
	if (!command->later) {
		command_destroy(command);
		return;
	}
	methods_set(command->later->result, "port", json_string(command->port));
	methods_set(command->later->result, "waits_for_guest", json_boolean(waits));
	command_finish(command, err, e);
}

static int find_attached(struct command *command, const struct libvirt_domain *domain,
			 struct error *e)
{
	const struct config_bridge *bridge =
		vswitch_lookup_bridge(&command->vs->config, command->bridge, e);
	const char *name = domain ? domain->name : command->domain;
	const struct config_port *port;
	const char *mac;

	if (!bridge)
		return -ENOENT;
	port = find_port(bridge, name, domain);
	for (size_t i = 0; i < bridge->n_ports && !port; i++) {
		if (label_is(&bridge->ports[i], LIBVIRT_LABEL_DOMAIN, name))
			return error_set(e, EBUSY,
					 "port %s was not made by attach-vm, it follows domain %s: "
					 "take the interface out of the domain",
					 bridge->ports[i].name, name);
	}
	if (!port)
		return error_set(e, ENODEV, "bridge %s has no port for domain %s", bridge->name,
				 name);
	snprintf(command->port, sizeof(command->port), "%s", port->name);
	mac = config_options_get(&port->options, LIBVIRT_LABEL_MAC);
	snprintf(command->nic.mac, sizeof(command->nic.mac), "%s", mac ? mac : "");
	command->nic.queues = 1;
	if (!libvirt_get_path(command->vs->rundir, bridge, port, command->path))
		return error_set(e, EINVAL, "port %s has no socket", port->name);
	command->nic.path = command->path;
	return 0;
}

static void on_detach(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct command *command = aux;
	struct libvirt_domain *none = NULL;
	struct strbuf xml = STRBUF_INIT;
	int found;

	if (err && err != -ENOENT) {
		command_finish(command, err, e);
		return;
	}
	found = find_attached(command, *domain, e);
	if (found == -ENODEV && !*domain)
		explain_missing(command, -ENOENT, e);
	if (found) {
		command_finish(command, found, e);
		return;
	}
	if (!*domain) {
		on_detached(command, 0, e, &none);
		return;
	}
	libvirt_nic_format(&command->nic, &xml);
	err = libvirt_submit(command->lv, LIBVIRT_JOB_DETACH, (*domain)->name, strbuf_get(&xml),
			     on_detached, command, e);
	if (err)
		on_detached(command, err, e, &none);
	strbuf_uninit(&xml);
}

int method_detach_vm(struct rpc_call *call, struct error *e)
{
	struct command *command;
	int err;

	command = command_create(call, &err, e);
	if (!command)
		return err;
	if (rpc_get_bool(call, "if_exists") &&
	    !find_port(methods_get_bridge(call, e), command->domain, NULL)) {
		command_destroy(command);
		return 0;
	}
	return command_start(command, call, on_detach, e);
}

/* ---- list-vms ---------------------------------------------------------------------------------
 */

static json_t *describe_wanted(const struct libvirt_wanted *wanted)
{
	static const char *const fates[] = {
		[LIBVIRT_NOT_OURS] = "elsewhere",
		[LIBVIRT_COVERED] = "configured",
		[LIBVIRT_FOLLOWED] = "follows",
		[LIBVIRT_REFUSED] = "refused",
	};

	return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s}", "bridge", wanted->bridge, "port",
			 wanted->port, "mac", wanted->nic->mac, "socket", wanted->nic->path,
			 "state", fates[wanted->fate], "problem", wanted->problem.text);
}

static json_t *describe_domain(const struct libvirt_plan *plan, const struct libvirt_domain *domain)
{
	json_t *interfaces = json_array();

	for (size_t i = 0; i < plan->n_wanted; i++) {
		if (plan->wanted[i].domain == domain)
			(void)!json_array_append_new(interfaces, describe_wanted(&plan->wanted[i]));
	}
	return json_pack("{s:s, s:s, s:b, s:b, s:o}", "domain", domain->name, "uuid", domain->uuid,
			 "running", domain->is_running, "defined", domain->is_persistent,
			 "interfaces", interfaces);
}

int method_list_vms(struct rpc_call *call, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	json_t *names = json_array(), *vms = json_array();
	struct libvirt_domain *const *domains = NULL;
	struct libvirt_plan *plan;
	size_t n = 0;

	methods_set(call->result, "domains", names);
	methods_set(call->result, "vms", vms);
	if (vs->libvirt) {
		domains = libvirt_get_domains(vs->libvirt, &n);
		methods_set(call->result, "libvirt", methods_describe_libvirt(vs->libvirt));
	}
	if (libvirt_plan_create(&vs->config, vs->rundir, domains, n, &plan))
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		(void)!json_array_append_new(names, json_string(domains[i]->name));
		(void)!json_array_append_new(vms, describe_domain(plan, domains[i]));
	}
	libvirt_plan_destroy(plan);
	return 0;
}
