/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user ports: packets of all lengths, rings of all kinds, several queues, options; see
 * vhost_lab.h. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/vhost_lab.h"

/* ---- packets of all lengths, rings of all kinds -------------------------------------------- */

static const uint32_t lengths[] = {14,	 15,   18,   31,   32,	  33,	 60,   63,   64,
				   65,	 127,  128,  129,  255,	  590,	 1514, 1518, 1791,
				   1792, 1793, 3000, 9018, 16000, 33000, 60000};

static void carry_all(const struct guest_config *config, unsigned int n_workers)
{
	static uint8_t frame[GUEST_PACKET_MAX];

	lab_start(n_workers);
	lab_add(0, "");
	lab_add(1, "");
	lab_boot(0, *config);
	lab_boot(1, *config);
	assert_true(port_get_link(lab_get_port(0)));
	for (uint32_t n = 0; n < 600; n++) {
		uint32_t len = lengths[n % ARRAY_SIZE(lengths)];
		unsigned int to = n / 100 % 2;

		lab_make_frame(frame, len, n);
		lab_send(!to, 0, NULL, frame, len);
		assert_int_equal(lab_receive(to, 0, NULL, frame, sizeof(frame)), len);
		lab_check_frame(frame, len, n);
	}
	guest_uninit(&lab_guests[0]);
	guest_uninit(&lab_guests[1]);
	lab_stop();
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

	lab_start(1);
	lab_add(0, "");
	lab_add(1, "");
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_boot(1, (struct guest_config){.features = BASE_FEATURES | PACKED_RING | MERGED});
	while (got < 5000) {
		uint32_t len = 14 + 4 + sent * 37 % 1400;

		if (sent < 5000 && sent - got < 60) {
			lab_make_frame(frame, len, sent);
			sent += guest_send(&lab_guests[0], 0, NULL, frame, len) == 0;
		} else {
			len = lab_receive(1, 0, NULL, frame, sizeof(frame));
			assert_int_equal(len, 18 + got * 37 % 1400);
			lab_check_frame(frame, len, got++);
		}
	}
	guest_uninit(&lab_guests[0]);
	guest_uninit(&lab_guests[1]);
	lab_stop();
}

/* ---- a guest that comes and goes ----------------------------------------------------------- */

static void test_reconnect(void **state UNUSED)
{
	struct guest_config config = {.features = BASE_FEATURES | MERGED};
	uint8_t frame[2048];

	lab_start(2);
	lab_add(0, "");
	lab_add(1, "");
	lab_boot(0, config);
	lab_make_frame(frame, 100, 0);
	/* There is nobody yet. */
	lab_send(0, 0, NULL, frame, 100);
	lab_wait_drops(1, DROP_TX_DOWN, 1);
	lab_boot(1, config);
	for (uint32_t n = 0; n < 50; n++) {
		lab_make_frame(frame, 100, n);
		lab_send(0, 0, NULL, frame, 100);
		assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 100);
		lab_check_frame(frame, 100, n);
		guest_reconnect(&lab_guests[n % 2]);
	}
	driver_hang_up(&lab_guests[1].driver);
	assert_false(port_get_link(lab_get_port(1)));
	lab_make_frame(frame, 100, 0);
	lab_send(0, 0, NULL, frame, 100);
	lab_wait_drops(1, DROP_TX_DOWN, 2);
	guest_uninit(&lab_guests[0]);
	guest_uninit(&lab_guests[1]);
	lab_stop();
}

/* ---- several queues ------------------------------------------------------------------------ */

/* Packets sent by one queue of guest 0 arrive by whichever queue of guest 1. Returns which. */
static unsigned int send_and_find(unsigned int pair, unsigned int n_pairs, uint32_t n)
{
	uint64_t end = clock_now() + LAB_PATIENCE_NS;
	uint8_t frame[2048];

	lab_make_frame(frame, 100, n);
	lab_send(0, pair, NULL, frame, 100);
	while (clock_now() < end) {
		for (unsigned int i = 0; i < n_pairs; i++) {
			if (guest_receive(&lab_guests[1], i, NULL, frame, sizeof(frame)) < 0)
				continue;
			lab_check_frame(frame, 100, n);
			return i;
		}
	}
	fail_msg("no packet came");
	return 0;
}

