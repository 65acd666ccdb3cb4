/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vhost_msg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "vhost/foreign_fd.h"

void vhost_msg_init(struct vhost_msg *msg)
{
	memset(msg, 0, sizeof(*msg));
}

void vhost_msg_reset(struct vhost_msg *msg)
{
	for (unsigned int i = 0; i < msg->n_fds; i++)
		if (msg->fds[i] >= 0)
			foreign_fd_close(msg->fds[i]);
	vhost_msg_init(msg);
}

int vhost_msg_take_fd(struct vhost_msg *msg, unsigned int i)
{
	int fd = msg->fds[i];

	msg->fds[i] = -1;
	return fd;
}

/* Keeps the descriptors of one control message; closes what is too many, and says so. */
static bool keep_fds(struct vhost_msg *msg, struct cmsghdr *cmsg)
{
	size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		if (msg->n_fds < VHOST_FDS_MAX) {
			msg->fds[msg->n_fds++] = fd;
		} else {
			foreign_fd_close(fd);
			fits = false;
		}
	}
	return fits;
}

/* One recvmsg() of at most `size` bytes. Returns bytes, 0: none there, or a negative errno. */
static int receive_some(struct vhost_msg *msg, int sock, void *to, size_t size,
			enum vhost_fault *fault)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VHOST_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = to, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	bool fits = true;
	ssize_t n;

	do
		n = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			fits = keep_fds(msg, c) && fits;
	if (n == 0)
		return -EPIPE;
	/* Cut off: more than we take, or more than this process may have open. */
	if (!fits || header.msg_flags & MSG_CTRUNC) {
		*fault = VHOST_FAULT_MSG_FDS;
		return -EPROTO;
	}
	return (int)n;
}

static int check_header(const struct vhost_header *header, enum vhost_fault *fault)
{
	if ((header->flags & VHOST_FLAG_VERSION_MASK) != VHOST_FLAG_VERSION ||
	    header->flags & VHOST_FLAG_REPLY) {
		*fault = VHOST_FAULT_MSG_HEADER;
		return -EPROTO;
	}
	if (header->size > sizeof(union vhost_payload)) {
		*fault = VHOST_FAULT_MSG_SIZE;
		return -EPROTO;
	}
	return 0;
}

int vhost_msg_receive(struct vhost_msg *msg, int sock, enum vhost_fault *fault)
{
	const uint32_t head = sizeof(msg->header);
	int n;

	for (;;) {
		if (msg->have < head) {
			n = receive_some(msg, sock, (uint8_t *)&msg->header + msg->have,
					 head - msg->have, fault);
		} else {
			uint32_t have = msg->have - head;

			if (have == msg->header.size)
				return 1;
			n = receive_some(msg, sock, (uint8_t *)&msg->payload + have,
					 msg->header.size - have, fault);
		}
		if (n <= 0)
			return n;
		msg->have += (uint32_t)n;
		if (msg->have == head) {
			n = check_header(&msg->header, fault);
			if (n)
				return n;
		}
	}
}

int vhost_msg_send(const struct vhost_msg *msg, int sock, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)&msg->header, .iov_len = sizeof(msg->header)},
		{.iov_base = (void *)(uintptr_t)&msg->payload, .iov_len = msg->header.size},
	};
	struct msghdr header = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (fd >= 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	do
		n = sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* A message is smaller than what a stream socket takes as one piece. */
	return (size_t)n == sizeof(msg->header) + msg->header.size ? 0 : -EAGAIN;
}
