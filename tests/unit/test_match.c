/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/match.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include "lib/util.h"

static void test_covers_key(void **state UNUSED)
{
	struct match match = {
		.value = {.dl_type = htons(0x0800), .nw_dst = htonl(0xc0000200)},
		.mask = {.dl_type = 0xffff, .nw_dst = htonl(0xffffff00)},
	};
	struct flow_key key = {.dl_type = htons(0x0800), .nw_dst = htonl(0xc0000207), .nw_ttl = 3};

	assert_true(match_covers_key(&match, &key));
	key.nw_dst = htonl(0xc0000307);
	assert_false(match_covers_key(&match, &key));
}

static void test_equals(void **state UNUSED)
{
	struct match a = {.value = {.in_port = 1}, .mask = {.in_port = UINT32_MAX}};
	struct match b = a;

	assert_true(match_equals(&a, &b));
	b.mask.arp_tha[5] = 1;
	assert_false(match_equals(&a, &b));
	b = a;
	b.value.in_port = 2;
	assert_false(match_equals(&a, &b));
}

static void test_covers(void **state UNUSED)
{
	struct match all = {0};
	struct match net = {.value = {.nw_src = htonl(0x0a000000)},
			    .mask = {.nw_src = htonl(0xff000000)}};
	struct match host = {.value = {.nw_src = htonl(0x0a000001)},
			     .mask = {.nw_src = UINT32_MAX}};
	struct match other = {.value = {.nw_src = htonl(0x0b000001)},
			      .mask = {.nw_src = UINT32_MAX}};

	assert_true(match_covers(&all, &net));
	assert_true(match_covers(&net, &host));
	assert_true(match_covers(&net, &net));
	assert_false(match_covers(&host, &net));
	assert_false(match_covers(&net, &other));
	assert_false(match_covers(&net, &all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_covers_key),
		cmocka_unit_test(test_equals),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
