/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitchd: reads its options, opens everything, runs the event loop, closes everything. */
#include "ctl/protocol.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "vswitchd/daemon.h"
#include "vswitchd/libvirt.h"
#include "vswitchd/link_watch.h"
#include "vswitchd/methods.h"
#include "vswitchd/rpc.h"
#include "vswitchd/server.h"
#include "vswitchd/vswitch.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATEDIR_DEFAULT "/var/lib/vswitch"
#define BPFFS_DEFAULT "/sys/fs/bpf"
#define EXIT_USAGE 2

enum {
	OPTION_RUNDIR = 256,
	OPTION_STATEDIR,
	OPTION_WORKERS,
	OPTION_CORES,
	OPTION_FRAMES,
	OPTION_KERNEL_TIER,
	OPTION_BPFFS,
	OPTION_KEEP_FORWARDING,
	OPTION_TAKE_DOWN,
	OPTION_PIDFILE,
	OPTION_LOG_LEVEL,
	OPTION_LIBVIRT,
	OPTION_NO_LIBVIRT,
};

static const struct option long_options[] = {
	{"rundir", required_argument, NULL, OPTION_RUNDIR},
	{"statedir", required_argument, NULL, OPTION_STATEDIR},
	{"workers", required_argument, NULL, OPTION_WORKERS},
	{"cores", required_argument, NULL, OPTION_CORES},
	{"frames", required_argument, NULL, OPTION_FRAMES},
	{"kernel-tier", required_argument, NULL, OPTION_KERNEL_TIER},
	{"bpffs", required_argument, NULL, OPTION_BPFFS},
	{"keep-forwarding", no_argument, NULL, OPTION_KEEP_FORWARDING},
	{"take-down", no_argument, NULL, OPTION_TAKE_DOWN},
	{"pidfile", required_argument, NULL, OPTION_PIDFILE},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"libvirt", required_argument, NULL, OPTION_LIBVIRT},
	{"no-libvirt", no_argument, NULL, OPTION_NO_LIBVIRT},
	{"foreground", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"usage: vswitchd [OPTION ...]\n"
	"\n"
	"Switches packets between ports by rules; vswitchctl tells it which.\n"
	"\n"
	"  --rundir DIR       control socket and lock [$" PROTOCOL_RUNDIR_ENV
	" or " PROTOCOL_RUNDIR_DEFAULT "]\n"
	"  --statedir DIR     configuration store [" STATEDIR_DEFAULT "]\n"
	"  --workers N        threads that switch packets [1, or as many as --cores]\n"
	"  --cores LIST       processors to pin them to, such as 1,3-5, or none [the highest "
	"ones]\n"
	"  --frames N         packet buffers of 2 KiB [a default that depends on the workers]\n"
	"  --kernel-tier ON   on or off: let the kernel carry hot flows out by itself [on]\n"
	"  --bpffs DIR        BPF file system where hot flows outlive the daemon, or none "
	"[" BPFFS_DEFAULT "]\n"
	"  --keep-forwarding  leave hot flows in the kernel when stopped, too, not only when "
	"killed\n"
	"  --take-down        take away what a daemon that was killed has left in the kernel, and "
	"exit\n"
	"  -f, --foreground   stay in the foreground and log to standard error\n"
	"  --pidfile FILE     where to write the process number [RUNDIR/" DAEMON_PIDFILE_NAME "]\n"
	"  --log-level LEVEL  error, warning, info or debug [info]\n"
	"  --libvirt URI      whose VMs to follow [" LIBVIRT_URI_DEFAULT "]\n"
	"  --no-libvirt       follow nobody's\n"
	"  -h, --help         print this\n"
	"  -V, --version      print the version\n";

/* What the command line says. */
struct settings {
	char *rundir, *statedir, *pidfile; /* absolute; owned */
	unsigned int n_workers;
	int cores[DATAPATH_WORKERS_MAX]; /* -1: not pinned */
	unsigned int n_cores; /* as many as --cores listed; 0: not given */
	bool pins; /* false: --cores none */
	uint32_t n_frames;
	const char *libvirt; /* URI; NULL: --no-libvirt */
	const char *bpffs; /* NULL: none */
	char *pin_name; /* of our folder in it; owned */
	bool kernel_tier;
	bool keep_forwarding;
	bool take_down;
	bool foreground;
};

/* The running daemon. */
struct running {
	struct event_base *base;
	struct vswitch *vs;
	struct server *server;
	struct rpc_sink sink; /* answers that come later */
	struct link_watch *links; /* NULL: the kernel does not tell us */
	struct libvirt *libvirt; /* NULL: VMs are not followed */
	struct event *timer, *link_event, *port_event, *signals[3];
};

/* ---- options ----------------------------------------------------------------------------------
 */

/* A path that stays right after chdir("/"); NULL: no memory. */
static char *make_absolute(const char *path)
{
	char here[PATH_MAX], *absolute;

	if (path[0] == '/')
		return strdup(path);
	if (!getcwd(here, sizeof(here)) || asprintf(&absolute, "%s/%s", here, path) < 0)
		return NULL;
	return absolute;
}

static int parse_number(const char *option, const char *text, unsigned long min, unsigned long max,
			unsigned long *number, struct error *e)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || *number < min || *number > max)
		return error_set(e, EINVAL, "--%s %s: must be a number from %lu to %lu", option,
				 text, min, max);
	return 0;
}

