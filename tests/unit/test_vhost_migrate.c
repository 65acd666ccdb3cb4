/* SPDX-License-Identifier: BSD-2-Clause */
/* What outlives a process: the dirty log of a migration, the record of descriptors in flight. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)
#define LOG_ALL VHOST_BIT(VHOST_F_LOG_ALL)
#define READ_RING 1
#define WRITE_RING 0

static const uint64_t kinds[] = {0, EVENT_IDX, PACKED_RING, PACKED_RING | EVENT_IDX};

static struct vhost_driver driver;
static struct vring_batch batch;

static struct vring *get_ring(unsigned int index)
{
	return vhost_dev_get_ring(driver.dev, index);
}

/* ---- the dirty log ---------------------------------------------------------------------- */

#define LOG_SIZE ((DRIVER_GPA_HIGH + 16 * DRIVER_MIB) / VHOST_LOG_PAGE / 8)
#define LOG_OFFSET 8192

static uint8_t *log_map;
static int log_fd;

static int send_log(uint64_t size)
{
	struct vhost_log_area area = {.size = size, .offset = LOG_OFFSET};
	uint64_t answer;
	int ret = driver_request(&driver, VHOST_SET_LOG_BASE, 0, &area, sizeof(area), &log_fd, 1);

	if (ret)
		return ret;
	/* it has an answer of its own, asked for or not */
	assert_int_equal(driver_read_reply(&driver, VHOST_SET_LOG_BASE, &answer, 8, NULL), 8);
	return (int)answer;
}

static void open_log(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(log_fd, LOG_OFFSET + LOG_SIZE), 0);
	log_map = mmap(NULL, LOG_OFFSET + LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
	assert_true(log_map != MAP_FAILED);
	assert_int_equal(send_log(LOG_SIZE), 0);
}

static void close_log(void)
{
	munmap(log_map, LOG_OFFSET + LOG_SIZE);
	close(log_fd);
}

/* Takes the mark of the page at `gpa`; returns whether there was one. */
static bool take_mark(uint64_t gpa)
{
	uint8_t *byte = &log_map[LOG_OFFSET + gpa / VHOST_LOG_PAGE / 8];
	uint8_t bit = (uint8_t)(1 << gpa / VHOST_LOG_PAGE % 8);

	return __atomic_fetch_and(byte, (uint8_t)~bit, __ATOMIC_RELAXED) & bit;
}

static bool log_is_clean(void)
{
	for (uint64_t i = 0; i < LOG_OFFSET + LOG_SIZE; i++)
		if (log_map[i])
			return false;
	return true;
}

static void test_log(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		bool is_packed = kinds[k] & PACKED_RING;
		struct driver_piece pieces[2];
		struct driver_ring *r;

		driver_init(&driver, 1);
		driver_negotiate(&driver, DRIVER_FEATURES | kinds[k]);
		driver.next_alloc += 3 * 4096;
		r = driver_ring_open(&driver, WRITE_RING, 256);
		driver.next_alloc = ROUND_UP(driver.next_alloc, 4096u);
		pieces[0] = (struct driver_piece){driver_alloc(&driver, 3 * 4096) + 4000, 4096};
		pieces[1] = (struct driver_piece){DRIVER_GPA_NEXT - 100, 1000};

		/* the log comes while the ring runs, as at a migration's begin */
		open_log();
		assert_int_equal(driver_set_u64(&driver, VHOST_SET_FEATURES,
						DRIVER_FEATURES | kinds[k] | LOG_ALL),
				 0);
		assert_int_equal(driver_ring_send_addr(r, VHOST_ADDR_LOG, r->used_gpa), 0);
		assert_int_equal(driver.published, 1);
		(void)take_mark(r->used_gpa); /* arming at its start */

		assert_true(driver_ring_add(r, pieces, 2, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), 1);
		assert_true(log_is_clean());
		batch.chains[0].written = 4096 + 500;
		assert_int_equal(vring_push(get_ring(WRITE_RING), &batch, 0, 1), 0);
		assert_true(take_mark(pieces[0].gpa));
		assert_true(take_mark(pieces[0].gpa + 4096));
		assert_true(take_mark(DRIVER_GPA_NEXT - 1));
		assert_true(take_mark(DRIVER_GPA_NEXT));
		assert_true(take_mark(is_packed ? r->desc_gpa : r->used_gpa));
		assert_true(log_is_clean());

		/* only what was written */
		assert_true(driver_ring_add(r, pieces, 2, DRIVER_INDIRECT,
					    driver_alloc(&driver, 64)) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), 1);
		batch.chains[0].written = 96;
		assert_int_equal(vring_push(get_ring(WRITE_RING), &batch, 0, 1), 0);
		assert_true(take_mark(pieces[0].gpa));
		assert_true(take_mark(is_packed ? r->desc_gpa : r->used_gpa));
		assert_true(log_is_clean());
		assert_false(vring_arm(get_ring(WRITE_RING)));
		vring_disarm(get_ring(WRITE_RING));
		(void)take_mark(r->used_gpa);
		assert_true(log_is_clean());

		/* the end of it, while the ring runs on */
		assert_int_equal(
			driver_set_u64(&driver, VHOST_SET_FEATURES, DRIVER_FEATURES | kinds[k]), 0);
		(void)take_mark(r->used_gpa);
		assert_true(driver_ring_add(r, pieces, 2, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), 1);
		batch.chains[0].written = 96;
		assert_int_equal(vring_push(get_ring(WRITE_RING), &batch, 0, 1), 0);
		assert_true(log_is_clean());
		close_log();
		driver_uninit(&driver);
	}
}

