/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "datapath/tier0_flow.h"
#include "datapath/worker_priv.h"
#include "lib/clock.h"
#include "lib/log.h"

/* 64 MiB of frames. */
#define DATAPATH_FRAMES_DEFAULT 32768u

/* Events of ports handled in one call. */
#define CONTROL_EVENTS 64

/* ---- what ports do in the control thread ------------------------------------------------------
 */

static int watch(struct datapath *dp, int fd, uint32_t port_no)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = port_no};

	return epoll_ctl(dp->control_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_control(struct datapath *dp, struct error *err)
{
	int ret;

	dp->deadline_ns = PORT_CONTROL_NEVER;
	dp->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (dp->timer_fd < 0)
		return error_set(err, errno, "cannot make a timer: %m");
	dp->control_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dp->control_fd < 0) {
		ret = error_set(err, errno, "cannot make an epoll instance: %m");
		goto err_timer;
	}
	ret = watch(dp, dp->timer_fd, 0);
	if (!ret)
		return 0;
	ret = error_set(err, ret, "cannot watch a timer: %s", strerror(-ret));
	close(dp->control_fd);
err_timer:
	close(dp->timer_fd);
	return ret;
}

static void close_control(struct datapath *dp)
{
	close(dp->control_fd);
	close(dp->timer_fd);
}

/* Sets the timer to the earliest deadline. */
static void set_timer(struct datapath *dp)
{
	uint64_t earliest = PORT_CONTROL_NEVER;
	struct itimerspec timer = {0};
	unsigned int left = dp->n_controlled;

	for (uint32_t no = 1; no <= PORT_NO_MAX && left; no++) {
		if (!dp->ports[no] || !dp->ports[no]->class->get_control_fd)
			continue;
		earliest = MIN(earliest, dp->ports[no]->control_deadline_ns);
		left--;
	}
	if (earliest == dp->deadline_ns)
		return;
	dp->deadline_ns = earliest;
	if (earliest != PORT_CONTROL_NEVER) {
		/* All zero would mean: never. */
		timer.it_value.tv_sec = (time_t)(earliest / CLOCK_NS_PER_S);
		timer.it_value.tv_nsec = (long)(earliest % CLOCK_NS_PER_S) | 1;
	}
	if (timerfd_settime(dp->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL))
		log_error_limited("cannot set a timer: %m");
}

static void run_port(struct port *port, uint64_t now_ns)
{
	port->control_deadline_ns = port->class->run_control(port, now_ns);
}

/* Has the port watched from now on, if it wants that. */
static int watch_port(struct datapath *dp, struct port *port)
{
	int ret;

	if (!port->class->get_control_fd)
		return 0;
	ret = watch(dp, port->class->get_control_fd(port), port->no);
	if (ret)
		return ret;
	dp->n_controlled++;
	run_port(port, clock_now());
	return 0;
}

static void unwatch_port(struct datapath *dp, struct port *port)
{
	if (!port->class->get_control_fd)
		return;
	epoll_ctl(dp->control_fd, EPOLL_CTL_DEL, port->class->get_control_fd(port), NULL);
	dp->n_controlled--;
	set_timer(dp);
}

/* Runs the ports whose deadline has come. */
static void run_deadlines(struct datapath *dp, uint64_t now_ns)
{
	unsigned int left = dp->n_controlled;
	uint64_t count;

	(void)!read(dp->timer_fd, &count, sizeof(count));
	/* It has gone off, or is about to: whatever comes next is set anew. */
	dp->deadline_ns = 0;
	for (uint32_t no = 1; no <= PORT_NO_MAX && left; no++) {
		struct port *port = dp->ports[no];

		if (!port || !port->class->get_control_fd)
			continue;
		left--;
		if (port->control_deadline_ns <= now_ns)
			run_port(port, now_ns);
	}
}

int datapath_get_control_fd(const struct datapath *dp)
{
	return dp->control_fd;
}

void datapath_run_control(struct datapath *dp)
{
	struct epoll_event events[CONTROL_EVENTS];
	int n = epoll_wait(dp->control_fd, events, CONTROL_EVENTS, 0);
	uint64_t now_ns = clock_now();

	for (int i = 0; i < n; i++) {
		uint32_t no = events[i].data.u32;

		if (no == 0)
			run_deadlines(dp, now_ns);
		else if (dp->ports[no])
			run_port(dp->ports[no], now_ns);
	}
	set_timer(dp);
}

