/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <xdp/libxdp.h>

#include "bpf/pin_dir.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_xdp.skel.h"
#include "bpf/xdp_host.h"
#include "bpf/xdp_message.h"
#include "bpf/xdp_prog_priv.h"

/* Kernel 6.3; not in Debian 12's headers. */
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

#define BPFFS "/sys/fs/bpf"
/* What libxdp calls the program that calls the others. */
#define DISPATCHER "xdp_dispatcher"
/* With what the names of our own programs start. */
#define OUR_PREFIX "vswitch_xdp"
#define NEEDED_CAPABILITIES "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"

const char *xdp_prog_mode_format(enum xdp_prog_mode mode)
{
	static const char *const names[] = {
		[XDP_PROG_NATIVE] = "native",
		[XDP_PROG_GENERIC] = "generic",
		[XDP_PROG_OFFLOAD] = "offload",
	};

	return names[mode];
}

int xdp_prog_probe(struct error *err)
{
	int ret = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL);

	if (ret == 1)
		return 0;
	return error_set(err, ret ? ret : EOPNOTSUPP,
			 "the kernel takes no XDP program from us; it takes " NEEDED_CAPABILITIES);
}

static uint32_t mode_to_flags(enum xdp_prog_mode mode)
{
	static const uint32_t flags[] = {
		[XDP_PROG_NATIVE] = XDP_FLAGS_DRV_MODE,
		[XDP_PROG_GENERIC] = XDP_FLAGS_SKB_MODE,
		[XDP_PROG_OFFLOAD] = XDP_FLAGS_HW_MODE,
	};

	return flags[mode];
}

static enum xdp_attach_mode mode_to_libxdp(enum xdp_prog_mode mode)
{
	static const enum xdp_attach_mode modes[] = {
		[XDP_PROG_NATIVE] = XDP_MODE_NATIVE,
		[XDP_PROG_GENERIC] = XDP_MODE_SKB,
		[XDP_PROG_OFFLOAD] = XDP_MODE_HW,
	};

	return modes[mode];
}

/* Sets `err` to what was tried, the errno and, where one was printed, the kernel's reason. */
static int explain(struct error *err, int ret, const char *what, const char *ifname)
{
	const char *reason = xdp_message_get();

	if (ret == -EPERM)
		return error_set(err, ret, "%s %s: not permitted; it takes " NEEDED_CAPABILITIES,
				 what, ifname);
	errno = -ret;
	if (*reason)
		return error_set(err, ret, "%s %s: %m (%s)", what, ifname, reason);
	return error_set(err, ret, "%s %s: %m", what, ifname);
}

/* Which of the skeleton's programs. */
enum variant { VARIANT_HINTS, VARIANT_PLAIN, VARIANT_BARE };

static struct bpf_program *choose_program(const struct vswitch_xdp_bpf *skel, enum variant variant,
					  bool tier0)
{
	switch (variant) {
	case VARIANT_HINTS:
		return tier0 ? skel->progs.vswitch_xdp_hints_t0 : skel->progs.vswitch_xdp_hints;
	case VARIANT_PLAIN:
		return tier0 ? skel->progs.vswitch_xdp_t0 : skel->progs.vswitch_xdp;
	case VARIANT_BARE:
		break;
	}
	return skel->progs.vswitch_xdp_bare;
}

/* Opens the skeleton with one program to be loaded; `maps`: of tier 0, NULL: without it. */
static int open_skeleton(struct xdp_prog *prog, const struct xdp_prog_config *config,
			 enum variant variant, const struct tier0_maps *maps, struct error *err)
{
	struct vswitch_xdp_bpf *skel = vswitch_xdp_bpf__open();
	uint32_t flags = config->frags ? BPF_F_XDP_HAS_FRAGS : 0;
	struct bpf_program *program;
	int ret;

