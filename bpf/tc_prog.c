/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
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

#include "bpf/pin_dir.h"
#include "bpf/tc_port.h"
#include "bpf/tc_prog.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_tc.skel.h"
#include "bpf/xdp_message.h"
#include "lib/log.h"
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
/* Pinned: in a port's folder, and what ports share. */
#define LINK "tc_link"
#define MEMORY "tc_memory" /* the programs' variables: struct tc_port, struct tier0_port */
#define LOOKUP "tc_lookup"

/* The program that looks packets up, one for all ports: the verifier takes some 80 ms over it. The
 * control thread's. */
static struct {
	int progs_fd; /* vswitch_tc_progs, where it is; means nothing without `maps`; owned */
	const struct tier0_maps *maps; /* that it uses; NULL: it is not loaded */
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

	/* Not -EACCES, which is the verifier's. */
	if (ret == -EPERM)
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

/* `keep`: leave there what is pinned. */
static void detach(struct tc_attachment *at, bool keep)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = at->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	if (at->link_fd >= 0)
		close(at->link_fd);
	at->link_fd = -1;
	if (keep)
		return;
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

/* at->link_fd is that of a link that another process has left, or -1. */
static int attach_tcx(struct tc_attachment *at, int prog_fd, const char *ifname, struct error *err)
{
	int ret;

	if (at->link_fd >= 0)
		ret = bpf_link_update(at->link_fd, prog_fd, NULL);
	else
		ret = at->link_fd = bpf_link_create(prog_fd, at->ifindex, ATTACH_TCX_INGRESS, NULL);
	if (ret >= 0)
		return 0;
	ret = explain(err, ret, "attaching a program by tcx to", ifname);
	if (at->link_fd >= 0)
		close(at->link_fd);
	at->link_fd = -1;
	return ret;
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
		detach(&prog->in, false);
		detach(&prog->out, false);
	}
	return ret;
}

/* By the way that is wanted, or the first that works. */
static int attach_wanted(struct tc_prog *prog, const struct tc_prog_config *config,
			 struct error *err)
{
	int ret;

	if (config->hook != TC_PROG_AUTO)
		return attach_both(prog, config, config->hook, err);
	ret = attach_both(prog, config, TC_PROG_TCX, &prog->why_clsact);
	if (ret == -EPERM || ret == -ENODEV)
		return error_set(err, ret, "%s", prog->why_clsact.text);
	return ret ? attach_both(prog, config, TC_PROG_CLSACT, err) : 0;
}

/* In the place of a program that another process has left, if it has. */
static int attach_first(struct tc_prog *prog, const struct tc_prog_config *config,
			struct error *err)
{
	int ret, link_fd = pin_dir_get_link(prog->pins, config->ifindex, LINK);
	bool had_link = link_fd >= 0;

