/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vhost_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"

struct vhost_socket {
	struct vhost_socket_config config; /* path points into the next member */
	struct sockaddr_un address;
	struct vhost_dev *dev;
	enum vhost_socket_state state;
	int epoll_fd;
	int listen_fd; /* server, else -1 */
	dev_t file_dev; /* server: the socket file that is ours */
	ino_t file_ino;
	uint64_t delay_ns; /* how long the next wait is */
	uint64_t deadline_ns; /* WAITING: when to try again; CONNECTED: when to read again, or when
			       * the message that began has to be whole */
	uint64_t connected_ns; /* when the connection began */
	uint64_t second_ns; /* when the second began in which messages are counted */
	uint64_t n_messages; /* the device's count at that time */
	uint64_t last_message; /* and when the deadline for a message was set */
	bool is_paused; /* it is not read until the deadline */
	struct error error;
};

static int watch(struct vhost_socket *s, int fd, uint32_t events, int op)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, op, fd, &event) ? -errno : 0;
}

/* ---- waiting ---------------------------------------------------------------------------- */

static void wait_and_retry(struct vhost_socket *s, uint64_t now_ns)
{
	s->state = VHOST_SOCKET_WAITING;
	s->deadline_ns = now_ns + s->delay_ns;
	s->delay_ns = MIN(2 * s->delay_ns, VHOST_SOCKET_RETRY_MAX_NS);
}

/* A new connection is the device's; it is watched. */
static void start_connection(struct vhost_socket *s, int fd, uint64_t now_ns)
{
	struct vhost_dev_status status;
	int ret = watch(s, fd, EPOLLIN, EPOLL_CTL_ADD);

	if (ret) {
		(void)error_set(&s->error, ret, "cannot watch %s: %s", s->config.path,
				strerror(-ret));
		close(fd);
		wait_and_retry(s, now_ns);
		return;
	}
	vhost_dev_get_status(s->dev, &status);
	vhost_dev_attach(s->dev, fd);
	s->state = VHOST_SOCKET_CONNECTED;
	s->connected_ns = now_ns;
	s->second_ns = now_ns;
	s->n_messages = status.n_messages;
	s->is_paused = false;
	s->deadline_ns = VHOST_SOCKET_NEVER;
	(void)error_set(&s->error, EISCONN, "connected at %s", s->config.path);
	log_info_limited("vhost-user %s: connected", s->config.path);
}

/* ---- server ----------------------------------------------------------------------------- */

static void start_listening(struct vhost_socket *s, uint64_t now_ns)
{
	int ret = watch(s, s->listen_fd, EPOLLIN, EPOLL_CTL_ADD);

	if (ret) {
		(void)error_set(&s->error, ret, "cannot watch %s: %s", s->config.path,
				strerror(-ret));
		wait_and_retry(s, now_ns);
		return;
	}
	s->state = VHOST_SOCKET_LISTENING;
	s->deadline_ns = VHOST_SOCKET_NEVER;
	(void)error_set(&s->error, ENOTCONN, "listening at %s", s->config.path);
}

static void accept_connection(struct vhost_socket *s, uint64_t now_ns)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return;
	/* Others wait in the backlog until this one is gone. */
	(void)watch(s, s->listen_fd, 0, EPOLL_CTL_DEL);
	if (fd < 0) {
		(void)error_set(&s->error, errno, "cannot accept at %s: %m", s->config.path);
		wait_and_retry(s, now_ns);
		return;
	}
	start_connection(s, fd, now_ns);
}

/* Removes a socket file that nobody listens at. */
static int remove_stale(const struct vhost_socket *s, struct error *e)
{
	const char *path = s->config.path;
	struct stat st;
	int fd, err;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : error_set(e, errno, "cannot look at %s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, EEXIST, "%s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, errno, "cannot make a socket: %m");
	err = connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)) ? errno : 0;
	close(fd);
	if (err != ECONNREFUSED)
		return error_set(e, EADDRINUSE, "%s is in use by another process", path);
	if (unlink(path) && errno != ENOENT)
		return error_set(e, errno, "cannot remove the stale socket %s: %m", path);
	return 0;
}

