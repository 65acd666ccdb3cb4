/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mutex.h"

struct capture_writer {
	struct mutex lock;
	pcap_t *pcap GUARDED; /* only there to make the dumper; lock */
	pcap_dumper_t *dumper GUARDED; /* lock */
	uint8_t buf[PACKET_LEN_MAX]; /* a packet of several segments put together; lock */
};

/* Opens `path` for reading. Returns 0 or a negative errno. */
static int open_offline(const char *path, pcap_t **pcapp, struct error *err)
{
	char text[PCAP_ERRBUF_SIZE];
	FILE *file;
	pcap_t *pcap;

	file = fopen(path, "rbe");
	if (!file)
		return error_set(err, errno, "cannot open capture file %s: %m", path);
	pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!pcap) {
		fclose(file);
		return error_set(err, EINVAL, "%s is not a capture file: %s", path, text);
	}
	if (pcap_datalink(pcap) != DLT_EN10MB) {
		const char *name = pcap_datalink_val_to_name(pcap_datalink(pcap));

		error_set(err, EINVAL, "%s holds packets of type %s, not Ethernet", path,
			  name ? name : "unknown");
		pcap_close(pcap);
		return -EINVAL;
	}
	*pcapp = pcap;
	return 0;
}

/* Makes room for one more packet of `len` bytes. While the block grows, packets hold offsets, not
 * addresses. Returns 0 or -ENOMEM. */
static int capture_reserve(struct capture *capture, size_t *capacity, uint32_t *n_max, size_t len)
{
	if (capture->n == *n_max) {
		uint32_t want = *n_max ? *n_max * 2 : 256;
		void *p = reallocarray(capture->packets, want, sizeof(*capture->packets));

		if (!p)
			return -ENOMEM;
		capture->packets = p;
		*n_max = want;
	}
	if (capture->size + len > *capacity) {
		size_t want = ROUND_UP(MAX(*capacity * 2, capture->size + len), (size_t)4096);
		uint8_t *p = aligned_alloc(CAPTURE_ALIGN, want);

		if (!p)
			return -ENOMEM;
		if (capture->size)
			memcpy(p, capture->bytes, capture->size);
		free(capture->bytes);
		capture->bytes = p;
		*capacity = want;
	}
	return 0;
}

/* Reads all packets. Returns 0 or a negative errno. */
static int capture_read(struct capture *capture, pcap_t *pcap, const char *path, struct error *err)
{
	size_t capacity = 0;
	uint32_t n_max = 0;
	struct pcap_pkthdr *header;
	const u_char *data;
	int ret;

	while ((ret = pcap_next_ex(pcap, &header, &data)) == 1) {
		size_t room = ROUND_UP((size_t)header->caplen, (size_t)CAPTURE_ALIGN);

		if (header->caplen > PACKET_LEN_MAX)
			return error_set(err, EFBIG, "%s: packet %u of %u bytes is longer than %u",
					 path, capture->n + 1, header->caplen, PACKET_LEN_MAX);
		if (capture->size + room > CAPTURE_SIZE_MAX)
			return error_set(err, EFBIG, "%s holds more than %zu MiB of packets", path,
					 CAPTURE_SIZE_MAX >> 20);
		if (capture_reserve(capture, &capacity, &n_max, room))
			return error_set(err, ENOMEM, "no memory for the packets of %s", path);
		memset(capture->bytes + capture->size, 0, room);
		memcpy(capture->bytes + capture->size, data, header->caplen);
		capture->packets[capture->n++].len = header->caplen;
		capture->size += room;
	}
	if (ret != PCAP_ERROR_BREAK)
		return error_set(err, EINVAL, "%s: packet %u: %s", path, capture->n + 1,
				 pcap_geterr(pcap));
	return 0;
}

/* Gives each packet its address, now that the block does not move any more. */
static void capture_index(struct capture *capture)
{
	uint8_t *data = capture->bytes;

	for (uint32_t i = 0; i < capture->n; i++) {
		capture->packets[i].data = data;
		data += ROUND_UP(capture->packets[i].len, CAPTURE_ALIGN);
	}
}

