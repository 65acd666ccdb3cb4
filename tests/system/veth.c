/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * veth ports: p0 and p1 are ports, their other ends q0 and q1 in namespaces or beside them.
 */
#include "config.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "datapath/port_veth.h"
#include "lib/clock.h"
#include "tests/system/traffic.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

#define WAIT_MS 10000

static uint8_t frame[10000], got[10000];

/* Two veths as ports 1 and 2, the other ends in namespaces a and b. */
static struct datapath *open_pair(const char *options)
{
	struct datapath *dp = bed_create_datapath(2, 0);

	bed_add_veth("p0", "q0", "");
	bed_add_veth("p1", "q1", "");
	traffic_add_namespaces("q0", "q1");
	bed_add_typed_port(dp, "veth", "p0", options);
	bed_add_typed_port(dp, "veth", "p1", options);
	return dp;
}

static void close_pair(struct datapath *dp)
{
	traffic_remove_ports(dp, 2);
	traffic_remove_namespaces();
	/* The kernel removes what was in them in its own time. */
	bed_run("for i in $(seq 100); do ip link show p0 >/dev/null 2>&1 || "
		"ip link show p1 >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1");
}

/* A raw socket in namespace `ns`. */
static int open_raw_in(const char *ns, const char *ifname)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;
	char path[64];

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	there = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(here >= 0 && there >= 0);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	fd = bed_open_raw(ifname, false);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	close(there);
	return fd;
}

static void refresh(struct datapath *dp, uint32_t no)
{
	struct port *port = datapath_get_port(dp, no);

	assert_int_equal(port->class->refresh(port), 0);
}

/* What came in went out or was dropped under a name. */
static void check_sums(struct datapath *dp)
{
	uint64_t in = 0, out = 0;

	for (uint32_t no = 1; no <= 2; no++) {
		struct port_counters sum;

		bed_get_counters(dp, no, &sum);
		in += sum.rx_packets + sum.copies;
		out += sum.tx_packets;
		for (int r = 0; r < DROP_N_REASONS; r++)
			if (!drop_reason_is_kernel((enum drop_reason)r))
				out += sum.drops[r];
	}
	assert_int_equal(in, out);
}

/* ---- traffic ---- */

/* Ping, TCP both ways and families, fragments, with all offloads as the kernel sets them. */
static void test_traffic(void **state)
{
	struct datapath *dp = open_pair(*state);

	assert_string_equal(bed_get_status(dp, 1, "hook"),
			    strstr(*state, "clsact") ? "clsact" : "tcx");
	assert_string_equal(bed_get_status(dp, 1, "to-peer"), "redirect_peer");
	traffic_run(dp);
	traffic_start_server();
	traffic_start_client("198.51.100.2", "-u -b 200M -t 1 >/dev/null");
	traffic_start_server();
	traffic_start_client("2001:db8:1::2", "-u -b 200M -t 1 -R >/dev/null");
	usleep(100000);
	check_sums(dp);
	close_pair(dp);
}

/* Megabytes arrive as they were sent. */
static void test_integrity(void **state UNUSED)
{
	struct datapath *dp = open_pair("");

	bed_run("head -c 50000000 /dev/urandom >/run/sent");
	bed_run_in("b", "timeout 60 python3 -c 'import socket,sys\n"
			"s=socket.create_server((\"\",7000),family=socket.AF_INET6)\n"
			"open(\"/run/listens\",\"w\")\n"
			"c=s.accept()[0]\n"
			"o=open(\"/run/received\",\"wb\")\n"
			"while d:=c.recv(1<<20): o.write(d)\n"
			"o.close();c.sendall(b\"x\")' & echo $! >/run/receiver");
	bed_run("for i in $(seq 100); do [ -e /run/listens ] && exit 0; sleep 0.1; done; exit 1");
	bed_run_in("a", "timeout 60 python3 -c 'import socket\n"
			"s=socket.create_connection((\"2001:db8:1::2\",7000))\n"
			"s.sendall(open(\"/run/sent\",\"rb\").read());s.shutdown(1);s.recv(1)'");
	bed_run("cmp /run/sent /run/received");
	close_pair(dp);
}

/* A packet of 64 KiB arrives as one, with its offloads, tagged or not; and the other way. */
static void test_offloads(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	uint32_t mem;

	bed_add_veth("p0", "q0", "");
	bed_add_typed_port(dp, "veth", "p0", "");
	mem = bed_add_typed_port(dp, "mem", "m0", "collect=on csum=on gso=on");
	traffic_check_offloads("q0", datapath_get_port(dp, mem));
	traffic_remove_ports(dp, 2);
	bed_run("ip link del q0");
}

