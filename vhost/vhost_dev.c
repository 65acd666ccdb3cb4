/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vhost_dev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/log.h"
#include "vhost/vhost_dev_priv.h"

/* Messages handled in one call, so that one front end does not keep the others waiting. */
#define MESSAGES_PER_RUN 32

/* ---- rings ------------------------------------------------------------------------------ */

static void stop_ring(struct dev_ring *ring)
{
	ring->base = vring_get_base(&ring->vring);
	vring_stop(&ring->vring);
	inflight_ring_uninit(&ring->inflight);
}

void vhost_dev_withdraw(struct vhost_dev *dev, uint32_t rings)
{
	rings &= dev->published;
	if (!rings)
		return;
	dev->ops->withdraw(dev->aux, rings);
	dev->published &= ~rings;
	for (unsigned int i = 0; i < dev->n_rings; i++)
		if (rings & VHOST_BIT(i))
			stop_ring(&dev->rings[i]);
}

/* Starts the ring. VHOST_FAULT_RING_UNMAPPED: not yet. */
static enum vhost_fault start_ring(struct vhost_dev *dev, struct dev_ring *ring, unsigned int index)
{
	bool is_packed = vhost_dev_has(dev, VIRTIO_F_RING_PACKED);
	struct vring_config config = {
		.mem = &dev->mem,
		.features = dev->features,
		.num = ring->num,
		.base = ring->base,
		.addr = ring->addr,
		.is_enabled =
			ring->is_enabled || !vhost_dev_has(dev, VHOST_USER_F_PROTOCOL_FEATURES),
		.call_fd = ring->call_fd,
		.kick_fd = ring->kick_fd,
		.alarm_fd = dev->alarm_fd,
	};
	enum vhost_fault fault;

	if (dev->log.bits && vhost_dev_has(dev, VHOST_F_LOG_ALL))
		config.log = &dev->log;
	if (dev->inflight.map) {
		if (inflight_ring_init(&ring->inflight, &dev->inflight, index, ring->num,
				       is_packed))
			return VHOST_FAULT_RING_RESUME;
		config.inflight = &ring->inflight;
	}
	fault = vring_start(&ring->vring, &config);
	if (fault != VHOST_FAULT_NONE) {
		vring_stop(&ring->vring);
		inflight_ring_uninit(&ring->inflight);
	}
	return fault;
}

int vhost_dev_publish(struct vhost_dev *dev)
{
	uint32_t ready = 0;

	for (unsigned int i = 0; i < dev->n_rings; i++) {
		struct dev_ring *ring = &dev->rings[i];
		enum vhost_fault fault;

		if (dev->published & VHOST_BIT(i) || !ring->is_started || !ring->num ||
		    !ring->has_addr)
			continue;
		fault = start_ring(dev, ring, i);
		if (fault == VHOST_FAULT_NONE) {
			ready |= (uint32_t)VHOST_BIT(i);
		} else if (fault != VHOST_FAULT_RING_UNMAPPED) {
			vhost_dev_fault(dev, fault, "ring %u of %u descriptors cannot start", i,
					ring->num);
			break;
		}
	}
	if (dev->fault != VHOST_FAULT_NONE) {
		/* They were never given to anyone. */
		for (unsigned int i = 0; i < dev->n_rings; i++)
			if (ready & VHOST_BIT(i))
				stop_ring(&dev->rings[i]);
		return -EPROTO;
	}
	dev->published |= ready;
	if (ready)
		dev->ops->publish(dev->aux, ready);
	return 0;
}

void vhost_dev_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vhost_dev_reset_ring(struct vhost_dev *dev, unsigned int index)
{
	struct dev_ring *ring = &dev->rings[index];

	vhost_dev_close_fd(&ring->kick_fd);
	vhost_dev_close_fd(&ring->call_fd);
	vhost_dev_close_fd(&ring->err_fd);
	ring->num = 0;
	ring->base = 0;
	ring->has_addr = false;
	ring->is_started = false;
	ring->is_enabled = false;
}

/* ---- life cycle ------------------------------------------------------------------------- */