/* ---- life cycle -------------------------------------------------------------------------------
 */

int datapath_create(const struct datapath_config *config, struct datapath **dpp, struct error *err)
{
	uint32_t n_frames = config->n_frames ? config->n_frames : DATAPATH_FRAMES_DEFAULT;
	uint32_t max_flows = config->max_flows ? config->max_flows : FLOW_CACHE_FLOWS_DEFAULT;
	struct datapath *dp;
	int ret;

	if (config->n_workers < 1 || config->n_workers > DATAPATH_WORKERS_MAX)
		return error_set(err, EINVAL, "%u workers: must be from 1 to %d", config->n_workers,
				 DATAPATH_WORKERS_MAX);
	dp = aligned_alloc(CACHE_LINE, sizeof(*dp));
	if (!dp)
		return error_set(err, ENOMEM, "no memory for the datapath");
	memset(dp, 0, sizeof(*dp));
	dp->pipeline = *config->pipeline;
	dp->pipeline_aux = config->pipeline_aux;
	ret = tier0_create(&config->tier0, &dp->tier0);
	if (ret) {
		error_set(err, ret, "no memory for the datapath");
		goto err_dp;
	}
	dp->generation = tier0_get_generation(dp->tier0);
	ret = open_control(dp, err);
	if (ret)
		goto err_tier0;
	ret = frame_pool_create(n_frames, &dp->pool, err);
	if (ret)
		goto err_control;
	frame_cache_init(&dp->control_cache, dp->pool);
	dp->workers = calloc(config->n_workers, sizeof(struct worker *));
	if (!dp->workers) {
		ret = error_set(err, ENOMEM, "no memory for %u workers", config->n_workers);
		goto err_pool;
	}
	rcu_join();
	rcu_offline();
	for (; dp->n_workers < config->n_workers; dp->n_workers++) {
		int core = config->cores ? config->cores[dp->n_workers] : -1;

		ret = worker_create(dp, dp->n_workers, core, max_flows, &dp->workers[dp->n_workers],
				    err);
		if (ret)
			goto err_workers;
	}
	*dpp = dp;
	return 0;

err_workers:
	while (dp->n_workers)
		worker_destroy(dp->workers[--dp->n_workers]);
	rcu_leave();
	free(dp->workers);
err_pool:
	frame_pool_destroy(dp->pool);
err_control:
	close_control(dp);
err_tier0:
	tier0_destroy(dp->tier0);
err_dp:
	free(dp);
	return ret;
}

void datapath_destroy(struct datapath *dp)
{
	if (!dp)
		return;
	for (uint32_t no = 1; no <= PORT_NO_MAX; no++)
		if (dp->ports[no])
			(void)!datapath_remove_port(dp, no);
	while (dp->n_workers)
		worker_destroy(dp->workers[--dp->n_workers]);
	rcu_leave();
	free(dp->workers);
	frame_cache_uninit(&dp->control_cache);
	frame_pool_destroy(dp->pool);
	close_control(dp);
	tier0_destroy(dp->tier0);
	free(dp);
}

static void purge_tier0(struct datapath *dp, struct port *port);

/* ---- ports
 * ---------------------------------------------------------------------------------------- */

struct port *datapath_get_port(const struct datapath *dp, uint32_t port_no)
{
	return port_no <= PORT_NO_MAX ? dp->ports[port_no] : NULL;
}

struct port *datapath_lookup_port(const struct datapath *dp, const char *name)
{
	for (uint32_t no = 1; no <= PORT_NO_MAX; no++)
		if (dp->ports[no] && !strcmp(dp->ports[no]->name, name))
			return dp->ports[no];
	return NULL;
}

/* The worker that polls the fewest queues. */
static struct worker *least_loaded(const struct datapath *dp)
{
	struct worker *best = dp->workers[0];

	for (unsigned int i = 1; i < dp->n_workers; i++)
		if (atomic_load(&dp->workers[i]->polls)->n < atomic_load(&best->polls)->n)
			best = dp->workers[i];
	return best;
}

