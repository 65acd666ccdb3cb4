# SPDX-License-Identifier: BSD-2-Clause
# tests/unit/: cmocka, one program a module

unit_tests += tests/unit/test_util
tests_unit_test_util_SOURCES = tests/unit/test_util.c

unit_tests += tests/unit/test_error
tests_unit_test_error_SOURCES = tests/unit/test_error.c

unit_tests += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c

unit_tests += tests/unit/test_clock
tests_unit_test_clock_SOURCES = tests/unit/test_clock.c

unit_tests += tests/unit/test_mutex
tests_unit_test_mutex_SOURCES = tests/unit/test_mutex.c

unit_tests += tests/unit/test_rcu
tests_unit_test_rcu_SOURCES = tests/unit/test_rcu.c

unit_tests += tests/unit/test_suggest
tests_unit_test_suggest_SOURCES = tests/unit/test_suggest.c

unit_tests += tests/unit/test_field
tests_unit_test_field_SOURCES = tests/unit/test_field.c

unit_tests += tests/unit/test_match
tests_unit_test_match_SOURCES = tests/unit/test_match.c

unit_tests += tests/unit/test_ofaction
tests_unit_test_ofaction_SOURCES = tests/unit/test_ofaction.c

frames = tests/unit/frames.c tests/unit/frames.h

unit_tests += tests/unit/test_offload
tests_unit_test_offload_SOURCES = tests/unit/test_offload.c $(frames)

unit_tests += tests/unit/test_action
tests_unit_test_action_SOURCES = tests/unit/test_action.c $(frames)

unit_tests += tests/unit/test_flow_parse
tests_unit_test_flow_parse_SOURCES = tests/unit/test_flow_parse.c tests/unit/packets.c \
	tests/unit/packets.h

unit_tests += tests/unit/test_port_mem
tests_unit_test_port_mem_SOURCES = tests/unit/test_port_mem.c
unit_tests += tests/unit/test_flow_cache
tests_unit_test_flow_cache_SOURCES = tests/unit/test_flow_cache.c

unit_tests += tests/unit/test_tier0_group
tests_unit_test_tier0_group_SOURCES = tests/unit/test_tier0_group.c

unit_tests += tests/unit/test_datapath
tests_unit_test_datapath_SOURCES = tests/unit/test_datapath.c $(frames)
unit_tests += tests/unit/test_strbuf
tests_unit_test_strbuf_SOURCES = tests/unit/test_strbuf.c

unit_tests += tests/unit/test_rule_text
tests_unit_test_rule_text_SOURCES = tests/unit/test_rule_text.c tests/unit/rule_random.h

unit_tests += tests/unit/test_rx_buffer
tests_unit_test_rx_buffer_SOURCES = tests/unit/test_rx_buffer.c

unit_tests += tests/unit/test_vnet_hdr
tests_unit_test_vnet_hdr_SOURCES = tests/unit/test_vnet_hdr.c $(frames)
unit_tests += tests/unit/test_rule_script
tests_unit_test_rule_script_SOURCES = tests/unit/test_rule_script.c

unit_tests += tests/unit/test_match_text
tests_unit_test_match_text_SOURCES = tests/unit/test_match_text.c tests/unit/rule_random.h

unit_tests += tests/unit/test_ovs_syntax
tests_unit_test_ovs_syntax_SOURCES = tests/unit/test_ovs_syntax.c tests/unit/rule_random.h

unit_tests += tests/unit/test_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c

unit_tests += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c

unit_tests += tests/unit/test_command
tests_unit_test_command_SOURCES = tests/unit/test_command.c

unit_tests += tests/unit/test_rpc
tests_unit_test_rpc_SOURCES = tests/unit/test_rpc.c

unit_tests += tests/unit/test_process
tests_unit_test_process_SOURCES = tests/unit/test_process.c

EXTRA_DIST += tests/unit/test.h tests/unit/rcu_group.h

unit_tests += tests/unit/test_container
tests_unit_test_container_SOURCES = tests/unit/test_container.c

unit_tests += tests/unit/test_nlerr
tests_unit_test_nlerr_SOURCES = tests/unit/test_nlerr.c
unit_tests += tests/unit/test_hash_index
tests_unit_test_hash_index_SOURCES = tests/unit/test_hash_index.c

