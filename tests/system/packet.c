/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet ports on veths; at the far ends real sockets of the kernel, there or in a namespace.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "datapath/port_packet.h"
#include "datapath/vnet_hdr.h"
#include "tests/system/traffic.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

/* Ping, TCP both ways and families, from namespace to namespace. */
static void test_traffic(void **state)
{
	const char *options = *state;
	struct datapath *dp = bed_create_datapath(2, 0);

	bed_add_veth("p0", "v0", "");
	bed_add_veth("p1", "v1", "");
	bed_add_typed_port(dp, "packet", "p0", options);
	bed_add_typed_port(dp, "packet", "p1", options);
	traffic_add_namespaces("v0", "v1");
	traffic_run(dp);
	traffic_remove_ports(dp, 2);
	bed_run("ip link del p0 && ip link del p1");
	traffic_remove_namespaces();
}

/* A packet of 64 KiB arrives as one, with its offloads and its tag; and the other way. */
static void test_offloads(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	uint32_t mem;

	bed_add_veth("p0", "v0", "");
	bed_add_typed_port(dp, "packet", "p0", "");
	mem = bed_add_typed_port(dp, "mem", "m0", "collect=on csum=on gso=on");
	traffic_check_offloads("v0", datapath_get_port(dp, mem));
	traffic_remove_ports(dp, 2);
	bed_run("ip link del p0");
}

/* Frames of all lengths, with one tag or two, and for whatever address, arrive as they were sent.
 */
static void test_frames(void **state UNUSED)
{
	static const uint32_t lens[] = {60, 64, 1514, 1900, 1972, 1973, 2048, 4000, 9014};
	static const uint8_t tags[] = {0x88, 0xa8, 0x20, 0x07, 0x81, 0x00, 0x00, 0x05};
	struct datapath *dp = bed_create_datapath(1, 0);
	uint8_t frame[9100], got[9100];
	struct port *mem;
	int fd, len;

	bed_add_veth("p0", "v0", "mtu 9000");
	bed_add_typed_port(dp, "packet", "p0", "");
	mem = datapath_get_port(dp, bed_add_typed_port(dp, "mem", "m0", "collect=on mtu=9000"));
	fd = bed_open_raw("v0", false);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		bed_fill(frame, lens[i], (uint32_t)i);
		assert_int_equal(send(fd, frame, lens[i], 0), lens[i]);
		do
			len = port_mem_collect(mem, got, sizeof(got), NULL, 5000);
		while (len > 0 && (got[12] != 0x88 || got[13] != 0xb5));
		assert_int_equal(len, lens[i]);
		assert_memory_equal(got, frame, lens[i]);
		assert_int_equal(port_mem_inject(mem, 0, frame, lens[i], NULL), 0);
		assert_int_equal(bed_receive_test(fd, got, sizeof(got), 5000), lens[i]);
		assert_memory_equal(got, frame, lens[i]);
	}
	for (uint32_t n_tags = 1; n_tags <= 2; n_tags++) {
		uint32_t size = 4 * n_tags;

		bed_fill(frame, 1000, 7);
		memmove(frame + 12 + size, frame + 12, 1000 - 12);
		memcpy(frame + 12, tags + sizeof(tags) - size, size);
		assert_int_equal(send(fd, frame, 1000 + size, 0), 1000 + size);
		assert_int_equal(port_mem_collect(mem, got, sizeof(got), NULL, 5000), 1000 + size);
		assert_memory_equal(got, frame, 1000 + size);
	}
	close(fd);
	traffic_remove_ports(dp, 2);
	bed_run("ip link del p0");
}

