/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP ports between veths: frames in are frames out, jumbo frames, checksums left partial, tags
 * taken off, ports closed and devices removed under traffic, other XDP programs, and everything
 * that is refused.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/virtio_net.h>
#include <xdp/libxdp.h>

#include "bpf/flow_parse.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0.h"
#include "bpf/vswitch_xdp.skel.h"
#include "datapath/netdev.h"
#include "datapath/packet.h"
#include "datapath/port_afxdp.h"
#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/unit/test.h"

static uint8_t frame[70000], got[70000];

/* Two pairs of veths, p0-q0 and p1-q1, the p ends being ports 1 and 2. */
struct bed {
	struct datapath *dp;
	int q0, q1; /* raw sockets on the far ends */
};

static struct bed open_bed(const char *link_options, const char *port_options)
{
	struct bed bed;

	bed_add_veth("p0", "q0", link_options);
	bed_add_veth("p1", "q1", link_options);
	bed.dp = bed_create_datapath(1, 4096);
	assert_int_equal(bed_add_port(bed.dp, "p0", port_options), 1);
	assert_int_equal(bed_add_port(bed.dp, "p1", port_options), 2);
	bed.q0 = bed_open_raw("q0", false);
	bed.q1 = bed_open_raw("q1", false);
	return bed;
}

static void close_bed(struct bed *bed)
{
	close(bed->q0);
	close(bed->q1);
	if (bed->dp) {
		for (uint32_t no = 1; no <= 2; no++)
			if (datapath_get_port(bed->dp, no))
				assert_int_equal(datapath_remove_port(bed->dp, no), 0);
		assert_int_equal(bed_count_lent(bed->dp), 0);
		datapath_destroy(bed->dp);
	}
	bed_run("ip link del q0; ip link del q1");
}

static void check_passes(int from, int to, uint32_t len, uint32_t seed)
{
	int n;

	bed_fill(frame, len, seed);
	assert_int_equal(send(from, frame, len, 0), len);
	n = bed_receive_test(to, got, sizeof(got), 2000);
	assert_int_equal(n, len);
	assert_memory_equal(frame, got, len);
}

/* Each frame that goes in comes out, once, unchanged, in order. */
static void check_forwards(const char *port_options, const char *mode)
{
	struct bed bed = open_bed("", port_options);
	struct port_counters in, out;

	assert_string_equal(bed_get_status(bed.dp, 1, "mode"), mode);
	for (uint32_t i = 0; i < 500; i++)
		check_passes(bed.q0, bed.q1, 60 + i * 1454 / 499, i);
	check_passes(bed.q1, bed.q0, 60, 7);
	bed_get_counters(bed.dp, 1, &in);
	bed_get_counters(bed.dp, 2, &out);
	assert_in_range(in.rx_packets, 500, 510);
	assert_in_range(out.tx_packets, 500, 510);
	for (int r = 0; r < DROP_N_REASONS; r++) {
		assert_int_equal(in.drops[r], 0);
		assert_int_equal(out.drops[r], 0);
	}
	close_bed(&bed);
}

static void test_native(void **state UNUSED)
{
	check_forwards("mode=native", "native copy");
}

static void test_generic(void **state UNUSED)
{
	check_forwards("mode=generic", "generic copy");
}

static void test_busy_poll(void **state UNUSED)
{
	check_forwards("busy-poll=50 ring=256", "native copy");
}

/* While the port is open its device leaves VLAN tags in frames; before and after as it was. */
static void test_device_restored(void **state UNUSED)
{
	struct bed bed = open_bed("", "");
	int ifindex = (int)if_nametoindex("p0");

	assert_int_equal(netdev_set_vlan_stripping(ifindex, false), 0);
	bed_run("ip -d link show p0 | grep -q 'promiscuity 1'");
	assert_int_equal(datapath_remove_port(bed.dp, 1), 0);
	assert_int_equal(netdev_set_vlan_stripping(ifindex, true), 1);
	bed_run("ip -d link show p0 | grep -q 'promiscuity 0'");
	close_bed(&bed);
}

