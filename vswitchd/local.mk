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

EXTRA_DIST += vswitchd/vswitchd.service.in
CLEANFILES += vswitchd/vswitchd.service
systemdsystemunitdir = $(prefix)/lib/systemd/system
systemdsystemunit_DATA = vswitchd/vswitchd.service

vswitchd/vswitchd.service: vswitchd/vswitchd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) vswitchd && sed -e 's|@sbindir[@]|$(sbindir)|' \
		-e 's|@SERVICE_TYPE[@]|$(SERVICE_TYPE)|' \
		$(srcdir)/vswitchd/vswitchd.service.in >$@.tmp && mv $@.tmp $@