/* "1,3-5" */
static int parse_cores(struct settings *settings, const char *text, struct error *e)
{
	const char *at = text;

	settings->pins = strcmp(text, "none") != 0;
	if (!settings->pins)
		return 0;
	for (;;) {
		char *end;
		unsigned long first, last;

		first = last = strtoul(at, &end, 10);
		if (end != at && *end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
		}
		if (end == at || (*end && *end != ',') || last < first || last >= CPU_SETSIZE)
			return error_set(e, EINVAL,
					 "--cores %s: must be a list of processors such as 1,3-5",
					 text);
		for (; first <= last; first++) {
			if (settings->n_cores == DATAPATH_WORKERS_MAX)
				return error_set(e, EINVAL, "--cores: at most %d",
						 DATAPATH_WORKERS_MAX);
			settings->cores[settings->n_cores++] = (int)first;
		}
		if (!*end)
			return 0;
		at = end + 1;
	}
}

static int parse_option(struct settings *settings, int option, const char *value, struct error *e)
{
	enum log_level level;
	unsigned long number;
	char **path = NULL;
	int err = 0;

	switch (option) {
	case OPTION_RUNDIR:
		path = &settings->rundir;
		break;
	case OPTION_STATEDIR:
		path = &settings->statedir;
		break;
	case OPTION_PIDFILE:
		path = &settings->pidfile;
		break;
	case OPTION_WORKERS:
		err = parse_number("workers", value, 1, DATAPATH_WORKERS_MAX, &number, e);
		if (!err)
			settings->n_workers = (unsigned int)number;
		break;
	case OPTION_CORES:
		settings->n_cores = 0;
		return parse_cores(settings, value, e);
	case OPTION_FRAMES:
		err = parse_number("frames", value, 1024, 1u << 24, &number, e);
		if (!err)
			settings->n_frames = (uint32_t)number;
		break;
	case OPTION_KERNEL_TIER:
		settings->kernel_tier = !strcmp(value, "on");
		if (!settings->kernel_tier && strcmp(value, "off"))
			return error_set(e, EINVAL, "--kernel-tier %s: must be on or off", value);
		break;
	case OPTION_BPFFS:
		settings->bpffs = strcmp(value, "none") != 0 ? value : NULL;
		break;
	case OPTION_KEEP_FORWARDING:
		settings->keep_forwarding = true;
		break;
	case OPTION_TAKE_DOWN:
		settings->take_down = true;
		break;
	case OPTION_LOG_LEVEL:
		if (log_level_parse(value, &level))
			return error_set(e, EINVAL,
					 "--log-level %s: must be error, warning, info or debug",
					 value);
		log_set_level(level);
		break;
	case OPTION_LIBVIRT:
		settings->libvirt = value;
		break;
	case OPTION_NO_LIBVIRT:
		settings->libvirt = NULL;
		break;
	case 'f':
		settings->foreground = true;
		break;
	}
	if (path) {
		free(*path);
		*path = make_absolute(value);
		if (!*path)
			return error_set(e, errno, "%s: %m", value);
	}
	return err;
}

