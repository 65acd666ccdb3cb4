/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers that break the rules of the rings, and memory that goes away under them. Hostile front
 * ends are in test_vhost_hostile.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/vhost_hostile.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define READ_RING 1
#define WRITE_RING 0
#define LAST_GPA (DRIVER_GPA_HIGH + 12 * DRIVER_MIB)

static struct vring_batch batch;

static struct vring *get_ring(unsigned int index)
{
	return vhost_dev_get_ring(driver.dev, index);
}

/* ---- rings ------------------------------------------------------------------------------ */

/* Second words of descriptors; macros, for tables of constants. */
#define split_rest(len, flags, next)                                                               \
	((uint64_t)(len) | (uint64_t)(flags) << 32 | (uint64_t)(next) << 48)
#define packed_rest(len, flags) ((uint64_t)(len) | (uint64_t)((flags) | VRING_DESC_F_AVAIL) << 48)

enum { NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE, INDIRECT = VRING_DESC_F_INDIRECT };

/* A chain in a split ring: descriptors 0 and 1, a table of entries 0 and 1, the available ring. */
struct bad_chain {
	const char *what;
	enum vhost_fault fault;
	struct vring_slot desc[2];
	struct vring_slot table[2]; /* at table_gpa, in the high region's last page */
	uint16_t head;
	uint16_t n_avail;
	bool is_write_ring;
};

#define TABLE (LAST_GPA - 4096)

/* clang-format off */
static const struct bad_chain split_chains[] = {
	{.what = "a loop of one", .fault = VHOST_FAULT_RING_LOOP, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 0)}}},
	{.what = "a loop of two", .fault = VHOST_FAULT_RING_LOOP, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 1)},
		  {DRIVER_GPA_LOW, split_rest(4, NEXT, 0)}}},
	{.what = "an endless chain of nothing", .fault = VHOST_FAULT_RING_LOOP, .n_avail = 1,
	 .desc = {{0, split_rest(0, NEXT, 0)}}},
	{.what = "a head outside", .fault = VHOST_FAULT_RING_INDEX, .n_avail = 1, .head = 16},
	{.what = "a head far outside", .fault = VHOST_FAULT_RING_INDEX, .n_avail = 1,
	 .head = 65535},
	{.what = "a next outside", .fault = VHOST_FAULT_RING_INDEX, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 16)}}},
	{.what = "an index that jumps", .fault = VHOST_FAULT_RING_AVAILABLE, .n_avail = 17},
	{.what = "an index that goes back", .fault = VHOST_FAULT_RING_AVAILABLE, .n_avail = 65535},
	{.what = "address 0", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{0, split_rest(4, 0, 0)}}},
	{.what = "an address in a hole", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{DRIVER_GPA_NEXT + DRIVER_MIB, split_rest(1, 0, 0)}}},
	{.what = "the last byte outside", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{LAST_GPA - 4, split_rest(5, 0, 0)}}},
	{.what = "a length into the hole", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(2 * DRIVER_MIB + 1, 0, 0)}}},
	{.what = "a length that wraps", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{UINT64_MAX - 3, split_rest(8, 0, 0)}}},
	{.what = "the longest length", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{DRIVER_GPA_HIGH, split_rest(UINT32_MAX, 0, 0)}}},
	{.what = "to write where we read", .fault = VHOST_FAULT_RING_DIRECTION, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, WRITE, 0)}}},
	{.what = "to write behind", .fault = VHOST_FAULT_RING_DIRECTION, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 1)},
		  {DRIVER_GPA_LOW, split_rest(4, WRITE, 0)}}},
	{.what = "to read where we write", .fault = VHOST_FAULT_RING_DIRECTION, .n_avail = 1,
	 .desc = {{DRIVER_GPA_LOW, split_rest(4, 0, 0)}}, .is_write_ring = true},
	{.what = "an empty table", .fault = VHOST_FAULT_RING_INDIRECT, .n_avail = 1,
	 .desc = {{TABLE, split_rest(0, INDIRECT, 0)}}},
	{.what = "an odd table", .fault = VHOST_FAULT_RING_INDIRECT, .n_avail = 1,
	 .desc = {{TABLE, split_rest(17, INDIRECT, 0)}}},
	{.what = "a huge table", .fault = VHOST_FAULT_RING_INDIRECT, .n_avail = 1,
	 .desc = {{TABLE, split_rest(0xfffffff0, INDIRECT, 0)}}},
	{.what = "a table that goes on", .fault = VHOST_FAULT_RING_INDIRECT, .n_avail = 1,
	 .desc = {{TABLE, split_rest(32, INDIRECT | NEXT, 1)}}},
	{.what = "a table in a table", .fault = VHOST_FAULT_RING_INDIRECT, .n_avail = 1,
	 .desc = {{TABLE, split_rest(32, INDIRECT, 0)}},
	 .table = {{TABLE, split_rest(32, INDIRECT, 0)}}},
	{.what = "a table outside", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{LAST_GPA, split_rest(32, INDIRECT, 0)}}},
	{.what = "a table half outside", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{LAST_GPA - 8, split_rest(32, INDIRECT, 0)}}},
	{.what = "a loop in a table", .fault = VHOST_FAULT_RING_LOOP, .n_avail = 1,
	 .desc = {{TABLE, split_rest(32, INDIRECT, 0)}},
	 .table = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 1)},
		   {DRIVER_GPA_LOW, split_rest(4, NEXT, 0)}}},
	{.what = "a next outside of the table", .fault = VHOST_FAULT_RING_INDEX, .n_avail = 1,
	 .desc = {{TABLE, split_rest(32, INDIRECT, 0)}},
	 .table = {{DRIVER_GPA_LOW, split_rest(4, NEXT, 2)}}},
	{.what = "to write in a table", .fault = VHOST_FAULT_RING_DIRECTION, .n_avail = 1,
	 .desc = {{TABLE, split_rest(32, INDIRECT, 0)}},
	 .table = {{DRIVER_GPA_LOW, split_rest(4, WRITE, 0)}}},
	{.what = "an address outside in a table", .fault = VHOST_FAULT_RING_ADDRESS, .n_avail = 1,
	 .desc = {{TABLE, split_rest(16, INDIRECT, 0)}}, .table = {{0, split_rest(4, 0, 0)}}},
};