	if (had_link && config->hook != TC_PROG_CLSACT)
		prog->in.link_fd = link_fd;
	else if (had_link)
		close(link_fd);
	ret = had_link ? 0 : check_tcx_free(config->ifindex, config->ifname, err);
	if (!ret)
		ret = attach_wanted(prog, config, err);
	/* What was left hangs on the other hook. */
	if (!ret && had_link != (prog->hook == TC_PROG_TCX))
		tc_prog_discard(prog->pins, config->ifindex);
	return ret;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

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

/* Loads the look-up. Returns the map that it is in, or a negative errno. */
static int load_lookup(const struct tier0_maps *maps)
{
	struct vswitch_tc_bpf *skel = open_skeleton();
	const uint32_t zero = 0;
	int ret, fd;

	if (!skel)
		return -errno;
	bpf_program__set_autoload(skel->progs.vswitch_tc_tier0, true);
	ret = tier0_maps_share_all(maps, skel->obj);
	if (!ret)
		ret = vswitch_tc_bpf__load(skel);
	fd = bpf_program__fd(skel->progs.vswitch_tc_tier0);
	if (!ret &&
	    bpf_map_update_elem(bpf_map__fd(skel->maps.vswitch_tc_progs), &zero, &fd, BPF_ANY))
		ret = -errno;
	if (!ret) {
		ret = fcntl(bpf_map__fd(skel->maps.vswitch_tc_progs), F_DUPFD_CLOEXEC, 3);
		ret = ret < 0 ? -errno : ret;
	}
	vswitch_tc_bpf__destroy(skel);
	return ret;
}

/* The look-up that another process has loaded: the map that it is in, or a negative errno. */
static int get_lookup(const struct pin_dir *pins)
{
	uint32_t zero = 0, prog_id;
	int fd = pin_dir_get(pins, 0, LOOKUP);

	if (fd < 0 || !bpf_map_lookup_elem(fd, &zero, &prog_id))
		return fd;
	close(fd);
	return -ENOENT;
}

/* Makes sure of the look-up, and that it lasts as long as the ports' programs. Returns 0 or a
 * negative errno. */
static int need_lookup(const struct tier0_maps *maps, struct pin_dir *pins)
{
	int fd;

	/* Else it is of another datapath in the same process. */
	if (lookup.maps)
		return lookup.maps == maps ? 0 : -EBUSY;
	fd = get_lookup(pins);
	if (fd < 0) {
		fd = load_lookup(maps);
		/* Without it nothing else will be taken over, either. */
		if (fd >= 0 && pins)
			(void)!pin_dir_put(pins, 0, LOOKUP, fd);
	}
	if (fd < 0)
		return fd;
	lookup.progs_fd = fd;
	lookup.maps = maps;
	return 0;
}

void tc_prog_forget(const struct tier0_maps *maps)
{
	if (!lookup.maps || lookup.maps != maps)
		return;
	close(lookup.progs_fd);
	lookup.maps = NULL;
}

/* Lets the port's programs go on with the memory of those that another process has left. */
static int reuse_memory(struct vswitch_tc_bpf *skel, const struct tc_prog_config *config)
{
	int ret, fd = pin_dir_get(config->pins, config->ifindex, MEMORY);

	if (fd < 0)
		return 0;
	ret = bpf_map__reuse_fd(skel->maps.bss, fd);
	close(fd);
	return ret;
}

static void set_port(struct vswitch_tc_bpf *skel, const struct tc_prog_config *config)
{
	skel->bss->port.ifindex = (uint32_t)config->ifindex;
	skel->bss->port.tap_ifindex = (uint32_t)config->tap_ifindex;
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
	ret = tier0_maps_share_all(NULL, skel->obj);
	if (!ret && tier0)
		ret = bpf_map__reuse_fd(skel->maps.vswitch_tc_progs, lookup.progs_fd);
	else if (!ret)
		ret = bpf_map__set_autocreate(skel->maps.vswitch_tc_progs, false);
	if (!ret && tier0)
		ret = reuse_memory(skel, config);
	set_port(skel, config);
	if (!ret)
		ret = vswitch_tc_bpf__load(skel);
	/* The other way needs nothing that changes once it is loaded. */
	if (!ret && !skel->bss && redirect_peer) {
		xdp_message_set("variables of programs cannot be mapped, before Linux 5.5");
		ret = -EOPNOTSUPP;
	}
	if (ret) {
		vswitch_tc_bpf__destroy(skel);
		return ret;
	}
	/* What was reused says what was so before. */
	if (skel->bss)
		set_port(skel, config);
	prog->skel = skel;
	prog->has_redirect_peer = redirect_peer;
	prog->tier0 = tier0 ? &skel->bss->tier0_port : NULL;
	return 0;
}

/* Loads with one of the two ways to the container, with tier 0 or without. */
static int load(struct tc_prog *prog, const struct tc_prog_config *config, bool redirect_peer,
		const struct tier0_maps *tier0, struct error *err)
{
	int ret = tier0 ? need_lookup(tier0, config->pins) : 0;

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

/* ---- pinned -----------------------------------------------------------------------------------
 */

/* Where pinning fails the programs end with the process. */
static void pin(struct tc_prog *prog, const struct tc_prog_config *config)
{
	int ret;

	if (!prog->pins)
		return;
	ret = pin_dir_put(prog->pins, config->ifindex, MEMORY, bpf_map__fd(prog->skel->maps.bss));
	if (!ret && prog->hook == TC_PROG_TCX)
		ret = pin_dir_put(prog->pins, config->ifindex, LINK, prog->in.link_fd);
	if (!ret)
		return;
	log_warn("the tc program of %s ends with the switch: pinning it in %s: %s", config->ifname,
		 pin_dir_get_path(prog->pins), strerror(-ret));
	pin_dir_remove(prog->pins, config->ifindex);
	prog->pins = NULL;
}

void tc_prog_discard(struct pin_dir *pins, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	struct tc_attachment at = {.ifindex = ifindex, .link_fd = -1};
	int fd = pin_dir_get(pins, ifindex, MEMORY);

	if (fd < 0)
		return;
	close(fd);
	at.link_fd = pin_dir_get(pins, ifindex, LINK);
	/* By a filter, then, which is not pinned. */
	if (at.link_fd < 0)
		at.has_qdisc = !check_place(&hook, &at.has_filter, "", NULL) && at.has_filter;
	pin_dir_remove(pins, ifindex);
	detach(&at, false);
}

const void *tc_prog_get_elf(size_t *size)
{
	return vswitch_tc_bpf__elf_bytes(size);
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
	if (prog->tier0)
		prog->pins = config->pins;
	else
		tc_prog_discard(config->pins, config->ifindex);
	if (!ret)
		ret = attach_first(prog, config, err);
	if (ret) {
		tc_prog_close(prog);
		return ret;
	}
	pin(prog, config);
	*progp = prog;
	return 0;
}

void tc_prog_close(struct tc_prog *prog)
{
	bool keep;

	if (!prog)
		return;
	keep = pin_dir_is_kept(prog->pins);
	pin_dir_remove(prog->pins, prog->in.ifindex);
	detach(&prog->in, keep);
	detach(&prog->out, keep);
	vswitch_tc_bpf__destroy(prog->skel);
	free(prog);
}

void tc_prog_set_peer(struct tc_prog *prog, const uint8_t mac[6])
{
	uint64_t word = 0;

	if (!prog->has_redirect_peer)
		return;
	if (mac)
		memcpy(&word, mac, 6);
	__atomic_store_n(&prog->skel->bss->port.peer_mac, word, __ATOMIC_RELAXED);
}
