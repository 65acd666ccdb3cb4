/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages of a front end that keeps to the rules, and what the device does. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define READ_RING 1
#define WRITE_RING 0

static struct vhost_driver driver;
static struct vring_batch batch;

static struct vhost_dev_status get_status(void)
{
	struct vhost_dev_status status;

	vhost_dev_get_status(driver.dev, &status);
	return status;
}

static struct vring *get_ring(unsigned int index)
{
	return vhost_dev_get_ring(driver.dev, index);
}

/* Sends `data` by the guest's ring and lets the device take it. */
static void send_one(struct driver_ring *r)
{
	struct driver_piece piece = {driver_alloc(&driver, 64), 64};
	uint32_t len;

	assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(r->index), &batch, 8), 1);
	batch.chains[0].written = r->device_writes ? 64 : 0;
	assert_int_equal(vring_push(get_ring(r->index), &batch, 0, 1), 0);
	assert_true(driver_ring_get(r, &len) >= 0);
}

static void test_features(void **state UNUSED)
{
	const struct vhost_dev_config pinned = {
		.name = "pinned",
		.features = VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_NET_F_CSUM),
		.protocol_features = VHOST_BIT(VHOST_PROTOCOL_REPLY_ACK),
		.n_queue_pairs = 1,
	};
	const struct vhost_dev_ops none = {0};
	struct vhost_dev *dev;

	driver_init(&driver, 3);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_FEATURES), VHOST_DEV_FEATURES);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_PROTOCOL_FEATURES),
			 VHOST_DEV_PROTOCOL_FEATURES);
	driver_negotiate(&driver, DRIVER_FEATURES);
	assert_int_equal(vhost_dev_get_features(driver.dev), DRIVER_FEATURES);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_QUEUE_NUM), 3);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_MAX_MEM_SLOTS), 509);
	assert_int_equal(vhost_dev_get_header_size(driver.dev), 12);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_FEATURES, 0), 0);
	assert_int_equal(vhost_dev_get_header_size(driver.dev), 10);

	/* what the caller pins is what is offered, and no more */
	dev = driver.dev;
	assert_int_equal(vhost_dev_create(&pinned, &none, NULL, &driver.dev, NULL), 0);
	close(driver.sock);
	vhost_dev_destroy(dev);
	driver_connect(&driver);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_FEATURES), pinned.features);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_FEATURES,
					pinned.features | VHOST_BIT(VIRTIO_F_RING_PACKED)),
			 -EPROTO);
	assert_int_equal(get_status().faults[VHOST_FAULT_MSG_FEATURES], 1);
	driver_uninit(&driver);
}

static void test_create_refuses(void **state UNUSED)
{
	const struct vhost_dev_ops none = {0};
	struct vhost_dev_config config = {.name = "x", .n_queue_pairs = 17};
	struct vhost_dev *dev;
	struct error e = ERROR_INIT;

	assert_int_equal(vhost_dev_create(&config, &none, NULL, &dev, &e), -EINVAL);
	config.n_queue_pairs = 1;
	config.features = VHOST_BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(vhost_dev_create(&config, &none, NULL, &dev, &e), -EINVAL);
	assert_true(e.text[0]);
}

/* Bytes one by one, and several messages at once. */
static void test_pieces(void **state UNUSED)
{
	struct {
		struct vhost_header header;
		uint64_t value;
	} PACKED msg[3] = {
		{{VHOST_SET_FEATURES, VHOST_FLAG_VERSION, 8}, DRIVER_FEATURES},
		{{VHOST_SET_PROTOCOL_FEATURES, VHOST_FLAG_VERSION, 8},
		 VHOST_BIT(VHOST_PROTOCOL_NET_MTU)},
		{{VHOST_NET_SET_MTU, VHOST_FLAG_VERSION, 8}, 1400},
	};

	driver_init(&driver, 1);
	for (size_t i = 0; i < sizeof(msg); i++) {
		assert_int_equal(driver_send_raw(&driver, (uint8_t *)msg + i, 1, NULL, 0), 0);
		assert_int_equal(vhost_dev_run(driver.dev), 0);
	}
	assert_int_equal(driver.mtu, 1400);
	msg[2].value = 9000;
	assert_int_equal(driver_send_raw(&driver, msg, sizeof(msg), NULL, 0), 0);
	assert_int_equal(vhost_dev_run(driver.dev), 0);
	assert_int_equal(driver.mtu, 9000);
	assert_int_equal(get_status().n_messages, 6);
	driver_uninit(&driver);
}

