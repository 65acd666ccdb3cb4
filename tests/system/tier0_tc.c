/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tc program and worker do the same with a packet: random packets, masks and action lists
 * (tier0_cases.h) go through the real program on a real veth, and what arrives behind it is held
 * against action_apply() on the same packet. Tags are beside the frames, as the kernel has them,
 *and checksums are partial where they are said to be.
 *
 *	q0 --veth-- p0, the program     p1 --veth-- q1   the output port
 *	                                p2 --veth-- q2   what is left to user space
 *	                                p3 --veth-- q3   further copies
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/tc_port.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_tc.skel.h"
#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/system/tier0_cases.h"
#include "tests/system/tier0_rules.h"
#include "tests/unit/test.h"

#define N_CASES 20000
#define N_RULE_CASES 40000
#define WAIT_MS 5000
/* Not in Debian's headers. */
#define TCX_INGRESS ((enum bpf_attach_type)46)

enum way { WAY_OUT, WAY_LEFT, WAY_COPY, N_WAYS };

static struct vswitch_tc_bpf *skel;
static struct tier0_maps maps;
static int link_fd, source, sinks[N_WAYS];

/* What became of the cases, so that a corpus which tests nothing is noticed. */
static struct {
	uint32_t n_sent, n_changed, n_dropped, n_left, n_partial, n_copied, n_tagged;
	uint32_t by_type[ACTION_SET_VLAN_TCI + 1];
} seen;

static void load_program(void)
{
	struct bpf_program *program;
	const uint32_t zero = 0;
	struct bpf_map *map;
	int fd;

	skel = vswitch_tc_bpf__open();
	assert_non_null(skel);
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.vswitch_tc_in_tier0 ||
							   program == skel->progs.vswitch_tc_tier0);
	bpf_object__for_each_map(map, skel->obj) assert_int_equal(tier0_maps_share(&maps, map), 0);
	assert_int_equal(vswitch_tc_bpf__load(skel), 0);
	fd = bpf_program__fd(skel->progs.vswitch_tc_tier0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(skel->maps.vswitch_tc_progs), &zero, &fd, BPF_ANY),
		0);
	skel->bss->port.tap_ifindex = if_nametoindex("p2");
	skel->bss->tier0_port.in_port = TIER0_CASE_IN;
	link_fd = bpf_link_create(bpf_program__fd(skel->progs.vswitch_tc_in_tier0),
				  (int)if_nametoindex("p0"), TCX_INGRESS, NULL);
	if (link_fd < 0) {
		print_message("skipped: the kernel has no tcx\n");
		exit(77);
	}
}

static int load(void **state UNUSED)
{
	int on = 1;

	tier0_cases_init();
	assert_int_equal(tier0_maps_create(&maps, NULL), 0);
	assert_int_equal(tier0_maps_reserve(&maps, 64, NULL), 0);
	bed_add_veth("p0", "q0", "");
	bed_add_veth("p1", "q1", "");
	bed_add_veth("p2", "q2", "");
	bed_add_veth("p3", "q3", "");
	load_program();
	maps.targets[TIER0_CASE_OUT] = (struct tier0_target){.max_len = TIER0_CASE_LEN_MAX,
							     .ifindex = if_nametoindex("p1"),
							     .flags = TIER0_TARGET_TC};
	maps.targets[TIER0_CASE_COPY] = maps.targets[TIER0_CASE_OUT];
	maps.targets[TIER0_CASE_COPY].ifindex = if_nametoindex("p3");
	maps.control->generation = 7;
	source = bed_open_raw("q0", true);
	for (int i = 0; i < N_WAYS; i++) {
		sinks[i] = bed_open_raw((const char *[]){"q1", "q2", "q3"}[i], true);
		assert_int_equal(setsockopt(sinks[i], SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)),
				 0);
	}
	return 0;
}

static int unload(void **state UNUSED)
{
	close(source);
	for (int i = 0; i < N_WAYS; i++)
		close(sinks[i]);
	close(link_fd);
	vswitch_tc_bpf__destroy(skel);
	tier0_maps_destroy(&maps);
	tier0_cases_uninit();
	bed_run("for i in 0 1 2 3; do ip link del p$i; done");
	return 0;
}

/* Sends the case's frame. Returns false when the kernel does not take it. */
static bool send_frame(const struct tier0_case *c, bool is_partial)
{
	static uint8_t buf[sizeof(struct virtio_net_hdr) + PACKETS_SIZE_MAX];
	struct virtio_net_hdr hdr = {.flags = 0};

	if (is_partial) {
		hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr.csum_start = c->layout.l4_off;
		hdr.csum_offset = c->key.nw_proto == 6 ? 16 : 6;
	}
	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), c->frame, c->len);
	return send(source, buf, c->len + sizeof(hdr), 0) == (ssize_t)(c->len + sizeof(hdr));
}