/* The same of a packed ring; .head and .n_avail mean nothing there (CVE-2020-10725). */
static const struct bad_chain packed_chains[] = {
	{.what = "a chain without an end", .fault = VHOST_FAULT_RING_LOOP,
	 .desc = {{DRIVER_GPA_LOW, packed_rest(4, NEXT)}, {DRIVER_GPA_LOW, packed_rest(4, NEXT)}}},
	{.what = "address 0", .fault = VHOST_FAULT_RING_ADDRESS, .desc = {{0, packed_rest(4, 0)}}},
	{.what = "the last byte outside", .fault = VHOST_FAULT_RING_ADDRESS,
	 .desc = {{LAST_GPA - 4, packed_rest(5, 0)}}},
	{.what = "a length that wraps", .fault = VHOST_FAULT_RING_ADDRESS,
	 .desc = {{UINT64_MAX - 3, packed_rest(8, 0)}}},
	{.what = "the second outside", .fault = VHOST_FAULT_RING_ADDRESS,
	 .desc = {{DRIVER_GPA_LOW, packed_rest(4, NEXT)}, {0, packed_rest(1, 0)}}},
	{.what = "to write where we read", .fault = VHOST_FAULT_RING_DIRECTION,
	 .desc = {{DRIVER_GPA_LOW, packed_rest(4, WRITE)}}},
	{.what = "to read where we write", .fault = VHOST_FAULT_RING_DIRECTION,
	 .desc = {{DRIVER_GPA_LOW, packed_rest(4, 0)}}, .is_write_ring = true},
	{.what = "an empty table", .fault = VHOST_FAULT_RING_INDIRECT,
	 .desc = {{TABLE, packed_rest(0, INDIRECT)}}},
	{.what = "an odd table", .fault = VHOST_FAULT_RING_INDIRECT,
	 .desc = {{TABLE, packed_rest(31, INDIRECT)}}},
	{.what = "a table that goes on", .fault = VHOST_FAULT_RING_INDIRECT,
	 .desc = {{TABLE, packed_rest(16, INDIRECT | NEXT)}}},
	{.what = "a table in a table", .fault = VHOST_FAULT_RING_INDIRECT,
	 .desc = {{TABLE, packed_rest(16, INDIRECT)}},
	 .table = {{TABLE, packed_rest(16, INDIRECT)}}},
	{.what = "a table half outside", .fault = VHOST_FAULT_RING_ADDRESS,
	 .desc = {{LAST_GPA - 8, packed_rest(16, INDIRECT)}}},
	{.what = "to write in a table", .fault = VHOST_FAULT_RING_DIRECTION,
	 .desc = {{TABLE, packed_rest(16, INDIRECT)}},
	 .table = {{DRIVER_GPA_LOW, packed_rest(4, WRITE)}}},
};
/* clang-format on */

