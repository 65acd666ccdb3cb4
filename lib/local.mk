# SPDX-License-Identifier: BSD-2-Clause
# lib/: leaf helpers; know nothing of packets

noinst_LIBRARIES += lib/libvs.a
lib_libvs_a_SOURCES = \
	lib/clock.h \
	lib/error.c \
	lib/error.h \
	lib/log.c \
	lib/log.h \
	lib/mutex.h \
	lib/netlink.c \
	lib/netlink.h \
	lib/nlerr.c \
	lib/nlerr.h \
	lib/rcu.c \
	lib/rcu.h \
	lib/strbuf.c \
	lib/strbuf.h \
	lib/suggest.c \
	lib/suggest.h \
	lib/util.h
