/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_PROTOCOL_H
#define CTL_PROTOCOL_H

/*
 * How vswitchctl and other programs speak to vswitchd
 * ===================================================
 *
 * The daemon listens on the Unix stream socket RUNDIR/control.sock, mode 0600: who may connect may
 * do everything. Both directions carry JSON-RPC 2.0 messages, one a line: a message is UTF-8 JSON
 * without a newline in it, ended by one newline (NDJSON). Empty lines are skipped.
 *
 *	-> {"jsonrpc":"2.0","id":1,"method":"add-br","params":{"bridge":"br0"}}
 *	<- {"jsonrpc":"2.0","id":1,"result":{}}
 *	-> {"jsonrpc":"2.0","id":2,"method":"add-br","params":{"bridge":"br0"}}
 *	<- {"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"bridge br0 exists already",
 *	    "data":{"errno":"EEXIST"}}}
 *
 * Methods are named as vswitchctl's commands; parameters are always by name, in an object, which
 *may be left out when empty. `id` is a number, a string or null, and comes back in the answer; a
 *request without `id` is carried out and gets no answer. Requests of one connection are answered in
 *order, one after the other; batches (arrays of requests) are refused. The connection stays open
 *until the client closes it.
 *
 * An error's `code` is one of enum protocol_code, its `message` one line for people. `data`, where
 *present, holds `errno` (a name such as "EEXIST"), `param` (the parameter at fault) or `file` and
 *`line` (the place in a script at fault).
 *
 * What is not a request gets an answer with `id` null. After an error of framing (a line longer
 *than PROTOCOL_LINE_SIZE_MAX) the daemon answers and closes the connection, since it cannot know
 *where the next message starts.
 *
 * 64-bit counters are JSON integers; cookies and MAC addresses are strings.
 *
 * This file is the half that both sides share: limits, codes, parsing and printing of a line. The
 * client's half is client.h, the daemon's vswitchd/server.h.
 *
 * Thread-safety: no shared state.
 */

#include "lib/error.h"

#include <jansson.h>
#include <stddef.h>

#define PROTOCOL_RUNDIR_DEFAULT "/run/vswitch"
#define PROTOCOL_RUNDIR_ENV "VSWITCH_RUNDIR"
#define PROTOCOL_SOCKET_NAME "control.sock"

#define PROTOCOL_LINE_SIZE_MAX (64u << 20) /* bytes of a request, a script of a million rules */
#define PROTOCOL_DEPTH_MAX 16 /* arrays and objects inside each other, in a request */
#define PROTOCOL_PATH_SIZE 108 /* bytes of a Unix socket's path with the NUL, unix(7) */

enum protocol_code {
	PROTOCOL_REFUSED = -32000, /* a valid request that cannot be carried out; see data.errno */
	PROTOCOL_BAD_JSON = -32700, /* the line is not JSON */
	PROTOCOL_BAD_REQUEST = -32600, /* the JSON is not a request */
	PROTOCOL_NO_METHOD = -32601, /* no method of this name */
	PROTOCOL_BAD_PARAMS = -32602, /* a parameter is missing, unknown or of the wrong type */
	PROTOCOL_INTERNAL = -32603, /* out of memory and the like */
};

/*
 * The directory that holds the socket: `option` (of --rundir) if not NULL, else the environment's
 * VSWITCH_RUNDIR, else the default.
 */
const char *protocol_get_rundir(const char *option);

/* Writes RUNDIR/control.sock. Returns 0, or -ENAMETOOLONG with `e` set. */
int protocol_get_socket_path(const char *rundir, char path[PROTOCOL_PATH_SIZE],
			     struct error *e) WARN_UNUSED;

/*
 * Parses one line (without its newline) into a new reference. Doubled keys, NUL characters in
 * strings and nesting beyond `depth_max` are refused. Returns 0, -EINVAL, -E2BIG (nesting) or
 * -ENOMEM, with `e` set.
 */
int protocol_parse(const char *line, size_t size, unsigned int depth_max, json_t **message,
		   struct error *e) WARN_UNUSED;

/* Prints a message as one line with its newline; the caller frees it. NULL: no memory. */
char *protocol_format(const json_t *message, size_t *size);

/* A request; takes over the reference to `params`, which may be NULL. NULL: no memory. */
json_t *protocol_make_request(json_int_t id, const char *method, json_t *params);

/* An answer; `id` is borrowed (NULL: null), the reference to `result` is taken over. */
json_t *protocol_make_result(json_t *id, json_t *result);

/* A refusal; `id` is borrowed (NULL: null), the reference to `data` (may be NULL) is taken over. */
json_t *protocol_make_error(json_t *id, int code, const char *message, json_t *data);

#endif
