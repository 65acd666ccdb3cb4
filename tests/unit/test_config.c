/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "vswitchd/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mac1[6] = {2, 0, 0x5e, 0, 0x53, 1};
static const uint8_t mac2[6] = {2, 0, 0x5e, 0, 0x53, 2};

static struct config_rule initial = {.key = {0}, .text = "priority=0 actions=NORMAL"};

static void add_rule(struct config_bridge *bridge, uint8_t key, const char *text)
{
	uint8_t bytes[CONFIG_RULE_KEY_SIZE] = {key};

	assert_int_equal(config_append_rule(bridge, bytes, strdup(text)), 0);
}

/* A bridge as add-br makes it: with the initial rule. */
static struct config_bridge *add_bridge(struct config *config, const char *name)
{
	struct config_bridge *bridge = config_add_bridge(config, name, NULL);

	assert_non_null(bridge);
	add_rule(bridge, 0, initial.text);
	return bridge;
}

static struct config_port *add_port(struct config *config, const char *bridge, const char *name,
				    const char *type)
{
	struct config_port *port =
		config_add_port(config, config_lookup_bridge(config, bridge), name, type, NULL);

	assert_non_null(port);
	return port;
}

/* The diff as lines of commands; the caller frees. */
static char *diff(const struct config *from, const struct config *to)
{
	struct config_diff d;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(config_diff_create(from, to, &initial, &d), 0);
	for (size_t i = 0; i < d.n; i++) {
		char *line = config_action_format(&d.actions[i], NULL, NULL);

		assert_non_null(line);
		fprintf(out, "%s\n", line);
		free(line);
	}
	config_diff_uninit(&d);
	fclose(out);
	return text;
}

static void assert_diff(const struct config *from, const struct config *to, const char *expected)
{
	char *text = diff(from, to);

	assert_string_equal(text, expected);
	free(text);
}

/* Two bridges with one of everything. */
static void make_example(struct config *config)
{
	struct config_bridge *bridge;
	struct config_port *port;

	config_init(config);
	add_bridge(config, "br1");
	bridge = add_bridge(config, "br0");
	assert_int_equal(config_options_set(&bridge->options, "mac-limit", "16"), 0);
	port = add_port(config, "br0", "p1", "mem");
	assert_int_equal(config_options_set(&port->options, "queues", "2"), 0);
	add_port(config, "br0", "p0", "mem");
	port = add_port(config, "br0", "br0-c1", "afxdp");
	port->container = strdup("c1");
	assert_int_equal(config_options_set(&port->container_options, "ip", "192.0.2.1/24"), 0);
	bridge = config_lookup_bridge(config, "br0");
	assert_int_equal(config_set_mac(bridge, mac2, 7, "p1"), 0);
	assert_int_equal(config_set_mac(bridge, mac1, 0, "p0"), 0);
	add_rule(bridge, 5, "tcp,tp_dst=80 actions=output:1");
	assert_int_equal(config_assign_ofports(config, NULL, NULL), 0);
}

#define EXAMPLE                                                                                    \
	"add-br br0 mac-limit=16\n"                                                                \
	"add-br br1\n"                                                                             \
	"attach-container br0 c1 ip=192.0.2.1/24 type=afxdp ofport_request=1\n"                    \
	"add-port br0 p0 type=mem ofport_request=2\n"                                              \
	"add-port br0 p1 type=mem queues=2 ofport_request=3\n"                                     \
	"fdb-add br0 p0 02:00:5e:00:53:01\n"                                                       \
	"fdb-add br0 p1 02:00:5e:00:53:02 vlan=7\n"                                                \
	"add-flow br0 'tcp,tp_dst=80 actions=output:1'\n"

static void test_nothing_and_everything(void **state)
{
	struct config nothing, everything;

	(void)state;
	config_init(&nothing);
	make_example(&everything);
	assert_diff(&nothing, &nothing, "");
	assert_diff(&everything, &everything, "");
	assert_diff(&nothing, &everything, EXAMPLE);
	/* a bridge takes rules and addresses along, ports go one by one */
	assert_diff(&everything, &nothing,
		    "detach-container br0 c1\ndel-port br0 p0\ndel-port br0 p1\n"
		    "del-br br0\ndel-br br1\n");
	config_uninit(&everything);
}

