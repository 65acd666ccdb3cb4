/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>

#include "datapath/netdev_xdp.h"
#include "lib/nlerr.h"

/* linux/netdev.h, which Debian 12 has not. */
#define NETDEV_FAMILY "netdev"
#define NETDEV_VERSION 1
#define NETDEV_CMD_DEV_GET 1
#define NETDEV_A_DEV_IFINDEX 1
#define NETDEV_A_DEV_XDP_FEATURES 3

/* What is looked for in an answer. */
struct wanted {
	int type; /* attribute */
	size_t size; /* its bytes: 2 or 8 */
	uint64_t value;
	bool found;
};

static int take_answer(struct nl_msg *msg, void *wanted_)
{
	struct genlmsghdr *header = nlmsg_data(nlmsg_hdr(msg));
	int len = nlmsg_datalen(nlmsg_hdr(msg)) - (int)sizeof(*header);
	struct wanted *wanted = wanted_;
	struct nlattr *attr;

	if (len < 0)
		return NL_SKIP;
	attr = nla_find((struct nlattr *)(header + 1), len, wanted->type);
	if (!attr || (size_t)nla_len(attr) < wanted->size)
		return NL_SKIP;
	wanted->value = wanted->size == 8 ? nla_get_u64(attr) : nla_get_u16(attr);
	wanted->found = true;
	return NL_OK;
}

/* Sends a question of one attribute, which is in `msg` already, and waits for the answer. */
static int ask(struct nl_sock *sock, struct nl_msg *msg, struct wanted *wanted)
{
	int ret = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_answer, wanted);

	if (!ret)
		ret = nl_send_auto(sock, msg);
	if (ret >= 0)
		ret = nl_recvmsgs_default(sock);
	if (ret < 0)
		return nlerr_errno(ret);
	return wanted->found ? 0 : -EOPNOTSUPP;
}

static struct nl_msg *make_question(int family, uint8_t command, uint8_t version)
{
	struct genlmsghdr header = {.cmd = command, .version = version};
	struct nl_msg *msg = nlmsg_alloc_simple(family, NLM_F_REQUEST);

	if (msg && nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* Returns the number of the family, or a negative errno. */
static int find_family(struct nl_sock *sock)
{
	struct wanted wanted = {.type = CTRL_ATTR_FAMILY_ID, .size = 2};
	struct nl_msg *msg = make_question(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int ret;

	if (!msg)
		return -ENOMEM;
	ret = nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	ret = ret ? -ENOMEM : ask(sock, msg, &wanted);
	nlmsg_free(msg);
	if (ret == -ENOENT)
		return -EOPNOTSUPP;
	return ret ? ret : (int)wanted.value;
}

static int ask_features(struct nl_sock *sock, int ifindex, uint64_t *features)
{
	struct wanted wanted = {.type = NETDEV_A_DEV_XDP_FEATURES, .size = 8};
	int ret = find_family(sock);
	struct nl_msg *msg;

	if (ret < 0)
		return ret;
	msg = make_question(ret, NETDEV_CMD_DEV_GET, NETDEV_VERSION);
	if (!msg)
		return -ENOMEM;
	ret = nla_put_u32(msg, NETDEV_A_DEV_IFINDEX, (uint32_t)ifindex);
	ret = ret ? -ENOMEM : ask(sock, msg, &wanted);
	nlmsg_free(msg);
	*features = wanted.value;
	return ret;
}

int netdev_xdp_get_features(int ifindex, uint64_t *features)
{
	struct nl_sock *sock = nl_socket_alloc();
	int ret;

	if (!sock)
		return -ENOMEM;
	/* Each question has one answer, without an acknowledgement behind it. */
	nl_socket_disable_auto_ack(sock);
	ret = nlerr_errno(nl_connect(sock, NETLINK_GENERIC));
	if (!ret)
		ret = ask_features(sock, ifindex, features);
	nl_socket_free(sock);
	return ret;
}