/* A log too small for the ring, or cut short later. */
static void test_bad_log(void **state UNUSED)
{
	struct vhost_dev_status status;
	struct driver_piece piece;
	struct driver_ring *r;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES | LOG_ALL);
	r = driver_ring_open(&driver, WRITE_RING, 256);
	open_log();
	piece = (struct driver_piece){driver_alloc(&driver, 64), 64};
	assert_int_equal(driver_ring_send_addr(r, VHOST_ADDR_LOG, r->used_gpa), 0);
	assert_int_equal(ftruncate(log_fd, 0), 0);
	assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), 1);
	batch.chains[0].written = 64;
	assert_int_equal(vring_push(get_ring(WRITE_RING), &batch, 0, 1), 0);
	assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), -EIO);
	assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.faults[VHOST_FAULT_MEMORY_LOST], 1);
	close(driver.sock);

	driver_connect(&driver);
	driver_negotiate(&driver, DRIVER_FEATURES | LOG_ALL);
	assert_int_equal(ftruncate(log_fd, LOG_OFFSET + LOG_SIZE), 0);
	assert_int_equal(send_log(40), 0);
	piece.gpa = 0x180000; /* its mark would be in byte 48 */
	r = driver_ring_open(&driver, WRITE_RING, 256);
	/* page marks that do not exist are left out */
	assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(WRITE_RING), &batch, 8), 1);
	batch.chains[0].written = 64;
	assert_int_equal(vring_push(get_ring(WRITE_RING), &batch, 0, 1), 0);
	assert_int_equal(log_map[LOG_OFFSET + 48], 0);
	assert_int_equal(driver_ring_send_addr(r, VHOST_ADDR_LOG, r->used_gpa), -EPROTO);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.faults[VHOST_FAULT_RING_LOG], 1);
	close_log();
	driver_uninit(&driver);
}

/* ---- descriptors in flight -------------------------------------------------------------- */

/* The layouts once more, as vhost-user.rst has them. */
struct split_record {
	uint64_t features;
	uint16_t version, num, last_batch, used_idx;
	struct {
		uint8_t inflight, pad[5];
		uint16_t next;
		uint64_t counter;
	} entries[];
};

struct packed_record {
	uint64_t features;
	uint16_t version, num, free_head, old_free_head, used_idx, old_used_idx;
	uint8_t used_wrap, old_used_wrap, pad[7];
	struct {
		uint8_t inflight, pad;
		uint16_t next, last, num;
		uint64_t counter;
		uint16_t id, flags;
		uint32_t len;
		uint64_t addr;
	} entries[];
};

static struct vhost_inflight_area area;
static int record_fd;
static uint8_t *record_map;

static void get_record(uint16_t n_rings, uint16_t ring_size)
{
	area = (struct vhost_inflight_area){.n_rings = n_rings, .ring_size = ring_size};
	assert_int_equal(
		driver_request(&driver, VHOST_GET_INFLIGHT_FD, 0, &area, sizeof(area), NULL, 0), 0);
	assert_int_equal(
		driver_read_reply(&driver, VHOST_GET_INFLIGHT_FD, &area, sizeof(area), &record_fd),
		sizeof(area));
	assert_true(record_fd >= 0);
	record_map = mmap(NULL, area.size, PROT_READ | PROT_WRITE, MAP_SHARED, record_fd,
			  (off_t)area.offset);
	assert_true(record_map != MAP_FAILED);
}

