# SPDX-License-Identifier: BSD-2-Clause
# vswitchd/: composition root: event loop, control server, configuration store

noinst_LIBRARIES += vswitchd/libvswitchd.a
vswitchd_libvswitchd_a_SOURCES =

sbin_PROGRAMS += vswitchd/vswitchd
vswitchd_vswitchd_SOURCES = vswitchd/main.c
vswitchd_vswitchd_LDADD = $(libraries) $(system_libraries)
