# SPDX-License-Identifier: BSD-2-Clause
# openflow/: rules, tables, bridges, and the translation of a missed packet into a cached flow

noinst_LIBRARIES += openflow/libopenflow.a
openflow_libopenflow_a_SOURCES = \
	openflow/bridge.c \
	openflow/bridge.h \
	openflow/bridge_port.c \
	openflow/bridge_priv.h \
	openflow/classifier.c \
	openflow/classifier.h \
	openflow/classifier_lookup.c \
	openflow/classifier_priv.h \
	openflow/field.c \
	openflow/field.h \
	openflow/field_text.c \
	openflow/field_text.h \
	openflow/flow_table.c \
	openflow/flow_table.h \
	openflow/graveyard.c \
	openflow/graveyard.h \
	openflow/hash_index.c \
	openflow/hash_index.h \
	openflow/mac_table.c \
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
	openflow/prefix_trie.c \
	openflow/prefix_trie.h \
	openflow/rule.c \
	openflow/rule.h \
	openflow/rule_script.c \
	openflow/rule_script.h \
	openflow/rule_text.c \
	openflow/rule_text.h \
	openflow/scan.c \
	openflow/scan.h \
	openflow/subtable.c \
	openflow/subtable.h \
	openflow/trace.c \
	openflow/trace.h \
	openflow/vlan_bitmap.c \
	openflow/vlan_bitmap.h \
	openflow/xlate.c \
	openflow/xlate.h \
	openflow/xlate_actions.c \
	openflow/xlate_normal.c \
	openflow/xlate_priv.h
