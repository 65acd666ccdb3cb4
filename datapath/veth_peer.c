/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/veth_peer.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <string.h>

#include "lib/nlerr.h"

/* Takes name and address out of the kernel's answer. */
static int take_link(struct nl_msg *msg, void *aux)
{
	struct nlattr *attrs[IFLA_MAX + 1];
	struct veth_peer *peer = aux;

	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) < 0 ||
	    !attrs[IFLA_IFNAME] || !attrs[IFLA_ADDRESS] ||
	    nla_len(attrs[IFLA_ADDRESS]) != sizeof(peer->mac))
		return NL_OK;
	nla_strlcpy(peer->name, attrs[IFLA_IFNAME], sizeof(peer->name));
	memcpy(peer->mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(peer->mac));
	peer->has_mac = true;
	return NL_OK;
}

/* A request for the peer's link; `nsid`: the namespace it is in, if it is elsewhere. */
static struct nl_msg *make_request(const struct veth_peer *peer, int nsid)
{
	struct ifinfomsg ifi = {.ifi_index = peer->ifindex};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST);

	if (!msg)
		return NULL;
	if (nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) ||
	    (peer->is_elsewhere && nla_put_s32(msg, IFLA_TARGET_NETNSID, nsid))) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* Sends the request and takes the answer, if it comes. */
static int ask(struct nl_sock *sock, struct nl_msg *request, struct veth_peer *peer)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int ret;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, take_link, peer);
	ret = nl_send_auto(sock, request);
	if (ret >= 0)
		ret = nl_recvmsgs(sock, cb);
	/* The acknowledgement that libnl asks for. */
	if (ret >= 0)
		ret = nl_wait_for_ack(sock);
	nl_cb_put(cb);
	return ret < 0 ? nlerr_errno(ret) : 0;
}

int veth_peer_get(struct nl_sock *sock, struct rtnl_link *link, struct veth_peer *peer)
{
	struct nl_msg *request;
	int nsid = 0;

	*peer = (struct veth_peer){.ifindex = rtnl_link_get_link(link)};
	if (!peer->ifindex)
		return -ENODEV;
	peer->is_elsewhere = rtnl_link_get_link_netnsid(link, &nsid) == 0;
	request = make_request(peer, nsid);
	if (!request)
		return -ENOMEM;
	/* A refusal only leaves the address unknown. */
	(void)ask(sock, request, peer);
	nlmsg_free(request);
	return 0;
}