static void test_reply_ack(void **state UNUSED)
{
	uint64_t mtu = 1500, features = DRIVER_FEATURES;

	driver_init(&driver, 1);
	/* not negotiated: no answer */
	assert_int_equal(driver_request_ack(&driver, VHOST_SET_FEATURES, &features, 8, NULL, 0),
			 -EAGAIN);
	driver_negotiate(&driver, DRIVER_FEATURES);
	assert_int_equal(driver_request_ack(&driver, VHOST_SET_FEATURES, &features, 8, NULL, 0), 0);
	assert_int_equal(driver_request_ack(&driver, VHOST_NET_SET_MTU, &mtu, 8, NULL, 0), 0);
	/* what cannot be done is said, and the connection goes on */
	mtu = 67;
	assert_int_equal(driver_request_ack(&driver, VHOST_NET_SET_MTU, &mtu, 8, NULL, 0), 1);
	mtu = 9000;
	driver.mtu_error = -ERANGE;
	assert_int_equal(driver_request_ack(&driver, VHOST_NET_SET_MTU, &mtu, 8, NULL, 0), 1);
	assert_int_equal(driver.mtu, 1500);
	assert_int_equal(get_status().mtu, 1500);
	/* likewise a request of the future */
	assert_int_equal(driver_request_ack(&driver, 4711, &mtu, 8, NULL, 0), 1);
	assert_int_equal(get_status().n_refused, 3);
	/* nobody listens: it is the end */
	assert_int_equal(driver_set_u64(&driver, VHOST_NET_SET_MTU, 67), -EPROTO);
	driver_uninit(&driver);
}

static void test_small_requests(void **state UNUSED)
{
	const uint8_t mac[8] = {2, 0, 0, 0, 0, 9};

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	assert_int_equal(driver_request_ack(&driver, VHOST_SEND_RARP, mac, 8, NULL, 0), 0);
	assert_memory_equal(driver.mac, mac, 6);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_STATUS, 0x0f), 0);
	assert_int_equal(driver_get_u64(&driver, VHOST_GET_STATUS), 0x0f);
	/* the channel for requests of ours is not offered */
	assert_int_equal(
		driver_request_ack(&driver, VHOST_SET_BACKEND_REQ_FD, NULL, 0, &driver.sock, 1), 1);
	assert_int_equal(driver_request(&driver, VHOST_RESET_OWNER, 0, NULL, 0, NULL, 0), 0);
	driver_uninit(&driver);
}

/* ---- rings ------------------------------------------------------------------------------ */

static void test_ring_states(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 2);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_make(&driver, READ_RING, 64);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, 64), 0);
	assert_int_equal(driver_ring_send_addr(r, 0, 0), 0);
	assert_int_equal(driver.published, 0);
	assert_int_equal(driver_ring_send_fd(r, VHOST_SET_VRING_KICK, &r->kick_fd), 0);
	/* started, but off */
	assert_int_equal(driver.published, 2);
	assert_false(vring_is_enabled(get_ring(1)));
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_ENABLE, 1, 1), 0);
	assert_true(vring_is_enabled(get_ring(1)));
	assert_int_equal(get_status().enabled, 2);
	/* each change under a running ring is made while no worker has it */
	assert_int_equal(driver.n_withdraws, 1);
	assert_int_equal(driver_ring_send_fd(r, VHOST_SET_VRING_CALL, &r->call_fd), 0);
	assert_int_equal(driver.n_withdraws, 2);
	assert_int_equal(driver_ring_send_fd(r, VHOST_SET_VRING_ERR, &r->err_fd), 0);
	assert_int_equal(driver.n_withdraws, 2);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_ENABLE, 1, 0), 0);
	assert_false(vring_is_enabled(get_ring(1)));
	assert_int_equal(driver_get_base(&driver, 1), 0);
	assert_int_equal(driver.published, 0);
	driver_uninit(&driver);
}

/* Without the protocol features' bit a ring is on from its start. */
static void test_enabled_from_start(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, 0);
	r = driver_ring_make(&driver, READ_RING, 64);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, 64), 0);
	assert_int_equal(driver_ring_send_addr(r, 0, 0), 0);
	/* a driver that polls both ways gives no descriptors */
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_VRING_CALL, 1 | VHOST_FD_NONE), 0);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_VRING_KICK, 1 | VHOST_FD_NONE), 0);
	assert_true(vring_is_enabled(get_ring(1)));
	send_one(r);
	vring_notify(get_ring(1));
	driver_uninit(&driver);
}

static void test_queue_pairs(void **state UNUSED)
{
	driver_init(&driver, VHOST_QUEUE_PAIRS_MAX);
	driver_negotiate(&driver, DRIVER_FEATURES);
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++)
		send_one(driver_ring_open(&driver, i, 64));
	assert_int_equal(driver.published, UINT32_MAX);
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++)
		assert_int_equal(driver_get_base(&driver, i), 1);
	assert_int_equal(driver.published, 0);
	driver_uninit(&driver);
}