static void test_auto_keeps_reasons(void **state UNUSED)
{
	struct bed bed = open_bed("", "");

	assert_string_equal(bed_get_status(bed.dp, 1, "mode"), "native copy");
	assert_non_null(strstr(bed_get_status(bed.dp, 1, "zero-copy"), "refused: "));
	assert_string_equal(bed_get_status(bed.dp, 1, "hints"), "hash, timestamp, vlan");
	assert_string_equal(bed_get_status(bed.dp, 1, "multi-buffer"), "yes");
	assert_string_equal(bed_get_status(bed.dp, 1, "xdp"), "attached directly");
	close_bed(&bed);
}

/* ---- what the packet carries ---- */

static void check_jumbo(const char *port_options)
{
	struct bed bed = open_bed("mtu 9000", port_options);

	for (uint32_t len = 60; len <= 9014; len += 199)
		check_passes(bed.q0, bed.q1, len, len);
	check_passes(bed.q0, bed.q1, 9014, 1);
	/* The border between one buffer and two. */
	for (uint32_t len = 1790; len <= 1794; len++)
		check_passes(bed.q1, bed.q0, len, len);
	close_bed(&bed);
}

static void test_jumbo(void **state UNUSED)
{
	check_jumbo("");
}

static void test_jumbo_generic(void **state UNUSED)
{
	check_jumbo("mode=generic");
}

/* The longest frames that a port takes: all the buffers that the kernel can send. */
static void test_longest(void **state UNUSED)
{
	struct bed bed = open_bed("mtu 30446", "");

	check_passes(bed.q0, bed.q1, 30460, 1);
	check_passes(bed.q1, bed.q0, 30459, 2);
	close_bed(&bed);
}

/* A UDP datagram with the checksum left to whoever comes next, behind its virtio-net header. */
static size_t make_partial(uint8_t *buf)
{
	static const uint8_t headers[] = {
		2,    0,    0,	  0,	0, 2,	2,    0, 0,  0,	 0, 1, 8,   0, /* Ethernet */
		0x45, 0,    0,	  128,	0, 0,	0x40, 0, 64, 17, 0, 0, 198, 18,
		0,    1,    198,  18,	0, 2, /* IPv4 */
		0x30, 0x39, 0xd4, 0x31, 0, 108, 0,    0, /* UDP, port 54321 */
	};
	struct virtio_net_hdr *vnet = (struct virtio_net_hdr *)buf;
	uint8_t *p = buf + sizeof(*vnet);
	/* Pseudo header: addresses, protocol, length. */
	uint32_t sum = 0xc612 + 0x0001 + 0xc612 + 0x0002 + 17 + 108;

	memset(vnet, 0, sizeof(*vnet));
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = 34;
	vnet->csum_offset = 6;
	memcpy(p, headers, sizeof(headers));
	sum = (sum & 0xffff) + (sum >> 16);
	p[40] = (uint8_t)(sum >> 8);
	p[41] = (uint8_t)sum;
	memset(p + 42, 0x3c, 100);
	return sizeof(*vnet) + 142;
}

/* Reads frames until one is for UDP port 54321. */
static int receive_udp(int fd, uint8_t *buf, size_t size)
{
	for (int i = 0; i < 100; i++) {
		int len = bed_receive(fd, buf, size, 2000);
		const uint8_t *p = buf + sizeof(struct virtio_net_hdr);

		if (len < 0)
			return len;
		if (p[12] == 8 && p[23] == 17 && p[36] == 0xd4 && p[37] == 0x31)
			return len;
	}
	return -1;
}

/* Nobody inside the host sums anything: the far end gets the packet with its checksum still
 * partial. */