static int set_permissions(const struct vhost_socket *s, struct error *e)
{
	const char *path = s->config.path;

	if (s->config.group != (gid_t)-1 && lchown(path, (uid_t)-1, s->config.group))
		return error_set(e, errno, "cannot give %s to group %u: %m", path,
				 (unsigned int)s->config.group);
	if (chmod(path, s->config.access))
		return error_set(e, errno, "cannot set the permissions of %s: %m", path);
	return 0;
}

static int open_server(struct vhost_socket *s, uint64_t now_ns, struct error *e)
{
	struct stat st;
	int ret = remove_stale(s, e);

	if (ret)
		return ret;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return error_set(e, errno, "cannot make a socket: %m");
	/* Nobody else gets in before the permissions are as they should be. */
	if (fchmod(s->listen_fd, 0600) ||
	    bind(s->listen_fd, (const struct sockaddr *)&s->address, sizeof(s->address)))
		return error_set(e, errno, "cannot listen at %s: %m", s->config.path);
	if (lstat(s->config.path, &st) == 0) {
		s->file_dev = st.st_dev;
		s->file_ino = st.st_ino;
	}
	ret = set_permissions(s, e);
	if (ret)
		return ret;
	if (listen(s->listen_fd, 1))
		return error_set(e, errno, "cannot listen at %s: %m", s->config.path);
	start_listening(s, now_ns);
	return 0;
}

/* ---- client ----------------------------------------------------------------------------- */

static void try_connect(struct vhost_socket *s, uint64_t now_ns)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* A UNIX socket connects at once or not at all; EAGAIN is a full backlog. */
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)) == 0) {
		start_connection(s, fd, now_ns);
		return;
	}
	(void)error_set(&s->error, errno, "cannot connect to %s: %m", s->config.path);
	if (fd >= 0)
		close(fd);
	wait_and_retry(s, now_ns);
}

/* ---- life cycle ------------------------------------------------------------------------- */

/* Back to listening or connecting. */
static void try_again(struct vhost_socket *s, uint64_t now_ns)
{
	if (s->config.is_client)
		try_connect(s, now_ns);
	else
		start_listening(s, now_ns);
}

int vhost_socket_open(const struct vhost_socket_config *config, struct vhost_dev *dev,
		      uint64_t now_ns, struct vhost_socket **sp, struct error *e)
{
	struct vhost_socket *s;
	int ret = 0;

	if (!config->path[0] || strlen(config->path) >= sizeof(s->address.sun_path))
		return error_set(
			e, ENAMETOOLONG, "a socket's path has 1 to %zu bytes, this one %zu: %s",
			sizeof(s->address.sun_path) - 1, strlen(config->path), config->path);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(e, ENOMEM, "out of memory");
	s->dev = dev;
	s->config = *config;
	s->listen_fd = -1;
	s->delay_ns = VHOST_SOCKET_RETRY_MIN_NS;
	s->address.sun_family = AF_UNIX;
	strcpy(s->address.sun_path, config->path);
	s->config.path = s->address.sun_path;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		ret = error_set(e, errno, "cannot make an epoll instance: %m");
	if (!ret && watch(s, vhost_dev_get_alarm_fd(dev), EPOLLIN, EPOLL_CTL_ADD))
		ret = error_set(e, errno, "cannot watch an eventfd: %m");
	if (!ret && !config->is_client)
		ret = open_server(s, now_ns, e);
	if (ret) {
		vhost_socket_close(s);
		return ret;
	}
	if (config->is_client)
		try_connect(s, now_ns);
	*sp = s;
	return 0;
}

void vhost_socket_close(struct vhost_socket *s)
{
	struct stat st;

	if (!s)
		return;
	vhost_dev_detach(s->dev);
	if (s->file_ino && lstat(s->config.path, &st) == 0 && st.st_dev == s->file_dev &&
	    st.st_ino == s->file_ino)
		(void)unlink(s->config.path);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}

/* ---- running ---------------------------------------------------------------------------- */

