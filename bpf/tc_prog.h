/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tc_prog.h - loads the tc programs of a veth port, attaches them and detaches them again.
 *
 * Two programs, prebuilt and embedded (vswitch_tc.bpf.c): one on the ingress of the veth, with the
 * look-up of tier 0 (tier0.h) if the caller has its maps and the kernel takes it, and one on the
 * ingress of the port's TAP device. Where a program can be attached:
 *   tcx     a BPF link (kernel 6.6): ends with the process, however that ends, unless it is pinned,
 *           and stands beside other programs in a fixed order
 *   clsact  a classic filter: stays when the process is killed
 * By itself the first that works is taken; why a better one was refused is kept.
 *
 * With tier 0, and a folder for that (pin_dir.h), the program on the veth outlives the process: it
 * goes on with what it knows, and drops the rest, whose TAP device is gone. tc_prog_open() puts a
 * new program in its place, which goes on with its memory, so that nothing is lost in between.
 *
 * The look-up itself is one program for all ports, to which the one on the veth hands over; it is
 * loaded for the first of them and freed with the maps of tier 0.
 *
 * Life cycle: tc_prog_open() loads and attaches, packets flow from then on; tc_prog_set_peer()
 * whenever the other end's address is known or changes; tc_prog_close() detaches exactly our
 * programs, and takes away the clsact queueing discipline if we made it and nobody else uses it.
 *
 * Thread-safety: one control thread.
 */
#ifndef VSWITCH_BPF_TC_PROG_H
#define VSWITCH_BPF_TC_PROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"

struct pin_dir;
struct tier0_maps;
struct tier0_port;
struct vswitch_tc_bpf;

enum tc_prog_hook {
	TC_PROG_TCX,
	TC_PROG_CLSACT,
	TC_PROG_AUTO, /* as wanted: the first that works */
};

struct tc_prog_config {
	int ifindex; /* of the veth */
	const char *ifname; /* of the veth, for texts */
	int tap_ifindex;
	const char *tap_ifname; /* for texts */
	enum tc_prog_hook hook; /* wanted */
	const struct tier0_maps *tier0; /* look packets up there; NULL: no tier 0 */
	struct pin_dir *pins; /* where to pin, with tier 0; NULL: nowhere */
};

/* One program on one device. */
struct tc_attachment {
	int ifindex;
	int link_fd; /* tcx; -1: none */
	bool has_filter; /* clsact: our filter is there */
	bool has_qdisc; /* clsact: we made the queueing discipline */
};

struct tc_prog {
	struct vswitch_tc_bpf *skel;
	struct tc_attachment in; /* on the veth */
	struct tc_attachment out; /* on the TAP */
	enum tc_prog_hook hook; /* in use: TCX or CLSACT */
	bool has_redirect_peer; /* the kernel has bpf_redirect_peer() */
	struct error why_clsact; /* why tcx is not in use; empty: not tried, or in use */
	struct tier0_port
		*tier0; /* of the program that looks packets up, mapped; NULL: none does */
	struct error why_no_tier0; /* means nothing if there is, or none was wanted */
	struct error why_plain; /* why there is no bpf_redirect_peer(); means nothing if there is */
	struct pin_dir *pins; /* where it is pinned; NULL: it is not */
};

/* Loads and attaches. Returns 0, or a negative errno with `err` set: -EPERM, -EBUSY (the veth is a
 * port already, of this switch or another), -EOPNOTSUPP and others as the kernel says. */
int tc_prog_open(const struct tc_prog_config *config, struct tc_prog **progp,
		 struct error *err) WARN_UNUSED;

/* Detaches, unless what is pinned is to be kept, and frees. NULL is allowed. */
void tc_prog_close(struct tc_prog *prog);

/* Detaches the program that another process has left on the veth `ifindex`, if it has pinned one.
 */
void tc_prog_discard(struct pin_dir *pins, int ifindex);

/* The programs as they are embedded, `size` bytes: what tells builds apart. */
const void *tc_prog_get_elf(size_t *size);

/* Tells the programs the Ethernet address of the veth's other end, so that packets for it take the
 * short way there. NULL: it is not known, or lies in the same namespace, where that way ends. */
void tc_prog_set_peer(struct tc_prog *prog, const uint8_t mac[6]);

/* Frees what is kept for ports to come that use these maps. No port may use them any more. */
void tc_prog_forget(const struct tier0_maps *maps);

/* "tcx", "clsact", "auto". */
const char *tc_prog_hook_format(enum tc_prog_hook hook);

#endif /* VSWITCH_BPF_TC_PROG_H */
