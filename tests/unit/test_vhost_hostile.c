/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Front ends that break the rules, among them the published classes of vhost CVEs. Each test ends
 * with the fault counted under its name, the back end alive and ready for the next one, and nothing
 * left open or mapped. Hostile drivers are in test_vhost_hostile_ring.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/vhost_hostile.h"
#include "vhost/guest_fault.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define READ_RING 1

/* ---- messages --------------------------------------------------------------------------- */

/* Payload sizes of the requests, for making right and wrong ones. */
static uint32_t get_size(uint32_t request)
{
	switch (request) {
	case VHOST_SET_MEM_TABLE:
		return 8;
	case VHOST_SET_LOG_BASE:
		return 16;
	case VHOST_SET_VRING_ADDR:
	case VHOST_ADD_MEM_REG:
	case VHOST_REM_MEM_REG:
		return 40;
	case VHOST_GET_INFLIGHT_FD:
	case VHOST_SET_INFLIGHT_FD:
		return 24;
	case VHOST_SET_FEATURES:
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
	case VHOST_SET_PROTOCOL_FEATURES:
	case VHOST_SET_VRING_ENABLE:
	case VHOST_SEND_RARP:
	case VHOST_NET_SET_MTU:
	case VHOST_SET_STATUS:
		return 8;
	default:
		return 0;
	}
}

/* Whether the device knows it. */
static bool exists(uint32_t request)
{
	return vhost_proto_name(request)[0] != '?' && request != VHOST_SET_BACKEND_REQ_FD;
}

static void test_sizes(void **state UNUSED)
{
	static const uint8_t payload[sizeof(union vhost_payload)];

	for (uint32_t request = 1; request < VHOST_N_REQUESTS; request++) {
		uint32_t right = get_size(request);
		const uint32_t sizes[] = {right - 1, right + 1, 0, sizeof(payload)};

		for (size_t i = 0; exists(request) && i < ARRAY_SIZE(sizes); i++) {
			uint64_t before = count_fault(VHOST_FAULT_MSG_SIZE);

			if (sizes[i] == right || sizes[i] > sizeof(payload) ||
			    (request == VHOST_SET_MEM_TABLE && sizes[i] > right) ||
			    (request == VHOST_GET_INFLIGHT_FD && sizes[i] == right - 1) ||
			    (request == VHOST_SET_INFLIGHT_FD && sizes[i] == right - 1))
				continue;
			begin(DRIVER_FEATURES);
			assert_int_equal(
				driver_request(&driver, request, 0, payload, sizes[i], NULL, 0),
				-EPROTO);
			check_fault(VHOST_FAULT_MSG_SIZE, before);
		}
	}
}

/* Headers: other versions, replies, sizes that no request has. */
static void test_headers(void **state UNUSED)
{
	static const struct vhost_header bad[] = {
		{VHOST_GET_FEATURES, 0, 0},
		{VHOST_GET_FEATURES, 2, 0},
		{VHOST_GET_FEATURES, VHOST_FLAG_VERSION | VHOST_FLAG_REPLY, 0},
		{VHOST_SET_MEM_TABLE, VHOST_FLAG_VERSION, 265},
		{VHOST_SET_MEM_TABLE, VHOST_FLAG_VERSION, UINT32_MAX},
		{0, VHOST_FLAG_VERSION, 0},
		{22, VHOST_FLAG_VERSION, 0},
		{UINT32_MAX, VHOST_FLAG_VERSION, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_connect(&driver);
		assert_int_equal(driver_send_raw(&driver, &bad[i], sizeof(bad[i]), NULL, 0), 0);
		assert_int_equal(vhost_dev_run(driver.dev), -EPROTO);
		check_clean();
	}
}

/* Descriptors that a request with a payload of zeros takes. */
static unsigned int get_n_fds(uint32_t request)
{
	switch (request) {
	case VHOST_SET_LOG_BASE:
	case VHOST_SET_LOG_FD:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
	case VHOST_SET_INFLIGHT_FD:
	case VHOST_ADD_MEM_REG:
	case VHOST_REM_MEM_REG: /* should have none, but one is put up with */
		return 1;
	default:
		return 0;
	}
}

/* Each request with descriptors that it does not have (CVE-2022-0669, 2019-14818). */
static void test_extra_fds(void **state UNUSED)
{
	static const unsigned int numbers[] = {1, 2, 8, 9, 60};
	static const uint8_t payload[sizeof(union vhost_payload)];
	int fds[60];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = driver.mem_fd;
	for (uint32_t request = 0; request < VHOST_N_REQUESTS + 2; request++) {
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
			uint64_t before = count_fault(VHOST_FAULT_MSG_FDS);
			bool is_wrong = exists(request) && numbers[i] != get_n_fds(request);

			begin(DRIVER_FEATURES);
			(void)!driver_request(&driver, request, 0, payload, get_size(request), fds,
					      numbers[i]);
			if (vhost_dev_get_fd(driver.dev) >= 0)
				driver_hang_up(&driver);
			check_clean();
			if (is_wrong)
				assert_int_equal(count_fault(VHOST_FAULT_MSG_FDS), before + 1);
		}
	}
}