int vhost_dev_create(const struct vhost_dev_config *config, const struct vhost_dev_ops *ops,
		     void *aux, struct vhost_dev **devp, struct error *e)
{
	struct vhost_dev *dev;
	int ret;

	if (!config->n_queue_pairs || config->n_queue_pairs > VHOST_QUEUE_PAIRS_MAX)
		return error_set(e, EINVAL, "a vhost-user device has 1 to %d queue pairs",
				 VHOST_QUEUE_PAIRS_MAX);
	if (config->features & ~VHOST_DEV_FEATURES ||
	    config->protocol_features & ~VHOST_DEV_PROTOCOL_FEATURES)
		return error_set(e, EINVAL, "features that a vhost-user device does not have");
	ret = guest_fault_init();
	if (ret)
		return error_set(e, ret, "cannot watch for SIGBUS");
	dev = aligned_alloc(CACHE_LINE, ROUND_UP(sizeof(*dev), CACHE_LINE));
	if (!dev)
		return error_set(e, ENOMEM, "out of memory");
	memset(dev, 0, sizeof(*dev));
	dev->alarm_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->alarm_fd < 0) {
		ret = error_set(e, errno, "cannot make an eventfd: %m");
		free(dev);
		return ret;
	}
	snprintf(dev->name, sizeof(dev->name), "%s", config->name);
	dev->config = *config;
	dev->config.name = dev->name;
	dev->ops = ops;
	dev->aux = aux;
	dev->n_rings = 2 * config->n_queue_pairs;
	dev->sock = -1;
	guest_mem_init(&dev->mem);
	vhost_msg_init(&dev->msg);
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++) {
		dev->rings[i].kick_fd = dev->rings[i].call_fd = dev->rings[i].err_fd = -1;
		vring_init(&dev->rings[i].vring, i);
	}
	*devp = dev;
	return 0;
}

void vhost_dev_destroy(struct vhost_dev *dev)
{
	if (!dev)
		return;
	vhost_dev_detach(dev);
	guest_mem_uninit(&dev->mem);
	close(dev->alarm_fd);
	free(dev);
}

void vhost_dev_attach(struct vhost_dev *dev, int sock)
{
	assert(dev->sock < 0);
	dev->sock = sock;
	dev->fault = VHOST_FAULT_NONE;
	dev->error.text[0] = '\0';
}

void vhost_dev_detach(struct vhost_dev *dev)
{
	eventfd_t count;

	if (dev->sock < 0)
		return;
	vhost_dev_withdraw(dev, UINT32_MAX);
	for (unsigned int i = 0; i < dev->n_rings; i++)
		vhost_dev_reset_ring(dev, i);
	inflight_area_close(&dev->inflight);
	dirty_log_close(&dev->log);
	guest_mem_clear(&dev->mem);
	vhost_msg_reset(&dev->msg);
	vhost_dev_close_fd(&dev->sock);
	dev->features = 0;
	dev->protocol_features = 0;
	dev->has_features = false;
	dev->device_status = 0;
	dev->mtu = 0;
	/* Whatever it was about is gone. */
	(void)!eventfd_read(dev->alarm_fd, &count);
}

/* ---- running ---------------------------------------------------------------------------- */

enum vhost_outcome vhost_dev_fault(struct vhost_dev *dev, enum vhost_fault fault, const char *fmt,
				   ...)
{
	char text[ERROR_TEXT_SIZE / 2];
	va_list args;

	if (dev->fault != VHOST_FAULT_NONE)
		return VHOST_OUTCOME_FAULT;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	dev->fault = fault;
	(void)error_set(&dev->error, EPROTO, "%s", text);
	return VHOST_OUTCOME_FAULT;
}

/* Ends the connection for the fault that was noted. */
static int end_by_fault(struct vhost_dev *dev)
{
	dev->faults[dev->fault]++;
	log_warn_limited("vhost-user %s: disconnected, %s (%s): %s", dev->name,
			 vhost_fault_name(dev->fault), vhost_fault_help(dev->fault),
			 dev->error.text);
	for (unsigned int i = 0; i < dev->n_rings; i++)
		if (dev->rings[i].err_fd >= 0 && dev->rings[i].is_started)
			(void)!eventfd_write(dev->rings[i].err_fd, 1);
	vhost_dev_detach(dev);
	return -EPROTO;
}