static void run_bad_chain(const struct bad_chain *bad, uint64_t features)
{
	unsigned int index = bad->is_write_ring ? WRITE_RING : READ_RING;
	uint64_t before = count_fault(bad->fault);
	struct driver_ring *r;
	eventfd_t count;

	begin(DRIVER_FEATURES | features);
	r = driver_ring_open(&driver, index, 16);
	(void)driver_ring_open(&driver, index + 2, 16);
	assert_int_equal(driver_ring_send_fd(r, VHOST_SET_VRING_ERR, &r->err_fd), 0);
	memcpy(driver_ptr(&driver, TABLE), bad->table, sizeof(bad->table));
	if (r->is_packed) {
		/* the rest of the ring is as its second descriptor */
		for (uint32_t i = 0; i < r->num; i++)
			r->desc[i] = bad->desc[i != 0];
	} else {
		memcpy(r->desc, bad->desc, sizeof(bad->desc));
		r->avail->ring[0] = bad->head;
		r->avail->idx = bad->n_avail;
	}
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(index), &batch, 32), -EIO);
	assert_int_equal(batch.n, 0);
	assert_int_equal(batch.n_iov, 0);
	/* it stays broken, and the other rings go until the control thread comes */
	assert_int_equal(vring_pop(get_ring(index), &batch, 32), -EIO);
	assert_int_equal(vring_push(get_ring(index), &batch, 0, 0), -EIO);
	assert_int_equal(vring_pop(get_ring(index + 2), &batch, 32), 0);
	if (count_fault(bad->fault) != before || get_ring(index)->fault != bad->fault)
		fail_msg("%s: %s", bad->what, vhost_fault_name(get_ring(index)->fault));
	assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
	assert_int_equal(eventfd_read(r->err_fd, &count), 0);
	check_fault(bad->fault, before);
}

static void test_bad_chains(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(split_chains); i++)
		run_bad_chain(&split_chains[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(packed_chains); i++)
		run_bad_chain(&packed_chains[i], PACKED_RING);
}

/* What was taken before the bad chain is not given to the caller, nor used twice. */
static void test_bad_chain_behind_good(void **state UNUSED)
{
	struct driver_piece good = {DRIVER_GPA_LOW, 64}, bad = {LAST_GPA, 64};
	struct driver_ring *r;

	for (int packed = 0; packed < 2; packed++) {
		begin(DRIVER_FEATURES | (packed ? PACKED_RING : 0));
		r = driver_ring_open(&driver, READ_RING, 16);
		for (int i = 0; i < 5; i++)
			assert_true(driver_ring_add(r, &good, 1, DRIVER_DIRECT, 0) >= 0);
		assert_true(driver_ring_add(r, &bad, 1, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 3), 3);
		assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 3), -EIO);
		assert_int_equal(batch.n, 3);
		assert_int_equal(batch.n_iov, 3);
		assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
		check_clean();
	}
}

/* Chains of too many bytes or pieces, though each piece is right; empty ones count, too. */
static void test_large_chains(void **state UNUSED)
{
	static const uint32_t sizes[] = {1, 12 * DRIVER_MIB, 0};
	static struct driver_piece pieces[1100];
	struct driver_ring *r;

	for (int packed = 0; packed < 2; packed++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			uint64_t before = count_fault(VHOST_FAULT_RING_CHAIN_SIZE);
			unsigned int n = sizes[i] > 1 ? 400 : 1100;

			for (unsigned int j = 0; j < n; j++) {
				pieces[j].gpa = DRIVER_GPA_HIGH;
				pieces[j].size = sizes[i];
			}
			begin(DRIVER_FEATURES | (packed ? PACKED_RING : 0));
			r = driver_ring_open(&driver, READ_RING, 16);
			assert_true(driver_ring_add(r, pieces, n, DRIVER_INDIRECT,
						    driver_alloc(&driver, n * 16)) >= 0);
			vring_batch_init(&batch);
			assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 32), -EIO);
			assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
			check_fault(VHOST_FAULT_RING_CHAIN_SIZE, before);
		}
	}
}