static void test_partial_checksum(void **state UNUSED)
{
	struct bed bed = open_bed("", "");
	int q0 = bed_open_raw("q0", true), q1 = bed_open_raw("q1", true);
	const struct virtio_net_hdr *vnet = (const struct virtio_net_hdr *)got;
	size_t len = make_partial(frame);

	assert_string_equal(bed_get_status(bed.dp, 1, "checksum"), "left to the kernel");
	assert_int_equal(send(q0, frame, len, 0), (ssize_t)len);
	assert_int_equal(receive_udp(q1, got, sizeof(got)), (int)len);
	assert_int_equal(vnet->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(vnet->csum_start, 34);
	assert_int_equal(vnet->csum_offset, 6);
	assert_memory_equal(got + sizeof(*vnet), frame + sizeof(*vnet), 142);
	close(q0);
	close(q1);
	close_bed(&bed);
}

/* Opens p0 alone, to be driven by hand. */
static struct port *open_by_hand(struct datapath *dp, const char *name)
{
	struct port_config config = {.name = name, .n_workers = 1};
	struct error err = ERROR_INIT;
	struct port *port;

	if (port_afxdp_class.open(dp, &config, &port, &err))
		fail_msg("%s: %s", name, err.text);
	return port;
}

/* Receives the next test frame, tagged or not, on the port's first queue. */
static struct packet *receive_by_hand(struct datapath *dp, struct port *port)
{
	struct frame_cache *cache = datapath_get_control_cache(dp);
	uint64_t end = clock_now() + 2 * CLOCK_NS_PER_S;
	struct packet *packet;

	while (clock_now() < end) {
		uint16_t type;

		if (port->class->rx(port->rxqs[0], cache, &port->counters[0], &packet, 1) == 0)
			continue;
		memcpy(&type, packet->data + 12, 2);
		if (type == htons(0x8100))
			memcpy(&type, packet->data + 16, 2);
		if (type == htons(0x88b5))
			return packet;
		packet_free(cache, packet);
	}
	fail_msg("nothing came");
	return NULL;
}

static void check_meta(const struct packet *packet)
{
	struct flow_layout layout;
	struct flow_key key;

	assert_true(packet->has_hash);
	assert_int_equal(flow_key_parse(packet->data, packet->data + packet->len, packet->total_len,
					&key, &layout),
			 0);
	assert_int_equal(packet->hash, flow_key_hash(&key, layout.n_words));
	assert_memory_equal(&packet->layout, &layout, sizeof(layout));
	/* The one hint that a veth always has. */
	assert_int_not_equal(packet->rx_hash, 0);
}

static void test_records(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 4096);
	struct frame_cache *cache = datapath_get_control_cache(dp);
	struct packet *packet;
	struct port *port;
	int q0;

	bed_add_veth("p0", "q0", "");
	port = open_by_hand(dp, "p0");
	q0 = bed_open_raw("q0", false);
	bed_fill(frame, 100, 1);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(send(q0, frame, 100, 0), 100);
		packet = receive_by_hand(dp, port);
		check_meta(packet);
		assert_int_equal(packet->total_len, 100);
		packet_free(cache, packet);
	}
	/* The tag was beside the frame, and is in it again. */
	bed_attach_vlan_push("q0", 0x6123);
	assert_int_equal(send(q0, frame, 100, 0), 100);
	packet = receive_by_hand(dp, port);
	check_meta(packet);
	assert_int_equal(packet->total_len, 104);
	assert_memory_equal(packet->data, frame, 12);
	assert_memory_equal(packet->data + 12, "\x81\x00\x61\x23", 4);
	assert_memory_equal(packet->data + 16, frame + 12, 88);
	packet_free(cache, packet);
	/* And ahead of another tag. */
	memcpy(frame + 12, "\x81\x00\x00\x07\x88\xb5", 6);
	assert_int_equal(send(q0, frame, 100, 0), 100);
	do {
		while (port->class->rx(port->rxqs[0], cache, &port->counters[0], &packet, 1) == 0)
			;
	} while (memcmp(packet->data + 12, "\x81\x00\x61\x23\x81\x00\x00\x07", 8) &&
		 (packet_free(cache, packet), true));
	assert_false(packet->has_hash);
	packet_free(cache, packet);
	close(q0);
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