static int set_record(void)
{
	return driver_request(&driver, VHOST_SET_INFLIGHT_FD, 0, &area, VHOST_INFLIGHT_WIRE_SIZE,
			      &record_fd, 1);
}

static void put_record(void)
{
	munmap(record_map, area.size);
	close(record_fd);
}

static void add_buffers(struct driver_ring *r, int n)
{
	for (int i = 0; i < n; i++) {
		struct driver_piece piece = {driver_alloc(&driver, 64), 64};

		assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
	}
}

static void use_buffers(struct vring *ring, int n)
{
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(ring, &batch, (unsigned int)n), n);
	assert_int_equal(vring_push(ring, &batch, 0, (unsigned int)n), 0);
}

/* The back end dies between pop and push; the next one knows only the record. */
static void test_record(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		bool is_packed = kinds[k] & PACKED_RING;
		struct driver_ring *r;
		uint32_t len;

		driver_init(&driver, 1);
		driver_negotiate(&driver, DRIVER_FEATURES | kinds[k]);
		get_record(2, 16);
		assert_int_equal(set_record(), 0);
		r = driver_ring_open(&driver, READ_RING, 16);
		for (int round = 0; round < 50; round++) {
			add_buffers(r, 5);
			use_buffers(get_ring(READ_RING), 3);
			vring_batch_init(&batch);
			assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 8), 2);
			driver_hang_up(&driver);
			driver_connect(&driver);
			driver_negotiate(&driver, DRIVER_FEATURES | kinds[k]);
			assert_int_equal(set_record(), 0);
			/* a base from long ago */
			driver_ring_start(r, is_packed ? VHOST_BASE_WRAP : 0);
			use_buffers(get_ring(READ_RING), 2);
			for (int i = 0; i < 5; i++)
				assert_true(driver_ring_get(r, &len) >= 0);
			assert_int_equal(driver_ring_get(r, &len), -EAGAIN);
			driver.next_alloc = DRIVER_GPA_HIGH + DRIVER_MIB;
		}
		put_record();
		driver_uninit(&driver);
	}
}

/* Dying on either side of the one store that hands a packed batch over. */
static void test_packed_between_stores(void **state UNUSED)
{
	struct packed_record *part;
	struct driver_ring *r;
	uint32_t len;

	for (int has_stored = 0; has_stored < 2; has_stored++) {
		driver_init(&driver, 1);
		driver_negotiate(&driver, DRIVER_FEATURES | PACKED_RING);
		get_record(2, 16);
		r = driver_ring_open(&driver, READ_RING, 16);
		part = (void *)(record_map + area.size / 2);
		assert_int_equal(part->version, 1);
		add_buffers(r, 6);
		use_buffers(get_ring(READ_RING), 2);
		assert_int_equal(part->used_idx, 2);
		assert_int_equal(part->old_used_idx, 2);
		driver_hang_up(&driver);
		/* a batch of 3 was under way */
		part->used_idx = 5;
		if (has_stored)
			for (int i = 2; i < 5; i++)
				r->desc[i].rest |= (uint64_t)(VRING_DESC_F_USED) << 48;
		driver_connect(&driver);
		driver_negotiate(&driver, DRIVER_FEATURES | PACKED_RING);
		assert_int_equal(set_record(), 0);
		driver_ring_start(r, VHOST_BASE_WRAP);
		use_buffers(get_ring(READ_RING), has_stored ? 1 : 4);
		for (int i = 0; i < 6; i++)
			assert_true(driver_ring_get(r, &len) >= 0);
		assert_int_equal(driver_ring_get(r, &len), -EAGAIN);
		put_record();
		driver_uninit(&driver);
	}
}

