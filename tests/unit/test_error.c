/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/error.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state UNUSED)
{
	struct error e = ERROR_INIT;

	errno = ENOENT;
	assert_int_equal(error_set(&e, errno, "cannot open %s: %m", "p0"), -ENOENT);
	assert_string_equal(e.text, "cannot open p0: No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void test_sign(void **state UNUSED)
{
	struct error e;

	assert_int_equal(error_set(&e, -EBUSY, "x"), -EBUSY);
	assert_int_equal(error_set(&e, 0, "x"), -EINVAL);
	assert_int_equal(error_prefix(&e, EBUSY, "x"), -EBUSY);
}

static void test_null(void **state UNUSED)
{
	assert_int_equal(error_set(NULL, EPERM, "%d", 1), -EPERM);
	assert_int_equal(error_prefix(NULL, EPERM, "%d", 1), -EPERM);
}

static void test_prefix(void **state UNUSED)
{
	struct error e = ERROR_INIT;

	assert_int_equal(error_set(&e, EINVAL, "no such field"), -EINVAL);
	assert_int_equal(error_prefix(&e, EINVAL, "line %d", 3), -EINVAL);
	assert_int_equal(error_prefix(&e, EINVAL, "%s", "rules.flows"), -EINVAL);
	assert_string_equal(e.text, "rules.flows: line 3: no such field");
}

static void test_own_text_as_argument(void **state UNUSED)
{
	struct error e = ERROR_INIT;

	(void)error_set(&e, EINVAL, "inner");
	(void)error_set(&e, EINVAL, "outer (%s)", e.text);
	assert_string_equal(e.text, "outer (inner)");
}

static void test_long_text_is_cut(void **state UNUSED)
{
	struct error e;
	char big[2 * ERROR_TEXT_SIZE];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(error_set(&e, E2BIG, "%s", big), -E2BIG);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
	assert_int_equal(error_prefix(&e, E2BIG, "%s", big), -E2BIG);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
	assert_int_equal(error_prefix(&e, E2BIG, "b"), -E2BIG);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
	assert_memory_equal(e.text, "b: aaa", 6);
}

/* each multi-byte character, cut after each of its bytes, is whole or gone */
static void test_cut_on_character(void **state UNUSED)
{
	static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x9f"};
	char text[2 * ERROR_TEXT_SIZE];
	struct error e;

	for (size_t c = 0; c < ARRAY_SIZE(characters); c++) {
		size_t size = strlen(characters[c]);

		for (size_t fits = 0; fits <= size; fits++) {
			size_t ahead = ERROR_TEXT_SIZE - 1 - fits;

			memset(text, 'a', ahead);
			strcpy(text + ahead, characters[c]);
			strcat(text, "z");
			(void)error_set(&e, E2BIG, "%s", text);
			assert_int_equal(strlen(e.text), fits == size ? ahead + size : ahead);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_own_text_as_argument),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_cut_on_character),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