/* Chooses processors for workers that were given none: the highest that we may use, for the lowest
 * ones have most of the interrupts. */
static void choose_cores(struct settings *settings)
{
	unsigned int worker = 0;
	cpu_set_t allowed;

	for (unsigned int i = settings->n_cores; i < settings->n_workers; i++)
		settings->cores[i] = -1;
	if (settings->n_cores > 0 || !settings->pins ||
	    sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ||
	    (unsigned int)CPU_COUNT(&allowed) < settings->n_workers)
		return;
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && worker < settings->n_workers; cpu--) {
		if (CPU_ISSET((size_t)cpu, &allowed))
			settings->cores[worker++] = cpu;
	}
}

/* A name for the folder of pins that belongs to this rundir: its path, with ':' for '/' and %XX for
 * other signs; the file system takes no dots. NULL: no memory. */
static char *make_pin_name(const char *rundir)
{
	char *name = malloc(3 * strlen(rundir) + 1), *to = name;

	if (!name)
		return NULL;
	while (*rundir == '/')
		rundir++;
	for (; *rundir; rundir++) {
		if (isalnum((unsigned char)*rundir) || strchr("_-", *rundir))
			*to++ = *rundir;
		else if (*rundir == '/')
			*to++ = ':';
		else
			to += sprintf(to, "%%%02x", (unsigned char)*rundir);
	}
	*to = '\0';
	return name;
}

/* Fills in what the command line left open. */
static int complete_settings(struct settings *settings, struct error *e)
{
	if (!settings->rundir)
		settings->rundir = make_absolute(protocol_get_rundir(NULL));
	if (!settings->statedir)
		settings->statedir = strdup(STATEDIR_DEFAULT);
	if (!settings->rundir || !settings->statedir)
		return error_set(e, ENOMEM, "out of memory");
	settings->pin_name = make_pin_name(settings->rundir);
	if (!settings->pin_name)
		return error_set(e, ENOMEM, "out of memory");
	if (!settings->pidfile &&
	    asprintf(&settings->pidfile, "%s/%s", settings->rundir, DAEMON_PIDFILE_NAME) < 0)
		return error_set(e, ENOMEM, "out of memory");
	if (!settings->n_workers)
		settings->n_workers = MAX(settings->n_cores, 1u);
	if (settings->n_cores > 0 && settings->n_cores != settings->n_workers)
		return error_set(e, EINVAL, "--workers %u, but --cores lists %u: leave one out",
				 settings->n_workers, settings->n_cores);
	choose_cores(settings);
	return 0;
}

