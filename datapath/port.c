/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/datapath.h"
#include "datapath/port.h"
#include "datapath/port_afxdp.h"
#include "datapath/port_mem.h"
#include "datapath/port_packet.h"
#include "datapath/port_tap.h"
#include "datapath/port_veth.h"
#include "datapath/port_vhost.h"
#include "lib/suggest.h"

const struct port_class *const port_classes[] = {
	&port_afxdp_class,
	&port_veth_class,
	&port_vhost_class,
	&port_mem_class,
	&port_tap_class,
	&port_internal_class,
	&port_packet_class,
	NULL,
};

const struct port_class *port_class_lookup(const char *type, struct error *err)
{
	struct suggest suggest;
	char hint[64];

	for (const struct port_class *const *class = port_classes; *class; class ++)
		if (!strcmp((*class)->type, type))
			return *class;
	suggest_init(&suggest, type);
	for (const struct port_class *const *class = port_classes; *class; class ++)
		suggest_offer(&suggest, (*class)->type);
	error_set(err, EINVAL, "unknown port type '%s'%s", type,
		  suggest_format(&suggest, hint, sizeof(hint)));
	return NULL;
}

static const struct port_option_def *option_lookup(const struct port_class *class, const char *key)
{
	for (const struct port_option_def *def = class->options; def && def->name; def++)
		if (!strcmp(def->name, key))
			return def;
	return NULL;
}

bool port_class_has_option(const struct port_class *class, const char *key)
{
	return option_lookup(class, key) != NULL;
}

static int refuse_option(const struct port_class *class, const char *key, struct error *err)
{
	struct suggest suggest;
	char hint[64];

	suggest_init(&suggest, key);
	for (const struct port_option_def *def = class->options; def && def->name; def++)
		suggest_offer(&suggest, def->name);
	return error_set(err, EINVAL, "unknown option '%s' of port type %s%s", key, class->type,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

int port_class_check_options(const struct port_class *class, const struct port_config *config,
			     struct error *err)
{
	for (size_t i = 0; i < config->n_options; i++) {
		const char *key = config->options[i].key;

		if (!option_lookup(class, key))
			return refuse_option(class, key, err);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(config->options[j].key, key))
				return error_set(err, EINVAL, "option '%s' is given twice", key);
	}
	return 0;
}

const char *port_config_get(const struct port_class *class, const struct port_config *config,
			    const char *key)
{
	const struct port_option_def *def;

	for (size_t i = 0; i < config->n_options; i++)
		if (!strcmp(config->options[i].key, key))
			return config->options[i].value;
	def = option_lookup(class, key);
	return def ? def->initial : NULL;
}

int port_config_get_uint(const struct port_class *class, const struct port_config *config,
			 const char *key, unsigned int min, unsigned int max, unsigned int *value,
			 struct error *err)
{
	const char *text = port_config_get(class, config, key);
	unsigned long number;
	char *end;

	if (!text)
		return error_set(err, EINVAL, "option '%s' is missing", key);
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || number < min || number > max)
		return error_set(err, EINVAL, "%s=%s: must be a number from %u to %u", key, text,
				 min, max);
	*value = (unsigned int)number;
	return 0;
}

int port_config_get_bool(const struct port_class *class, const struct port_config *config,
			 const char *key, bool *value, struct error *err)
{
	const char *text = port_config_get(class, config, key);

	if (!text)
		return error_set(err, EINVAL, "option '%s' is missing", key);
	if (strcmp(text, "on") && strcmp(text, "off"))
		return error_set(err, EINVAL, "%s=%s: must be on or off", key, text);
	*value = !strcmp(text, "on");
	return 0;
}

static void free_options(struct port_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((char *)(uintptr_t)options[i].key);
		free((char *)(uintptr_t)options[i].value);
	}
	free(options);
}

int port_set_options(struct port *port, const struct port_config *config)
{
	struct port_option *options = calloc(config->n_options + 1, sizeof(*options));

	if (!options)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_options; i++) {
		options[i].key = strdup(config->options[i].key);
		options[i].value = strdup(config->options[i].value);
		if (!options[i].key || !options[i].value) {
			free_options(options, i + 1);
			return -ENOMEM;
		}
	}
	free_options(port->options, port->n_options);
	port->options = options;
	port->n_options = config->n_options;
	return 0;
}

int port_check_changes(const struct port *port, const struct port_config *config,
		       const char *const *keys, struct error *err)
{
	const struct port_config now = {.options = port->options, .n_options = port->n_options};

	for (const struct port_option_def *def = port->class->options; def && def->name; def++) {
		const char *old = port_config_get(port->class, &now, def->name);
		const char *new = port_config_get(port->class, config, def->name);
		const char *const *key = keys;

		if ((!old && !new) || (old && new && !strcmp(old, new)))
			continue;
		while (*key && strcmp(*key, def->name))
			key++;
		if (!*key)
			return error_set(err, EOPNOTSUPP, "%s= cannot be changed on a running port",
					 def->name);
	}
	return 0;
}

int port_init(struct port *port, const struct port_class *class, struct datapath *dp,
	      const struct port_config *config)
{
	size_t size = sizeof(*port->counters) * (datapath_get_n_workers(dp) + 1);

	memset(port, 0, sizeof(*port));
	port->class = class;
	port->dp = dp;
	strncpy(port->name, config->name, sizeof(port->name) - 1);
	port->link_up = true;
	port->control_deadline_ns = PORT_CONTROL_NEVER;
	if (port_set_options(port, config))
		return -ENOMEM;
	port->counters = aligned_alloc(CACHE_LINE, size);
	if (!port->counters) {
		free_options(port->options, port->n_options);
		return -ENOMEM;
	}
	memset(port->counters, 0, size);
	return 0;
}

void port_uninit(struct port *port)
{
	free_options(port->options, port->n_options);
	free(port->counters);
	port->options = NULL;
	port->n_options = 0;
	port->counters = NULL;
}

void port_add_rxq(struct port *port, struct port_rxq *rxq)
{
	rxq->port = port;
	rxq->index = port->n_rxqs;
	rxq->worker = NULL;
	rxq->owner = frame_pool_new_owner(datapath_get_pool(port->dp));
	port->rxqs[port->n_rxqs++] = rxq;
}

void port_add_txq(struct port *port, struct port_txq *txq)
{
	txq->port = port;
	txq->index = port->n_txqs;
	txq->shared = true;
	spinlock_init(&txq->lock);
	txq->owner = frame_pool_new_owner(datapath_get_pool(port->dp));
	port->txqs[port->n_txqs++] = txq;
}

void port_add_counters(struct port_counters *sum, const struct port_counters *c)
{
	sum->rx_packets += counter_get(&c->rx_packets);
	sum->rx_bytes += counter_get(&c->rx_bytes);
	sum->tx_packets += counter_get(&c->tx_packets);
	sum->tx_bytes += counter_get(&c->tx_bytes);
	sum->copies += counter_get(&c->copies);
	for (int r = 0; r < DROP_N_REASONS; r++)
		sum->drops[r] += counter_get(&c->drops[r]);
}

void port_sum_counters(const struct port *port, struct port_counters *sum)
{
	unsigned int n_slots = datapath_get_n_workers(port->dp) + 1;

	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < n_slots; i++)
		port_add_counters(sum, &port->counters[i]);
	for (int r = 0; r < DROP_N_REASONS; r++)
		sum->drops[r] += counter_get(&port->kernel_drops[r]);
}
