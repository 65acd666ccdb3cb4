/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

/*
 * A connection to the daemon
 * ==========================
 *
 * The client's half of the control protocol (protocol.h): connect, send one request, wait for its
 *answer. Blocking, one request at a time.
 *
 *	struct client *client;
 *	json_t *result;
 *
 *	err = client_open(rundir, &client, &e);
 *	err = client_call(client, "list-br", NULL, &result, &e);
 *	...
 *	json_decref(result);
 *	client_close(client);
 *
 * What the daemon refuses comes back as a negative errno and the daemon's own words; what it
 * says by the side (file and line of a script) is already part of the words.
 *
 * Thread-safety: a client belongs to one thread.
 */

#include "lib/error.h"

#include <jansson.h>

struct client;

/*
 * Connects to the daemon of `rundir`. Returns 0, or a negative errno with `e` set: -ENOENT and
 * -ECONNREFUSED when no daemon runs there (`e` then says how to start one), -EACCES.
 */
int client_open(const char *rundir, struct client **clientp, struct error *e) WARN_UNUSED;

/* Closes the connection and frees the client; NULL is allowed. */
void client_close(struct client *client);

/*
 * Carries out `method`; takes over the reference to `params` (NULL: none). On success stores a new
 * reference in *result. Returns 0 or a negative errno with `e` set: the daemon's refusal, or -EPIPE
 * when it went away, or -EPROTO when it answers what is no answer.
 */
int client_call(struct client *client, const char *method, json_t *params, json_t **result,
		struct error *e) WARN_UNUSED;

#endif