/* As many descriptors as fit, and one that is lost on the way. */
static void test_one_fd_too_many(void **state UNUSED)
{
	struct vhost_mem_table table = {.n = VHOST_TABLE_REGIONS_MAX};

	for (unsigned int n = VHOST_TABLE_REGIONS_MAX; n < VHOST_TABLE_REGIONS_MAX + 2; n++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_FDS);
		int fds[VHOST_TABLE_REGIONS_MAX + 1];

		for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++) {
			fds[i] = driver.mem_fd;
			if (i < table.n)
				table.regions[i] = (struct vhost_region){i * DRIVER_MIB, DRIVER_MIB,
									 i * DRIVER_MIB, 0};
		}
		begin(DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, VHOST_SET_MEM_TABLE, 0, &table,
						sizeof(table), fds, n),
				 n == table.n ? 0 : -EPROTO);
		if (n == table.n)
			driver_hang_up(&driver);
		check_clean();
		assert_int_equal(count_fault(VHOST_FAULT_MSG_FDS), before + (n != table.n));
	}
}

static void test_missing_fds(void **state UNUSED)
{
	static const uint32_t requests[] = {
		VHOST_SET_LOG_BASE,   VHOST_SET_LOG_FD,	   VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_SET_INFLIGHT_FD,
		VHOST_ADD_MEM_REG,
	};
	static const uint8_t payload[sizeof(union vhost_payload)];

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_FDS);

		begin(DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, requests[i], 0, payload,
						get_size(requests[i]), NULL, 0),
				 -EPROTO);
		check_fault(VHOST_FAULT_MSG_FDS, before);
	}
}

/* Descriptors of the wrong kind, which a worker might have to wait for. */
static void test_fd_kinds(void **state UNUSED)
{
	static const uint32_t requests[] = {VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
					    VHOST_SET_VRING_ERR};
	uint64_t value = 1;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		for (int kind = 0; kind < 4; kind++) {
			uint64_t before = count_fault(VHOST_FAULT_MSG_FD_KIND);
			int fds[2] = {-1, -1};

			if (kind == 0)
				assert_int_equal(pipe(fds), 0);
			else if (kind == 1)
				fds[0] = open("/dev/zero", O_RDWR);
			else if (kind == 2)
				fds[0] = dup(driver.mem_fd);
			else
				fds[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
			begin(DRIVER_FEATURES);
			assert_int_equal(driver_request(&driver, requests[i], 0, &value,
							get_size(requests[i]), fds, 1),
					 -EPROTO);
			close(fds[0]);
			if (fds[1] >= 0)
				close(fds[1]);
			check_fault(VHOST_FAULT_MSG_FD_KIND, before);
		}
	}
}

