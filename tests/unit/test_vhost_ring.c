/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings between an honest driver and the device: split and packed, with each feature. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)

#define READ_RING 1 /* the guest sends */
#define WRITE_RING 0 /* the guest receives */

static const uint64_t kinds[] = {0, EVENT_IDX, PACKED_RING, PACKED_RING | EVENT_IDX};

static struct vhost_driver driver;
static struct vring_batch batch;

static struct driver_ring *open_ring(uint64_t kind, unsigned int index, uint32_t num)
{
	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES | kind);
	return driver_ring_open(&driver, index, num);
}

static struct vring *get_ring(unsigned int index)
{
	return vhost_dev_get_ring(driver.dev, index);
}

/* A buffer of one piece with `size` bytes of `fill`. */
static struct driver_piece make_piece(uint32_t size, int fill)
{
	struct driver_piece piece = {driver_alloc(&driver, size), size};

	memset(driver_ptr(&driver, piece.gpa), fill, size);
	return piece;
}

static void test_read(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 8);
		struct vring *ring = get_ring(READ_RING);
		struct driver_piece piece = make_piece(100, 0xa5);
		uint8_t data[100], expected[100];
		struct vring_cursor cursor;
		uint32_t len;
		int id;

		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 32), 0);
		id = driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0);
		assert_int_equal(vring_pop(ring, &batch, 32), 1);
		assert_int_equal(batch.chains[0].size, 100);
		cursor = vring_cursor_get(&batch, &batch.chains[0]);
		vring_cursor_read(&cursor, data, 60);
		vring_cursor_read(&cursor, data + 60, 40);
		memset(expected, 0xa5, sizeof(expected));
		assert_memory_equal(data, expected, sizeof(data));
		assert_int_equal(driver_ring_get(r, &len), -EAGAIN);
		assert_int_equal(vring_push(ring, &batch, 0, 1), 0);
		assert_int_equal(driver_ring_get(r, &len), id);
		assert_int_equal(len, 0);
		assert_int_equal(vring_pop(ring, &batch, 32), 0);
		driver_uninit(&driver);
	}
}

static void test_write(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], WRITE_RING, 8);
		struct vring *ring = get_ring(WRITE_RING);
		struct driver_piece pieces[2] = {make_piece(10, 0), make_piece(20, 0)};
		struct vring_cursor cursor;
		uint32_t len;

		vring_batch_init(&batch);
		(void)driver_ring_add(r, pieces, 2, DRIVER_DIRECT, 0);
		assert_int_equal(vring_pop(ring, &batch, 1), 1);
		assert_int_equal(batch.chains[0].size, 30);
		assert_int_equal(batch.chains[0].n_iov, 2);
		cursor = vring_cursor_get(&batch, &batch.chains[0]);
		vring_cursor_write(&cursor, "0123456789abcdef", 16);
		batch.chains[0].written = 16;
		assert_int_equal(vring_push(ring, &batch, 0, 1), 0);
		assert_true(driver_ring_get(r, &len) >= 0);
		assert_int_equal(len, 16);
		assert_memory_equal(driver_ptr(&driver, pieces[0].gpa), "0123456789", 10);
		assert_memory_equal(driver_ptr(&driver, pieces[1].gpa), "abcdef", 6);
		driver_uninit(&driver);
	}
}

/* Direct, indirect and mixed chains, empty pieces, pieces across two regions. */
static void test_layouts(void **state UNUSED)
{
	static const enum driver_layout layouts[] = {DRIVER_DIRECT, DRIVER_INDIRECT, DRIVER_MIXED};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 16);
		struct vring *ring = get_ring(READ_RING);
		/* an odd address: a table may lie anywhere */
		uint64_t table = driver_alloc(&driver, 256) + 1;

		for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
			struct driver_piece pieces[4] = {
				make_piece(12, 1),
				{DRIVER_GPA_NEXT - 30, 100},
				{0, 0},
				make_piece(5, 3),
			};
			struct vring_cursor cursor;
			uint8_t data[117];

			memset(driver_ptr(&driver, DRIVER_GPA_NEXT - 30), 2, 30);
			memset(driver_ptr(&driver, DRIVER_GPA_NEXT), 2, 70);
			vring_batch_init(&batch);
			assert_true(driver_ring_add(r, pieces, 4, layouts[l], table) >= 0);
			assert_int_equal(vring_pop(ring, &batch, 32), 1);
			assert_int_equal(batch.chains[0].size, 117);
			assert_int_equal(batch.chains[0].n_iov, 5);
			cursor = vring_cursor_get(&batch, &batch.chains[0]);
			vring_cursor_read(&cursor, data, sizeof(data));
			assert_int_equal(data[11], 1);
			assert_int_equal(data[12], 2);
			assert_int_equal(data[111], 2);
			assert_int_equal(data[112], 3);
			assert_int_equal(vring_push(ring, &batch, 0, 1), 0);
		}
		driver_uninit(&driver);
	}
}

