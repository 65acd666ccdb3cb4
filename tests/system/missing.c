/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that lacks something, for missing_features.sh: a library to be preloaded, which refuses
 * what $VSWITCH_MISSING names (features, with commas between them) as an old or a locked-down
 * kernel would, and passes all else on. The first time that it refuses something it says so on
 * standard error, so that a test can see that it was asked for.
 *
 * libbpf makes its calls by syscall(), libnl by sendmsg(); what goes by netlink is not refused
 * here, it is spoilt, so that the kernel itself answers as one that does not know it.
 *
 * Thread-safety: any thread; the list of features is read once, before main().
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_xdp.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

/* Not in Debian 12's headers. */
#define ATTACH_TCX_INGRESS 46
#define PROG_DEV_BOUND (1u << 6)
#define PROG_XDP_FRAGS (1u << 5)
#define BIND_USE_SG (1 << 4)
#define TUN_USO (0x20 | 0x40)
#define OPTION_PREFER_BUSY_POLL 69
#define OPTION_MAX_TX_BUDGET 9

#define VERIFIER_WORDS "R1 invalid mem access 'scalar'\n"
#define MESSAGE_SIZE_MAX 8192

enum call {
	CALL_BPF,
	CALL_OTHER,
	CALL_SOCKET,
	CALL_SETSOCKOPT,
	CALL_BIND,
	CALL_IOCTL,
	CALL_NETLINK
};

/* What is asked of the kernel. */
struct request {
	enum call call;
	long number; /* bpf's command; system call; address family; level; ioctl */
	long detail; /* option; socket type */
	void *data; /* bpf's union, argument, address or message; may be NULL */
	size_t size;
};

static const union bpf_attr *bpf_request(const struct request *request, long command)
{
	return request->call == CALL_BPF && request->number == command ? request->data : NULL;
}

static bool makes_map(const struct request *request, enum bpf_map_type type)
{
	const union bpf_attr *attr = bpf_request(request, BPF_MAP_CREATE);

	return attr && attr->map_type == type;
}

/* Loads it a program with that name? As far as the kernel keeps names. */
static bool loads(const struct request *request, const char *name)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && !strncmp(attr->prog_name, name, BPF_OBJ_NAME_LEN - 1);
}

/* ---- features: does the request need it? ---- */

static bool needs_bpf(const struct request *request)
{
	return request->call == CALL_BPF;
}

static bool needs_maps(const struct request *request)
{
	return bpf_request(request, BPF_MAP_CREATE);
}

static bool needs_array_mmap(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_MAP_CREATE);

	return attr && (attr->map_flags & BPF_F_MMAPABLE);
}

static bool needs_map_memory(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_MAP_CREATE);

	return attr && !strcmp(attr->map_name, "tier0_slots");
}

static bool needs_devmap(const struct request *request)
{
	return makes_map(request, BPF_MAP_TYPE_DEVMAP);
}

static bool needs_map_in_map(const struct request *request)
{
	return makes_map(request, BPF_MAP_TYPE_ARRAY_OF_MAPS);
}

static bool needs_pins(const struct request *request)
{
	return bpf_request(request, BPF_OBJ_PIN);
}

static bool needs_xskmap(const struct request *request)
{
	return makes_map(request, BPF_MAP_TYPE_XSKMAP);
}

static bool needs_prog_array(const struct request *request)
{
	return makes_map(request, BPF_MAP_TYPE_PROG_ARRAY);
}

/* With tier 0 they have functions besides the program itself. */
static bool needs_xdp_tier0(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && attr->prog_type == BPF_PROG_TYPE_XDP && attr->func_info_cnt > 1;
}

static bool needs_xdp(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && attr->prog_type == BPF_PROG_TYPE_XDP;
}

static bool needs_dev_bound(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && (attr->prog_flags & PROG_DEV_BOUND);
}