	if (!skel)
		return explain(err, -errno, "opening the XDP program for", config->ifname);
	ret = tier0_maps_share_all(maps, skel->obj);
	if (ret) {
		vswitch_xdp_bpf__destroy(skel);
		return explain(err, ret, "sharing the maps of tier 0 with", config->ifname);
	}
	prog->program = choose_program(skel, variant, maps != NULL);
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == prog->program);
	if (variant == VARIANT_HINTS || config->mode == XDP_PROG_OFFLOAD)
		bpf_program__set_ifindex(prog->program, (uint32_t)config->ifindex);
	if (variant == VARIANT_HINTS)
		flags |= BPF_F_XDP_DEV_BOUND_ONLY;
	bpf_program__set_flags(prog->program, flags);
	bpf_map__set_max_entries(skel->maps.xsks, config->n_queues);
	skel->rodata->xdp_host_on = config->keep_host;
	skel->rodata->tier0_groups_on = maps && maps->groups_fd >= 0;
	skel->bss->pinned_xdp = (struct pinned_xdp){
		.mode = config->mode,
		.frags = config->frags,
		.hints = variant == VARIANT_HINTS,
		.keep_host = config->keep_host,
		.n_queues = config->n_queues,
	};
	prog->skel = skel;
	prog->hints = variant == VARIANT_HINTS;
	prog->record = variant != VARIANT_BARE;
	return 0;
}

static void close_skeleton(struct xdp_prog *prog)
{
	vswitch_xdp_bpf__destroy(prog->skel);
	prog->skel = NULL;
	prog->program = NULL;
}

/*
 * A link's refusal comes without words, an attachment by netlink has them: try that as well, to
 * hear why. Should it succeed after all, it is undone, for it would outlive us. Returns whether.
 */
static bool ask_reason(int ifindex, int fd, uint32_t flags)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd);

	if (bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		return false;
	bpf_xdp_detach(ifindex, flags | XDP_FLAGS_REPLACE, &opts);
	return true;
}

static int attach_link(struct xdp_prog *prog, const struct xdp_prog_config *config,
		       struct error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode_to_flags(config->mode));
	int ret, fd = bpf_program__fd(prog->program);
	char what[80];

	prog->link_fd = bpf_link_create(fd, config->ifindex, BPF_XDP, &opts);
	if (prog->link_fd >= 0)
		return 0;
	ret = prog->link_fd;
	prog->link_fd = -1;
	if (ret != -EPERM && ask_reason(config->ifindex, fd, opts.flags) && ret == -EINVAL)
		xdp_message_set("it takes BPF links for XDP, which are of Linux 5.9");
	snprintf(what, sizeof(what), "attaching the XDP program in %s mode to",
		 xdp_prog_mode_format(config->mode));
	return explain(err, ret, what, config->ifname);
}

/* Loads and attaches one variant to a device without an XDP program. */
static int open_direct(struct xdp_prog *prog, const struct xdp_prog_config *config,
		       enum variant variant, const struct tier0_maps *maps, struct error *err)
{
	int ret;

	xdp_message_start();
	ret = open_skeleton(prog, config, variant, maps, err);
	if (ret)
		return ret;
	ret = vswitch_xdp_bpf__load(prog->skel);
	/* libbpf looks for the metadata kfuncs there, whichever program is to be loaded. */
	if (ret == -ESRCH)
		xdp_message_set("the kernel has no BTF, CONFIG_DEBUG_INFO_BTF");
	if (ret)
		ret = explain(err, ret,
			      config->mode == XDP_PROG_OFFLOAD
				      ? "the driver takes no program for the NIC: loading it for"
				      : "loading the XDP program for",
			      config->ifname);
	else
		ret = attach_link(prog, config, err);
	if (ret) {
		close_skeleton(prog);
		return ret;
	}
	/* Else the program's variables cannot be mapped, and there are no maps, either. */
	if (prog->skel->bss) {
		prog->state = &prog->skel->bss->pinned_xdp;
		prog->state->undo = prog->undo;
	}
	if (maps) {
		prog->tier0 = &prog->skel->bss->tier0_port;
		xdp_prog_pin(prog, config);
	}
	return 0;
}

