/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening, connecting, coming back; time is made by the test. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"
#include "vhost/vhost_socket.h"

static struct vhost_driver driver;
static char folder[] = "/tmp/vhost-socket-XXXXXX";
static char path[64];
static uint64_t now;

static struct vhost_socket_config config;

static int set_up(void **state UNUSED)
{
	log_set_level(LOG_LEVEL_ERROR);
	strcpy(folder, "/tmp/vhost-socket-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	config = (struct vhost_socket_config){.path = path, .access = 0660, .group = (gid_t)-1};
	now = 1000 * CLOCK_NS_PER_S;
	driver_init(&driver, 1);
	driver_hang_up(&driver);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	driver_uninit(&driver);
	unlink(path);
	return rmdir(folder);
}

static struct sockaddr_un get_address(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

static int connect_to(void)
{
	struct sockaddr_un address = get_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

static int listen_at(void)
{
	struct sockaddr_un address = get_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Whether the one descriptor to watch says that there is something to do. */
static bool is_due(struct vhost_socket *s)
{
	struct pollfd p = {.fd = vhost_socket_get_fd(s), .events = POLLIN};

	return poll(&p, 1, 0) == 1 || now >= vhost_socket_get_deadline(s);
}

static void run(struct vhost_socket *s)
{
	for (int i = 0; i < 1000 && is_due(s); i++)
		vhost_socket_run(s, now);
	assert_false(is_due(s));
}

/* Sends by the test's end and lets the socket run, not the device. */
static void send_header(struct vhost_socket *s, uint32_t request, uint32_t flags)
{
	struct vhost_header header = {request, flags, 0};

	assert_int_equal(driver_send_raw(&driver, &header, sizeof(header), NULL, 0), 0);
	run(s);
}

static void get_features(struct vhost_socket *s)
{
	uint64_t features;

	send_header(s, VHOST_GET_FEATURES, VHOST_FLAG_VERSION);
	assert_int_equal(driver_read_reply(&driver, VHOST_GET_FEATURES, &features, 8, NULL), 8);
	assert_int_equal(features, VHOST_DEV_FEATURES);
}

static void hang_up(struct vhost_socket *s)
{
	close(driver.sock);
	driver.sock = -1;
	run(s);
}

static void test_server(void **state UNUSED)
{
	struct vhost_socket *s;
	struct stat st;
	int second;

	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_LISTENING);
	assert_true(vhost_socket_get_deadline(s) == VHOST_SOCKET_NEVER);
	for (int i = 0; i < 5; i++) {
		driver.sock = connect_to();
		assert_true(driver.sock >= 0);
		run(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_CONNECTED);
		get_features(s);
		hang_up(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_LISTENING);
	}
	/* a second one waits for its turn */
	driver.sock = connect_to();
	run(s);
	second = connect_to();
	assert_true(second >= 0);
	run(s);
	get_features(s);
	hang_up(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_CONNECTED);
	driver.sock = second;
	get_features(s);
	vhost_socket_close(s);
	assert_int_equal(access(path, F_OK), -1);
	close(driver.sock);
	driver.sock = -1;
}

static void test_stale(void **state UNUSED)
{
	struct vhost_socket *s, *other;
	struct error e = ERROR_INIT;
	int fd = listen_at();

	/* in use */
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, path));
	close(fd);
	/* stale */
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, &e), 0);
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &other, &e), -EADDRINUSE);
	/* somebody else took the path meanwhile: it is left alone */
	assert_int_equal(unlink(path), 0);
	fd = listen_at();
	vhost_socket_close(s);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
	/* no socket */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, &e), -EEXIST);
	rmdir(path);
	/* too long for a socket's name */
	config.path = "/tmp/a/path/of/more/than/one/hundred/and/seven/bytes/is/too/long/for/the/"
		      "address/of/a/socket/and/is/refused/at/once";
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, &e), -ENAMETOOLONG);
}

static void test_client(void **state UNUSED)
{
	uint64_t delay = VHOST_SOCKET_RETRY_MIN_NS;
	struct vhost_socket *s;
	int fd;

	config.is_client = true;
	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	/* nobody there: again and again, less and less often */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
		assert_int_equal(vhost_socket_get_deadline(s), now + delay);
		assert_non_null(strstr(vhost_socket_get_text(s), path));
		vhost_socket_run(s, now + delay - 1);
		assert_int_equal(vhost_socket_get_deadline(s), now + delay);
		now += delay;
		run(s);
		delay = MIN(2 * delay, VHOST_SOCKET_RETRY_MAX_NS);
	}
	for (int i = 0; i < 3; i++) {
		fd = listen_at();
		now = vhost_socket_get_deadline(s);
		run(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_CONNECTED);
		driver.sock = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
		assert_true(driver.sock >= 0);
		get_features(s);
		/* a connection that lasted: the next wait is short */
		now += 60 * CLOCK_NS_PER_S;
		hang_up(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
		assert_int_equal(vhost_socket_get_deadline(s), now + VHOST_SOCKET_RETRY_MIN_NS);
		close(fd);
		unlink(path);
	}
	vhost_socket_close(s);
}

