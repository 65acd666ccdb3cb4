/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/link_watch.h"

#include "lib/nlerr.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>

/* Messages handled before others in the event loop get their turn; the fd stays readable. */
#define RUN_MESSAGES_MAX 256
#define RECEIVE_BUFFER (1024 * 1024) /* bytes: thousands of interfaces at once */

struct link_watch {
	struct nl_sock *sock; /* joined to RTNLGRP_LINK, non-blocking */
	link_watch_cb *cb;
	void *aux; /* for cb */
};

/* Called by libnl for each message; tells the owner. */
static int handle_message(struct nl_msg *msg, void *aux)
{
	const struct link_watch *w = aux;
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	const struct ifinfomsg *ifi = nlmsg_data(nlh);
	struct nlattr *attrs[IFLA_MAX + 1];
	char name[IFNAMSIZ] = "";

	if (nlh->nlmsg_type != RTM_DELLINK && nlh->nlmsg_type != RTM_NEWLINK)
		return NL_OK;
	if (nlmsg_datalen(nlh) < (int)sizeof(*ifi))
		return NL_OK;
	/* a bridge tells its own leavers in the same group, with its own family */
	if (ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return NL_OK;
	if (nlmsg_parse(nlh, sizeof(*ifi), attrs, IFLA_MAX, NULL) < 0)
		return NL_OK;
	if (attrs[IFLA_IFNAME])
		nla_strlcpy(name, attrs[IFLA_IFNAME], sizeof(name));
	w->cb(w->aux, (unsigned int)ifi->ifi_index, name, nlh->nlmsg_type == RTM_DELLINK);
	return NL_OK;
}

int link_watch_create(link_watch_cb *cb, void *aux, struct link_watch **watch, struct error *e)
{
	struct link_watch *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (!w)
		goto out;
	w->cb = cb;
	w->aux = aux;
	w->sock = nl_socket_alloc();
	if (!w->sock)
		goto out_free;
	nl_socket_disable_seq_check(w->sock);
	err = nlerr_errno(
		nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, handle_message, w));
	if (err)
		goto out_sock;
	err = nlerr_errno(nl_connect(w->sock, NETLINK_ROUTE));
	if (err)
		goto out_sock;
	err = nlerr_errno(nl_socket_set_nonblocking(w->sock));
	if (err)
		goto out_sock;
	err = nlerr_errno(nl_socket_set_buffer_size(w->sock, RECEIVE_BUFFER, 0));
	if (err)
		goto out_sock;
	err = nlerr_errno(nl_socket_add_membership(w->sock, RTNLGRP_LINK));
	if (err)
		goto out_sock;
	*watch = w;
	return 0;

out_sock:
	nl_socket_free(w->sock);
out_free:
	free(w);
out:
	return error_set(e, err, "cannot listen to the kernel's link notifications: %s",
			 strerror(-err));
}

void link_watch_destroy(struct link_watch *watch)
{
	if (!watch)
		return;
	nl_socket_free(watch->sock);
	free(watch);
}

int link_watch_get_fd(const struct link_watch *watch)
{
	return nl_socket_get_fd(watch->sock);
}

int link_watch_run(struct link_watch *watch)
{
	int err;

	for (int i = 0; i < RUN_MESSAGES_MAX; i++) {
		err = nlerr_errno(nl_recvmsgs_default(watch->sock));
		if (err == -EAGAIN)
			return 0;
		/* libnl tells a full socket as out of memory */
		if (err == -ENOMEM || err == -ENOBUFS)
			watch->cb(watch->aux, 0, "", true);
		else if (err && err != -EINTR)
			return err;
	}
	return 0;
}
