// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's network card for a guest without a machine: the TCP stack of a network namespace behind
 * the rings of a vhost-user port.
 *
 * usage: vhost_tap PATH DEVICE
 *
 * Makes a TAP device in the namespace that it runs in and a listening socket at PATH, prints
 * "ready", waits for a switch to connect as vhost-user back end, and carries packets between the
 * two until the switch hangs up. What the kernel sends goes into the ring as a virtio-net driver
 * would put it there: whole GSO packets and partial checksums, as far as the switch offered to take
 * them; the kernel itself does the rest. What comes from the ring is given to the kernel with the
 * header that the switch wrote. So TCP in the namespace sees what it would see in a virtual
 * machine, without the cost of emulating one.
 *
 * The card has one pair of rings; buffers for receiving are mergeable, of a page each. Packets are
 * read into the ring's memory and written from there, nothing is copied in between. While there is
 * work it polls both sides and asks for no interrupts, as NAPI does; then it sleeps.
 *
 * Thread-safety: one thread.
 */
#include "config.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "datapath/tap_device.h"
#include "lib/error.h"
#include "lib/util.h"
#include "tests/unit/vhost_driver.h"

#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define RX_SIZE 1024u /* descriptors, as many as QEMU allows */
#define TX_SIZE 256u
#define BUFFER_SIZE 4096u /* of a receive buffer */
#define PIECES_MAX 32u /* buffers of one received packet: 64 KiB take 17 */
#define PACKET_MAX 65549u /* an IPv4 packet of 65535 bytes behind its Ethernet header */
#define N_SLOTS 64u /* packets lent for sending */
#define SLOT_SIZE ROUND_UP(PACKET_MAX + (uint32_t)HEADER, 64u)
#define BURST 32u

/* What a guest must have to be a guest here. */
#define FEATURES                                                                                   \
	(VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) |                       \
	 VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES))

/* What it takes if it is offered, and with it one of those that it needs (virtio 1.2, 5.1.3.1);
 * what the TAP device calls it, for what the switch takes. */
static const struct {
	uint64_t feature, needs;
	unsigned int tap_flag;
} offloads[] = {
	{VHOST_BIT(VIRTIO_RING_F_EVENT_IDX), FEATURES, 0},
	{VHOST_BIT(VIRTIO_NET_F_CSUM), FEATURES, TUN_F_CSUM},
	{VHOST_BIT(VIRTIO_NET_F_HOST_TSO4), VHOST_BIT(VIRTIO_NET_F_CSUM), TUN_F_TSO4},
	{VHOST_BIT(VIRTIO_NET_F_HOST_TSO6), VHOST_BIT(VIRTIO_NET_F_CSUM), TUN_F_TSO6},
	{VHOST_BIT(VIRTIO_NET_F_HOST_ECN),
	 VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO6), TUN_F_TSO_ECN},
	{VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM), FEATURES, 0},
	{VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4), VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM), 0},
	{VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6), VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM), 0},
	{VHOST_BIT(VIRTIO_NET_F_GUEST_ECN),
	 VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4) | VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6), 0},
};

struct card {
	struct vhost_driver driver;
	struct driver_ring *rx, *tx;
	int tap; /* the device's queue */
	uint64_t buffers[RX_SIZE]; /* by id: what is lent in rx */
	uint64_t slots[TX_SIZE]; /* by id: what is lent in tx */
	uint64_t spare[N_SLOTS]; /* slots that are not lent */
	unsigned int n_spare;
};

static NORETURN void fail(const char *what)
{
	fprintf(stderr, "vhost_tap: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- life cycle ------------------------------------------------------------------------- */

static int open_tap(const char *name)
{
	struct error err = ERROR_INIT;
	int size = HEADER, fd = tap_device_open_queue(name, false, &err);

	if (fd < 0) {
		fprintf(stderr, "vhost_tap: %s\n", err.text);
		exit(EXIT_FAILURE);
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &size))
		fail("the header's size");
	return fd;
}

/* Agrees on features with the switch; the kernel may send what the switch takes. */
static void negotiate(struct card *card)
{
	uint64_t offered = driver_get_u64(&card->driver, VHOST_GET_FEATURES), taken = FEATURES;
	unsigned int flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (!(offered & offloads[i].feature) || !(taken & offloads[i].needs))
			continue;
		taken |= offloads[i].feature;
		flags |= offloads[i].tap_flag;
	}
	driver_negotiate(&card->driver, taken);
	if (ioctl(card->tap, TUNSETOFFLOAD, flags))
		fail("offloads");
}

static void lend(struct card *card, uint64_t gpa)
{
	struct driver_piece piece = {gpa, BUFFER_SIZE};
	int id = driver_ring_add(card->rx, &piece, 1, DRIVER_DIRECT, 0);

	if (id < 0)
		fail("the receive ring is full");
	card->buffers[id] = gpa;
}

