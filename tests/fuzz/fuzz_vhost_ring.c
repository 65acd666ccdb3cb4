/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings whose every byte the guest makes up. The input:
 *
 *	kind		1 byte: bit 0 packed, 1 event index, 2 indirect, 3 the device writes, 4 log
 *	steps		15 bytes: what the device does, see run_step()
 *	memory		the first bytes of guest memory: ring, driver's and device's part at their
 *			places, tables and buffers wherever descriptors say
 *
 * What comes out has to lie in guest memory, whole, and to be as much as it says. Memory is one
 * region of 16 KiB at guest address 0x1000, and one of 4 KiB behind a hole at 0x8000.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost/vring.h"

#define N_STEPS 15
#define LOW_GPA 0x1000u
#define LOW_SIZE 0x4000u
#define HIGH_GPA 0x8000u
#define HIGH_SIZE 0x1000u
#define FILE_SIZE (LOW_SIZE + HIGH_SIZE)
#define NUM 16
/* Places in the file. */
#define DESC 0
#define AVAIL 0x100
#define USED 0x200

static struct guest_mem mem;
static struct dirty_log log_map;
static uint8_t *file;
static struct vring_batch batch;

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	const struct vhost_region low = {LOW_GPA, LOW_SIZE, LOW_GPA, 0};
	const struct vhost_region high = {HIGH_GPA, HIGH_SIZE, HIGH_GPA, LOW_SIZE};
	const struct vhost_log_area area = {.size = 8192};
	int fd = memfd_create("guest", MFD_CLOEXEC);
	int log_fd = memfd_create("log", MFD_CLOEXEC);

	must(guest_fault_init() == 0);
	must(ftruncate(fd, FILE_SIZE) == 0 && ftruncate(log_fd, 8192) == 0);
	file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(file != MAP_FAILED);
	guest_mem_init(&mem);
	must(guest_mem_insert(&mem, &low, fd, NULL) == 0);
	must(guest_mem_insert(&mem, &high, fd, NULL) == 0);
	must(dirty_log_open(&log_map, &area, log_fd, NULL) == 0);
	close(fd);
	close(log_fd);
	return 0;
}

/* Whether these bytes are in one of the regions, or none at all. */
static bool is_guest_memory(const struct iovec *iov)
{
	if (!iov->iov_len)
		return true;
	for (unsigned int i = 0; i < mem.n; i++) {
		const uint8_t *start = mem.regions[i].host;
		size_t offset = (size_t)((const uint8_t *)iov->iov_base - start);

		if (offset < mem.regions[i].size)
			return iov->iov_len <= mem.regions[i].size - offset;
	}
	return false;
}

static void check_batch(const struct vring *ring)
{
	unsigned int iov = 0;

	must(batch.n <= VRING_BATCH_MAX && batch.n_iov <= VRING_BATCH_IOV);
	for (unsigned int i = 0; i < batch.n; i++) {
		const struct vring_chain *chain = &batch.chains[i];
		uint64_t size = 0;

		must(chain->first_iov == iov && iov + chain->n_iov <= batch.n_iov);
		must(chain->n_slots >= 1 && chain->n_slots <= ring->num);
		must(ring->is_packed || chain->id < ring->num);
		for (unsigned int j = 0; j < chain->n_iov; j++, iov++) {
			must(is_guest_memory(&batch.iov[iov]));
			size += batch.iov[iov].iov_len;
		}
		must(size == chain->size);
	}
	must(iov == batch.n_iov);
}

/* Copies in the ring's direction, as far as one frame goes. */
static void use_chains(const struct vring *ring, unsigned int first)
{
	for (unsigned int i = first; i < batch.n; i++) {
		struct vring_cursor cursor = vring_cursor_get(&batch, &batch.chains[i]);
		uint32_t size = MIN(batch.chains[i].size, 2048u);
		uint8_t data[2048] = {0};

		if (ring->device_writes)
			vring_cursor_write(&cursor, data, size);
		else
			vring_cursor_read(&cursor, data, size);
		batch.chains[i].written = ring->device_writes ? size : 0;
	}
}

/* Pops up to 31 chains, gives some back, pushes the rest; now and then arms. False: broken. */
static bool run_step(struct vring *ring, uint8_t step)
{
	unsigned int before = batch.n;
	int n = vring_pop(ring, &batch, step % 32);

	check_batch(ring);
	if (n < 0) {
		must(ring->fault != VHOST_FAULT_NONE && batch.n == before);
		return false;
	}
	must(batch.n == before + (unsigned int)n);
	use_chains(ring, before);
	if (step & 32)
		vring_rewind(ring, &batch, batch.n / 2);
	check_batch(ring);
	if (step & 64) {
		if (vring_push(ring, &batch, 0, batch.n))
			return false;
		vring_batch_init(&batch);
		vring_notify(ring);
	}
	if (step & 128) {
		(void)!vring_arm(ring);
		vring_disarm(ring);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vring_config config = {
		.mem = &mem,
		.num = NUM,
		.addr = {.desc = LOW_GPA + DESC, .avail = LOW_GPA + AVAIL, .used = LOW_GPA + USED},
		.call_fd = -1,
		.kick_fd = -1,
		.alarm_fd = -1,
	};
	struct vring ring;

	if (size < 1 + N_STEPS)
		return 0;
	memset(file, 0, FILE_SIZE);
	memcpy(file, data + 1 + N_STEPS, MIN(size - 1 - N_STEPS, (size_t)FILE_SIZE));
	if (data[0] & 1) {
		config.features |= VHOST_BIT(VIRTIO_F_RING_PACKED);
		config.base = VHOST_BASE_WRAP;
	}
	if (data[0] & 2)
		config.features |= VHOST_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (data[0] & 4)
		config.features |= VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (data[0] & 16) {
		config.log = &log_map;
		config.addr.flags = VHOST_ADDR_LOG;
		config.addr.log = LOW_GPA + USED;
	}
	vring_init(&ring, data[0] & 8 ? 0 : 1);
	must(vring_start(&ring, &config) == VHOST_FAULT_NONE);
	vring_batch_init(&batch);
	for (int i = 0; i < N_STEPS && run_step(&ring, data[1 + i]); i++)
		;
	vring_stop(&ring);
	return 0;
}