/* The tag that the kernel has taken out of what was received; false: none. */
static bool get_tag(struct msghdr *msg, uint16_t tag[2])
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		struct tpacket_auxdata aux;

		if (cmsg->cmsg_level != SOL_PACKET || cmsg->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
		tag[0] = htons(aux.tp_vlan_tpid);
		tag[1] = htons(aux.tp_vlan_tci);
		return aux.tp_status & TP_STATUS_VLAN_VALID;
	}
	return false;
}

/* Receives a frame, with its tag back in place. Returns its length, or 0 when there is none. */
static uint32_t receive(int fd, uint8_t out[TIER0_CASE_BUF_SIZE], struct virtio_net_hdr *hdr)
{
	static uint8_t buf[TIER0_CASE_BUF_SIZE];
	union {
		struct cmsghdr align;
		char bytes[256];
	} control;
	struct iovec iov[2] = {{hdr, sizeof(*hdr)}, {buf, sizeof(buf)}};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT);
	uint32_t len = (uint32_t)got - (uint32_t)sizeof(*hdr);
	uint16_t tag[2];

	if (got < (ssize_t)sizeof(*hdr) + 14)
		return 0;
	if (!get_tag(&msg, tag)) {
		memcpy(out, buf, len);
		return len;
	}
	memcpy(out, buf, 12);
	memcpy(out + 12, tag, 4);
	memcpy(out + 16, buf + 12, len - 12);
	return len + 4;
}

/* Waits for the frame behind the program. Returns the way that it came, N_WAYS: it was dropped. */
static enum way wait_for_it(const struct tier0_case *c, uint8_t out[TIER0_CASE_BUF_SIZE],
			    uint32_t *len, struct virtio_net_hdr *hdr)
{
	struct pollfd fds[2] = {{.fd = sinks[WAY_OUT], .events = POLLIN},
				{.fd = sinks[WAY_LEFT], .events = POLLIN}};
	uint64_t end = clock_now() + WAIT_MS * CLOCK_NS_PER_MS;

	while (clock_now() < end) {
		if (poll(fds, 2, c->n_actions ? 100 : 0) > 0) {
			enum way way = fds[0].revents ? WAY_OUT : WAY_LEFT;

			*len = receive(sinks[way], out, hdr);
			return way;
		}
		if (!c->n_actions && maps.slots[TIER0_CASE_SLOT].n_packets)
			return N_WAYS;
	}
	tier0_case_fail(c, "nothing came");
	return N_WAYS;
}

static bool has_tag(const struct tier0_case *c)
{
	return c->key.vlan_tci || c->key.dl_type == htons(0x8100) ||
	       c->key.dl_type == htons(0x88a8);
}

/* Two tags: only the first is beside the frame, and nothing behind the second is parsed. */
static bool has_two_tags(const struct tier0_case *c)
{
	return c->key.vlan_tci &&
	       (c->key.dl_type == htons(0x8100) || c->key.dl_type == htons(0x88a8));
}

static void check_same(const struct tier0_case *c, const uint8_t *a, uint32_t a_len,
		       const uint8_t *b, uint32_t b_len)
{
	if (a_len == b_len && !memcmp(a, b, a_len))
		return;
	for (uint32_t i = 0; i < MIN(a_len, b_len); i++)
		if (a[i] != b[i])
			print_error("byte %u: %02x, in user space %02x\n", i, a[i], b[i]);
	tier0_case_fail(c, a_len == b_len ? "other bytes than in user space" : "other length");
}

