/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/client.h"

#include "ctl/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* An answer may nest deeper than a request, but the daemon is not trusted to end either. */
#define CLIENT_DEPTH_MAX 64
#define CLIENT_READ_SIZE (256u << 10) /* bytes a read asks for at least */
#define CLIENT_ANSWER_SIZE_MAX (UINT64_C(4) << 30)

struct client {
	int fd;
	json_int_t last_id; /* of the last request; ids count up from 1 */
	char *buf; /* what was read and not yet taken; owned */
	size_t used; /* bytes in buf */
	size_t size; /* bytes allocated */
};

/* Says why nobody answers at `path`, and what to do. */
static int explain_connect(int err, const char *rundir, const char *path, struct error *e)
{
	if (err == ENOENT || err == ECONNREFUSED)
		return error_set(e, err,
				 "vswitchd is not running (nobody listens on %s); start it with "
				 "'vswitchd --rundir %s', or name another --rundir",
				 path, rundir);
	if (err == EACCES)
		return error_set(e, err, "%s: permission denied, run as the user who runs vswitchd",
				 path);
	return error_set(e, err, "cannot connect to %s: %s", path, strerror(err));
}

int client_open(const char *rundir, struct client **clientp, struct error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct client *client;
	int err;

	err = protocol_get_socket_path(rundir, address.sun_path, e);
	if (err)
		return err;
	client = calloc(1, sizeof(*client));
	if (!client)
		return error_set(e, ENOMEM, "out of memory");
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0) {
		err = error_set(e, errno, "cannot make a socket: %m");
		goto fail_client;
	}
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		err = explain_connect(errno, rundir, address.sun_path, e);
		goto fail_fd;
	}
	*clientp = client;
	return 0;

fail_fd:
	close(client->fd);
fail_client:
	free(client);
	return err;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	close(client->fd);
	free(client->buf);
	free(client);
}

static int send_all(struct client *client, const char *line, size_t size, struct error *e)
{
	while (size > 0) {
		ssize_t n = send(client->fd, line, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* the daemon may have refused and closed: its words are then waiting to be read */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0)
			return error_set(e, errno, "cannot send to vswitchd: %m");
		line += n;
		size -= (size_t)n;
	}
	return 0;
}

static int send_request(struct client *client, const char *method, json_t *params, struct error *e)
{
	json_t *request = protocol_make_request(++client->last_id, method, params);
	size_t size;
	char *line;
	int err;

	if (!request)
		return error_set(e, ENOMEM, "out of memory for the request");
	line = protocol_format(request, &size);
	json_decref(request);
	if (!line)
		return error_set(e, ENOMEM, "out of memory for the request");
	if (size > PROTOCOL_LINE_SIZE_MAX)
		err = error_set(e, EMSGSIZE, "the request has %zu bytes, vswitchd takes %u", size,
				PROTOCOL_LINE_SIZE_MAX);
	else
		err = send_all(client, line, size, e);
	free(line);
	return err;
}

/* Makes room for CLIENT_READ_SIZE bytes more. */
static int grow(struct client *client, struct error *e)
{
	size_t size;
	char *buf;

	if (client->size - client->used >= CLIENT_READ_SIZE)
		return 0;
	size = MAX(client->size * 2, client->used + CLIENT_READ_SIZE);
	if (size > CLIENT_ANSWER_SIZE_MAX)
		return error_set(e, EPROTO, "vswitchd's answer does not end");
	buf = realloc(client->buf, size);
	if (!buf)
		return error_set(e, ENOMEM, "out of memory for an answer of %zu bytes", size);
	client->buf = buf;
	client->size = size;
	return 0;
}

/* Reads until there is a whole line; stores its length without the newline. */
static int read_line(struct client *client, size_t *length, struct error *e)
{
	size_t searched = 0;

	for (;;) {
		char *end = client->used > searched
				    ? memchr(client->buf + searched, '\n', client->used - searched)
				    : NULL;
		ssize_t n;
		int err;

		if (end) {
			*length = (size_t)(end - client->buf);
			return 0;
		}
		searched = client->used;
		err = grow(client, e);
		if (err)
			return err;
		n = recv(client->fd, client->buf + client->used, client->size - client->used, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, errno, "cannot read from vswitchd: %m");
		if (n == 0)
			return error_set(e, EPIPE,
					 "vswitchd closed the connection without an answer; "
					 "its log may say why");
		client->used += (size_t)n;
	}
}

static int read_answer(struct client *client, json_t **answer, struct error *e)
{
	size_t length = 0;
	int err;

	err = read_line(client, &length, e);
	if (err)
		return err;
	err = protocol_parse(client->buf, length, CLIENT_DEPTH_MAX, answer, e);
	client->used -= length + 1;
	memmove(client->buf, client->buf + length + 1, client->used);
	return err ? error_prefix(e, EPROTO, "vswitchd's answer") : 0;
}

/* The negative errno of that name; refusals that we do not know are -EIO. */
static int parse_errno(const char *name)
{
	for (int err = 1; name && err < 134; err++) {
		const char *known = strerrorname_np(err);

		if (known && strcmp(known, name) == 0)
			return -err;
	}
	return -EIO;
}

/* Turns the daemon's error object into an errno and words. */
static int parse_error(json_t *error, struct error *e)
{
	json_t *data = json_object_get(error, "data");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *name = json_string_value(json_object_get(data, "errno"));

	return error_set(e, parse_errno(name), "%s",
			 message ? message : "refused without a reason");
}

int client_call(struct client *client, const char *method, json_t *params, json_t **result,
		struct error *e)
{
	json_t *answer, *error, *id;
	int err;

	err = send_request(client, method, params, e);
	if (err)
		return err;
	err = read_answer(client, &answer, e);
	if (err)
		return err;

	error = json_object_get(answer, "error");
	id = json_object_get(answer, "id");
	*result = json_object_get(answer, "result");
	if (error)
		err = parse_error(error, e);
	else if (!*result || json_integer_value(id) != client->last_id)
		err = error_set(e, EPROTO, "vswitchd's answer is none: neither result nor error");
	else
		json_incref(*result);
	json_decref(answer);
	return err;
}