/* Phase one of removal, as far as phase one of addition got: no worker knows the port on return. */
static void unpublish_port(struct datapath *dp, struct port *port)
{
	struct worker_port *views[DATAPATH_WORKERS_MAX];

	for (unsigned int i = 0; i < port->n_rxqs; i++)
		if (port->rxqs[i]->worker)
			worker_remove_rxq(port->rxqs[i]->worker, port->rxqs[i]);
	for (unsigned int i = 0; i < dp->n_workers; i++)
		views[i] = worker_remove_port(dp->workers[i], port->no);
	rcu_wait();
	for (unsigned int i = 0; i < dp->n_workers; i++)
		free(views[i]);
}

static int publish_port(struct datapath *dp, struct port *port)
{
	for (unsigned int i = 0; i < port->n_txqs; i++)
		port->txqs[i]->shared = port->n_txqs < dp->n_workers;
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		int err = worker_add_port(dp->workers[i], port);

		if (err)
			return err;
	}
	for (unsigned int i = 0; i < port->n_rxqs; i++) {
		int err = worker_add_rxq(least_loaded(dp), port->rxqs[i]);

		if (err)
			return err;
	}
	return 0;
}

/* The number that it had for the kernel's hot flows, else the lowest that is free. 0: there is
 * none. */
static uint32_t choose_no(const struct datapath *dp, const char *name)
{
	uint32_t no = tier0_get_former_no(dp->tier0, name);

	if (no && !dp->ports[no])
		return no;
	for (no = 1; no <= PORT_NO_MAX; no++)
		if (!dp->ports[no] && !tier0_is_former_no(dp->tier0, no))
			return no;
	return 0;
}

int datapath_add_port(struct datapath *dp, const char *type, const struct port_config *config,
		      uint32_t *port_no, struct error *err)
{
	const struct port_class *class = port_class_lookup(type, err);
	struct port_config full = *config;
	struct port *port;
	uint32_t no;
	int ret;

	if (!class)
		return -EINVAL;
	if (datapath_lookup_port(dp, config->name))
		return error_set(err, EEXIST, "port '%s' exists already", config->name);
	if (config->name[0] == '\0' || strlen(config->name) >= PORT_NAME_SIZE)
		return error_set(err, EINVAL, "port name '%s': must have from 1 to %d characters",
				 config->name, PORT_NAME_SIZE - 1);
	ret = port_class_check_options(class, config, err);
	if (ret)
		return ret;
	no = choose_no(dp, config->name);
	if (!no)
		return error_set(err, ENOSPC, "there are %d ports already", PORT_NO_MAX);
	full.n_workers = dp->n_workers;
	ret = class->open(dp, &full, &port, err);
	if (ret)
		return ret;
	port->no = no;
	ret = config->opened ? config->opened(config->opened_aux, no, err) : 0;
	if (ret) {
		class->close(port);
		return ret;
	}
	ret = publish_port(dp, port);
	if (!ret)
		ret = watch_port(dp, port);
	if (ret) {
		unpublish_port(dp, port);
		class->close(port);
		return error_set(err, ret, "port '%s': it cannot be watched: %s", config->name,
				 strerror(-ret));
	}
	dp->ports[no] = port;
	tier0_add_port(dp->tier0, port);
	set_timer(dp);
	*port_no = no;
	return 0;
}

int datapath_remove_port(struct datapath *dp, uint32_t port_no)
{
	struct port *port = datapath_get_port(dp, port_no);
	struct port_counters sum;

	if (!port)
		return -ENOENT;
	purge_tier0(dp, port);
	dp->ports[port_no] = NULL;
	unwatch_port(dp, port);
	unpublish_port(dp, port);
	port_sum_counters(port, &sum);
	port_add_counters(&dp->removed, &sum);
	port->class->close(port);
	return 0;
}

void datapath_get_removed_counters(const struct datapath *dp, struct port_counters *sum)
{
	*sum = dp->removed;
}

/* ---- freshness ---------------------------------------------------------------------------------
 */

void datapath_invalidate_async(struct datapath *dp)
{
	atomic_fetch_add_explicit(dp->generation, 1, memory_order_acq_rel);
}

void datapath_invalidate(struct datapath *dp)
{
	datapath_invalidate_async(dp);
	rcu_wait();
}

uint64_t datapath_get_generation(const struct datapath *dp)
{
	return atomic_load_explicit(dp->generation, memory_order_acquire);
}

/* ---- jobs in all workers -----------------------------------------------------------------------
 */

bool worker_slice_flows(struct worker *worker, struct worker_job *job,
			void (*each)(struct worker *worker, struct worker_job *job,
				     struct flow *flow))
{
	uint32_t end = MIN(worker->flows.n_touched, job->position + WORKER_SLICE_FLOWS);