/* The device has hung up, for this reason. */
static void end_connection(struct vhost_socket *s, int reason, uint64_t now_ns)
{
	if (now_ns - s->connected_ns >= VHOST_SOCKET_RETRY_MAX_NS)
		s->delay_ns = VHOST_SOCKET_RETRY_MIN_NS;
	log_info_limited("vhost-user %s: disconnected", s->config.path);
	if (reason == -EPROTO || s->config.is_client) {
		(void)error_set(&s->error, reason, "the connection at %s ended: %s", s->config.path,
				strerror(-reason));
		wait_and_retry(s, now_ns);
	} else {
		s->delay_ns = VHOST_SOCKET_RETRY_MIN_NS;
		start_listening(s, now_ns);
	}
}

/* Stops reading for the rest of this second if the front end sends too much. */
static void limit_messages(struct vhost_socket *s, uint64_t n_messages, uint64_t now_ns)
{
	if (now_ns - s->second_ns >= CLOCK_NS_PER_S) {
		s->second_ns = now_ns;
		s->n_messages = n_messages;
	}
	if (n_messages - s->n_messages < VHOST_SOCKET_MESSAGES_PER_S)
		return;
	if (watch(s, vhost_dev_get_fd(s->dev), 0, EPOLL_CTL_MOD))
		return;
	s->is_paused = true;
	s->deadline_ns = s->second_ns + CLOCK_NS_PER_S;
}

/* Looks after a connection that goes on. */
static void set_deadline(struct vhost_socket *s, uint64_t now_ns)
{
	struct vhost_dev_status status;

	vhost_dev_get_status(s->dev, &status);
	if (!s->is_paused)
		limit_messages(s, status.n_messages, now_ns);
	if (s->is_paused)
		return;
	if (!status.is_mid_message) {
		s->deadline_ns = VHOST_SOCKET_NEVER;
	} else if (s->deadline_ns == VHOST_SOCKET_NEVER || s->last_message != status.n_messages) {
		s->deadline_ns = now_ns + VHOST_SOCKET_MESSAGE_NS;
		s->last_message = status.n_messages;
	}
}

/* What the device said when it was run. */
static void handle_result(struct vhost_socket *s, int result, uint64_t now_ns)
{
	if (s->state != VHOST_SOCKET_CONNECTED)
		return;
	if (result)
		end_connection(s, result, now_ns);
	else
		set_deadline(s, now_ns);
}

static void run_deadline(struct vhost_socket *s, uint64_t now_ns)
{
	s->deadline_ns = VHOST_SOCKET_NEVER;
	if (s->state == VHOST_SOCKET_WAITING) {
		try_again(s, now_ns);
	} else if (s->is_paused) {
		s->is_paused = false;
		(void)watch(s, vhost_dev_get_fd(s->dev), EPOLLIN, EPOLL_CTL_MOD);
	} else {
		handle_result(s, vhost_dev_run_timeout(s->dev), now_ns);
	}
}

void vhost_socket_run(struct vhost_socket *s, uint64_t now_ns)
{
	struct epoll_event events[4];
	int n;

	if (now_ns >= s->deadline_ns)
		run_deadline(s, now_ns);
	n = epoll_wait(s->epoll_fd, events, ARRAY_SIZE(events), 0);
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		/* An event of this round may have closed what the next one is about. */
		if (fd == vhost_dev_get_alarm_fd(s->dev))
			handle_result(s, vhost_dev_run_alarm(s->dev), now_ns);
		else if (fd == s->listen_fd && s->state == VHOST_SOCKET_LISTENING)
			accept_connection(s, now_ns);
		else if (fd == vhost_dev_get_fd(s->dev))
			handle_result(s, vhost_dev_run(s->dev), now_ns);
	}
}

/* ---- what is known ---------------------------------------------------------------------- */

int vhost_socket_get_fd(const struct vhost_socket *s)
{
	return s->epoll_fd;
}

uint64_t vhost_socket_get_deadline(const struct vhost_socket *s)
{
	return s->deadline_ns;
}

enum vhost_socket_state vhost_socket_get_state(const struct vhost_socket *s)
{
	return s->state;
}

const char *vhost_socket_get_text(const struct vhost_socket *s)
{
	return s->error.text;
}
