/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_FAULT_H
#define VHOST_VHOST_FAULT_H

/*
 * Why a guest lost its connection
 * ===============================
 *
 * Every way in which a front end or a guest can break the rules, declared once: symbol, the name
 * under which it is counted and shown, and a sentence for people. The first fault ends the
 * connection; it is counted once and logged in one line.
 *
 * Thread-safety: constants only.
 */

/* X(SYMBOL, "name", "help") */
#define VHOST_FAULTS(X)                                                                            \
	X(NONE, "none", "nothing is wrong")                                                        \
	X(MSG_HEADER, "msg_header", "a message header of another version, or marked as a reply")   \
	X(MSG_SIZE, "msg_size", "a payload longer or shorter than its request has")                \
	X(MSG_FDS, "msg_fds", "more or fewer file descriptors than the request has")               \
	X(MSG_UNKNOWN, "msg_unknown", "a request that does not exist or was not negotiated")       \
	X(MSG_STATE, "msg_state", "a request out of its turn")                                     \
	X(MSG_RING, "msg_ring", "a ring number that the device does not have")                     \
	X(MSG_VALUE, "msg_value", "a value out of its range")                                      \
	X(MSG_FEATURES, "msg_features", "features taken that were not offered")                    \
	X(MSG_FD_KIND, "msg_fd_kind", "a file descriptor of another kind than the request takes")  \
	X(MSG_MEMORY, "msg_memory", "a memory region that cannot be mapped")                       \
	X(MSG_REFUSED, "msg_refused", "what was asked cannot be done, and nobody listens")         \
	X(MSG_TIMEOUT, "msg_timeout", "a message whose end does not come")                         \
	X(REPLY_STUCK, "reply_stuck", "the front end does not read its answers")                   \
	X(MEMORY_LOST, "memory_lost", "the memory file was cut short while in use")                \
	X(RING_UNMAPPED, "ring_unmapped", "a ring is not in guest memory (it waits for that)")     \
	X(RING_LOG, "ring_log", "the dirty log is too small for the ring")                         \
	X(RING_RESUME, "ring_resume", "the record of descriptors in flight makes no sense")        \
	X(RING_AVAILABLE, "ring_available", "the available index jumped by more than the ring")    \
	X(RING_INDEX, "ring_index", "a descriptor index outside of the ring")                      \
	X(RING_LOOP, "ring_loop", "a chain longer than the ring, so it has a loop")                \
	X(RING_INDIRECT, "ring_indirect", "an indirect table that is empty, odd or nested")        \
	X(RING_ADDRESS, "ring_address", "a buffer outside of guest memory")                        \
	X(RING_DIRECTION, "ring_direction", "a buffer that is to be used the other way")           \
	X(RING_CHAIN_SIZE, "ring_chain_size", "a chain of more bytes or pieces than allowed")

enum vhost_fault {
#define X(SYMBOL, NAME, HELP) VHOST_FAULT_##SYMBOL,
	VHOST_FAULTS(X)
#undef X
		VHOST_N_FAULTS
};

/* Returns the fault's name, such as "ring_loop". */
const char *vhost_fault_name(enum vhost_fault fault);
/* Returns one sentence for people. */
const char *vhost_fault_help(enum vhost_fault fault);

#endif
