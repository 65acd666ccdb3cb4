/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAPATH_WORKER_PRIV_H
#define DATAPATH_WORKER_PRIV_H

/*
 * One worker: a pinned thread that moves packets
 * ==============================================
 *
 * A round: poll each receive queue for a batch -> classify (forward.c) -> apply actions -> stage at
 * the output ports -> transmit and flush -> jobs from the control thread -> quiescent state. While
 * there is traffic it spins; after WORKER_SPIN_NS without any it arms the queues, looks once more
 * and sleeps in epoll on the queues' fds and its own eventfd.
 *
 * What others may change under it is published by RCU: the list of queues it polls (polls) and its
 * view of each port (ports[]). Everything else is its own; others ask for it by a job (worker_job),
 * which runs in the worker, in slices between rounds.
 *
 * Staged packets never outlive a round, so that after a grace period nothing refers to a port which
 * has been unpublished.
 *
 * Thread-safety: worker_* functions are for the control thread; forward_* (forward.c) for the
 * worker.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "datapath/datapath.h"
#include "datapath/flow_cache.h"
#include "datapath/port.h"
#include "lib/mutex.h"
#include "lib/rcu.h"

/* Time without a packet after which a worker goes to sleep. */
#define WORKER_SPIN_NS (50 * 1000u)
/* Batches taken from one queue in a round: the flush behind them costs a system call a port. */
#define WORKER_BATCHES_MAX 4
/* Packets staged at a port before they are transmitted. */
#define WORKER_STAGE_MAX 64
/* Flows handled by one slice of a job. */
#define WORKER_SLICE_FLOWS 512

/* A worker's view of a port: where its own packets for that port gather. */
struct worker_port {
	struct port *port;
	struct port_txq *txq; /* the queue this worker uses */
	struct port_counters *counters; /* this worker's slot */
	bool dirty; /* has staged packets or an unflushed tx; in worker->dirty[] */
	bool pending; /* has frames under way after the last flush; in worker->pending[] */
	uint32_t n;
	struct packet *staged[WORKER_STAGE_MAX];
};

/* Most receive queues one worker polls. */
#define WORKER_RXQS_MAX 4096

/* The queues a worker polls; immutable while published. */
struct worker_polls {
	unsigned int n;
	struct port_rxq *rxqs[WORKER_RXQS_MAX];
};

/*
 * Something to be done in the worker. `run` is called once a round until it returns true; then
 * `done` is posted, if not NULL, and the job may be used anew.
 */
struct worker_job {
	bool (*run)(struct worker *worker, struct worker_job *job);
	uint32_t position; /* for run: how far it is; starts with 0 */
	uint64_t argument; /* for run */
	void *context; /* for run */
	sem_t *done; /* whom to tell, or NULL */
	atomic_bool queued; /* from worker_post() until done */
	struct worker_job *next;
};

struct tier0;

struct worker {
	/* Written by the control thread. */
	struct datapath *dp;
	unsigned int index;
	int core; /* CPU to run on, -1: any */
	pthread_t thread;
	int epoll_fd;
	int wake_fd; /* eventfd */
	atomic_bool stop;
	struct mutex job_lock;
	struct worker_job *jobs_new; /* posted, newest first; job_lock */
	atomic_bool has_jobs_new;
	RCU_POINTER(struct worker_polls) polls;
	RCU_POINTER(struct worker_port) ports[PORT_NO_MAX + 1]; /* by datapath port number */
	struct worker_job sweep; /* the periodic one */
	struct worker_polls
	    poll_lists[2]; /* one is published as `polls`, the other is for the next */

	/* The worker's own. */
	struct frame_cache frames cacheline_aligned;
	struct flow_cache flows;
	uint64_t generation; /* datapath generation as of this round */
	uint64_t now_ns; /* clock_now() as of this round */
	const struct worker_polls *unwatched; /* list whose fds are not in the epoll set, or NULL */
	uint32_t n_busy_rounds; /* with packets, since it last looked for sleep */
	uint64_t awake_ns; /* when it last woke up */
	uint64_t busy_before_ns; /* time awake before that */
	struct worker_job *jobs; /* being run, oldest first */
	unsigned int n_dirty;
	unsigned int n_pending;
	struct pipeline_verdict verdict; /* scratch for translations */
	struct worker_stats stats; /* single writer */
	uint32_t tier0_orphans; /* slots that flows have left behind, chained; 0: none */
	uint32_t n_tier0_round; /* flows that went to tier 0 in this round */
	struct worker_port *dirty[PORT_NO_MAX + 1];
	uint16_t pending[PORT_NO_MAX + 1]; /* port numbers: a port may go while it is listed */
};

struct datapath {
	struct frame_pool *pool;
	struct frame_cache control_cache;
	struct pipeline pipeline;
	void *pipeline_aux;
	struct tier0 *tier0;
	atomic_uint_fast64_t *generation; /* see pipeline.h; starts with 1; tier0's */
	unsigned int n_workers;
	struct worker **workers;
	struct port *ports[PORT_NO_MAX + 1]; /* by number; control thread only */
	int control_fd; /* epoll: control fds of ports, by port number, and timer_fd as number 0 */
	int timer_fd; /* timerfd: the earliest deadline of a port */
	uint64_t deadline_ns; /* to which it is set; PORT_CONTROL_NEVER: it is not */
	unsigned int n_controlled; /* ports with a control fd */
	struct port_counters removed; /* of ports that are no more; control thread only */
};

/* Makes worker `index` and starts its thread. Returns 0 or a negative errno. */
int worker_create(struct datapath *dp, unsigned int index, int core, uint32_t max_flows,
		  struct worker **workerp, struct error *err) WARN_UNUSED;
/* Stops and frees a worker that has no ports any more. */
void worker_destroy(struct worker *worker);

/* Queues a job and wakes the worker. */
void worker_post(struct worker *worker, struct worker_job *job);

/* Runs `run` in each worker, or in `only`, and waits. */
void worker_run_everywhere(struct datapath *dp, struct worker *only,
			   bool (*run)(struct worker *worker, struct worker_job *job),
			   void *context);

/* For `run` of a job, in the worker: calls `each` for flows in its cache, WORKER_SLICE_FLOWS a
 * round. Returns true after the last one. */
bool worker_slice_flows(struct worker *worker, struct worker_job *job,
			void (*each)(struct worker *worker, struct worker_job *job,
				     struct flow *flow));

/* Makes the worker poll `rxq`, or no longer. On return of the latter no worker uses it. */
int worker_add_rxq(struct worker *worker, struct port_rxq *rxq) WARN_UNUSED;
void worker_remove_rxq(struct worker *worker, struct port_rxq *rxq);

/* Lets the worker transmit on `port`, or no longer: returns what is to be freed after a grace
 * period. */
int worker_add_port(struct worker *worker, struct port *port) WARN_UNUSED;
struct worker_port *worker_remove_port(struct worker *worker, uint32_t port_no);

/* ---- forward.c, in the worker --------------------------------------------------------------- */

/* Switches `n` packets that came in by port `in`. */
void forward_batch(struct worker *worker, struct worker_port *in, struct packet **packets,
		   unsigned int n);
/* Transmits all that is staged and flushes; forgets frames under way that have arrived. */
void forward_flush(struct worker *worker);

#endif