/* An indirect table without the feature. */
static void test_indirect_not_negotiated(void **state UNUSED)
{
	struct driver_piece piece = {DRIVER_GPA_LOW, 64};
	uint64_t before = count_fault(VHOST_FAULT_RING_INDIRECT);
	struct driver_ring *r;

	begin(DRIVER_FEATURES & ~VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	r = driver_ring_open(&driver, READ_RING, 16);
	assert_true(driver_ring_add(r, &piece, 1, DRIVER_INDIRECT, driver_alloc(&driver, 16)) >= 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 32), -EIO);
	assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
	check_fault(VHOST_FAULT_RING_INDIRECT, before);
}

/* Rings at bad places: misaligned, of an odd size, half outside of memory. */
static void test_bad_rings(void **state UNUSED)
{
	for (int i = 0; i < 7; i++) {
		bool is_packed = i >= 5;
		struct vhost_addr addr;
		struct driver_ring *r;
		int ret;

		begin(DRIVER_FEATURES | (is_packed ? PACKED_RING : 0));
		r = driver_ring_make(&driver, READ_RING, 16);
		addr = (struct vhost_addr){
			.index = READ_RING,
			.desc = r->desc_gpa + DRIVER_UVA_OFFSET + (i == 0 || i == 5 ? 8 : 0),
			.avail = r->avail_gpa + DRIVER_UVA_OFFSET +
				 (i == 1   ? 1
				  : i == 6 ? 2
					   : 0),
			.used = r->used_gpa + DRIVER_UVA_OFFSET + (i == 2 ? 2 : 0),
		};
		if (i == 3)
			addr.used = LAST_GPA - 8 + DRIVER_UVA_OFFSET;
		assert_int_equal(
			driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, i == 4 ? 15 : 16), 0);
		assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_BASE, 1,
						  is_packed ? VHOST_BASE_WRAP : 0),
				 0);
		assert_int_equal(driver_request(&driver, VHOST_SET_VRING_ADDR, 0, &addr,
						sizeof(addr), NULL, 0),
				 0);
		ret = driver_set_u64(&driver, VHOST_SET_VRING_KICK, 1 | VHOST_FD_NONE);
		/* one that is not in memory waits for it; the others are wrong for good */
		assert_int_equal(ret, i == 3 ? 0 : -EPROTO);
		assert_int_equal(driver.published, 0);
		if (i == 3)
			driver_hang_up(&driver);
		check_clean();
	}
	/* a packed ring that is to go on behind its end */
	begin(DRIVER_FEATURES | PACKED_RING);
	(void)driver_ring_make(&driver, READ_RING, 16);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, 16), 0);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_BASE, 1, 16), 0);
	assert_int_equal(driver_ring_send_addr(&driver.rings[1], 0, 0), 0);
	assert_int_equal(driver_set_u64(&driver, VHOST_SET_VRING_KICK, 1 | VHOST_FD_NONE), -EPROTO);
	check_clean();
}

