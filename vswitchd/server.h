/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_SERVER_H
#define VSWITCHD_SERVER_H

/*
 * The control socket
 * ==================
 *
 * Listens on RUNDIR/control.sock (mode 0600) and serves any number of clients up to
 * SERVER_CLIENTS_MAX from the event loop. Each connection is a buffer in and a buffer out; a
 * request is carried out when its newline has come, and the next one of the same connection when
 * its answer has been written down to SERVER_OUTPUT_LOW.
 *
 * Nobody can hold the daemon up: it never blocks on a client. A client that does not read its
 * answers is not read from either (so at most one answer waits for it) and is closed after
 * SERVER_STALL_SECONDS without progress. A client that sends nothing costs a descriptor. Unfinished
 * requests of all clients together may take SERVER_INPUT_SIZE_MAX; the one that goes beyond is
 * answered with an error and closed, as is a line longer than PROTOCOL_LINE_SIZE_MAX.
 *
 * What a line means is not the server's business: it hands it to a callback and sends what that
 * returns. A callback whose answer takes time calls server_hold(), returns NULL and gives the
 * answer to server_answer() when it has it; that connection, and no other, waits so long.
 *
 * Life cycle: server_create() binds and listens, server_destroy() closes all clients, unsent
 * answers with them, and removes the socket. server_drain() gives answers that wait a last chance.
 *
 * Thread-safety: the control thread.
 */

#include "lib/error.h"
#include "lib/util.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct server;

#define SERVER_CLIENTS_MAX 256
#define SERVER_INPUT_SIZE_MAX (256u << 20) /* bytes */
#define SERVER_OUTPUT_LOW (64u << 10) /* bytes */
#define SERVER_STALL_SECONDS 60

/*
 * Carries out the request in `line`, of `size` bytes, without its newline. Returns the answer
 * (malloc) and its size, or NULL for none.
 */
typedef char *server_run_cb(void *aux, const char *line, size_t size, size_t *answer_size);

/*
 * Starts to serve. A socket that a daemon before left behind is replaced: the caller holds the
 * rundir's lock. Returns 0 or a negative errno with `e` set.
 */
int server_create(struct event_base *base, const char *rundir, server_run_cb *cb, void *aux,
		  struct server **serverp, struct error *e) WARN_UNUSED;

/* NULL is allowed. */
void server_destroy(struct server *server);

/* Within the callback: its answer comes later. Returns the ticket to give it with; never 0. */
uint64_t server_hold(struct server *server);
/* The answer of a ticket, once; takes it (malloc, NULL: none) over. The client may be gone. */
void server_answer(struct server *server, uint64_t ticket, char *answer, size_t size);

/* Takes no new clients or requests and writes what it can of waiting answers, without blocking for
 * long. */
void server_drain(struct server *server);

/* Clients connected now. */
unsigned int server_get_n_clients(const struct server *server);

#endif
