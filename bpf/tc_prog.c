/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "bpf/tc_port.h"
#include "bpf/tc_prog.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_tc.skel.h"
#include "bpf/xdp_message.h"
#include "lib/netlink.h"
#include "lib/nlerr.h"

/* Kernel 6.6; not in Debian 12's headers, and libbpf 1.1 passes the number on. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)

/* What a filter of ours is known by, together with its program's name. */
#define FILTER_HANDLE 0x7673
#define FILTER_PRIORITY 0x7673
/* With what the names of our programs start. */
#define OUR_PREFIX "vswitch_tc"
#define NEEDED_CAPABILITIES "CAP_NET_ADMIN and CAP_BPF"
/* Programs on one hook that are looked at. */
#define PROGRAMS_MAX 64

/* The program that looks packets up, one for all ports: the verifier takes some 80 ms over it. The
 * control thread's. */
static struct {
	struct vswitch_tc_bpf *skel; /* NULL: not loaded */
	const struct tier0_maps *maps; /* that it uses */
} lookup;

const char *tc_prog_hook_format(enum tc_prog_hook hook)
{
	static const char *const names[] = {
		[TC_PROG_TCX] = "tcx",
		[TC_PROG_CLSACT] = "clsact",
		[TC_PROG_AUTO] = "auto",
	};

	return names[hook];
}

/* Sets `err` to what was tried, the errno and, where one was printed, the kernel's reason. */
static int explain(struct error *err, int ret, const char *what, const char *ifname)
{
	const char *reason = xdp_message_get();

	if (ret == -EPERM || ret == -EACCES)
		return error_set(err, EPERM, "%s %s: not permitted; it takes " NEEDED_CAPABILITIES,
				 what, ifname);
	errno = -ret;
	if (*reason)
		return error_set(err, ret, "%s %s: %m (%s)", what, ifname, reason);
	return error_set(err, ret, "%s %s: %m", what, ifname);
}

/* ---- who is there -----------------------------------------------------------------------------
 */

/* Is it one of our programs, of whichever process? */
static bool is_ours(uint32_t prog_id)
{
	struct bpf_prog_info info = {.type = 0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool ours;

	if (fd < 0)
		return false;
	ours = !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !strncmp(info.name, OUR_PREFIX, strlen(OUR_PREFIX));
	close(fd);
	return ours;
}

/* A program of ours on the tcx hook is a living one: links end with their process. */
static int check_tcx_free(int ifindex, const char *ifname, struct error *err)
{
	uint32_t ids[PROGRAMS_MAX], n = PROGRAMS_MAX;

	/* A kernel that cannot answer has no tcx. */
	if (bpf_prog_query(ifindex, ATTACH_TCX_INGRESS, 0, NULL, ids, &n))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (is_ours(ids[i]))
			return error_set(err, EBUSY, "%s is a port of a switch already", ifname);
	return 0;
}

/* Counts a filter. */
static int count_filter(struct nl_msg *msg, void *aux)
{
	unsigned int *n = aux;

	if (nlmsg_hdr(msg)->nlmsg_type == RTM_NEWTFILTER)
		(*n)++;
	return NL_OK;
}

/* Adds the number of filters on one hook of clsact to `n`. Returns 0 or a negative errno. */
static int count_filters(struct nl_sock *sock, int ifindex, uint32_t minor, unsigned int *n)
{
	struct tcmsg request = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = ifindex,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, minor),
	};
	int ret;

	ret = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, count_filter, n);
	if (ret >= 0)
		ret = nl_send_simple(sock, RTM_GETTFILTER, NLM_F_DUMP, &request, sizeof(request));
	if (ret >= 0)
		ret = nl_recvmsgs_default(sock);
	return ret < 0 ? nlerr_errno(ret) : 0;
}

/* Does anybody use the device's clsact? When in doubt, yes. */
static bool has_filters(int ifindex)
{
	struct nl_sock *sock;
	unsigned int n = 0;
	int ret;

	if (netlink_connect(&sock, NULL))
		return true;
	ret = count_filters(sock, ifindex, TC_H_MIN_INGRESS, &n);
	if (!ret)
		ret = count_filters(sock, ifindex, TC_H_MIN_EGRESS, &n);
	nl_socket_free(sock);
	return ret || n;
}

/* ---- attaching --------------------------------------------------------------------------------
 */

static void detach(struct tc_attachment *at)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	if (at->link_fd >= 0)
		close(at->link_fd);
	at->link_fd = -1;
	/* All of these fail when the device is gone, and the filter with it. */
	if (at->has_filter)
		(void)bpf_tc_detach(&hook, &filter);
	at->has_filter = false;
	if (at->has_qdisc && !has_filters(at->ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		(void)bpf_tc_hook_destroy(&hook);
	}
	at->has_qdisc = false;
}