	if (!job->position && worker->tier0_orphans)
		tier0_flow_reap(worker, false);
	for (; job->position < end; job->position++) {
		struct flow *flow =
			job->position ? flow_cache_get(&worker->flows, job->position) : NULL;

		if (flow)
			each(worker, job, flow);
	}
	return job->position >= worker->flows.n_touched;
}

static void fold_flow(struct worker *worker, struct worker_job *job UNUSED, struct flow *flow)
{
	flow_cache_credit(&worker->flows, flow);
}

static bool fold_slice(struct worker *worker, struct worker_job *job)
{
	return worker_slice_flows(worker, job, fold_flow);
}

void worker_run_everywhere(struct datapath *dp, struct worker *only,
			   bool (*run)(struct worker *worker, struct worker_job *job),
			   void *context)
{
	struct worker_job jobs[DATAPATH_WORKERS_MAX];
	unsigned int n = 0;
	sem_t done;

	sem_init(&done, 0, 0);
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		if (only && dp->workers[i] != only)
			continue;
		memset(&jobs[n], 0, sizeof(jobs[n]));
		jobs[n].run = run;
		jobs[n].context = context;
		jobs[n].done = &done;
		worker_post(dp->workers[i], &jobs[n++]);
	}
	while (n)
		if (sem_wait(&done) == 0)
			n--;
	sem_destroy(&done);
}

static void purge_flow(struct worker *worker, struct worker_job *job, struct flow *flow)
{
	const struct port *port = job->context;

	tier0_flow_purge(worker, flow, port->no);
}

static bool purge_slice(struct worker *worker, struct worker_job *job)
{
	return worker_slice_flows(worker, job, purge_flow);
}

/* Ends the port's part in tier 0; on return all that was counted there is counted at the port. */
static void purge_tier0(struct datapath *dp, struct port *port)
{
	if (!port->tier0.program && !port->tier0.target.flags)
		return;
	tier0_remove_port(dp->tier0, port);
	worker_run_everywhere(dp, NULL, purge_slice, port);
}

void datapath_fold_counters(struct datapath *dp)
{
	worker_run_everywhere(dp, NULL, fold_slice, NULL);
}

static void sweep_flow(struct worker *worker, struct worker_job *job, struct flow *flow)
{
	/* First of all: tier 0 may have used it, in this very round. */
	flow_cache_credit(&worker->flows, flow);
	if (flow->used_ns + job->argument < worker->now_ns)
		flow_cache_remove(&worker->flows, flow);
	else if (flow->tier0_slot)
		tier0_flow_sweep(worker, flow);
}

static bool sweep_slice(struct worker *worker, struct worker_job *job)
{
	return worker_slice_flows(worker, job, sweep_flow);
}

void datapath_sweep(struct datapath *dp, uint64_t idle_ns)
{
	tier0_run(dp->tier0);
	for (unsigned int i = 0; i < dp->n_workers; i++) {
		struct worker_job *job = &dp->workers[i]->sweep;

		if (atomic_load(&job->queued))
			continue; /* the last one is still at it */
		job->run = sweep_slice;
		job->argument = idle_ns;
		worker_post(dp->workers[i], job);
	}
}

/* ---- looking in ---------------------------------------------------------------------------------
 */

/* Copies of flows, taken in the workers and shown in the control thread. */
struct flow_copies {
	struct mutex lock;
	struct flow_copy {
		struct flow flow;
		struct flow_key mask;
		unsigned int worker;
	} * copies; /* n of them; lock. Actions are copies, too */
	size_t n;
	size_t capacity;
	bool failed; /* no memory for some */
};

static void copy_flow(struct worker *worker, struct worker_job *job, struct flow *flow)
{
	struct flow_copies *all = job->context;
	size_t size = flow->n_actions * sizeof(*flow->actions);
	struct flow_copy *copy;

	if (all->n == all->capacity) {
		size_t capacity = all->capacity ? all->capacity * 2 : 256;
		void *bigger = aligned_alloc(CACHE_LINE, capacity * sizeof(*all->copies));

		if (!bigger) {
			all->failed = true;
			return;
		}
		if (all->n)
			memcpy(bigger, all->copies, all->n * sizeof(*all->copies));
		free(all->copies);
		all->copies = bigger;
		all->capacity = capacity;
	}
	copy = &all->copies[all->n];
	flow_cache_credit(&worker->flows, flow);
	copy->flow = *flow;
	copy->flow.tier0_reason = (uint8_t)tier0_flow_get_reason(worker, flow);
	copy->mask = flow->subtable->mask;
	copy->worker = worker->index;
	copy->flow.actions = malloc(size ? size : 1);
	if (!copy->flow.actions) {
		all->failed = true;
		return;
	}
	if (size)
		memcpy(copy->flow.actions, flow->actions, size);
	all->n++;
}