static bool needs_frags(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && (attr->prog_flags & PROG_XDP_FRAGS);
}

static bool needs_xdp_link(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_LINK_CREATE);

	return attr && attr->link_create.attach_type == BPF_XDP;
}

static bool needs_native_xdp(const struct request *request)
{
	return needs_dev_bound(request) ||
	       (needs_xdp_link(request) &&
		(bpf_request(request, BPF_LINK_CREATE)->link_create.flags & XDP_FLAGS_DRV_MODE));
}

static bool needs_tcx(const struct request *request)
{
	const union bpf_attr *link = bpf_request(request, BPF_LINK_CREATE);
	const union bpf_attr *query = bpf_request(request, BPF_PROG_QUERY);

	return (link && link->link_create.attach_type == ATTACH_TCX_INGRESS) ||
	       (query && query->query.attach_type == ATTACH_TCX_INGRESS);
}

static bool needs_tc(const struct request *request)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	return attr && attr->prog_type == BPF_PROG_TYPE_SCHED_CLS;
}

static bool needs_tc_tier0(const struct request *request)
{
	return loads(request, "vswitch_tc_tier0");
}

static bool needs_redirect_peer(const struct request *request)
{
	return loads(request, "vswitch_tc_tier0") || loads(request, "vswitch_tc_out");
}

static bool needs_membarrier(const struct request *request)
{
	return request->call == CALL_OTHER && request->number == SYS_membarrier;
}

static bool needs_af_xdp(const struct request *request)
{
	return request->call == CALL_SOCKET && request->number == AF_XDP;
}

static bool sets(const struct request *request, int level, int option)
{
	return request->call == CALL_SETSOCKOPT && request->number == level &&
	       request->detail == option;
}

/* The structure has grown: flags and the size of the metadata are its last members. */
static bool needs_tx_metadata(const struct request *request)
{
	return sets(request, SOL_XDP, XDP_UMEM_REG) &&
	       ((const struct xdp_umem_reg *)request->data)->flags;
}

static bool needs_tx_budget(const struct request *request)
{
	return sets(request, SOL_XDP, OPTION_MAX_TX_BUDGET);
}

static bool needs_busy_poll(const struct request *request)
{
	return sets(request, SOL_SOCKET, OPTION_PREFER_BUSY_POLL);
}

static bool needs_packet_vnet(const struct request *request)
{
	return sets(request, SOL_PACKET, PACKET_VNET_HDR);
}

static bool needs_packet_fanout(const struct request *request)
{
	return sets(request, SOL_PACKET, PACKET_FANOUT);
}

static bool needs_xsk_sg(const struct request *request)
{
	const struct sockaddr_xdp *addr = request->data;

	return request->call == CALL_BIND && addr->sxdp_family == AF_XDP &&
	       (addr->sxdp_flags & BIND_USE_SG);
}

static bool needs_tun_uso(const struct request *request)
{
	return request->call == CALL_IOCTL && request->number == TUNSETOFFLOAD &&
	       ((uintptr_t)request->data & TUN_USO);
}

static bool needs_tun_queues(const struct request *request)
{
	return request->call == CALL_IOCTL && request->number == TUNSETIFF &&
	       (((const struct ifreq *)request->data)->ifr_flags & IFF_MULTI_QUEUE);
}

/* Is the name in the message? Then it is another one from now on. */
static bool spoil_name(const struct request *request, const char *name)
{
	char *found = request->call == CALL_NETLINK
			      ? memmem(request->data, request->size, name, strlen(name) + 1)
			      : NULL;

	if (found)
		*found = 'X';
	return found;
}

static bool needs_netdev_family(const struct request *request)
{
	return spoil_name(request, "netdev");
}

static bool needs_clsact(const struct request *request)
{
	return spoil_name(request, "clsact");
}