/* The name of a loaded program; "?" when it cannot be had. */
static void get_program_name(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {.type = 0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	strcpy(name, "?");
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
}

/* Is there an XDP program on the device already? Sets `id` to it, 0: none. */
static int query(const struct xdp_prog_config *config, uint32_t *id, enum xdp_prog_mode *mode,
		 struct error *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int ret = bpf_xdp_query(config->ifindex, 0, &opts);

	if (ret)
		return explain(err, ret, "asking for the XDP program of", config->ifname);
	*id = opts.drv_prog_id ? opts.drv_prog_id : opts.skb_prog_id;
	*mode = opts.drv_prog_id ? XDP_PROG_NATIVE : XDP_PROG_GENERIC;
	return 0;
}

/* Can the program that is there share the device with ours? */
static int check_shareable(const struct xdp_prog_config *config, uint32_t id,
			   enum xdp_prog_mode mode, struct error *err)
{
	char name[BPF_OBJ_NAME_LEN];
	struct statfs fs;

	get_program_name(id, name);
	if (!strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)))
		return error_set(err, EBUSY, "%s is a port of another switch already",
				 config->ifname);
	if (mode != config->mode)
		return error_set(err, EEXIST,
				 "%s has XDP program '%s' (id %u) in %s mode, which excludes %s "
				 "mode",
				 config->ifname, name, id, xdp_prog_mode_format(mode),
				 xdp_prog_mode_format(config->mode));
	if (strcmp(name, DISPATCHER))
		return error_set(err, EBUSY,
				 "%s has XDP program '%s' (id %u), which was not attached through "
				 "libxdp's dispatcher and does not share; detach it (ip link set "
				 "dev %s xdp off) or attach it with xdp-loader",
				 config->ifname, name, id, config->ifname);
	if (statfs(BPFFS, &fs) || (uint64_t)fs.f_type != BPF_FS_MAGIC)
		return error_set(err, ENOENT,
				 "%s has XDP programs already; to share the device, libxdp's "
				 "dispatcher needs a BPF file system: mount -t bpf bpf " BPFFS,
				 config->ifname);
	return 0;
}

/* Loads and attaches under libxdp's dispatcher. */
static int open_dispatched(struct xdp_prog *prog, const struct xdp_prog_config *config,
			   enum variant variant, struct error *err)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
	int ret;

	xdp_message_start();
	ret = open_skeleton(prog, config, variant, NULL, err);
	if (ret)
		return ret;
	opts.obj = prog->skel->obj;
	opts.prog_name = bpf_program__name(prog->program);
	prog->dispatched = xdp_program__create(&opts);
	ret = (int)libxdp_get_error(prog->dispatched);
	if (ret) {
		ret = explain(err, ret, "preparing the XDP program for", config->ifname);
		goto err_skeleton;
	}
	/* Last of all: what we take never comes back to the ones behind us. */
	xdp_program__set_run_prio(prog->dispatched, 90);
	ret = xdp_program__set_xdp_frags_support(prog->dispatched, config->frags);
	if (!ret)
		ret = xdp_program__attach(prog->dispatched, config->ifindex,
					  mode_to_libxdp(config->mode), 0);
	if (ret) {
		ret = explain(err, ret, "joining the XDP dispatcher of", config->ifname);
		goto err_program;
	}
	return 0;

err_program:
	xdp_program__close(prog->dispatched);
err_skeleton:
	prog->dispatched = NULL;
	close_skeleton(prog);
	return ret;
}

static int share(struct xdp_prog *prog, const struct xdp_prog_config *config, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = open_dispatched(prog, config, VARIANT_PLAIN, &why);

	/* -EINVAL: the dispatcher's places are not for programs that change the packet. */
	return ret == -EINVAL ? open_dispatched(prog, config, VARIANT_BARE, err)
	       : ret	      ? error_set(err, ret, "%s", why.text)
			      : 0;
}

/* The best variant for a device without an XDP program. */
static int open_best(struct xdp_prog *prog, const struct xdp_prog_config *config,
		     const struct tier0_maps *maps, struct error *err)
{
	if (config->mode == XDP_PROG_NATIVE) {
		if (!open_direct(prog, config, VARIANT_HINTS, maps, &prog->why_plain))
			return 0;
	} else {
		error_set(&prog->why_plain, EOPNOTSUPP, "the kernel has them in native mode only");
	}
	return open_direct(prog, config, VARIANT_PLAIN, maps, err);
}

static int open_program(struct xdp_prog *prog, const struct xdp_prog_config *config,
			struct error *err)
{
	enum xdp_prog_mode mode = config->mode;
	uint32_t id = 0;
	int ret;