static void check_sent(const struct tier0_case *c, const uint8_t *out, uint32_t len,
		       const uint8_t *expected, uint32_t expected_len,
		       const struct virtio_net_hdr *hdr, bool is_partial)
{
	static uint8_t copy[TIER0_CASE_BUF_SIZE];
	struct virtio_net_hdr copy_hdr;
	uint32_t n_copies = 0;

	check_same(c, out, len, expected, expected_len);
	if (is_partial != (bool)(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		tier0_case_fail(c, "a partial checksum got lost");
	for (uint32_t i = 0; i < c->n_actions; i++) {
		seen.by_type[c->actions[i].type]++;
		n_copies += c->actions[i].type == ACTION_OUTPUT &&
			    c->actions[i].port == TIER0_CASE_COPY;
	}
	for (uint32_t i = 0; i < n_copies; i++) {
		uint32_t copy_len = receive(sinks[WAY_COPY], copy, &copy_hdr);

		check_same(c, copy, copy_len, expected, expected_len);
		seen.n_copied++;
	}
	seen.n_sent++;
	seen.n_partial += is_partial;
	seen.n_tagged += c->key.vlan_tci != 0;
	seen.n_changed += len != c->len || memcmp(out, c->frame, len) != 0;
}

/* Sends the case's packet, which is one of the flow's if `matches`. */
static void check(const struct tier0_case *c, bool matches)
{
	static uint8_t out[TIER0_CASE_BUF_SIZE], expected[TIER0_CASE_BUF_SIZE];
	const struct tier0_slot *slot = &maps.slots[TIER0_CASE_SLOT];
	uint32_t len = 0, expected_len;
	struct virtio_net_hdr hdr = {.flags = 0};
	bool is_partial, is_left;
	int err = tier0_case_apply(c, false, expected, &expected_len, &is_partial);
	enum way way;

	is_partial &= c->maybe_partial;
	is_left = !matches || has_two_tags(c) ||
		  (c->n_actions && !tier0_case_has_needs(c, expected_len));
	/* The kernel takes no frame that is too long for the veth, and none with a tag and nothing
	 * behind. */
	if (!send_frame(c, is_partial) || (has_tag(c) && c->len < 20))
		return;
	way = wait_for_it(c, out, &len, &hdr);
	if (way != (is_left ? WAY_LEFT : c->n_actions ? WAY_OUT : N_WAYS))
		tier0_case_fail(c, is_left ? "not left to user space" : "left to user space");
	if (slot->n_packets != !is_left || slot->n_bytes != (is_left ? 0 : c->len))
		tier0_case_fail(c, "counted wrongly");
	if (!is_left && err)
		tier0_case_fail(c, "not dropped as in user space");
	if (way == WAY_LEFT) {
		check_same(c, out, len, c->frame, c->len);
		seen.n_left++;
	} else if (way == WAY_OUT) {
		check_sent(c, out, len, expected, expected_len, &hdr, is_partial);
	} else {
		seen.n_dropped++;
	}
}

static void test_same_bytes(void **state UNUSED)
{
	static struct tier0_case c;

	for (uint64_t i = 0; i < N_CASES; i++) {
		struct random rng;

		c.seed = test_seed() + i;
		random_init(&rng, c.seed);
		if (!tier0_case_make(&c, &rng, true))
			continue;
		tier0_case_install(&c, &rng, &maps);
		check(&c, true);
		/* A checksum is what it was made, partial or not. */
		c.maybe_partial = false;
		check(&c, tier0_case_mutate(&c, &rng, &maps));
	}
	print_message(
		"%u sent, %u changed, %u tagged, %u partial, %u copies, %u dropped, %u left\n",
		seen.n_sent, seen.n_changed, seen.n_tagged, seen.n_partial, seen.n_copied,
		seen.n_dropped, seen.n_left);
	assert_true(seen.n_changed > N_CASES / 8);
	assert_true(seen.n_tagged > N_CASES / 40);
	assert_true(seen.n_partial > N_CASES / 400);
	assert_true(seen.n_copied > N_CASES / 100);
	assert_true(seen.n_dropped > N_CASES / 100);
	assert_true(seen.n_left > N_CASES / 100);
	for (int type = 0; type <= ACTION_SET_VLAN_TCI; type++)
		if (type != ACTION_SET_ND_TARGET)
			assert_true(seen.by_type[type] >= N_CASES / 1000);
}

/* The same with what real tables say, and each packet that meets the mask. */
static void test_same_rules(void **state UNUSED)
{
	static struct tier0_case c;
	uint32_t n_matching = 0;

	memset(&seen, 0, sizeof(seen));
	tier0_rules_init();
	for (uint64_t i = 0; i < N_RULE_CASES; i++) {
		struct random rng;
		bool matches;

		c.seed = test_seed() + i;
		random_init(&rng, c.seed);
		if (!tier0_rules_make(&c, &rng, true))
			continue;
		tier0_case_install(&c, &rng, &maps);
		check(&c, true);
		/* A checksum is what it was made, partial or not. */
		c.maybe_partial = false;
		matches = tier0_case_mutate(&c, &rng, &maps);
		check(&c, matches);
		n_matching += matches;
		if (matches)
			tier0_rules_check(&c);
	}
	tier0_rules_uninit();
	print_message("%u sent, %u changed, %u tagged, %u copies, %u dropped, %u left, %u of the "
		      "same flow\n",
		      seen.n_sent, seen.n_changed, seen.n_tagged, seen.n_copied, seen.n_dropped,
		      seen.n_left, n_matching);
	assert_true(seen.n_changed > N_RULE_CASES / 20);
	assert_true(seen.n_copied > N_RULE_CASES / 200);
	assert_true(seen.n_dropped > N_RULE_CASES / 100);
	assert_true(n_matching > N_RULE_CASES / 20);
	for (int type = 0; type <= ACTION_SET_VLAN_TCI; type++)
		assert_true(type == ACTION_SET_ND_TARGET || seen.by_type[type] >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_same_rules),
	};

	bed_enter();
	return cmocka_run_group_tests_name("tier0_tc", tests, load, unload);
}
