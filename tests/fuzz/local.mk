# SPDX-License-Identifier: BSD-2-Clause
# tests/fuzz/: fuzz_X.c defines LLVMFuzzerTestOneInput. `make check` replays tests/fuzz/corpus/X/ through
# it with driver.c; configured with --enable-fuzzers, libFuzzer drives it instead.
#
#	fuzz_tests += tests/fuzz/fuzz_X
#	tests_fuzz_fuzz_X_SOURCES = tests/fuzz/fuzz_X.c $(fuzz_driver)
#	tests_fuzz_fuzz_X_LDADD = $(fuzz_ldadd)

fuzz_ldadd = $(LDADD) $(FUZZER_LIBS)
