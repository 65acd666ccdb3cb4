/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BPF_XDP_PROG_PRIV_H
#define BPF_XDP_PROG_PRIV_H

/*
 * What the two halves of xdp_prog.h share: loading and attaching (xdp_prog.c), and programs that
 * outlive their process (xdp_prog_pin.c).
 */

#include "bpf/xdp_prog.h"

/* Pins a program that was attached directly; where that fails it ends with the process, and the log
 * says why. */
void xdp_prog_pin(struct xdp_prog *prog, const struct xdp_prog_config *config);

/* Takes the program over that is pinned for the device. Returns 0, or a negative errno: there is
 * none that fits, and none is pinned any more. */
int xdp_prog_take_over(struct xdp_prog *prog, const struct xdp_prog_config *config) WARN_UNUSED;

#endif
