# SPDX-License-Identifier: BSD-2-Clause
# tests/fuzz/: fuzz_X.c defines LLVMFuzzerTestOneInput. `make check` replays tests/fuzz/corpus/X/
# through it with driver.c; configured with --enable-fuzzers, libFuzzer drives it instead, and
# `make fuzz` does just that in a build folder of its own. A target is these lines:
#
#	fuzz_tests += tests/fuzz/fuzz_X
#	tests_fuzz_fuzz_X_SOURCES = tests/fuzz/fuzz_X.c $(fuzz_driver)
#	tests_fuzz_fuzz_X_LDADD = $(fuzz_ldadd)

fuzz_ldadd = $(LDADD) $(FUZZER_LIBS)

if FUZZERS
fuzz_driver = tests/fuzz/fuzz.h
else
fuzz_driver = tests/fuzz/driver.c tests/fuzz/fuzz.h
endif

EXTRA_DIST += tests/fuzz/driver.c tests/fuzz/corpus tests/fuzz/run-fuzzers

# seconds for each target
FUZZ_SECONDS = 60

PHONY_TARGETS += fuzz
fuzz:
	@$(sub_build) fuzzing CC=clang --enable-fuzzers --enable-sanitizer=address,undefined
	$(MAKE) -C fuzzing $(AM_MAKEFLAGS) run-fuzzers FUZZ_SECONDS=$(FUZZ_SECONDS)

PHONY_TARGETS += run-fuzzers
run-fuzzers: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) $(fuzz_tests)
	$(srcdir)/tests/fuzz/run-fuzzers '$(abs_top_srcdir)' $(FUZZ_SECONDS) $(fuzz_tests)

fuzz_tests += tests/fuzz/fuzz_packet
tests_fuzz_fuzz_packet_SOURCES = tests/fuzz/fuzz_packet.c $(fuzz_driver)
tests_fuzz_fuzz_packet_LDADD = $(fuzz_ldadd)
fuzz_tests += tests/fuzz/fuzz_vnet_hdr
tests_fuzz_fuzz_vnet_hdr_SOURCES = tests/fuzz/fuzz_vnet_hdr.c $(fuzz_driver)
tests_fuzz_fuzz_vnet_hdr_LDADD = $(fuzz_ldadd)
fuzz_tests += tests/fuzz/fuzz_rule_text
tests_fuzz_fuzz_rule_text_SOURCES = tests/fuzz/fuzz_rule_text.c $(fuzz_driver)
tests_fuzz_fuzz_rule_text_LDADD = $(fuzz_ldadd)
fuzz_tests += tests/fuzz/fuzz_control
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c $(fuzz_driver)
tests_fuzz_fuzz_control_LDADD = $(fuzz_ldadd)

fuzz_tests += tests/fuzz/fuzz_vhost_message
tests_fuzz_fuzz_vhost_message_SOURCES = tests/fuzz/fuzz_vhost_message.c $(vhost_driver) $(fuzz_driver)
tests_fuzz_fuzz_vhost_message_LDADD = $(fuzz_ldadd)

fuzz_tests += tests/fuzz/fuzz_vhost_ring
tests_fuzz_fuzz_vhost_ring_SOURCES = tests/fuzz/fuzz_vhost_ring.c $(fuzz_driver)
tests_fuzz_fuzz_vhost_ring_LDADD = $(fuzz_ldadd)

if LIBVIRT
fuzz_tests += tests/fuzz/fuzz_libvirt_xml
endif
EXTRA_PROGRAMS += tests/fuzz/fuzz_libvirt_xml
tests_fuzz_fuzz_libvirt_xml_SOURCES = tests/fuzz/fuzz_libvirt_xml.c $(fuzz_driver)
tests_fuzz_fuzz_libvirt_xml_LDADD = $(fuzz_ldadd)