/* The base of a packed ring has positions and wrap counters of both sides. */
static void test_packed_base(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES | PACKED_RING);
	r = driver_ring_open(&driver, READ_RING, 5);
	for (uint32_t i = 1; i < 13; i++) {
		uint32_t slot = i % 5, half = slot | (i / 5 % 2 ? 0 : VHOST_BASE_WRAP);

		send_one(r);
		assert_int_equal(driver_get_base(&driver, READ_RING), half | half << 16);
		driver_ring_start(r, half);
	}
	driver_uninit(&driver);
}

/* A split ring goes on at the used index, whatever base the front end remembers. */
static void test_resume_after_crash(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, READ_RING, 16);
	for (int i = 0; i < 5; i++)
		send_one(r);
	/* two are popped and not pushed, and then the back end is gone */
	for (int i = 0; i < 2; i++) {
		struct driver_piece piece = {driver_alloc(&driver, 64), 64};

		assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
	}
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(1), &batch, 8), 2);
	driver_hang_up(&driver);
	driver_connect(&driver);
	driver_negotiate(&driver, DRIVER_FEATURES);
	driver_ring_start(r, 7);
	/* the driver is called, for it may sleep on what was used before */
	assert_true(driver_ring_take_calls(r) > 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(1), &batch, 8), 2);
	assert_int_equal(vring_push(get_ring(1), &batch, 0, 2), 0);
	assert_int_equal(driver_get_base(&driver, 1), 7);
	driver_uninit(&driver);
}

/* A new connection starts from nothing. */
static void test_reconnect(void **state UNUSED)
{
	unsigned int n_fds, n_maps;

	driver_init(&driver, 2);
	n_fds = driver_count_fds();
	n_maps = driver_count_maps();
	for (int i = 0; i < 20; i++) {
		struct vhost_dev_status status;

		driver_negotiate(&driver, DRIVER_FEATURES | (i % 2 ? PACKED_RING : 0));
		driver.next_alloc = DRIVER_GPA_HIGH;
		for (unsigned int j = 0; j < 4; j++)
			send_one(driver_ring_open(&driver, j, 32));
		driver_hang_up(&driver);
		assert_int_equal(driver.published, 0);
		status = get_status();
		assert_false(status.is_attached);
		assert_int_equal(status.n_regions, 0);
		assert_int_equal(status.features, 0);
		driver_connect(&driver);
	}
	driver_uninit(&driver);
	/* the driver's own: 4 rings with 2 descriptors are closed by now, so are the first ones */
	assert_true(driver_count_fds() <= n_fds);
	assert_true(driver_count_maps() <= n_maps);
}

/* ---- memory ----------------------------------------------------------------------------- */

static int change_region(uint32_t request, const struct vhost_region *region)
{
	struct vhost_mem_reg reg = {.region = *region};
	bool is_add = request == VHOST_ADD_MEM_REG;

	return driver_request_ack(&driver, request, &reg, sizeof(reg), &driver.mem_fd, is_add);
}

/* The memory table is replaced under running rings, which go on. */
static void test_remap(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, READ_RING, 16);
	send_one(r);
	assert_int_equal(driver_set_memory(&driver, 3), 0);
	assert_int_equal(driver.published, 2);
	send_one(r);
	/* without the region that the ring is in, it waits for it */
	assert_int_equal(driver_set_memory(&driver, 2), 0);
	assert_int_equal(driver.published, 0);
	assert_int_equal(get_status().n_regions, 2);
	assert_int_equal(driver_set_memory(&driver, 0), 0);
	assert_int_equal(driver_set_memory(&driver, 3), 0);
	assert_int_equal(driver.published, 2);
	send_one(r);
	driver_uninit(&driver);
}

