/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of the thread that needs no libvirt: queues in both directions, start and stop. */
#include "vswitchd/libvirt_thread_priv.h"

#include "lib/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* ---- jobs and messages ------------------------------------------------------------------------
 */

struct libvirt_job *libvirt_job_create(enum libvirt_job_type type, const char *domain,
				       const char *xml)
{
	struct libvirt_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->type = type;
	job->domain = strdup(domain);
	job->xml = strdup(xml ? xml : "");
	if (job->domain && job->xml)
		return job;
	libvirt_job_destroy(job);
	return NULL;
}

void libvirt_job_destroy(struct libvirt_job *job)
{
	if (!job)
		return;
	libvirt_domain_destroy(job->result);
	free(job->domain);
	free(job->xml);
	free(job);
}

void libvirt_message_destroy(struct libvirt_message *message)
{
	for (size_t i = 0; i < message->n_domains; i++)
		libvirt_domain_destroy(message->domains[i]);
	free(message->domains);
	free(message);
}

static void wake(int fd)
{
	const uint64_t one = 1;

	/* it only fails when the counter is full, and then the fd is readable */
	(void)!write(fd, &one, sizeof(one));
}

void libvirt_wake(struct libvirt_thread *thread)
{
	wake(thread->in_fd);
}

void libvirt_drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

void libvirt_tell(struct libvirt_thread *thread, struct libvirt_message *message)
{
	mutex_lock(&thread->lock);
	STAILQ_INSERT_TAIL(&thread->messages, message, link);
	mutex_unlock(&thread->lock);
	wake(thread->out_fd);
}

void libvirt_finish(struct libvirt_thread *thread, struct libvirt_job *job)
{
	mutex_lock(&thread->lock);
	STAILQ_INSERT_TAIL(&thread->finished, job, link);
	mutex_unlock(&thread->lock);
	wake(thread->out_fd);
}

struct libvirt_job *libvirt_take_job(struct libvirt_thread *thread)
{
	struct libvirt_job *job;

	mutex_lock(&thread->lock);
	job = STAILQ_FIRST(&thread->jobs);
	if (job)
		STAILQ_REMOVE_HEAD(&thread->jobs, link);
	mutex_unlock(&thread->lock);
	return job;
}

bool libvirt_is_stopping(struct libvirt_thread *thread)
{
	bool stopping;

	mutex_lock(&thread->lock);
	stopping = thread->stopping;
	mutex_unlock(&thread->lock);
	return stopping;
}

/* ---- the control thread's side ----------------------------------------------------------------
 */

void libvirt_thread_submit(struct libvirt_thread *thread, struct libvirt_job *job)
{
	mutex_lock(&thread->lock);
	STAILQ_INSERT_TAIL(&thread->jobs, job, link);
	mutex_unlock(&thread->lock);
	wake(thread->in_fd);
}

int libvirt_thread_get_fd(const struct libvirt_thread *thread)
{
	return thread->out_fd;
}

void libvirt_thread_run(struct libvirt_thread *thread)
{
	struct libvirt_messages messages = STAILQ_HEAD_INITIALIZER(messages);
	struct libvirt_jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct libvirt_message *message;
	struct libvirt_job *job;

	libvirt_drain(thread->out_fd);
	mutex_lock(&thread->lock);
	STAILQ_CONCAT(&messages, &thread->messages);
	STAILQ_CONCAT(&finished, &thread->finished);
	mutex_unlock(&thread->lock);
	while ((message = STAILQ_FIRST(&messages))) {
		STAILQ_REMOVE_HEAD(&messages, link);
		thread->cb(thread->aux, message);
		libvirt_message_destroy(message);
	}
	while ((job = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, link);
		job->done(job);
	}
}

#ifndef HAVE_LIBVIRT
/* Never started: creation says why. */
void *libvirt_thread_main(void *thread)
{
	return thread;
}
#endif

/* Signals are for the control thread. */
static int start(struct libvirt_thread *thread)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread->thread, NULL, libvirt_thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static void free_jobs(struct libvirt_jobs *jobs)
{
	struct libvirt_job *job;

	while ((job = STAILQ_FIRST(jobs))) {
		STAILQ_REMOVE_HEAD(jobs, link);
		libvirt_job_destroy(job);
	}
}

static void free_thread(struct libvirt_thread *thread) NO_THREAD_SAFETY_ANALYSIS
{
	struct libvirt_message *message;

	/* nobody else has it any more */
	free_jobs(&thread->jobs);
	free_jobs(&thread->finished);
	while ((message = STAILQ_FIRST(&thread->messages))) {
		STAILQ_REMOVE_HEAD(&thread->messages, link);
		libvirt_message_destroy(message);
	}
	if (thread->in_fd >= 0)
		close(thread->in_fd);
	if (thread->out_fd >= 0)
		close(thread->out_fd);
	mutex_uninit(&thread->lock);
	free(thread->uri);
	free(thread);
}

int libvirt_thread_create(const char *uri, libvirt_thread_cb *cb, void *aux,
			  struct libvirt_thread **threadp, struct error *e)
	NO_THREAD_SAFETY_ANALYSIS
{
	struct libvirt_thread *thread;
	int err;

	if (!LIBVIRT_IS_BUILT_IN)
		return error_set(e, EOPNOTSUPP,
				 "built without libvirt (./configure names its packages)");
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return error_set(e, ENOMEM, "out of memory");
	/* still alone with it: no lock */
	mutex_init(&thread->lock);
	STAILQ_INIT(&thread->jobs);
	STAILQ_INIT(&thread->finished);
	STAILQ_INIT(&thread->messages);
	thread->cb = cb;
	thread->aux = aux;
	thread->uri = strdup(uri);
	thread->in_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	thread->out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = thread->uri ? 0 : -ENOMEM;
	if (!err && (thread->in_fd < 0 || thread->out_fd < 0))
		err = -errno;
	if (!err)
		err = start(thread);
	if (!err) {
		*threadp = thread;
		return 0;
	}
	free_thread(thread);
	return error_set(e, err, "cannot start a thread for libvirt: %s", strerror(-err));
}

void libvirt_thread_destroy(struct libvirt_thread *thread)
{
	struct timespec until;

	if (!thread)
		return;
	mutex_lock(&thread->lock);
	thread->stopping = true;
	mutex_unlock(&thread->lock);
	wake(thread->in_fd);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LIBVIRT_STOP_S;
	if (pthread_timedjoin_np(thread->thread, NULL, &until)) {
		log_warn("libvirtd does not answer: leaving it behind");
		pthread_detach(thread->thread);
		return;
	}
	free_thread(thread);
}
