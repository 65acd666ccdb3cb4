/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drop.h - every reason for which a packet can end inside the switch, declared once.
 *
 * A packet that came in by a port leaves by one, or is counted under exactly one of these reasons,
 * at the port where it happened: the ingress port for switching reasons, the egress port for
 * transmit reasons. So, over all ports and at rest:
 *
 *     sum(rx_packets) + sum(copies) == sum(tx_packets) + sum(drops of stage RX.. to TX)
 *
 * Two stages are the kernel's to report. They are shown beside the others and stand outside of
 * that sum: what is of stage KERNEL never reached us, what is of stage DEVICE was sent, by a worker
 * or by tier 0's programs, and ended in the device. So from cable to cable, at rest:
 *
 *     frames that came + sum(copies) == frames that left + sum(drops of all stages)
 *
 * Thread-safety: constants only. The counters are in struct port_counters, see port.h.
 */
#ifndef VSWITCH_DATAPATH_DROP_H
#define VSWITCH_DATAPATH_DROP_H

#include <stdbool.h>

enum drop_stage {
	DROP_STAGE_KERNEL, /* lost before the switch saw it */
	DROP_STAGE_RX,     /* at ingress, before classification */
	DROP_STAGE_FLOW,   /* by rule, translation or action */
	DROP_STAGE_TX,     /* at egress */
	DROP_STAGE_DEVICE, /* lost after it was sent */
};

/* X(SYMBOL, "name", STAGE, "help") */
#define DROP_REASONS(X)                                                                            \
	X(XSK_RX_RING_FULL, "xsk_rx_ring_full", KERNEL,                                            \
	  "the AF_XDP receive ring was full: the worker did not keep up")                          \
	X(XSK_FILL_RING_EMPTY, "xsk_fill_ring_empty", KERNEL,                                      \
	  "no free frame was in the AF_XDP fill ring")                                             \
	X(XSK_RX_DROPPED, "xsk_rx_dropped", KERNEL,                                                \
	  "the kernel dropped the frame on its way to the AF_XDP socket")                          \
	X(XSK_INVALID_DESCS, "xsk_invalid_descs", KERNEL,                                          \
	  "the kernel refused a ring descriptor as invalid")                                       \
	X(SOCKET_RX, "socket_rx", KERNEL, "the kernel's queue of a packet or TAP port was full")   \
	X(DEVICE_RX, "device_rx", KERNEL, "the device's own queue was full, or it had no memory")  \
	X(RX_TOO_SHORT, "rx_too_short", RX, "shorter than an Ethernet header")                     \
	X(RX_TOO_LONG, "rx_too_long", RX, "longer than the port or a packet's buffers can hold")   \
	X(RX_NO_FRAME, "rx_no_frame", RX, "no free frame in the pool to receive into")             \
	X(RX_BAD_OFFLOAD, "rx_bad_offload", RX,                                                    \
	  "the offload header contradicts the packet (checksum or segment size)")                  \
	X(RX_DISABLED, "rx_disabled", RX, "sent by a queue that its guest has switched off")       \
	X(NO_RULE, "no_rule", FLOW, "no rule matched")                                             \
	X(RULE_DROP, "rule_drop", FLOW, "a rule says drop")                                        \
	X(NO_BRIDGE, "no_bridge", FLOW, "the port belongs to no bridge (any more)")                \
	X(NO_OUTPUT, "no_output", FLOW, "the rule's actions lead to no port")                      \
	X(VLAN, "vlan", FLOW, "the port does not carry the packet's VLAN")                         \
	X(LINK_LOCAL, "link_local", FLOW,                                                          \
	  "a group address that bridges do not forward (01:80:c2:00:00:0x)")                       \
	X(HAIRPIN, "hairpin", FLOW, "the destination lies behind the port it came from")           \
	X(TTL_EXPIRED, "ttl_expired", FLOW, "dec_ttl met a TTL of 0 or 1")                         \
	X(BAD_HEADER, "bad_header", FLOW, "an action needs a header that the packet lacks")        \
	X(FLOW_LIMIT, "flow_limit", FLOW, "translation ran over its limits")                       \
	X(COPY_NO_FRAME, "copy_no_frame", FLOW, "no free frame for a copy to a further port")      \
	X(PORT_GONE, "port_gone", TX, "the output port does not exist (any more)")                 \
	X(TX_RING_FULL, "tx_ring_full", TX, "the output port's queue is full")                     \
	X(TX_TOO_LONG, "tx_too_long", TX, "longer than the output port's MTU allows")              \
	X(TX_NO_FRAME, "tx_no_frame", TX, "no free frame for segmentation or linearisation")       \
	X(TX_ERROR, "tx_error", TX, "the kernel refused the frame")                                \
	X(TX_DOWN, "tx_down", TX, "the output port is down or its device has vanished")            \
	X(DEVICE_TX, "device_tx", DEVICE,                                                          \
	  "the output port's device dropped it: its queue or its receiver's was full")

enum drop_reason {
#define X(SYMBOL, NAME, STAGE, HELP) DROP_##SYMBOL,
	DROP_REASONS(X)
#undef X
	DROP_N_REASONS
};

/* Returns the reason's name, such as "no_rule". */
const char *drop_reason_name(enum drop_reason reason);
/* Returns one sentence for people. */
const char *drop_reason_help(enum drop_reason reason);
enum drop_stage drop_reason_stage(enum drop_reason reason);

/* Is it a loss that the kernel reports, outside of the switch's own sum? */
static inline bool drop_reason_is_kernel(enum drop_reason reason)
{
	return drop_reason_stage(reason) == DROP_STAGE_KERNEL ||
	       drop_reason_stage(reason) == DROP_STAGE_DEVICE;
}

#endif /* VSWITCH_DATAPATH_DROP_H */
