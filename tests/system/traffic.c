/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datapath/port_mem.h"
#include "datapath/vnet_hdr.h"
#include "lib/clock.h"
#include "tests/system/traffic.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

void traffic_add_namespaces(const char *if_a, const char *if_b)
{
	const char *const names[] = {"a", "b", NULL}, *const ifs[] = {if_a, if_b};

	bed_add_namespaces(names);
	for (int i = 0; names[i]; i++) {
		bed_run("ip link set %s netns %s", ifs[i], names[i]);
		bed_run_in(names[i], "sysctl -qw net.ipv6.conf.%s.disable_ipv6=0", ifs[i]);
		bed_run_in(names[i], "ip addr add 198.51.100.%d/24 dev %s", i + 1, ifs[i]);
		bed_run_in(names[i], "ip addr add 2001:db8:1::%d/64 dev %s nodad", i + 1, ifs[i]);
		bed_run_in(names[i], "ip link set %s up", ifs[i]);
	}
}

void traffic_remove_namespaces(void)
{
	bed_run("ip netns del a && ip netns del b");
}

/* Of the newest server. One may still be busy with its farewell when the next is started. */
static int server_port = 5200;

void traffic_start_server(void)
{
	server_port++;
	bed_run_in("b", "timeout 60 iperf3 -s -1 -p %d >/dev/null 2>&1 & echo $! >/run/server",
		   server_port);
	/* It may take its time on a busy machine. */
	bed_run_in("b",
		   "bash -c 'for i in {1..200}; do "
		   "ss -Hltn sport %d | grep -q . && exit 0; sleep 0.1; done; exit 1'",
		   server_port);
}

void traffic_stop_server(void)
{
	bed_run("kill $(cat /run/server)");
}

void traffic_start_client(const char *address, const char *options)
{
	bed_run_in("a", "timeout 40 iperf3 -c %s -p %d %s", address, server_port, options);
}

/* TCP from a to b and back, for a second each. */
static void run_tcp(const char *address)
{
	traffic_start_server();
	traffic_start_client(address, "-t 1 >/dev/null");
	traffic_start_server();
	traffic_start_client(address, "-t 1 -R >/dev/null");
}

void traffic_run(struct datapath *dp)
{
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 198.51.100.2 >/dev/null");
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 2001:db8:1::2 >/dev/null");
	/* Larger than the MTU: fragments. */
	bed_run_in("a", "ping -qc 3 -i 0.05 -W 5 -s 8000 198.51.100.2 >/dev/null");
	run_tcp("198.51.100.2");
	run_tcp("2001:db8:1::2");
	for (uint32_t no = 1; no <= 2; no++) {
		struct port_counters sum;

		bed_get_counters(dp, no, &sum);
		assert_true(sum.tx_packets > 0);
		assert_true(sum.tx_bytes / sum.tx_packets > 2000);
		assert_int_equal(sum.drops[DROP_RX_BAD_OFFLOAD], 0);
		assert_int_equal(sum.drops[DROP_TX_ERROR], 0);
		assert_int_equal(sum.drops[DROP_TX_TOO_LONG], 0);
	}
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
	{{.ethertype = 0x0800, .tagged = true, .tci = 0x6064, .proto = 6, .payload_len = 9000},
	 {1, VIRTIO_NET_HDR_GSO_TCPV4, 58, 1444, 38, 16}},
	{{.ethertype = 0x0800, .proto = 6, .ttl = 9, .dport = 7, .payload_len = 700},
	 {1, 0, 0, 0, 34, 16}},
	{{.ethertype = 0x86dd, .tagged = true, .tci = 1, .proto = 17, .ttl = 9, .payload_len = 40},
	 {1, 0, 0, 0, 58, 6}},
};

/* Sends a frame with a virtio-net header ahead. */
static void send_vnet(int fd, const struct virtio_net_hdr *hdr, const uint8_t *frame, uint32_t len)
{
	static uint8_t buf[70000];

	memcpy(buf, hdr, sizeof(*hdr));
	memcpy(buf + sizeof(*hdr), frame, len);
	assert_int_equal(send(fd, buf, len + sizeof(*hdr), 0), len + sizeof(*hdr));
}

/* Takes packets from the mem port until one has that length. */
static void collect_whole(struct port *port, uint8_t *buf, uint32_t size, uint32_t len,
			  struct port_mem_offload *offload)
{
	int got;

	while ((got = port_mem_collect(port, buf, size, offload, 5000)) != (int)len)
		assert_true(got > 0);
}

/* The frame arrives at the socket, which takes a tag off; `hdr` says what its offloads are. */
static void receive_whole(int fd, const struct virtio_net_hdr *hdr, const uint8_t *frame,
			  uint32_t len, bool tagged)
{
	static uint8_t buf[70000];
	uint32_t gone = tagged ? 4 : 0;
	struct virtio_net_hdr got;

	assert_int_equal(bed_receive(fd, buf, sizeof(buf), 5000), len - gone + sizeof(got));
	memcpy(&got, buf, sizeof(got));
	assert_int_equal(got.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(got.gso_type, hdr->gso_type);
	assert_int_equal(got.gso_size, hdr->gso_size);
	assert_int_equal(got.csum_start, hdr->csum_start - gone);
	assert_int_equal(got.csum_offset, hdr->csum_offset);
	assert_memory_equal(buf + sizeof(got), frame, 12);
	assert_memory_equal(buf + sizeof(got) + 12, frame + 12 + gone, len - gone - 12);
}

void traffic_check_offloads(const char *ifname, struct port *mem)
{
	static uint8_t frame[70000], got[70000];
	struct port_mem_offload offload;
	int fd = bed_open_raw(ifname, true);

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		struct frame_spec spec = whole[i].spec;
		const struct virtio_net_hdr *hdr = &whole[i].hdr;
		uint32_t len;

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

		assert_int_equal(port_mem_inject(mem, 0, frame, len, &offload), 0);
		receive_whole(fd, hdr, frame, len, spec.tagged);
	}
	close(fd);
}

void traffic_check_idle(struct datapath *dp, unsigned int worker)
{
	struct worker_stats before, after;

	datapath_get_worker_stats(dp, worker, &before);
	usleep(500000);
	datapath_get_worker_stats(dp, worker, &after);
	assert_true(after.busy_ns - before.busy_ns < 100 * CLOCK_NS_PER_MS);
}

void traffic_remove_ports(struct datapath *dp, uint32_t n_ports)
{
	for (uint32_t no = 1; no <= n_ports; no++)
		assert_int_equal(datapath_remove_port(dp, no), 0);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
}

/* In a process without privilege. Returns its exit status: 0 when the error is the right one. */
static int run_unprivileged(const char *type, const char *name, const char *word)
{
	struct error err = ERROR_INIT;
	struct datapath *dp;
	int ret;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 2;
	dp = bed_create_datapath(1, 1024);
	ret = bed_try_typed_port(dp, type, name, "", &err);
	datapath_destroy(dp);
	return ret == -EPERM && strstr(err.text, word) ? 0 : 1;
}

void traffic_check_unprivileged(const char *type, const char *name, const char *word)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_unprivileged(type, name, word));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
