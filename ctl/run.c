/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/run.h"

#include "ctl/client.h"
#include "ctl/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int run_print(const struct command_context *context, const struct command *command,
	      const json_t *result, struct error *e)
{
	if (context->json) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		fputc('\n', stdout);
	} else if (command->print) {
		command->print(stdout, result);
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		return error_set(e, EIO, "cannot write to standard output: %m");
	return 0;
}

int run_command(const struct command_context *context, const struct command *command,
		json_t *params, struct error *e)
{
	struct client *client;
	json_t *result;
	int err;

	if (command->run)
		return command->run(context, params, e);
	err = client_open(context->rundir, &client, e);
	if (err) {
		json_decref(params);
		return err;
	}
	err = client_call(client, command->name, params, &result, e);
	client_close(client);
	if (err)
		return err;
	err = run_print(context, command, result, e);
	json_decref(result);
	return err;
}

/* ---- drops ------------------------------------------------------------------------------------
 */

/* The packets that `before` had dropped at this port for this reason. */
static json_int_t packets_before(const json_t *before, const json_t *drop)
{
	json_t *old;
	size_t i;

	json_array_foreach(json_object_get(before, "drops"), i, old)
	{
		if (json_equal(json_object_get(old, "port"), json_object_get(drop, "port")) &&
		    json_equal(json_object_get(old, "reason"), json_object_get(drop, "reason")))
			return json_integer_value(json_object_get(old, "packets"));
	}
	return 0;
}

/* What was dropped between two answers, in the shape of an answer without totals. */
static json_t *drops_between(const json_t *before, const json_t *after)
{
	json_t *drops = json_array(), *drop;
	size_t i;

	json_array_foreach(json_object_get(after, "drops"), i, drop)
	{
		json_int_t packets = json_integer_value(json_object_get(drop, "packets"));
		json_int_t old = packets_before(before, drop);
		json_t *copy;

		if (packets <= old)
			continue;
		copy = json_copy(drop);
		json_object_set_new(copy, "packets", json_integer(packets - old));
		json_array_append_new(drops, copy);
	}
	return json_pack("{s:o}", "drops", drops);
}

/* Prints what is dropped, each second, until someone stops us. */
static int run_live(const struct command_context *context, const struct command *command,
		    struct client *client, json_t *before, struct error *e)
{
	int err = 0;

	while (!err) {
		json_t *after, *between;

		sleep(1);
		err = client_call(client, command->name, NULL, &after, e);
		if (err)
			break;
		between = drops_between(before, after);
		if (json_array_size(json_object_get(between, "drops")) > 0)
			err = run_print(context, command, between, e);
		json_decref(between);
		json_decref(before);
		before = after;
	}
	json_decref(before);
	return err;
}

int run_drops(const struct command_context *context, json_t *params, struct error *e)
{
	const struct command *command = command_lookup("drops", e);
	bool live = json_is_true(json_object_get(params, "live"));
	struct client *client;
	json_t *result;
	int err;

	json_decref(params);
	err = client_open(context->rundir, &client, e);
	if (err)
		return err;
	err = client_call(client, command->name, NULL, &result, e);
	if (!err && live) {
		err = run_live(context, command, client, result, e);
	} else if (!err) {
		err = run_print(context, command, result, e);
		json_decref(result);
	}
	client_close(client);
	return err;
}

/* ---- apply ------------------------------------------------------------------------------------
 */

int run_apply(const struct command_context *context, json_t *params, struct error *e)
{
	const struct command *command = command_lookup("apply", e);
	const char *file = json_string_value(json_object_get(params, "file"));
	struct client *client;
	json_t *commands, *result;
	char *text;
	size_t size;
	int err;

	err = command_read_file(file, &text, &size, e);
	if (err)
		goto out;
	err = script_parse(text, size, file, &commands, e);
	free(text);
	if (err)
		goto out;
	json_object_set_new(params, "commands", commands);
	err = client_open(context->rundir, &client, e);
	if (err)
		goto out;
	err = client_call(client, command->name, json_incref(params), &result, e);
	client_close(client);
	if (!err) {
		err = run_print(context, command, result, e);
		json_decref(result);
	}

out:
	json_decref(params);
	return err;
}

/* ---- vm-check ---------------------------------------------------------------------------------
 */

int run_vm_check(const struct command_context *context, json_t *params, struct error *e)
{
	const struct command *command = command_lookup("vm-check", e);
	struct client *client;
	json_int_t problems;
	json_t *result;
	int err;

	err = client_open(context->rundir, &client, e);
	if (err) {
		json_decref(params);
		return err;
	}
	err = client_call(client, command->name, params, &result, e);
	client_close(client);
	if (err)
		return err;
	err = run_print(context, command, result, e);
	problems = json_integer_value(json_object_get(result, "problems"));
	if (!err && problems > 0)
		err = error_set(e, EIO, "domain %s: %lld %s",
				json_string_value(json_object_get(result, "domain")),
				(long long)problems, problems == 1 ? "problem" : "problems");
	json_decref(result);
	return err;
}
