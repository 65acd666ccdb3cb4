# SPDX-License-Identifier: BSD-2-Clause
# datapath/: packets in, packets out; runs without the daemon

noinst_LIBRARIES += datapath/libdatapath.a
datapath_libdatapath_a_SOURCES = \
	datapath/action.c \
	datapath/action.h \
	datapath/action_apply.c \
	datapath/afxdp_socket.c \
	datapath/afxdp_socket.h \
	datapath/capture.c \
	datapath/capture.h \
	datapath/datapath.c \
	datapath/datapath.h \
	datapath/drop.c \
	datapath/drop.h \
	datapath/flow_cache.c \
	datapath/flow_cache.h \
	datapath/forward.c \
	datapath/frame_pool.c \
	datapath/frame_pool.h \
	datapath/netdev.c \
	datapath/netdev.h \
	datapath/offload.c \
	datapath/offload.h \
	datapath/packet.c \
	datapath/packet.h \
	datapath/pipeline.h \
	datapath/port.c \
	datapath/port.h \
	datapath/port_afxdp.c \
	datapath/port_afxdp.h \
	datapath/port_afxdp_io.c \
	datapath/port_afxdp_priv.h \
	datapath/port_mem.c \
	datapath/port_mem.h \
	datapath/port_mem_io.c \
	datapath/port_mem_priv.h \
	datapath/port_packet.c \
	datapath/port_packet.h \
	datapath/port_packet_io.c \
	datapath/port_packet_priv.h \
	datapath/port_tap.c \
	datapath/port_tap.h \
	datapath/port_vhost.c \
	datapath/port_vhost.h \
	datapath/port_vhost_io.c \
	datapath/port_vhost_priv.h \
	datapath/port_veth.c \
	datapath/port_veth.h \
	datapath/rx_buffer.c \
	datapath/rx_buffer.h \
	datapath/tap_device.c \
	datapath/tap_device.h \
	datapath/tap_device_io.c \
	datapath/veth_peer.c \
	datapath/veth_peer.h \
	datapath/vnet_hdr.c \
	datapath/vnet_hdr.h \
	datapath/worker.c \
	datapath/worker_priv.h
