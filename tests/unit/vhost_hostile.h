/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_VHOST_HOSTILE_H
#define TESTS_UNIT_VHOST_HOSTILE_H

/*
 * What tests with hostile drivers share: a device with two queue pairs, a census of descriptors and
 * mappings taken while it is idle, and the check that everything is as then once a connection has
 * ended. Each test is a HOSTILE(), which makes a new device.
 *
 * Thread-safety: the test's own thread.
 */

#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"

extern struct vhost_driver driver;

int hostile_set_up(void **state);
int hostile_tear_down(void **state);

#define HOSTILE(test) cmocka_unit_test_setup_teardown(test, hostile_set_up, hostile_tear_down)

/* Connections that ended by this fault so far. */
uint64_t count_fault(enum vhost_fault fault);

/* Connect, and set everything up but rings. */
void begin(uint64_t features);

/* The connection has ended, and nothing is left of it. */
void check_clean(void);

/* The connection has ended for this reason, counted once more than before. */
void check_fault(enum vhost_fault fault, uint64_t before);

/* While a connection is there: it has opened and mapped no more than this. */
void check_census(unsigned int more_fds, unsigned int more_maps);

#endif
