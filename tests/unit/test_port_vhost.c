/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user ports with the real datapath and its workers, and guests in this process at the other
 * ends of their sockets. Port 1 and port 2 are wired to each other, 3 and 4 likewise. Each test
 * ends with the sums right and all frames back.
 */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/offload.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "tests/unit/frames.h"
#include "tests/unit/vhost_guest.h"
#include "vhost/guest_fault.h"

#define N_FRAMES 8192u
#define PATIENCE_NS (60 * CLOCK_NS_PER_S)

#define F(name) VHOST_BIT(VIRTIO_NET_F_##name)
#define CSUM_FEATURES (F(CSUM) | F(GUEST_CSUM))
#define TSO_FEATURES (CSUM_FEATURES | F(HOST_TSO4) | F(HOST_TSO6) | F(GUEST_TSO4) | F(GUEST_TSO6))
#define BASE_FEATURES (VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define MERGED F(MRG_RXBUF)
#define INDIRECT VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER VHOST_BIT(VIRTIO_F_IN_ORDER)

static char folder[] = "/tmp/test_port_vhost.XXXXXX";
static char paths[4][64];
static struct datapath *dp;
static struct vhost_guest guests[4];

/* ---- the switch ---------------------------------------------------------------------------- */

static void translate(void *aux UNUSED, const struct flow_key *key,
		      struct pipeline_verdict *verdict)
{
	memset(&verdict->mask, 0, sizeof(verdict->mask));
	verdict->mask.in_port = UINT32_MAX;
	if (action_list_append_output(&verdict->actions, ((key->in_port - 1) ^ 1) + 1))
		abort();
}

static const struct pipeline pipeline = {.translate = translate};

/* What the daemon's loop does. */
static void run_control(void *aux UNUSED)
{
	datapath_run_control(dp);
}

static void start(unsigned int n_workers)
{
	struct datapath_config config = {
		.n_workers = n_workers,
		.n_frames = N_FRAMES,
		.pipeline = &pipeline,
	};
	struct error err = ERROR_INIT;

	log_set_level(LOG_LEVEL_ERROR);
	if (datapath_create(&config, &dp, &err))
		fail_msg("%s", err.text);
}

/* Adds port `i`; `more` is KEY=VALUE pairs with blanks between them. */
static int try_add(unsigned int i, const char *more, struct error *err)
{
	struct port_option options[16];
	struct port_config config = {.options = options};
	char name[16], text[512], *save = NULL;
	uint32_t no;
	int ret;

	snprintf(name, sizeof(name), "vm%u", i);
	snprintf(paths[i], sizeof(paths[i]), "%s/%s.sock", folder, name);
	snprintf(text, sizeof(text), "%s", more);
	config.name = name;
	config.folder = folder;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		options[config.n_options++] = (struct port_option){word, value};
	}
	ret = datapath_add_port(dp, "vhost-user", &config, &no, err);
	/* cmocka has put a handler of its own in the place of ours */
	assert_int_equal(guest_fault_init(), 0);
	if (!ret)
		assert_int_equal(no, i + 1);
	return ret;
}

static void add(unsigned int i, const char *more)
{
	struct error err = ERROR_INIT;

	if (try_add(i, more, &err))
		fail_msg("%s", err.text);
}

static struct port *get_port(unsigned int i)
{
	return datapath_get_port(dp, i + 1);
}

static uint64_t drops_of(unsigned int i, enum drop_reason reason)
{
	struct port_counters sum;

	port_sum_counters(get_port(i), &sum);
	return sum.drops[reason];
}

/* Waits until the port has counted `n` drops of that reason, and no more. */
static void wait_drops(unsigned int i, enum drop_reason reason, uint64_t n)
{
	uint64_t end = clock_now() + PATIENCE_NS;

	while (drops_of(i, reason) < n && clock_now() < end)
		usleep(100);
	assert_int_equal(drops_of(i, reason), n);
}

