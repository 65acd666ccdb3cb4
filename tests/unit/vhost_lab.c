/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vhost_lab.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "vhost/guest_fault.h"

char lab_folder[] = "/tmp/test_vhost.XXXXXX";
char lab_paths[LAB_PORTS][64];
struct datapath *lab_dp;
struct vhost_guest lab_guests[LAB_PORTS];

/* ---- the switch ---------------------------------------------------------------------------- */

static void translate(void *aux UNUSED, const struct flow_key *key,
		      struct pipeline_verdict *verdict)
{
	memset(&verdict->mask, 0, sizeof(verdict->mask));
	verdict->mask.in_port = UINT32_MAX;
	if (action_list_append_output(&verdict->actions, ((key->in_port - 1) ^ 1) + 1))
		abort();
}

static const struct pipeline pipeline = {.translate = translate};

/* What the daemon's loop does. */
void lab_run_control(void *aux UNUSED)
{
	datapath_run_control(lab_dp);
}

void lab_start(unsigned int n_workers)
{
	struct datapath_config config = {
		.n_workers = n_workers,
		.n_frames = LAB_N_FRAMES,
		.pipeline = &pipeline,
	};
	struct error err = ERROR_INIT;

	log_set_level(LOG_LEVEL_ERROR);
	if (datapath_create(&config, &lab_dp, &err))
		fail_msg("%s", err.text);
}

/* Adds port `i`; `more` is KEY=VALUE pairs with blanks between them. */
int lab_try_add(unsigned int i, const char *more, struct error *err)
{
	struct port_option options[16];
	struct port_config config = {.options = options};
	char name[16], text[512], *save = NULL;
	uint32_t no;
	int ret;

	snprintf(name, sizeof(name), "vm%u", i);
	snprintf(lab_paths[i], sizeof(lab_paths[i]), "%s/%s.sock", lab_folder, name);
	snprintf(text, sizeof(text), "%s", more);
	config.name = name;
	config.folder = lab_folder;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		options[config.n_options++] = (struct port_option){word, value};
	}
	ret = datapath_add_port(lab_dp, "vhost-user", &config, &no, err);
	/* cmocka has put a handler of its own in the place of ours */
	assert_int_equal(guest_fault_init(), 0);
	if (!ret)
		assert_int_equal(no, i + 1);
	return ret;
}

void lab_add(unsigned int i, const char *more)
{
	struct error err = ERROR_INIT;

	if (lab_try_add(i, more, &err))
		fail_msg("%s", err.text);
}

struct port *lab_get_port(unsigned int i)
{
	return datapath_get_port(lab_dp, i + 1);
}

uint64_t lab_get_drops(unsigned int i, enum drop_reason reason)
{
	struct port_counters sum;

	port_sum_counters(lab_get_port(i), &sum);
	return sum.drops[reason];
}

/* Waits until the port has counted `n` drops of that reason, and no more. */
void lab_wait_drops(unsigned int i, enum drop_reason reason, uint64_t n)
{
	uint64_t end = clock_now() + LAB_PATIENCE_NS;

	while (lab_get_drops(i, reason) < n && clock_now() < end)
		usleep(100);
	assert_int_equal(lab_get_drops(i, reason), n);
}

/* What came in and was copied went out or was dropped, over all ports. */
void lab_check_sums(void)
{
	uint64_t in = 0, out = 0;

	datapath_invalidate(lab_dp); /* each worker ends its round */
	for (uint32_t no = 1; no <= 4; no++) {
		struct port_counters sum;

		if (!datapath_get_port(lab_dp, no))
			continue;
		port_sum_counters(datapath_get_port(lab_dp, no), &sum);
		in += sum.rx_packets + sum.copies;
		out += sum.tx_packets;
		for (int r = 0; r < DROP_N_REASONS; r++)
			if (!drop_reason_is_kernel((enum drop_reason)r))
				out += sum.drops[r];
	}
	assert_int_equal(in, out);
}

/* Ends with all frames back and nothing watched. */
void lab_stop(void)
{
	lab_check_sums();
	for (uint32_t no = 1; no <= 4; no++)
		(void)!datapath_remove_port(lab_dp, no);
	assert_int_equal(frame_pool_count(datapath_get_pool(lab_dp), FRAME_HELD), 0);
	assert_int_equal(frame_pool_count(datapath_get_pool(lab_dp), FRAME_FREE), LAB_N_FRAMES);
	datapath_destroy(lab_dp);
	assert_int_equal(guest_fault_count(), 0);
}

/* ---- the guests ---------------------------------------------------------------------------- */

void lab_boot(unsigned int i, struct guest_config config)
{
	config.path = lab_paths[i];
	config.run = lab_run_control;
	if (!config.n_pairs)
		config.n_pairs = 1;
	guest_init(&lab_guests[i], &config);
}

/* Sends, waiting while the ring is full. */
void lab_send(unsigned int i, unsigned int pair, const struct virtio_net_hdr *hdr,
	      const void *frame, uint32_t len)
{
	uint64_t end = clock_now() + LAB_PATIENCE_NS;

	while (guest_send(&lab_guests[i], pair, hdr, frame, len)) {
		assert_true(clock_now() < end);
		usleep(10);
	}
}

/* Receives, waiting for it. */
uint32_t lab_receive(unsigned int i, unsigned int pair, struct virtio_net_hdr *hdr, void *frame,
		     uint32_t size)
{
	uint64_t end = clock_now() + LAB_PATIENCE_NS;
	int len;

	for (;;) {
		len = guest_receive(&lab_guests[i], pair, hdr, frame, size);
		if (len >= 0)
			return (uint32_t)len;
		if (clock_now() > end)
			fail_msg("guest %u: no packet came", i);
		usleep(10);
	}
}

/* A frame of `len` bytes that is number `n`. */
void lab_make_frame(uint8_t *frame, uint32_t len, uint32_t n)
{
	memset(frame, 0, 14);
	frame[12] = 0x88;
	frame[13] = 0xb5; /* for experiments */
	for (uint32_t i = 14; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + n);
	if (len >= 18)
		memcpy(frame + 14, &n, sizeof(n));
}

void lab_check_frame(const uint8_t *frame, uint32_t len, uint32_t n)
{
	static uint8_t expected[GUEST_PACKET_MAX];

	lab_make_frame(expected, len, n);
	assert_memory_equal(frame, expected, len);
}

void lab_boot_two(uint64_t first, uint64_t second)
{
	lab_start(1);
	lab_add(0, "");
	lab_add(1, "");
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED | first,
					  .slot_size = GUEST_PACKET_MAX});
	lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED | second});
}

void lab_shut_down(unsigned int n)
{
	lab_check_sums();
	for (unsigned int i = 0; i < n; i++)
		guest_uninit(&lab_guests[i]);
	lab_run_control(NULL);
	lab_stop();
}

int lab_set_up(void **state UNUSED)
{
	return mkdtemp(lab_folder) ? 0 : -1;
}

int lab_tear_down(void **state UNUSED)
{
	/* Ports leave nothing behind, and the last one the folder neither. */
	return rmdir(lab_folder) == 0 || errno == ENOENT ? 0 : -1;
}
