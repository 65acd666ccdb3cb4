/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"
#include "openflow/bridge.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

static int setup(void **state)
{
	struct bridge_table *table;

	assert_int_equal(bridge_table_create(&table, NULL), 0);
	*state = table;
	return 0;
}

static int teardown(void **state)
{
	bridge_table_destroy(*state);
	return 0;
}

static struct bridge *create(struct bridge_table *table, const char *name)
{
	struct bridge *bridge;

	assert_int_equal(bridge_create(table, name, &bridge, NULL), 0);
	return bridge;
}

/* Adds a port; returns its OpenFlow number, or the error. */
static int add(struct bridge *bridge, const char *name, uint32_t port_no, uint32_t request)
{
	struct bridge_port_config config = {
		.name = name, .port_no = port_no, .ofport_request = request};
	struct error err = ERROR_INIT;
	uint32_t ofport;
	int rc = bridge_add_port(bridge, &config, &ofport, &err);

	assert_int_equal(rc == 0, err.text[0] == '\0');
	return rc ? rc : (int)ofport;
}

static void test_bridges(void **state)
{
	static const char *const bad[] = {"",	"a b", "0123456789abcdef", "-a",
					  ".", "br/0", "\xc3\xa4"};
	struct bridge *br0 = create(*state, "br0"), *br1 = create(*state, "br-1.x_"), *other;
	struct error err = ERROR_INIT;

	assert_ptr_equal(bridge_lookup(*state, "br0"), br0);
	assert_null(bridge_lookup(*state, "br"));
	assert_string_equal(bridge_get_name(br1), "br-1.x_");
	assert_ptr_equal(bridge_get_next(*state, NULL), br0);
	assert_ptr_equal(bridge_get_next(*state, br0), br1);
	assert_null(bridge_get_next(*state, br1));
	assert_int_equal(bridge_create(*state, "br0", &other, &err), -EEXIST);
	assert_string_equal(err.text, "there is a bridge 'br0' already");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(bridge_create(*state, bad[i], &other, &err), -EINVAL);
	assert_int_equal(flow_table_get_n_rules(bridge_get_flow_table(br0), 0), 1);
	bridge_destroy(br0);
	assert_null(bridge_lookup(*state, "br0"));
	assert_ptr_equal(bridge_get_next(*state, NULL), br1);
}

static void test_numbers(void **state)
{
	struct bridge *br = create(*state, "br0"), *br1 = create(*state, "br1");
	struct bridge_port_info info;

	assert_int_equal(add(br, "p1", 101, 0), 1);
	assert_int_equal(add(br, "p2", 102, 0), 2);
	assert_int_equal(add(br, "p9", 109, 9), 9);
	assert_int_equal(add(br, "br0", 110, OFPORT_LOCAL), OFPORT_LOCAL);
	assert_int_equal(add(br1, "q1", 103, 0), 1);
	/* names, numbers and datapath ports are somebody's already, or no such things */
	assert_int_equal(add(br, "p1", 120, 0), -EEXIST);
	assert_int_equal(add(br1, "p1", 120, 0), -EEXIST);
	assert_int_equal(add(br, "px", 103, 0), -EEXIST);
	assert_int_equal(add(br, "px", 120, 9), -EEXIST);
	assert_int_equal(add(br, "px", 0, 0), -ERANGE);
	assert_int_equal(add(br, "px", PORT_NO_MAX + 1, 0), -ERANGE);
	assert_int_equal(add(br, "px", 120, OFPORT_MAX + 1), -ERANGE);
	assert_int_equal(add(br, "", 120, 0), -EINVAL);
	/* a number stays with its name */
	assert_int_equal(bridge_remove_port(br, "p1", NULL), 0);
	assert_int_equal(add(br, "p3", 104, 0), 3);
	assert_int_equal(add(br, "p1", 105, 0), 1);
	/* unless somebody asks for it */
	assert_int_equal(bridge_remove_port(br, "p2", NULL), 0);
	assert_int_equal(add(br, "new", 106, 2), 2);
	assert_int_equal(add(br, "p2", 107, 0), 4);
	assert_int_equal(bridge_remove_port(br, "nobody", NULL), -ENOENT);

	assert_true(bridge_lookup_port(br, "new", &info));
	assert_int_equal(info.ofport, 2);
	assert_int_equal(info.port_no, 106);
	assert_true(bridge_lookup_ofport(br, 9, &info));
	assert_string_equal(info.name, "p9");
	assert_false(bridge_lookup_ofport(br, 77, NULL));
	assert_false(bridge_lookup_port(br, "q1", NULL));
	assert_ptr_equal(bridge_table_lookup_port(*state, "q1"), br1);
	assert_int_equal(bridge_get_n_ports(br), 6);
}

static void append_port(void *aux, const struct bridge_port_info *info)
{
	char *text = aux;

	sprintf(text + strlen(text), "%s:%u ", info->name, info->ofport);
}

