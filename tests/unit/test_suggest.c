/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "lib/suggest.h"

#include <string.h>

static const char *suggested(const char *word)
{
	static const char *const names[] = {"add-port", "del-port", "add-flow", "add-flows",
					    "show"};
	struct suggest s;

	suggest_init(&s, word);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		suggest_offer(&s, names[i]);
	return s.best;
}

static void test_near(void **state)
{
	(void)state;
	assert_string_equal(suggested("ad-port"), "add-port");
	assert_string_equal(suggested("add-prot"), "add-port");
	assert_string_equal(suggested("dell-port"), "del-port");
	assert_string_equal(suggested("sho"), "show");
	assert_string_equal(suggested("add-flwos"), "add-flows");
}

static void test_far(void **state)
{
	char word[500];

	(void)state;
	assert_null(suggested("x"));
	assert_null(suggested("balloon"));
	assert_null(suggested(""));
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(suggested(word));
}

static void test_text(void **state)
{
	struct suggest s;
	char buf[64];

	(void)state;
	suggest_init(&s, "shwo");
	assert_string_equal(suggest_format(&s, buf, sizeof(buf)), "");
	suggest_offer(&s, "show");
	assert_string_equal(suggest_format(&s, buf, sizeof(buf)), ", did you mean 'show'?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("suggest", tests, NULL, NULL);
}