static void open_card(struct card *card, int listener)
{
	struct vhost_driver *driver = &card->driver;

	driver_init_accept(driver, listener);
	negotiate(card);
	card->rx = driver_ring_open(driver, 0, RX_SIZE);
	card->tx = driver_ring_open(driver, 1, TX_SIZE);
	driver_ring_disarm(card->tx);
	driver_ready(driver);
	for (unsigned int i = 0; i < RX_SIZE; i++)
		lend(card, driver_alloc(driver, BUFFER_SIZE));
	driver_ring_kick(card->rx);
	while (card->n_spare < N_SLOTS)
		card->spare[card->n_spare++] = driver_alloc(driver, SLOT_SIZE);
}

/* ---- at work ---------------------------------------------------------------------------- */

static void reclaim(struct card *card)
{
	uint32_t len;
	int id;

	while ((id = driver_ring_get(card->tx, &len)) >= 0)
		card->spare[card->n_spare++] = card->slots[id];
}

/* From the kernel to the switch, at most a burst. Returns how many. */
static unsigned int send_burst(struct card *card)
{
	unsigned int n;

	reclaim(card);
	for (n = 0; n < BURST && card->n_spare; n++) {
		uint64_t gpa = card->spare[card->n_spare - 1];
		struct driver_piece piece = {.gpa = gpa};
		ssize_t size = read(card->tap, driver_ptr(&card->driver, gpa), SLOT_SIZE);
		int id;

		if (size < 0 && errno != EAGAIN)
			fail("reading from the device");
		if (size < 0)
			break;
		piece.size = (uint32_t)size;
		id = driver_ring_add(card->tx, &piece, 1, DRIVER_DIRECT, 0);
		if (id < 0)
			fail("the send ring is full");
		card->slots[id] = gpa;
		card->n_spare--;
	}
	if (n)
		driver_ring_kick(card->tx);
	return n;
}

/* Takes the next used buffer, waiting for one that is promised. */
static uint64_t get_buffer(struct card *card, uint32_t *len)
{
	int id;

	do {
		id = driver_ring_get(card->rx, len);
	} while (id < 0);
	return card->buffers[id];
}

/* A packet from the switch to the kernel. Returns false when there is none. */
static bool receive_packet(struct card *card)
{
	const struct virtio_net_hdr_mrg_rxbuf *header;
	uint64_t gpas[PIECES_MAX];
	struct iovec pieces[PIECES_MAX];
	unsigned int n;
	uint32_t len;
	int id = driver_ring_get(card->rx, &len);

	if (id < 0)
		return false;
	gpas[0] = card->buffers[id];
	header = driver_ptr(&card->driver, gpas[0]);
	n = header->num_buffers;
	if (!n || n > PIECES_MAX) {
		errno = EPROTO;
		fail("a packet's number of buffers");
	}
	for (unsigned int i = 0; i < n; i++) {
		if (i)
			gpas[i] = get_buffer(card, &len);
		pieces[i] = (struct iovec){driver_ptr(&card->driver, gpas[i]), len};
	}
	/* Malformed, or the device is down: a driver would drop that, too. */
	if (writev(card->tap, pieces, (int)n) < 0 && errno != EINVAL && errno != EIO)
		fail("writing to the device");
	for (unsigned int i = 0; i < n; i++)
		lend(card, gpas[i]);
	return true;
}

static unsigned int receive_burst(struct card *card)
{
	unsigned int n = 0;

	while (n < BURST && receive_packet(card))
		n++;
	if (n)
		driver_ring_kick(card->rx);
	return n;
}

/* Sleeps until there may be work. Returns false when the switch has hung up. */
static bool sleep_for_work(struct card *card)
{
	struct pollfd fds[] = {
		{.fd = card->driver.sock, .events = POLLIN},
		{.fd = card->rx->call_fd, .events = POLLIN},
		{.fd = card->n_spare ? card->tap : card->tx->call_fd, .events = POLLIN},
	};

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		fail("poll");
	(void)driver_ring_take_calls(card->rx);
	(void)driver_ring_take_calls(card->tx);
	return !fds[0].revents;
}

static void run(struct card *card)
{
	do {
		driver_ring_disarm(card->rx);
		driver_ring_disarm(card->tx);
		while (send_burst(card) + receive_burst(card))
			;
		driver_ring_arm(card->rx);
		if (!card->n_spare) {
			driver_ring_arm(card->tx);
			reclaim(card);
		}
		/* What came just before the rings were armed, nobody calls for. */
	} while (receive_burst(card) || sleep_for_work(card));
}

int main(int argc, char **argv)
{
	static struct card card;
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: vhost_tap PATH DEVICE\n");
		return 2;
	}
	card.tap = open_tap(argv[2]);
	listener = driver_listen(argv[1]);
	printf("ready\n");
	fflush(stdout);
	open_card(&card, listener);
	run(&card);
	return EXIT_SUCCESS;
}
