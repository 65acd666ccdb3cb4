# SPDX-License-Identifier: BSD-2-Clause
# vhost/: vhost-user back end and virtio rings; no event loop, no datapath

noinst_LIBRARIES += vhost/libvhost.a
vhost_libvhost_a_SOURCES = \
	vhost/dirty_log.c \
	vhost/dirty_log.h \
	vhost/foreign_fd.c \
	vhost/foreign_fd.h \
	vhost/guest_fault.c \
	vhost/guest_fault.h \
	vhost/guest_mem.c \
	vhost/guest_mem.h \
	vhost/inflight.c \
	vhost/inflight.h \
	vhost/vhost_dev.c \
	vhost/vhost_dev.h \
	vhost/vhost_dev_priv.h \
	vhost/vhost_fault.h \
	vhost/vhost_feature.c \
	vhost/vhost_feature.h \
	vhost/vhost_msg.c \
	vhost/vhost_msg.h \
	vhost/vhost_proto.c \
	vhost/vhost_proto.h \
	vhost/vhost_request.c \
	vhost/vhost_socket.c \
	vhost/vhost_socket.h \
	vhost/vring.c \
	vhost/vring.h \
	vhost/vring_packed.c \
	vhost/vring_priv.h \
	vhost/vring_split.c