/* A TCP socket with bytes that its peer does not read, whose close would wait for ten minutes. */
static int make_lingering_socket(int *peer)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger linger = {.l_onoff = 1, .l_linger = 600};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), sock = socket(AF_INET, SOCK_STREAM, 0);
	static char bytes[65536];

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&address, size), 0);
	*peer = accept(listener, NULL, NULL);
	assert_true(*peer >= 0);
	close(listener);
	while (send(sock, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return sock;
}

/* Descriptors that take their time to close: nobody waits for them. */
static void test_slow_closing(void **state UNUSED)
{
	uint64_t value = 1, start = clock_now();

	for (int kind = 0; kind < 2; kind++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_FD_KIND);
		int peer = -1,
		    fd = kind ? open("/etc/passwd", O_RDONLY) : make_lingering_socket(&peer);

		begin(DRIVER_FEATURES);
		assert_int_equal(
			driver_send_raw(&driver, &(struct {
				struct vhost_header header;
				uint64_t value;
			} PACKED){{VHOST_SET_VRING_KICK, VHOST_FLAG_VERSION, sizeof(value)}, value},
					sizeof(struct vhost_header) + sizeof(value), &fd, 1),
			0);
		/* the switch has the last one now */
		close(fd);
		assert_int_equal(vhost_dev_run(driver.dev), -EPROTO);
		assert_true(clock_now() - start < 60 * CLOCK_NS_PER_S);
		if (peer >= 0)
			close(peer);
		check_fault(VHOST_FAULT_MSG_FD_KIND, before);
	}
}

/* Ring numbers that the device does not have, also where a cut to 8 or 16 bits would hide it
 * (CVE-2020-10723). */
static void test_ring_numbers(void **state UNUSED)
{
	static const uint32_t by_index[] = {VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR,
					    VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
					    VHOST_SET_VRING_ENABLE};
	static const uint32_t numbers[] = {4, 32, 255, 0x100, 0x10001, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(by_index); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(numbers); j++) {
			struct vhost_addr addr = {.index = numbers[j], .flags = 1};
			uint64_t before = count_fault(VHOST_FAULT_MSG_RING);

			begin(DRIVER_FEATURES);
			assert_int_equal(driver_request(&driver, by_index[i], 0, &addr,
							get_size(by_index[i]), NULL, 0),
					 -EPROTO);
			check_fault(VHOST_FAULT_MSG_RING, before);
		}
	}
	for (uint32_t request = VHOST_SET_VRING_KICK; request <= VHOST_SET_VRING_ERR; request++) {
		static const uint64_t values[] = {4, 255, 0x200, 0x10000, UINT64_C(1) << 32};

		for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
			uint64_t before = count_fault(VHOST_FAULT_MSG_RING);
			uint64_t value = values[j];
			int fd = eventfd(0, 0);

			begin(DRIVER_FEATURES);
			assert_int_equal(driver_request(&driver, request, 0, &value, 8, &fd, 1),
					 -EPROTO);
			close(fd);
			check_fault(VHOST_FAULT_MSG_RING, before);
		}
	}
}