static void test_clone_is_equal_without_rules(void **state)
{
	struct config example, copy;

	(void)state;
	make_example(&example);
	assert_int_equal(config_clone(&copy, &example), 0);
	assert_int_equal(config_lookup_bridge(&copy, "br0")->n_rules, 0);
	config_clear_rules(config_lookup_bridge(&example, "br0"));
	config_clear_rules(config_lookup_bridge(&example, "br1"));
	assert_diff(&example, &copy, "");
	assert_diff(&copy, &example, "");
	config_uninit(&example);
	config_uninit(&copy);
}

static void test_options_are_set_and_unset(void **state)
{
	struct config from, to;

	(void)state;
	make_example(&from);
	make_example(&to);
	assert_int_equal(config_options_set(&config_lookup_port(&to, NULL, "p1", NULL)->options,
					    "queues", NULL),
			 0);
	assert_int_equal(config_options_set(&config_lookup_port(&to, NULL, "p0", NULL)->options,
					    "rx", "/a file"),
			 0);
	assert_int_equal(
		config_options_set(&config_lookup_bridge(&to, "br0")->options, "mac-ageing", "10"),
		0);
	assert_diff(&from, &to,
		    "set-br br0 mac-ageing=10\nset-port br0 p0 'rx=/a file'\n"
		    "set-port br0 p1 queues=\n");
	config_uninit(&from);
	config_uninit(&to);
}

static void test_a_new_type_is_a_new_port(void **state)
{
	struct config from, to;
	struct config_port *port;

	(void)state;
	make_example(&from);
	make_example(&to);
	port = config_lookup_port(&to, NULL, "p0", NULL);
	free(port->type);
	port->type = strdup("tap");
	/* its static address went with it, and comes again */
	assert_diff(&from, &to,
		    "del-port br0 p0\nadd-port br0 p0 type=tap ofport_request=2\n"
		    "fdb-add br0 p0 02:00:5e:00:53:01\n");
	config_uninit(&from);
	config_uninit(&to);
}

static void test_a_port_moves_between_bridges(void **state)
{
	struct config from, to;

	(void)state;
	make_example(&from);
	make_example(&to);
	assert_int_equal(config_remove_mac(config_lookup_bridge(&to, "br0"), mac1, 0), 0);
	config_remove_port(config_lookup_bridge(&to, "br0"), "p0");
	add_port(&to, "br1", "p0", "mem");
	assert_int_equal(config_assign_ofports(&to, &from, NULL), 0);
	assert_diff(&from, &to,
		    "fdb-del br0 02:00:5e:00:53:01\ndel-port br0 p0\n"
		    "add-port br1 p0 type=mem ofport_request=1\n");
	config_uninit(&from);
	config_uninit(&to);
}

static void test_rules(void **state)
{
	struct config from, to;
	struct config_bridge *bridge;

	(void)state;
	make_example(&from);
	make_example(&to);
	bridge = config_lookup_bridge(&to, "br0");
	config_clear_rules(bridge);
	add_rule(bridge, 9, "udp actions=drop");
	add_rule(bridge, 0, "cookie=0x1, priority=0 actions=NORMAL");
	add_rule(bridge, 9, "udp actions=output:2");
	/* of two with one key the later one counts; the order is that of the new config */
	assert_diff(&from, &to,
		    "del-flows --strict br0 tcp,tp_dst=80\n"
		    "add-flow br0 'cookie=0x1, priority=0 actions=NORMAL'\n"
		    "add-flow br0 'udp actions=output:2'\n");
	config_uninit(&from);
	config_uninit(&to);
}

static void test_a_new_bridge_without_its_initial_rule(void **state)
{
	struct config nothing, to;

	(void)state;
	config_init(&nothing);
	config_init(&to);
	config_clear_rules(add_bridge(&to, "br0"));
	add_rule(config_lookup_bridge(&to, "br0"), 4, "arp actions=FLOOD");
	assert_diff(&nothing, &to, "add-br br0\ndel-flows br0\nadd-flow br0 'arp actions=FLOOD'\n");
	config_uninit(&to);
}