/* The device goes down and up again: the worker sleeps meanwhile, and traffic goes on. */
static void test_down(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	uint8_t frame[100], got[100];
	struct port *port, *mem;
	int fd;

	bed_add_veth("p0", "v0", "");
	port = datapath_get_port(dp, bed_add_typed_port(dp, "packet", "p0", ""));
	mem = datapath_get_port(dp, bed_add_typed_port(dp, "mem", "m0", "collect=on"));
	bed_run("ip link set p0 down");
	assert_int_equal(port->class->refresh(port), 0);
	assert_false(port_get_link(port));
	traffic_check_idle(dp, 0);
	bed_run("ip link set p0 up");
	/* the kernel says a moment later that it runs */
	for (int i = 0; i < 500 && !port_get_link(port); i++) {
		usleep(10000);
		assert_int_equal(port->class->refresh(port), 0);
	}
	assert_true(port_get_link(port));
	fd = bed_open_raw("v0", false);
	bed_fill(frame, sizeof(frame), 3);
	assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(port_mem_collect(mem, got, sizeof(got), NULL, 5000), sizeof(frame));
	close(fd);
	traffic_remove_ports(dp, 2);
	bed_run("ip link del p0");
}

/* The device goes away under traffic: the worker does not spin, the port says so, frames come back.
 */
static void test_deleted(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port *port;

	bed_add_veth("p0", "v0", "");
	bed_add_veth("p1", "v1", "");
	port = datapath_get_port(dp, bed_add_typed_port(dp, "packet", "p0", "queues=2"));
	bed_add_typed_port(dp, "packet", "p1", "");
	traffic_add_namespaces("v0", "v1");
	traffic_start_server();
	traffic_start_client("198.51.100.2", "-t 5 >/dev/null 2>&1 & sleep 0.5");
	bed_run("ip link del p0");
	usleep(200000);
	traffic_check_idle(dp, 0);
	assert_int_equal(port->class->refresh(port), -ENODEV);
	assert_false(port_get_link(port));
	traffic_remove_ports(dp, 2);
	traffic_stop_server();
	bed_run("ip link del p1");
	traffic_remove_namespaces();
}

/* Opens a port that no worker polls; the caller closes it. */
static struct port *open_alone(struct datapath *dp, const char *name)
{
	const struct port_config config = {.name = name, .n_workers = 1};
	struct error err = ERROR_INIT;
	struct port *port;

	if (port_packet_class.open(dp, &config, &port, &err))
		fail_msg("%s", err.text);
	return port;
}

/* Receives until there is nothing more. Returns how many packets came. */
static unsigned int drain(struct port *port, struct frame_cache *cache)
{
	struct packet *packets[PACKET_BATCH_MAX];
	unsigned int n, total = 0;

	/* A batch of nothing but drops is empty as well. */
	do {
		n = port->class->rx(port->rxqs[0], cache, &port->counters[0], packets,
				    PACKET_BATCH_MAX);
		packet_free_batch(cache, packets, n);
		total += n;
	} while (n || port->class->arm(port->rxqs[0]));
	return total;
}

/* With nobody reading, what the ring cannot hold is lost in the kernel, and that is seen. */
static void test_kernel_drops(void **state UNUSED)
{
	const unsigned int n_sent = 5000;
	struct datapath *dp = bed_create_datapath(1, 0);
	struct port_counters sum;
	struct frame_cache cache;
	struct port *port;
	uint8_t frame[60];
	unsigned int n;
	int fd;

	bed_add_veth("p0", "v0", "");
	port = open_alone(dp, "p0");
	frame_cache_init(&cache, datapath_get_pool(dp));
	fd = bed_open_raw("v0", false);
	bed_fill(frame, sizeof(frame), 1);
	for (unsigned int i = 0; i < n_sent; i++)
		assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
	n = drain(port, &cache);
	assert_in_range(n, 1000, n_sent - 1);
	assert_int_equal(port->class->refresh(port), 0);
	port_sum_counters(port, &sum);
	assert_int_equal(n + sum.drops[DROP_SOCKET_RX], n_sent);
	close(fd);
	frame_cache_uninit(&cache);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del p0");
}

/* More 64 KiB packets than the socket's queue holds: each comes whole, or is counted as too long.
 */