/* A front end that breaks the rules again and again is let in less and less often. */
static void test_faults_wait(void **state UNUSED)
{
	uint64_t delay = VHOST_SOCKET_RETRY_MIN_NS;
	struct vhost_dev_status status;
	struct vhost_socket *s;

	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	driver.sock = connect_to();
	run(s);
	for (int i = 0; i < 10; i++) {
		send_header(s, 4711, VHOST_FLAG_VERSION);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
		assert_int_equal(vhost_socket_get_deadline(s), now + delay);
		close(driver.sock);
		driver.sock = connect_to();
		run(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
		now += delay;
		run(s);
		assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_CONNECTED);
		delay = MIN(2 * delay, VHOST_SOCKET_RETRY_MAX_NS);
	}
	hang_up(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_LISTENING);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.faults[VHOST_FAULT_MSG_UNKNOWN], 10);
	vhost_socket_close(s);
}

/* One that floods us is not read before the next second. */
static void test_flood(void **state UNUSED)
{
	struct vhost_dev_status status;
	struct vhost_socket *s;
	uint64_t answer;

	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	driver.sock = connect_to();
	run(s);
	for (int i = 0; i < VHOST_SOCKET_MESSAGES_PER_S; i++)
		get_features(s);
	assert_int_equal(vhost_socket_get_deadline(s), now + CLOCK_NS_PER_S);
	send_header(s, VHOST_GET_FEATURES, VHOST_FLAG_VERSION);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.n_messages, VHOST_SOCKET_MESSAGES_PER_S);
	now += CLOCK_NS_PER_S;
	run(s);
	assert_int_equal(driver_read_reply(&driver, VHOST_GET_FEATURES, &answer, 8, NULL), 8);
	assert_true(vhost_socket_get_deadline(s) == VHOST_SOCKET_NEVER);
	/* hanging up is noticed while it is not read, too */
	for (int i = 0; i < VHOST_SOCKET_MESSAGES_PER_S; i++)
		get_features(s);
	hang_up(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_LISTENING);
	vhost_socket_close(s);
}

/* Half a message, with the sender's own end beside it, and then nothing more. */
static void test_half_message(void **state UNUSED)
{
	struct vhost_header header = {VHOST_SET_LOG_FD, VHOST_FLAG_VERSION, 0};
	struct vhost_dev_status status;
	struct vhost_socket *s;

	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	driver.sock = connect_to();
	run(s);
	assert_int_equal(driver_send_raw(&driver, &header, 5, &driver.sock, 1), 0);
	hang_up(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_CONNECTED);
	assert_int_equal(vhost_socket_get_deadline(s), now + VHOST_SOCKET_MESSAGE_NS);
	now += VHOST_SOCKET_MESSAGE_NS;
	run(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.faults[VHOST_FAULT_MSG_TIMEOUT], 1);
	/* one that takes its time, but comes */
	now = vhost_socket_get_deadline(s);
	run(s);
	driver.sock = connect_to();
	run(s);
	for (int i = 0; i < 3; i++) {
		header.request = VHOST_SET_OWNER;
		assert_int_equal(driver_send_raw(&driver, &header, 5, NULL, 0), 0);
		run(s);
		assert_int_equal(vhost_socket_get_deadline(s), now + VHOST_SOCKET_MESSAGE_NS);
		now += VHOST_SOCKET_MESSAGE_NS - 1;
		run(s);
		assert_int_equal(driver_send_raw(&driver, (uint8_t *)&header + 5, 7, NULL, 0), 0);
		run(s);
		assert_true(vhost_socket_get_deadline(s) == VHOST_SOCKET_NEVER);
	}
	hang_up(s);
	vhost_socket_close(s);
}

/* A broken ring is found by the alarm, which is in the one descriptor as well. */
static void test_alarm(void **state UNUSED)
{
	static struct vring_batch batch;
	struct vhost_dev_status status;
	struct driver_ring *r;
	struct vhost_socket *s;

	assert_int_equal(vhost_socket_open(&config, driver.dev, now, &s, NULL), 0);
	driver.sock = connect_to();
	run(s);
	driver_negotiate(&driver, DRIVER_FEATURES);
	r = driver_ring_open(&driver, 1, 16);
	assert_false(is_due(s));
	r->avail->idx = 1000;
	vring_batch_init(&batch);
	assert_int_equal(vring_pop(vhost_dev_get_ring(driver.dev, 1), &batch, 32), -EIO);
	assert_true(is_due(s));
	run(s);
	assert_int_equal(vhost_socket_get_state(s), VHOST_SOCKET_WAITING);
	vhost_dev_get_status(driver.dev, &status);
	assert_int_equal(status.faults[VHOST_FAULT_RING_AVAILABLE], 1);
	assert_int_equal(driver.published, 0);
	vhost_socket_close(s);
	close(driver.sock);
	driver.sock = -1;
}

#define SOCKET(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOCKET(test_server),	  SOCKET(test_stale), SOCKET(test_client),
		SOCKET(test_faults_wait), SOCKET(test_flood), SOCKET(test_half_message),
		SOCKET(test_alarm),
	};

	return cmocka_run_group_tests_name("vhost_socket", tests, NULL, NULL);
}
