/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/rpc.h"

#include "ctl/protocol.h"
#include "lib/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct rpc_method *rpc_lookup(const struct rpc_method *methods, const char *name)
{
	for (const struct rpc_method *method = methods; method->name; method++) {
		if (strcmp(method->name, name) == 0)
			return method;
	}
	return NULL;
}

/* ---- parameters -------------------------------------------------------------------------------
 */

static const char *const type_names[] = {
	[RPC_STRING] = "a string",    [RPC_UINT] = "a number from 0 to 4294967295",
	[RPC_BOOL] = "true or false", [RPC_OPTIONS] = "an object of strings",
	[RPC_ARRAY] = "an array",
};

static bool options_are_strings(const json_t *value)
{
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return false;
	json_object_foreach((json_t *)value, key, item)
	{
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static bool value_has_type(const json_t *value, enum rpc_type type)
{
	switch (type) {
	case RPC_STRING:
		return json_is_string(value);
	case RPC_UINT:
		return json_is_integer(value) && json_integer_value(value) >= 0 &&
		       json_integer_value(value) <= UINT32_MAX;
	case RPC_BOOL:
		return json_is_boolean(value);
	case RPC_OPTIONS:
		return options_are_strings(value);
	case RPC_ARRAY:
		return json_is_array(value);
	}
	return false;
}

static const struct rpc_param *lookup_param(const struct rpc_method *method, const char *name,
					    struct suggest *suggest)
{
	for (const struct rpc_param *param = method->params; param->name; param++) {
		if (strcmp(param->name, name) == 0)
			return param;
		suggest_offer(suggest, param->name);
	}
	return NULL;
}

int rpc_check_params(const struct rpc_method *method, const json_t *params, const char **paramp,
		     struct error *e)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)params, name, value)
	{
		const struct rpc_param *param;
		struct suggest suggest;
		char hint[80];

		*paramp = name;
		suggest_init(&suggest, name);
		param = lookup_param(method, name, &suggest);
		if (!param)
			return error_set(e, EINVAL, "%s takes no '%.60s'%s", method->name, name,
					 suggest_format(&suggest, hint, sizeof(hint)));
		if (!value_has_type(value, param->type))
			return error_set(e, EINVAL, "%s: '%s' must be %s", method->name, name,
					 type_names[param->type]);
	}
	for (const struct rpc_param *param = method->params; param->name; param++) {
		*paramp = param->name;
		if (param->required && !json_object_get(params, param->name))
			return error_set(e, EINVAL, "%s: '%s' is missing", method->name,
					 param->name);
	}
	return 0;
}

bool rpc_has(const struct rpc_call *call, const char *name)
{
	return json_object_get(call->params, name) != NULL;
}

const char *rpc_get_string(const struct rpc_call *call, const char *name)
{
	return json_string_value(json_object_get(call->params, name));
}

bool rpc_get_bool(const struct rpc_call *call, const char *name)
{
	return json_is_true(json_object_get(call->params, name));
}

