# SPDX-License-Identifier: BSD-2-Clause
# datapath/: packets in, packets out; runs without the daemon

noinst_LIBRARIES += datapath/libdatapath.a
datapath_libdatapath_a_SOURCES = \
	datapath/action.h \
	datapath/datapath.h \
	datapath/drop.c \
	datapath/drop.h \
	datapath/frame_pool.c \
	datapath/frame_pool.h \
	datapath/offload.h \
	datapath/packet.c \
	datapath/packet.h \
	datapath/pipeline.h \
	datapath/port.c \
	datapath/port.h