/* A frame that somebody wrote a record into is not lent for receiving with it. */
static void test_forged_records(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 4096);
	struct frame_pool *pool = datapath_get_pool(dp);
	const uint32_t magic = XDP_META_MAGIC;
	struct port *port;
	uint32_t n_lent = 0;

	for (uint32_t i = 0; i < pool->n_frames; i++)
		for (uint32_t offset = 0; offset < FRAME_SIZE; offset += sizeof(magic))
			memcpy(pool->packets[i].frame + offset, &magic, sizeof(magic));
	bed_add_veth("p0", "q0", "");
	port = open_by_hand(dp, "p0");
	for (uint32_t i = 0; i < pool->n_frames; i++) {
		const struct packet *packet = &pool->packets[i];
		struct xdp_meta meta;

		if (packet->owner != port->rxqs[0]->owner)
			continue;
		memcpy(&meta, packet->frame + FRAME_HEADROOM - sizeof(meta), sizeof(meta));
		assert_int_not_equal(meta.magic, XDP_META_MAGIC);
		n_lent++;
	}
	assert_true(n_lent >= 64);
	port->class->close(port);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

/* ---- ports come and go under traffic ---- */

/* Sends on a raw socket until told to stop. */
struct sender {
	pthread_t thread;
	int fd;
	uint32_t len;
	atomic_bool stop;
};

static void *send_on(void *sender_)
{
	struct sender *sender = sender_;
	uint8_t data[9014];

	bed_fill(data, sender->len, 3);
	while (!atomic_load(&sender->stop)) {
		for (int i = 0; i < 64; i++)
			(void)!send(sender->fd, data, sender->len, MSG_DONTWAIT);
		usleep(200);
	}
	return NULL;
}

static void start_sender(struct sender *sender, int fd, uint32_t len)
{
	sender->fd = fd;
	sender->len = len;
	atomic_init(&sender->stop, false);
	assert_int_equal(pthread_create(&sender->thread, NULL, send_on, sender), 0);
}

static void stop_sender(struct sender *sender)
{
	atomic_store(&sender->stop, true);
	pthread_join(sender->thread, NULL);
}

static void close_under_traffic(const char *link_options, const char *port_options, uint32_t len)
{
	struct bed bed = open_bed(link_options, port_options);
	struct sender senders[2];

	start_sender(&senders[0], bed.q0, len);
	start_sender(&senders[1], bed.q1, len);
	for (int i = 0; i < 6; i++) {
		uint32_t no = 1 + (uint32_t)i % 2;

		usleep(30000);
		assert_int_equal(datapath_remove_port(bed.dp, no), 0);
		assert_int_equal(bed_add_port(bed.dp, no == 1 ? "p0" : "p1", port_options), no);
	}
	usleep(30000);
	for (uint32_t no = 1; no <= 2; no++)
		assert_int_equal(datapath_remove_port(bed.dp, no), 0);
	/* Every frame is back while the senders are still at it. */
	assert_int_equal(bed_count_lent(bed.dp), 0);
	for (int i = 0; i < 2; i++)
		stop_sender(&senders[i]);
	close_bed(&bed);
}

static void test_close_under_traffic(void **state UNUSED)
{
	close_under_traffic("", "", 60);
}

static void test_close_under_jumbo_traffic(void **state UNUSED)
{
	close_under_traffic("mtu 9000", "", 9014);
}

static void test_close_generic_under_traffic(void **state UNUSED)
{
	close_under_traffic("", "mode=generic", 60);
}

