/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_PROTO_H
#define VHOST_VHOST_PROTO_H

/*
 * The vhost-user protocol on the wire
 * ===================================
 *
 * Numbers and layouts of QEMU's docs/interop/vhost-user.rst and of virtio 1.2, for the back end
 * and for tests that play the front end. A message is a header of 12 bytes and a payload of
 * header.size bytes, all in the machine's byte order, over an AF_UNIX stream socket; file
 * descriptors travel beside it as SCM_RIGHTS.
 *
 * Ring numbers are counted from the guest's side: ring 2n is queue n that the guest receives from
 * (the device writes), ring 2n + 1 the one that it sends by (the device reads).
 *
 * What rings look like in guest memory is told here as well: <linux/virtio_ring.h> would do that,
 * were it not for the struct vring of its own that it brings.
 *
 * Thread-safety: constants only.
 */

#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "lib/util.h"

/* Bit `n` of a feature mask. */
#define VHOST_BIT(n) (UINT64_C(1) << (n))

/* Queue pairs a device may have, and its rings. */
#define VHOST_QUEUE_PAIRS_MAX 16
#define VHOST_RINGS_MAX (2 * VHOST_QUEUE_PAIRS_MAX)
/* Regions in one SET_MEM_TABLE, and in a table built by ADD_MEM_REG (QEMU's own limit). */
#define VHOST_TABLE_REGIONS_MAX 8
#define VHOST_REGIONS_MAX 509
/* File descriptors in one message. */
#define VHOST_FDS_MAX 8
/* A page of the dirty log, bytes. */
#define VHOST_LOG_PAGE 4096u

/* Feature bits that the kernel's headers here do not have. */
#define VHOST_F_LOG_ALL 26 /* log all writes to guest memory */
#define VHOST_USER_F_PROTOCOL_FEATURES 30
#define VHOST_NET_F_GUEST_USO4 54
#define VHOST_NET_F_GUEST_USO6 55
#define VHOST_NET_F_HOST_USO 56

/* Protocol feature bits; those that the back end has, see vhost_dev.h. */
enum vhost_protocol_feature {
	VHOST_PROTOCOL_MQ = 0,
	VHOST_PROTOCOL_LOG_SHMFD = 1,
	VHOST_PROTOCOL_RARP = 2,
	VHOST_PROTOCOL_REPLY_ACK = 3,
	VHOST_PROTOCOL_NET_MTU = 4,
	VHOST_PROTOCOL_BACKEND_REQ = 5,
	VHOST_PROTOCOL_INFLIGHT_SHMFD = 12,
	VHOST_PROTOCOL_RESET_DEVICE = 13,
	VHOST_PROTOCOL_CONFIGURE_MEM_SLOTS = 15,
	VHOST_PROTOCOL_STATUS = 16,
};

/* Requests of the front end. */
enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_RESET_OWNER = 4,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_LOG_BASE = 6,
	VHOST_SET_LOG_FD = 7,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_VRING_ERR = 14,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_SEND_RARP = 19,
	VHOST_NET_SET_MTU = 20,
	VHOST_SET_BACKEND_REQ_FD = 21,
	VHOST_GET_INFLIGHT_FD = 31,
	VHOST_SET_INFLIGHT_FD = 32,
	VHOST_RESET_DEVICE = 34,
	VHOST_GET_MAX_MEM_SLOTS = 36,
	VHOST_ADD_MEM_REG = 37,
	VHOST_REM_MEM_REG = 38,
	VHOST_SET_STATUS = 39,
	VHOST_GET_STATUS = 40,
	VHOST_N_REQUESTS,
};

/* header.flags */
#define VHOST_FLAG_VERSION_MASK 0x3u
#define VHOST_FLAG_VERSION 0x1u
#define VHOST_FLAG_REPLY 0x4u
#define VHOST_FLAG_NEED_REPLY 0x8u

struct vhost_header {
	uint32_t request; /* enum vhost_request */
	uint32_t flags; /* VHOST_FLAG_* */
	uint32_t size; /* payload bytes that follow */
};
ASSERT_SIZE(struct vhost_header, 12);

/* Payload of SET_VRING_KICK, _CALL and _ERR. */
#define VHOST_FD_RING_MASK 0xffu /* the ring's number */
#define VHOST_FD_NONE 0x100u /* no file descriptor comes with it: poll */

struct vhost_state {
	uint32_t index; /* ring */
	uint32_t num; /* size, base or on/off */
};
ASSERT_SIZE(struct vhost_state, 8);

/* Size of a base in SET_VRING_BASE and GET_VRING_BASE. Split: the next entry of the available
 * ring. Packed: bits 0-14 next available slot, 15 its wrap counter, 16-31 the same for used. */