	if (!xdp_prog_take_over(prog, config))
		return 0;
	ret = query(config, &id, &mode, err);
	if (ret)
		return ret;
	if (id) {
		ret = check_shareable(config, id, mode, err);
		if (!ret)
			ret = share(prog, config, err);
		error_set(&prog->why_plain, EOPNOTSUPP,
			  "libxdp's dispatcher is not bound to the device");
		error_set(&prog->why_no_tier0, EOPNOTSUPP,
			  "the XDP program is shared through libxdp's dispatcher");
		return ret;
	}
	if (config->tier0 && mode != XDP_PROG_OFFLOAD &&
	    !open_best(prog, config, config->tier0, &prog->why_no_tier0))
		return 0;
	return open_best(prog, config, NULL, err);
}

int xdp_prog_open(const struct xdp_prog_config *config, struct xdp_prog **progp, struct error *err)
{
	struct xdp_prog *prog = calloc(1, sizeof(*prog));
	int ret;

	if (!prog)
		return error_set(err, ENOMEM, "no memory for the XDP program of %s",
				 config->ifname);
	prog->link_fd = -1;
	prog->ifindex = config->ifindex;
	prog->mode = config->mode;
	prog->frags = config->frags;
	xdp_message_start();
	ret = open_program(prog, config, err);
	if (ret) {
		free(prog);
		return ret;
	}
	*progp = prog;
	return 0;
}

void xdp_prog_close(struct xdp_prog *prog)
{
	if (!prog)
		return;
	pin_dir_remove(prog->pins, prog->ifindex);
	if (prog->link_fd >= 0)
		close(prog->link_fd);
	if (prog->dispatched) {
		/* Fails when the device is gone, and the program with it. */
		(void)xdp_program__detach(prog->dispatched, prog->ifindex,
					  mode_to_libxdp(prog->mode), 0);
		xdp_program__close(prog->dispatched);
	}
	close_skeleton(prog);
	free(prog->host_addrs);
	free(prog);
}

int xdp_prog_set_socket(struct xdp_prog *prog, uint32_t queue, int fd)
{
	int map = bpf_map__fd(prog->skel->maps.xsks);

	return bpf_map_update_elem(map, &queue, &fd, BPF_ANY) ? -errno : 0;
}

static bool has_addr(const struct xdp_host_addr *addrs, uint32_t n,
		     const struct xdp_host_addr *addr)
{
	for (uint32_t i = 0; i < n; i++)
		if (!memcmp(&addrs[i], addr, sizeof(*addr)))
			return true;
	return false;
}

/* Takes out of the map what is not among `addrs`, and puts the others in. */
static int change_host_addrs(struct xdp_prog *prog, const struct xdp_host_addr *addrs, uint32_t n)
{
	int map = bpf_map__fd(prog->skel->maps.xdp_host_addrs);
	const uint8_t there = 1;

	for (uint32_t i = 0; i < prog->n_host_addrs; i++)
		if (!has_addr(addrs, n, &prog->host_addrs[i]))
			(void)bpf_map_delete_elem(map, &prog->host_addrs[i]);
	for (uint32_t i = 0; i < n; i++)
		if (!has_addr(prog->host_addrs, prog->n_host_addrs, &addrs[i]) &&
		    bpf_map_update_elem(map, &addrs[i], &there, BPF_ANY))
			return -errno;
	return 0;
}

int xdp_prog_set_host(struct xdp_prog *prog, const uint8_t mac[6],
		      const struct xdp_host_addr *addrs, uint32_t n)
{
	struct xdp_host_addr *copy;
	uint64_t word = 0;
	int ret;

	/* Before Linux 5.5 programs' variables cannot be mapped. */
	if (!prog->skel->bss)
		return -EOPNOTSUPP;
	copy = malloc(n ? n * sizeof(*copy) : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(&word, mac, 6);
	__atomic_store_n(&prog->skel->bss->xdp_host_mac, word, __ATOMIC_RELAXED);
	ret = change_host_addrs(prog, addrs, n);
	if (ret) {
		free(copy);
		return ret;
	}
	memcpy(copy, addrs, n * sizeof(*copy));
	free(prog->host_addrs);
	prog->host_addrs = copy;
	prog->n_host_addrs = n;
	return 0;
}
