/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "vswitchd/process.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_identity(void **state)
{
	char pid[16], first[PROCESS_IDENTITY_SIZE], again[PROCESS_IDENTITY_SIZE];
	char child[PROCESS_IDENTITY_SIZE];
	pid_t child_pid;

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_true(process_get_identity(pid, first));
	/* 36 characters of a UUID, a slash, and a number other than 0 */
	assert_int_equal(first[36], '/');
	assert_true(strtoull(first + 37, NULL, 10) > 0);
	assert_true(process_get_identity(pid, again));
	assert_string_equal(first, again);

	/* a name that looks like fields changes nothing */
	assert_int_equal(prctl(PR_SET_NAME, "x) R 1 2 3 4"), 0);
	assert_true(process_get_identity(pid, again));
	assert_string_equal(first, again);

	/* clock ticks are coarse: a later process has a later one */
	usleep(30000);
	child_pid = fork();
	if (child_pid == 0) {
		pause();
		_exit(0);
	}
	snprintf(pid, sizeof(pid), "%d", (int)child_pid);
	assert_true(process_get_identity(pid, child));
	assert_string_not_equal(first, child);
	assert_memory_equal(first, child, 37);
	kill(child_pid, SIGKILL);
	waitpid(child_pid, NULL, 0);
	assert_false(process_get_identity(pid, child));
}

static void test_no_process(void **state)
{
	static const char *const words[] = {"", "web", "12x", "-1", "/1", "99999999999", "4194305"};
	char identity[PROCESS_IDENTITY_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_false(process_get_identity(words[i], identity));
		assert_string_equal(identity, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
