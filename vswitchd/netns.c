/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/netns.h"

#include "lib/nlerr.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_pid(const char *netns)
{
	return *netns && strspn(netns, "0123456789") == strlen(netns);
}

const char *netns_format(const char *netns)
{
	static const char *const folders[] = {NETNS_DIR "/", "/var/run/netns/"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		size_t size = strlen(folders[i]);

		if (strncmp(netns, folders[i], size) == 0 && netns[size] &&
		    !strchr(netns + size, '/') && !is_pid(netns + size))
			return netns + size;
	}
	return netns;
}

/* Write the path of the namespace's file into `path`. Returns 0 or -EINVAL. */
static int make_path(const char *netns, char *path, size_t size, struct error *e)
{
	int length;

	if (is_pid(netns))
		length = snprintf(path, size, "/proc/%s/ns/net", netns);
	else if (netns[0] == '/')
		length = snprintf(path, size, "%s", netns);
	else if (!*netns || strchr(netns, '/') || netns[0] == '.')
		return error_set(e, EINVAL,
				 "'%s' is not a namespace: give a name in " NETNS_DIR
				 ", a path or a process id",
				 netns);
	else
		length = snprintf(path, size, NETNS_DIR "/%s", netns);
	if (length < 0 || (size_t)length >= size)
		return error_set(e, EINVAL, "the name of the namespace is too long");
	return 0;
}

/* Returns 0 if the open file is a network namespace and not the one we are in. */
static int check_namespace(int fd, const char *path, struct error *e)
{
	struct stat theirs, ours;

	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(e, EINVAL, "%s is not a network namespace", path);
	if (fstat(fd, &theirs) < 0 || stat("/proc/thread-self/ns/net", &ours) < 0)
		return error_set(e, errno, "cannot look at namespace %s: %m", path);
	if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
		return error_set(e, EINVAL, "%s is the switch's own namespace", path);
	return 0;
}

int netns_open(const char *netns, struct error *e)
{
	char path[4096];
	int fd, err;

	err = make_path(netns, path, sizeof(path), e);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT && is_pid(netns))
		return error_set(e, ENOENT, "there is no process %s", netns);
	if (fd < 0 && errno == ENOENT)
		return error_set(e, ENOENT, "there is no namespace %s", path);
	if (fd < 0)
		return error_set(e, errno, "cannot open namespace %s: %m", path);
	err = check_namespace(fd, path, e);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* What the helper thread is to do, and what came of it. */
struct visit {
	int fd;
	int (*run)(void *aux);
	void *aux;
	int entered; /* negative errno of setns(), or 0 */
	int result; /* of run */
};

static void *visit_main(void *arg)
{
	struct visit *v = arg;

	if (setns(v->fd, CLONE_NEWNET) < 0)
		v->entered = -errno;
	else
		v->result = v->run(v->aux);
	return NULL;
}

int netns_run(int fd, int (*run)(void *aux), void *aux, struct error *e)
{
	struct visit v = {.fd = fd, .run = run, .aux = aux};
	pthread_t thread;
	int err;

	err = pthread_create(&thread, NULL, visit_main, &v);
	if (err)
		return error_set(e, err, "cannot start a thread to enter the namespace: %s",
				 strerror(err));
	pthread_join(thread, NULL);
	if (v.entered)
		return error_set(e, v.entered, "cannot enter the namespace: %s",
				 strerror(-v.entered));
	return v.result;
}

static int connect_socket(void *aux)
{
	return nlerr_errno(nl_connect(aux, NETLINK_ROUTE));
}

int netns_connect(int fd, struct nl_sock **sock, struct error *e)
{
	struct error inner = ERROR_INIT;
	int err;

	*sock = nl_socket_alloc();
	if (!*sock)
		return error_set(e, ENOMEM, "out of memory");
	if (fd < 0)
		err = connect_socket(*sock);
	else
		err = netns_run(fd, connect_socket, *sock, &inner);
	if (err) {
		nl_socket_free(*sock);
		*sock = NULL;
		return error_set(e, err, "cannot open a netlink socket: %s",
				 inner.text[0] ? inner.text : strerror(-err));
	}
	return 0;
}