/* What came in and was copied went out or was dropped, over all ports. */
static void check_sums(void)
{
	uint64_t in = 0, out = 0;

	datapath_invalidate(dp); /* each worker ends its round */
	for (uint32_t no = 1; no <= 4; no++) {
		struct port_counters sum;

		if (!datapath_get_port(dp, no))
			continue;
		port_sum_counters(datapath_get_port(dp, no), &sum);
		in += sum.rx_packets + sum.copies;
		out += sum.tx_packets;
		for (int r = 0; r < DROP_N_REASONS; r++)
			if (drop_reason_stage((enum drop_reason)r) != DROP_STAGE_KERNEL)
				out += sum.drops[r];
	}
	assert_int_equal(in, out);
}

/* Ends with all frames back and nothing watched. */
static void stop(void)
{
	check_sums();
	for (uint32_t no = 1; no <= 4; no++)
		(void)!datapath_remove_port(dp, no);
	assert_int_equal(frame_pool_count(datapath_get_pool(dp), FRAME_HELD), 0);
	assert_int_equal(frame_pool_count(datapath_get_pool(dp), FRAME_FREE), N_FRAMES);
	datapath_destroy(dp);
	assert_int_equal(guest_fault_count(), 0);
}

/* ---- the guests ---------------------------------------------------------------------------- */

static void boot(unsigned int i, struct guest_config config)
{
	config.path = paths[i];
	config.run = run_control;
	if (!config.n_pairs)
		config.n_pairs = 1;
	guest_init(&guests[i], &config);
}

/* Sends, waiting while the ring is full. */
static void send_packet(unsigned int i, unsigned int pair, const struct virtio_net_hdr *hdr,
			const void *frame, uint32_t len)
{
	uint64_t end = clock_now() + PATIENCE_NS;

	while (guest_send(&guests[i], pair, hdr, frame, len)) {
		assert_true(clock_now() < end);
		usleep(10);
	}
}

/* Receives, waiting for it. */
static uint32_t receive(unsigned int i, unsigned int pair, struct virtio_net_hdr *hdr, void *frame,
			uint32_t size)
{
	uint64_t end = clock_now() + PATIENCE_NS;
	int len;

	for (;;) {
		len = guest_receive(&guests[i], pair, hdr, frame, size);
		if (len >= 0)
			return (uint32_t)len;
		if (clock_now() > end)
			fail_msg("guest %u: no packet came", i);
		usleep(10);
	}
}

/* A frame of `len` bytes that is number `n`. */
static void make_frame(uint8_t *frame, uint32_t len, uint32_t n)
{
	memset(frame, 0, 14);
	frame[12] = 0x88;
	frame[13] = 0xb5; /* for experiments */
	for (uint32_t i = 14; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + n);
	if (len >= 18)
		memcpy(frame + 14, &n, sizeof(n));
}

static void check_frame(const uint8_t *frame, uint32_t len, uint32_t n)
{
	static uint8_t expected[GUEST_PACKET_MAX];

	make_frame(expected, len, n);
	assert_memory_equal(frame, expected, len);
}

/* ---- packets of all lengths, rings of all kinds -------------------------------------------- */

static const uint32_t lengths[] = {14,	 15,   18,   31,   32,	  33,	 60,   63,   64,
				   65,	 127,  128,  129,  255,	  590,	 1514, 1518, 1791,
				   1792, 1793, 3000, 9018, 16000, 33000, 60000};

static void carry_all(const struct guest_config *config, unsigned int n_workers)
{
	static uint8_t frame[GUEST_PACKET_MAX];

	start(n_workers);
	add(0, "");
	add(1, "");
	boot(0, *config);
	boot(1, *config);
	assert_true(port_get_link(get_port(0)));
	for (uint32_t n = 0; n < 600; n++) {
		uint32_t len = lengths[n % ARRAY_SIZE(lengths)];
		unsigned int to = n / 100 % 2;

		make_frame(frame, len, n);
		send_packet(!to, 0, NULL, frame, len);
		assert_int_equal(receive(to, 0, NULL, frame, sizeof(frame)), len);
		check_frame(frame, len, n);
	}
	guest_uninit(&guests[0]);
	guest_uninit(&guests[1]);
	stop();
}

static void test_split(void **state UNUSED)
{
	carry_all(&(struct guest_config){.features = BASE_FEATURES | MERGED | INDIRECT,
					 .slot_size = GUEST_PACKET_MAX},
		  1);
}