static void test_device_removed(void **state UNUSED)
{
	struct bed bed = open_bed("", "");
	struct sender sender;
	struct port *port = datapath_get_port(bed.dp, 2);

	start_sender(&sender, bed.q0, 60);
	usleep(30000);
	bed_run("ip link del q1");
	usleep(30000);
	assert_int_equal(port->class->refresh(port), -ENODEV);
	assert_false(port_get_link(port));
	assert_int_equal(datapath_remove_port(bed.dp, 2), 0);
	stop_sender(&sender);
	/* The other port, whose memory was registered together with it, does not notice. */
	close(bed.q1);
	bed_add_veth("p1", "q1", "");
	assert_int_equal(bed_add_port(bed.dp, "p1", ""), 2);
	bed.q1 = bed_open_raw("q1", false);
	check_passes(bed.q0, bed.q1, 60, 5);
	close_bed(&bed);
}

/* The first port has registered the memory: it goes, the second goes on, a third joins. */
static void test_first_port_goes(void **state UNUSED)
{
	struct bed bed = open_bed("", "");

	assert_int_equal(datapath_remove_port(bed.dp, 1), 0);
	assert_int_equal(bed_add_port(bed.dp, "p0", ""), 1);
	check_passes(bed.q0, bed.q1, 60, 5);
	check_passes(bed.q1, bed.q0, 60, 6);
	close_bed(&bed);
}

static void test_link_down_and_up(void **state UNUSED)
{
	struct bed bed = open_bed("", "");
	struct port *port = datapath_get_port(bed.dp, 2);
	struct port_counters sum;

	bed_run("ip link set p1 down");
	assert_int_equal(port->class->refresh(port), 0);
	assert_false(port_get_link(port));
	bed_fill(frame, 60, 1);
	assert_int_equal(send(bed.q0, frame, 60, 0), 60);
	usleep(20000);
	bed_get_counters(bed.dp, 2, &sum);
	assert_true(sum.drops[DROP_TX_DOWN] >= 1);
	bed_run("ip link set p1 up");
	for (int i = 0; i < 100 && !port_get_link(port); i++) {
		usleep(10000);
		assert_int_equal(port->class->refresh(port), 0);
	}
	check_passes(bed.q0, bed.q1, 60, 2);
	close_bed(&bed);
}

static void test_two_queues(void **state UNUSED)
{
	struct bed bed = open_bed("numrxqueues 2 numtxqueues 2", "");

	assert_string_equal(bed_get_status(bed.dp, 1, "queues"), "2");
	for (uint32_t i = 0; i < 100; i++)
		check_passes(bed.q0, bed.q1, 60, i);
	close_bed(&bed);
}

/* Lets the far end fall behind: what is lost is counted, and what is not lost arrives. */
static void test_overload(void **state UNUSED)
{
	struct bed bed = open_bed("", "ring=64");
	struct port_counters in, out;
	struct sender sender;
	uint64_t lost = 0;

	start_sender(&sender, bed.q0, 60);
	usleep(300000);
	stop_sender(&sender);
	usleep(50000);
	bed_get_counters(bed.dp, 1, &in);
	bed_get_counters(bed.dp, 2, &out);
	for (int r = 0; r < DROP_N_REASONS; r++)
		if (!drop_reason_is_kernel(r))
			lost += in.drops[r] + out.drops[r];
	assert_true(in.rx_packets > 100);
	assert_int_equal(in.rx_packets, out.tx_packets + lost);
	close_bed(&bed);
}

/* ---- other XDP programs ---- */

/* Attaches a program that passes everything on, through libxdp's dispatcher. */
static struct xdp_program *attach_other(const char *ifname, struct vswitch_xdp_bpf **skelp)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
	struct vswitch_xdp_bpf *skel = vswitch_xdp_bpf__open();
	struct xdp_program *prog;
	struct bpf_program *program;

	assert_non_null(skel);
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.vswitch_xdp_bare);
	opts.obj = skel->obj;
	opts.prog_name = "vswitch_xdp_bare";
	prog = xdp_program__create(&opts);
	assert_int_equal(libxdp_get_error(prog), 0);
	assert_int_equal(xdp_program__set_xdp_frags_support(prog, true), 0);
	assert_int_equal(xdp_program__set_run_prio(prog, 10), 0);
	assert_int_equal(xdp_program__attach(prog, (int)if_nametoindex(ifname), XDP_MODE_NATIVE, 0),
			 0);
	*skelp = skel;
	return prog;
}

