/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_message.h - catches what libbpf and libxdp print, and finds the sentence in it that says why.
 *
 * Both libraries return an errno and print the rest: the kernel's own words (netlink's extended
 * acknowledgement), the verifier's log. Between xdp_message_start() and xdp_message_get() the last
 * such reason is kept; everything goes to the log at level debug.
 *
 * Thread-safety: what is kept belongs to the calling thread; the routing is process-wide.
 */
#ifndef VSWITCH_BPF_XDP_MESSAGE_H
#define VSWITCH_BPF_XDP_MESSAGE_H

/* Forgets what was kept, and routes the libraries' messages here. */
void xdp_message_start(void);

/* The reason that was found since, one line without a full stop; "" when there was none. Valid
 * until the thread's next xdp_message_start(). */
const char *xdp_message_get(void);

/* Keeps a reason of our own, which neither library gives. */
void xdp_message_set(const char *text);

#endif /* VSWITCH_BPF_XDP_MESSAGE_H */