/* Requests out of their turn. */
static void test_states(void **state UNUSED)
{
	uint64_t value = VHOST_FD_NONE;
	uint64_t before;

	/* a ring before the features */
	before = count_fault(VHOST_FAULT_MSG_STATE);
	driver_connect(&driver);
	assert_int_equal(driver_request(&driver, VHOST_SET_VRING_KICK, 0, &value, 8, NULL, 0),
			 -EPROTO);
	check_fault(VHOST_FAULT_MSG_STATE, before);
	/* what was not negotiated */
	before = count_fault(VHOST_FAULT_MSG_UNKNOWN);
	driver_connect(&driver);
	assert_int_equal(driver_set_u64(&driver, VHOST_NET_SET_MTU, 1500), -EPROTO);
	check_fault(VHOST_FAULT_MSG_UNKNOWN, before);
	/* size, base and features of a running ring */
	for (int i = 0; i < 5; i++) {
		before = count_fault(VHOST_FAULT_MSG_STATE);
		begin(DRIVER_FEATURES);
		(void)driver_ring_open(&driver, READ_RING, 16);
		if (i == 0)
			assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_NUM, 1, 32),
					 -EPROTO);
		else if (i == 1)
			assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_BASE, 1, 5),
					 -EPROTO);
		else if (i == 2)
			assert_int_equal(driver_set_u64(&driver, VHOST_SET_FEATURES,
							DRIVER_FEATURES | PACKED_RING),
					 -EPROTO);
		else if (i == 3)
			assert_int_equal(driver_set_u64(&driver, VHOST_SET_PROTOCOL_FEATURES, 0),
					 -EPROTO);
		else
			assert_int_equal(driver_request(&driver, VHOST_SET_INFLIGHT_FD, 0,
							&(struct vhost_inflight_area){0}, 24,
							&driver.mem_fd, 1),
					 -EPROTO);
		check_fault(VHOST_FAULT_MSG_STATE, before);
	}
}

static void test_values(void **state UNUSED)
{
	static const struct {
		uint32_t request, index, num;
	} states[] = {
		{VHOST_SET_VRING_NUM, 1, 0},	      {VHOST_SET_VRING_NUM, 1, 32769},
		{VHOST_SET_VRING_NUM, 1, UINT32_MAX}, {VHOST_SET_VRING_BASE, 1, 65536},
		{VHOST_SET_VRING_ENABLE, 1, 2},	      {VHOST_SET_STATUS, 256, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_VALUE);

		begin(DRIVER_FEATURES);
		assert_int_equal(driver_set_state(&driver, states[i].request, states[i].index,
						  states[i].num),
				 -EPROTO);
		check_fault(VHOST_FAULT_MSG_VALUE, before);
	}
}

/* A front end that asks and never reads. */
static void test_never_reads(void **state UNUSED)
{
	uint64_t before = count_fault(VHOST_FAULT_REPLY_STUCK);
	int ret = 0;

	driver_connect(&driver);
	for (int i = 0; i < 100000 && !ret; i++)
		ret = driver_request(&driver, VHOST_GET_FEATURES, 0, NULL, 0, NULL, 0);
	assert_int_equal(ret, -EPROTO);
	check_fault(VHOST_FAULT_REPLY_STUCK, before);
}

/* One that hangs up in the middle of a message, descriptors already sent. */
static void test_cut_short(void **state UNUSED)
{
	struct {
		struct vhost_header header;
		struct vhost_mem_table table;
	} PACKED msg = {{VHOST_SET_MEM_TABLE, VHOST_FLAG_VERSION, sizeof(msg.table)}, {.n = 8}};
	int fds[8];

	for (int i = 0; i < 8; i++)
		fds[i] = driver.mem_fd;
	for (size_t size = 1; size < sizeof(msg); size++) {
		driver_connect(&driver);
		assert_int_equal(driver_send_raw(&driver, &msg, size, fds, 1 + size % 8), 0);
		assert_int_equal(vhost_dev_run(driver.dev), 0);
		driver_hang_up(&driver);
		check_clean();
	}
}

