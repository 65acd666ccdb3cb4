/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP and internal ports: real sockets of the kernel at the far side, on the device or in a
 * namespace that it was moved to.
 */
#include "config.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "datapath/port_tap.h"
#include "datapath/vnet_hdr.h"
#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

/* Removes the port and finds each frame back in its place. */
static void remove_all(struct datapath *dp, uint32_t n_ports)
{
	for (uint32_t no = 1; no <= n_ports; no++)
		assert_int_equal(datapath_remove_port(dp, no), 0);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
}

/* Bytes in an average packet that the port transmitted. */
static uint64_t average_size(struct datapath *dp, uint32_t port_no)
{
	struct port_counters sum;

	bed_get_counters(dp, port_no, &sum);
	return sum.tx_packets ? sum.tx_bytes / sum.tx_packets : 0;
}

/* Moves the TAP devices ta and tb into namespaces of that name with addresses 1 and 2. */
static void move_into_namespaces(void)
{
	static const char *const names[] = {"a", "b", NULL};

	bed_add_namespaces(names);
	for (int i = 0; names[i]; i++) {
		const char *ns = names[i];

		bed_run("ip link set t%s netns %s", ns, ns);
		bed_run_in(ns, "ip addr add 198.51.100.%d/24 dev t%s", i + 1, ns);
		bed_run_in(ns, "ip addr add 2001:db8:1::%d/64 dev t%s nodad", i + 1, ns);
		bed_run_in(ns, "ip link set t%s up", ns);
	}
}

static void remove_namespaces(void)
{
	bed_run("ip netns del a && ip netns del b");
}

/* A server in namespace b, for one connection and for half a minute at most. */
static void start_server(void)
{
	bed_run_in("b", "timeout 30 iperf3 -s -1 >/dev/null 2>&1 & echo $! >/run/server");
	bed_run("sleep 0.3");
}

static void stop_server(void)
{
	bed_run("kill $(cat /run/server)");
}

/* Runs TCP from a to b and back for a second each way. */
static void run_tcp(const char *address)
{
	start_server();
	bed_run_in("a", "timeout 20 iperf3 -c %s -t 1 >/dev/null", address);
	start_server();
	bed_run_in("a", "timeout 20 iperf3 -c %s -t 1 -R >/dev/null", address);
}

/* Ping, TCP both ways and families, with offloads as the kernel sets them: packets stay whole. */
static void test_traffic(void **state)
{
	const char *options = *state;
	struct datapath *dp = bed_create_datapath(2, 0);
	struct port_counters sum;
	uint32_t a, b;

	a = bed_add_typed_port(dp, "tap", "ta", options);
	b = bed_add_typed_port(dp, "tap", "tb", options);
	move_into_namespaces();
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 198.51.100.2 >/dev/null");
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 2001:db8:1::2 >/dev/null");
	/* Larger than the MTU: fragments. */
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 -s 8000 198.51.100.2 >/dev/null");
	run_tcp("198.51.100.2");
	run_tcp("2001:db8:1::2");
	assert_true(average_size(dp, a) > 3000);
	assert_true(average_size(dp, b) > 3000);
	bed_get_counters(dp, a, &sum);
	assert_int_equal(sum.drops[DROP_RX_BAD_OFFLOAD], 0);
	assert_int_equal(sum.drops[DROP_TX_ERROR], 0);
	assert_string_equal(bed_get_status(dp, a, "namespace"), "moved to another one");
	remove_all(dp, 2);
	remove_namespaces();
}

/* Sends `len` bytes with a virtio-net header ahead by a raw socket. */
static void send_vnet(int fd, const struct virtio_net_hdr *hdr, const uint8_t *frame, uint32_t len)
{
	static uint8_t buf[70000];

	memcpy(buf, hdr, sizeof(*hdr));
	memcpy(buf + sizeof(*hdr), frame, len);
	assert_int_equal(send(fd, buf, len + sizeof(*hdr), 0), len + sizeof(*hdr));
}

static const struct {
	struct frame_spec spec;
	struct virtio_net_hdr hdr;
} whole[] = {
	{{.ethertype = 0x0800, .proto = 6, .ttl = 9, .dport = 7, .payload_len = 64000},
	 {1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1448, 34, 16}},
	{{.ethertype = 0x86dd, .proto = 6, .ttl = 9, .dport = 7, .payload_len = 64000},
	 {1, VIRTIO_NET_HDR_GSO_TCPV6, 74, 1428, 54, 16}},
	{{.ethertype = 0x86dd, .proto = 17, .ttl = 9, .dport = 7, .payload_len = 60000},
	 {1, VIRTIO_NET_HDR_GSO_UDP_L4, 62, 1400, 54, 6}},
	{{.ethertype = 0x0800,
	  .tagged = true,
	  .tci = 100,
	  .proto = 6,
	  .ttl = 9,
	  .payload_len = 9000},
	 {1, VIRTIO_NET_HDR_GSO_TCPV4, 58, 1444, 38, 16}},
};

