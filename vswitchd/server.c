/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/server.h"

#include "ctl/protocol.h"
#include "lib/log.h"
#include "vswitchd/rpc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVER_BACKLOG 128
#define SERVER_READ_SIZE                                                                           \
	(256u << 10) /* bytes taken from one client before others get their turn                   \
		      */

struct server_client {
	LIST_ENTRY(server_client) link; /* in server->clients */
	struct server *server;
	struct bufferevent *bev; /* owned, with the socket */
	size_t searched; /* bytes at the front of the input known to hold no newline */
	size_t counted; /* bytes of input that are part of server->input_size */
	uint64_t ticket; /* of the answer that comes later; 0: none is owed */
	bool closing; /* takes no more requests; closed when its answers are written */
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	LIST_HEAD(, server_client) clients;
	unsigned int n_clients;
	struct server_client *running; /* whose request is being run; NULL: none */
	uint64_t last_ticket;
	size_t input_size; /* bytes of unfinished requests, all clients */
	server_run_cb *cb;
	void *aux;
	struct sockaddr_un address; /* of the socket, to remove it */
};

static void client_destroy(struct server_client *client)
{
	struct server *server = client->server;

	LIST_REMOVE(client, link);
	server->n_clients--;
	server->input_size -= client->counted;
	bufferevent_free(client->bev);
	free(client);
	if (server->listener)
		evconnlistener_enable(server->listener);
}

/* Answers with an error and closes, once the answer is written. */
static void client_refuse(struct server_client *client, const char *message)
{
	size_t size;
	char *answer = rpc_format_error(PROTOCOL_BAD_REQUEST, message, &size);

	log_warn_limited("control socket: %s; closing that connection", message);
	client->closing = true;
	bufferevent_disable(client->bev, EV_READ);
	if (answer)
		bufferevent_write(client->bev, answer, size);
	free(answer);
}

/* Brings server->input_size up to date. */
static void client_count_input(struct server_client *client)
{
	size_t size = evbuffer_get_length(bufferevent_get_input(client->bev));

	client->server->input_size += size - client->counted;
	client->counted = size;
}

/* Is an answer still owed, or one waiting that is large enough to wait for? */
static bool client_is_behind(const struct server_client *client)
{
	return client->ticket ||
	       evbuffer_get_length(bufferevent_get_output(client->bev)) > SERVER_OUTPUT_LOW;
}

static void free_answer(const void *data, size_t size, void *aux)
{
	(void)size;
	(void)aux;
	free((void *)(uintptr_t)data);
}

/* Carries out the request in the first `size` bytes of the input, and drops it with its newline. */
static void client_run(struct server_client *client, size_t size)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);
	struct evbuffer *output = bufferevent_get_output(client->bev);
	const char *line = (const char *)evbuffer_pullup(input, (ev_ssize_t)size + 1);
	size_t answer_size;
	char *answer;

	if (!line) {
		client_refuse(client, "out of memory for the request");
		return;
	}
	client->server->running = client;
	answer = client->server->cb(client->server->aux, line,
				    size > 0 && line[size - 1] == '\r' ? size - 1 : size,
				    &answer_size);
	client->server->running = NULL;
	evbuffer_drain(input, size + 1);
	if (answer && evbuffer_add_reference(output, answer, answer_size, free_answer, NULL) < 0)
		free(answer);
}

/* Is the line empty but for blanks? */
static bool line_is_blank(struct evbuffer *input, size_t size)
{
	char text[16];

	return size < sizeof(text) && evbuffer_copyout(input, text, size) == (ev_ssize_t)size &&
	       strspn(memcpy((char[sizeof(text) + 1]){0}, text, size), " \t\r") == size;
}

/* Carries out what requests are whole, until an answer has to wait. */
static void client_work(struct server_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);

	while (!client->closing && !client_is_behind(client)) {
		struct evbuffer_ptr from, newline;
		size_t length = evbuffer_get_length(input);

		if (client->searched >= length)
			break;
		evbuffer_ptr_set(input, &from, client->searched, EVBUFFER_PTR_SET);
		newline = evbuffer_search(input, "\n", 1, &from);
		if (newline.pos < 0) {
			client->searched = length;
			break;
		}
		if ((size_t)newline.pos > PROTOCOL_LINE_SIZE_MAX)
			break;
		client->searched = 0;
		if (line_is_blank(input, (size_t)newline.pos))
			evbuffer_drain(input, (size_t)newline.pos + 1);
		else
			client_run(client, (size_t)newline.pos);
	}
	client_count_input(client);
	if (client->closing)
		return;
	if (evbuffer_get_length(input) > PROTOCOL_LINE_SIZE_MAX && !client_is_behind(client))
		client_refuse(client, "the request is too long");
	else if (client->server->input_size > SERVER_INPUT_SIZE_MAX)
		client_refuse(client, "too many unfinished requests");
	else if (client_is_behind(client))
		bufferevent_disable(client->bev, EV_READ);
	else
		bufferevent_enable(client->bev, EV_READ);
}

static void on_read(struct bufferevent *bev, void *aux)
{
	(void)bev;
	client_work(aux);
}