static int attach_tcx(struct tc_attachment *at, int prog_fd, const char *ifname, struct error *err)
{
	at->link_fd = bpf_link_create(prog_fd, at->ifindex, ATTACH_TCX_INGRESS, NULL);
	if (at->link_fd < 0) {
		int ret = at->link_fd;

		at->link_fd = -1;
		return explain(err, ret, "attaching a program by tcx to", ifname);
	}
	return 0;
}

/* A filter in our place: one of ours, left by a process that was killed, is replaced. */
static int check_place(const struct bpf_tc_hook *hook, bool *is_left, const char *ifname,
		       struct error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, there, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	*is_left = false;
	if (bpf_tc_query(hook, &there))
		return 0;
	*is_left = is_ours(there.prog_id);
	if (!*is_left)
		return error_set(err, EBUSY,
				 "%s has a tc filter of another program in our place (ingress, "
				 "pref %d, handle 0x%x)",
				 ifname, FILTER_PRIORITY, FILTER_HANDLE);
	return 0;
}

static int attach_clsact(struct tc_attachment *at, int prog_fd, const char *ifname,
			 struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = prog_fd);
	bool is_left;
	int ret;

	ret = bpf_tc_hook_create(&hook);
	if (ret && ret != -EEXIST)
		return explain(err, ret, "making the clsact queueing discipline of", ifname);
	at->has_qdisc = !ret;
	ret = check_place(&hook, &is_left, ifname, err);
	if (ret)
		return ret;
	if (is_left) {
		filter.flags = BPF_TC_F_REPLACE;
		at->has_qdisc = true;
	}
	ret = bpf_tc_attach(&hook, &filter);
	if (ret)
		return explain(err, ret, "attaching a tc filter to", ifname);
	at->has_filter = true;
	return 0;
}

static int attach(struct tc_prog *prog, enum tc_prog_hook hook, struct tc_attachment *at,
		  int prog_fd, const char *ifname, struct error *err)
{
	prog->hook = hook;
	xdp_message_start();
	return hook == TC_PROG_TCX ? attach_tcx(at, prog_fd, ifname, err)
				   : attach_clsact(at, prog_fd, ifname, err);
}

/* The way to the container first: what comes from there may be answered at once. */
static int attach_both(struct tc_prog *prog, const struct tc_prog_config *config,
		       enum tc_prog_hook hook, struct error *err)
{
	struct vswitch_tc_bpf *skel = prog->skel;
	int out = bpf_program__fd(prog->has_redirect_peer ? skel->progs.vswitch_tc_out
							  : skel->progs.vswitch_tc_out_plain);
	int in = bpf_program__fd(prog->tier0 ? skel->progs.vswitch_tc_in_tier0
					     : skel->progs.vswitch_tc_in);
	int ret;

	ret = attach(prog, hook, &prog->out, out, config->tap_ifname, err);
	if (!ret)
		ret = attach(prog, hook, &prog->in, in, config->ifname, err);
	if (ret) {
		detach(&prog->in);
		detach(&prog->out);
	}
	return ret;
}

static int attach_first(struct tc_prog *prog, const struct tc_prog_config *config,
			struct error *err)
{
	int ret;

	ret = check_tcx_free(config->ifindex, config->ifname, err);
	if (ret)
		return ret;
	if (config->hook != TC_PROG_AUTO)
		return attach_both(prog, config, config->hook, err);
	ret = attach_both(prog, config, TC_PROG_TCX, &prog->why_clsact);
	if (ret == -EPERM || ret == -ENODEV)
		return error_set(err, ret, "%s", prog->why_clsact.text);
	return ret ? attach_both(prog, config, TC_PROG_CLSACT, err) : 0;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

/* Each map of tier 0: shared with `maps`, or not made when that is NULL. */
static int set_tier0_maps(struct vswitch_tc_bpf *skel, const struct tier0_maps *maps)
{
	struct bpf_map *map;
	int ret = 0;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (ret)
			break;
		if (maps)
			ret = tier0_maps_share(maps, map);
		else if (!strncmp(bpf_map__name(map), "tier0_", strlen("tier0_")))
			ret = bpf_map__set_autocreate(map, false);
	}
	return ret;
}

/* Opens a skeleton that loads no program unless told to. */
static struct vswitch_tc_bpf *open_skeleton(void)
{
	struct vswitch_tc_bpf *skel;
	struct bpf_program *program;

	xdp_message_start();
	skel = vswitch_tc_bpf__open();
	if (!skel)
		return NULL;
	bpf_object__for_each_program(program, skel->obj) bpf_program__set_autoload(program, false);
	return skel;
}