/* Receives and handles one message. Returns 1 if there may be more, 0 if not, or an error. */
static int run_message(struct vhost_dev *dev)
{
	enum vhost_fault fault = VHOST_FAULT_NONE;
	int ret = vhost_msg_receive(&dev->msg, dev->sock, &fault);

	if (ret == -EPROTO)
		vhost_dev_fault(dev, fault, "after %s, message %llu",
				vhost_proto_name(dev->msg.header.request),
				(unsigned long long)dev->n_messages);
	if (ret <= 0)
		return ret;
	dev->n_messages++;
	ret = vhost_request_run(dev);
	vhost_msg_reset(&dev->msg);
	return ret ? ret : 1;
}

int vhost_dev_run(struct vhost_dev *dev)
{
	int ret = 1;

	if (dev->sock < 0)
		return -ENOTCONN;
	for (int i = 0; i < MESSAGES_PER_RUN && ret > 0; i++)
		ret = run_message(dev);
	if (ret >= 0)
		return 0;
	if (dev->fault != VHOST_FAULT_NONE)
		return end_by_fault(dev);
	vhost_dev_detach(dev);
	return ret;
}

int vhost_dev_run_timeout(struct vhost_dev *dev)
{
	if (dev->sock < 0)
		return -ENOTCONN;
	if (!dev->msg.have)
		return 0;
	vhost_dev_fault(dev, VHOST_FAULT_MSG_TIMEOUT, "%u bytes of %s", dev->msg.have,
			vhost_proto_name(dev->msg.header.request));
	return end_by_fault(dev);
}

int vhost_dev_run_alarm(struct vhost_dev *dev)
{
	eventfd_t count;

	(void)!eventfd_read(dev->alarm_fd, &count);
	if (dev->sock < 0)
		return 0;
	for (unsigned int i = 0; i < dev->n_rings; i++) {
		uint8_t fault = __atomic_load_n(&dev->rings[i].vring.fault, __ATOMIC_RELAXED);

		if (!(dev->published & VHOST_BIT(i)) || fault == VHOST_FAULT_NONE)
			continue;
		vhost_dev_fault(dev, fault, "ring %u", i);
		return end_by_fault(dev);
	}
	return 0;
}

/* ---- what is known ---------------------------------------------------------------------- */

int vhost_dev_get_fd(const struct vhost_dev *dev)
{
	return dev->sock;
}

int vhost_dev_get_alarm_fd(const struct vhost_dev *dev)
{
	return dev->alarm_fd;
}

struct vring *vhost_dev_get_ring(struct vhost_dev *dev, unsigned int index)
{
	return &dev->rings[index].vring;
}

unsigned int vhost_dev_get_header_size(const struct vhost_dev *dev)
{
	/* Virtio 1.2, 5.1.6.1: the short one is that of legacy devices without merged buffers. */
	if (vhost_dev_has(dev, VIRTIO_F_VERSION_1) || vhost_dev_has(dev, VIRTIO_NET_F_MRG_RXBUF))
		return sizeof(struct virtio_net_hdr_mrg_rxbuf);
	return sizeof(struct virtio_net_hdr);
}

uint64_t vhost_dev_get_features(const struct vhost_dev *dev)
{
	return dev->features;
}

void vhost_dev_get_status(const struct vhost_dev *dev, struct vhost_dev_status *status)
{
	*status = (struct vhost_dev_status){
		.is_attached = dev->sock >= 0,
		.features = dev->features,
		.protocol_features = dev->protocol_features,
		.running = dev->published,
		.n_regions = dev->mem.n,
		.mem_size = dev->mem.size,
		.mtu = dev->mtu,
		.device_status = dev->device_status,
		.n_messages = dev->n_messages,
		.is_mid_message = dev->msg.have > 0,
		.n_refused = dev->n_refused,
	};
	for (unsigned int i = 0; i < dev->n_rings; i++)
		if (dev->published & VHOST_BIT(i) && vring_is_enabled(&dev->rings[i].vring))
			status->enabled |= (uint32_t)VHOST_BIT(i);
	memcpy(status->faults, dev->faults, sizeof(status->faults));
}
