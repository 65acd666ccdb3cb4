# SPDX-License-Identifier: BSD-2-Clause
# vhost/: vhost-user back end and virtio rings; no event loop, no datapath

noinst_LIBRARIES += vhost/libvhost.a
vhost_libvhost_a_SOURCES = \
	vhost/dirty_log.c \
	vhost/dirty_log.h \
	vhost/guest_fault.c \
	vhost/guest_fault.h \
	vhost/guest_mem.c \
	vhost/guest_mem.h \
	vhost/vhost_fault.h \
	vhost/vhost_proto.c \
	vhost/vhost_proto.h
