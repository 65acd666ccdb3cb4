/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_prog.h - loads the XDP program of a port, attaches it to its device and detaches it again.
 *
 * One program, prebuilt and embedded, in variants that the kernel and the device decide upon, see
 * vswitch_xdp.bpf.c: with tier 0 if there are maps for it, else without; with hints from the
 * driver, else without, else without a record of the headers; with or without multi-buffer (frags),
 * and native, generic or offloaded as the caller says.
 *
 * When the device has no XDP program the attachment is direct, by a BPF link: it ends with the
 * process, however that ends, and nobody can replace it by mistake. Only one with tier 0 is pinned,
 * if the caller has a folder for that (pin_dir.h): then it goes on with what it knows when the
 * process is killed, and passes the rest to the host. xdp_prog_open() takes such a program over as
 * it runs, if it is what would have been loaded; else it ends it. When there is another program,
 * libxdp's dispatcher takes both, if the other one came by it too; that needs a BPF file system
 * at /sys/fs/bpf, and has no hints, for the dispatcher is not bound to the device, and with most
 * dispatchers no record.
 *
 * Life cycle: xdp_prog_open() loads and attaches; xdp_prog_set_socket() gives queues to AF_XDP
 * sockets, until then frames pass to the host; xdp_prog_close() detaches exactly our program.
 *
 * Thread-safety: one control thread. Messages of libbpf and libxdp, which are process-wide, are
 * routed to the log and into error texts by the first call.
 */
#ifndef VSWITCH_BPF_XDP_PROG_H
#define VSWITCH_BPF_XDP_PROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"

struct bpf_program;
struct pin_dir;
struct tier0_maps;
struct xdp_host_addr;
struct pinned_xdp;
struct tier0_port;
struct vswitch_xdp_bpf;
struct xdp_program;

enum xdp_prog_mode {
	XDP_PROG_NATIVE, /* in the driver, before the kernel makes an skb */
	XDP_PROG_GENERIC, /* on skbs: any device, slower */
	XDP_PROG_OFFLOAD, /* in the NIC */
};

struct xdp_prog_config {
	int ifindex;
	const char *ifname; /* for texts */
	enum xdp_prog_mode mode;
	bool frags; /* take frames of several buffers */
	unsigned int n_queues; /* receive queues that sockets will be set for: 0 to n_queues - 1 */
	bool keep_host; /* leave the host its share, see xdp_host.h */
	const struct tier0_maps *tier0; /* made and reserved; NULL: do without tier 0 */
	struct pin_dir *pins; /* where to pin it, if it has tier 0; NULL: nowhere */
};

struct xdp_prog {
	struct vswitch_xdp_bpf *skel; /* programs and the socket map */
	struct bpf_program *program; /* the one of them that is loaded; NULL: it was taken over */
	struct xdp_program
		*dispatched; /* the same, if it runs under libxdp's dispatcher; or NULL */
	int link_fd; /* the direct attachment; -1: none */
	int ifindex;
	enum xdp_prog_mode mode;
	bool frags; /* as in the configuration */
	bool hints; /* the driver is asked for hash, timestamp and VLAN tag */
	bool record; /* frames come with a struct xdp_meta ahead */
	struct xdp_host_addr *host_addrs; /* told to the program, n_host_addrs of them; owned */
	uint32_t n_host_addrs;
	struct tier0_port *tier0; /* the program's port, mapped; NULL: it has no tier 0 */
	struct pinned_xdp *state; /* mapped; NULL: it is not, and not pinned */
	uint32_t undo; /* what a program that was not taken over has left: for state->undo */
	struct pin_dir *pins; /* where it is pinned; NULL: it is not */
	struct error why_no_tier0; /* means nothing if it has */
	struct error why_plain; /* why there are no hints; means nothing if there are */
};

/* Does the kernel take XDP programs from us? Returns 0 or a negative errno with `err` set. */
int xdp_prog_probe(struct error *err) WARN_UNUSED;

/* Loads and attaches. Returns 0, or a negative errno with `err` set: -EPERM, -EBUSY (another XDP
 * program that does not share), -EEXIST (one in another mode), -ENOENT (no BPF file system),
 * -EOPNOTSUPP and others as the kernel and the driver say. */
int xdp_prog_open(const struct xdp_prog_config *config, struct xdp_prog **progp,
		  struct error *err) WARN_UNUSED;

/* Detaches, unless what is pinned is to be kept, and frees. NULL is allowed. */
void xdp_prog_close(struct xdp_prog *prog);

/* Detaches the program that another process has pinned for `ifindex`, if there is one. Returns what
 * is to be undone at the device, PINNED_XDP_*. */
uint32_t xdp_prog_discard(struct pin_dir *pins, int ifindex);

/* The programs as they are embedded, `size` bytes: what tells builds apart. */
const void *xdp_prog_get_elf(size_t *size);

/* Sends what arrives on receive queue `queue` to the AF_XDP socket `fd`. Returns 0 or a negative
 * errno. */
int xdp_prog_set_socket(struct xdp_prog *prog, uint32_t queue, int fd) WARN_UNUSED;

/* Tells which addresses are the host's, with keep_host: all of them, `n` of XDP_HOST_ADDRS_MAX at
 * most. Returns 0 or a negative errno. */
int xdp_prog_set_host(struct xdp_prog *prog, const uint8_t mac[6],
		      const struct xdp_host_addr *addrs, uint32_t n) WARN_UNUSED;

/* "native", "generic", "offload". */
const char *xdp_prog_mode_format(enum xdp_prog_mode mode);

#endif /* VSWITCH_BPF_XDP_PROG_H */