unit_tests += tests/unit/test_prefix_trie
tests_unit_test_prefix_trie_SOURCES = tests/unit/test_prefix_trie.c

unit_tests += tests/unit/test_classifier
tests_unit_test_classifier_SOURCES = tests/unit/test_classifier.c

EXTRA_DIST += tests/unit/random.h

unit_tests += tests/unit/test_xlate
tests_unit_test_xlate_SOURCES = tests/unit/test_xlate.c

unit_tests += tests/unit/test_flow_table
tests_unit_test_flow_table_SOURCES = tests/unit/test_flow_table.c

unit_tests += tests/unit/test_mac_table
tests_unit_test_mac_table_SOURCES = tests/unit/test_mac_table.c

unit_tests += tests/unit/test_vlan_bitmap
tests_unit_test_vlan_bitmap_SOURCES = tests/unit/test_vlan_bitmap.c

unit_tests += tests/unit/test_bridge
tests_unit_test_bridge_SOURCES = tests/unit/test_bridge.c

unit_tests += tests/unit/test_differential
tests_unit_test_differential_SOURCES = tests/unit/test_differential.c \
	tests/unit/switch_model.c tests/unit/switch_model.h \
	tests/unit/model_random.c tests/unit/model_random.h $(frames)
vhost_driver = tests/unit/vhost_driver.c tests/unit/vhost_driver.h
vhost_hostile = $(vhost_driver) tests/unit/vhost_hostile.c tests/unit/vhost_hostile.h

unit_tests += tests/unit/test_vhost_ring
tests_unit_test_vhost_ring_SOURCES = tests/unit/test_vhost_ring.c $(vhost_driver)

unit_tests += tests/unit/test_vhost_dev
tests_unit_test_vhost_dev_SOURCES = tests/unit/test_vhost_dev.c $(vhost_driver)

unit_tests += tests/unit/test_vhost_migrate
tests_unit_test_vhost_migrate_SOURCES = tests/unit/test_vhost_migrate.c $(vhost_driver)

unit_tests += tests/unit/test_vhost_hostile
tests_unit_test_vhost_hostile_SOURCES = tests/unit/test_vhost_hostile.c $(vhost_hostile)

unit_tests += tests/unit/test_vhost_hostile_ring
tests_unit_test_vhost_hostile_ring_SOURCES = tests/unit/test_vhost_hostile_ring.c $(vhost_hostile)

unit_tests += tests/unit/test_vhost_socket
tests_unit_test_vhost_socket_SOURCES = tests/unit/test_vhost_socket.c $(vhost_driver)

unit_tests += tests/unit/test_vhost_thread
tests_unit_test_vhost_thread_SOURCES = tests/unit/test_vhost_thread.c $(vhost_driver)

vhost_lab = tests/unit/vhost_lab.c tests/unit/vhost_lab.h tests/unit/vhost_guest.c \
	tests/unit/vhost_guest.h $(vhost_driver)

unit_tests += tests/unit/test_port_vhost
tests_unit_test_port_vhost_SOURCES = tests/unit/test_port_vhost.c $(vhost_lab)

unit_tests += tests/unit/test_port_vhost_offload
tests_unit_test_port_vhost_offload_SOURCES = tests/unit/test_port_vhost_offload.c $(vhost_lab) \
	$(frames)

unit_tests += tests/unit/test_libvirt_check
tests_unit_test_libvirt_check_SOURCES = tests/unit/test_libvirt_check.c
unit_tests += tests/unit/test_port_vhost_hostile
tests_unit_test_port_vhost_hostile_SOURCES = tests/unit/test_port_vhost_hostile.c $(vhost_lab) \
	tests/unit/packets.c tests/unit/packets.h

unit_tests += tests/unit/test_libvirt_plan
tests_unit_test_libvirt_plan_SOURCES = tests/unit/test_libvirt_plan.c

if LIBVIRT
unit_tests += tests/unit/test_libvirt_xml
endif
EXTRA_PROGRAMS += tests/unit/test_libvirt_xml
tests_unit_test_libvirt_xml_SOURCES = tests/unit/test_libvirt_xml.c
