/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP and internal ports: real sockets of the kernel at the far side, on the device or in a
 * namespace that it was moved to.
 */
#include "config.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "datapath/port_tap.h"
#include "tests/system/traffic.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

/* Ping, TCP both ways and families, from namespace to namespace. */
static void test_traffic(void **state)
{
	const char *options = *state;
	struct datapath *dp = bed_create_datapath(2, 0);

	bed_add_typed_port(dp, "tap", "ta", options);
	bed_add_typed_port(dp, "tap", "tb", options);
	traffic_add_namespaces("ta", "tb");
	traffic_run(dp);
	assert_string_equal(bed_get_status(dp, 1, "namespace"), "moved to another one");
	traffic_remove_ports(dp, 2);
	traffic_remove_namespaces();
}

/* A packet of 64 KiB that the host sends arrives as one, with its offloads; and the other way. */
static void test_offloads(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	uint32_t mem;

	bed_add_typed_port(dp, "tap", "t0", "");
	bed_run("sysctl -qw net.ipv6.conf.t0.disable_ipv6=1");
	mem = bed_add_typed_port(dp, "mem", "m0", "collect=on csum=on gso=on");
	traffic_check_offloads("t0", datapath_get_port(dp, mem));
	traffic_remove_ports(dp, 2);
}

/* An interface that is down takes nothing, and that is counted. */
static void test_down(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .payload_len = 100};
	struct port_counters sum;
	uint8_t frame[256];
	uint32_t len = frame_build(&spec, frame), tap;
	struct port *mem;

	tap = bed_add_typed_port(dp, "tap", "t0", "");
	mem = datapath_get_port(dp, bed_add_typed_port(dp, "mem", "m0", ""));
	bed_run("ip link set t0 down");
	assert_int_equal(port_mem_inject(mem, 0, frame, len, NULL), 0);
	for (int tries = 0; tries < 200; tries++) {
		bed_get_counters(dp, tap, &sum);
		if (sum.drops[DROP_TX_DOWN])
			break;
		usleep(10000);
	}
	assert_int_equal(sum.drops[DROP_TX_DOWN], 1);
	assert_int_equal(sum.tx_packets, 0);
	assert_false(port_get_link(datapath_get_port(dp, tap)));
	bed_run("ip link set t0 up");
	assert_int_equal(datapath_get_port(dp, tap)->class->refresh(datapath_get_port(dp, tap)), 0);
	assert_true(port_get_link(datapath_get_port(dp, tap)));
	traffic_remove_ports(dp, 2);
}

/* The bridge's own interface: the host's addresses answer, and it is gone with the port. */
static void test_internal(void **state UNUSED)
{
	static const char *const names[] = {"a", NULL};
	struct datapath *dp = bed_create_datapath(1, 0);
	uint32_t no;

	no = bed_add_typed_port(dp, "internal", "br0",
				"ip=198.51.100.254/24,2001:db8:1::fe/64 mtu=1400 "
				"mac=02:00:5e:00:53:fe");
	assert_int_equal(datapath_get_port(dp, no)->caps.max_len, 1418);
	bed_add_typed_port(dp, "tap", "ta", "");
	bed_add_namespaces(names);
	bed_run("ip link set ta netns a");
	bed_run_in("a", "ip addr add 198.51.100.1/24 dev ta");
	bed_run_in("a", "ip addr add 2001:db8:1::1/64 dev ta nodad");
	bed_run_in("a", "ip link set ta up mtu 1400");
	bed_run_in("a", "ping -qc 2 -i 0.05 -W 5 198.51.100.254 >/dev/null");
	bed_run_in("a", "ping -qc 2 -i 0.05 -W 5 2001:db8:1::fe >/dev/null");
	bed_run_in("a", "ip neigh show 198.51.100.254 | grep -q 02:00:5e:00:53:fe");
	traffic_remove_ports(dp, 2);
	bed_run("ip netns del a");
	assert_int_equal(if_nametoindex("br0"), 0);
}

/* Opens a port, without a worker, of the class; the caller closes it. */
static struct port *open_alone(struct datapath *dp, const char *name, struct port_option *options,
			       size_t n_options)
{
	const struct port_config config = {
		.name = name, .options = options, .n_options = n_options, .n_workers = 1};
	struct error err = ERROR_INIT;
	struct port *port;

	if (port_tap_class.open(dp, &config, &port, &err))
		fail_msg("%s", err.text);
	return port;
}

/* What the host sends while nobody reads is lost in the kernel, and that is seen. */
static void test_kernel_drops(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port *port = open_alone(dp, "t0", NULL, 0);
	struct port_counters sum;
	uint8_t frame[60];
	int fd;

	bed_run("sysctl -qw net.ipv6.conf.t0.disable_ipv6=1");
	bed_run("ip link set t0 txqueuelen 10");
	fd = bed_open_raw("t0", false);
	bed_fill(frame, sizeof(frame), 1);
	for (int i = 0; i < 100; i++)
		(void)!send(fd, frame, sizeof(frame), 0);
	assert_int_equal(port->class->refresh(port), 0);
	port_sum_counters(port, &sum);
	/* A few more or less: the host may have something to say of its own. */
	assert_in_range(sum.drops[DROP_SOCKET_RX], 80, 100);
	close(fd);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
}