/* Takes packets from the mem port until one has that length. */
static void collect_whole(struct port *port, uint8_t *buf, uint32_t size, uint32_t len,
			  struct port_mem_offload *offload)
{
	int got;

	while ((got = port_mem_collect(port, buf, size, offload, 2000)) != (int)len)
		assert_true(got > 0);
}

/* A packet of 64 KiB that the host sends arrives as one, with its offloads; and the other way. */
static void test_gso_is_kept(void **state UNUSED)
{
	static uint8_t frame[70000], got[70000];
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port_mem_offload offload;
	struct port *mem;
	int fd;

	bed_add_typed_port(dp, "tap", "t0", "");
	bed_run("sysctl -qw net.ipv6.conf.t0.disable_ipv6=1");
	mem = datapath_get_port(dp,
				bed_add_typed_port(dp, "mem", "m0", "collect=on csum=on gso=on"));
	fd = bed_open_raw("t0", true);
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		struct frame_spec spec = whole[i].spec;
		const struct virtio_net_hdr *hdr = &whole[i].hdr;
		uint32_t len;
		int size;

		spec.partial = true;
		len = frame_build(&spec, frame);
		send_vnet(fd, hdr, frame, len);
		collect_whole(mem, got, sizeof(got), len, &offload);
		assert_memory_equal(got, frame, len);
		assert_int_equal(offload.csum, PACKET_CSUM_PARTIAL);
		assert_int_equal(offload.gso_type, hdr->gso_type);
		assert_int_equal(offload.gso_size, hdr->gso_size);
		assert_int_equal(offload.csum_start, hdr->csum_start);
		assert_int_equal(offload.csum_offset, hdr->csum_offset);

		if (spec.tagged)
			continue; /* the socket would take the tag off */
		assert_int_equal(port_mem_inject(mem, 0, frame, len, &offload), 0);
		size = bed_receive(fd, got, sizeof(got), 2000);
		assert_int_equal(size, len + sizeof(*hdr));
		assert_memory_equal(got, hdr, 2);
		assert_memory_equal(got + sizeof(*hdr), frame, len);
	}
	close(fd);
	remove_all(dp, 2);
}

/* What a guest of the mem port says wrong about a packet ends here, counted. */
static void test_kernel_refuses(void **state UNUSED)
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
	remove_all(dp, 2);
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
	remove_all(dp, 2);
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
	assert_in_range(sum.drops[DROP_SOCKET_RX], 80, 90);
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
	struct worker_stats before, after;
	uint32_t a;

	a = bed_add_typed_port(dp, "tap", "ta", "queues=2");
	bed_add_typed_port(dp, "tap", "tb", "");
	move_into_namespaces();
	start_server();
	bed_run_in("a", "timeout 10 iperf3 -c 198.51.100.2 -t 5 >/dev/null 2>&1 & sleep 0.5");
	bed_run_in("a", "ip link del ta");
	usleep(200000);
	datapath_get_worker_stats(dp, 0, &before);
	usleep(500000);
	datapath_get_worker_stats(dp, 0, &after);
	assert_true(after.busy_ns - before.busy_ns < 100 * CLOCK_NS_PER_MS);
	assert_int_equal(datapath_get_port(dp, a)->class->refresh(datapath_get_port(dp, a)),
			 -ENODEV);
	remove_all(dp, 2);
	stop_server();
	remove_namespaces();
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
	remove_all(dp, 1);
	assert_true(if_nametoindex("t0") > 0);
	bed_run("ip link del t0");
}

static void test_set(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port *port = datapath_get_port(dp, bed_add_typed_port(dp, "tap", "t0", ""));
	struct port_option option = {"mtu", "9000"};
	const struct port_config config = {.name = "t0", .options = &option, .n_options = 1};
	struct error err = ERROR_INIT;

	assert_int_equal(port->caps.max_len, 1518);
	assert_int_equal(port->class->set(port, &config, &err), 0);
	assert_int_equal(port->caps.max_len, 9018);
	bed_run("ip link show dev t0 | grep -q 'mtu 9000'");
	option = (struct port_option){"queues", "2"};
	assert_int_equal(port->class->set(port, &config, &err), -EOPNOTSUPP);
	remove_all(dp, 1);
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

/* In a process without privilege. Returns its exit status: 0 when the error is the right one. */
static int run_unprivileged(void)
{
	struct error err = ERROR_INIT;
	struct datapath *dp;
	int ret;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 2;
	dp = bed_create_datapath(1, 1024);
	ret = bed_try_typed_port(dp, "tap", "t0", "", &err);
	datapath_destroy(dp);
	return ret == -EPERM && strstr(err.text, "CAP_NET_ADMIN") ? 0 : 1;
}

static void test_no_privilege(void **state UNUSED)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_unprivileged());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_traffic, (char[]){""}),
		cmocka_unit_test_prestate(test_traffic, (char[]){"queues=2"}),
		cmocka_unit_test(test_gso_is_kept),
		cmocka_unit_test(test_kernel_refuses),
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
