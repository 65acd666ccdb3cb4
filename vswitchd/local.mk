# SPDX-License-Identifier: BSD-2-Clause
# vswitchd/: composition root: event loop, control server, configuration store

noinst_LIBRARIES += vswitchd/libvswitchd.a
vswitchd_libvswitchd_a_SOURCES = \
	vswitchd/container.c \
	vswitchd/container.h \
	vswitchd/link_watch.c \
	vswitchd/link_watch.h \
	vswitchd/netns.c \
	vswitchd/netns.h

sbin_PROGRAMS += vswitchd/vswitchd
vswitchd_vswitchd_SOURCES = vswitchd/main.c
vswitchd_vswitchd_LDADD = $(libraries) $(system_libraries)
