/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/libvirt_plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SOCKET_SUFFIX ".sock"
#define PATH_SIZE 108 /* of a Unix socket with the NUL, unix(7) */

/* ---- ports of the config ----------------------------------------------------------------------
 */

bool libvirt_label_is_known(const char *key)
{
	return strcmp(key, LIBVIRT_LABEL_DOMAIN) == 0 || strcmp(key, LIBVIRT_LABEL_MAC) == 0 ||
	       strcmp(key, LIBVIRT_LABEL_BY) == 0;
}

bool libvirt_port_follows(const struct config_port *port)
{
	const char *by = config_options_get(&port->options, LIBVIRT_LABEL_BY);

	return by && strcmp(by, LIBVIRT_BY_FOLLOW) == 0;
}

static bool format_path(const char *rundir, const char *bridge, const char *port,
			char path[PATH_SIZE])
{
	return (size_t)snprintf(path, PATH_SIZE, "%s/%s/%s" SOCKET_SUFFIX, rundir, bridge, port) <
	       PATH_SIZE;
}

bool libvirt_get_path(const char *rundir, const struct config_bridge *bridge,
		      const struct config_port *port, char path[PATH_SIZE])
{
	const char *given = config_options_get(&port->options, "path");

	if (strcmp(port->type, LIBVIRT_PORT_TYPE) != 0)
		return false;
	if (given)
		return (size_t)snprintf(path, PATH_SIZE, "%s", given) < PATH_SIZE;
	return format_path(rundir, bridge->name, port->name, path);
}

void libvirt_format_port(const char *bridge, const char *domain, char name[CONFIG_NAME_SIZE])
{
	size_t length = (size_t)snprintf(name, CONFIG_NAME_SIZE, "%s-%s", bridge, domain);
	bool plain = length < CONFIG_NAME_SIZE;
	uint64_t hash;

	for (char *c = name; *c; c++) {
		if (isalnum((unsigned char)*c) || strchr("-_.", *c))
			continue;
		*c = '_';
		plain = false;
	}
	if (plain)
		return;
	hash = XXH64(domain, strlen(domain), XXH64(bridge, strlen(bridge) + 1, 0));
	length = MIN(strlen(name), (size_t)CONFIG_NAME_SIZE - 9);
	snprintf(name + length, CONFIG_NAME_SIZE - length, "-%07x",
		 (unsigned int)(hash & 0xfffffff));
}

/* ---- what an interface asks for ---------------------------------------------------------------
 */

/* The part of `path` behind RUNDIR/, or NULL. */
static const char *below(const char *rundir, const char *path)
{
	size_t length = strlen(rundir);

	while (length > 1 && rundir[length - 1] == '/')
		length--;
	if (strncmp(path, rundir, length) != 0 || path[length] != '/')
		return NULL;
	for (path += length; *path == '/'; path++)
		continue;
	return path;
}

/* Copies `length` bytes if they fit. */
static bool copy(char *to, size_t size, const char *from, size_t length)
{
	if (length >= size)
		return false;
	memcpy(to, from, length);
	to[length] = '\0';
	return true;
}

/* The file's name without ".sock". */
static bool name_by_file(const char *file, char name[CONFIG_NAME_SIZE])
{
	size_t length = strlen(file), suffix = strlen(SOCKET_SUFFIX);

	if (length > suffix && strcmp(file + length - suffix, SOCKET_SUFFIX) == 0)
		length -= suffix;
	return copy(name, CONFIG_NAME_SIZE, file, length);
}

/* BRIDGE/NAME below the rundir, nothing deeper. */
static void ask_by_path(struct libvirt_wanted *wanted, const char *rundir)
{
	const char *rest = wanted->nic->path ? below(rundir, wanted->nic->path) : NULL;
	const char *slash = rest ? strchr(rest, '/') : NULL;

	if (!slash || slash == rest || !slash[1] || strchr(slash + 1, '/'))
		return;
	if (!copy(wanted->bridge, sizeof(wanted->bridge), rest, (size_t)(slash - rest)) ||
	    !name_by_file(slash + 1, wanted->port))
		wanted->bridge[0] = '\0';
}

static bool hint_names(const struct libvirt_hint *hint, const struct libvirt_nic *nic)
{
	return (hint->mac && strcasecmp(hint->mac, nic->mac) == 0) ||
	       (hint->dev && nic->dev && strcmp(hint->dev, nic->dev) == 0);
}

