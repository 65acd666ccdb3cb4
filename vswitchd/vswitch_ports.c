/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening and closing ports: the part of vswitch.h between the config and the drivers. */
#include "vswitchd/vswitch_priv.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/suggest.h"
#include "vswitchd/container.h"
#include "vswitchd/libvirt_plan.h"
#include "vswitchd/netns.h"
#include "vswitchd/process.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Options that one port may have. */
#define OPTIONS_MAX 64

/* ---- options: some are the bridge's, the others the driver's or labels ------------------------
 */

/* An option list in the drivers' form; strings are the config's. */
struct option_list {
	struct port_option items[OPTIONS_MAX];
	size_t n;
};

/* Whose options to pick out of a list. */
enum option_owner {
	OPTION_OF_DRIVER, /* of a port: its driver's */
	OPTION_OF_BRIDGE, /* of a port: its bridge's, such as tag= */
	OPTION_OF_LOCAL, /* of a bridge: those of its local port's driver */
};

static bool option_belongs(const char *key, enum option_owner owner)
{
	switch (owner) {
	case OPTION_OF_DRIVER:
		return !bridge_port_option_is_known(key) && !libvirt_label_is_known(key);
	case OPTION_OF_BRIDGE:
		return bridge_port_option_is_known(key);
	case OPTION_OF_LOCAL:
		return strcmp(key, VSWITCH_BRIDGE_LOCAL) != 0 &&
		       strcmp(key, VSWITCH_BRIDGE_MAC_AGEING) != 0 &&
		       strcmp(key, VSWITCH_BRIDGE_MAC_LIMIT) != 0;
	}
	return false;
}

static int option_list_init(struct option_list *list, const struct config_options *options,
			    enum option_owner owner, struct error *e)
{
	list->n = 0;
	for (size_t i = 0; i < options->n; i++) {
		if (!option_belongs(options->items[i].key, owner))
			continue;
		if (list->n == OPTIONS_MAX)
			return error_set(e, EINVAL, "a port has at most %d options", OPTIONS_MAX);
		list->items[list->n++] = (struct port_option){.key = options->items[i].key,
							      .value = options->items[i].value};
	}
	return 0;
}

static int parse_bridge_options(const struct config_port *config,
				struct bridge_port_config *bridge_port, struct error *e)
{
	struct option_list list;
	int err;

	*bridge_port = (struct bridge_port_config){.name = config->name};
	err = option_list_init(&list, &config->options, OPTION_OF_BRIDGE, e);
	if (!err)
		err = bridge_port_config_parse(list.items, list.n, bridge_port, e);
	bridge_port->ofport_request = config->ofport;
	return err;
}

/* ---- containers -------------------------------------------------------------------------------
 */

#define CONTAINER_LIST_MAX 16 /* addresses or gateways */

/* "A,B" as a list; `text` is cut up. */
static int split_list(char *text, const char *what, const char **items, size_t *n, struct error *e)
{
	char *state;

	*n = 0;
	for (char *item = strtok_r(text, ",", &state); item; item = strtok_r(NULL, ",", &state)) {
		if (*n == CONTAINER_LIST_MAX)
			return error_set(e, EINVAL, "%s: at most %d", what, CONTAINER_LIST_MAX);
		items[(*n)++] = item;
	}
	return 0;
}

/* A container's config in container.h's form, with what it points to. */
struct container_settings {
	struct container_config config;
	const char *addresses[CONTAINER_LIST_MAX], *gateways[CONTAINER_LIST_MAX];
	char *address_text, *gateway_text; /* owned, cut up */
};

static void container_settings_uninit(struct container_settings *settings)
{
	free(settings->address_text);
	free(settings->gateway_text);
}