static void enable(unsigned int i, unsigned int ring, bool is_on)
{
	assert_int_equal(
		driver_set_state(&lab_guests[i].driver, VHOST_SET_VRING_ENABLE, ring, is_on), 0);
}

static void test_queues(void **state UNUSED)
{
	const struct guest_config config = {.features = BASE_FEATURES | MERGED | F(MQ),
					    .n_pairs = 4};
	uint8_t frame[2048];

	lab_start(2);
	lab_add(0, "queues=4");
	lab_add(1, "queues=4");
	lab_boot(0, config);
	lab_boot(1, config);
	for (uint32_t n = 0; n < 40; n++)
		assert_true(send_and_find(n % 4, 4, n) < 2); /* a worker's own queue */
	/* Only ring 2 * 3 is left: all goes there. */
	for (unsigned int i = 0; i < 3; i++)
		enable(1, 2 * i, false);
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(send_and_find(n % 4, 4, n), 3);
	enable(1, 6, false);
	assert_false(port_get_link(lab_get_port(1)));
	lab_make_frame(frame, 100, 0);
	lab_send(0, 0, NULL, frame, 100);
	lab_wait_drops(1, DROP_TX_DOWN, 1);
	enable(1, 2, true);
	for (uint32_t n = 0; n < 40; n++)
		assert_int_equal(send_and_find(n % 4, 4, n), 1);
	/* A send ring that is off is drained: the driver has its buffers back. */
	enable(0, 5, false);
	for (unsigned int n = 0; n < 100; n++)
		lab_send(0, 2, NULL, frame, 100);
	lab_wait_drops(0, DROP_RX_DISABLED, 100);
	enable(0, 5, true);
	assert_int_equal(send_and_find(2, 4, 7), 1);
	lab_shut_down(2);
}

/* ---- a guest that does not read ------------------------------------------------------------ */

static void test_reader_sleeps(void **state UNUSED)
{
	uint8_t frame[2048];
	struct port_counters sum;

	lab_start(1);
	lab_add(0, "");
	lab_add(1, "");
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED, .n_buffers = 8});
	lab_make_frame(frame, 60, 1);
	for (unsigned int i = 0; i < 1000; i++)
		lab_send(0, 0, NULL, frame, 60);
	lab_wait_drops(1, DROP_TX_RING_FULL, 992);
	port_sum_counters(lab_get_port(1), &sum);
	assert_int_equal(sum.tx_packets, 8);
	/* Those that it has are right, and then it goes on. */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 60);
	lab_send(0, 0, NULL, frame, 60);
	assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 60);
	/* What needs more buffers than there are is dropped, what fits behind it is not. */
	lab_make_frame(frame, 60, 2);
	{
		static uint8_t big[GUEST_PACKET_MAX];

		lab_make_frame(big, 1900, 3);
		guest_uninit(&lab_guests[1]);
		lab_run_control(NULL);
		lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED,
						  .n_buffers = 8,
						  .buffer_size = 128});
		lab_send(0, 0, NULL, big, 1900);
		lab_send(0, 0, NULL, frame, 60);
		assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 60);
		lab_wait_drops(1, DROP_TX_RING_FULL, 993);
	}
	lab_shut_down(2);
}

/* ---- what the front end asks for ----------------------------------------------------------- */

static void test_rarp(void **state UNUSED)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
	uint8_t frame[2048];
	uint64_t value = 0;

	lab_boot_two(0, 0);
	memcpy(&value, mac, 6);
	assert_int_equal(driver_set_u64(&lab_guests[0].driver, VHOST_SEND_RARP, value), 0);
	assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 60);
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff\x52\x54\x00\x01\x02\x03\x80\x35", 14);
	assert_memory_equal(frame + 22, mac, 6);
	assert_memory_equal(frame + 32, mac, 6);
	lab_shut_down(2);
}

