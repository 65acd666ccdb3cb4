# SPDX-License-Identifier: BSD-2-Clause
# datapath/: packets in, packets out; runs without the daemon

noinst_LIBRARIES += datapath/libdatapath.a
datapath_libdatapath_a_SOURCES =
