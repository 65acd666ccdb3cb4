/* SPDX-License-Identifier: BSD-2-Clause */
/* XDP programs that outlive their process: pinned, taken over, ended. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/pin_dir.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_xdp.skel.h"
#include "bpf/xdp_host.h"
#include "bpf/xdp_message.h"
#include "bpf/xdp_prog_priv.h"
#include "lib/log.h"

/* Files of a port's folder. */
#define LINK "xdp_link"
#define MEMORY "xdp_memory" /* the program's variables: struct pinned_xdp, struct tier0_port */
#define SOCKETS "xdp_sockets"
#define HOST_ADDRS "xdp_host_addrs"

const void *xdp_prog_get_elf(size_t *size)
{
	return vswitch_xdp_bpf__elf_bytes(size);
}

void xdp_prog_pin(struct xdp_prog *prog, const struct xdp_prog_config *config)
{
	const struct vswitch_xdp_bpf *skel = prog->skel;
	struct pin_dir *pins = config->pins;
	int ret;

	if (!pins)
		return;
	/* The link last: without it the others are of no use. */
	ret = pin_dir_put(pins, config->ifindex, MEMORY, bpf_map__fd(skel->maps.bss));
	if (!ret)
		ret = pin_dir_put(pins, config->ifindex, SOCKETS, bpf_map__fd(skel->maps.xsks));
	if (!ret)
		ret = pin_dir_put(pins, config->ifindex, HOST_ADDRS,
				  bpf_map__fd(skel->maps.xdp_host_addrs));
	if (!ret)
		ret = pin_dir_put(pins, config->ifindex, LINK, prog->link_fd);
	if (!ret) {
		prog->pins = pins;
		return;
	}
	log_warn("the XDP program of %s ends with the switch: pinning it in %s: %s", config->ifname,
		 pin_dir_get_path(pins), strerror(-ret));
	pin_dir_remove(pins, config->ifindex);
}

/* ---- taking over ------------------------------------------------------------------------------
 */

/* Lets the skeleton use a pinned map. */
static int reuse(const struct xdp_prog_config *config, const char *file, struct bpf_map *map)
{
	int ret, fd = pin_dir_get(config->pins, config->ifindex, file);

	if (fd < 0)
		return fd;
	ret = bpf_map__reuse_fd(map, fd);
	close(fd);
	return ret;
}

/* A skeleton that has the running program's maps, and no program. NULL: it cannot be had. */
static struct vswitch_xdp_bpf *open_skeleton(const struct xdp_prog_config *config)
{
	struct vswitch_xdp_bpf *skel;
	struct bpf_program *program;
	int ret;

	xdp_message_start();
	skel = vswitch_xdp_bpf__open();
	if (!skel)
		return NULL;
	bpf_object__for_each_program(program, skel->obj) bpf_program__set_autoload(program, false);
	ret = tier0_maps_share_all(NULL, skel->obj);
	if (!ret)
		ret = reuse(config, MEMORY, skel->maps.bss);
	if (!ret)
		ret = reuse(config, SOCKETS, skel->maps.xsks);
	if (!ret)
		ret = reuse(config, HOST_ADDRS, skel->maps.xdp_host_addrs);
	if (!ret)
		ret = vswitch_xdp_bpf__load(skel);
	if (!ret)
		return skel;
	vswitch_xdp_bpf__destroy(skel);
	return NULL;
}

/* Is it what would be loaded? Whether it takes several buffers is up to the device. */
static bool fits(const struct pinned_xdp *state, const struct xdp_prog_config *config)
{
	return state->mode == config->mode && !!state->keep_host == config->keep_host &&
	       state->n_queues == config->n_queues;
}

/* Learns which addresses the program knows as the host's, so that the next change is right. */
static int read_host_addrs(struct xdp_prog *prog)
{
	int map = bpf_map__fd(prog->skel->maps.xdp_host_addrs);
	struct xdp_host_addr *addrs = calloc(XDP_HOST_ADDRS_MAX, sizeof(*addrs));
	uint32_t n = 0;

	if (!addrs)
		return -ENOMEM;
	while (n < XDP_HOST_ADDRS_MAX &&
	       !bpf_map_get_next_key(map, n ? &addrs[n - 1] : NULL, &addrs[n]))
		n++;
	prog->host_addrs = addrs;
	prog->n_host_addrs = n;
	return 0;
}

static int take_over(struct xdp_prog *prog, const struct xdp_prog_config *config)
{
	struct vswitch_xdp_bpf *skel;
	int link_fd;

	link_fd = pin_dir_get_link(config->pins, config->ifindex, LINK);
	if (link_fd < 0)
		return link_fd;
	skel = open_skeleton(config);
	if (!skel || !fits(&skel->bss->pinned_xdp, config)) {
		close(link_fd);
		vswitch_xdp_bpf__destroy(skel);
		return -ESTALE;
	}
	prog->skel = skel;
	prog->link_fd = link_fd;
	prog->state = &skel->bss->pinned_xdp;
	prog->tier0 = &skel->bss->tier0_port;
	prog->frags = prog->state->frags;
	prog->hints = prog->state->hints;
	prog->record = true;
	prog->pins = config->pins;
	if (!prog->hints)
		error_set(&prog->why_plain, EOPNOTSUPP,
			  "they were refused when the program was loaded");
	return read_host_addrs(prog);
}

int xdp_prog_take_over(struct xdp_prog *prog, const struct xdp_prog_config *config)
{
	int ret;

	if (!config->pins)
		return -ENOENT;
	ret = config->tier0 ? take_over(prog, config) : -ESTALE;
	if (!ret)
		return 0;
	if (prog->skel) {
		close(prog->link_fd);
		prog->link_fd = -1;
		vswitch_xdp_bpf__destroy(prog->skel);
		prog->skel = NULL;
	}
	prog->undo = xdp_prog_discard(config->pins, config->ifindex);
	return ret;
}

uint32_t xdp_prog_discard(struct pin_dir *pins, int ifindex)
{
	int fd = pin_dir_get(pins, ifindex, MEMORY);
	struct xdp_prog_config config = {.ifindex = ifindex, .pins = pins};
	struct vswitch_xdp_bpf *skel;
	uint32_t undo = 0;

	if (fd < 0)
		return 0;
	close(fd);
	skel = open_skeleton(&config);
	if (skel)
		undo = skel->bss->pinned_xdp.undo;
	vswitch_xdp_bpf__destroy(skel);
	pin_dir_remove(pins, ifindex);
	return undo;
}
