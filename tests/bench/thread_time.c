// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/thread_time.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Processor time of one thread, ns; 0 when it is gone. */
static uint64_t read_ns(pid_t pid, pid_t tid)
{
	char path[64];
	uint64_t ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

void thread_time_sample(pid_t pid, struct thread_time *sample)
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	sample->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return;
	while (sample->n < THREAD_TIME_MAX && (entry = readdir(tasks))) {
		pid_t tid = (pid_t)atoi(entry->d_name);

		if (tid <= 0)
			continue;
		sample->tids[sample->n] = tid;
		sample->ns[sample->n++] = read_ns(pid, tid);
	}
	closedir(tasks);
}

uint64_t thread_time_busiest(const struct thread_time *before, const struct thread_time *after)
{
	uint64_t most = 0;

	for (unsigned int i = 0; i < after->n; i++) {
		for (unsigned int k = 0; k < before->n; k++) {
			if (before->tids[k] == after->tids[i] &&
			    after->ns[i] - before->ns[k] > most)
				most = after->ns[i] - before->ns[k];
		}
	}
	return most;
}
