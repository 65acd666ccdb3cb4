/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_METHODS_H
#define VSWITCHD_METHODS_H

/*
 * What the daemon can be asked
 * ============================
 *
 * The table of methods (rpc.h) and their functions: methods_config.c holds those that change the
 * configuration, methods_rules.c those about rules, MAC tables and cached flows, methods_vm.c and
 * methods_check.c those that need libvirt, methods_show.c those that tell about ports, drops,
 * workers and the daemon.
 *
 * A method that says how things shall be has two halves: an edit, which changes a config value and
 * nothing else, and vswitch_change(), which makes it so. `apply` runs the edits of a whole script
 * on an empty config, and changes once.
 *
 * Thread-safety: the control thread.
 */

#include "vswitchd/rpc.h"
#include "vswitchd/vswitch.h"

extern const struct rpc_method methods[];

/* Sets a member of an object; a lack of memory shows as a missing member. Takes `value` over. */
static inline void methods_set(json_t *object, const char *name, json_t *value)
{
	(void)!json_object_set_new(object, name, value);
}

/* The bridge that the call's parameter "bridge" names, in the present config; NULL with `e` set. */
struct config_bridge *methods_get_bridge(const struct rpc_call *call, struct error *e);

/* ---- methods_config.c ---- */
/* Sets options from an object of strings; an empty string takes an option away. Returns 0, -EINVAL
 * or -ENOMEM with `e` set. */
int methods_edit_options(struct config_options *options, const json_t *object,
			 struct error *e) WARN_UNUSED;
int method_add_br(struct rpc_call *call, struct error *e);
int method_del_br(struct rpc_call *call, struct error *e);
int method_set_br(struct rpc_call *call, struct error *e);
int method_add_port(struct rpc_call *call, struct error *e);
int method_del_port(struct rpc_call *call, struct error *e);
int method_set_port(struct rpc_call *call, struct error *e);
int method_attach_container(struct rpc_call *call, struct error *e);
int method_detach_container(struct rpc_call *call, struct error *e);
int method_fdb_add(struct rpc_call *call, struct error *e);
int method_fdb_del(struct rpc_call *call, struct error *e);
int method_export(struct rpc_call *call, struct error *e);
int method_apply(struct rpc_call *call, struct error *e);

/* ---- methods_vm.c ---- */
int method_attach_vm(struct rpc_call *call, struct error *e);
int method_detach_vm(struct rpc_call *call, struct error *e);
int method_list_vms(struct rpc_call *call, struct error *e);

/* ---- methods_check.c ---- */
int method_vm_check(struct rpc_call *call, struct error *e);

/* ---- methods_rules.c ---- */
int method_add_flow(struct rpc_call *call, struct error *e);
int method_add_flows(struct rpc_call *call, struct error *e);
int method_replace_flows(struct rpc_call *call, struct error *e);
int method_mod_flows(struct rpc_call *call, struct error *e);
int method_del_flows(struct rpc_call *call, struct error *e);
int method_dump_flows(struct rpc_call *call, struct error *e);
int method_diff_flows(struct rpc_call *call, struct error *e);
int method_dump_tables(struct rpc_call *call, struct error *e);
int method_dump_cache(struct rpc_call *call, struct error *e);
int method_trace(struct rpc_call *call, struct error *e);
int method_fdb_show(struct rpc_call *call, struct error *e);
int method_fdb_flush(struct rpc_call *call, struct error *e);

/* ---- methods_show.c ---- */
/* The connection to libvirt, new object. */
json_t *methods_describe_libvirt(const struct libvirt *lv);
int method_version(struct rpc_call *call, struct error *e);
int method_show(struct rpc_call *call, struct error *e);
int method_list_br(struct rpc_call *call, struct error *e);
int method_list_ports(struct rpc_call *call, struct error *e);
int method_list_types(struct rpc_call *call, struct error *e);
int method_dump_ports(struct rpc_call *call, struct error *e);
int method_drops(struct rpc_call *call, struct error *e);
int method_workers(struct rpc_call *call, struct error *e);
int method_mem(struct rpc_call *call, struct error *e);

#endif