static void set_option(unsigned int i, const char *key, const char *value)
{
	struct port_option option = {key, value};
	const struct port_config config = {.name = lab_get_port(i)->name,
					   .options = &option,
					   .n_options = 1,
					   .folder = lab_folder};
	struct error err = ERROR_INIT;

	if (lab_get_port(i)->class->set(lab_get_port(i), &config, &err))
		fail_msg("%s", err.text);
}

static void test_mtu(void **state UNUSED)
{
	uint64_t mtu = 2000;
	uint8_t frame[4096];

	lab_start(1);
	lab_add(0, "");
	lab_add(1, "mtu=1500");
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED, .slot_size = 8192});
	lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_make_frame(frame, 1519, 0);
	lab_send(0, 0, NULL, frame, 1519);
	lab_wait_drops(1, DROP_TX_TOO_LONG, 1);
	lab_send(0, 0, NULL, frame, 1518);
	assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 1518);
	/* More than the option allows is refused, less is taken. */
	assert_int_equal(
		driver_request_ack(&lab_guests[1].driver, VHOST_NET_SET_MTU, &mtu, 8, NULL, 0), 1);
	mtu = 1000;
	assert_int_equal(
		driver_request_ack(&lab_guests[1].driver, VHOST_NET_SET_MTU, &mtu, 8, NULL, 0), 0);
	lab_send(0, 0, NULL, frame, 1019);
	lab_wait_drops(1, DROP_TX_TOO_LONG, 2);
	/* It goes with the guest. */
	guest_reconnect(&lab_guests[1]);
	assert_int_equal(port_get_max_len(lab_get_port(1)), 1518);
	set_option(1, "mtu", "3000");
	lab_send(0, 0, NULL, frame, 3018);
	assert_int_equal(lab_receive(1, 0, NULL, frame, sizeof(frame)), 3018);
	lab_shut_down(2);
}

/* ---- sleeping ------------------------------------------------------------------------------ */

static uint64_t count_polls(void)
{
	struct worker_stats stats;

	datapath_get_worker_stats(lab_dp, 0, &stats);
	return stats.polls;
}

/* Waits until the worker sleeps: it makes no rounds any more. */
static void wait_asleep(void)
{
	uint64_t end = clock_now() + LAB_PATIENCE_NS, before;

	do {
		before = count_polls();
		usleep(2000);
		assert_true(clock_now() < end);
	} while (count_polls() != before);
}

/* An idle guest costs nothing, and each packet that comes after a pause wakes the worker: guests
 * kick only when they are asked to. */
static void test_sleep(void **state UNUSED)
{
	static const uint64_t kinds[] = {0, EVENT_IDX, PACKED_RING, PACKED_RING | EVENT_IDX};
	uint8_t frame[2048];

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		lab_boot_two(kinds[k], kinds[k]);
		for (uint32_t n = 0; n < 50; n++) {
			wait_asleep();
			lab_make_frame(frame, 100, n);
			lab_send(0, 0, NULL, frame, 100);
			lab_receive(1, 0, NULL, frame, sizeof(frame));
			lab_check_frame(frame, 100, n);
			if (n % 10 == 0)
				guest_reconnect(&lab_guests[n / 10 % 2]);
			/* a kick for nothing wakes it, and not for good */
			if (n % 7 == 0)
				assert_int_equal(
					eventfd_write(lab_guests[n % 2].pairs[0].tx->kick_fd, 3),
					0);
		}
		lab_shut_down(2);
	}
}

/* ---- ports that go under traffic ----------------------------------------------------------- */

static atomic_bool is_over;

static void *flood(void *arg UNUSED)
{
	uint8_t frame[2048];

	lab_make_frame(frame, 1000, 1);
	while (!atomic_load(&is_over))
		if (guest_send(&lab_guests[0], 0, NULL, frame, 1000))
			sched_yield();
	return NULL;
}