/* A frame over several merged receive buffers. */
static void test_merged(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], WRITE_RING, 64);
		struct vring *ring = get_ring(WRITE_RING);
		struct driver_piece pieces[8];
		uint8_t frame[200];
		struct vring_cursor cursor;
		uint32_t len;

		for (int i = 0; i < 8; i++) {
			pieces[i] = make_piece(64, 0);
			assert_true(driver_ring_add(r, &pieces[i], 1, DRIVER_DIRECT, 0) >= 0);
		}
		for (size_t i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)i;
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 8), 8);
		cursor = vring_cursor_get(&batch, &batch.chains[2]);
		vring_cursor_write(&cursor, frame, sizeof(frame));
		assert_int_equal(vring_batch_fill(&batch, 2, sizeof(frame)), 4);
		/* the last two were not needed */
		vring_rewind(ring, &batch, 2);
		assert_int_equal(batch.n, 6);
		assert_int_equal(vring_push(ring, &batch, 0, 6), 0);
		for (int i = 0; i < 6; i++) {
			assert_true(driver_ring_get(r, &len) >= 0);
			assert_int_equal(len, i < 2 ? 0 : i < 5 ? 64 : 8);
		}
		assert_int_equal(driver_ring_get(r, &len), -EAGAIN);
		for (int i = 0; i < 3; i++)
			assert_memory_equal(driver_ptr(&driver, pieces[2 + i].gpa), frame + 64 * i,
					    64);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 8), 2);
		driver_uninit(&driver);
	}
}

/* More pieces than a batch holds: what does not fit comes with the next one. */
static void test_batch_full(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 32);
		struct vring *ring = get_ring(READ_RING);
		unsigned int per_chain = 300;
		struct driver_piece pieces[300];
		struct driver_piece piece = make_piece(64, 7);

		for (unsigned int i = 0; i < per_chain; i++)
			pieces[i] = piece;
		for (int i = 0; i < 5; i++)
			assert_true(driver_ring_add(r, pieces, per_chain, DRIVER_INDIRECT,
						    driver_alloc(&driver, per_chain * 16)) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 32), 3);
		assert_int_equal(batch.n_iov, 900);
		assert_int_equal(vring_pop(ring, &batch, 32), 0);
		assert_int_equal(vring_push(ring, &batch, 0, 3), 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 32), 2);
		assert_int_equal(vring_push(ring, &batch, 0, 2), 0);
		driver_uninit(&driver);
	}
}

/* ---- random walks ----------------------------------------------------------------------- */

#define SLOTS 256 /* buffers that the driver has, by id */
#define BUFFER_SIZE 4096

struct walk {
	struct driver_ring *r;
	struct vring *ring;
	uint64_t random;
	uint64_t memory; /* SLOTS buffers of BUFFER_SIZE */
	uint64_t tables; /* SLOTS tables of 1 KiB */
	uint32_t lent[DRIVER_RING_MAX]; /* by place in the order of lending: sequence number */
	uint32_t first; /* sequence number of the next buffer to be popped */
	uint32_t next; /* and of the next to be lent */
	uint32_t sequence_of[DRIVER_RING_MAX]; /* by id */
	uint32_t size_of[DRIVER_RING_MAX];
	uint32_t done; /* buffers that came back */
	struct { /* what the device wrote, by sequence number */
		uint32_t size;
	} written[SLOTS];
};

static uint8_t pattern(uint32_t sequence, uint32_t i)
{
	return (uint8_t)(sequence * 7 + i);
}

/* Lends a buffer of one to five pieces. */
static void walk_lend(struct walk *w)
{
	uint64_t start = w->memory + w->next % SLOTS * BUFFER_SIZE;
	uint64_t table = w->tables + w->next % SLOTS * 1024;
	unsigned int n = 1 + driver_random(&w->random) % 5;
	enum driver_layout layout = driver_random(&w->random) % (n > 1 ? 3 : 2);
	struct driver_piece pieces[5];
	uint32_t size = 0;
	int id;

	for (unsigned int i = 0; i < n; i++) {
		pieces[i].gpa = start + size;
		pieces[i].size = 1 + driver_random(&w->random) % 700;
		size += pieces[i].size;
	}
	if (!w->r->device_writes) {
		uint8_t *data = driver_ptr(&driver, start);

		for (uint32_t i = 0; i < size; i++)
			data[i] = pattern(w->next, i);
	}
	id = driver_ring_add(w->r, pieces, n, layout, table);
	if (id < 0)
		return;
	w->sequence_of[id] = w->next;
	w->size_of[id] = size;
	w->next++;
}