/* A split ring that another back end used out of order. */
static void test_marks_split(void **state UNUSED)
{
	struct split_record *part;
	struct driver_ring *r;
	uint32_t len;
	int ids[4];

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES);
	get_record(2, 16);
	r = driver_ring_make(&driver, READ_RING, 16);
	for (int i = 0; i < 4; i++) {
		struct driver_piece piece = {driver_alloc(&driver, 64), 10u + (uint32_t)i};

		ids[i] = driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0);
	}
	/* it took all, used the third and died before it could take away the mark */
	part = (void *)(record_map + area.size / 2);
	part->version = 1;
	part->num = 16;
	part->last_batch = (uint16_t)ids[2];
	for (int i = 0; i < 4; i++) {
		part->entries[ids[i]].inflight = 1;
		part->entries[ids[i]].counter = 100 + (uint64_t)i;
	}
	r->used->ring[0].id = (uint32_t)ids[2];
	r->used->idx = 1;
	assert_int_equal(set_record(), 0);
	driver_ring_start(r, 0);
	assert_int_equal(part->entries[ids[2]].inflight, 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 8), 3);
	assert_int_equal(batch.chains[0].size, 10);
	assert_int_equal(batch.chains[1].size, 11);
	assert_int_equal(batch.chains[2].size, 13);
	vring_rewind(get_ring(READ_RING), &batch, 1);
	assert_int_equal(vring_push(get_ring(READ_RING), &batch, 0, 2), 0);
	assert_int_equal(part->entries[ids[0]].inflight, 0);
	assert_int_equal(part->entries[ids[3]].inflight, 1);
	/* restarted once more, it finds the last one still */
	driver_ring_start(r, driver_get_base(&driver, READ_RING));
	add_buffers(r, 1);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 8), 2);
	assert_int_equal(batch.chains[0].size, 13);
	assert_int_equal(batch.chains[1].size, 64);
	assert_int_equal(vring_push(get_ring(READ_RING), &batch, 0, 2), 0);
	for (int i = 0; i < 5; i++)
		assert_true(driver_ring_get(r, &len) >= 0);
	assert_int_equal(r->n_free, 16);
	put_record();
	driver_uninit(&driver);
}

/* The same of a packed ring: the descriptors are in the record, their slots are used again. */
static void test_marks_packed(void **state UNUSED)
{
	struct driver_piece a[2], b, c;
	struct packed_record *part;
	struct driver_ring *r;
	int ids[3];
	uint32_t len;

	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES | PACKED_RING);
	get_record(2, 8);
	r = driver_ring_make(&driver, READ_RING, 8);
	a[0] = a[1] = b = c = (struct driver_piece){driver_alloc(&driver, 64), 64};
	ids[0] = driver_ring_add(r, a, 2, DRIVER_DIRECT, 0);
	ids[1] = driver_ring_add(r, &b, 1, DRIVER_DIRECT, 0);
	ids[2] = driver_ring_add(r, &c, 1, DRIVER_DIRECT, 0);
	part = (void *)(record_map + area.size / 2);
	part->version = 1;
	part->num = 8;
	for (unsigned int i = 0; i < 8; i++) {
		part->entries[i].next = (uint16_t)(i + 1);
		part->entries[i].addr = r->desc[i].addr;
		part->entries[i].len = (uint32_t)r->desc[i].rest;
		part->entries[i].id = (uint16_t)(r->desc[i].rest >> 32);
		part->entries[i].flags = (uint16_t)(r->desc[i].rest >> 48);
	}
	part->entries[0].inflight = part->entries[3].inflight = 1;
	part->entries[0].num = 2;
	part->entries[0].last = 1;
	part->entries[3].num = 1;
	part->entries[3].last = 3;
	part->entries[0].counter = 7;
	part->entries[3].counter = 9;
	/* b was used first, over a's descriptor in slot 0 */
	r->desc[0].rest =
		(uint64_t)ids[1] << 32 | (uint64_t)(VRING_DESC_F_AVAIL | VRING_DESC_F_USED) << 48;
	part->free_head = part->old_free_head = 2;
	part->entries[2].next = 4;
	part->used_idx = part->old_used_idx = 1;
	part->used_wrap = part->old_used_wrap = 1;
	assert_int_equal(set_record(), 0);
	driver_ring_start(r, VHOST_BASE_WRAP);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 8), 2);
	assert_int_equal(batch.chains[0].size, 128);
	assert_int_equal(batch.chains[0].n_slots, 2);
	assert_int_equal(batch.chains[1].size, 64);
	assert_int_equal(vring_push(get_ring(READ_RING), &batch, 0, 2), 0);
	assert_int_equal(part->entries[0].inflight, 0);
	assert_int_equal(part->entries[3].inflight, 0);
	assert_int_equal(driver_ring_get(r, &len), ids[1]);
	assert_int_equal(driver_ring_get(r, &len), ids[0]);
	assert_int_equal(driver_ring_get(r, &len), ids[2]);
	assert_int_equal(r->n_free, 8);
	add_buffers(r, 8);
	use_buffers(get_ring(READ_RING), 8);
	put_record();
	driver_uninit(&driver);
}