/* Returns -1 to go on, or the status to exit with. */
static int parse_options(struct settings *settings, int argc, char **argv)
{
	struct error e = ERROR_INIT;
	int option;

	while ((option = getopt_long(argc, argv, "fhV", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_SUCCESS;
		}
		if (option == 'V') {
			printf("vswitchd %s\n", PACKAGE_VERSION);
			return EXIT_SUCCESS;
		}
		if (option == '?') {
			fprintf(stderr, "try 'vswitchd --help'\n");
			return EXIT_USAGE;
		}
		if (parse_option(settings, option, optarg, &e))
			goto usage;
	}
	if (optind < argc) {
		error_set(&e, EINVAL, "'%s': there are only options", argv[optind]);
		goto usage;
	}
	if (complete_settings(settings, &e))
		goto usage;
	return -1;

usage:
	fprintf(stderr, "vswitchd: %s; try 'vswitchd --help'\n", e.text);
	return EXIT_USAGE;
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void on_signal(evutil_socket_t number, short what, void *aux)
{
	struct running *running = aux;

	(void)what;
	log_info("stopping on signal %d", (int)number);
	event_base_loopbreak(running->base);
}

static void on_hangup(evutil_socket_t number, short what, void *aux)
{
	(void)number;
	(void)what;
	(void)aux;
	log_info("SIGHUP: nothing to read again, the configuration is changed with vswitchctl");
}

static void on_timer(evutil_socket_t fd, short what, void *aux)
{
	struct running *running = aux;

	(void)fd;
	(void)what;
	vswitch_run(running->vs);
	libvirt_run(running->libvirt);
}

static void on_link(void *aux, unsigned int ifindex, const char *name, bool gone)
{
	struct running *running = aux;

	(void)ifindex;
	vswitch_link_changed(running->vs, name, gone);
}

static void on_link_readable(evutil_socket_t fd, short what, void *aux)
{
	struct running *running = aux;
	int err = link_watch_run(running->links);

	(void)fd;
	(void)what;
	if (err)
		log_error_limited("link notifications: %s", strerror(-err));
}

/* Ports have something to do. */
static void on_ports(evutil_socket_t fd, short what, void *aux)
{
	struct running *running = aux;

	(void)fd;
	(void)what;
	datapath_run_control(running->vs->dp);
}

static char *on_request(void *aux, const char *line, size_t size, size_t *answer_size)
{
	struct running *running = aux;

	return rpc_run(methods, running->vs, &running->sink, line, size, answer_size);
}

static uint64_t on_hold(void *aux)
{
	struct running *running = aux;

	return server_hold(running->server);
}

static void on_answer(void *aux, uint64_t ticket, char *answer, size_t size)
{
	struct running *running = aux;

	server_answer(running->server, ticket, answer, size);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static int add_events(struct running *running, struct error *e)
{
	static const struct {
		int number;
		event_callback_fn cb;
	} handlers[] = {{SIGTERM, on_signal}, {SIGINT, on_signal}, {SIGHUP, on_hangup}};
	const struct timeval second = {.tv_sec = 1};

	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		running->signals[i] =
			evsignal_new(running->base, handlers[i].number, handlers[i].cb, running);
		if (!running->signals[i] || event_add(running->signals[i], NULL) < 0)
			return error_set(e, ENOMEM, "cannot handle signals");
	}
	running->timer = event_new(running->base, -1, EV_PERSIST, on_timer, running);
	if (!running->timer || event_add(running->timer, &second) < 0)
		return error_set(e, ENOMEM, "cannot make a timer");
	running->port_event = event_new(running->base, datapath_get_control_fd(running->vs->dp),
					EV_READ | EV_PERSIST, on_ports, running);
	if (!running->port_event || event_add(running->port_event, NULL) < 0)
		return error_set(e, ENOMEM, "cannot wait for ports");
	if (!running->links)
		return 0;
	running->link_event = event_new(running->base, link_watch_get_fd(running->links),
					EV_READ | EV_PERSIST, on_link_readable, running);
	if (!running->link_event || event_add(running->link_event, NULL) < 0)
		return error_set(e, ENOMEM, "cannot wait for link notifications");
	return 0;
}

static void stop(struct running *running)
{
	/* what it owes is answered ahead of the rest, and nothing is asked of it any more */
	if (running->vs)
		running->vs->libvirt = NULL;
	libvirt_destroy(running->libvirt);
	if (running->server)
		server_drain(running->server);
	server_destroy(running->server);
	for (size_t i = 0; i < ARRAY_SIZE(running->signals); i++) {
		if (running->signals[i])
			event_free(running->signals[i]);
	}
	if (running->timer)
		event_free(running->timer);
	if (running->link_event)
		event_free(running->link_event);
	if (running->port_event)
		event_free(running->port_event);
	link_watch_destroy(running->links);
	vswitch_destroy(running->vs);
	if (running->base)
		event_base_free(running->base);
	libevent_global_shutdown();
}

/* VMs are followed where that can be; the switch works without. */
static void start_libvirt(struct running *running, const struct settings *settings)
{
	struct error e = ERROR_INIT;

	if (settings->libvirt &&
	    libvirt_create(running->base, running->vs, settings->libvirt, &running->libvirt, &e))
		log_info("libvirt: %s; VMs are not followed", e.text);
	running->vs->libvirt = running->libvirt;
}

static int start(struct running *running, const struct settings *settings, struct error *e)
{
	const struct vswitch_options options = {
		.datapath = {.n_workers = settings->n_workers,
			     .cores = settings->cores,
			     .n_frames = settings->n_frames,
			     .tier0 = {.wanted = settings->kernel_tier,
				       .bpffs = settings->bpffs,
				       .pin_name = settings->pin_name}},
		.rundir = settings->rundir,
		.statedir = settings->statedir,
	};
	struct error ignored = ERROR_INIT;
	int err;

	running->sink = (struct rpc_sink){on_hold, on_answer, running};
	running->base = event_base_new();
	if (!running->base)
		return error_set(e, ENOMEM, "cannot make an event loop");
	err = vswitch_create(&options, &running->vs, e);
	if (err)
		return err;
	if (link_watch_create(on_link, running, &running->links, &ignored)) {
		log_warn("%s; vanished devices are noticed by polling", ignored.text);
		running->links = NULL;
	}
	err = vswitch_start(running->vs, e);
	if (!err)
		err = server_create(running->base, settings->rundir, on_request, running,
				    &running->server, e);
	if (!err)
		err = add_events(running, e);
	if (!err)
		start_libvirt(running, settings);
	return err;
}

static int run(struct daemon *daemon, const struct settings *settings)
{
	struct running running = {0};
	struct error e = ERROR_INIT;
	int err;

	err = daemon_lock(daemon, settings->rundir, &e);
	/* root without its power over other people's directories cannot make it later; what is
	 * wrong with it is said when the store is opened */
	if (!err && mkdir(settings->statedir, 0700) < 0 && errno != EEXIST)
		log_debug("%s: %m", settings->statedir);
	if (!err)
		err = daemon_drop_privileges(&e);
	if (!err)
		err = start(&running, settings, &e);
	if (!err)
		err = daemon_write_pidfile(daemon, settings->pidfile, &e);
	if (err) {
		daemon_report_failure(daemon, e.text);
		stop(&running);
		return EXIT_FAILURE;
	}
	log_info("version %s is ready, pid %ld, %u workers, control socket %s/%s", PACKAGE_VERSION,
		 (long)getpid(), settings->n_workers, settings->rundir, PROTOCOL_SOCKET_NAME);
	daemon_report_ready(daemon);
	event_base_dispatch(running.base);
	daemon_report_stopping();
	if (settings->keep_forwarding)
		datapath_keep_tier0(running.vs->dp);
	stop(&running);
	log_info("stopped");
	return EXIT_SUCCESS;
}

/* --take-down */
static int take_down(struct daemon *daemon, const struct settings *settings)
{
	struct error e = ERROR_INIT;
	int err = daemon_lock(daemon, settings->rundir, &e);

	if (!err && settings->bpffs)
		err = tier0_discard(settings->bpffs, settings->pin_name, &e);
	if (!err || err == -ENOENT)
		return EXIT_SUCCESS;
	fprintf(stderr, "vswitchd: %s\n", e.text);
	return EXIT_FAILURE;
}

/* Ports and clients need descriptors: as many as we may have. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			log_debug("cannot have more descriptors: %m");
	}
}

/* Writing to a client that left, or beyond a file size limit, is an error like any other. */
static void ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.pins = true,
		.kernel_tier = true,
		.bpffs = BPFFS_DEFAULT,
		.libvirt = LIBVIRT_URI_DEFAULT,
	};
	struct daemon daemon = DAEMON_INIT;
	struct error e = ERROR_INIT;
	int status;

	status = parse_options(&settings, argc, argv);
	if (status < 0) {
		ignore_signals();
		raise_limits();
		umask(077);
		status = EXIT_FAILURE;
		if (settings.take_down) {
			status = take_down(&daemon, &settings);
		} else if (!settings.foreground && daemon_fork(&daemon, &e)) {
			daemon_report_failure(&daemon, e.text);
		} else {
			log_open(settings.foreground ? LOG_TO_STDERR : LOG_TO_SYSLOG, "vswitchd");
			status = run(&daemon, &settings);
		}
		daemon_uninit(&daemon);
	}
	free(settings.rundir);
	free(settings.statedir);
	free(settings.pidfile);
	free(settings.pin_name);
	return status;
}
