/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/daemon.h"

#include "datapath/port.h"
#include "lib/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* What the child writes when all is well; anything else is the reason why not. */
#define READY_TEXT "ready"

/* ---- background -------------------------------------------------------------------------------
 */

/* The parent: waits for the child's word and leaves with it. */
static void NORETURN wait_for_child(int fd)
{
	char text[ERROR_TEXT_SIZE + 1];
	size_t used = 0;
	ssize_t n;

	do {
		n = read(fd, text + used, sizeof(text) - 1 - used);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	text[used] = '\0';
	if (strcmp(text, READY_TEXT) == 0)
		_exit(EXIT_SUCCESS);
	fprintf(stderr, "vswitchd: %s\n", used ? text : "ended before it was ready, see its log");
	fflush(stderr);
	_exit(EXIT_FAILURE);
}

int daemon_fork(struct daemon *daemon, struct error *e)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(e, errno, "cannot make a pipe: %m");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return error_set(e, errno, "cannot go into the background: %m");
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for_child(fds[0]);
	}
	close(fds[0]);
	daemon->parent_fd = fds[1];
	if (setsid() < 0 || chdir("/") < 0)
		return error_set(e, errno, "cannot go into the background: %m");
	return 0;
}

/* Tells the parent, which then leaves. */
static void tell_parent(struct daemon *daemon, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t n = write(daemon->parent_fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* it was killed: nobody is there to be told */
		text += n;
		length -= (size_t)n;
	}
	close(daemon->parent_fd);
	daemon->parent_fd = -1;
}

static void close_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

void daemon_report_ready(struct daemon *daemon)
{
#ifdef HAVE_LIBSYSTEMD
	sd_notifyf(0, "READY=1\nMAINPID=%lu", (unsigned long)getpid());
#endif
	if (daemon->parent_fd < 0)
		return;
	tell_parent(daemon, READY_TEXT);
	close_terminal();
}

void daemon_report_failure(struct daemon *daemon, const char *text)
{
	if (daemon->parent_fd >= 0)
		tell_parent(daemon, text);
	else
		fprintf(stderr, "vswitchd: %s\n", text);
}

void daemon_report_stopping(void)
{
#ifdef HAVE_LIBSYSTEMD
	sd_notify(0, "STOPPING=1");
#endif
}

/* ---- the only one -----------------------------------------------------------------------------
 */

/* The pid that the holder of the lock wrote into it; 0: unknown. */
static long read_pid(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return strtol(text, NULL, 10);
}

int daemon_lock(struct daemon *daemon, const char *rundir, struct error *e)
{
	char path[PATH_MAX];
	int fd, err;

	/* whatever the umask: programs that run guests have to get to their sockets */
	if (mkdir(rundir, 0755) == 0 ? chmod(rundir, 0755) < 0 : errno != EEXIST)
		return error_set(e, errno, "cannot make the run directory %s: %m", rundir);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", rundir, DAEMON_LOCK_NAME) >= sizeof(path))
		return error_set(e, ENAMETOOLONG, "%s: the name is too long", rundir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_set(e, errno, "cannot open %s: %m", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			err = error_set(e, EBUSY,
					"another vswitchd (pid %ld) runs on %s; stop it, or choose "
					"another --rundir",
					read_pid(fd), rundir);
		else
			err = error_set(e, errno, "cannot lock %s: %m", path);
		close(fd);
		return err;
	}
	/* for people and for the message above; the lock itself does not rest on it */
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		log_warn("%s: cannot write the pid: %m", path);
	daemon->lock_fd = fd;
	return 0;
}

int daemon_write_pidfile(struct daemon *daemon, const char *path, struct error *e)
{
	char temporary[PATH_MAX];
	FILE *out;
	int err;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
		return error_set(e, ENAMETOOLONG, "%s: the name is too long", path);
	out = fopen(temporary, "we");
	if (!out)
		return error_set(e, errno, "cannot write %s: %m", temporary);
	fprintf(out, "%ld\n", (long)getpid());
	if (fclose(out) != 0 || rename(temporary, path) < 0) {
		err = error_set(e, errno, "cannot write %s: %m", path);
		unlink(temporary);
		return err;
	}
	daemon->pidfile = strdup(path);
	return daemon->pidfile ? 0 : error_set(e, ENOMEM, "out of memory");
}

void daemon_uninit(struct daemon *daemon)
{
	if (daemon->pidfile)
		unlink(daemon->pidfile);
	free(daemon->pidfile);
	if (daemon->parent_fd >= 0)
		close(daemon->parent_fd);
	if (daemon->lock_fd >= 0)
		close(daemon->lock_fd);
	*daemon = (struct daemon)DAEMON_INIT;
}

/* ---- privileges -------------------------------------------------------------------------------
 */

static const unsigned int needed[] = {
	CAP_NET_ADMIN, /* links, AF_XDP and packet sockets, TAP */
	CAP_NET_RAW, /* AF_XDP and AF_PACKET sockets */
	CAP_BPF, /* BPF programs and maps */
	CAP_PERFMON, /* BPF programs that follow pointers */
	CAP_SYS_ADMIN, /* setns(2) into containers; BPF on older kernels */
	CAP_SYS_PTRACE, /* /proc/PID/ns of other users' processes */
	CAP_IPC_LOCK, /* memory of packet buffers */
	CAP_SYS_RESOURCE, /* RLIMIT_MEMLOCK */
	CAP_SYS_NICE, /* workers' placement */
	CAP_CHOWN, /* sockets for VMs go to the group that runs them */
	CAP_DAC_READ_SEARCH, /* namespaces that a container runtime keeps in private directories */
};

/* Joins the group of programs that run guests, so that it may connect to their sockets. */
static void join_guests_group(void)
{
	const struct group *group = getgrnam(PORT_GUESTS_GROUP);

	if (group && setgroups(1, &group->gr_gid) < 0)
		log_debug("cannot join group %s: %m", PORT_GUESTS_GROUP);
}

int daemon_drop_privileges(struct error *e)
{
	unsigned int kept[ARRAY_SIZE(needed)], n = 0;

	if (capng_get_caps_process() < 0)
		return error_set(e, EPERM, "cannot read the process's capabilities");
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) <= CAPNG_NONE)
		return 0;
	join_guests_group();
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (capng_have_capability(CAPNG_PERMITTED, needed[i]))
			kept[n++] = needed[i];
	}
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned int i = 0; i < n; i++) {
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]) < 0)
			return error_set(e, EPERM, "cannot keep capability %s",
					 capng_capability_to_name(kept[i]));
	}
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(e, EPERM, "cannot give up capabilities");
	return 0;
}