/* The metadata's element for an interface: one that names it, else one for all. */
static const struct libvirt_hint *find_hint(const struct libvirt_domain *domain,
					    const struct libvirt_nic *nic)
{
	const struct libvirt_hint *general = NULL;

	for (size_t i = 0; i < domain->n_hints; i++) {
		const struct libvirt_hint *hint = &domain->hints[i];

		if (hint_names(hint, nic))
			return hint;
		if (!hint->mac && !hint->dev && !general)
			general = hint;
	}
	return general;
}

/* The metadata says the bridge; the name is its own, or that of the socket's file. */
static void ask_by_hint(struct libvirt_wanted *wanted)
{
	const struct libvirt_hint *hint = wanted->hint;
	const char *file = wanted->nic->path ? strrchr(wanted->nic->path, '/') : NULL;
	bool is_own = hint->name && (hint->mac || hint->dev);

	if (!copy(wanted->bridge, sizeof(wanted->bridge), hint->bridge, strlen(hint->bridge))) {
		error_set(&wanted->problem, EINVAL, "the metadata's bridge '%.40s' is no bridge",
			  hint->bridge);
		wanted->fate = LIBVIRT_REFUSED;
		return;
	}
	if (is_own && copy(wanted->port, CONFIG_NAME_SIZE, hint->name, strlen(hint->name)))
		return;
	if (!file || !name_by_file(file + 1, wanted->port))
		wanted->port[0] = '\0';
}

/* ---- may it have it? --------------------------------------------------------------------------
 */

/* The port that has this socket, and does not follow. */
static const struct config_port *find_covering(const struct config *config, const char *rundir,
					       const struct libvirt_nic *nic,
					       const struct config_bridge **owner)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < config->n_bridges; i++) {
		const struct config_bridge *bridge = &config->bridges[i];

		for (size_t j = 0; j < bridge->n_ports; j++) {
			const struct config_port *port = &bridge->ports[j];

			if (libvirt_port_follows(port) ||
			    !libvirt_get_path(rundir, bridge, port, path) ||
			    strcmp(path, nic->path) != 0)
				continue;
			*owner = bridge;
			return port;
		}
	}
	return NULL;
}

static int check_path(const struct libvirt_nic *nic, struct error *e)
{
	if (nic->path[0] != '/' || strstr(nic->path, "/../"))
		return error_set(e, EINVAL, "its socket '%.80s' is no absolute path", nic->path);
	if (strlen(nic->path) >= PATH_SIZE)
		return error_set(e, ENAMETOOLONG,
				 "the path of its socket is longer than %d bytes: %.80s...",
				 PATH_SIZE - 1, nic->path);
	return 0;
}

/* Returns 0 if the wanted port can be. */
static int check_wanted(const struct libvirt_wanted *wanted, const struct config *config,
			const struct libvirt_wanted *before, size_t n_before, struct error *e)
{
	struct config_bridge *owner = NULL;
	const struct config_port *port;
	int err = check_path(wanted->nic, e);

	if (err)
		return err;
	if (!config_lookup_bridge(config, wanted->bridge))
		return error_set(e, ENOENT, "there is no bridge %s: add-br %s", wanted->bridge,
				 wanted->bridge);
	err = config_check_name("port", wanted->port, CONFIG_NAME_SIZE, e);
	if (err)
		return err;
	port = config_lookup_port(config, NULL, wanted->port, &owner);
	if (port && !libvirt_port_follows(port))
		return error_set(e, EEXIST, "bridge %s has another port named %s", owner->name,
				 port->name);
	for (size_t i = 0; i < n_before; i++) {
		if (before[i].fate == LIBVIRT_FOLLOWED &&
		    strcmp(before[i].port, wanted->port) == 0)
			return error_set(e, EEXIST, "domain %s has a port named %s already",
					 before[i].domain->name, wanted->port);
	}
	return config_lookup_bridge(config, wanted->port)
		       ? error_set(e, EEXIST, "%s is the name of a bridge", wanted->port)
		       : 0;
}