static void detach_other(struct xdp_program *prog, struct vswitch_xdp_bpf *skel)
{
	assert_int_equal(xdp_program__detach(prog, (int)if_nametoindex("p0"), XDP_MODE_NATIVE, 0),
			 0);
	xdp_program__close(prog);
	vswitch_xdp_bpf__destroy(skel);
}

static unsigned int count_programs(const char *ifname)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex((int)if_nametoindex(ifname));
	int n = 0;

	if (!libxdp_get_error(multi)) {
		n = xdp_multiprog__program_count(multi);
		xdp_multiprog__close(multi);
	}
	return (unsigned int)n;
}

static void test_dispatcher(void **state UNUSED)
{
	struct vswitch_xdp_bpf *skel;
	struct xdp_program *other;
	struct bed bed;

	bed_run("mount -t bpf bpf /sys/fs/bpf");
	bed_add_veth("p0", "q0", "");
	bed_add_veth("p1", "q1", "");
	other = attach_other("p0", &skel);
	if (count_programs("p0") == 0) {
		/* libxdp has attached it alone: the kernel refuses what dispatchers are made of. */
		detach_other(other, skel);
		bed_run("ip link del q0; ip link del q1; umount /sys/fs/bpf");
		print_message("skipped: this kernel refuses XDP dispatchers (BPF_PROG_TYPE_EXT)\n");
		skip();
	}
	assert_int_equal(count_programs("p0"), 1);
	bed.dp = bed_create_datapath(1, 4096);
	bed_add_port(bed.dp, "p0", "");
	bed_add_port(bed.dp, "p1", "");
	bed.q0 = bed_open_raw("q0", false);
	bed.q1 = bed_open_raw("q1", false);
	assert_non_null(strstr(bed_get_status(bed.dp, 1, "xdp"), "dispatcher"));
	assert_string_equal(bed_get_status(bed.dp, 2, "xdp"), "attached directly");
	assert_int_equal(count_programs("p0"), 2);
	check_passes(bed.q0, bed.q1, 60, 1);
	check_passes(bed.q1, bed.q0, 60, 2);
	/* Ours goes, the other one stays. */
	assert_int_equal(datapath_remove_port(bed.dp, 1), 0);
	assert_int_equal(count_programs("p0"), 1);
	detach_other(other, skel);
	close_bed(&bed);
	bed_run("umount /sys/fs/bpf");
}

static void test_program_detached(void **state UNUSED)
{
	struct bed bed = open_bed("", "");

	bed_run("ip -d link show p0 | grep -q prog/xdp");
	assert_int_equal(datapath_remove_port(bed.dp, 1), 0);
	bed_run("! ip -d link show p0 | grep -q prog/xdp");
	close_bed(&bed);
}

/* ---- refusals ---- */

static void check_refused(struct datapath *dp, const char *name, const char *options, int expected,
			  const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(bed_try_port(dp, name, options, &err), expected);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_refusals(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 4096);
	unsigned int n_fds;

	bed_add_veth("port0", "q0", "");
	bed_add_veth("big0", "big1", "mtu 40000");
	bed_run("ip link set dev port0 xdpgeneric off");
	n_fds = count_fds();
	check_refused(dp, "prot0", "", -ENODEV, "did you mean 'port0'");
	check_refused(dp, "big0", "", -EMSGSIZE, "MTU 40000 of big0 is too large");
	check_refused(dp, "port0", "mode=zerozopy", -EINVAL, "did you mean 'zerocopy'");
	check_refused(dp, "port0", "queues=7", -EINVAL, "port0 has 1 receive queues");
	check_refused(dp, "port0", "ring=100", -EINVAL, "power of 2");
	check_refused(dp, "port0", "busy-poll=yes", -EINVAL, "busy-poll=yes");
	check_refused(dp, "port0", "mode=zerocopy", -EOPNOTSUPP, "zero-copy");
	check_refused(dp, "port0", "mode=offload", -EINVAL, "mode=offload: ");
	assert_int_equal(count_fds(), n_fds);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0; ip link del big1");
}

