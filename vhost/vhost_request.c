/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of a front end: what each must look like (the table at the end, checked before a
 * handler runs) and what it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vhost/vhost_dev_priv.h"

/* File descriptors that come with a request. */
enum fd_rule {
	FDS_NONE,
	FDS_ONE,
	FDS_RING, /* one, or none if the payload says VHOST_FD_NONE */
	FDS_REGIONS, /* one for each region */
	FDS_STRAY, /* none, but one is put up with and closed */
};

/* Where a request names a ring. */
enum ring_rule {
	RING_NONE,
	RING_INDEX, /* in the first 32 bits */
	RING_FD, /* in VHOST_FD_RING_MASK */
};

/* When it may come, and which rings have to stand still for it. */
enum time_rule {
	TIME_ANY,
	TIME_RING_STOPPED, /* refused once the ring is started */
	TIME_ALL_STOPPED, /* refused once any ring is started */
	TIME_PAUSE_RING, /* the ring is withdrawn, and published again */
	TIME_PAUSE_ALL,
};

struct request {
	enum vhost_outcome (*handle)(struct vhost_dev *dev, struct vhost_msg *msg);
	uint16_t size_min; /* payload bytes */
	uint16_t size_max;
	enum fd_rule fds;
	enum ring_rule ring;
	enum time_rule time;
	uint64_t protocol; /* protocol feature bits that must have been negotiated */
	bool needs_features; /* SET_FEATURES must have come */
};

static enum vhost_outcome refuse(struct vhost_dev *dev)
{
	/* dev->error says why */
	dev->n_refused++;
	return VHOST_OUTCOME_REFUSED;
}

static enum vhost_outcome reply_u64(struct vhost_msg *msg, uint64_t value)
{
	msg->header.size = sizeof(value);
	msg->payload.u64 = value;
	return VHOST_OUTCOME_REPLY;
}

/* ---- features --------------------------------------------------------------------------- */

static enum vhost_outcome get_features(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return reply_u64(msg, dev->config.features);
}

static enum vhost_outcome set_features(struct vhost_dev *dev, struct vhost_msg *msg)
{
	uint64_t features = msg->payload.u64;
	uint64_t changed = features ^ dev->features;
	bool is_started = false;

	if (features & ~dev->config.features)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_FEATURES,
				       "features 0x%" PRIx64 " were not offered",
				       features & ~dev->config.features);
	for (unsigned int i = 0; i < dev->n_rings; i++)
		is_started = is_started || dev->rings[i].is_started;
	/* A migration begins and ends while rings run; all else is settled before. */
	if (is_started && changed & ~VHOST_BIT(VHOST_F_LOG_ALL))
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_STATE,
				       "SET_FEATURES changes 0x%" PRIx64 " while rings run",
				       changed);
	dev->features = features;
	dev->has_features = true;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_protocol_features(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return reply_u64(msg, dev->config.protocol_features);
}

static enum vhost_outcome set_protocol_features(struct vhost_dev *dev, struct vhost_msg *msg)
{
	uint64_t strange = msg->payload.u64 & ~dev->config.protocol_features;

	if (strange)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_FEATURES,
				       "protocol features 0x%" PRIx64 " were not offered", strange);
	dev->protocol_features = msg->payload.u64;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_queue_num(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return reply_u64(msg, dev->config.n_queue_pairs);
}

/* ---- the device ------------------------------------------------------------------------- */

