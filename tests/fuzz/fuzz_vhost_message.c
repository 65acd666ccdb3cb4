/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of a front end. The input is a row of records; each is sent as one message with the
 * descriptors it asks for, the device runs, and its rings are polled like by a worker:
 *
 *	request		1 byte
 *	flags		1 byte: bit 0 need_reply, bit 1 a wrong version, bit 2 cut the payload short
 *	descriptors	1 byte: how many (low 4 bits), of which kind (bits 4 and 5)
 *	size		1 byte: payload bytes, which follow (more than 200: 64 bytes more)
 *
 * The first byte of all says whether features, memory and a ring are set up beforehand. At the end
 * nothing of the connection may be left.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/unit/vhost_driver.h"
#include "vhost/guest_fault.h"

#define RECORDS_MAX 64
#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)

static struct vhost_driver driver;
static struct vring_batch batch;
static int event_fd;

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	log_set_level(LOG_LEVEL_ERROR);
	driver_init(&driver, 2);
	driver_hang_up(&driver);
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return 0;
}

/* What workers would do with the rings that are published. */
static void poll_rings(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct vring *ring = vhost_dev_get_ring(driver.dev, i);
		int n;

		if (!(driver.published & VHOST_BIT(i)))
			continue;
		vring_batch_init(&batch);
		n = vring_pop(ring, &batch, 8);
		for (int c = 0; c < n; c++) {
			struct vring_cursor cursor = vring_cursor_get(&batch, &batch.chains[c]);
			uint8_t data[256] = {0};
			uint32_t size = MIN(batch.chains[c].size, 256u);

			if (i % 2)
				vring_cursor_read(&cursor, data, size);
			else
				vring_cursor_write(&cursor, data, size);
			batch.chains[c].written = i % 2 ? 0 : size;
		}
		if (n > 0 && vring_push(ring, &batch, 0, (unsigned int)n) == 0)
			vring_notify(ring);
	}
	(void)!vhost_dev_run_alarm(driver.dev);
}

static void drain_replies(void)
{
	uint8_t reply[512];
	struct iovec iov = {.iov_base = reply, .iov_len = sizeof(reply)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;

	for (;;) {
		struct msghdr header = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		struct cmsghdr *cmsg;
		int fd;

		if (recvmsg(driver.sock, &header, MSG_DONTWAIT) <= 0)
			return;
		cmsg = CMSG_FIRSTHDR(&header);
		if (!cmsg)
			continue;
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		close(fd);
	}
}

/* Sends one record; returns the bytes that it took, 0 at the end. */
static size_t send_record(const uint8_t *data, size_t size)
{
	struct {
		struct vhost_header header;
		uint8_t payload[sizeof(union vhost_payload)];
	} PACKED msg = {0};
	int kinds[] = {driver.mem_fd, event_fd, driver.sock, 0};
	unsigned int n_fds;
	size_t n;
	int fds[16];

	if (size < 4)
		return 0;
	n = data[3] > 200 ? data[3] + 64u : data[3];
	n = MIN(n, MIN(size - 4, sizeof(msg.payload)));
	msg.header.request = data[0];
	msg.header.flags = (data[1] & 2 ? 2 : 1) | (data[1] & 1 ? VHOST_FLAG_NEED_REPLY : 0);
	msg.header.size = (uint32_t)n + (data[1] & 4 ? 3 : 0);
	memcpy(msg.payload, data + 4, n);
	n_fds = data[2] % 16;
	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = kinds[data[2] / 16 % 4];
	if (driver_send_raw(&driver, &msg, sizeof(msg.header) + n, fds, n_fds))
		return 0;
	return 4 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;

	if (!size)
		return 0;
	driver_connect(&driver);
	driver.next_alloc = DRIVER_GPA_HIGH;
	if (data[0] & 1)
		driver_negotiate(&driver, DRIVER_FEATURES | (data[0] & 2 ? PACKED_RING : 0));
	if ((data[0] & 5) == 5)
		(void)driver_ring_open(&driver, 1, 16);
	data++;
	size--;
	for (int i = 0; i < RECORDS_MAX; i++) {
		n = send_record(data, size);
		if (!n)
			break;
		if (vhost_dev_run(driver.dev))
			break;
		poll_rings();
		drain_replies();
		data += n;
		size -= n;
	}
	/* a message whose end does not come may hold our own end of the connection */
	(void)!vhost_dev_run_timeout(driver.dev);
	driver_hang_up(&driver);
	if (driver.published || guest_fault_count())
		abort();
	return 0;
}