/* A port on a device with a program of that name is refused with that text. */
static void check_foreign(const char *name, int expected, const char *text)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", insns, ARRAY_SIZE(insns), NULL);
	struct datapath *dp = bed_create_datapath(1, 4096);
	int ifindex;

	assert_true(fd >= 0);
	bed_add_veth("p0", "q0", "");
	ifindex = (int)if_nametoindex("p0");
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	check_refused(dp, "p0", "mode=native", expected, text);
	check_refused(dp, "p0", "", expected, text);
	check_refused(dp, "p0", "mode=generic", -EEXIST, "in native mode, which excludes");
	/* It is still there. */
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

static void test_foreign_program(void **state UNUSED)
{
	check_foreign("foreign", -EBUSY, "XDP program 'foreign'");
}

/* The dispatcher's maps lie in a BPF file system, of which there is none. */
static void test_no_bpffs(void **state UNUSED)
{
	check_foreign("xdp_dispatcher", -ENOENT, "mount -t bpf bpf /sys/fs/bpf");
}

/* Two switches cannot have one device. */
static void test_second_switch(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 4096);
	struct port *port;

	bed_add_veth("p0", "q0", "");
	port = open_by_hand(dp, "p0");
	check_refused(dp, "p0", "", -EBUSY, "p0 is a port of another switch already");
	port->class->close(port);
	assert_int_equal(bed_count_lent(dp), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

static void test_without_privileges(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 4096);

	bed_add_veth("p0", "q0", "");
	assert_int_equal(seteuid(65534), 0);
	check_refused(dp, "p0", "", -EPERM, "CAP_NET_ADMIN");
	assert_int_equal(seteuid(0), 0);
	datapath_destroy(dp);
	bed_run("ip link del q0");
}

static void test_pool_too_small(void **state UNUSED)
{
	struct datapath *dp = bed_create_datapath(1, 64);

	bed_add_veth("p0", "q0", "");
	bed_add_veth("p1", "q1", "");
	bed_add_port(dp, "p0", "");
	check_refused(dp, "p1", "", -ENOBUFS, "0 frames of the 64");
	datapath_destroy(dp);
	bed_run("ip link del q0; ip link del q1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_auto_keeps_reasons),
		cmocka_unit_test(test_busy_poll),
		cmocka_unit_test(test_device_restored),
		cmocka_unit_test(test_jumbo),
		cmocka_unit_test(test_jumbo_generic),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_partial_checksum),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_forged_records),
		cmocka_unit_test(test_close_under_traffic),
		cmocka_unit_test(test_close_under_jumbo_traffic),
		cmocka_unit_test(test_close_generic_under_traffic),
		cmocka_unit_test(test_device_removed),
		cmocka_unit_test(test_first_port_goes),
		cmocka_unit_test(test_link_down_and_up),
		cmocka_unit_test(test_two_queues),
		cmocka_unit_test(test_overload),
		cmocka_unit_test(test_dispatcher),
		cmocka_unit_test(test_program_detached),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_foreign_program),
		cmocka_unit_test(test_no_bpffs),
		cmocka_unit_test(test_second_switch),
		cmocka_unit_test(test_without_privileges),
		cmocka_unit_test(test_pool_too_small),
	};

	bed_enter();
	return cmocka_run_group_tests_name("afxdp", tests, NULL, NULL);
}
