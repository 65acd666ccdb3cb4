# SPDX-License-Identifier: BSD-2-Clause
# tests/system/: network namespaces, root; one script a subject

system_tests +=

# what tests in C share
bed = tests/system/bed.c tests/system/bed.h
tier0_cases = tests/system/tier0_cases.c tests/system/tier0_cases.h \
	tests/system/tier0_rules.c tests/system/tier0_rules.h tests/unit/packets.c \
	tests/unit/packets.h tests/unit/frames.c tests/unit/frames.h $(bed)
serials = tests/system/serials.c tests/system/serials.h $(bed)
traffic = tests/system/traffic.c tests/system/traffic.h tests/unit/frames.c \
	tests/unit/frames.h $(bed)

system_tests += tests/system/test_afxdp.sh
check_PROGRAMS += tests/system/afxdp
tests_system_afxdp_SOURCES = tests/system/afxdp.c $(bed)

system_tests += tests/system/test_tap.sh
check_PROGRAMS += tests/system/tap
tests_system_tap_SOURCES = tests/system/tap.c $(traffic)

system_tests += tests/system/test_veth.sh
check_PROGRAMS += tests/system/veth
tests_system_veth_SOURCES = tests/system/veth.c $(traffic)

system_tests += tests/system/test_xdp_parse.sh
check_PROGRAMS += tests/system/xdp_parse
tests_system_xdp_parse_SOURCES = tests/system/xdp_parse.c tests/unit/packets.c \
	tests/unit/packets.h $(bed)

system_tests += tests/system/test_tier0.sh tests/system/test_tier0_veth.sh
check_PROGRAMS += tests/system/tier0
tests_system_tier0_SOURCES = tests/system/tier0.c $(serials)

system_tests += tests/system/test_moves.sh tests/system/test_moves_veth.sh
check_PROGRAMS += tests/system/moves
tests_system_moves_SOURCES = tests/system/moves.c $(serials)

system_tests += tests/system/test_tier0_pins.sh
check_PROGRAMS += tests/system/tier0_pins
tests_system_tier0_pins_SOURCES = tests/system/tier0_pins.c $(bed)
system_tests += tests/system/test_overload.sh tests/system/test_overload_veth.sh
system_tests += tests/system/test_overload_packet.sh
check_PROGRAMS += tests/system/overload
tests_system_overload_SOURCES = tests/system/overload.c $(bed)

system_tests += tests/system/test_tier0_xdp.sh
check_PROGRAMS += tests/system/tier0_xdp
tests_system_tier0_xdp_SOURCES = tests/system/tier0_xdp.c $(tier0_cases)

system_tests += tests/system/test_tier0_tc.sh
check_PROGRAMS += tests/system/tier0_tc
tests_system_tier0_tc_SOURCES = tests/system/tier0_tc.c $(tier0_cases)

system_tests += tests/system/test_tier0_group.sh
check_PROGRAMS += tests/system/tier0_group
tests_system_tier0_group_SOURCES = tests/system/tier0_group.c $(bed)

system_tests += tests/system/test_packet.sh
check_PROGRAMS += tests/system/packet
tests_system_packet_SOURCES = tests/system/packet.c $(traffic)
system_tests += tests/system/containers.sh tests/system/changes.sh tests/system/quickstart.sh
system_tests += tests/system/kernel_tier.sh tests/system/kernel_tier_veth.sh
system_tests += tests/system/survive.sh tests/system/survive_veth.sh tests/system/survive_clsact.sh \
	tests/system/survive_containers.sh
system_tests += tests/system/kernel_tier_jumbo.sh tests/system/kernel_tier_jumbo_veth.sh
system_tests += tests/system/rounds.sh

$(tests_system_afxdp_OBJECTS) $(tests_system_xdp_parse_OBJECTS) \
	$(tests_system_tier0_xdp_OBJECTS) $(tests_system_tier0_tc_OBJECTS): | $(bpf_skeletons)
system_tests += tests/system/daemon.sh tests/system/keep_host.sh
system_tests += tests/system/vhost_dpdk.sh

# a library to be preloaded: a kernel that lacks something
system_tests += tests/system/missing_features.sh
check_DATA = tests/system/missing.so
EXTRA_DIST += tests/system/missing.c
CLEANFILES += tests/system/missing.so
tests/system/missing.so: tests/system/missing.c config.h
	@$(MKDIR_P) tests/system
	$(AM_V_CCLD)$(CC) $(AM_CPPFLAGS) $(CPPFLAGS) -std=gnu11 $(WARNING_CFLAGS) $(CFLAGS) -fPIC -shared \
		-o $@ $(srcdir)/tests/system/missing.c