/* Questions for links of another namespace. */
static bool needs_netnsid(const struct request *request)
{
	const struct rtattr target = {.rta_len = 8, .rta_type = IFLA_TARGET_NETNSID};
	struct nlmsghdr *header = request->data;

	if (request->call != CALL_NETLINK || request->size < sizeof(*header) ||
	    header->nlmsg_type != RTM_GETLINK ||
	    !memmem(request->data, request->size, &target, sizeof(target)))
		return false;
	header->nlmsg_type = UINT16_MAX;
	return true;
}

static struct feature {
	const char *name;
	bool (*is_needed)(const struct request *request);
	int err; /* 0: the request is spoilt instead */
	const char *log; /* the verifier's words; NULL: none */
	bool is_missing;
	bool was_asked;
} features[] = {
	{"bpf", needs_bpf, EPERM, NULL, false, false},
	{"maps", needs_maps, EPERM, NULL, false, false},
	{"array-mmap", needs_array_mmap, EINVAL, NULL, false, false},
	{"map-memory", needs_map_memory, ENOMEM, NULL, false, false},
	{"devmap", needs_devmap, EINVAL, NULL, false, false},
	{"map-in-map", needs_map_in_map, EINVAL, NULL, false, false},
	{"pins", needs_pins, EPERM, NULL, false, false},
	{"xskmap", needs_xskmap, EINVAL, NULL, false, false},
	{"prog-array", needs_prog_array, EPERM, NULL, false, false},
	{"xdp", needs_xdp, EPERM, NULL, false, false},
	{"xdp-verifier", needs_xdp, EACCES, VERIFIER_WORDS, false, false},
	{"xdp-tier0", needs_xdp_tier0, EACCES, VERIFIER_WORDS, false, false},
	{"dev-bound", needs_dev_bound, EINVAL, NULL, false, false},
	{"frags", needs_frags, EINVAL, NULL, false, false},
	{"xdp-link", needs_xdp_link, EINVAL, NULL, false, false},
	{"native-xdp", needs_native_xdp, EOPNOTSUPP, NULL, false, false},
	{"tcx", needs_tcx, EINVAL, NULL, false, false},
	{"tc", needs_tc, EINVAL, NULL, false, false},
	{"tc-verifier", needs_tc, EACCES, VERIFIER_WORDS, false, false},
	{"tc-tier0", needs_tc_tier0, EACCES, VERIFIER_WORDS, false, false},
	{"redirect-peer", needs_redirect_peer, EINVAL, "unknown func bpf_redirect_peer#155\n",
	 false, false},
	{"membarrier", needs_membarrier, ENOSYS, NULL, false, false},
	{"af-xdp", needs_af_xdp, EAFNOSUPPORT, NULL, false, false},
	{"tx-metadata", needs_tx_metadata, EINVAL, NULL, false, false},
	{"tx-budget", needs_tx_budget, ENOPROTOOPT, NULL, false, false},
	{"busy-poll", needs_busy_poll, ENOPROTOOPT, NULL, false, false},
	{"packet-vnet", needs_packet_vnet, ENOPROTOOPT, NULL, false, false},
	{"packet-fanout", needs_packet_fanout, ENOPROTOOPT, NULL, false, false},
	{"xsk-sg", needs_xsk_sg, EINVAL, NULL, false, false},
	{"tun-uso", needs_tun_uso, EINVAL, NULL, false, false},
	{"tun-queues", needs_tun_queues, EINVAL, NULL, false, false},
	{"netdev-family", needs_netdev_family, 0, NULL, false, false},
	{"clsact", needs_clsact, 0, NULL, false, false},
	{"netnsid", needs_netnsid, 0, NULL, false, false},
};

__attribute__((constructor)) static void read_list(void)
{
	const char *list = getenv("VSWITCH_MISSING");

	for (size_t n; list && *list; list += n + (list[n] == ',')) {
		bool is_known = false;

		n = strcspn(list, ",");
		for (size_t i = 0; i < ARRAY_SIZE(features); i++)
			if (strlen(features[i].name) == n && !strncmp(features[i].name, list, n))
				is_known = features[i].is_missing = true;
		if (!is_known) {
			fprintf(stderr, "there is no feature '%s'\n", list);
			_exit(2);
		}
	}
}