/* 10,000 messages of random kind, size, contents and descriptors. */
static void test_random_messages(void **state UNUSED)
{
	uint64_t random = test_seed();
	uint8_t payload[sizeof(union vhost_payload)];
	unsigned int n_connections = 0;
	int fds[12];

	for (int i = 0; i < 10000; i++) {
		uint32_t request = driver_random(&random) % (VHOST_N_REQUESTS + 2);
		uint32_t size = driver_random(&random) % 4
					? get_size(request)
					: driver_random(&random) % sizeof(payload);
		unsigned int n = driver_random(&random) % 3 ? driver_random(&random) % 3
							    : driver_random(&random) % 12;

		if (vhost_dev_get_fd(driver.dev) < 0) {
			if (driver.sock >= 0)
				close(driver.sock);
			driver.sock = -1;
			check_clean();
			begin(DRIVER_FEATURES);
			n_connections++;
		}
		for (size_t j = 0; j < sizeof(payload); j++)
			payload[j] = (uint8_t)(driver_random(&random) %
					       (driver_random(&random) % 4 ? 2 : 256));
		for (unsigned int j = 0; j < n; j++)
			fds[j] = driver_random(&random) % 2 ? driver.mem_fd : eventfd(0, 0);
		(void)!driver_request(&driver, request,
				      driver_random(&random) % 2 ? VHOST_FLAG_NEED_REPLY : 0,
				      payload, size, fds, n);
		for (unsigned int j = 0; j < n; j++)
			if (fds[j] != driver.mem_fd)
				close(fds[j]);
		while (recv(driver.sock, payload, sizeof(payload), MSG_DONTWAIT) > 0)
			;
	}
	assert_true(n_connections > 1000);
	if (vhost_dev_get_fd(driver.dev) >= 0)
		driver_hang_up(&driver);
	check_clean();
}

/* ---- memory ----------------------------------------------------------------------------- */

static int send_region(uint64_t gpa, uint64_t size, uint64_t uva, uint64_t offset, int fd)
{
	struct vhost_mem_reg reg = {.region = {gpa, size, uva, offset}};

	return driver_request(&driver, VHOST_ADD_MEM_REG, 0, &reg, sizeof(reg), &fd, 1);
}

/* Regions that wrap, overlap, are empty or larger than their file (CVE-2018-1059). */
static void test_regions(void **state UNUSED)
{
	const uint64_t free_gpa = UINT64_C(1) << 40, free_uva = UINT64_C(1) << 45;
	const struct vhost_region bad[] = {
		{free_gpa, 0, free_uva, 0},
		{UINT64_MAX - 4095, 8192, free_uva, 0},
		{free_gpa, 8192, UINT64_MAX - 4095, 0},
		{free_gpa, 8192, free_uva, UINT64_MAX - 4095},
		{free_gpa, UINT64_MAX, free_uva, 0},
		{free_gpa, UINT64_C(1) << 63, free_uva, UINT64_C(1) << 63},
		{free_gpa, DRIVER_FILE_SIZE + 1, free_uva, 0},
		{free_gpa, 4096, free_uva, DRIVER_FILE_SIZE - 4095},
		{DRIVER_GPA_LOW, 4096, free_uva, 0},
		{DRIVER_GPA_LOW - 4096, 4097, free_uva, 0},
		{DRIVER_GPA_NEXT + DRIVER_MIB - 1, 4096, free_uva, 0},
		{0, UINT64_C(1) << 20 | 1, free_uva, 0},
		{free_gpa, 4096, DRIVER_GPA_LOW + DRIVER_UVA_OFFSET, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_MEMORY);

		begin(DRIVER_FEATURES);
		assert_int_equal(send_region(bad[i].gpa, bad[i].size, bad[i].uva, bad[i].offset,
					     driver.mem_fd),
				 -EPROTO);
		check_fault(VHOST_FAULT_MSG_MEMORY, before);
	}
}

/* Files that are no memory, or cannot be written, or would use up the address space. */
static void test_memory_files(void **state UNUSED)
{
	char name[] = "/tmp/vhost-hostile-XXXXXX";
	uint64_t before = count_fault(VHOST_FAULT_MSG_MEMORY);
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, 4096), 0);
	if (guest_fault_check_file(fd)) { /* unless /tmp is a tmpfs */
		begin(DRIVER_FEATURES);
		assert_int_equal(send_region(UINT64_C(1) << 40, 4096, 0, 0, fd), -EPROTO);
		close(fd);
		check_fault(VHOST_FAULT_MSG_MEMORY, before);
	} else {
		close(fd);
	}

	for (int i = 0; i < 2; i++) {
		before = count_fault(VHOST_FAULT_MSG_REFUSED);
		fd = memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, i ? 4096 : (off_t)1 << 45), 0);
		if (i)
			assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		begin(DRIVER_FEATURES);
		assert_int_equal(send_region(UINT64_C(1) << 40, i ? 4096 : UINT64_C(1) << 45,
					     UINT64_C(1) << 46, 0, fd),
				 -EPROTO);
		close(fd);
		check_fault(VHOST_FAULT_MSG_REFUSED, before);
	}
}

