/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * What a fuzz target defines. libFuzzer calls it with bytes of its own making, driver.c with the
 * files of the corpus. It returns 0, and says that something is wrong by abort(): an invariant that
 * does not hold is a crash. It must not depend on what an earlier call did.
 *
 * Thread-safety: called from one thread.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Called once, first; a target that needs no set-up leaves it out. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

#endif