static void decide(struct libvirt_wanted *wanted, const struct config *config, const char *rundir,
		   const struct libvirt_wanted *before, size_t n_before)
{
	const struct config_bridge *owner;
	const struct config_port *port =
		wanted->nic->path ? find_covering(config, rundir, wanted->nic, &owner) : NULL;

	if (port) {
		wanted->fate = LIBVIRT_COVERED;
		snprintf(wanted->bridge, sizeof(wanted->bridge), "%s", owner->name);
		snprintf(wanted->port, sizeof(wanted->port), "%s", port->name);
		return;
	}
	if (!wanted->nic->path)
		return;
	wanted->hint = find_hint(wanted->domain, wanted->nic);
	if (wanted->hint)
		ask_by_hint(wanted);
	else
		ask_by_path(wanted, rundir);
	if (!wanted->bridge[0])
		return;
	wanted->fate = check_wanted(wanted, config, before, n_before, &wanted->problem)
			       ? LIBVIRT_REFUSED
			       : LIBVIRT_FOLLOWED;
}

/* ---- actions ----------------------------------------------------------------------------------
 */

static int set_number(struct config_options *options, const char *key, uint32_t number,
		      uint32_t initial)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return config_options_set(options, key, number == initial ? NULL : text);
}

int libvirt_set_group(const struct libvirt_domain *domain, struct config_options *options)
{
	const char *mode = config_options_get(options, "mode");

	if (!domain->user.group[0] || (mode && strcmp(mode, "client") == 0))
		return 0;
	return config_options_set(options, "group", domain->user.group);
}

/* Writes the options that follow from the interface. */
static int set_options(const struct libvirt_plan *plan, const struct libvirt_wanted *wanted,
		       struct config_options *options)
{
	const struct libvirt_nic *nic = wanted->nic;
	const char *tag = wanted->hint ? wanted->hint->tag : NULL;
	char path[PATH_SIZE];
	bool is_default = format_path(plan->rundir, wanted->bridge, wanted->port, path) &&
			  strcmp(path, nic->path) == 0;
	int err;

	err = config_options_set(options, "path", is_default ? NULL : nic->path);
	if (!err)
		err = config_options_set(options, "mode", nic->is_server ? "client" : NULL);
	if (!err)
		err = set_number(options, "queues", nic->queues, 1);
	if (!err)
		err = set_number(options, "mtu", nic->mtu, 0);
	if (!err && wanted->hint)
		err = config_options_set(options, "tag", tag);
	if (!err)
		err = config_options_set(options, LIBVIRT_LABEL_DOMAIN, wanted->domain->name);
	if (!err)
		err = config_options_set(options, LIBVIRT_LABEL_MAC, nic->mac[0] ? nic->mac : NULL);
	if (!err)
		err = config_options_set(options, LIBVIRT_LABEL_BY, LIBVIRT_BY_FOLLOW);
	return err;
}

/* Would set_options() change anything? Returns 1, 0 or -ENOMEM. */
static int options_differ(const struct libvirt_plan *plan, const struct libvirt_wanted *wanted,
			  const struct config_options *options)
{
	struct config_options changed;
	int result;

	if (config_options_clone(&changed, options))
		return -ENOMEM;
	result = set_options(plan, wanted, &changed);
	if (!result)
		result = !config_options_equals(&changed, options);
	config_options_uninit(&changed);
	return result;
}

static int append(struct libvirt_plan *plan, int type, const char *bridge, const char *port,
		  const struct libvirt_wanted *wanted)
{
	struct libvirt_action *actions =
		reallocarray(plan->actions, plan->n_actions + 1, sizeof(*actions));
	struct libvirt_action *action;

	if (!actions)
		return -ENOMEM;
	plan->actions = actions;
	action = &actions[plan->n_actions++];
	*action = (struct libvirt_action){.wanted = wanted};
	action->type = type;
	snprintf(action->bridge, sizeof(action->bridge), "%s", bridge);
	snprintf(action->port, sizeof(action->port), "%s", port);
	return 0;
}

static const struct libvirt_wanted *find_wanted(const struct libvirt_plan *plan, const char *bridge,
						const char *port)
{
	for (size_t i = 0; i < plan->n_wanted; i++) {
		const struct libvirt_wanted *wanted = &plan->wanted[i];

		if (wanted->fate == LIBVIRT_FOLLOWED && strcmp(wanted->port, port) == 0 &&
		    strcmp(wanted->bridge, bridge) == 0)
			return wanted;
	}
	return NULL;
}

