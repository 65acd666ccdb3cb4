/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *protocol_get_rundir(const char *option)
{
	const char *rundir = option;

	if (!rundir || !rundir[0])
		rundir = getenv(PROTOCOL_RUNDIR_ENV);
	if (!rundir || !rundir[0])
		rundir = PROTOCOL_RUNDIR_DEFAULT;
	return rundir;
}

int protocol_get_socket_path(const char *rundir, char path[PROTOCOL_PATH_SIZE], struct error *e)
{
	int length = snprintf(path, PROTOCOL_PATH_SIZE, "%s/%s", rundir, PROTOCOL_SOCKET_NAME);

	if (length < 0 || length >= PROTOCOL_PATH_SIZE)
		return error_set(e, ENAMETOOLONG,
				 "%s/%s: the path of a Unix socket has at most %d bytes, choose a "
				 "shorter --rundir",
				 rundir, PROTOCOL_SOCKET_NAME, PROTOCOL_PATH_SIZE - 1);
	return 0;
}

/* Does the line nest arrays and objects at most `depth_max` deep? jansson recurses into each level.
 */
static bool depth_fits(const char *line, size_t size, unsigned int depth_max)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char c = line[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > depth_max)
				return false;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return true;
}

int protocol_parse(const char *line, size_t size, unsigned int depth_max, json_t **message,
		   struct error *e)
{
	json_error_t why;

	if (!depth_fits(line, size, depth_max))
		return error_set(e, E2BIG, "more than %u arrays and objects inside each other",
				 depth_max);
	*message = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
	if (*message)
		return 0;
	if (json_error_code(&why) == json_error_out_of_memory)
		return error_set(e, ENOMEM, "out of memory for a message of %zu bytes", size);
	return error_set(e, EINVAL, "not JSON at byte %d: %s", why.position, why.text);
}

char *protocol_format(const json_t *message, size_t *size)
{
	const size_t flags = JSON_COMPACT;
	char *line = json_dumps(message, flags);
	size_t length;
	char *grown;

	if (!line)
		return NULL;
	length = strlen(line);
	grown = realloc(line, length + 2);
	if (!grown) {
		free(line);
		return NULL;
	}
	grown[length] = '\n';
	grown[length + 1] = '\0';
	*size = length + 1;
	return grown;
}

json_t *protocol_make_request(json_int_t id, const char *method, json_t *params)
{
	return json_pack("{s:s, s:I, s:s, s:o*}", "jsonrpc", "2.0", "id", id, "method", method,
			 "params", params);
}

static json_t *id_or_null(json_t *id)
{
	return id ? json_incref(id) : json_null();
}

json_t *protocol_make_result(json_t *id, json_t *result)
{
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "id", id_or_null(id), "result",
			 result);
}

json_t *protocol_make_error(json_t *id, int code, const char *message, json_t *data)
{
	return json_pack("{s:s, s:o, s:{s:i, s:s, s:o*}}", "jsonrpc", "2.0", "id", id_or_null(id),
			 "error", "code", code, "message", message, "data", data);
}
