# SPDX-License-Identifier: BSD-2-Clause
# openflow/: rules, tables, bridges, and the translation of a missed packet into a cached flow

noinst_LIBRARIES += openflow/libopenflow.a
openflow_libopenflow_a_SOURCES = \
	openflow/bridge.h \
	openflow/field.c \
	openflow/field.h \
	openflow/field_text.c \
	openflow/field_text.h \
	openflow/flow_table.h \
	openflow/mac_table.h \
	openflow/match.c \
	openflow/match.h \
	openflow/match_text.c \
	openflow/match_text.h \
	openflow/ofaction.c \
	openflow/ofaction.h \
	openflow/ofaction_text.c \
	openflow/ofaction_text.h \
	openflow/ofport.c \
	openflow/ofport.h \
	openflow/rule.h \
	openflow/rule_script.c \
	openflow/rule_script.h \
	openflow/rule_text.c \
	openflow/rule_text.h \
	openflow/scan.c \
	openflow/scan.h \
	openflow/trace.h \
	openflow/xlate.h