/* Frames of any kind and length pass unchanged. */
static void test_frames(void **state UNUSED)
{
	struct datapath *dp = open_pair("");
	int a, b;

	bed_run("ip link set p0 mtu 9000 && ip link set p1 mtu 9000");
	bed_run_in("a", "ip link set q0 mtu 9000");
	bed_run_in("b", "ip link set q1 mtu 9000");
	refresh(dp, 1);
	refresh(dp, 2);
	assert_int_equal(datapath_get_port(dp, 2)->caps.max_len, 9018);
	a = open_raw_in("a", "q0");
	b = open_raw_in("b", "q1");
	for (uint32_t len = 60; len <= 9014; len += 199) {
		bed_fill(frame, len, len);
		assert_int_equal(send(a, frame, len, 0), len);
		assert_int_equal(bed_receive_test(b, got, sizeof(got), WAIT_MS), len);
		assert_memory_equal(got, frame, len);
	}
	close(a);
	close(b);
	check_sums(dp);
	close_pair(dp);
}

/* Sends from a and returns as what the container takes the frame: PACKET_HOST ... */
static int send_to(int a, int b, const uint8_t dst[6])
{
	struct sockaddr_ll from;
	socklen_t size;
	ssize_t len;

	bed_fill(frame, 100, 1);
	memcpy(frame, dst, 6);
	assert_int_equal(send(a, frame, 100, 0), 100);
	for (int tries = 0; tries < 100; tries++) {
		struct timeval timeout = {.tv_sec = WAIT_MS / 1000};

		setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		size = sizeof(from);
		len = recvfrom(b, got, sizeof(got), 0, (struct sockaddr *)&from, &size);
		assert_true(len > 0);
		if (len == 100 && !memcmp(got, frame, 100))
			return from.sll_pkttype;
	}
	fail_msg("the frame did not arrive");
	return -1;
}

/* A container must not take for its own what is flooded for others: it may be a router. */
static void test_packet_types(void **state UNUSED)
{
	static const uint8_t own[6] = {2, 0, 0x5e, 0, 0x53, 7}, other[6] = {2, 0, 0x5e, 0, 0x53, 8};
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 9};
	struct datapath *dp = open_pair("");
	int a = open_raw_in("a", "q0"), b = open_raw_in("b", "q1");

	bed_run_in("b", "ip link set q1 address 02:00:5e:00:53:07");
	/* Before the port has noticed the new address, and after. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send_to(a, b, own), PACKET_HOST);
		assert_int_equal(send_to(a, b, other), PACKET_OTHERHOST);
		assert_int_equal(send_to(a, b, all), PACKET_BROADCAST);
		assert_int_equal(send_to(a, b, group), PACKET_MULTICAST);
		refresh(dp, 2);
	}
	assert_string_equal(bed_get_status(dp, 2, "peer"),
			    "q1, 02:00:5e:00:53:07, in another namespace");
	close(a);
	close(b);
	close_pair(dp);
}

/* ---- the other end has a life of its own ---- */

static void test_peer_changes(void **state UNUSED)
{
	struct datapath *dp = open_pair("");

	bed_run_in("b", "ip link set q1 down");
	bed_run_in("b", "ip link set q1 name eth7");
	bed_run_in("b", "ip link set eth7 up");
	refresh(dp, 2);
	assert_non_null(strstr(bed_get_status(dp, 2, "peer"), "eth7, "));
	bed_run_in("a", "ping -qc 2 -i 0.05 -W 5 198.51.100.2 >/dev/null");
	/* Into our own namespace, where the short way does not lead, and back. */
	bed_run_in("b", "ip link set eth7 netns %d", getpid());
	refresh(dp, 2);
	assert_non_null(strstr(bed_get_status(dp, 2, "to-peer"), "through the veth"));
	bed_run("ip link set eth7 netns b");
	bed_run_in("b", "ip link set eth7 up");
	bed_run_in("b", "ip addr add 198.51.100.2/24 dev eth7");
	refresh(dp, 2);
	assert_string_equal(bed_get_status(dp, 2, "to-peer"), "redirect_peer");
	bed_run_in("a", "ping -qc 2 -i 0.05 -W 5 198.51.100.2 >/dev/null");
	bed_run_in("b", "ip link set eth7 down");
	refresh(dp, 2);
	assert_false(port_get_link(datapath_get_port(dp, 2)));
	close_pair(dp);
}

