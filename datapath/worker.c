/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/tier0_flow.h"
#include "datapath/worker_priv.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Longest sleep while frames are still under way, ms; it starts with 1 and doubles. */
#define PENDING_SLEEP_MAX_MS 1000
/* Rounds without a sleep after which queues are no longer watched by epoll. */
#define UNWATCH_ROUNDS 256
/* Polls without a packet after which a queue is asked only every so many rounds. */
#define SILENT_POLLS 64
#define SILENT_INTERVAL 8
/* Events taken from epoll at once: they only end the sleep. */
#define EPOLL_EVENTS 8

/* ---- jobs
 * ------------------------------------------------------------------------------------------ */

static void wake(struct worker *worker)
{
	uint64_t one = 1;

	if (write(worker->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("worker %u: cannot be woken: %m", worker->index);
}

void worker_post(struct worker *worker, struct worker_job *job)
{
	job->position = 0;
	atomic_store(&job->queued, true);
	mutex_lock(&worker->job_lock);
	job->next = worker->jobs_new;
	worker->jobs_new = job;
	mutex_unlock(&worker->job_lock);
	atomic_store(&worker->has_jobs_new, true);
	wake(worker);
}

/* Appends what was posted to the jobs being run, in the order of posting. */
static void take_jobs(struct worker *worker)
{
	struct worker_job *job, *ordered = NULL, **link = &worker->jobs;

	atomic_store(&worker->has_jobs_new, false);
	mutex_lock(&worker->job_lock);
	job = worker->jobs_new;
	worker->jobs_new = NULL;
	mutex_unlock(&worker->job_lock);
	while (job) {
		struct worker_job *next = job->next;

		job->next = ordered;
		ordered = job;
		job = next;
	}
	while (*link)
		link = &(*link)->next;
	*link = ordered;
}

/* Runs one slice of the oldest job. */
static void run_job(struct worker *worker)
{
	struct worker_job *job;

	if (unlikely(atomic_load_explicit(&worker->has_jobs_new, memory_order_relaxed)))
		take_jobs(worker);
	job = worker->jobs;
	if (likely(!job) || !job->run(worker, job))
		return;
	worker->jobs = job->next;
	if (job->done) {
		sem_t *done = job->done;

		/* The poster may reuse the job from here on. */
		atomic_store(&job->queued, false);
		sem_post(done);
	} else {
		atomic_store(&job->queued, false);
	}
}

/* ---- the loop
 * ------------------------------------------------------------------------------------- */

/* Receives from one queue, a batch at a time while it gives whole ones. Returns how many
 * packets. */
static unsigned int poll_queue(struct worker *worker, struct port_rxq *rxq)
{
	struct worker_port *in = rcu_get(&worker->ports[rxq->port->no]);
	struct packet *packets[PACKET_BATCH_MAX];
	unsigned int total = 0, n, batches = WORKER_BATCHES_MAX;

	do {
		n = rxq->port->class->rx(rxq, &worker->frames, in->counters, packets,
					 PACKET_BATCH_MAX);
		if (n)
			forward_batch(worker, in, packets, n);
		total += n;
	} while (n == PACKET_BATCH_MAX && --batches);
	return total;
}

/*
 * Polls each queue; while others keep the worker busy without a pause, those that have been silent
 * for long only in some rounds: to ask a TAP device in each was a twentieth of its time. Returns
 * how many packets came in.
 */
static unsigned int poll_queues(struct worker *worker)
{
	const struct worker_polls *polls = rcu_get(&worker->polls);
	bool asks_all = worker->unwatched != polls || worker->stats.polls % SILENT_INTERVAL == 0;
	unsigned int total = 0;

	for (unsigned int i = 0; i < polls->n; i++) {
		struct port_rxq *rxq = polls->rxqs[i];
		unsigned int n;

		if (rxq->n_empty >= SILENT_POLLS && !asks_all)
			continue;
		n = poll_queue(worker, rxq);
		rxq->n_empty = n ? 0 : rxq->n_empty + 1;
		total += n;
	}
	return total;
}

/* Arms each queue. Returns false when one of them has work after all. */
static bool arm_queues(struct worker *worker)
{
	const struct worker_polls *polls = rcu_get(&worker->polls);

	for (unsigned int i = 0; i < polls->n; i++) {
		struct port_rxq *rxq = polls->rxqs[i];

		if (rxq->fd < 0 || (rxq->port->class->arm && rxq->port->class->arm(rxq)))
			return false;
	}
	return true;
}

/*
 * While a queue's fd is in the epoll set, the kernel calls epoll for each packet that goes in or
 * out by that socket: a tenth of what AF_XDP costs in copy mode. So a worker that stays busy takes
 * the fds out, and puts them back before it sleeps.
 */
static void unwatch_queues(struct worker *worker)
{
	const struct worker_polls *polls = rcu_get(&worker->polls);

	if (worker->unwatched == polls || ++worker->n_busy_rounds < UNWATCH_ROUNDS)
		return;
	for (unsigned int i = 0; i < polls->n; i++)
		if (polls->rxqs[i]->fd >= 0)
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, polls->rxqs[i]->fd, NULL);
	worker->unwatched = polls;
}

/* Returns false when a queue cannot be watched: then there must be no sleep. */
static bool watch_queues(struct worker *worker)
{
	const struct worker_polls *polls = rcu_get(&worker->polls);

	worker->n_busy_rounds = 0;
	if (!worker->unwatched)
		return true;
	for (unsigned int i = 0; i < polls->n; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = polls->rxqs[i]};
		int fd = polls->rxqs[i]->fd;

		if (fd >= 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) &&
		    errno != EEXIST)
			return false;
	}
	worker->unwatched = NULL;
	return true;
}