static void test_dump_in_order(void **state)
{
	struct bridge *br = create(*state, "br0");
	char text[100] = "";

	add(br, "br0", 1, OFPORT_LOCAL);
	add(br, "c", 2, 30);
	add(br, "a", 3, 10);
	add(br, "b", 4, 20);
	bridge_dump_ports(br, append_port, text);
	assert_string_equal(text, "a:10 b:20 c:30 br0:65534 ");
}

static void test_many_ports(void **state)
{
	struct bridge *br = create(*state, "br0");
	char name[16];

	for (uint32_t i = 1; i <= PORT_NO_MAX; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(add(br, name, i, 0), (int)i);
		rcu_quiesce();
	}
	assert_int_equal(bridge_get_n_ports(br), PORT_NO_MAX);
}

static void test_options(void **state UNUSED)
{
	static const struct {
		struct port_option options[2];
		int expected;
	} cases[] = {
		{{{"tag", "10"}, {"mode", "native"}}, 0},
		{{{"trunks", "1,5-9"}, {"ofport_request", "65279"}}, 0},
		{{{"tag", "0"}, {"trunks", "5"}}, 0},
		{{{"tag", "10"}, {"trunks", "5"}}, -EINVAL},
		{{{"tag", "4095"}, {"mode", "x"}}, -EINVAL},
		{{{"tag", ""}, {"mode", "x"}}, -EINVAL},
		{{{"tag", "-1"}, {"mode", "x"}}, -EINVAL},
		{{{"tag", "1x"}, {"mode", "x"}}, -EINVAL},
		{{{"trunks", "x"}, {"mode", "x"}}, -EINVAL},
		{{{"ofport_request", "0"}, {"mode", "x"}}, -EINVAL},
		{{{"ofport_request", "65280"}, {"mode", "x"}}, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bridge_port_config config = {0};
		struct error err = ERROR_INIT;

		assert_int_equal(bridge_port_config_parse(cases[i].options, 2, &config, &err),
				 cases[i].expected);
		assert_int_equal(cases[i].expected == 0, err.text[0] == '\0');
	}
	assert_true(bridge_port_option_is_known("tag"));
	assert_false(bridge_port_option_is_known("mode"));
}

static void test_set_port(void **state)
{
	struct bridge *br = create(*state, "br0");
	struct bridge_port_config config = {.name = "p1", .tag = 20};
	struct bridge_port_info info;

	add(br, "p1", 1, 0);
	assert_int_equal(bridge_set_port(br, &config, NULL), 0);
	assert_true(bridge_lookup_port(br, "p1", &info));
	assert_int_equal(info.tag, 20);
	assert_int_equal(info.port_no, 1);
	config.ofport_request = 1;
	assert_int_equal(bridge_set_port(br, &config, NULL), 0);
	config.ofport_request = 2;
	assert_int_equal(bridge_set_port(br, &config, NULL), -EOPNOTSUPP);
	config.name = "p2";
	assert_int_equal(bridge_set_port(br, &config, NULL), -ENOENT);
}

static void count_mac(void *aux, const struct mac_entry_info *info)
{
	uint32_t *ofport = aux;

	*ofport = info->ofport;
}

static void test_static_macs(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, group[6] = {1, 0, 0, 0, 0, 1};
	struct bridge *br = create(*state, "br0");
	struct mac_table_stats stats;
	uint32_t ofport = 0;

	add(br, "p1", 1, 7);
	assert_int_equal(bridge_add_static_mac(br, mac, 0, "p1", NULL), 0);
	assert_int_equal(bridge_add_static_mac(br, mac, 0, "p2", NULL), -ENOENT);
	assert_int_equal(bridge_add_static_mac(br, group, 0, "p1", NULL), -EINVAL);
	assert_int_equal(bridge_add_static_mac(br, mac, 4095, "p1", NULL), -EINVAL);
	bridge_dump_fdb(br, count_mac, &ofport);
	assert_int_equal(ofport, 7);
	assert_int_equal(bridge_flush_fdb(br), 0);
	assert_int_equal(bridge_remove_mac(br, mac, 0, NULL), 0);
	assert_int_equal(bridge_remove_mac(br, mac, 0, NULL), -ENOENT);
	/* a port that goes takes its static entries along */
	assert_int_equal(bridge_add_static_mac(br, mac, 0, "p1", NULL), 0);
	assert_int_equal(bridge_remove_port(br, "p1", NULL), 0);
	bridge_get_fdb_stats(br, &stats);
	assert_int_equal(stats.n_entries, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bridges),	TEST(test_numbers),
		TEST(test_dump_in_order), TEST(test_many_ports),
		TEST(test_set_port),	TEST(test_static_macs),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests_name("bridge", tests, rcu_group_setup, rcu_group_teardown);
}