static void test_split_in_pieces(void **state UNUSED)
{
	carry_all(&(struct guest_config){.features = BASE_FEATURES | MERGED | INDIRECT | EVENT_IDX,
					 .slot_size = GUEST_PACKET_MAX,
					 .layout = DRIVER_INDIRECT,
					 .buffer_size = 1526,
					 .piece_size = 1500},
		  2);
}

static void test_packed(void **state UNUSED)
{
	carry_all(
		&(struct guest_config){.features = BASE_FEATURES | MERGED | PACKED_RING | EVENT_IDX,
				       .slot_size = GUEST_PACKET_MAX,
				       .layout = DRIVER_DIRECT,
				       .piece_size = 4096},
		1);
}

static void test_packed_in_order(void **state UNUSED)
{
	carry_all(&(struct guest_config){.features = BASE_FEATURES | MERGED | PACKED_RING |
						     IN_ORDER | INDIRECT,
					 .slot_size = GUEST_PACKET_MAX,
					 .layout = DRIVER_INDIRECT,
					 .piece_size = 4096},
		  1);
}

static void test_one_buffer_each(void **state UNUSED)
{
	carry_all(&(struct guest_config){.features = BASE_FEATURES,
					 .slot_size = GUEST_PACKET_MAX,
					 .n_buffers = 16},
		  1);
}

/* A driver as of before virtio 1.0: the header has 10 bytes. */
static void test_short_header(void **state UNUSED)
{
	carry_all(&(struct guest_config){.features = VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES),
					 .slot_size = GUEST_PACKET_MAX,
					 .n_buffers = 16},
		  1);
}

/* Bursts, several rings full, in order. */
static void test_bursts(void **state UNUSED)
{
	uint8_t frame[2048];
	uint32_t sent = 0, got = 0;

	start(1);
	add(0, "");
	add(1, "");
	boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED});
	boot(1, (struct guest_config){.features = BASE_FEATURES | PACKED_RING | MERGED});
	while (got < 5000) {
		uint32_t len = 14 + 4 + sent * 37 % 1400;

		if (sent < 5000 && sent - got < 60) {
			make_frame(frame, len, sent);
			sent += guest_send(&guests[0], 0, NULL, frame, len) == 0;
		} else {
			len = receive(1, 0, NULL, frame, sizeof(frame));
			assert_int_equal(len, 18 + got * 37 % 1400);
			check_frame(frame, len, got++);
		}
	}
	guest_uninit(&guests[0]);
	guest_uninit(&guests[1]);
	stop();
}

/* ---- a guest that comes and goes ----------------------------------------------------------- */

static void test_reconnect(void **state UNUSED)
{
	struct guest_config config = {.features = BASE_FEATURES | MERGED};
	uint8_t frame[2048];

	start(2);
	add(0, "");
	add(1, "");
	boot(0, config);
	make_frame(frame, 100, 0);
	/* There is nobody yet. */
	send_packet(0, 0, NULL, frame, 100);
	wait_drops(1, DROP_TX_DOWN, 1);
	boot(1, config);
	for (uint32_t n = 0; n < 50; n++) {
		make_frame(frame, 100, n);
		send_packet(0, 0, NULL, frame, 100);
		assert_int_equal(receive(1, 0, NULL, frame, sizeof(frame)), 100);
		check_frame(frame, 100, n);
		guest_reconnect(&guests[n % 2]);
	}
	driver_hang_up(&guests[1].driver);
	assert_false(port_get_link(get_port(1)));
	make_frame(frame, 100, 0);
	send_packet(0, 0, NULL, frame, 100);
	wait_drops(1, DROP_TX_DOWN, 2);
	guest_uninit(&guests[0]);
	guest_uninit(&guests[1]);
	stop();
}

static int set_up_folder(void **state UNUSED)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state UNUSED)
{
	/* Ports leave nothing behind, and the last one the folder neither. */
	return rmdir(folder) == 0 || errno == ENOENT ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),		cmocka_unit_test(test_split_in_pieces),
		cmocka_unit_test(test_packed),		cmocka_unit_test(test_packed_in_order),
		cmocka_unit_test(test_one_buffer_each), cmocka_unit_test(test_short_header),
		cmocka_unit_test(test_bursts),		cmocka_unit_test(test_reconnect),
	};

	return cmocka_run_group_tests_name("port_vhost", tests, set_up_folder, remove_folder);
}