/* Sleeps until a queue has packets or somebody calls; `timeout_ms` -1: for any time. */
static void sleep_until_event(struct worker *worker, int timeout_ms)
{
	struct epoll_event events[EPOLL_EVENTS];
	uint64_t count;
	int n;

	counter_add(&worker->stats.sleeps, 1);
	worker->busy_before_ns += clock_now() - worker->awake_ns;
	rcu_offline();
	n = epoll_wait(worker->epoll_fd, events, EPOLL_EVENTS, timeout_ms);
	rcu_online();
	worker->awake_ns = clock_now();
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr == worker)
			(void)!read(worker->wake_fd, &count, sizeof(count));
}

/* What the next round works with. */
static void begin_round(struct worker *worker)
{
	worker->now_ns = clock_now();
	worker->generation = datapath_get_generation(worker->dp);
	worker->n_tier0_round = 0;
	counter_add(&worker->stats.polls, 1);
	counter_set(&worker->stats.busy_ns,
		    worker->busy_before_ns + worker->now_ns - worker->awake_ns);
	counter_set(&worker->stats.n_flows, worker->flows.n_flows);
	counter_set(&worker->stats.n_subtables, worker->flows.n_subtables);
	counter_set(&worker->stats.subtables_probed, worker->flows.n_probed);
}

static void run(struct worker *worker)
{
	uint64_t idle_since_ns = clock_now();
	int pending_ms = 1;

	worker->awake_ns = idle_since_ns;
	while (!atomic_load_explicit(&worker->stop, memory_order_acquire)) {
		unsigned int n;

		rcu_quiesce();
		begin_round(worker);
		n = poll_queues(worker);
		forward_flush(worker);
		run_job(worker);
		if (n || worker->jobs) {
			idle_since_ns = worker->now_ns;
			pending_ms = 1;
			unwatch_queues(worker);
			continue;
		}
		if (worker->now_ns - idle_since_ns < WORKER_SPIN_NS || !watch_queues(worker) ||
		    !arm_queues(worker))
			continue;
		sleep_until_event(worker, worker->n_pending ? pending_ms : -1);
		pending_ms = MIN(pending_ms * 2, PENDING_SLEEP_MAX_MS);
	}
}

/* Guests' memory may vanish under us (vhost/guest_fault.h): only a thread that does not block the
 * signal survives that, whatever mask the process was started with. */
static void unblock_fault_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *worker_main(void *worker_)
{
	struct worker *worker = worker_;

	unblock_fault_signal();
	rcu_join();
	run(worker);
	/* Ports are gone, so these are the last references to rules and frames. */
	flow_cache_uninit(&worker->flows);
	tier0_flow_reap(worker, true);
	frame_cache_uninit(&worker->frames);
	action_list_uninit(&worker->verdict.actions);
	rcu_leave();
	return NULL;
}

/* ---- life cycle --------------------------------------------------------------------------------
 */

static int start_thread(struct worker *worker, struct error *err)
{
	pthread_attr_t attr;
	char name[16];
	int ret;

	ret = pthread_attr_init(&attr);
	if (!ret && worker->core >= 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET((unsigned int)worker->core, &cpus);
		ret = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	if (!ret)
		ret = pthread_create(&worker->thread, &attr, worker_main, worker);
	pthread_attr_destroy(&attr);
	if (ret && worker->core >= 0)
		return error_set(err, ret, "cannot start worker %u on core %d: %s", worker->index,
				 worker->core, strerror(ret));
	if (ret)
		return error_set(err, ret, "cannot start worker %u: %s", worker->index,
				 strerror(ret));
	snprintf(name, sizeof(name), "worker%u", worker->index);
	pthread_setname_np(worker->thread, name);
	return 0;
}

static int open_fds(struct worker *worker, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};

	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wake_fd < 0)
		return error_set(err, errno, "cannot make an eventfd: %m");
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0) {
		int ret = error_set(err, errno, "cannot make an epoll instance: %m");

		close(worker->wake_fd);
		return ret;
	}
	/* Of a new eventfd on a new epoll instance, only memory can be missing. */
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event)) {
		int ret = error_set(err, errno, "cannot watch an eventfd: %m");

		close(worker->epoll_fd);
		close(worker->wake_fd);
		return ret;
	}
	return 0;
}

