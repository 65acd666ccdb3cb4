# SPDX-License-Identifier: BSD-2-Clause
# tests/: `make check` needs no root; `make check-system` and `make check-vm` do and say what they skip.
#
# Each kind of test appends to its own list: unit_tests, daemon_tests, fuzz_tests (make check),
# system_tests (make check-system), vm_tests (make check-vm). Scripts end in .sh or .py; exit status
# 0 passed, 77 skipped (the last line printed says why), anything else failed.

TEST_EXTENSIONS = .sh .py
# a test that hangs fails: seconds, generous for sanitizers on a loaded machine
TEST_TIMEOUT = 600
LOG_COMPILER = timeout --kill-after=10 $(TEST_TIMEOUT)
SH_LOG_COMPILER = $(LOG_COMPILER) bash
PY_LOG_COMPILER = $(LOG_COMPILER) $(PYTHON3)

# what scripts and programs may rely on
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; \
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1; export ASAN_OPTIONS; \
	UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS; \
	TSAN_OPTIONS=suppressions='$(abs_top_srcdir)'/tests/tsan.supp:second_deadlock_stack=1; \
	export TSAN_OPTIONS;

unit_tests =
daemon_tests =
fuzz_tests =
system_tests =
vm_tests =
style_tests = tests/style-check tests/style_check.py

include tests/unit/local.mk
include tests/daemon/local.mk
include tests/fuzz/local.mk
include tests/system/local.mk
include tests/vm/local.mk
include tests/bench/local.mk

check_PROGRAMS += $(unit_tests) $(fuzz_tests)
TESTS += $(unit_tests) $(fuzz_tests) $(daemon_tests) $(style_tests)
EXTRA_DIST += $(daemon_tests) $(system_tests) $(vm_tests) $(style_tests) \
	tests/sub-build tests/summary tests/lib.sh tests/tsan.supp

# what runs under sanitizers: all that executes our code without root
sanitized_tests = $(unit_tests) $(fuzz_tests) $(daemon_tests)

sub_build = $(srcdir)/tests/sub-build '$(abs_top_srcdir)'

# what of the system tests runs under the thread sanitizer: hot flows, workers and control thread at
# once
threaded_system_tests = tests/system/test_tier0.sh tests/system/test_tier0_veth.sh \
	tests/system/survive.sh tests/system/survive_veth.sh

PHONY_TARGETS += check-asan check-tsan check-clang check-system check-tsan-system check-vm
check-asan:
	@$(sub_build) asan --enable-sanitizer=address,undefined
	$(MAKE) -C asan $(AM_MAKEFLAGS) check TESTS='$(sanitized_tests)'

check-tsan:
	@$(sub_build) tsan --enable-sanitizer=thread
	$(MAKE) -C tsan $(AM_MAKEFLAGS) check TESTS='$(sanitized_tests)'

# the second compiler, with its lock analysis: no warning is let through
check-clang:
	@$(sub_build) clang CC=clang --enable-werror
	$(MAKE) -C clang $(AM_MAKEFLAGS) check TESTS='$(unit_tests) $(fuzz_tests)'

# as root: run_as_root TESTS, FOLDER. What was skipped is said after automake's own summary, with the
# reason: the last line of its log
run_as_root = \
	status=0; \
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(1)' TEST_SUITE_LOG=$(2)/test-suite.log || status=$$?; \
	for trs in $(2)/*.trs; do \
		if test -f "$$trs" && grep -q '^:test-result: SKIP' "$$trs"; then \
			echo "SKIP $${trs%.trs}: `tail -n 2 "$${trs%.trs}.log" | head -n 1`"; \
		fi; \
	done; \
	exit $$status

check-system: all
	+@$(call run_as_root,$(system_tests),tests/system)

check-tsan-system:
	@$(sub_build) tsan --enable-sanitizer=thread
	$(MAKE) -C tsan $(AM_MAKEFLAGS) check-system system_tests='$(threaded_system_tests)'

check-vm: all $(vm_programs)
	+@$(call run_as_root,$(vm_tests),tests/vm)

distclean-local:
	-rm -rf asan tsan clang fuzzing