static void test_queue_full(void **state UNUSED)
{
	static const struct virtio_net_hdr hdr = {1, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1448, 34, 16};
	const struct frame_spec spec = {
		.ethertype = 0x0800, .proto = 6, .payload_len = 64000, .partial = true};
	const unsigned int n_sent = 600;
	struct datapath *dp = bed_create_datapath(1, 0);
	static uint8_t buf[70000];
	uint32_t len = frame_build(&spec, buf + sizeof(hdr));
	struct port_counters sum;
	struct frame_cache cache;
	struct port *port;
	unsigned int n;
	int fd;

	bed_add_veth("p0", "v0", "");
	port = open_alone(dp, "p0");
	frame_cache_init(&cache, datapath_get_pool(dp));
	fd = bed_open_raw("v0", true);
	memcpy(buf, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < n_sent; i++)
		assert_int_equal(send(fd, buf, sizeof(hdr) + len, 0), sizeof(hdr) + len);
	n = drain(port, &cache);
	port_sum_counters(port, &sum);
	assert_true(n > 0);
	assert_true(sum.drops[DROP_RX_TOO_LONG] > 0);
	assert_int_equal(n + sum.drops[DROP_RX_TOO_LONG], n_sent);
	/* Slots and queue still go together. */
	assert_int_equal(send(fd, buf, sizeof(hdr) + len, 0), sizeof(hdr) + len);
	usleep(10000);
	assert_int_equal(drain(port, &cache), 1);
	close(fd);
	frame_cache_uninit(&cache);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del p0");
}

/* Without frames nothing is taken from the ring, and nothing of it is lost. */
static void test_no_frames(void **state UNUSED)
{
	static struct packet *held[1024];
	struct datapath *dp = bed_create_datapath(1, 1024);
	struct packet *packets[PACKET_BATCH_MAX];
	uint8_t small[60], large[4000];
	struct frame_cache cache;
	struct port *port;
	uint32_t n = 0;
	int fd;

	bed_add_veth("p0", "v0", "mtu 9000");
	port = open_alone(dp, "p0");
	frame_cache_init(&cache, datapath_get_pool(dp));
	fd = bed_open_raw("v0", false);
	bed_fill(small, sizeof(small), 1);
	bed_fill(large, sizeof(large), 2);
	assert_int_equal(send(fd, small, sizeof(small), 0), sizeof(small));
	assert_int_equal(send(fd, large, sizeof(large), 0), sizeof(large));
	usleep(10000);
	while (n < 1024 && (held[n] = packet_alloc(&cache)))
		n++;
	assert_int_equal(port->class->rx(port->rxqs[0], &cache, &port->counters[0], packets, 8), 0);
	packet_free(&cache, held[--n]);
	assert_int_equal(port->class->rx(port->rxqs[0], &cache, &port->counters[0], packets, 8), 1);
	packet_free_batch(&cache, packets, 1);
	packet_free_batch(&cache, held, n);
	assert_int_equal(port->class->rx(port->rxqs[0], &cache, &port->counters[0], packets, 8), 1);
	assert_int_equal(packets[0]->total_len, sizeof(large));
	packet_free_batch(&cache, packets, 1);
	close(fd);
	frame_cache_uninit(&cache);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del p0");
}

static void test_refusals(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 0);
	struct error err = ERROR_INIT;

	bed_add_veth("veth0", "v0", "");
	assert_int_equal(bed_try_typed_port(dp, "packet", "vteh0", "", &err), -ENODEV);
	assert_non_null(strstr(err.text, "did you mean 'veth0'"));
	assert_int_equal(bed_try_typed_port(dp, "packet", "veth0", "queues=0", &err), -EINVAL);
	assert_int_equal(bed_try_typed_port(dp, "packet", "veth0", "mode=x", &err), -EINVAL);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	traffic_check_unprivileged("packet", "veth0", "CAP_NET_RAW");
	bed_run("ip link del veth0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_traffic, (char[]){""}),
		cmocka_unit_test_prestate(test_traffic, (char[]){"queues=2"}),
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_kernel_drops),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_no_frames),
		cmocka_unit_test(test_refusals),
	};

	bed_enter();
	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