int worker_create(struct datapath *dp, unsigned int index, int core, uint32_t max_flows,
		  struct worker **workerp, struct error *err)
{
	size_t size = ROUND_UP(sizeof(struct worker), (size_t)CACHE_LINE);
	struct worker *worker = aligned_alloc(CACHE_LINE, size);
	int ret = error_set(err, ENOMEM, "no memory for worker %u", index);

	if (!worker)
		return ret;
	memset(worker, 0, size);
	worker->dp = dp;
	worker->index = index;
	worker->core = core;
	worker->stats.core = core;
	atomic_init(&worker->polls, &worker->poll_lists[0]);
	mutex_init(&worker->job_lock);
	action_list_init(&worker->verdict.actions);
	frame_cache_init(&worker->frames, dp->pool);
	if (flow_cache_init(&worker->flows, max_flows, &dp->pipeline, dp->pipeline_aux))
		goto err_lock;
	worker->flows.offload = &tier0_flow_offload;
	ret = open_fds(worker, err);
	if (ret)
		goto err_flows;
	ret = start_thread(worker, err);
	if (ret)
		goto err_fds;
	*workerp = worker;
	return 0;

err_fds:
	close(worker->epoll_fd);
	close(worker->wake_fd);
err_flows:
	flow_cache_uninit(&worker->flows);
err_lock:
	mutex_uninit(&worker->job_lock);
	free(worker);
	return ret;
}

void worker_destroy(struct worker *worker)
{
	atomic_store_explicit(&worker->stop, true, memory_order_release);
	wake(worker);
	pthread_join(worker->thread, NULL);
	close(worker->epoll_fd);
	close(worker->wake_fd);
	mutex_uninit(&worker->job_lock);
	free(worker);
}

/* ---- ports and queues
 * ---------------------------------------------------------------------------- */

int worker_add_port(struct worker *worker, struct port *port)
{
	size_t size = ROUND_UP(sizeof(struct worker_port), (size_t)CACHE_LINE);
	struct worker_port *wp = aligned_alloc(CACHE_LINE, size);

	if (!wp)
		return -ENOMEM;
	memset(wp, 0, size);
	wp->port = port;
	wp->txq = port->txqs[worker->index % port->n_txqs];
	wp->counters = &port->counters[worker->index];
	rcu_set(&worker->ports[port->no], wp);
	return 0;
}

struct worker_port *worker_remove_port(struct worker *worker, uint32_t port_no)
{
	return rcu_swap(&worker->ports[port_no], NULL);
}

/*
 * Fills the list that is not published with the published one's queues, all but `without`. There
 * are two: on return of publish_polls() nobody looks at the former any more.
 */
static struct worker_polls *copy_polls(struct worker *worker, const struct port_rxq *without)
{
	const struct worker_polls *old = atomic_load(&worker->polls);
	struct worker_polls *polls = &worker->poll_lists[old == &worker->poll_lists[0]];

	polls->n = 0;
	for (unsigned int i = 0; i < old->n; i++)
		if (old->rxqs[i] != without)
			polls->rxqs[polls->n++] = old->rxqs[i];
	return polls;
}

static void publish_polls(struct worker *worker, struct worker_polls *polls)
{
	rcu_set(&worker->polls, polls);
	wake(worker);
	rcu_wait();
}

int worker_add_rxq(struct worker *worker, struct port_rxq *rxq)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = rxq};
	struct worker_polls *polls = copy_polls(worker, NULL);

	if (polls->n == WORKER_RXQS_MAX)
		return -ENOSPC;
	if (rxq->fd >= 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, rxq->fd, &event))
		return -errno;
	rxq->worker = worker;
	polls->rxqs[polls->n++] = rxq;
	publish_polls(worker, polls);
	return 0;
}

void worker_remove_rxq(struct worker *worker, struct port_rxq *rxq)
{
	publish_polls(worker, copy_polls(worker, rxq));
	/* The worker, which puts in what it polls, has forgotten it. */
	if (rxq->fd >= 0)
		epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, rxq->fd, NULL);
	rxq->worker = NULL;
}
