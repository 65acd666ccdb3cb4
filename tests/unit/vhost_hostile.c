/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vhost_hostile.h"

#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "vhost/foreign_fd.h"
#include "vhost/guest_fault.h"

struct vhost_driver driver;

static unsigned int n_fds, n_maps;

uint64_t count_fault(enum vhost_fault fault)
{
	struct vhost_dev_status status;

	vhost_dev_get_status(driver.dev, &status);
	return status.faults[fault];
}

static void close_rings(void)
{
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++) {
		struct driver_ring *r = &driver.rings[i];
		int *fds[] = {&r->kick_fd, &r->call_fd, &r->err_fd};

		for (size_t j = 0; j < ARRAY_SIZE(fds); j++) {
			if (*fds[j] >= 0)
				close(*fds[j]);
			*fds[j] = -1;
		}
	}
}

int hostile_set_up(void **state UNUSED)
{
	log_set_level(LOG_LEVEL_ERROR);
	driver_init(&driver, 2);
	driver_hang_up(&driver);
	n_fds = driver_count_fds();
	n_maps = driver_count_maps();
	return 0;
}

int hostile_tear_down(void **state UNUSED)
{
	driver_uninit(&driver);
	return guest_fault_count() != 0;
}

void begin(uint64_t features)
{
	/* cmocka has put a handler of its own in the place of ours */
	assert_int_equal(guest_fault_init(), 0);
	driver.next_alloc = DRIVER_GPA_HIGH;
	driver_connect(&driver);
	driver_negotiate(&driver, features);
}

/* Files that were sent are closed by threads. */
static void wait_foreign_fds(void)
{
	uint64_t end = clock_now() + 60 * CLOCK_NS_PER_S;

	while (foreign_fd_count() && clock_now() < end)
		usleep(100);
	assert_int_equal(foreign_fd_count(), 0);
}

void check_clean(void)
{
	if (driver.sock >= 0)
		close(driver.sock);
	driver.sock = -1;
	close_rings();
	assert_int_equal(vhost_dev_get_fd(driver.dev), -1);
	assert_int_equal(driver.published, 0);
	wait_foreign_fds();
	assert_int_equal(driver_count_fds(), n_fds);
	assert_int_equal(driver_count_maps(), n_maps);
	assert_int_equal(guest_fault_count(), 0);
}

void check_fault(enum vhost_fault fault, uint64_t before)
{
	assert_int_equal(count_fault(fault), before + 1);
	check_clean();
}

void check_census(unsigned int more_fds, unsigned int more_maps)
{
	assert_true(driver_count_fds() <= n_fds + more_fds);
	assert_true(driver_count_maps() <= n_maps + more_maps);
}