uint32_t rpc_get_uint(const struct rpc_call *call, const char *name, uint32_t initial)
{
	const json_t *value = json_object_get(call->params, name);

	return value ? (uint32_t)json_integer_value(value) : initial;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Prints an answer and gives up the reference to it. */
static char *format_answer(json_t *answer, size_t *size)
{
	char *line = answer ? protocol_format(answer, size) : NULL;

	json_decref(answer);
	return line;
}

char *rpc_format_error(int code, const char *message, size_t *answer_size)
{
	return format_answer(protocol_make_error(NULL, code, message, NULL), answer_size);
}

static json_t *refuse(json_t *id, int code, const struct error *e, json_t *data)
{
	/* words of a person may have come along, cut in the middle of a character */
	json_t *answer = protocol_make_error(id, code, e->text, data);

	if (!answer)
		answer = protocol_make_error(id, code, "refused", NULL);
	return answer;
}

/* What the by-side data of a refusal says. */
static json_t *refusal_data(const struct rpc_call *call, int err)
{
	const char *name = strerrorname_np(-err);
	json_t *data = json_pack("{s:s}", "errno", name ? name : "EIO");

	if (data && call->line) {
		json_object_set_new(data, "line", json_integer(call->line));
		json_object_set_new(data, "file", json_string(call->file ? call->file : "-"));
	}
	return data;
}

struct rpc_later *rpc_defer(struct rpc_call *call, struct error *e)
{
	struct rpc_later *later = call->sink ? calloc(1, sizeof(*later)) : NULL;

	if (!later) {
		error_set(e, ENOMEM, "there is nobody to answer to later");
		return NULL;
	}
	later->sink = call->sink;
	later->ticket = call->sink->hold(call->sink->aux);
	later->id = json_incref(call->id);
	later->result = call->result;
	call->is_deferred = true;
	return later;
}

void rpc_finish(struct rpc_later *later, int err, const struct error *e)
{
	const struct rpc_call call = {0};
	json_t *answer;
	char *line = NULL;
	size_t size = 0;

	if (err)
		answer = refuse(later->id, PROTOCOL_REFUSED, e, refusal_data(&call, err));
	else
		answer = protocol_make_result(later->id, json_incref(later->result));
	if (later->id)
		line = format_answer(answer, &size);
	else
		json_decref(answer);
	later->sink->answer(later->sink->aux, later->ticket, line, size);
	json_decref(later->id);
	json_decref(later->result);
	free(later);
}

static json_t *run_method(const struct rpc_method *method, struct vswitch *vswitch,
			  const struct rpc_sink *sink, const json_t *params, json_t *id)
{
	struct rpc_call call = {.vswitch = vswitch, .sink = sink, .id = id, .params = params};
	struct error e = ERROR_INIT;
	const char *param;
	json_t *answer;
	int err;

	if (rpc_check_params(method, params, &param, &e))
		return refuse(id, PROTOCOL_BAD_PARAMS, &e,
			      json_pack("{s:s, s:s}", "errno", "EINVAL", "param", param));
	call.result = json_object();
	if (!call.result) {
		error_set(&e, ENOMEM, "out of memory");
		return refuse(id, PROTOCOL_INTERNAL, &e, NULL);
	}
	err = method->run(&call, &e);
	if (call.is_deferred)
		return NULL;
	if (!err)
		return protocol_make_result(id, call.result);
	if (!e.text[0])
		error_set(&e, err, "%s", strerror(-err));
	answer = refuse(id, PROTOCOL_REFUSED, &e, refusal_data(&call, err));
	json_decref(call.result);
	return answer;
}

/* Is it a JSON-RPC 2.0 request? Returns 0, or -EINVAL with `e` set. */
static int check_request(const json_t *request, struct error *e)
{
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	const json_t *params = json_object_get(request, "params");
	const json_t *id = json_object_get(request, "id");

	if (json_is_array(request))
		return error_set(e, EINVAL, "batches are not supported: one request a line");
	if (!json_is_object(request))
		return error_set(e, EINVAL, "a request is an object");
	if (!version || strcmp(version, "2.0") != 0)
		return error_set(e, EINVAL, "a request has \"jsonrpc\":\"2.0\"");
	if (!json_is_string(json_object_get(request, "method")))
		return error_set(e, EINVAL, "a request has a \"method\", which is a string");
	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return error_set(e, EINVAL, "\"id\" is a string, a number or null");
	if (params && !json_is_object(params))
		return error_set(e, EINVAL, "\"params\" is an object: parameters are by name");
	return 0;
}

static json_t *no_method(const struct rpc_method *methods, const char *name, json_t *id)
{
	struct error e = ERROR_INIT;
	struct suggest suggest;
	char hint[80];

	suggest_init(&suggest, name);
	for (const struct rpc_method *method = methods; method->name; method++)
		suggest_offer(&suggest, method->name);
	error_set(&e, EINVAL, "no method '%.60s'%s", name,
		  suggest_format(&suggest, hint, sizeof(hint)));
	return refuse(id, PROTOCOL_NO_METHOD, &e, NULL);
}

/* The answer to a parsed line; NULL: none is wanted, it comes later, or no memory. */
static json_t *answer_request(const struct rpc_method *methods, struct vswitch *vswitch,
			      const struct rpc_sink *sink, const json_t *request)
{
	json_t *id = json_object_get(request, "id");
	const struct rpc_method *method;
	struct error e = ERROR_INIT;
	const char *name;
	json_t *answer;

	if (check_request(request, &e))
		return refuse(NULL, PROTOCOL_BAD_REQUEST, &e, NULL);
	name = json_string_value(json_object_get(request, "method"));
	method = rpc_lookup(methods, name);
	if (method)
		answer = run_method(method, vswitch, sink, json_object_get(request, "params"),
				    id);
	else
		answer = no_method(methods, name, id);
	if (!id) {
		json_decref(answer);
		answer = NULL;
	}
	return answer;
}

char *rpc_run(const struct rpc_method *methods, struct vswitch *vswitch,
	      const struct rpc_sink *sink, const char *line, size_t size, size_t *answer_size)
{
	struct error e = ERROR_INIT;
	json_t *request, *answer;
	int err;

	err = protocol_parse(line, size, PROTOCOL_DEPTH_MAX, &request, &e);
	if (err)
		return format_answer(refuse(NULL, PROTOCOL_BAD_JSON, &e, NULL), answer_size);
	answer = answer_request(methods, vswitch, sink, request);
	json_decref(request);
	return answer ? format_answer(answer, answer_size) : NULL;
}