static void test_close_under_traffic(void **state UNUSED)
{
	uint8_t frame[2048];
	pthread_t thread;

	lab_boot_two(0, 0);
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&thread, NULL, flood, NULL), 0);
	for (unsigned int i = 0; i < 30; i++) {
		for (unsigned int n = 0; n < 20; n++)
			lab_receive(1, 0, NULL, frame, sizeof(frame));
		assert_int_equal(datapath_remove_port(lab_dp, 2), 0);
		guest_uninit(&lab_guests[1]);
		lab_add(1, "");
		lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED});
	}
	/* and the one that sends, while it does */
	assert_int_equal(datapath_remove_port(lab_dp, 1), 0);
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	assert_int_equal(datapath_remove_port(lab_dp, 2), 0);
	guest_uninit(&lab_guests[0]);
	guest_uninit(&lab_guests[1]);
	lab_stop();
}

/* ---- options ------------------------------------------------------------------------------- */

struct status {
	char text[4096]; /* "NAME=VALUE" lines */
};

static void add_status(void *aux, const char *name, const char *value)
{
	struct status *status = aux;
	size_t have = strlen(status->text);

	snprintf(status->text + have, sizeof(status->text) - have, "%s=%s\n", name, value);
}

static void check_status(unsigned int i, const char *line)
{
	struct status status = {""};

	lab_get_port(i)->class->get_status(lab_get_port(i), add_status, &status);
	if (!strstr(status.text, line))
		fail_msg("'%s' is not in:\n%s", line, status.text);
}

static void test_options(void **state UNUSED)
{
	static const struct {
		const char *options, *says;
	} wrong[] = {
		{"mode=both", "server or client"},
		{"path=relative", "begin with"},
		{"path=/"
		 "0123456789012345678901234567890123456789012345678901234567890123456789012345"
		 "6789012345678901234567890123456789",
		 "at most 107"},
		{"queues=0", "1 to 16"},
		{"queues=17", "1 to 16"},
		{"features=0x8000000000000000", "does not have bit63"},
		{"features=csum,gues_csum", "guest_csum"},
		{"features=gso", "does not have gso"},
		{"features=12x", "not a number"},
		{"mtu=67", "68"},
		{"access=888", "octal"},
		{"group=no_such_group", "no such group"},
		{"path=/no/such/folder/x.sock", "/no/such/folder/x.sock"},
		{"path=/etc/passwd", "is not a socket"},
	};
	struct stat st;

	lab_start(1);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct error err = ERROR_INIT;

		assert_true(lab_try_add(0, wrong[i].options, &err) < 0);
		if (!strstr(err.text, wrong[i].says))
			fail_msg("%s: %s", wrong[i].options, err.text);
	}
	lab_add(0, "features=version_1,protocol_features,mrg_rxbuf access=0600");
	check_status(0, "offered=0x140008000\n");
	check_status(0, "connection=listening at ");
	assert_int_equal(stat(lab_paths[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED});
	check_status(0, "features=mrg_rxbuf,protocol_features,version_1\n");
	check_status(0, "queues_enabled=1 of 1\n");
	check_status(0, "guest_memory=14 MiB in 3 regions\n");
	/* A guest that takes what is not offered is shown the door, and what it did is counted. */
	driver_hang_up(&lab_guests[0].driver);
	driver_connect(&lab_guests[0].driver);
	(void)driver_set_u64(&lab_guests[0].driver, VHOST_SET_FEATURES,
			     BASE_FEATURES | CSUM_FEATURES);
	check_status(0, "faults=msg_features=1\n");
	lab_shut_down(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_in_pieces),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_in_order),
		cmocka_unit_test(test_one_buffer_each),
		cmocka_unit_test(test_short_header),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_reader_sleeps),
		cmocka_unit_test(test_rarp),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_close_under_traffic),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests_name("port_vhost", tests, lab_set_up, lab_tear_down);
}
