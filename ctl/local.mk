# SPDX-License-Identifier: BSD-2-Clause
# ctl/: the control protocol (client half) and the vswitchctl commands

noinst_LIBRARIES += ctl/libctl.a
ctl_libctl_a_SOURCES =

bin_PROGRAMS += ctl/vswitchctl
ctl_vswitchctl_SOURCES = ctl/main.c
ctl_vswitchctl_LDADD = ctl/libctl.a lib/libvs.a $(JANSSON_LIBS)