/* The namespace ends under traffic: nothing spins, the port says so, every frame comes back. */
static void test_namespace_deleted(void **state)
{
	struct datapath *dp = open_pair(*state);
	struct port *port = datapath_get_port(dp, 2);
	uint64_t end = clock_now() + 20 * CLOCK_NS_PER_S;

	bed_run_in("a", "ping -qfw 30 198.51.100.2 >/dev/null 2>&1 & echo $! >/run/flood");
	usleep(200000);
	/* Not ended while something runs in it: its only device goes. */
	bed_run_in("b", "ip link del q1");
	while (port->class->refresh(port) != -ENODEV && clock_now() < end)
		usleep(10000);
	assert_int_equal(port->class->refresh(port), -ENODEV);
	assert_false(port_get_link(port));
	bed_run("kill $(cat /run/flood)");
	traffic_check_idle(dp, 0);
	close_pair(dp);
}

/* What nobody reads in time is lost in the TAP's queue, and that is seen. */
static void test_kernel_drops(void **state UNUSED)
{
	const struct port_config config = {.name = "p0", .n_workers = 1};
	struct datapath *dp = bed_create_datapath(1, 0);
	struct error err = ERROR_INIT;
	struct port_counters sum;
	struct port *port;
	int q0;

	bed_add_veth("p0", "q0", "");
	if (port_veth_class.open(dp, &config, &port, &err))
		fail_msg("%s", err.text);
	q0 = bed_open_raw("q0", false);
	bed_fill(frame, 60, 1);
	for (int i = 0; i < 1500; i++)
		(void)!send(q0, frame, 60, 0);
	assert_int_equal(port->class->refresh(port), 0);
	port_sum_counters(port, &sum);
	assert_in_range(sum.drops[DROP_SOCKET_RX], 490, 510);
	close(q0);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

/* ---- nothing stays ---- */

/* Programs and their maps, by the kernel's ids. */
struct ids {
	uint32_t progs[1000], maps[1000];
	unsigned int n_progs, n_maps;
};

/* Remembers a program and its maps. */
static void take_prog(struct ids *ids, uint32_t id)
{
	uint32_t maps[4], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 4, .map_ids = (uintptr_t)maps};
	int fd = bpf_prog_get_fd_by_id(id);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	assert_true(info.nr_map_ids <= 4 && ids->n_maps + 4 < ARRAY_SIZE(ids->maps) &&
		    ids->n_progs < ARRAY_SIZE(ids->progs));
	ids->progs[ids->n_progs++] = id;
	for (uint32_t i = 0; i < info.nr_map_ids; i++)
		ids->maps[ids->n_maps++] = maps[i];
}

/* Remembers what is attached to the ingress of the device, by tcx or as our filter. */
static void take_attached(struct ids *ids, const char *ifname, bool by_tcx)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(ifname),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 0x7673, .priority = 0x7673);
	uint32_t id, n = 1;

	if (by_tcx) {
		assert_int_equal(
			bpf_prog_query(hook.ifindex, (enum bpf_attach_type)46, 0, NULL, &id, &n),
			0);
		assert_int_equal(n, 1);
	} else {
		assert_int_equal(bpf_tc_query(&hook, &filter), 0);
		id = filter.prog_id;
	}
	take_prog(ids, id);
}

static bool is_gone(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd == -ENOENT;
}

/* The kernel frees them in its own time. */
static void check_freed(const struct ids *ids)
{
	uint64_t end = clock_now() + 20 * CLOCK_NS_PER_S;

	assert_true(ids->n_progs && ids->n_maps);
	for (unsigned int i = 0; i < ids->n_progs; i++)
		while (!is_gone(bpf_prog_get_fd_by_id(ids->progs[i])) && clock_now() < end)
			usleep(10000);
	for (unsigned int i = 0; i < ids->n_maps; i++)
		while (!is_gone(bpf_map_get_fd_by_id(ids->maps[i])) && clock_now() < end)
			usleep(10000);
	assert_true(clock_now() < end);
}

static int count_devices(void)
{
	struct if_nameindex *list = if_nameindex();
	int n = 0;

	while (list[n].if_index)
		n++;
	if_freenameindex(list);
	return n;
}

/* No filter, queueing discipline or device of ours is there. */
static void check_detached(void)
{
	bed_run("! tc filter show dev p0 ingress | grep vswitch");
	bed_run("! tc qdisc show dev p0 | grep clsact");
	bed_run("! ip link show | grep vswt");
}