/* Loads the look-up, for the first port that uses these maps; control thread. */
static int load_lookup(const struct tier0_maps *maps)
{
	struct vswitch_tc_bpf *skel = open_skeleton();
	const uint32_t zero = 0;
	int ret, fd;

	if (!skel)
		return -errno;
	bpf_program__set_autoload(skel->progs.vswitch_tc_tier0, true);
	ret = set_tier0_maps(skel, maps);
	if (!ret)
		ret = vswitch_tc_bpf__load(skel);
	fd = bpf_program__fd(skel->progs.vswitch_tc_tier0);
	if (!ret &&
	    bpf_map_update_elem(bpf_map__fd(skel->maps.vswitch_tc_progs), &zero, &fd, BPF_ANY))
		ret = -errno;
	if (ret) {
		vswitch_tc_bpf__destroy(skel);
		return ret;
	}
	lookup.skel = skel;
	lookup.maps = maps;
	return 0;
}

/* Makes sure of the look-up. Returns 0 or a negative errno. */
static int need_lookup(const struct tier0_maps *maps)
{
	if (!lookup.skel)
		return load_lookup(maps);
	/* Of another datapath in the same process. */
	return lookup.maps == maps ? 0 : -EBUSY;
}

void tc_prog_forget(const struct tier0_maps *maps)
{
	if (lookup.maps != maps)
		return;
	vswitch_tc_bpf__destroy(lookup.skel);
	lookup.skel = NULL;
	lookup.maps = NULL;
}

/* Loads the port's own programs, with one of the two ways to the container. */
static int load_own(struct tc_prog *prog, const struct tc_prog_config *config, bool redirect_peer,
		    bool tier0)
{
	struct vswitch_tc_bpf *skel = open_skeleton();
	int ret;

	if (!skel)
		return -errno;
	bpf_program__set_autoload(
		tier0 ? skel->progs.vswitch_tc_in_tier0 : skel->progs.vswitch_tc_in, true);
	bpf_program__set_autoload(redirect_peer ? skel->progs.vswitch_tc_out
						: skel->progs.vswitch_tc_out_plain,
				  true);
	skel->bss->port.ifindex = (uint32_t)config->ifindex;
	skel->bss->port.tap_ifindex = (uint32_t)config->tap_ifindex;
	ret = set_tier0_maps(skel, NULL);
	if (!ret && tier0)
		ret = bpf_map__reuse_fd(skel->maps.vswitch_tc_progs,
					bpf_map__fd(lookup.skel->maps.vswitch_tc_progs));
	else if (!ret)
		ret = bpf_map__set_autocreate(skel->maps.vswitch_tc_progs, false);
	if (!ret)
		ret = vswitch_tc_bpf__load(skel);
	if (ret) {
		vswitch_tc_bpf__destroy(skel);
		return ret;
	}
	prog->skel = skel;
	prog->has_redirect_peer = redirect_peer;
	prog->tier0 = tier0 ? &skel->bss->tier0_port : NULL;
	return 0;
}

/* Loads with one of the two ways to the container, with tier 0 or without. */
static int load(struct tc_prog *prog, const struct tc_prog_config *config, bool redirect_peer,
		const struct tier0_maps *tier0, struct error *err)
{
	int ret = tier0 ? need_lookup(tier0) : 0;

	if (!ret)
		ret = load_own(prog, config, redirect_peer, tier0 != NULL);
	return ret ? explain(err, ret, "loading the tc programs for", config->ifname) : 0;
}

/* With all, then without tier 0, then without bpf_redirect_peer(), of which tier 0 makes use. */
static int load_first(struct tc_prog *prog, const struct tc_prog_config *config, struct error *err)
{
	int ret = -EOPNOTSUPP;

	if (config->tier0)
		ret = load(prog, config, true, config->tier0, &prog->why_no_tier0);
	if (!ret)
		return 0;
	ret = load(prog, config, true, NULL, &prog->why_plain);
	if (ret == -EPERM || ret == -ENOMEM)
		return error_set(err, ret, "%s", prog->why_plain.text);
	return ret ? load(prog, config, false, NULL, err) : 0;
}

int tc_prog_open(const struct tc_prog_config *config, struct tc_prog **progp, struct error *err)
{
	struct tc_prog *prog = calloc(1, sizeof(*prog));
	int ret;

	if (!prog)
		return error_set(err, ENOMEM, "no memory for the tc programs of %s",
				 config->ifname);
	prog->in = (struct tc_attachment){.ifindex = config->ifindex, .link_fd = -1};
	prog->out = (struct tc_attachment){.ifindex = config->tap_ifindex, .link_fd = -1};
	ret = load_first(prog, config, err);
	if (!ret)
		ret = attach_first(prog, config, err);
	if (ret) {
		tc_prog_close(prog);
		return ret;
	}
	*progp = prog;
	return 0;
}

void tc_prog_close(struct tc_prog *prog)
{
	if (!prog)
		return;
	detach(&prog->in);
	detach(&prog->out);
	vswitch_tc_bpf__destroy(prog->skel);
	free(prog);
}

void tc_prog_set_peer(struct tc_prog *prog, const uint8_t mac[6])
{
	uint64_t word = 0;

	if (mac)
		memcpy(&word, mac, 6);
	__atomic_store_n(&prog->skel->bss->port.peer_mac, word, __ATOMIC_RELAXED);
}