/* Random bytes for rings and tables. */
static void test_random_rings(void **state UNUSED)
{
	uint64_t random = test_seed();
	unsigned int n_broken = 0, n_chains = 0;

	for (int i = 0; i < 3000; i++) {
		bool is_packed = i % 2;
		unsigned int index = i / 2 % 2;
		struct driver_ring *r;

		begin(DRIVER_FEATURES | (is_packed ? PACKED_RING : 0));
		r = driver_ring_open(&driver, index, 16);
		for (uint32_t j = 0; j < 64; j++) {
			struct vring_slot *slot =
				j < 16 ? &r->desc[j]
				       : (struct vring_slot *)driver_ptr(&driver, TABLE) + (j - 16);
			unsigned int flags = driver_random(&random) % 8;
			uint32_t len = driver_random(&random) % 32 ? driver_random(&random) % 3 * 16
								   : driver_random(&random);

			if (driver_random(&random) % 8)
				flags = (index ? 0 : WRITE) |
					(driver_random(&random) % 3 ? 0 : flags & NEXT);
			slot->addr = driver_random(&random) % 32
					     ? TABLE + driver_random(&random) % 900
					     : driver_random(&random);
			slot->rest =
				is_packed ? packed_rest(len, flags)
					  : split_rest(len, flags,
						       driver_random(&random) % 64 ? j % 16 : 16);
		}
		if (!is_packed) {
			for (uint32_t j = 0; j < 16; j++)
				r->avail->ring[j] = (uint16_t)(driver_random(&random) % 16);
			r->avail->idx = (uint16_t)(driver_random(&random) % 18);
		}
		for (int round = 0; round < 8; round++) {
			int n;

			vring_batch_init(&batch);
			n = vring_pop(get_ring(index), &batch, 8);
			n_broken += n < 0;
			if (n <= 0)
				break;
			n_chains += (unsigned int)n;
			for (unsigned int c = 0; c < batch.n; c++) {
				struct vring_cursor cursor =
					vring_cursor_get(&batch, &batch.chains[c]);
				uint8_t data[64] = {0};
				uint32_t size = MIN(batch.chains[c].size, 64u);

				if (index)
					vring_cursor_read(&cursor, data, size);
				else
					vring_cursor_write(&cursor, data, size);
				batch.chains[c].written = index ? 0 : size;
			}
			if (vring_push(get_ring(index), &batch, 0, (unsigned int)n))
				break;
			vring_notify(get_ring(index));
		}
		driver_hang_up(&driver);
		check_clean();
	}
	assert_true(n_broken > 500);
	assert_true(n_chains > 500);
}

/* ---- memory that goes away -------------------------------------------------------------- */

static atomic_bool stop_worker;
static atomic_uint n_popped;

/* A worker that reads what comes until its ring breaks. */
static void *run_worker(void *ring_)
{
	static struct vring_batch work;
	struct vring *ring = ring_;
	uint8_t data[2048];

	while (!atomic_load(&stop_worker)) {
		int n;

		vring_batch_init(&work);
		n = vring_pop(ring, &work, 32);
		for (int i = 0; i < n; i++) {
			struct vring_cursor cursor = vring_cursor_get(&work, &work.chains[i]);

			vring_cursor_read(&cursor, data, MIN(work.chains[i].size, 2048u));
		}
		if (n < 0 || vring_push(ring, &work, 0, (unsigned int)n))
			break;
		atomic_fetch_add(&n_popped, (unsigned int)n);
	}
	return NULL;
}

/* The file is cut short under a working ring; the neighbour works on. */
static void test_truncated_memory(void **state UNUSED)
{
	static struct vhost_driver neighbour;
	struct driver_ring *r, *other;
	struct driver_piece piece;
	pthread_t thread;

	driver_init(&neighbour, 1);
	driver_negotiate(&neighbour, DRIVER_FEATURES);
	other = driver_ring_open(&neighbour, READ_RING, 16);
	for (int i = 0; i < 10; i++) {
		uint64_t before = count_fault(VHOST_FAULT_MEMORY_LOST);
		unsigned int seen;

		assert_int_equal(ftruncate(driver.mem_fd, DRIVER_FILE_SIZE), 0);
		begin(DRIVER_FEATURES | (i % 2 ? PACKED_RING : 0));
		r = driver_ring_open(&driver, READ_RING, 16);
		piece = (struct driver_piece){DRIVER_GPA_LOW, 1500};
		atomic_store(&stop_worker, false);
		atomic_store(&n_popped, 0);
		assert_int_equal(pthread_create(&thread, NULL, run_worker, get_ring(READ_RING)), 0);
		seen = 0;
		do {
			while (driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0)
				;
			while (driver_ring_get(r, &(uint32_t){0}) >= 0)
				seen++;
		} while (seen < 100);
		assert_int_equal(ftruncate(driver.mem_fd, 0), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
		assert_int_equal(count_fault(VHOST_FAULT_MEMORY_LOST), before + 1);
		close(driver.sock);
		driver.sock = -1;

		piece.gpa = driver_alloc(&neighbour, 64);
		piece.size = 64;
		assert_true(driver_ring_add(other, &piece, 1, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(vhost_dev_get_ring(neighbour.dev, 1), &batch, 1), 1);
		assert_int_equal(vring_push(vhost_dev_get_ring(neighbour.dev, 1), &batch, 0, 1), 0);
		assert_true(driver_ring_get(other, &(uint32_t){0}) >= 0);
	}
	driver_uninit(&neighbour);
	assert_int_equal(ftruncate(driver.mem_fd, DRIVER_FILE_SIZE), 0);
	check_clean();
}

/* The front end cuts the file while the control thread works with it: starting a ring. */
static void test_truncated_before_start(void **state UNUSED)
{
	struct driver_ring *r;

	begin(DRIVER_FEATURES);
	r = driver_ring_make(&driver, READ_RING, 16);
	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, 16), 0);
	assert_int_equal(driver_ring_send_addr(r, 0, 0), 0);
	assert_int_equal(ftruncate(driver.mem_fd, 0), 0);
	assert_int_equal(driver_ring_send_fd(r, VHOST_SET_VRING_KICK, &r->kick_fd), 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(get_ring(READ_RING), &batch, 1), -EIO);
	assert_int_equal(vhost_dev_run_alarm(driver.dev), -EPROTO);
	assert_int_equal(ftruncate(driver.mem_fd, DRIVER_FILE_SIZE), 0);
	check_clean();
}