static int plan_removals(struct libvirt_plan *plan, const struct config *config)
{
	int err = 0;

	for (size_t i = 0; i < config->n_bridges; i++) {
		const struct config_bridge *bridge = &config->bridges[i];

		for (size_t j = 0; j < bridge->n_ports && !err; j++) {
			const struct config_port *port = &bridge->ports[j];

			if (libvirt_port_follows(port) &&
			    (strcmp(port->type, LIBVIRT_PORT_TYPE) != 0 ||
			     !find_wanted(plan, bridge->name, port->name)))
				err = append(plan, LIBVIRT_REMOVE_PORT, bridge->name, port->name,
					     NULL);
		}
	}
	return err;
}

static int plan_port(struct libvirt_plan *plan, const struct config *config,
		     const struct libvirt_wanted *wanted)
{
	struct config_bridge *owner = NULL;
	const struct config_port *port = config_lookup_port(config, NULL, wanted->port, &owner);
	int differs;

	/* one in another bridge, or of another type, is among the removals */
	if (!port || strcmp(owner->name, wanted->bridge) != 0 ||
	    strcmp(port->type, LIBVIRT_PORT_TYPE) != 0)
		return append(plan, LIBVIRT_ADD_PORT, wanted->bridge, wanted->port, wanted);
	differs = options_differ(plan, wanted, &port->options);
	return differs > 0
		       ? append(plan, LIBVIRT_SET_PORT, wanted->bridge, wanted->port, wanted)
		       : differs;
}

static size_t count_nics(struct libvirt_domain *const *domains, size_t n_domains)
{
	size_t n = 0;

	for (size_t i = 0; i < n_domains; i++)
		n += domains[i]->n_nics;
	return n;
}

int libvirt_plan_create(const struct config *config, const char *rundir,
			struct libvirt_domain *const *domains, size_t n_domains,
			struct libvirt_plan **planp)
{
	struct libvirt_plan *plan = calloc(1, sizeof(*plan));
	int err = -ENOMEM;

	if (!plan)
		return -ENOMEM;
	plan->rundir = rundir;
	plan->wanted = calloc(count_nics(domains, n_domains) + 1, sizeof(*plan->wanted));
	if (!plan->wanted)
		goto fail;
	for (size_t i = 0; i < n_domains; i++) {
		for (size_t j = 0; j < domains[i]->n_nics; j++) {
			struct libvirt_wanted *wanted = &plan->wanted[plan->n_wanted];

			wanted->domain = domains[i];
			wanted->nic = &domains[i]->nics[j];
			decide(wanted, config, rundir, plan->wanted, plan->n_wanted++);
		}
	}
	err = plan_removals(plan, config);
	for (size_t i = 0; i < plan->n_wanted && !err; i++) {
		if (plan->wanted[i].fate == LIBVIRT_FOLLOWED)
			err = plan_port(plan, config, &plan->wanted[i]);
	}
	if (err)
		goto fail;
	*planp = plan;
	return 0;

fail:
	libvirt_plan_destroy(plan);
	return err;
}

void libvirt_plan_destroy(struct libvirt_plan *plan)
{
	if (!plan)
		return;
	free(plan->wanted);
	free(plan->actions);
	free(plan);
}

bool libvirt_plan_asks(const struct libvirt_plan *plan, const char *port)
{
	for (size_t i = 0; i < plan->n_wanted; i++) {
		const struct libvirt_wanted *wanted = &plan->wanted[i];

		if ((wanted->fate == LIBVIRT_FOLLOWED || wanted->fate == LIBVIRT_REFUSED) &&
		    strcmp(wanted->port, port) == 0)
			return true;
	}
	return false;
}

int libvirt_plan_edit(const struct libvirt_plan *plan, const struct libvirt_action *action,
		      struct config *config, struct error *e)
{
	struct config_bridge *bridge = config_lookup_bridge(config, action->bridge);
	struct config_port *port =
		bridge ? config_lookup_port(NULL, bridge, action->port, NULL) : NULL;

	if (!bridge)
		return error_set(e, ENOENT, "bridge %s is gone", action->bridge);
	if (action->type == LIBVIRT_REMOVE_PORT) {
		config_forget_port(bridge, action->port);
		return 0;
	}
	if (action->type == LIBVIRT_ADD_PORT)
		port = config_add_port(config, bridge, action->port, LIBVIRT_PORT_TYPE, e);
	if (!port)
		return -EINVAL;
	if (set_options(plan, action->wanted, &port->options) ||
	    (action->type == LIBVIRT_ADD_PORT &&
	     libvirt_set_group(action->wanted->domain, &port->options)))
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}
