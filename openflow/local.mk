# SPDX-License-Identifier: BSD-2-Clause
# openflow/: rules, tables, bridges, and the translation of a missed packet into a cached flow

noinst_LIBRARIES += openflow/libopenflow.a
openflow_libopenflow_a_SOURCES = \
	openflow/bridge.h \
	openflow/field.c \
	openflow/field.h \
	openflow/flow_table.h \
	openflow/mac_table.h \
	openflow/match.c \
	openflow/match.h \
	openflow/ofaction.c \
	openflow/ofaction.h \
	openflow/rule.h \
	openflow/trace.h \
	openflow/xlate.h
