/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/vswitch.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/suggest.h"
#include "openflow/xlate.h"
#include "vswitchd/vswitch_priv.h"
#include "vswitchd/vswitch_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int vswitch_create(const struct vswitch_options *options, struct vswitch **vsp, struct error *e)
{
	struct datapath_config datapath = options->datapath;
	struct vswitch *vs = calloc(1, sizeof(*vs));
	int err;

	if (!vs)
		return error_set(e, ENOMEM, "out of memory");
	vs->rundir = options->rundir;
	vs->statedir = options->statedir;
	vs->started_ns = clock_now();
	err = vswitch_init_initial(&vs->initial, e);
	if (err)
		goto fail;
	err = store_open(options->statedir, &vs->store, e);
	if (err)
		goto fail_initial;
	err = bridge_table_create(&vs->bridges, e);
	if (err)
		goto fail_store;
	datapath.pipeline = &xlate_pipeline;
	datapath.pipeline_aux = vs->bridges;
	err = datapath_create(&datapath, &vs->dp, e);
	if (err)
		goto fail_bridges;
	bridge_table_set_datapath(vs->bridges, vs->dp);
	*vsp = vs;
	return 0;

fail_bridges:
	bridge_table_destroy(vs->bridges);
fail_store:
	store_close(vs->store);
fail_initial:
	free(vs->initial.text);
fail:
	free(vs);
	return err;
}

void vswitch_destroy(struct vswitch *vs)
{
	if (!vs)
		return;
	while (vs->n_ports > 0)
		vswitch_remove_port(vs, vs->ports[vs->n_ports - 1]);
	free(vs->ports);
	bridge_table_set_datapath(vs->bridges, NULL);
	datapath_destroy(vs->dp);
	bridge_table_destroy(vs->bridges);
	store_close(vs->store);
	config_uninit(&vs->config);
	free(vs->initial.text);
	free(vs);
}

int vswitch_start(struct vswitch *vs, struct error *e)
{
	struct config wanted;
	int err;

	err = store_load(vs->store, &wanted, e);
	if (err)
		return err;
	vs->n_changing++;
	vswitch_restore(vs, &wanted);
	datapath_adopt_tier0(vs->dp);
	vs->n_changing--;
	log_info("%zu bridges and %zu ports from %s", vs->config.n_bridges, vs->n_ports,
		 store_get_path(vs->store));
	return 0;
}

void vswitch_run(struct vswitch *vs)
{
	uint64_t now = clock_now();

	datapath_sweep(vs->dp, VSWITCH_FLOW_IDLE_SECONDS * CLOCK_NS_PER_S);
	vswitch_expire(vs, now);
	vswitch_refresh_ports(vs, now);
	store_tidy(vs->store);
}

int vswitch_get_config(struct vswitch *vs, struct config *config, struct error *e)
{
	int err = config_clone(config, &vs->config);

	if (err)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < config->n_bridges && !err; i++)
		err = vswitch_get_rules(vs, &config->bridges[i], e);
	if (err)
		config_uninit(config);
	return err;
}

struct config_bridge *vswitch_lookup_bridge(struct config *config, const char *name,
					    struct error *e)
{
	struct config_bridge *bridge = config_lookup_bridge(config, name);
	struct suggest suggest;
	char hint[80];

	if (bridge)
		return bridge;
	suggest_init(&suggest, name);
	for (size_t i = 0; i < config->n_bridges; i++)
		suggest_offer(&suggest, config->bridges[i].name);
	error_set(e, ENOENT, "no bridge '%.60s'%s", name,
		  suggest_format(&suggest, hint, sizeof(hint)));
	return NULL;
}

struct config_port *vswitch_lookup_port(struct config_bridge *bridge, const char *name,
					struct error *e)
{
	struct config_port *port = config_lookup_port(NULL, bridge, name, NULL);
	struct suggest suggest;
	char hint[80];

	if (port)
		return port;
	suggest_init(&suggest, name);
	for (size_t i = 0; i < bridge->n_ports; i++)
		suggest_offer(&suggest, bridge->ports[i].name);
	error_set(e, ENOENT, "bridge %s has no port '%.60s'%s", bridge->name, name,
		  suggest_format(&suggest, hint, sizeof(hint)));
	return NULL;
}