static enum vhost_outcome set_owner(struct vhost_dev *dev UNUSED, struct vhost_msg *msg UNUSED)
{
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome reset_owner(struct vhost_dev *dev, struct vhost_msg *msg UNUSED)
{
	for (unsigned int i = 0; i < dev->n_rings; i++)
		dev->rings[i].is_enabled = false;
	return VHOST_OUTCOME_DONE;
}

/* Rings and features as at the beginning; memory and the connection stay. */
static enum vhost_outcome reset_device(struct vhost_dev *dev, struct vhost_msg *msg UNUSED)
{
	for (unsigned int i = 0; i < dev->n_rings; i++)
		vhost_dev_reset_ring(dev, i);
	dirty_log_close(&dev->log);
	inflight_area_close(&dev->inflight);
	dev->features = 0;
	dev->has_features = false;
	dev->device_status = 0;
	dev->mtu = 0;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome set_status(struct vhost_dev *dev, struct vhost_msg *msg)
{
	if (msg->payload.u64 > UINT8_MAX)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "device status 0x%" PRIx64,
				       msg->payload.u64);
	dev->device_status = (uint8_t)msg->payload.u64;
	/* 0 resets the device, so no ring runs after it; the front end will set them up anew. */
	for (unsigned int i = 0; i < dev->n_rings && !dev->device_status; i++) {
		dev->rings[i].is_started = false;
		vhost_dev_close_fd(&dev->rings[i].kick_fd);
	}
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_status(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return reply_u64(msg, dev->device_status);
}

static enum vhost_outcome send_rarp(struct vhost_dev *dev, struct vhost_msg *msg)
{
	uint8_t mac[6];

	memcpy(mac, &msg->payload.u64, sizeof(mac));
	if (dev->ops->send_rarp)
		dev->ops->send_rarp(dev->aux, mac);
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome set_mtu(struct vhost_dev *dev, struct vhost_msg *msg)
{
	uint64_t mtu = msg->payload.u64;
	int ret = mtu < VHOST_DEV_MTU_MIN || mtu > VHOST_DEV_MTU_MAX ? -EINVAL : 0;

	if (!ret && dev->ops->set_mtu)
		ret = dev->ops->set_mtu(dev->aux, (unsigned int)mtu);
	if (ret) {
		(void)error_set(&dev->error, ret, "an MTU of %" PRIu64 " cannot be had", mtu);
		return refuse(dev);
	}
	dev->mtu = (unsigned int)mtu;
	return VHOST_OUTCOME_DONE;
}

/* ---- memory ----------------------------------------------------------------------------- */

/* A region could not be taken: the front end is told if it listens, and goes on without. */
static enum vhost_outcome refuse_region(struct vhost_dev *dev, int err)
{
	if (err == -EINVAL || err == -EEXIST)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_MEMORY, "%s", dev->error.text);
	return refuse(dev);
}

static enum vhost_outcome set_mem_table(struct vhost_dev *dev, struct vhost_msg *msg)
{
	const struct vhost_mem_table *table = &msg->payload.mem;

	guest_mem_clear(&dev->mem);
	for (uint32_t i = 0; i < table->n; i++) {
		int ret = guest_mem_insert(&dev->mem, &table->regions[i], msg->fds[i], &dev->error);

		if (ret) {
			guest_mem_clear(&dev->mem);
			return refuse_region(dev, ret);
		}
	}
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_max_mem_slots(struct vhost_dev *dev UNUSED, struct vhost_msg *msg)
{
	return reply_u64(msg, VHOST_REGIONS_MAX);
}

static enum vhost_outcome add_mem_reg(struct vhost_dev *dev, struct vhost_msg *msg)
{
	const struct vhost_region *region = &msg->payload.reg.region;
	int ret = guest_mem_ref(&dev->mem, region, msg->fds[0]);

