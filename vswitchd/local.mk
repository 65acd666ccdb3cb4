# SPDX-License-Identifier: BSD-2-Clause
# vswitchd/: composition root: event loop, control server, configuration store

noinst_LIBRARIES += vswitchd/libvswitchd.a
vswitchd_libvswitchd_a_SOURCES = \
	vswitchd/config.c \
	vswitchd/config.h \
	vswitchd/config_diff.c \
	vswitchd/container.c \
	vswitchd/container.h \
	vswitchd/daemon.c \
	vswitchd/daemon.h \
	vswitchd/libvirt.c \
	vswitchd/libvirt.h \
	vswitchd/libvirt_check.c \
	vswitchd/libvirt_check.h \
	vswitchd/libvirt_domain.c \
	vswitchd/libvirt_domain.h \
	vswitchd/libvirt_plan.c \
	vswitchd/libvirt_plan.h \
	vswitchd/libvirt_thread.c \
	vswitchd/libvirt_thread.h \
	vswitchd/libvirt_thread_priv.h \
	vswitchd/libvirt_xml.h \
	vswitchd/link_watch.c \
	vswitchd/link_watch.h \
	vswitchd/methods.c \
	vswitchd/methods.h \
	vswitchd/methods_check.c \
	vswitchd/methods_config.c \
	vswitchd/methods_rules.c \
	vswitchd/methods_show.c \
	vswitchd/methods_vm.c \
	vswitchd/netns.c \
	vswitchd/netns.h \
	vswitchd/process.c \
	vswitchd/process.h \
	vswitchd/rpc.c \
	vswitchd/rpc.h \
	vswitchd/rule_row.c \
	vswitchd/rule_row.h \
	vswitchd/server.c \
	vswitchd/server.h \
	vswitchd/store.c \
	vswitchd/store.h \
	vswitchd/store_priv.h \
	vswitchd/store_rows.c \
	vswitchd/vswitch.c \
	vswitchd/vswitch.h \
	vswitchd/vswitch_change.c \
	vswitchd/vswitch_ports.c \
	vswitchd/vswitch_priv.h \
	vswitchd/vswitch_rules.c \
	vswitchd/vswitch_rules.h

libvirt_sources = \
	vswitchd/libvirt_session.c \
	vswitchd/libvirt_xml.c
EXTRA_DIST += $(libvirt_sources)
if LIBVIRT
vswitchd_libvswitchd_a_SOURCES += $(libvirt_sources)
endif

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