/* A driver that rewrites its descriptors while they are read. */
struct rewriter {
	struct driver_ring *r;
	atomic_bool stop;
};

static void *run_rewriter(void *rewriter_)
{
	struct rewriter *w = rewriter_;
	uint64_t random = test_seed();

	while (!atomic_load(&w->stop)) {
		struct vring_slot *slot = &w->r->desc[driver_random(&random) % 16];
		bool good = driver_random(&random) % 8;
		uint64_t gpa = good ? DRIVER_GPA_LOW : driver_random(&random);
		uint32_t len = good ? 64 : driver_random(&random);

		__atomic_store_n(&slot->addr, gpa, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->rest,
				 w->r->is_packed ? packed_rest(len, 0)
						 : split_rest(len, good ? 0 : NEXT,
							      driver_random(&random) % 20),
				 __ATOMIC_RELAXED);
		if (!w->r->is_packed)
			__atomic_fetch_add(&w->r->avail->idx, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void test_rewritten_descriptors(void **state UNUSED)
{
	unsigned int n_broken = 0;

	/* on a loaded machine the rewriter may not get to run in time: more rings, within bounds */
	for (int i = 0; i < 200 || (n_broken == 0 && i < 5000); i++) {
		struct rewriter w = {0};
		pthread_t thread;
		int n = 0;

		begin(DRIVER_FEATURES | (i % 2 ? PACKED_RING : 0));
		w.r = driver_ring_open(&driver, READ_RING, 16);
		assert_int_equal(pthread_create(&thread, NULL, run_rewriter, &w), 0);
		for (int round = 0; round < 2000 && n >= 0; round++) {
			vring_batch_init(&batch);
			n = vring_pop(get_ring(READ_RING), &batch, 16);
			for (int c = 0; c < n; c++) {
				struct vring_cursor cursor =
					vring_cursor_get(&batch, &batch.chains[c]);
				uint8_t data[64];

				vring_cursor_read(&cursor, data, MIN(batch.chains[c].size, 64u));
			}
			if (n > 0)
				n = vring_push(get_ring(READ_RING), &batch, 0, (unsigned int)n);
		}
		n_broken += n < 0;
		atomic_store(&w.stop, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		driver_hang_up(&driver);
		check_clean();
	}
	assert_true(n_broken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(test_bad_chains),
		HOSTILE(test_bad_chain_behind_good),
		HOSTILE(test_large_chains),
		HOSTILE(test_indirect_not_negotiated),
		HOSTILE(test_bad_rings),
		HOSTILE(test_random_rings),
		HOSTILE(test_truncated_memory),
		HOSTILE(test_truncated_before_start),
		HOSTILE(test_rewritten_descriptors),
	};

	return cmocka_run_group_tests_name("vhost_hostile_ring", tests, NULL, NULL);
}
