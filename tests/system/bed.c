/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/action.h"
#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/unit/test.h"

#define EXIT_SKIPPED 77

void bed_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS)) {
		printf("needs root, to make a network namespace\n");
		exit(EXIT_SKIPPED);
	}
	/* What is mounted here stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("cannot make mounts private: %s\n", strerror(errno));
		exit(EXIT_SKIPPED);
	}
	bed_run("ip link set lo up");
	/* Who needs one mounts it. */
	while (umount("/sys/fs/bpf") == 0)
		;
}

void bed_run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

void bed_add_namespaces(const char *const *names)
{
	static bool has_run;

	if (!has_run)
		bed_run("mount -t tmpfs tmpfs /run && mkdir /run/netns");
	has_run = true;
	for (; *names; names++) {
		bed_run("ip netns add %s", *names);
		bed_run_in(*names, "ip link set lo up");
	}
}

void bed_run_in(const char *ns, const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	bed_run("nsenter --net=/run/netns/%s -- %s", ns, command);
}

void bed_add_veth(const char *name, const char *peer, const char *options)
{
	bed_run("ip link add %s %s type veth peer name %s %s", name, options, peer, options);
	bed_run("! test -d /proc/sys/net/ipv6 || "
		"sysctl -qw net.ipv6.conf.%s.disable_ipv6=1 net.ipv6.conf.%s.disable_ipv6=1",
		name, peer);
	bed_run("ip link set %s up && ip link set %s up", name, peer);
}

int bed_open_raw(const char *ifname, bool vnet)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int on = 1, size = 16 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (vnet)
		assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	/* Not what we send ourselves. */
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

int bed_receive(int fd, void *buf, size_t size, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, timeout_ms) <= 0)
		return -1;
	return (int)recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
}

int bed_receive_test(int fd, void *buf, size_t size, int timeout_ms)
{
	uint64_t end = clock_now() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
	const uint8_t *frame = buf;

	while (clock_now() < end) {
		int len = bed_receive(fd, buf, size, timeout_ms);

		if (len >= 14 && frame[12] == 0x88 && frame[13] == 0xb5)
			return len;
		if (len < 0)
			break;
	}
	return -1;
}

void bed_fill(uint8_t *frame, uint32_t len, uint32_t seed)
{
	static const uint8_t header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

	memcpy(frame, header, sizeof(header));
	for (uint32_t i = sizeof(header); i < len; i++)
		frame[i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13);
}

void bed_attach_vlan_push(const char *ifname, uint16_t tci)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(0x8100)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = tci},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "vlan_push", "GPL", insns,
			       ARRAY_SIZE(insns), NULL);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(ifname),
		    .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = 1, .priority = 1);

	assert_true(fd >= 0);
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	close(fd);
}

/* ---- the datapath ---- */

static void translate(void *aux UNUSED, const struct flow_key *key,
		      struct pipeline_verdict *verdict)
{
	verdict->mask.in_port = UINT32_MAX;
	assert_int_equal(action_list_append_output(&verdict->actions, key->in_port ^ 3), 0);
}

static const struct pipeline cross = {.translate = translate};

struct datapath *bed_create_datapath(unsigned int n_workers, uint32_t n_frames)
{
	struct datapath_config config = {
		.n_workers = n_workers,
		.n_frames = n_frames,
		.pipeline = &cross,
	};
	struct error err = ERROR_INIT;
	struct datapath *dp;

	if (datapath_create(&config, &dp, &err))
		fail_msg("datapath: %s", err.text);
	return dp;
}

int bed_try_typed_port(struct datapath *dp, const char *type, const char *name, const char *options,
		       struct error *err)
{
	struct port_option list[8];
	struct port_config config = {.name = name, .options = list};
	char text[512], *save, *word;
	uint32_t no = 0;
	int ret;

	snprintf(text, sizeof(text), "%s", options);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		list[config.n_options++] = (struct port_option){word, value};
	}
	err->text[0] = '\0';
	ret = datapath_add_port(dp, type, &config, &no, err);
	return ret ? ret : (int)no;
}

int bed_try_port(struct datapath *dp, const char *name, const char *options, struct error *err)
{
	return bed_try_typed_port(dp, "afxdp", name, options, err);
}

uint32_t bed_add_typed_port(struct datapath *dp, const char *type, const char *name,
			    const char *options)
{
	struct error err = ERROR_INIT;
	int ret = bed_try_typed_port(dp, type, name, options, &err);

	if (ret < 0)
		fail_msg("port %s: %s", name, err.text);
	return (uint32_t)ret;
}

uint32_t bed_add_port(struct datapath *dp, const char *name, const char *options)
{
	return bed_add_typed_port(dp, "afxdp", name, options);
}

struct status_query {
	const char *name;
	char *value;
	size_t size;
};

static void take_status(void *aux, const char *name, const char *value)
{
	struct status_query *query = aux;

	if (!strcmp(name, query->name))
		snprintf(query->value, query->size, "%s", value);
}

const char *bed_get_status(struct datapath *dp, uint32_t port_no, const char *name)
{
	static char value[1024];
	struct status_query query = {.name = name, .value = value, .size = sizeof(value)};
	const struct port *port = datapath_get_port(dp, port_no);

	value[0] = '\0';
	port->class->get_status(port, take_status, &query);
	return value;
}

uint32_t bed_count_lent(struct datapath *dp)
{
	struct frame_pool *pool = datapath_get_pool(dp);

	return pool->n_frames - frame_pool_count(pool, FRAME_FREE);
}

void bed_get_counters(struct datapath *dp, uint32_t port_no, struct port_counters *sum)
{
	struct port *port = datapath_get_port(dp, port_no);

	assert_int_equal(port->class->refresh(port), 0);
	port_sum_counters(port, sum);
}