/* Records that contradict themselves cost the connection, whatever they say. */
static void test_bad_records(void **state UNUSED)
{
	uint64_t random = test_seed();
	unsigned int n_faults = 0;

	log_set_level(LOG_LEVEL_ERROR);
	for (int i = 0; i < 2000; i++) {
		bool is_packed = i % 2;
		uint64_t features = DRIVER_FEATURES | (is_packed ? PACKED_RING : 0);
		struct driver_ring *r;
		uint8_t *part;

		if (i == 0)
			driver_init(&driver, 1);
		else
			driver_connect(&driver);
		driver.next_alloc = DRIVER_GPA_HIGH;
		driver_negotiate(&driver, features);
		get_record(2, 16);
		part = record_map + area.size / 2;
		for (uint64_t b = 8; b < area.size / 2; b++)
			part[b] = (uint8_t)(driver_random(&random) %
					    (driver_random(&random) % 2 ? 256 : 3));
		part[8] = 1; /* version */
		part[9] = 0;
		r = driver_ring_make(&driver, READ_RING, 16);
		add_buffers(r, 3);
		(void)!driver_set_state(&driver, VHOST_SET_VRING_NUM, READ_RING, 16);
		(void)!driver_set_state(&driver, VHOST_SET_VRING_BASE, READ_RING,
					is_packed ? VHOST_BASE_WRAP : 0);
		(void)!driver_ring_send_addr(r, 0, 0);
		if (driver_ring_send_fd(r, VHOST_SET_VRING_KICK, &r->kick_fd) == -EPROTO)
			n_faults++;
		for (int j = 0; j < 4 && driver.published; j++) {
			int n;

			vring_batch_init(&batch);
			n = vring_pop(get_ring(READ_RING), &batch, 8);
			if (n <= 0 || vring_push(get_ring(READ_RING), &batch, 0, (unsigned int)n))
				break;
		}
		put_record();
		if (vhost_dev_get_fd(driver.dev) >= 0)
			driver_hang_up(&driver);
		else
			close(driver.sock);
	}
	assert_true(n_faults > 100);
	driver.sock = -1;
	driver_uninit(&driver);
}

static void test_record_refused(void **state UNUSED)
{
	static const struct vhost_inflight_area bad[] = {
		{.n_rings = 0, .ring_size = 16},
		{.n_rings = 33, .ring_size = 16},
		{.n_rings = 2, .ring_size = 0},
		{.n_rings = 2, .ring_size = 32769},
	};

	driver_init(&driver, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_negotiate(&driver, DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, VHOST_GET_INFLIGHT_FD, 0, &bad[i],
						sizeof(bad[i]), NULL, 0),
				 -EPROTO);
		close(driver.sock);
		driver_connect(&driver);
	}
	/* a file shorter than it says, and one that does not lie in memory */
	for (int i = 0; i < 2; i++) {
		struct vhost_inflight_area lie = {.size = 1 << 20, .n_rings = 2, .ring_size = 16};
		int fd = i ? memfd_create("record", MFD_CLOEXEC) : dup(0);

		driver_negotiate(&driver, DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, VHOST_SET_INFLIGHT_FD, 0, &lie,
						sizeof(lie), &fd, 1),
				 -EPROTO);
		close(fd);
		close(driver.sock);
		driver_connect(&driver);
	}
	/* a ring larger than the record has room for */
	driver_negotiate(&driver, DRIVER_FEATURES);
	get_record(2, 16);
	(void)driver_ring_make(&driver, READ_RING, 32);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, READ_RING, 32), 0);
	assert_int_equal(driver_ring_send_addr(&driver.rings[READ_RING], 0, 0), 0);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_VRING_KICK, READ_RING | VHOST_FD_NONE),
			 -EPROTO);
	put_record();
	driver_uninit(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),	    cmocka_unit_test(test_bad_log),
		cmocka_unit_test(test_record),	    cmocka_unit_test(test_packed_between_stores),
		cmocka_unit_test(test_marks_split), cmocka_unit_test(test_marks_packed),
		cmocka_unit_test(test_bad_records), cmocka_unit_test(test_record_refused),
	};

	return cmocka_run_group_tests_name("vhost_migrate", tests, NULL, NULL);
}