static int container_settings_init(struct container_settings *settings,
				   const struct config_bridge *bridge,
				   const struct config_port *port, struct error *e)
{
	const struct config_options *options = &port->container_options;
	struct container_config *config = &settings->config;
	const char *ip = config_options_get(options, "ip");
	const char *gateway = config_options_get(options, "gateway");
	const char *mtu = config_options_get(options, "mtu");
	char *end;
	int err;

	*settings = (struct container_settings){0};
	settings->address_text = strdup(ip ? ip : "");
	settings->gateway_text = strdup(gateway ? gateway : "");
	if (!settings->address_text || !settings->gateway_text)
		return error_set(e, ENOMEM, "out of memory");
	err = split_list(settings->address_text, "ip", settings->addresses, &config->n_addresses,
			 e);
	if (!err)
		err = split_list(settings->gateway_text, "gateway", settings->gateways,
				 &config->n_gateways, e);
	if (err)
		return err;
	config->bridge = bridge->name;
	config->netns = port->container;
	config->ifname = config_options_get(options, "ifname");
	config->mac = config_options_get(options, "mac");
	config->addresses = settings->addresses;
	config->gateways = settings->gateways;
	if (mtu) {
		unsigned long number = strtoul(mtu, &end, 10);

		if (end == mtu || *end || number < 68 || number > 65535)
			return error_set(e, EINVAL, "mtu=%s: must be from 68 to 65535", mtu);
		config->mtu = (uint32_t)number;
	}
	return 0;
}

/* Does the PID still mean the process that it was attached by? */
static int check_process(const struct config_port *port, struct error *e)
{
	char process[PROCESS_IDENTITY_SIZE];

	if (!port->process || !process_get_identity(port->container, process) ||
	    strcmp(port->process, process) == 0)
		return 0;
	return error_set(e, ESRCH,
			 "process %s is another one than that which was attached; detach it, or "
			 "attach it again",
			 port->container);
}

int vswitch_attach_container(const struct config_bridge *bridge, const struct config_port *port,
			     struct error *e)
{
	struct container_settings settings;
	char name[IFNAMSIZ];
	int err;

	err = check_process(port, e);
	if (err)
		return err;
	err = container_settings_init(&settings, bridge, port, e);
	if (!err)
		err = container_attach(&settings.config, name, e);
	container_settings_uninit(&settings);
	return err;
}

void vswitch_detach_container(const struct config_bridge *bridge, const struct config_port *port)
{
	struct error e = ERROR_INIT;
	int err = container_detach(bridge->name, port->container, &e);

	if (err && err != -ENOENT)
		log_warn("container %s: %s", port->container, e.text);
}

/* ---- checks -----------------------------------------------------------------------------------
 */

