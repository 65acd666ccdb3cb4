# SPDX-License-Identifier: BSD-2-Clause
# tests/system/: network namespaces, root; one script a subject

system_tests +=

# what tests in C share
bed = tests/system/bed.c tests/system/bed.h

system_tests += tests/system/test_afxdp.sh
check_PROGRAMS += tests/system/afxdp
tests_system_afxdp_SOURCES = tests/system/afxdp.c $(bed)

system_tests += tests/system/test_tap.sh
check_PROGRAMS += tests/system/tap
tests_system_tap_SOURCES = tests/system/tap.c tests/unit/frames.c tests/unit/frames.h $(bed)