static void test_hot_plug(void **state UNUSED)
{
	struct vhost_region region, small = {0};
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, READ_RING, 16);
	driver_get_region(2, &region);
	assert_int_equal(change_region(VHOST_REM_MEM_REG, &region), 0);
	assert_int_equal(driver.published, 0);
	assert_int_equal(change_region(VHOST_REM_MEM_REG, &region), 1);
	assert_int_equal(change_region(VHOST_ADD_MEM_REG, &region), 0);
	assert_int_equal(driver.published, 2);
	send_one(r);
	/* one ahead of the others goes and comes; they are found where they were */
	driver_get_region(0, &region);
	assert_int_equal(change_region(VHOST_REM_MEM_REG, &region), 0);
	send_one(r);
	assert_int_equal(change_region(VHOST_ADD_MEM_REG, &region), 0);
	send_one(r);
	/* up to 509 in all; one more is refused */
	small.size = 4096;
	for (unsigned int i = 0; i < VHOST_REGIONS_MAX - 3; i++) {
		small.gpa = (UINT64_C(1) << 40) - i * UINT64_C(8192);
		small.uva = (UINT64_C(1) << 45) + i * UINT64_C(8192);
		small.offset = i * 4096 % DRIVER_FILE_SIZE;
		assert_int_equal(change_region(VHOST_ADD_MEM_REG, &small), 0);
	}
	assert_int_equal(get_status().n_regions, 509);
	small.gpa = UINT64_C(1) << 41;
	small.uva = UINT64_C(1) << 46;
	assert_int_equal(change_region(VHOST_ADD_MEM_REG, &small), 1);
	send_one(r);
	/* each of them is found */
	for (unsigned int i = 0; i < VHOST_REGIONS_MAX - 3; i++) {
		struct driver_piece piece = {(UINT64_C(1) << 40) - i * UINT64_C(8192), 4096};

		assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(get_ring(1), &batch, 8), 1);
		assert_memory_equal(batch.iov[0].iov_base, driver.mem + i * 4096 % DRIVER_FILE_SIZE,
				    4096);
		assert_int_equal(vring_push(get_ring(1), &batch, 0, 1), 0);
		assert_true(driver_ring_get(r, &(uint32_t){0}) >= 0);
	}
	driver_uninit(&driver);
}

/* QEMU up to 7.2 adds and removes each region once for each queue pair. */
static void test_repeated_regions(void **state UNUSED)
{
	struct vhost_mem_reg reg = {0};
	struct driver_ring *r;
	int other = memfd_create("other", MFD_CLOEXEC);

	assert_true(other >= 0);
	assert_int_equal(ftruncate(other, DRIVER_FILE_SIZE), 0);
	driver_init(&driver, 2);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, READ_RING, 16);
	driver_get_region(2, &reg.region);
	for (unsigned int i = 1; i < VHOST_QUEUE_PAIRS_MAX; i++)
		assert_int_equal(change_region(VHOST_ADD_MEM_REG, &reg.region), 0);
	assert_int_equal(change_region(VHOST_ADD_MEM_REG, &reg.region), 1);
	assert_int_equal(get_status().n_regions, 3);
	send_one(r);
	for (unsigned int i = 1; i < VHOST_QUEUE_PAIRS_MAX; i++)
		assert_int_equal(change_region(VHOST_REM_MEM_REG, &reg.region), 0);
	send_one(r);
	assert_int_equal(change_region(VHOST_REM_MEM_REG, &reg.region), 0);
	assert_int_equal(get_status().n_regions, 2);
	assert_int_equal(change_region(VHOST_REM_MEM_REG, &reg.region), 1);
	assert_int_equal(change_region(VHOST_ADD_MEM_REG, &reg.region), 0);
	send_one(r);
	/* another file at the same place is another region */
	assert_int_equal(
		driver_request_ack(&driver, VHOST_ADD_MEM_REG, &reg, sizeof(reg), &other, 1), 1);
	assert_true(vhost_dev_get_fd(driver.dev) < 0);
	close(other);
	driver_uninit(&driver);
}

/* ---- resets ----------------------------------------------------------------------------- */

static void test_resets(void **state UNUSED)
{
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, READ_RING, 16);
	send_one(r);
	/* device status 0: rings stop, memory stays */
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_STATUS, 0), 0);
	assert_int_equal(driver.published, 0);
	assert_int_equal(get_status().n_regions, 3);
	driver_ring_start(r, 1);
	send_one(r);
	assert_int_equal(driver_request_ack(&driver, VHOST_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	assert_int_equal(driver.published, 0);
	assert_int_equal(get_status().features, 0);
	assert_int_equal(driver_get_base(&driver, 1), 0);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_FEATURES, DRIVER_FEATURES), 0);
	r = driver_ring_open(&driver, READ_RING, 32);
	send_one(r);
	/* RESET_OWNER switches off */
	assert_int_equal(driver_request(&driver, VHOST_RESET_OWNER, 0, NULL, 0, NULL, 0), 0);
	assert_false(vring_is_enabled(get_ring(1)));
	driver_uninit(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_reply_ack),
		cmocka_unit_test(test_small_requests),
		cmocka_unit_test(test_ring_states),
		cmocka_unit_test(test_enabled_from_start),
		cmocka_unit_test(test_queue_pairs),
		cmocka_unit_test(test_packed_base),
		cmocka_unit_test(test_resume_after_crash),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_hot_plug),
		cmocka_unit_test(test_repeated_regions),
		cmocka_unit_test(test_resets),
	};

	return cmocka_run_group_tests_name("vhost_dev", tests, NULL, NULL);
}