/* What the device does with the chain, which is number `sequence`. */
static void walk_use(struct walk *w, struct vring_chain *chain, uint32_t sequence)
{
	struct vring_cursor cursor = vring_cursor_get(&batch, chain);
	uint8_t data[BUFFER_SIZE];

	if (!w->r->device_writes) {
		vring_cursor_read(&cursor, data, chain->size);
		for (uint32_t i = 0; i < chain->size; i++)
			assert_int_equal(data[i], pattern(sequence, i));
		return;
	}
	chain->written = driver_random(&w->random) % (chain->size + 1);
	for (uint32_t i = 0; i < chain->written; i++)
		data[i] = pattern(sequence, i);
	vring_cursor_write(&cursor, data, chain->written);
	w->written[sequence % SLOTS].size = chain->written;
}

/* Pops some, gives some of them back, pushes the others in two runs, sometimes the last first. */
static void walk_device(struct walk *w)
{
	uint32_t sequence = w->first;
	int popped, more;
	unsigned int rewound, half;

	vring_batch_init(&batch);
	popped = vring_pop(w->ring, &batch, driver_random(&w->random) % 40);
	more = vring_pop(w->ring, &batch, driver_random(&w->random) % 3);
	assert_true(popped >= 0 && more >= 0);
	popped += more;
	assert_int_equal(batch.n, popped);
	assert_true((uint32_t)popped <= w->next - w->first);
	if (!popped)
		return;
	rewound = driver_random(&w->random) % 3 ? 0 : driver_random(&w->random) % (batch.n + 1);
	vring_rewind(w->ring, &batch, rewound);
	for (unsigned int i = 0; i < batch.n; i++)
		walk_use(w, &batch.chains[i], sequence + i);
	half = driver_random(&w->random) % (batch.n + 1);
	if (driver_random(&w->random) % 2) {
		assert_int_equal(vring_push(w->ring, &batch, 0, half), 0);
		assert_int_equal(vring_push(w->ring, &batch, half, batch.n - half), 0);
	} else {
		assert_int_equal(vring_push(w->ring, &batch, half, batch.n - half), 0);
		assert_int_equal(vring_push(w->ring, &batch, 0, half), 0);
	}
	w->first += batch.n;
	vring_notify(w->ring);
}

static void walk_take_back(struct walk *w)
{
	uint32_t len;
	int id;

	while ((id = driver_ring_get(w->r, &len)) >= 0) {
		uint32_t sequence = w->sequence_of[id];
		const uint8_t *data =
			driver_ptr(&driver, w->memory + sequence % SLOTS * BUFFER_SIZE);

		assert_true(sequence < w->first);
		w->done++;
		if (!w->r->device_writes) {
			assert_int_equal(len, 0);
			continue;
		}
		assert_int_equal(len, w->written[sequence % SLOTS].size);
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(data[i], pattern(sequence, i));
	}
	if (driver_random(&w->random) % 4 == 0)
		assert_int_equal(w->done, w->first);
}

/* Stops the ring and starts it again where it was. */
static void walk_restart(struct walk *w)
{
	uint32_t base = driver_get_base(&driver, w->r->index);

	if (!w->r->is_packed)
		assert_int_equal(base, (uint16_t)(w->r->next_avail - (w->next - w->first)));
	driver_ring_start(w->r, base);
}

static void run_walk(uint64_t kind, unsigned int index, uint32_t num, uint32_t rounds)
{
	static struct walk w;

	memset(&w, 0, sizeof(w));
	w.random = test_seed() + num + kind + index;
	w.r = open_ring(kind, index, num);
	w.ring = get_ring(index);
	w.memory = driver_alloc(&driver, SLOTS * BUFFER_SIZE);
	w.tables = driver_alloc(&driver, SLOTS * 1024);
	for (uint32_t i = 0; i < rounds; i++) {
		uint32_t n = driver_random(&w.random) % 30;

		while (n-- && w.next - w.done < SLOTS)
			walk_lend(&w);
		walk_device(&w);
		walk_take_back(&w);
		if (driver_random(&w.random) % 200 == 0)
			walk_restart(&w);
	}
	/* nothing is lost */
	while (w.first != w.next)
		walk_device(&w);
	walk_take_back(&w);
	assert_int_equal(w.done, w.next);
	assert_int_equal(w.r->n_free, num);
	assert_true(w.next > rounds);
	driver_uninit(&driver);
}