#define VHOST_BASE_WRAP 0x8000u

#define VHOST_ADDR_LOG 0x1u /* log writes to the used ring, at `log` */

struct vhost_addr {
	uint32_t index; /* ring */
	uint32_t flags; /* VHOST_ADDR_LOG */
	uint64_t desc; /* user addresses: descriptor table or packed ring */
	uint64_t used; /* used ring, or the device's event suppression */
	uint64_t avail; /* available ring, or the driver's event suppression */
	uint64_t log; /* guest physical address by which the used ring is logged */
};
ASSERT_SIZE(struct vhost_addr, 40);

struct vhost_region {
	uint64_t gpa; /* guest physical address */
	uint64_t size; /* bytes */
	uint64_t uva; /* address in the front end's process */
	uint64_t offset; /* of its first byte in the file */
};
ASSERT_SIZE(struct vhost_region, 32);

struct vhost_mem_table {
	uint32_t n;
	uint32_t pad;
	struct vhost_region regions[VHOST_TABLE_REGIONS_MAX]; /* n of them */
};
ASSERT_SIZE(struct vhost_mem_table, 264);

struct vhost_mem_reg {
	uint64_t pad;
	struct vhost_region region;
};
ASSERT_SIZE(struct vhost_mem_reg, 40);

struct vhost_log_area {
	uint64_t size; /* bytes */
	uint64_t offset; /* in the file */
};
ASSERT_SIZE(struct vhost_log_area, 16);

struct vhost_inflight_area {
	uint64_t size; /* bytes */
	uint64_t offset; /* in the file */
	uint16_t n_rings;
	uint16_t ring_size; /* descriptors */
	uint32_t pad; /* not sent: the wire has VHOST_INFLIGHT_WIRE_SIZE bytes, or all 24 */
};
#define VHOST_INFLIGHT_WIRE_SIZE 20u

union vhost_payload {
	uint64_t u64;
	struct vhost_state state;
	struct vhost_addr addr;
	struct vhost_mem_table mem;
	struct vhost_mem_reg reg;
	struct vhost_log_area log;
	struct vhost_inflight_area inflight;
};

/* ---- rings in guest memory, all little-endian (virtio 1.2, sections 2.7 and 2.8) -------- */

#define VIRTIO_RING_F_INDIRECT_DESC 28
#define VIRTIO_RING_F_EVENT_IDX 29

/* Flags of a descriptor. */
#define VRING_DESC_F_NEXT 1u
#define VRING_DESC_F_WRITE 2u
#define VRING_DESC_F_INDIRECT 4u
#define VRING_DESC_F_AVAIL 0x80u /* packed only */
#define VRING_DESC_F_USED 0x8000u /* packed only */

/* vring_used.flags: do not kick. vring_avail.flags: do not call. */
#define VRING_USED_F_NO_NOTIFY 1u
#define VRING_AVAIL_F_NO_INTERRUPT 1u

/* vring_event.flags and the top bit of vring_event.off_wrap. */
#define VRING_EVENT_ENABLE 0u
#define VRING_EVENT_DISABLE 1u
#define VRING_EVENT_DESC 2u /* when the slot in off_wrap is reached */
#define VRING_EVENT_WRAP 0x8000u

/* A descriptor, in two words that are each read at once. */
struct vring_slot {
	uint64_t addr; /* guest physical */
	uint64_t rest; /* from the low bits on: split: len 32, flags 16, next 16; packed: len 32,
			* id 16, flags 16 */
};
ASSERT_SIZE(struct vring_slot, 16);

struct vring_avail {
	uint16_t flags; /* VRING_AVAIL_F_NO_INTERRUPT */
	uint16_t idx; /* free-running count of heads */
	uint16_t ring[]; /* heads; one more behind them is the used index to call at */
};
ASSERT_SIZE(struct vring_avail, 4);

struct vring_used_elem {
	uint32_t id; /* head */
	uint32_t len; /* bytes written */
};

struct vring_used {
	uint16_t flags; /* VRING_USED_F_NO_NOTIFY */
	uint16_t idx; /* free-running count of elements */
	struct vring_used_elem ring[]; /* behind them, 16 bits: the available index to kick at */
};
ASSERT_SIZE(struct vring_used, 4);

/* Packed: when one side wants to hear of the other. */
struct vring_event {
	uint16_t off_wrap; /* slot, and its round in the top bit */
	uint16_t flags; /* VRING_EVENT_* */
};
ASSERT_SIZE(struct vring_event, 4);

/* Request's name as the text has it, such as "SET_VRING_NUM"; "?" for a number without one. */
const char *vhost_proto_name(uint32_t request);

#endif