/* The device goes away under traffic: the worker does not spin, the port says so, frames come back.
 */
static void test_deleted(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port *port;

	port = datapath_get_port(dp, bed_add_typed_port(dp, "tap", "ta", "queues=2"));
	bed_add_typed_port(dp, "tap", "tb", "");
	traffic_add_namespaces("ta", "tb");
	traffic_start_server();
	traffic_start_client("198.51.100.2", "-t 5 >/dev/null 2>&1 & sleep 0.5");
	bed_run_in("a", "ip link del ta");
	usleep(200000);
	traffic_check_idle(dp, 0);
	assert_int_equal(port->class->refresh(port), -ENODEV);
	traffic_remove_ports(dp, 2);
	traffic_stop_server();
	traffic_remove_namespaces();
}

static void test_persist(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct error err = ERROR_INIT;

	bed_add_typed_port(dp, "tap", "t0", "persist=on mac=02:00:5e:00:53:01");
	assert_int_equal(bed_try_typed_port(dp, "internal", "t0", "", &err), -EEXIST);
	assert_int_equal(datapath_remove_port(dp, 1), 0);
	assert_true(if_nametoindex("t0") > 0);
	/* It is the same one that is opened again, and stays without being told. */
	bed_add_typed_port(dp, "tap", "t0", "");
	bed_run("ip link show dev t0 | grep -q 02:00:5e:00:53:01");
	traffic_remove_ports(dp, 1);
	assert_true(if_nametoindex("t0") > 0);
	bed_run("ip link del t0");
}

/* MTU and MAC change on the running port; all options are named, also those that stay. */
static void test_set(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port *port =
		datapath_get_port(dp, bed_add_typed_port(dp, "tap", "t0", "ip=198.51.100.1/24"));
	struct port_option list[] = {{"ip", "198.51.100.1/24"}, {"mtu", "9000"}};
	const struct port_config config = {.name = "t0", .options = list, .n_options = 2};
	unsigned int ifindex = if_nametoindex("t0");
	struct error err = ERROR_INIT;

	assert_int_equal(port->caps.max_len, 1518);
	assert_int_equal(port->class->set(port, &config, &err), 0);
	assert_int_equal(port->caps.max_len, 9018);
	bed_run("ip link show dev t0 | grep -q 'mtu 9000'");
	list[1] = (struct port_option){"queues", "2"};
	assert_int_equal(port->class->set(port, &config, &err), -EOPNOTSUPP);
	list[1] = (struct port_option){"mtu", "9000"};
	list[0] = (struct port_option){"ip", "198.51.100.2/24"};
	assert_int_equal(port->class->set(port, &config, &err), -EOPNOTSUPP);
	assert_int_equal(if_nametoindex("t0"), ifindex);
	traffic_remove_ports(dp, 1);
}

static void test_refusals(void **state UNUSED)
{
	static const struct {
		const char *type, *name, *options, *word;
		int err;
	} cases[] = {
		{"tap", "name-of-16-chars", "", "1 to 15", -EINVAL},
		{"tap", "v0", "", "no TAP device", -EEXIST},
		{"internal", "v0", "", "exists already", -EEXIST},
		{"tap", "t0", "mtu=10", "mtu=10", -EINVAL},
		{"tap", "t0", "mac=01:00:5e:00:00:01", "multicast", -EINVAL},
		{"tap", "t0", "ip=198.51.100.1/33", "198.51.100.1/33", -EINVAL},
		{"tap", "t0", "ip=198.51.100.1/24,junk", "junk", -EINVAL},
		{"tap", "t0", "queues=17", "queues=17", -EINVAL},
		{"tap", "t0", "persist=maybe", "persist=maybe", -EINVAL},
		{"internal", "t0", "persist=on", "persist", -EINVAL},
	};
	struct datapath *dp = bed_create_datapath(1, 0);

	bed_add_veth("v0", "v1", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(bed_try_typed_port(dp, cases[i].type, cases[i].name,
						    cases[i].options, &err),
				 cases[i].err);
		if (!strstr(err.text, cases[i].word))
			fail_msg("'%s' is not in '%s'", cases[i].word, err.text);
		/* Nothing is left behind. */
		assert_int_equal(if_nametoindex("t0"), 0);
	}
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del v0");
}

static void test_no_privilege(void **state UNUSED)
{
	traffic_check_unprivileged("tap", "t0", "CAP_NET_ADMIN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_traffic, (char[]){""}),
		cmocka_unit_test_prestate(test_traffic, (char[]){"queues=2"}),
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_internal),
		cmocka_unit_test(test_kernel_drops),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_privilege),
	};

	bed_enter();
	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