	if (ret == -ENOENT)
		ret = guest_mem_insert(&dev->mem, region, msg->fds[0], &dev->error);
	else if (ret)
		(void)error_set(&dev->error, ret, "memory region at 0x%" PRIx64 " added too often",
				region->gpa);
	return ret ? refuse_region(dev, ret) : VHOST_OUTCOME_DONE;
}

static enum vhost_outcome rem_mem_reg(struct vhost_dev *dev, struct vhost_msg *msg)
{
	if (guest_mem_remove(&dev->mem, &msg->payload.reg.region)) {
		(void)error_set(&dev->error, ENOENT, "there is no memory region at 0x%" PRIx64,
				msg->payload.reg.region.gpa);
		return refuse(dev);
	}
	return VHOST_OUTCOME_DONE;
}

/* ---- the dirty log, descriptors in flight ----------------------------------------------- */

static enum vhost_outcome set_log_base(struct vhost_dev *dev, struct vhost_msg *msg)
{
	dirty_log_close(&dev->log);
	if (dirty_log_open(&dev->log, &msg->payload.log, msg->fds[0], &dev->error))
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_MEMORY, "%s", dev->error.text);
	return reply_u64(msg, 0);
}

/* The eventfd would tell that the log changed; front ends look by themselves. */
static enum vhost_outcome set_log_fd(struct vhost_dev *dev UNUSED, struct vhost_msg *msg UNUSED)
{
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_inflight_fd(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct vhost_inflight_area *config = &msg->payload.inflight;
	int fd = -1;

	inflight_area_close(&dev->inflight);
	if (inflight_area_create(&dev->inflight, config->n_rings, config->ring_size,
				 vhost_dev_has(dev, VIRTIO_F_RING_PACKED), &fd, &dev->error))
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "%s", dev->error.text);
	config->size = dev->inflight.size;
	config->offset = 0;
	/* It goes with the reply, and is closed with the message. */
	msg->fds[0] = fd;
	msg->n_fds = 1;
	return VHOST_OUTCOME_REPLY;
}

static enum vhost_outcome set_inflight_fd(struct vhost_dev *dev, struct vhost_msg *msg)
{
	inflight_area_close(&dev->inflight);
	if (inflight_area_open(&dev->inflight, &msg->payload.inflight, msg->fds[0], &dev->error))
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "%s", dev->error.text);
	return VHOST_OUTCOME_DONE;
}

/* ---- rings ------------------------------------------------------------------------------ */

static enum vhost_outcome set_vring_num(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct vhost_state state = msg->payload.state;

	if (!state.num || state.num > VRING_NUM_MAX)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "ring %u of %u descriptors",
				       state.index, state.num);
	dev->rings[state.index].num = state.num;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome set_vring_addr(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct dev_ring *ring = &dev->rings[msg->payload.addr.index];

	if (msg->payload.addr.flags & ~VHOST_ADDR_LOG)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "ring flags 0x%x",
				       msg->payload.addr.flags);
	ring->addr = msg->payload.addr;
	ring->has_addr = true;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome set_vring_base(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct vhost_state state = msg->payload.state;

	if (!vhost_dev_has(dev, VIRTIO_F_RING_PACKED) && state.num > UINT16_MAX)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "ring %u starts at 0x%x",
				       state.index, state.num);
	dev->rings[state.index].base = state.num;
	return VHOST_OUTCOME_DONE;
}

static enum vhost_outcome get_vring_base(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct dev_ring *ring = &dev->rings[msg->payload.state.index];

	ring->is_started = false;
	vhost_dev_close_fd(&ring->kick_fd);
	msg->payload.state.num = ring->base;
	msg->header.size = sizeof(msg->payload.state);
	return VHOST_OUTCOME_REPLY;
}

static enum vhost_outcome set_vring_enable(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct vhost_state state = msg->payload.state;

	if (state.num > 1)
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_VALUE, "ring %u is switched to %u",
				       state.index, state.num);
	dev->rings[state.index].is_enabled = state.num;
	return VHOST_OUTCOME_DONE;
}

