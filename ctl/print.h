/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

/*
 * What commands print for people
 * ==============================
 *
 * One function for each shape of answer, named after the command; command_table.c refers to them.
 * An answer comes from the daemon, which may be of another version: what is missing prints as
 * nothing or 0.
 *
 * Text is for reading and may change; programs use --json.
 *
 * Thread-safety: no shared state.
 */

#include <jansson.h>
#include <stdio.h>

/* ---- print_config.c ---- */
void print_show(FILE *out, const json_t *result);
void print_list_br(FILE *out, const json_t *result);
void print_list_ports(FILE *out, const json_t *result);
void print_list_types(FILE *out, const json_t *result);
void print_attach_container(FILE *out, const json_t *result);
void print_export(FILE *out, const json_t *result);
void print_apply(FILE *out, const json_t *result);
void print_version(FILE *out, const json_t *result);

/* ---- print_vm.c ---- */
/* One line about the daemon's connection to libvirt; nothing if it does without (NULL). */
void print_libvirt(FILE *out, const json_t *libvirt);
void print_attach_vm(FILE *out, const json_t *result);
void print_detach_vm(FILE *out, const json_t *result);
void print_list_vms(FILE *out, const json_t *result);
void print_vm_check(FILE *out, const json_t *result);

/* ---- print_rules.c ---- */
void print_dump_flows(FILE *out, const json_t *result);
void print_diff_flows(FILE *out, const json_t *result);
void print_dump_tables(FILE *out, const json_t *result);
void print_dump_cache(FILE *out, const json_t *result);
void print_trace(FILE *out, const json_t *result);
void print_fdb_show(FILE *out, const json_t *result);

/* ---- print_counters.c ---- */
void print_dump_ports(FILE *out, const json_t *result);
void print_drops(FILE *out, const json_t *result);
void print_workers(FILE *out, const json_t *result);
void print_mem(FILE *out, const json_t *result);

/* The members of an answer: "" and 0 where there is none. */
static inline const char *print_get_string(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static inline long long print_get_integer(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

#endif
