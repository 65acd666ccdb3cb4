/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/strbuf.h"
#include "tests/unit/test.h"

#include <string.h>

static void test_append(void **state UNUSED)
{
	struct strbuf sb = STRBUF_INIT;

	assert_string_equal(strbuf_get(&sb), "");
	strbuf_puts(&sb, "port ");
	strbuf_put_decimal(&sb, 0);
	strbuf_putc(&sb, ' ');
	strbuf_put_decimal(&sb, UINT64_MAX);
	strbuf_putc(&sb, ' ');
	strbuf_put_hex(&sb, 0x5f, 4);
	strbuf_putc(&sb, ' ');
	strbuf_put_hex(&sb, UINT64_MAX, 99);
	strbuf_printf(&sb, " %s=%d", "x", -1);
	assert_string_equal(strbuf_get(&sb),
			    "port 0 18446744073709551615 005f ffffffffffffffff x=-1");
	assert_int_equal(sb.length, strlen(strbuf_get(&sb)));
	strbuf_clear(&sb);
	assert_string_equal(strbuf_get(&sb), "");
	strbuf_uninit(&sb);
}

/* every length around the points where it grows, both ways of appending */
static void test_growth(void **state UNUSED)
{
	for (size_t length = 0; length < 600; length++) {
		struct strbuf sb = STRBUF_INIT, printed = STRBUF_INIT;

		for (size_t i = 0; i < length; i++)
			strbuf_putc(&sb, (char)('a' + i % 26));
		assert_int_equal(sb.length, length);
		assert_int_equal(strlen(strbuf_get(&sb)), length);
		strbuf_printf(&printed, "%s", strbuf_get(&sb));
		assert_string_equal(strbuf_get(&sb), strbuf_get(&printed));
		strbuf_uninit(&sb);
		strbuf_uninit(&printed);
	}
}

static void test_detach(void **state UNUSED)
{
	struct strbuf sb = STRBUF_INIT;
	char *text = strbuf_detach(&sb);

	assert_string_equal(text, "");
	free(text);
	strbuf_puts(&sb, "rule");
	text = strbuf_detach(&sb);
	assert_string_equal(text, "rule");
	free(text);
	assert_null(sb.text);
}

/* out of memory is remembered, what was there stays */
static void test_failure(void **state UNUSED)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "kept");
	strbuf_put(&sb, "x", SIZE_MAX - 16);
	assert_true(sb.failed);
	strbuf_puts(&sb, "more");
	assert_string_equal(strbuf_get(&sb), "kept");
	assert_null(strbuf_detach(&sb));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