int capture_load(const char *path, struct capture **capturep, struct error *err)
{
	struct capture *capture;
	pcap_t *pcap;
	int ret;

	ret = open_offline(path, &pcap, err);
	if (ret)
		return ret;
	capture = calloc(1, sizeof(*capture));
	if (!capture) {
		ret = error_set(err, ENOMEM, "no memory for %s", path);
		goto out;
	}
	ret = capture_read(capture, pcap, path, err);
	if (ret) {
		capture_unload(capture);
		goto out;
	}
	capture_index(capture);
	*capturep = capture;
out:
	pcap_close(pcap);
	return ret;
}

void capture_unload(struct capture *capture)
{
	if (!capture)
		return;
	free(capture->packets);
	free(capture->bytes);
	free(capture);
}

/* Opens the file itself: the library's words for a failure lack the errno. Returns 0 or a negative
 * errno. */
static int open_dumper(const char *path, pcap_t *pcap, pcap_dumper_t **dumperp, struct error *err)
{
	FILE *file = fopen(path, "wbe");

	if (!file)
		return error_set(err, errno, "cannot write capture file %s: %m", path);
	*dumperp = pcap_dump_fopen(pcap, file);
	if (!*dumperp) {
		fclose(file);
		return error_set(err, EIO, "cannot write capture file %s: %s", path,
				 pcap_geterr(pcap));
	}
	return 0;
}

int capture_writer_open(const char *path, struct capture_writer **writerp,
			struct error *err) NO_THREAD_SAFETY_ANALYSIS /* nobody else has it yet */
{
	struct capture_writer *writer;
	int ret;

	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_set(err, ENOMEM, "no memory for capture file %s", path);
	mutex_init(&writer->lock);
	writer->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, PACKET_LEN_MAX,
							    PCAP_TSTAMP_PRECISION_NANO);
	if (!writer->pcap) {
		ret = error_set(err, ENOMEM, "no memory for capture file %s", path);
		goto err_writer;
	}
	ret = open_dumper(path, writer->pcap, &writer->dumper, err);
	if (ret)
		goto err_pcap;
	*writerp = writer;
	return 0;

err_pcap:
	pcap_close(writer->pcap);
err_writer:
	mutex_uninit(&writer->lock);
	free(writer);
	return ret;
}

void capture_writer_close(struct capture_writer *writer)
	NO_THREAD_SAFETY_ANALYSIS /* nobody else has it any more */
{
	if (!writer)
		return;
	if (capture_writer_flush(writer))
		log_warn("a capture file could not be written whole: is the disk full?");
	pcap_dump_close(writer->dumper);
	pcap_close(writer->pcap);
	mutex_uninit(&writer->lock);
	free(writer);
}

void capture_writer_write(struct capture_writer *writer, struct packet *const *packets,
			  unsigned int n)
{
	struct pcap_pkthdr header;
	uint64_t now = clock_get(CLOCK_REALTIME);

	header.ts.tv_sec = (time_t)(now / CLOCK_NS_PER_S);
	/* In a nanosecond file the microseconds' place holds nanoseconds. */
	header.ts.tv_usec = (suseconds_t)(now % CLOCK_NS_PER_S);
	mutex_lock(&writer->lock);
	for (unsigned int i = 0; i < n; i++) {
		const struct packet *packet = packets[i];
		const uint8_t *data = packet->data;

		if (packet->next) {
			packet_read(packet, 0, writer->buf, sizeof(writer->buf));
			data = writer->buf;
		}
		header.len = header.caplen = MIN(packet->total_len, PACKET_LEN_MAX);
		pcap_dump((u_char *)writer->dumper, &header, data);
	}
	mutex_unlock(&writer->lock);
}

int capture_writer_flush(struct capture_writer *writer)
{
	int ret;

	mutex_lock(&writer->lock);
	ret = pcap_dump_flush(writer->dumper) || ferror(pcap_dump_file(writer->dumper)) ? -EIO : 0;
	mutex_unlock(&writer->lock);
	return ret;
}