/* A bridge's options are its own and, of the type of its local port, the driver's. */
static int check_bridge_option(const struct port_class *class, const char *key, struct error *e)
{
	static const char *const own[] = {VSWITCH_BRIDGE_LOCAL, VSWITCH_BRIDGE_MAC_AGEING,
					  VSWITCH_BRIDGE_MAC_LIMIT};
	struct suggest suggest;
	char hint[80];

	suggest_init(&suggest, key);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (strcmp(own[i], key) == 0)
			return 0;
		suggest_offer(&suggest, own[i]);
	}
	for (const struct port_option_def *def = class->options; def && def->name; def++) {
		if (strcmp(def->name, key) == 0)
			return 0;
		suggest_offer(&suggest, def->name);
	}
	return error_set(e, EINVAL, "unknown option '%s' of a bridge%s", key,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

int vswitch_check_local(const struct config_bridge *config, struct error *e)
{
	const struct port_class *class = port_class_lookup(VSWITCH_LOCAL_TYPE, e);
	int err = class ? 0 : -EINVAL;

	for (size_t i = 0; i < config->options.n && !err; i++)
		err = check_bridge_option(class, config->options.items[i].key, e);
	return err;
}

int vswitch_check_port(const struct config_bridge *bridge, const struct config_port *port,
		       struct error *e)
{
	const struct port_class *class = port_class_lookup(port->type, e);
	struct container_settings settings;
	struct bridge_port_config bridge_port;
	struct port_config driver_port = {.name = port->name};
	struct option_list list;
	int err;

	if (!class)
		return -EINVAL;
	err = option_list_init(&list, &port->options, OPTION_OF_DRIVER, e);
	if (err)
		return err;
	driver_port.options = list.items;
	driver_port.n_options = list.n;
	err = port_class_check_options(class, &driver_port, e);
	if (!err)
		err = parse_bridge_options(port, &bridge_port, e);
	if (err)
		return error_prefix(e, err, "port %s", port->name);
	if (!port->container)
		return 0;
	err = container_settings_init(&settings, bridge, port, e);
	if (!err)
		err = container_check(&settings.config, e);
	container_settings_uninit(&settings);
	return err;
}

int vswitch_check_new(const struct config_port *port, struct error *e)
{
	const struct port_class *class = port_class_lookup(port->type, e);
	struct port_config driver_port = {.name = port->name};
	struct option_list list;
	int err;

	if (!class)
		return -EINVAL;
	if (!class->check_new)
		return 0;
	err = option_list_init(&list, &port->options, OPTION_OF_DRIVER, e);
	if (err)
		return err;
	driver_port.options = list.items;
	driver_port.n_options = list.n;
	return class->check_new(&driver_port, e);
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static size_t port_search(const struct vswitch *vs, const char *name)
{
	size_t low = 0, high = vs->n_ports;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(vs->ports[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vswitch_port *vswitch_get_port(const struct vswitch *vs, const char *name)
{
	size_t at = port_search(vs, name);

	return at < vs->n_ports && strcmp(vs->ports[at]->name, name) == 0 ? vs->ports[at] : NULL;
}

struct vswitch_port *vswitch_insert_port(struct vswitch *vs, const char *bridge, const char *name,
					 bool is_local)
{
	size_t at = port_search(vs, name);
	struct vswitch_port **ports = realloc(vs->ports, (vs->n_ports + 1) * sizeof(*ports));
	struct vswitch_port *port = calloc(1, sizeof(*port));

	if (ports)
		vs->ports = ports;
	if (!ports || !port) {
		free(port);
		return NULL;
	}
	snprintf(port->name, sizeof(port->name), "%s", name);
	snprintf(port->bridge, sizeof(port->bridge), "%s", bridge);
	port->is_local = is_local;
	memmove(&ports[at + 1], &ports[at], (vs->n_ports - at) * sizeof(*ports));
	ports[at] = port;
	vs->n_ports++;
	return port;
}

void vswitch_remove_port(struct vswitch *vs, struct vswitch_port *port)
{
	size_t at = port_search(vs, port->name);

	vswitch_close_port(vs, port, NULL);
	vs->n_ports--;
	memmove(&vs->ports[at], &vs->ports[at + 1], (vs->n_ports - at) * sizeof(*vs->ports));
	free(port);
}

/* ---- opening and closing ----------------------------------------------------------------------
 */

/* The static addresses behind `port`, which its bridge forgot while it was not there. */
static void restore_macs(struct bridge *bridge, const struct config_bridge *config,
			 const char *port)
{
	struct error e = ERROR_INIT;

	for (size_t i = 0; i < config->n_macs; i++) {
		const struct config_mac *mac = &config->macs[i];

		if (strcmp(mac->port, port) == 0 &&
		    bridge_add_static_mac(bridge, mac->address, mac->vlan, port, &e))
			log_warn("bridge %s: static MAC address: %s", config->name, e.text);
	}
}

/* A port on its way into a bridge. */
struct entry {
	struct bridge *bridge;
	struct bridge_port_config *config;
	bool done; /* it is in the bridge */
};

/* Puts a port that was opened into its bridge, before its first packet. */
static int enter_bridge(void *aux, uint32_t port_no, struct error *e)
{
	struct entry *entry = aux;
	int err;

	entry->config->port_no = port_no;
	err = bridge_add_port(entry->bridge, entry->config, NULL, e);
	entry->done = !err;
	return err;
}

/* Opens it with the driver and puts it into the bridge. */
static int open_port(struct vswitch *vs, struct bridge *bridge, const char *type,
		     const struct port_config *driver_port, struct bridge_port_config *bridge_port,
		     uint32_t *port_no, struct error *e)
{
	struct entry entry = {.bridge = bridge, .config = bridge_port};
	struct port_config config = *driver_port;
	struct error ignored = ERROR_INIT;
	int err;

	config.opened = enter_bridge;
	config.opened_aux = &entry;
	err = datapath_add_port(vs->dp, type, &config, port_no, e);
	if (err && entry.done && bridge_remove_port(bridge, bridge_port->name, &ignored))
		log_error("port %s: %s", bridge_port->name, ignored.text);
	return err;
}

/*
 * A MAC address for the host on this bridge: always the same on this machine, for its peers
 * remember it when the daemon is started again, and another one on other machines.
 */
static void make_local_mac(const char *bridge, char mac[18])
{
	char seed[128] = "";
	FILE *in = fopen("/etc/machine-id", "re");
	uint64_t hash;
	size_t n;

	n = in ? fread(seed, 1, 64, in) : 0;
	if (in)
		fclose(in);
	snprintf(seed + n, sizeof(seed) - n, "/%s", bridge);
	hash = XXH3_64bits(seed, strlen(seed));
	snprintf(mac, 18, "02:%02x:%02x:%02x:%02x:%02x", (unsigned int)(hash >> 32 & 0xff),
		 (unsigned int)(hash >> 24 & 0xff), (unsigned int)(hash >> 16 & 0xff),
		 (unsigned int)(hash >> 8 & 0xff), (unsigned int)(hash & 0xff));
}

/* The local port's options, with a MAC address in `mac` if none is given. */
static int local_options_init(struct option_list *list, const struct config_bridge *config,
			      char mac[18], struct error *e)
{
	int err = option_list_init(list, &config->options, OPTION_OF_LOCAL, e);

	if (err || config_options_get(&config->options, "mac") || list->n == OPTIONS_MAX)
		return err;
	make_local_mac(config->name, mac);
	list->items[list->n++] = (struct port_option){.key = "mac", .value = mac};
	return 0;
}

static int open_local(struct vswitch *vs, struct bridge *bridge, const struct config_bridge *config,
		      uint32_t *port_no, struct error *e)
{
	struct port_config driver_port = {.name = config->name};
	struct bridge_port_config bridge_port = {.name = config->name,
						 .ofport_request = OFPORT_LOCAL};
	struct option_list list;
	char mac[18];
	int err;

	err = local_options_init(&list, config, mac, e);
	if (err)
		return err;
	driver_port.options = list.items;
	driver_port.n_options = list.n;
	return open_port(vs, bridge, VSWITCH_LOCAL_TYPE, &driver_port, &bridge_port, port_no, e);
}

/* Where ports of the bridge put what they make: a folder of its name under the run directory. NULL:
 * its name is too long. */
static const char *get_folder(const struct vswitch *vs, const char *bridge, char folder[PATH_MAX])
{
	int n = snprintf(folder, PATH_MAX, "%s/%s", vs->rundir, bridge);

	return n < PATH_MAX ? folder : NULL;
}

static int open_configured(struct vswitch *vs, struct bridge *bridge,
			   const struct config_bridge *config_bridge,
			   const struct config_port *config, uint32_t *port_no, struct error *e)
{
	struct port_config driver_port = {.name = config->name};
	struct bridge_port_config bridge_port;
	char folder[PATH_MAX];
	struct option_list list;
	int err;

	driver_port.folder = get_folder(vs, config_bridge->name, folder);
	err = parse_bridge_options(config, &bridge_port, e);
	if (!err)
		err = option_list_init(&list, &config->options, OPTION_OF_DRIVER, e);
	if (err)
		return err;
	driver_port.options = list.items;
	driver_port.n_options = list.n;
	if (config->container)
		err = vswitch_attach_container(config_bridge, config, e);
	if (!err)
		err = open_port(vs, bridge, config->type, &driver_port, &bridge_port, port_no, e);
	return err;
}

/* An attempt to open the port, begun at `start_ns`, has failed. One that takes its time is not to
 * take all of the daemon's. */
static void set_retry(struct vswitch_port *port, int err, uint64_t start_ns)
{
	uint64_t now = clock_now();

	port->is_there = err != -ENODEV;
	port->retry_ns = now + MAX(VSWITCH_RETRY_SECONDS * CLOCK_NS_PER_S,
				   VSWITCH_RETRY_SHARE * (now - start_ns));
}

int vswitch_open_port(struct vswitch *vs, struct vswitch_port *port,
		      const struct config_bridge *config_bridge, const struct config_port *config,
		      struct error *e)
{
	struct bridge *bridge = bridge_lookup(vs->bridges, config_bridge->name);
	struct error why = ERROR_INIT;
	uint64_t start_ns;
	uint32_t port_no;
	int err;

	start_ns = clock_now();
	if (config)
		err = open_configured(vs, bridge, config_bridge, config, &port_no, &why);
	else
		err = open_local(vs, bridge, config_bridge, &port_no, &why);
	port->error = why;
	if (err) {
		set_retry(port, err, start_ns);
		if (!why.text[0])
			error_set(&port->error, err, "%s", strerror(-err));
		return error_set(e, err, "%s", port->error.text);
	}
	port->error.text[0] = '\0';
	port->port_no = port_no;
	restore_macs(bridge, config_bridge, port->name);
	return 0;
}

void vswitch_close_port(struct vswitch *vs, struct vswitch_port *port, const char *why)
{
	struct bridge *bridge = bridge_lookup(vs->bridges, port->bridge);
	struct error e = ERROR_INIT;

	if (why)
		error_set(&port->error, ENODEV, "%s", why);
	port->is_there = false;
	if (!port->port_no)
		return;
	if (bridge && bridge_remove_port(bridge, port->name, &e))
		log_error("bridge %s: %s", port->bridge, e.text);
	if (datapath_remove_port(vs->dp, port->port_no))
		log_error("port %s: cannot be removed", port->name);
	port->port_no = 0;
}

/* ---- changing ---------------------------------------------------------------------------------
 */

/* Lets the running driver take the options. -EOPNOTSUPP: it cannot. */
static int set_running(struct vswitch *vs, struct vswitch_port *port,
		       const struct option_list *list, struct error *e)
{
	struct port *driver = datapath_get_port(vs->dp, port->port_no);
	struct port_config driver_port = {
		.name = port->name,
		.n_workers = datapath_get_n_workers(vs->dp),
	};
	char folder[PATH_MAX];

	driver_port.folder = get_folder(vs, port->bridge, folder);
	if (!driver->class->set)
		return -EOPNOTSUPP;
	driver_port.options = list->items;
	driver_port.n_options = list->n;
	return driver->class->set(driver, &driver_port, e);
}

int vswitch_set_local(struct vswitch *vs, struct vswitch_port *port,
		      const struct config_bridge *config, const struct config_bridge *old,
		      struct error *e)
{
	struct error ignored = ERROR_INIT;
	struct option_list list;
	char mac[18];
	int err;

	if (port->port_no) {
		err = local_options_init(&list, config, mac, e);
		if (!err)
			err = set_running(vs, port, &list, e);
		if (err != -EOPNOTSUPP)
			return err;
		vswitch_close_port(vs, port, NULL);
	}
	err = vswitch_open_port(vs, port, config, NULL, e);
	if (err == -EINVAL && old && vswitch_open_port(vs, port, old, NULL, &ignored))
		log_error("port %s: cannot be opened with its old options: %s", port->name,
			  ignored.text);
	return err;
}

/* Do the two differ in options of the driver? */
static bool driver_options_differ(const struct config_port *old, const struct config_port *config)
{
	struct option_list a, b;

	if (option_list_init(&a, &old->options, OPTION_OF_DRIVER, NULL) ||
	    option_list_init(&b, &config->options, OPTION_OF_DRIVER, NULL) || a.n != b.n)
		return true;
	for (size_t i = 0; i < a.n; i++) {
		if (strcmp(a.items[i].key, b.items[i].key) != 0 ||
		    strcmp(a.items[i].value, b.items[i].value) != 0)
			return true;
	}
	return false;
}

int vswitch_set_port(struct vswitch *vs, struct vswitch_port *port,
		     const struct config_bridge *config_bridge, const struct config_port *old,
		     const struct config_port *config, struct error *e)
{
	struct bridge_port_config bridge_port;
	struct error ignored = ERROR_INIT;
	struct option_list list;
	struct port *driver;
	int err = 0;

	if (!port->port_no) {
		err = vswitch_open_port(vs, port, config_bridge, config, e);
		/* its device is still not there: the options wait with the port */
		return err == -ENODEV || err == -ENOENT ? 0 : err;
	}
	if (config->container)
		err = vswitch_attach_container(config_bridge, config, e);
	/* the container may have another MTU now; a device that vanished is the timer's business */
	driver = datapath_get_port(vs->dp, port->port_no);
	if (!err && driver && driver->class->refresh)
		(void)!driver->class->refresh(driver);
	if (!err && driver_options_differ(old, config)) {
		err = option_list_init(&list, &config->options, OPTION_OF_DRIVER, e);
		if (!err)
			err = set_running(vs, port, &list, e);
		if (err == -EOPNOTSUPP) {
			vswitch_close_port(vs, port, NULL);
			err = vswitch_open_port(vs, port, config_bridge, config, e);
			if (err && vswitch_open_port(vs, port, config_bridge, old, &ignored))
				log_error("port %s: cannot be opened with its old options: %s",
					  port->name, ignored.text);
			return err;
		}
	}
	if (!err)
		err = parse_bridge_options(config, &bridge_port, e);
	if (!err)
		err = bridge_set_port(bridge_lookup(vs->bridges, port->bridge), &bridge_port, e);
	return err;
}

/* ---- periodic ---------------------------------------------------------------------------------
 */

/* The config's entries for a port; false: it is not there (any more). */
static bool find_config(const struct vswitch *vs, const struct vswitch_port *port,
			const struct config_bridge **bridge, const struct config_port **config)
{
	*bridge = config_lookup_bridge(&vs->config, port->bridge);
	*config = NULL;
	if (*bridge && !port->is_local)
		*config = config_lookup_port(&vs->config, *bridge, port->name, NULL);
	return *bridge && (port->is_local || *config);
}

/* Tries to open what is closed; says so only when that changes something. */
static void retry_port(struct vswitch *vs, struct vswitch_port *port)
{
	const struct config_bridge *bridge;
	const struct config_port *config;

	if (!find_config(vs, port, &bridge, &config))
		return;
	if (vswitch_open_port(vs, port, bridge, config, NULL) == 0)
		log_info("bridge %s: port %s is there and is open", port->bridge, port->name);
}

/* Is the namespace of a container's port gone for good? */
static bool container_is_gone(const struct config_port *config)
{
	int fd = netns_open(config->container, NULL);

	if (fd >= 0)
		close(fd);
	return fd == -ENOENT;
}

/* The device of an open port has vanished. */
static void handle_vanished(struct vswitch *vs, struct vswitch_port *port)
{
	const struct config_bridge *bridge;
	const struct config_port *config;
	struct error e = ERROR_INIT;
	struct config wanted;

	vswitch_close_port(vs, port, "its device has vanished; it is opened when it comes back");
	log_warn("bridge %s: port %s: %s", port->bridge, port->name, port->error.text);
	if (!find_config(vs, port, &bridge, &config) || !config || !config->container ||
	    !container_is_gone(config))
		return;
	log_info("bridge %s: the namespace of container %s is gone, and its port with it",
		 port->bridge, config->container);
	if (config_clone(&wanted, &vs->config))
		return;
	config_remove_port(config_lookup_bridge(&wanted, port->bridge), port->name);
	if (vswitch_change(vs, &vs->config, &wanted, &e))
		log_error("port %s: %s", config->name, e.text);
}

/* Returns true if the port went away. */
static bool refresh_port(struct vswitch *vs, struct vswitch_port *port)
{
	struct port *driver = datapath_get_port(vs->dp, port->port_no);

	if (!driver || !driver->class->refresh || driver->class->refresh(driver) != -ENODEV)
		return false;
	handle_vanished(vs, port);
	return true;
}

void vswitch_refresh_ports(struct vswitch *vs, uint64_t now)
{
	for (size_t i = 0; i < vs->n_ports; i++) {
		struct vswitch_port *port = vs->ports[i];
		size_t n = vs->n_ports;

		if (port->port_no)
			refresh_port(vs, port);
		else if (now >= port->retry_ns)
			retry_port(vs, port);
		if (vs->n_ports < n)
			i--; /* it is not in the list any more */
	}
}

void vswitch_link_changed(struct vswitch *vs, const char *name, bool gone)
{
	struct vswitch_port *port;

	if (!name[0]) {
		vswitch_refresh_ports(vs, clock_now());
		return;
	}
	port = vswitch_get_port(vs, name);
	if (!port)
		return;
	if (port->port_no)
		refresh_port(vs, port);
	else if (!gone && !port->is_there)
		retry_port(vs, port);
}
