/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of the control protocol, given to a whole switch on mem ports, without a socket and with
 * its store in memory-backed files. Whatever a line holds, the answer is one line of JSON, a result
 * or an error with a code and words; and the switch can still be stopped in order.
 *
 * An input is a number of lines, run one after the other on one switch, which is then taken down:
 * no input sees what an earlier one did. Options that name files (rx=, tx=) and types that need
 * devices are left to other tests: a line that holds them is passed over.
 */
#include "tests/fuzz/fuzz.h"

#include "ctl/protocol.h"
#include "lib/log.h"
#include "vswitchd/methods.h"
#include "vswitchd/vswitch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 64

static char statedir[64];

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void remove_store(void)
{
	static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", statedir, STORE_FILE_NAME, parts[i]);
		unlink(path);
	}
}

static void remove_statedir(void)
{
	remove_store();
	rmdir(statedir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* lines are refused by the thousand */
	log_set_level(LOG_LEVEL_ERROR);
	strcpy(statedir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/vswitch-fuzz-XXXXXX"
						       : "/tmp/vswitch-fuzz-XXXXXX");
	check(mkdtemp(statedir) != NULL);
	atexit(remove_statedir);
	return 0;
}

static struct vswitch *start(void)
{
	const struct vswitch_options options = {
		.datapath = {.n_workers = 1, .n_frames = 1024},
		.rundir = "/nowhere",
		.statedir = statedir,
	};
	struct error e = ERROR_INIT;
	struct vswitch *vs;

	remove_store();
	check(vswitch_create(&options, &vs, &e) == 0);
	check(vswitch_start(vs, &e) == 0);
	return vs;
}

/* One line, ended by a newline: a JSON object with either a result, or an error that says
 * something. */
static void check_answer(const char *answer, size_t size)
{
	struct error e = ERROR_INIT;
	json_t *message, *error;

	check(size > 0 && memchr(answer, '\n', size) == answer + size - 1);
	check(protocol_parse(answer, size - 1, 64, &message, &e) == 0);
	error = json_object_get(message, "error");
	check(!error != !json_object_get(message, "result"));
	if (error) {
		check(json_integer_value(json_object_get(error, "code")) < 0);
		check(json_string_length(json_object_get(error, "message")) > 0);
	}
	json_decref(message);
}

/* Would the line reach beyond the process? */
static bool reaches_out(const char *line, size_t size)
{
	static const char *const words[] = {"rx",     "tx",	    "\\u",  "container",
					    "packet", "afxdp",	    "tap",  "internal",
					    "vhost",  "add-port\"", "local"};

	/* ports are added by those who say type=mem, bridges by those who say local=no */
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *found = memmem(line, size, words[i], strlen(words[i]));

		if (!found)
			continue;
		if (strcmp(words[i], "add-port\"") == 0 &&
		    memmem(line, size, "\"type\":\"mem\"", 12))
			continue;
		if (strcmp(words[i], "local") == 0 && memmem(line, size, "\"local\":\"no\"", 12))
			continue;
		if (strcmp(words[i], "packet") == 0 && memmem(line, size, "\"trace\"", 7))
			continue;
		return true;
	}
	return memmem(line, size, "add-br", 6) && !memmem(line, size, "\"local\":\"no\"", 12);
}

static void run_line(struct vswitch *vs, const char *line, size_t size)
{
	size_t answer_size;
	char *answer, *copy;

	if (reaches_out(line, size))
		return;
	/* as long as it is, so that a sanitizer sees who reads past its end */
	copy = malloc(size ? size : 1);
	memcpy(copy, line, size);
	answer = rpc_run(methods, vs, NULL, copy, size, &answer_size);
	if (answer)
		check_answer(answer, answer_size);
	free(answer);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	struct vswitch *vs = start();

	for (int i = 0; i < LINES_MAX && text < end; i++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline ? newline : end) - text);

		run_line(vs, text, length);
		text += length + 1;
	}
	vswitch_run(vs);
	vswitch_destroy(vs);
	remove_store();
	return 0;
}