/* What the verifier says goes where the caller has asked for it. */
static void write_log(const struct request *request, const char *log)
{
	const union bpf_attr *attr = bpf_request(request, BPF_PROG_LOAD);

	if (log && attr && attr->log_level && attr->log_size > strlen(log))
		strcpy((char *)(uintptr_t)attr->log_buf, log);
}

/* Is a missing feature needed? Returns 0, or -1 with errno set. */
static int check(const struct request *request)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		struct feature *feature = &features[i];

		if (!feature->is_missing || !feature->is_needed(request))
			continue;
		if (!__atomic_exchange_n(&feature->was_asked, true, __ATOMIC_RELAXED))
			dprintf(STDERR_FILENO, "missing: %s\n", feature->name);
		if (!feature->err)
			continue;
		write_log(request, feature->log);
		errno = feature->err;
		return -1;
	}
	return 0;
}

/* ---- what is preloaded ---- */

/* The C library's own function. */
#define REAL(NAME) ((__typeof__(&NAME))(uintptr_t)dlsym(RTLD_NEXT, #NAME))

long syscall(long number, ...)
{
	struct request request = {.call = CALL_OTHER, .number = number};
	long args[6];
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf)
		request = (struct request){.call = CALL_BPF,
					   .number = (int)args[0],
					   .data = (void *)args[1],
					   .size = (size_t)args[2]};
	if (check(&request))
		return -1;
	return REAL(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int socket(int family, int type, int protocol)
{
	const struct request request = {.call = CALL_SOCKET, .number = family, .detail = type};

	return check(&request) ? -1 : REAL(socket)(family, type, protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	const struct request request = {.call = CALL_SETSOCKOPT,
					.number = level,
					.detail = option,
					.data = (void *)(uintptr_t)value,
					.size = size};

	return check(&request) ? -1 : REAL(setsockopt)(fd, level, option, value, size);
}

int bind(int fd, const struct sockaddr *addr, socklen_t size)
{
	const struct request request = {
		.call = CALL_BIND, .data = (void *)(uintptr_t)addr, .size = size};

	return check(&request) ? -1 : REAL(bind)(fd, addr, size);
}

int ioctl(int fd, unsigned long number, ...)
{
	struct request request = {.call = CALL_IOCTL, .number = (long)number};
	va_list list;

	va_start(list, number);
	request.data = va_arg(list, void *);
	va_end(list);
	return check(&request) ? -1 : REAL(ioctl)(fd, number, request.data);
}

/* A message of libbpf's. */
ssize_t send(int fd, const void *data, size_t size, int flags)
{
	char copy[MESSAGE_SIZE_MAX];
	const struct request request = {.call = CALL_NETLINK, .data = copy, .size = size};

	if (size > sizeof(copy))
		return REAL(send)(fd, data, size, flags);
	memcpy(copy, data, size);
	return check(&request) ? -1 : REAL(send)(fd, copy, size, flags);
}

/* A message of libnl's: in one piece. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	char copy[MESSAGE_SIZE_MAX];
	struct iovec iov = {.iov_base = copy};
	struct request request = {.call = CALL_NETLINK, .data = copy};
	struct msghdr changed = *msg;

	if (msg->msg_iovlen != 1 || msg->msg_iov->iov_len > sizeof(copy))
		return REAL(sendmsg)(fd, msg, flags);
	request.size = iov.iov_len = msg->msg_iov->iov_len;
	memcpy(copy, msg->msg_iov->iov_base, iov.iov_len);
	changed.msg_iov = &iov;
	return check(&request) ? -1 : REAL(sendmsg)(fd, &changed, flags);
}