static void test_random_walk(void **state UNUSED)
{
	printf("seed 0x%llx\n", (unsigned long long)test_seed());
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		bool is_packed = kinds[k] & PACKED_RING;

		/* split indexes wrap at 65536, packed ones at the ring's end */
		run_walk(kinds[k], READ_RING, 256, 6000);
		run_walk(kinds[k], WRITE_RING, 256, 6000);
		run_walk(kinds[k], READ_RING, is_packed ? 7 : 8, 2000);
		run_walk(kinds[k], WRITE_RING, is_packed ? 13 : 16, 2000);
	}
}

/* ---- notifications ---------------------------------------------------------------------- */

/* Uses one buffer from lending to taking back; returns whether the driver was called. */
static uint64_t use_one(struct driver_ring *r, struct vring *ring, struct driver_piece *piece)
{
	uint32_t len;

	assert_true(driver_ring_add(r, piece, 1, DRIVER_DIRECT, 0) >= 0);
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(ring, &batch, 1), 1);
	assert_int_equal(vring_push(ring, &batch, 0, 1), 0);
	vring_notify(ring);
	vring_notify(ring); /* once is enough */
	assert_true(driver_ring_get(r, &len) >= 0);
	return driver_ring_take_calls(r);
}

static void test_calls(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 8);
		struct vring *ring = get_ring(READ_RING);
		struct driver_piece piece = make_piece(64, 0);

		for (int round = 0; round < 40; round++) {
			driver_ring_arm(r);
			assert_int_equal(use_one(r, ring, &piece), 1);
			driver_ring_disarm(r);
			for (int i = 0; i < round % 11; i++)
				assert_int_equal(use_one(r, ring, &piece), 0);
		}
		driver_uninit(&driver);
	}
}

/* A whole ring used between two notifications is noticed. */
static void test_call_for_a_whole_round(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 8);
		struct vring *ring = get_ring(READ_RING);
		struct driver_piece piece = make_piece(64, 0);

		driver_ring_arm(r);
		assert_int_equal(use_one(r, ring, &piece), 1);
		driver_ring_arm(r);
		for (int i = 0; i < 8; i++)
			assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
		vring_batch_init(&batch);
		assert_int_equal(vring_pop(ring, &batch, 32), 8);
		assert_int_equal(vring_push(ring, &batch, 0, 4), 0);
		assert_int_equal(vring_push(ring, &batch, 4, 4), 0);
		vring_notify(ring);
		assert_int_equal(driver_ring_take_calls(r), 1);
		driver_uninit(&driver);
	}
}

static void test_kicks(void **state UNUSED)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct driver_ring *r = open_ring(kinds[k], READ_RING, 8);
		struct vring *ring = get_ring(READ_RING);
		struct driver_piece piece = make_piece(64, 0);

		for (int round = 0; round < 20; round++) {
			/* a ring starts armed; sleeping is safe while arm says that it is empty */
			assert_false(vring_arm(ring));
			assert_true(driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) >= 0);
			assert_true(driver_ring_wants_kick(r));
			assert_true(vring_arm(ring));
			vring_disarm(ring);
			vring_batch_init(&batch);
			assert_int_equal(vring_pop(ring, &batch, 1), 1);
			assert_int_equal(vring_push(ring, &batch, 0, 1), 0);
			for (int i = 0; i < round % 5; i++) {
				(void)use_one(r, ring, &piece);
				assert_false(driver_ring_wants_kick(r));
			}
			while (driver_ring_get(r, &(uint32_t){0}) >= 0)
				;
		}
		driver_uninit(&driver);
	}
}

static void test_clear_kick(void **state UNUSED)
{
	struct driver_ring *r = open_ring(0, READ_RING, 8);
	struct vring *ring = get_ring(READ_RING);
	uint64_t count = 5;

	/* the front end makes the eventfd blocking: we do not wait all the same */
	assert_int_equal(fcntl(r->kick_fd, F_SETFL, 0), 0);
	vring_clear_kick(ring);
	assert_int_equal(write(r->kick_fd, &count, sizeof(count)), sizeof(count));
	vring_clear_kick(ring);
	assert_int_equal(fcntl(r->kick_fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(r->kick_fd, &count, sizeof(count)), -1);
	driver_uninit(&driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	   cmocka_unit_test(test_write),
		cmocka_unit_test(test_layouts),	   cmocka_unit_test(test_merged),
		cmocka_unit_test(test_batch_full), cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_calls),	   cmocka_unit_test(test_call_for_a_whole_round),
		cmocka_unit_test(test_kicks),	   cmocka_unit_test(test_clear_kick),
	};

	return cmocka_run_group_tests_name("vhost_ring", tests, NULL, NULL);
}