static void test_rounds(void **state)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	static struct ids ids;
	char tap[IFNAMSIZ];
	int devices;

	memset(&ids, 0, sizeof(ids));
	bed_add_veth("p0", "q0", "");
	snprintf(tap, sizeof(tap), "vswt%u", if_nametoindex("p0"));
	devices = count_devices();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(bed_add_typed_port(dp, "veth", "p0", *state), 1);
		take_attached(&ids, "p0", !strstr(*state, "clsact"));
		take_attached(&ids, tap, !strstr(*state, "clsact"));
		assert_int_equal(datapath_remove_port(dp, 1), 0);
	}
	assert_int_equal(count_devices(), devices);
	check_detached();
	check_freed(&ids);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

/* A process with the port open; killed. */
static void kill_holder(const char *options)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		bed_add_typed_port(bed_create_datapath(1, 1024), "veth", "p0", options);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* A switch that was killed: no program and no device of its stays with tcx; by clsact the filter
 * does, and the next one takes its place and, in the end, takes it away. */
static void test_killed(void **state)
{
	struct datapath *dp;

	bed_add_veth("p0", "q0", "");
	kill_holder(*state);
	bed_run("for i in $(seq 50); do ip link show | grep -q vswt || exit 0; sleep 0.1; done; "
		"exit 1");
	if (!strstr(*state, "clsact"))
		check_detached();
	dp = bed_create_datapath(1, 0);
	assert_int_equal(bed_add_typed_port(dp, "veth", "p0", *state), 1);
	assert_int_equal(datapath_remove_port(dp, 1), 0);
	check_detached();
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

/* A neighbour's filter on the same hook stays, and so does its queueing discipline. */
static void test_neighbour(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);

	bed_add_veth("p0", "q0", "");
	bed_run("tc qdisc add dev p0 clsact");
	bed_run("tc filter add dev p0 egress pref 7 protocol ip u32 match u32 0 0 flowid 1:1");
	for (int i = 0; i < 2; i++) {
		bed_add_typed_port(dp, "veth", "p0", i ? "hook=clsact" : "");
		assert_int_equal(datapath_remove_port(dp, 1), 0);
		bed_run("tc filter show dev p0 egress | grep -q 'pref 7'");
	}
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

static void test_refusals(void **state UNUSED)
{
	static const struct {
		const char *name, *options, *word;
		int err;
	} cases[] = {
		{"nothing", "", "no network device 'nothing'", -ENODEV},
		{"lo", "", "lo is no veth: try type=afxdp", -EINVAL},
		{"p1", "queues=17", "queues=17", -EINVAL},
		{"p1", "hook=xdp", "hook=xdp", -EINVAL},
		{"p1", "hock=tcx", "unknown option", -EINVAL},
	};
	const struct port_config twice = {.name = "p0", .n_workers = 1};
	struct datapath *dp = bed_create_datapath(1, 0);
	struct error err = ERROR_INIT;
	struct port *port;

	bed_add_veth("p0", "q0", "");
	bed_add_veth("p1", "q1", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			bed_try_typed_port(dp, "veth", cases[i].name, cases[i].options, &err),
			cases[i].err);
		if (!strstr(err.text, cases[i].word))
			fail_msg("'%s' is not in '%s'", cases[i].word, err.text);
	}
	assert_int_equal(bed_count_lent(dp), 0);
	bed_add_typed_port(dp, "veth", "p0", "");
	/* As another switch would. */
	assert_int_equal(port_veth_class.open(dp, &twice, &port, &err), -EBUSY);
	assert_non_null(strstr(err.text, "p0 is a port of a switch already"));
	traffic_remove_ports(dp, 1);
	traffic_check_unprivileged("veth", "p1", "CAP_NET_ADMIN");
	bed_run("ip link del q0 && ip link del q1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_traffic, (char[]){""}),
		cmocka_unit_test_prestate(test_traffic, (char[]){"queues=2"}),
		cmocka_unit_test_prestate(test_traffic, (char[]){"hook=clsact"}),
		cmocka_unit_test(test_integrity),
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_packet_types),
		cmocka_unit_test(test_peer_changes),
		cmocka_unit_test_prestate(test_namespace_deleted, (char[]){""}),
		cmocka_unit_test_prestate(test_namespace_deleted, (char[]){"queues=2"}),
		cmocka_unit_test(test_kernel_drops),
		cmocka_unit_test_prestate(test_rounds, (char[]){""}),
		cmocka_unit_test_prestate(test_rounds, (char[]){"hook=clsact"}),
		cmocka_unit_test_prestate(test_killed, (char[]){""}),
		cmocka_unit_test_prestate(test_killed, (char[]){"hook=clsact"}),
		cmocka_unit_test(test_neighbour),
		cmocka_unit_test(test_refusals),
	};

	bed_enter();
	return cmocka_run_group_tests_name("veth", tests, NULL, NULL);
}