/* The output has shrunk to SERVER_OUTPUT_LOW, or is empty. */
static void on_write(struct bufferevent *bev, void *aux)
{
	struct server_client *client = aux;

	if (!client->closing) {
		client_work(client);
		return;
	}
	if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		client_destroy(client);
}

static void on_event(struct bufferevent *bev, short what, void *aux)
{
	struct server_client *client = aux;

	if (what & BEV_EVENT_TIMEOUT)
		log_warn("control socket: a client did not read its answer for %d s; closing it",
			 SERVER_STALL_SECONDS);
	/* who only closed its sending half still gets the answers that wait */
	if ((what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
		client->closing = true;
		bufferevent_disable(bev, EV_READ);
		bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
		return;
	}
	client_destroy(client);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int size, void *aux)
{
	const struct timeval stall = {.tv_sec = SERVER_STALL_SECONDS};
	struct server *server = aux;
	struct server_client *client = calloc(1, sizeof(*client));

	(void)address;
	(void)size;
	if (client)
		client->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client || !client->bev) {
		log_error_limited("control socket: out of memory for a client");
		free(client);
		close(fd);
		return;
	}
	client->server = server;
	LIST_INSERT_HEAD(&server->clients, client, link);
	server->n_clients++;
	bufferevent_setcb(client->bev, on_read, on_write, on_event, client);
	bufferevent_setwatermark(client->bev, EV_WRITE, SERVER_OUTPUT_LOW / 2, 0);
	bufferevent_set_timeouts(client->bev, NULL, &stall);
	bufferevent_set_max_single_read(client->bev, SERVER_READ_SIZE);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
	/* further ones wait in the kernel's queue until one leaves */
	if (server->n_clients >= SERVER_CLIENTS_MAX)
		evconnlistener_disable(listener);
}

static void on_accept_error(struct evconnlistener *listener, void *aux)
{
	(void)listener;
	(void)aux;
	log_error_limited("control socket: cannot take a client: %m");
}

/* Binds and listens; the socket is private from its first moment. */
static int open_socket(const struct sockaddr_un *address, struct error *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int err;

	if (fd < 0)
		return error_set(e, errno, "cannot make the control socket: %m");
	if (unlink(address->sun_path) < 0 && errno != ENOENT) {
		err = error_set(e, errno, "cannot remove the old %s: %m", address->sun_path);
		goto fail;
	}
	mask = umask(0177);
	err = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	if (err) {
		error_set(e, err, "cannot make %s: %s", address->sun_path, strerror(-err));
		goto fail;
	}
	if (listen(fd, SERVER_BACKLOG) < 0) {
		err = error_set(e, errno, "cannot listen on %s: %m", address->sun_path);
		goto fail;
	}
	return fd;

fail:
	close(fd);
	return err;
}

int server_create(struct event_base *base, const char *rundir, server_run_cb *cb, void *aux,
		  struct server **serverp, struct error *e)
{
	struct server *server = calloc(1, sizeof(*server));
	int err, fd;

	if (!server)
		return error_set(e, ENOMEM, "out of memory");
	server->base = base;
	server->cb = cb;
	server->aux = aux;
	server->address.sun_family = AF_UNIX;
	LIST_INIT(&server->clients);
	err = protocol_get_socket_path(rundir, server->address.sun_path, e);
	if (err)
		goto fail;
	fd = open_socket(&server->address, e);
	if (fd < 0) {
		err = fd;
		goto fail;
	}
	server->listener = evconnlistener_new(base, on_accept, server,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!server->listener) {
		close(fd);
		err = error_set(e, ENOMEM, "out of memory for the control socket");
		goto fail;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	*serverp = server;
	return 0;

fail:
	free(server);
	return err;
}

uint64_t server_hold(struct server *server)
{
	server->running->ticket = ++server->last_ticket;
	return server->last_ticket;
}

void server_answer(struct server *server, uint64_t ticket, char *answer, size_t size)
{
	struct server_client *client = LIST_FIRST(&server->clients);

	while (client && client->ticket != ticket)
		client = LIST_NEXT(client, link);
	if (!client) {
		free(answer);
		return;
	}
	client->ticket = 0;
	if (answer && evbuffer_add_reference(bufferevent_get_output(client->bev), answer, size,
					     free_answer, NULL) < 0)
		free(answer);
	/* whoever runs its request goes on with the next by itself */
	if (server->running != client)
		client_work(client);
}

void server_drain(struct server *server)
{
	struct server_client *client;

	LIST_FOREACH(client, &server->clients, link)
	{
		struct evbuffer *output = bufferevent_get_output(client->bev);

		bufferevent_disable(client->bev, EV_READ);
		evbuffer_unfreeze(output, 1);
		while (evbuffer_get_length(output) > 0 &&
		       evbuffer_write(output, bufferevent_getfd(client->bev)) > 0)
			continue;
	}
}

void server_destroy(struct server *server)
{
	struct evconnlistener *listener;

	if (!server)
		return;
	listener = server->listener;
	server->listener = NULL;
	evconnlistener_free(listener);
	while (!LIST_EMPTY(&server->clients))
		client_destroy(LIST_FIRST(&server->clients));
	unlink(server->address.sun_path);
	free(server);
}

unsigned int server_get_n_clients(const struct server *server)
{
	return server->n_clients;
}