/* An eventfd, which nobody can make us wait for. */
static bool is_eventfd(int fd)
{
	char path[32], target[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* Replaces the descriptor at `to` by the one that came, if one did. */
static enum vhost_outcome take_eventfd(struct vhost_dev *dev, struct vhost_msg *msg, int *to)
{
	vhost_dev_close_fd(to);
	if (!msg->n_fds)
		return VHOST_OUTCOME_DONE;
	if (!is_eventfd(msg->fds[0]) || fcntl(msg->fds[0], F_SETFL, O_NONBLOCK))
		return vhost_dev_fault(dev, VHOST_FAULT_MSG_FD_KIND, "%s without an eventfd",
				       vhost_proto_name(msg->header.request));
	*to = vhost_msg_take_fd(msg, 0);
	return VHOST_OUTCOME_DONE;
}

static struct dev_ring *get_fd_ring(struct vhost_dev *dev, const struct vhost_msg *msg)
{
	return &dev->rings[msg->payload.u64 & VHOST_FD_RING_MASK];
}

static enum vhost_outcome set_vring_kick(struct vhost_dev *dev, struct vhost_msg *msg)
{
	struct dev_ring *ring = get_fd_ring(dev, msg);

	ring->is_started = true;
	return take_eventfd(dev, msg, &ring->kick_fd);
}

static enum vhost_outcome set_vring_call(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return take_eventfd(dev, msg, &get_fd_ring(dev, msg)->call_fd);
}

static enum vhost_outcome set_vring_err(struct vhost_dev *dev, struct vhost_msg *msg)
{
	return take_eventfd(dev, msg, &get_fd_ring(dev, msg)->err_fd);
}

/* ---- the table -------------------------------------------------------------------------- */

#define SIZE(type) sizeof(type), sizeof(type)
#define PROTOCOL(name) VHOST_BIT(VHOST_PROTOCOL_##name)

/* clang-format off */
static const struct request requests[VHOST_N_REQUESTS] = {
	[VHOST_GET_FEATURES] = {get_features, 0, 0, FDS_NONE, RING_NONE, TIME_ANY, 0, false},
	[VHOST_SET_FEATURES] = {set_features, SIZE(uint64_t), FDS_NONE, RING_NONE, TIME_PAUSE_ALL,
		0, false},
	[VHOST_SET_OWNER] = {set_owner, 0, 0, FDS_NONE, RING_NONE, TIME_ANY, 0, false},
	[VHOST_RESET_OWNER] = {reset_owner, 0, 0, FDS_NONE, RING_NONE, TIME_PAUSE_ALL, 0, false},
	[VHOST_SET_MEM_TABLE] = {set_mem_table, offsetof(struct vhost_mem_table, regions),
		sizeof(struct vhost_mem_table), FDS_REGIONS, RING_NONE, TIME_PAUSE_ALL, 0, false},
	[VHOST_SET_LOG_BASE] = {set_log_base, SIZE(struct vhost_log_area), FDS_ONE, RING_NONE,
		TIME_PAUSE_ALL, PROTOCOL(LOG_SHMFD), false},
	[VHOST_SET_LOG_FD] = {set_log_fd, 0, 0, FDS_ONE, RING_NONE, TIME_ANY, 0, false},
	[VHOST_SET_VRING_NUM] = {set_vring_num, SIZE(struct vhost_state), FDS_NONE, RING_INDEX,
		TIME_RING_STOPPED, 0, false},
	[VHOST_SET_VRING_ADDR] = {set_vring_addr, SIZE(struct vhost_addr), FDS_NONE, RING_INDEX,
		TIME_PAUSE_RING, 0, false},
	[VHOST_SET_VRING_BASE] = {set_vring_base, SIZE(struct vhost_state), FDS_NONE, RING_INDEX,
		TIME_RING_STOPPED, 0, false},
	[VHOST_GET_VRING_BASE] = {get_vring_base, SIZE(struct vhost_state), FDS_NONE, RING_INDEX,
		TIME_PAUSE_RING, 0, false},
	[VHOST_SET_VRING_KICK] = {set_vring_kick, SIZE(uint64_t), FDS_RING, RING_FD,
		TIME_PAUSE_RING, 0, true},
	[VHOST_SET_VRING_CALL] = {set_vring_call, SIZE(uint64_t), FDS_RING, RING_FD,
		TIME_PAUSE_RING, 0, false},
	[VHOST_SET_VRING_ERR] = {set_vring_err, SIZE(uint64_t), FDS_RING, RING_FD, TIME_ANY, 0,
		false},
	[VHOST_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, 0, FDS_NONE, RING_NONE,
		TIME_ANY, 0, false},
	[VHOST_SET_PROTOCOL_FEATURES] = {set_protocol_features, SIZE(uint64_t), FDS_NONE,
		RING_NONE, TIME_ALL_STOPPED, 0, false},
	[VHOST_GET_QUEUE_NUM] = {get_queue_num, 0, 0, FDS_NONE, RING_NONE, TIME_ANY,
		PROTOCOL(MQ), false},
	[VHOST_SET_VRING_ENABLE] = {set_vring_enable, SIZE(struct vhost_state), FDS_NONE,
		RING_INDEX, TIME_PAUSE_RING, 0, false},
	[VHOST_SEND_RARP] = {send_rarp, SIZE(uint64_t), FDS_NONE, RING_NONE, TIME_ANY,
		PROTOCOL(RARP), false},
	[VHOST_NET_SET_MTU] = {set_mtu, SIZE(uint64_t), FDS_NONE, RING_NONE, TIME_ANY,
		PROTOCOL(NET_MTU), false},
	[VHOST_GET_INFLIGHT_FD] = {get_inflight_fd, VHOST_INFLIGHT_WIRE_SIZE,
		sizeof(struct vhost_inflight_area), FDS_NONE, RING_NONE, TIME_ALL_STOPPED,
		PROTOCOL(INFLIGHT_SHMFD), false},
	[VHOST_SET_INFLIGHT_FD] = {set_inflight_fd, VHOST_INFLIGHT_WIRE_SIZE,
		sizeof(struct vhost_inflight_area), FDS_ONE, RING_NONE, TIME_ALL_STOPPED,
		PROTOCOL(INFLIGHT_SHMFD), false},
	[VHOST_RESET_DEVICE] = {reset_device, 0, 0, FDS_NONE, RING_NONE, TIME_PAUSE_ALL,
		PROTOCOL(RESET_DEVICE), false},
	[VHOST_GET_MAX_MEM_SLOTS] = {get_max_mem_slots, 0, 0, FDS_NONE, RING_NONE, TIME_ANY,
		PROTOCOL(CONFIGURE_MEM_SLOTS), false},
	[VHOST_ADD_MEM_REG] = {add_mem_reg, SIZE(struct vhost_mem_reg), FDS_ONE, RING_NONE,
		TIME_PAUSE_ALL, PROTOCOL(CONFIGURE_MEM_SLOTS), false},
	[VHOST_REM_MEM_REG] = {rem_mem_reg, SIZE(struct vhost_mem_reg), FDS_STRAY, RING_NONE,
		TIME_PAUSE_ALL, PROTOCOL(CONFIGURE_MEM_SLOTS), false},
	[VHOST_SET_STATUS] = {set_status, SIZE(uint64_t), FDS_NONE, RING_NONE, TIME_PAUSE_ALL,
		PROTOCOL(STATUS), false},
	[VHOST_GET_STATUS] = {get_status, 0, 0, FDS_NONE, RING_NONE, TIME_ANY, PROTOCOL(STATUS),
		false},
};
/* clang-format on */

/* The row of a request that exists and was negotiated, or NULL. */
static const struct request *lookup(const struct vhost_dev *dev, uint32_t number)
{
	const struct request *request;

	if (number >= VHOST_N_REQUESTS || !requests[number].handle)
		return NULL;
	request = &requests[number];
	return (dev->protocol_features & request->protocol) == request->protocol ? request : NULL;
}

static bool check_size(const struct request *request, const struct vhost_msg *msg)
{
	uint32_t size = msg->header.size;

	if (size < request->size_min || size > request->size_max)
		return false;
	if (request->fds != FDS_REGIONS)
		return true;
	return msg->payload.mem.n <= VHOST_TABLE_REGIONS_MAX &&
	       size >= offsetof(struct vhost_mem_table, regions) +
			       msg->payload.mem.n * sizeof(struct vhost_region);
}

static bool check_fds(const struct request *request, const struct vhost_msg *msg)
{
	switch (request->fds) {
	case FDS_NONE:
		return msg->n_fds == 0;
	case FDS_ONE:
		return msg->n_fds == 1;
	case FDS_RING:
		return msg->n_fds == (msg->payload.u64 & VHOST_FD_NONE ? 0 : 1);
	case FDS_REGIONS:
		return msg->n_fds == msg->payload.mem.n;
	case FDS_STRAY:
		return msg->n_fds <= 1;
	}
	return false;
}

/* The rings that a request is about, as a mask: one, or all. */
static uint32_t get_rings(const struct request *request, const struct vhost_msg *msg)
{
	if (request->ring == RING_NONE)
		return UINT32_MAX;
	return (uint32_t)VHOST_BIT(request->ring == RING_INDEX
					   ? msg->payload.state.index
					   : msg->payload.u64 & VHOST_FD_RING_MASK);
}

static bool check_ring(const struct vhost_dev *dev, const struct request *request,
		       const struct vhost_msg *msg)
{
	if (request->ring == RING_INDEX)
		return msg->payload.state.index < dev->n_rings;
	if (request->ring == RING_FD)
		return (msg->payload.u64 & VHOST_FD_RING_MASK) < dev->n_rings &&
		       !(msg->payload.u64 & ~(uint64_t)(VHOST_FD_RING_MASK | VHOST_FD_NONE));
	return true;
}

static bool check_time(const struct vhost_dev *dev, const struct request *request,
		       const struct vhost_msg *msg)
{
	uint32_t rings = get_rings(request, msg);

	if (request->needs_features && !dev->has_features)
		return false;
	if (request->time != TIME_RING_STOPPED && request->time != TIME_ALL_STOPPED)
		return true;
	for (unsigned int i = 0; i < dev->n_rings; i++)
		if (rings & VHOST_BIT(i) && dev->rings[i].is_started)
			return false;
	return true;
}

/* All that the table says. Returns VHOST_FAULT_NONE when the handler may run. */
static enum vhost_fault check(const struct vhost_dev *dev, const struct request *request,
			      const struct vhost_msg *msg)
{
	if (!request)
		return VHOST_FAULT_MSG_UNKNOWN;
	if (!check_size(request, msg))
		return VHOST_FAULT_MSG_SIZE;
	if (!check_fds(request, msg))
		return VHOST_FAULT_MSG_FDS;
	if (!check_ring(dev, request, msg))
		return VHOST_FAULT_MSG_RING;
	if (!check_time(dev, request, msg))
		return VHOST_FAULT_MSG_STATE;
	return VHOST_FAULT_NONE;
}

static int answer(struct vhost_dev *dev, struct vhost_msg *msg, bool is_expected,
		  enum vhost_outcome outcome)
{
	int fd = -1, ret;

	if (outcome == VHOST_OUTCOME_REPLY)
		fd = msg->n_fds ? msg->fds[0] : -1;
	else if (is_expected)
		(void)reply_u64(msg, outcome != VHOST_OUTCOME_DONE);
	else
		return 0;
	msg->header.flags = VHOST_FLAG_VERSION | VHOST_FLAG_REPLY;
	ret = vhost_msg_send(msg, dev->sock, fd);
	if (ret == -EAGAIN)
		vhost_dev_fault(dev, VHOST_FAULT_REPLY_STUCK, "%s",
				vhost_proto_name(msg->header.request));
	return ret == -EAGAIN ? -EPROTO : ret;
}

int vhost_request_run(struct vhost_dev *dev)
{
	struct vhost_msg *msg = &dev->msg;
	const struct request *request = lookup(dev, msg->header.request);
	enum vhost_fault fault = check(dev, request, msg);
	bool is_expected = msg->header.flags & VHOST_FLAG_NEED_REPLY &&
			   vhost_dev_has_protocol(dev, VHOST_PROTOCOL_REPLY_ACK);
	enum vhost_outcome outcome;
	int ret;

	if (fault == VHOST_FAULT_MSG_UNKNOWN && is_expected) {
		outcome = refuse(dev);
	} else if (fault != VHOST_FAULT_NONE) {
		outcome = vhost_dev_fault(dev, fault, "%s (%u), %u bytes, %u descriptors",
					  vhost_proto_name(msg->header.request),
					  msg->header.request, msg->header.size, msg->n_fds);
	} else {
		if (request->time == TIME_PAUSE_RING || request->time == TIME_PAUSE_ALL)
			vhost_dev_withdraw(dev, get_rings(request, msg));
		outcome = request->handle(dev, msg);
	}
	/* Whoever does not listen for failures would go on as if there were none. */
	if (outcome == VHOST_OUTCOME_REFUSED && !is_expected)
		outcome = vhost_dev_fault(dev, VHOST_FAULT_MSG_REFUSED, "%s", dev->error.text);
	if (outcome != VHOST_OUTCOME_FAULT && vhost_dev_publish(dev))
		outcome = VHOST_OUTCOME_FAULT;
	ret = answer(dev, msg, is_expected, outcome);
	return outcome == VHOST_OUTCOME_FAULT ? -EPROTO : ret;
}