/* Logs and records whose size and offset wrap or lie (CVE-2020-10722, -10726, 2021-3839). */
static void test_areas(void **state UNUSED)
{
	static const struct vhost_log_area logs[] = {
		{0, 0},
		{UINT64_MAX, 0},
		{4096, UINT64_MAX - 4095},
		{8192, UINT64_MAX - 4095},
		{UINT64_C(1) << 62, UINT64_C(1) << 62},
		{DRIVER_FILE_SIZE, 4096},
	};
	static const struct vhost_inflight_area areas[] = {
		{.size = 4096, .offset = UINT64_MAX - 4095, .n_rings = 2, .ring_size = 16},
		{.size = UINT64_MAX, .offset = 8, .n_rings = 2, .ring_size = 16},
		{.size = 100, .offset = 0, .n_rings = 2, .ring_size = 16},
		{.size = 4096, .offset = 1, .n_rings = 2, .ring_size = 16},
		{.size = 4096, .offset = 0, .n_rings = 1000, .ring_size = 16},
		{.size = 4096, .offset = 0, .n_rings = 2, .ring_size = 40000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_MEMORY);

		begin(DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, VHOST_SET_LOG_BASE, 0, &logs[i],
						sizeof(logs[i]), &driver.mem_fd, 1),
				 -EPROTO);
		check_fault(VHOST_FAULT_MSG_MEMORY, before);
	}
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		uint64_t before = count_fault(VHOST_FAULT_MSG_VALUE);

		begin(DRIVER_FEATURES);
		assert_int_equal(driver_request(&driver, VHOST_SET_INFLIGHT_FD, 0, &areas[i],
						sizeof(areas[i]), &driver.mem_fd, 1),
				 -EPROTO);
		check_fault(VHOST_FAULT_MSG_VALUE, before);
	}
	/* the same ones again and again leave nothing behind */
	begin(DRIVER_FEATURES);
	for (int i = 0; i < 100; i++) {
		struct vhost_inflight_area area = {.n_rings = 4, .ring_size = 1024};
		struct vhost_log_area log = {.size = 4096};
		uint64_t answer;

		assert_int_equal(driver_request(&driver, VHOST_GET_INFLIGHT_FD, 0, &area,
						sizeof(area), NULL, 0),
				 0);
		assert_int_equal(driver_read_reply(&driver, VHOST_GET_INFLIGHT_FD, &area,
						   sizeof(area), NULL),
				 sizeof(area));
		assert_int_equal(driver_request(&driver, VHOST_SET_LOG_BASE, 0, &log, sizeof(log),
						&driver.mem_fd, 1),
				 0);
		assert_int_equal(driver_read_reply(&driver, VHOST_SET_LOG_BASE, &answer, 8, NULL),
				 8);
		assert_int_equal(driver_set_memory(&driver, 3), 0);
	}
	check_census(2, 5);
	driver_hang_up(&driver);
	check_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(test_sizes),	       HOSTILE(test_headers),
		HOSTILE(test_extra_fds),       HOSTILE(test_one_fd_too_many),
		HOSTILE(test_missing_fds),     HOSTILE(test_fd_kinds),
		HOSTILE(test_slow_closing),    HOSTILE(test_ring_numbers),
		HOSTILE(test_states),	       HOSTILE(test_values),
		HOSTILE(test_never_reads),     HOSTILE(test_cut_short),
		HOSTILE(test_random_messages), HOSTILE(test_regions),
		HOSTILE(test_memory_files),    HOSTILE(test_areas),
	};

	return cmocka_run_group_tests_name("vhost_hostile", tests, NULL, NULL);
}
