# SPDX-License-Identifier: BSD-2-Clause
# tests/: `make check` needs no root; `make check-system` does and says what it skips.
#
# Each kind of test appends to its own list: unit_tests, daemon_tests, fuzz_tests (make check),
# system_tests (make check-system). Scripts end in .sh or .py; exit status 0 passed, 77 skipped (the
# last line printed says why), anything else failed.

TEST_EXTENSIONS = .sh .py
SH_LOG_COMPILER = bash
PY_LOG_COMPILER = $(PYTHON3)

# what scripts may rely on; tests/lib.sh gives them words for it
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;

unit_tests =
daemon_tests =
fuzz_tests =
system_tests =

include tests/unit/local.mk
include tests/daemon/local.mk
include tests/fuzz/local.mk
include tests/system/local.mk
include tests/bench/local.mk

check_PROGRAMS += $(unit_tests) $(fuzz_tests)
TESTS += $(unit_tests) $(fuzz_tests) $(daemon_tests)
EXTRA_DIST += $(daemon_tests) $(system_tests)

PHONY_TARGETS += check-system
check-system:
	@test -n "$(strip $(system_tests))" || { echo "no system tests yet"; exit 0; }; \
	$(MAKE) check TESTS='$(system_tests)' TEST_SUITE_LOG=tests/system/test-suite.log
EXTRA_DIST += tests/tsan.supp
