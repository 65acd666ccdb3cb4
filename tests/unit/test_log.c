/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/clock.h"
#include "lib/log.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4
#define LINES 200
#define LINE "a line that is long enough to be torn apart if two threads wrote it in pieces"

static FILE *captured; /* what went to standard error since capture_start() */
static int real_stderr;

static void capture_start(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	real_stderr = dup(STDERR_FILENO);
	assert_true(real_stderr >= 0);
	assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* The captured bytes, NUL-terminated, to be freed. */
static char *capture_stop(void)
{
	long size;
	char *text;

	assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
	close(real_stderr);
	assert_int_equal(fseek(captured, 0, SEEK_END), 0);
	size = ftell(captured);
	assert_true(size >= 0);
	rewind(captured);
	text = calloc(1, (size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, captured), size);
	fclose(captured);
	return text;
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_levels(void **state UNUSED)
{
	unsigned int evaluated = 0;
	char *text;

	capture_start();
	log_open(LOG_TO_STDERR, "unit");
	log_set_level(LOG_LEVEL_WARN);
	log_error("one");
	log_warn("two %u", ++evaluated);
	log_info("three %u", ++evaluated);
	log_debug("four %u", ++evaluated);
	log_set_level(LOG_LEVEL_INFO);
	text = capture_stop();
	assert_int_equal(count_lines(text), 2);
	assert_non_null(strstr(text, " unit error: one\n"));
	assert_non_null(strstr(text, " unit warning: two 1\n"));
	assert_int_equal(evaluated, 1);
	free(text);
}

static void test_names(void **state UNUSED)
{
	enum log_level level;

	for (int i = 0; i < LOG_N_LEVELS; i++) {
		assert_int_equal(log_level_parse(log_level_format((enum log_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("WARN", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_string_equal(log_level_format(LOG_N_LEVELS), "?");
}

static void test_line_cannot_be_forged(void **state UNUSED)
{
	char big[2 * LOG_LINE_SIZE];
	char *text;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	capture_start();
	errno = ENOENT;
	log_warn("name a\nb\x1b[2J\x7f: %m");
	assert_int_equal(errno, ENOENT);
	log_warn("%s", big);
	text = capture_stop();
	assert_int_equal(count_lines(text), 2);
	assert_non_null(strstr(text, "name a?b?[2J?: No such file or directory\n"));
	free(text);
}

static void test_bucket(void **state UNUSED)
{
	struct log_limit limit = {0};
	uint64_t now = CLOCK_NS_PER_S;
	uint32_t suppressed = 99;

	for (int i = 0; i < LOG_LIMIT_BURST; i++) {
		assert_true(log_limit_admit(&limit, now, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	for (int i = 0; i < 5; i++)
		assert_false(log_limit_admit(&limit, now, &suppressed));
	now += CLOCK_NS_PER_S - 1;
	assert_false(log_limit_admit(&limit, now, &suppressed));
	now += 1;
	assert_true(log_limit_admit(&limit, now, &suppressed));
	assert_int_equal(suppressed, 6);
	assert_false(log_limit_admit(&limit, now, &suppressed));

	/* a long pause fills it to the brim and not beyond; a clock that stands still is fine */
	now += 1000 * CLOCK_NS_PER_S;
	for (int i = 0; i < LOG_LIMIT_BURST; i++)
		assert_true(log_limit_admit(&limit, now, &suppressed));
	assert_false(log_limit_admit(&limit, now, &suppressed));
	assert_false(log_limit_admit(&limit, now - 5, &suppressed));
}

static void test_limited_says_how_many(void **state UNUSED)
{
	struct log_limit limit = {0};
	char *text;

	capture_start();
	for (int i = 0; i < LOG_LIMIT_BURST + 7; i++)
		log_write_limited(&limit, LOG_LEVEL_WARN, "flood %d", i);
	spinlock_lock(&limit.lock);
	limit.refilled_ns -= 2 * CLOCK_NS_PER_S;
	spinlock_unlock(&limit.lock);
	log_write_limited(&limit, LOG_LEVEL_WARN, "flood");
	text = capture_stop();
	assert_int_equal(count_lines(text), LOG_LIMIT_BURST + 1);
	assert_non_null(strstr(text, "flood (7 more like this suppressed)\n"));
	free(text);
}

static void *write_lines(void *arg UNUSED)
{
	for (int i = 0; i < LINES; i++)
		log_warn(LINE);
	return NULL;
}

static void test_lines_stay_whole(void **state UNUSED)
{
	pthread_t threads[THREADS];
	unsigned int whole = 0;
	const char *rest = " unit warning: " LINE;
	char *text;

	capture_start();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	text = capture_stop();
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		whole += strcmp(line + strlen("2026-01-01T00:00:00.000Z"), rest) == 0;
	assert_int_equal(whole, THREADS * LINES);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_line_cannot_be_forged),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_limited_says_how_many),
		cmocka_unit_test(test_lines_stay_whole),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