static void test_a_quote_in_a_word(void **state)
{
	struct config nothing, to;
	struct config_port *port;

	(void)state;
	config_init(&nothing);
	config_init(&to);
	add_bridge(&to, "br0");
	port = add_port(&to, "br0", "p0", "mem");
	assert_int_equal(config_options_set(&port->options, "tx", "it's"), 0);
	assert_diff(&nothing, &to, "add-br br0\nadd-port br0 p0 type=mem 'tx=it'\\''s'\n");
	config_uninit(&to);
}

static void test_numbers_of_ports(void **state)
{
	struct config before, config;
	struct error e = ERROR_INIT;

	(void)state;
	make_example(&before);
	config_init(&config);
	add_bridge(&config, "br0");
	add_port(&config, "br0", "new", "mem");
	add_port(&config, "br0", "p1", "mem");
	add_port(&config, "br0", "asked", "mem")->ofport = 1;
	assert_int_equal(config_assign_ofports(&config, &before, &e), 0);
	assert_int_equal(config_lookup_port(&config, NULL, "asked", NULL)->ofport, 1);
	assert_int_equal(config_lookup_port(&config, NULL, "p1", NULL)->ofport, 3); /* as before */
	assert_int_equal(config_lookup_port(&config, NULL, "new", NULL)->ofport, 2);
	add_port(&config, "br0", "too", "mem")->ofport = 1;
	assert_int_equal(config_assign_ofports(&config, &before, &e), -EINVAL);
	assert_string_equal(e.text, "port too: ofport=1 is taken in bridge br0");
	config_lookup_port(&config, NULL, "too", NULL)->ofport = 0xff00;
	assert_int_equal(config_assign_ofports(&config, &before, &e), -EINVAL);
	config_uninit(&config);
	config_uninit(&before);
}

static void test_names(void **state)
{
	static const char *const good[] = {"p0", "eth0.100", "a-b_c", "veth@if", "x+y", "0x"};
	static const char *const bad[] = {"",	"17",	 "a b", "a=b", "a,b",	   "a/b", "NORMAL",
					  "..", "local", "-x",	"a\n", "\xc3\xa4", "'",	  "$x"};
	struct config config;
	struct error e = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(config_check_name("port", good[i], CONFIG_NAME_SIZE, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_check_name("port", bad[i], CONFIG_NAME_SIZE, &e), -EINVAL);
	assert_int_equal(
		config_check_name("bridge", "0123456789abcde", CONFIG_BRIDGE_NAME_SIZE, &e), 0);
	assert_int_equal(
		config_check_name("bridge", "0123456789abcdef", CONFIG_BRIDGE_NAME_SIZE, &e),
		-EINVAL);

	/* names are unique over bridges and all of their ports */
	config_init(&config);
	add_bridge(&config, "br0");
	add_bridge(&config, "br1");
	add_port(&config, "br0", "p0", "mem");
	assert_null(config_add_bridge(&config, "br0", &e));
	assert_null(config_add_bridge(&config, "p0", &e));
	assert_null(
		config_add_port(&config, config_lookup_bridge(&config, "br1"), "p0", "mem", &e));
	assert_null(
		config_add_port(&config, config_lookup_bridge(&config, "br1"), "br0", "mem", &e));
	config_uninit(&config);
}

static void test_addresses_are_replaced(void **state)
{
	struct config config;
	struct config_bridge *bridge;

	(void)state;
	config_init(&config);
	bridge = add_bridge(&config, "br0");
	assert_int_equal(config_set_mac(bridge, mac1, 0, "p0"), 0);
	assert_int_equal(config_set_mac(bridge, mac1, 0, "p1"), 0);
	assert_int_equal(bridge->n_macs, 1);
	assert_string_equal(bridge->macs[0].port, "p1");
	assert_int_equal(config_remove_mac(bridge, mac1, 5), -ENOENT);
	assert_int_equal(config_remove_mac(bridge, mac1, 0), 0);
	assert_int_equal(bridge->n_macs, 0);
	config_uninit(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_and_everything),
		cmocka_unit_test(test_clone_is_equal_without_rules),
		cmocka_unit_test(test_options_are_set_and_unset),
		cmocka_unit_test(test_a_new_type_is_a_new_port),
		cmocka_unit_test(test_a_port_moves_between_bridges),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_a_new_bridge_without_its_initial_rule),
		cmocka_unit_test(test_a_quote_in_a_word),
		cmocka_unit_test(test_numbers_of_ports),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_addresses_are_replaced),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