static bool copy_slice(struct worker *worker, struct worker_job *job)
{
	struct flow_copies *all = job->context;
	bool done;

	mutex_lock(&all->lock);
	done = worker_slice_flows(worker, job, copy_flow);
	mutex_unlock(&all->lock);
	return done;
}

int datapath_dump_flows(struct datapath *dp, int worker, datapath_flow_cb *cb, void *aux)
{
	struct worker *only =
		worker >= 0 && (unsigned int)worker < dp->n_workers ? dp->workers[worker] : NULL;
	struct flow_copies all = {.lock = MUTEX_INIT};

	worker_run_everywhere(dp, only, copy_slice, &all);
	for (size_t i = 0; i < all.n; i++) {
		const struct flow_copy *copy = &all.copies[i];
		const struct flow *flow = &copy->flow;
		struct datapath_flow_info info = {
			.worker = copy->worker,
			.key = &flow->key,
			.mask = &copy->mask,
			.actions = flow->actions,
			.n_actions = flow->n_actions,
			.drop_reason = (enum drop_reason)flow->drop_reason,
			.n_packets = flow->n_packets,
			.n_bytes = flow->n_bytes,
			.used_ns = flow->used_ns,
			.n_signature = flow->n_packets - flow->n_slow - flow->n_tier0,
			.n_tier0 = flow->n_tier0,
			.tier0_reason = (enum tier0_reason)flow->tier0_reason,
		};

		cb(aux, &info);
		free(flow->actions);
	}
	free(all.copies);
	return all.failed ? -ENOMEM : 0;
}

unsigned int datapath_get_n_workers(const struct datapath *dp)
{
	return dp->n_workers;
}

void datapath_get_worker_stats(const struct datapath *dp, unsigned int worker,
			       struct worker_stats *stats)
{
	const struct worker_stats *from = &dp->workers[worker]->stats;

	stats->rx_packets = counter_get(&from->rx_packets);
	stats->hits_tier0 = counter_get(&from->hits_tier0);
	stats->hits_signature = counter_get(&from->hits_signature);
	stats->hits_megaflow = counter_get(&from->hits_megaflow);
	stats->misses = counter_get(&from->misses);
	stats->revalidations = counter_get(&from->revalidations);
	stats->subtables_probed = counter_get(&from->subtables_probed);
	stats->polls = counter_get(&from->polls);
	stats->sleeps = counter_get(&from->sleeps);
	stats->busy_ns = counter_get(&from->busy_ns);
	stats->n_flows = counter_get(&from->n_flows);
	stats->n_subtables = counter_get(&from->n_subtables);
	stats->n_rxqs = atomic_load(&dp->workers[worker]->polls)->n;
	stats->core = from->core;
}

const struct tier0_maps *datapath_reserve_tier0(struct datapath *dp, struct error *why)
{
	return tier0_reserve(dp->tier0, why);
}

void datapath_update_target(struct port *port)
{
	/* Where nothing may be sent any more, workers are to look again. */
	if (tier0_update_port(port->dp->tier0, port))
		datapath_invalidate_async(port->dp);
}

struct pin_dir *datapath_get_pins(const struct datapath *dp)
{
	return tier0_get_pins(dp->tier0);
}

void datapath_adopt_tier0(struct datapath *dp)
{
	tier0_adopt(dp);
}

void datapath_keep_tier0(struct datapath *dp)
{
	tier0_keep(dp->tier0);
}

const char *datapath_get_tier0_error(const struct datapath *dp)
{
	return tier0_get_error(dp->tier0);
}

void datapath_get_tier0_stats(struct datapath *dp, struct tier0_stats *stats)
{
	tier0_get_stats(dp->tier0, stats);
}

struct frame_pool *datapath_get_pool(const struct datapath *dp)
{
	return dp->pool;
}

struct frame_cache *datapath_get_control_cache(struct datapath *dp)
{
	return &dp->control_cache;
}
