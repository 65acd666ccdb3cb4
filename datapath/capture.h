/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - capture files (pcap): a whole file in memory to be replayed, and a file being
 * written.
 *
 * A `struct capture` holds every packet of a file in one block, each on cache lines of its own and
 * padded to whole ones, so that a replay copies it with a few wide moves and the processor fetches
 * the next one ahead. Read with libpcap: pcap and pcapng, any byte order, micro- or nanoseconds;
 * Ethernet only.
 *
 * A `struct capture_writer` writes a nanosecond pcap file. Packets of several segments are written
 * whole, GSO packets too: what was sent, not what a wire would have seen of it.
 *
 * Bytes in a file are hostile: libpcap checks the records, a record longer than a packet may be
 * refuses the file, and files past CAPTURE_SIZE_MAX are refused instead of eating the memory.
 *
 * Life cycle: capture_load() .. capture_unload(); capture_writer_open() .. capture_writer_close(),
 * which flushes.
 *
 * Thread-safety: a loaded capture is constant. A writer has a lock of its own: any thread, but a
 * write may block on the disk.
 */
#ifndef VSWITCH_DATAPATH_CAPTURE_H
#define VSWITCH_DATAPATH_CAPTURE_H

#include <stddef.h>
#include <stdint.h>
#include "datapath/packet.h"
#include "lib/error.h"

/* Most bytes of packets in a file that is loaded, padding included. */
#define CAPTURE_SIZE_MAX ((size_t)1 << 30)
/* Each packet starts at a multiple of this, and may be read up to the next one. */
#define CAPTURE_ALIGN 64u

struct capture_packet {
	const uint8_t *data; /* in capture.bytes, CAPTURE_ALIGN aligned and zero padded */
	uint32_t len; /* bytes captured, 0..PACKET_LEN_MAX */
};

struct capture {
	uint8_t *bytes; /* the packets, owned */
	size_t size; /* bytes used of it */
	struct capture_packet *packets; /* owned */
	uint32_t n; /* of packets */
};

struct capture_writer;

/* Reads the whole file. Returns 0 or a negative errno with `err` set: -EINVAL (not a capture file
 * of Ethernet), -EFBIG, -ENOMEM, or why it cannot be opened. */
int capture_load(const char *path, struct capture **capturep, struct error *err) WARN_UNUSED;
/* Frees it. NULL is allowed. */
void capture_unload(struct capture *capture);

/* Makes (or overwrites) the file and writes its header. Returns 0 or a negative errno with `err`
 * set. */
int capture_writer_open(const char *path, struct capture_writer **writerp,
			struct error *err) WARN_UNUSED;
/* Flushes and closes. NULL is allowed. */
void capture_writer_close(struct capture_writer *writer);

/* Adds packets, with the time of the call. */
void capture_writer_write(struct capture_writer *writer, struct packet *const *packets,
			  unsigned int n);

/* Pushes what was written to the file. Returns 0, or -EIO (the disk is full, for example). */
int capture_writer_flush(struct capture_writer *writer) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_CAPTURE_H */
