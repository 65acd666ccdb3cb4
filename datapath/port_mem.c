/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bpf/flow_parse.h"
#include "datapath/datapath.h"
#include "datapath/port_mem_priv.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Guards the list of wires, and who holds which end of any wire. */
static struct mutex wires_lock = MUTEX_INIT;
static struct mem_wire *wires GUARDED_BY(wires_lock);

static const struct port_option_def options[] = {
	{"rx", "FILE", NULL, "replays a capture file as what the port receives"},
	{"loop", "N|forever", "1", "how often the file is replayed"},
	{"rate", "PPS", "0", "packets a second to replay; 0: as fast as they are taken"},
	{"metadata", "on|off", "off",
	 "hands flow hash and header offsets over, as an XDP program does"},
	{"tx", "FILE", NULL, "records what is transmitted to a capture file"},
	{"peer", "PORT", NULL, "joins the port by a wire to the mem port of that name"},
	{"collect", "on|off", "off", "keeps what is transmitted for the test that runs the switch"},
	{"queues", "N", "1", "receive queues"},
	{"mtu", "BYTES", "1500", "longest packet behind the Ethernet header"},
	{"csum", "on|off", "off", "lets unfinished checksums out"},
	{"gso", "on|off", "off", "lets packets out that are still to be segmented"},
	{NULL, NULL, NULL, NULL},
};

static struct mem_port *mem_port_from(const struct port *port)
{
	return (struct mem_port *)container_of(port, struct mem_port, port);
}

/* ---- wires --------------------------------------------------------------------------- */

/* Makes ring `i` of the end, shut, unless it is there. Returns 0 or -ENOMEM. */
static int end_make_ring(struct mem_end *end, unsigned int i)
{
	struct mem_ring *ring;

	if (end->rings[i])
		return 0;
	ring = aligned_alloc(CACHE_LINE, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	memset(ring, 0, offsetof(struct mem_ring, slots));
	spinlock_init(&ring->lock);
	end->rings[i] = ring;
	return 0;
}

static void ring_open(struct mem_ring *ring, uint32_t owner, int fd)
{
	spinlock_lock(&ring->lock);
	ring->owner = owner;
	ring->fd = fd;
	ring->is_open = true;
	spinlock_unlock(&ring->lock);
}

/* Shuts every ring. The packets inside keep their owner, who reclaims them. */
static void end_shut(struct mem_end *end)
{
	__atomic_store_n(&end->n_rings, 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < ARRAY_SIZE(end->rings) && end->rings[i]; i++) {
		struct mem_ring *ring = end->rings[i];

		spinlock_lock(&ring->lock);
		ring->is_open = false;
		ring->fd = -1;
		__atomic_store_n(&ring->head, ring->tail, __ATOMIC_RELAXED);
		spinlock_unlock(&ring->lock);
	}
}

static void wire_destroy(struct mem_wire *wire)
{
	for (unsigned int side = 0; side < ARRAY_SIZE(wire->ends); side++)
		for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++)
			free(wire->ends[side].rings[i]);
	free(wire);
}

/* The wire between those two, and which end is `name`'s; NULL when there is none. */
static struct mem_wire *wire_lookup(const struct datapath *dp, const char *name, const char *peer,
				    unsigned int *side) REQUIRES(wires_lock)
{
	for (struct mem_wire *wire = wires; wire; wire = wire->next) {
		for (*side = 0; *side < 2; ++*side)
			if (wire->dp == dp && !strcmp(wire->ends[*side].name, name) &&
			    !strcmp(wire->ends[!*side].name, peer))
				return wire;
	}
	return NULL;
}

/* Both ends' links are up when both are held. */
static void wire_update_link(struct mem_wire *wire) REQUIRES(wires_lock)
{
	bool up = wire->ends[0].port && wire->ends[1].port;

	for (unsigned int side = 0; side < 2; side++)
		if (wire->ends[side].port)
			port_set_link(&wire->ends[side].port->port, up);
}

static void wire_link_in(struct mem_wire *wire) REQUIRES(wires_lock)
{
	wire->next = wires;
	wires = wire;
}

static void wire_link_out(struct mem_wire *wire) REQUIRES(wires_lock)
{
	struct mem_wire **link = &wires;

	while (*link && *link != wire)
		link = &(*link)->next;
	if (*link)
		*link = wire->next;
}

/* Gives the port an end of a wire: of one to `peer`, or of one of its own if that is NULL. */
static int wire_join(struct mem_port *mp, const char *peer, struct error *err)
{
	struct mem_wire *wire = NULL;
	int ret = 0;

	if (peer && !strcmp(peer, mp->port.name))
		return error_set(err, EINVAL, "peer=%s: a port cannot be its own peer", peer);
	mutex_lock(&wires_lock);
	if (peer)
		wire = wire_lookup(mp->port.dp, mp->port.name, peer, &mp->side);
	if (!wire) {
		wire = calloc(1, sizeof(*wire));
		if (!wire) {
			ret = error_set(err, ENOMEM, "no memory for a wire");
			goto out;
		}
		wire->dp = mp->port.dp;
		mp->side = 0;
		snprintf(wire->ends[0].name, PORT_NAME_SIZE, "%s", mp->port.name);
		snprintf(wire->ends[1].name, PORT_NAME_SIZE, "%s", peer ? peer : "");
		if (peer)
			wire_link_in(wire);
	}
	mp->wire = wire;
	wire->ends[mp->side].port = mp;
	if (peer)
		wire_update_link(wire);
out:
	mutex_unlock(&wires_lock);
	return ret;
}

/* Gives up the end. */
static void wire_leave(struct mem_port *mp)
{
	struct mem_wire *wire = mp->wire;

	if (!wire)
		return;
	mutex_lock(&wires_lock);
	end_shut(&wire->ends[mp->side]);
	if (mp->does_collect)
		end_shut(&wire->ends[!mp->side]);
	wire->ends[mp->side].port = NULL;
	if (wire->ends[!mp->side].port) {
		wire_update_link(wire);
	} else {
		wire_link_out(wire);
		wire_destroy(wire);
	}
	mutex_unlock(&wires_lock);
}

/* ---- replay -------------------------------------------------------------------------- */

static void source_destroy(struct mem_source *source)
{
	if (!source)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(source->replays); i++)
		free(source->replays[i].records);
	capture_unload(source->capture);
	free(source->path);
	free(source);
}

/* Reads loop= and rate= into every share. */
static int source_set_options(struct mem_source *source, const struct port_config *config,
			      struct error *err)
{
	const char *loop = port_config_get(&port_mem_class, config, "loop");
	unsigned int n_loops = 0, rate;
	int ret;

	ret = port_config_get_uint(&port_mem_class, config, "rate", 0, 1000000000, &rate, err);
	if (ret)
		return ret;
	if (strcmp(loop, "forever")) {
		ret = port_config_get_uint(&port_mem_class, config, "loop", 1, UINT32_MAX, &n_loops,
					   err);
		if (ret)
			return ret;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(source->replays); i++) {
		source->replays[i].n_loops = n_loops ? n_loops : UINT64_MAX;
		source->replays[i].interval_ps = rate ? UINT64_C(1000000000000) / rate : 0;
	}
	return 0;
}

/* The record of a packet, with hash and layout as a worker would find them. */
static struct mem_record make_record(const struct capture_packet *packet)
{
	struct mem_record record = {.data = packet->data, .len = packet->len};
	struct flow_key key;
	uint32_t seen = MIN(packet->len, FRAME_PAYLOAD);

	if (flow_key_parse(packet->data, packet->data + seen, packet->len, &key, &record.layout) ==
	    0)
		record.hash = flow_key_hash(&key, record.layout.n_words);
	return record;
}

/* Deals the packets out to `n_queues` queues by flow hash. Returns 0 or -ENOMEM. */
static int source_deal(struct mem_source *source, unsigned int n_queues)
{
	const struct capture *capture = source->capture;

	for (unsigned int q = 0; q < n_queues; q++) {
		struct mem_replay *replay = &source->replays[q];

		replay->records = calloc(capture->n, sizeof(*replay->records));
		if (!replay->records)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < capture->n; i++) {
		struct mem_record record = make_record(&capture->packets[i]);
		struct mem_replay *replay = &source->replays[record.hash % n_queues];

		replay->records[replay->n++] = record;
	}
	return 0;
}

/* Loads the file of rx=. */
static int source_create(const struct mem_port *mp, const struct port_config *config,
			 struct mem_source **sourcep, struct error *err)
{
	const char *path = port_config_get(&port_mem_class, config, "rx");
	struct mem_source *source;
	int ret;

	*sourcep = NULL;
	if (!path || !*path)
		return 0;
	source = aligned_alloc(CACHE_LINE, sizeof(*source));
	if (!source)
		return error_set(err, ENOMEM, "no memory to replay %s", path);
	memset(source, 0, sizeof(*source));
	ret = source_set_options(source, config, err);
	if (ret)
		goto err_source;
	ret = capture_load(path, &source->capture, err);
	if (ret)
		goto err_source;
	source->path = strdup(path);
	if (!source->path || source_deal(source, mp->port.n_rxqs)) {
		ret = error_set(err, ENOMEM, "no memory to replay %s", path);
		goto err_source;
	}
	for (unsigned int i = 0; i < mp->port.n_rxqs; i++)
		source->replays[i].has_metadata = mp->has_metadata;
	*sourcep = source;
	return 0;

err_source:
	source_destroy(source);
	return ret;
}

/* Has the queues replay `source` (NULL: nothing) from now on. */
static void source_publish(struct mem_port *mp, struct mem_source *source)
{
	for (unsigned int i = 0; i < mp->port.n_rxqs; i++) {
		struct mem_replay *replay = source ? &source->replays[i] : NULL;

		rcu_set(&mp->rxqs[i].replay, replay && replay->n ? replay : NULL);
		mem_ring_wake(mp->rxqs[i].ring);
	}
	mp->source = source;
}

/* Packets still to be replayed in this round, of all queues. */
static uint64_t source_count_left(const struct mem_port *mp)
{
	uint64_t left = 0;

	for (unsigned int i = 0; mp->source && i < mp->port.n_rxqs; i++) {
		const struct mem_replay *replay = &mp->source->replays[i];

		if (!__atomic_load_n(&replay->is_done, __ATOMIC_RELAXED))
			left += replay->n - __atomic_load_n(&replay->next, __ATOMIC_RELAXED);
	}
	return left;
}

/* ---- open and close ------------------------------------------------------------------ */

/* Reads the options that set what the port can take. */
static int read_caps(struct port_caps *caps, const struct port_config *config, struct error *err)
{
	unsigned int mtu;
	bool gso;
	int ret;

	ret = port_config_get_uint(&port_mem_class, config, "mtu", 68, 65535, &mtu, err);
	if (!ret)
		ret = port_config_get_bool(&port_mem_class, config, "csum", &caps->csum, err);
	if (!ret)
		ret = port_config_get_bool(&port_mem_class, config, "gso", &gso, err);
	if (ret)
		return ret;
	if (gso && !caps->csum)
		return error_set(err, EINVAL,
				 "gso=on needs csum=on: segments have no checksum yet");
	caps->max_len = mtu + 14 + 4;
	caps->gso_tcp4 = caps->gso_tcp6 = caps->gso_udp_l4 = gso;
	caps->max_segs = UINT8_MAX;
	return 0;
}

/* Adds `n` receive queues with their timers and opens our end of the wire. */
static int open_rxqs(struct mem_port *mp, unsigned int n, struct error *err)
{
	struct mem_end *end = &mp->wire->ends[mp->side];

	for (unsigned int i = 0; i < n; i++) {
		struct mem_rxq *q = &mp->rxqs[i];

		if (end_make_ring(end, i))
			return error_set(err, ENOMEM, "no memory for queue %u", i);
		q->rxq.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		if (q->rxq.fd < 0)
			return error_set(err, errno, "no timer for queue %u: %m", i);
		port_add_rxq(&mp->port, &q->rxq);
		q->ring = end->rings[i];
		ring_open(q->ring, q->rxq.owner, q->rxq.fd);
	}
	__atomic_store_n(&end->n_rings, n, __ATOMIC_RELEASE);
	return 0;
}

/* Adds `n` transmit queues; if the port collects, opens the far end too. */
static int open_txqs(struct mem_port *mp, unsigned int n, bool has_peer, struct error *err)
{
	struct mem_end *far = &mp->wire->ends[!mp->side];

	for (unsigned int i = 0; i < n; i++) {
		struct mem_txq *q = &mp->txqs[i];

		port_add_txq(&mp->port, &q->txq);
		q->far = has_peer || mp->does_collect ? far : NULL;
		q->recorder = mp->recorder;
		if (!mp->does_collect)
			continue;
		if (end_make_ring(far, i))
			return error_set(err, ENOMEM, "no memory for queue %u", i);
		ring_open(far->rings[i], q->txq.owner, -1);
	}
	if (mp->does_collect)
		__atomic_store_n(&far->n_rings, n, __ATOMIC_RELEASE);
	return 0;
}

static void mem_close(struct port *port)
{
	struct mem_port *mp = mem_port_from(port);
	struct frame_pool *pool = datapath_get_pool(port->dp);

	wire_leave(mp);
	for (unsigned int i = 0; i < port->n_rxqs; i++) {
		frame_pool_reclaim(pool, port->rxqs[i]->owner);
		close(port->rxqs[i]->fd);
	}
	for (unsigned int i = 0; mp->does_collect && i < port->n_txqs; i++)
		frame_pool_reclaim(pool, port->txqs[i]->owner);
	capture_writer_close(mp->recorder);
	source_destroy(mp->source);
	mutex_lock(&mp->inject_lock);
	frame_cache_uninit(&mp->inject_cache);
	mutex_unlock(&mp->inject_lock);
	mutex_uninit(&mp->inject_lock);
	port_uninit(port);
	free(mp);
}

/* The part of open() that mem_close() can undo. */
static int mem_start(struct mem_port *mp, const struct port_config *config, struct error *err)
{
	const char *peer = port_config_get(&port_mem_class, config, "peer");
	const char *tx = port_config_get(&port_mem_class, config, "tx");
	struct mem_source *source;
	unsigned int n_rxqs;
	int ret;

	ret = read_caps(&mp->port.caps, config, err);
	if (!ret)
		ret = port_config_get_bool(&port_mem_class, config, "metadata", &mp->has_metadata,
					   err);
	if (!ret)
		ret = port_config_get_bool(&port_mem_class, config, "collect", &mp->does_collect,
					   err);
	if (!ret && peer && mp->does_collect)
		ret = error_set(err, EINVAL, "collect=on: the packets go to the peer %s", peer);
	if (!ret)
		ret = port_config_get_uint(&port_mem_class, config, "queues", 1, PORT_QUEUES_MAX,
					   &n_rxqs, err);
	if (!ret && tx && *tx)
		ret = capture_writer_open(tx, &mp->recorder, err);
	if (!ret)
		ret = wire_join(mp, peer, err);
	if (!ret)
		ret = open_rxqs(mp, n_rxqs, err);
	if (!ret)
		ret = open_txqs(mp, CLAMP(config->n_workers, 1u, (unsigned int)PORT_QUEUES_MAX),
				peer != NULL, err);
	if (!ret)
		ret = source_create(mp, config, &source, err);
	if (ret)
		return ret;
	source_publish(mp, source);
	return 0;
}

static int mem_open(struct datapath *dp, const struct port_config *config, struct port **portp,
		    struct error *err)
{
	struct mem_port *mp;
	int ret;

	mp = aligned_alloc(CACHE_LINE, sizeof(*mp));
	if (!mp)
		return error_set(err, ENOMEM, "no memory for a port");
	memset(mp, 0, sizeof(*mp));
	ret = port_init(&mp->port, &port_mem_class, dp, config);
	if (ret) {
		free(mp);
		return error_set(err, ret, "no memory for a port");
	}
	mutex_init(&mp->inject_lock);
	mutex_lock(&mp->inject_lock);
	frame_cache_init(&mp->inject_cache, datapath_get_pool(dp));
	mutex_unlock(&mp->inject_lock);
	ret = mem_start(mp, config, err);
	if (ret) {
		mem_close(&mp->port);
		return ret;
	}
	*portp = &mp->port;
	return 0;
}

/* ---- the rest of the class ----------------------------------------------------------- */

/* Changes what is replayed; anything else needs a new port. */
static int mem_set(struct port *port, const struct port_config *config, struct error *err)
{
	static const char *const keys[] = {"rx", "loop", "rate", NULL};
	struct mem_port *mp = mem_port_from(port);
	struct mem_source *old = mp->source, *source;
	int ret;

	ret = port_check_changes(port, config, keys, err);
	if (!ret)
		ret = source_create(mp, config, &source, err);
	if (ret)
		return ret;
	if (port_set_options(port, config)) {
		source_destroy(source);
		return error_set(err, ENOMEM, "no memory for the options");
	}
	source_publish(mp, source);
	rcu_wait(); /* workers may be in the middle of the old one */
	source_destroy(old);
	return 0;
}

static int mem_refresh(struct port *port)
{
	if (port_mem_flush(port))
		log_warn_limited("port %s: the capture file cannot be written: is the disk full?",
				 port->name);
	return 0;
}

static void mem_get_status(const struct port *port, port_status_cb *cb, void *aux)
{
	const struct mem_port *mp = mem_port_from(port);
	char text[32];

	if (mp->source) {
		cb(aux, "rx", mp->source->path);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)source_count_left(mp));
		cb(aux, "rx_left", text);
	}
	if (mp->recorder)
		cb(aux, "tx", "recorded");
	if (*mp->wire->ends[!mp->side].name)
		cb(aux, "peer", mp->wire->ends[!mp->side].name);
}

const struct port_class port_mem_class = {
	.type = "mem",
	.help = "in memory: replays and records capture files, joins ports by wires, or swallows "
		"all",
	.options = options,
	.open = mem_open,
	.close = mem_close,
	.rx = port_mem_rx,
	.tx = port_mem_tx,
	.arm = port_mem_arm,
	.refresh = mem_refresh,
	.get_status = mem_get_status,
	.set = mem_set,
};

/* ---- for tests ----------------------------------------------------------------------- */

/* Makes the packet out of the port's own cache. NULL when the pool is exhausted. */
static struct packet *make_packet(struct mem_port *mp, const void *data, uint32_t len,
				  const struct port_mem_offload *offload) REQUIRES(mp->inject_lock)
{
	struct packet *packet = packet_alloc(&mp->inject_cache);

	if (!packet)
		return NULL;
	if (packet_append(&mp->inject_cache, packet, data, len)) {
		packet_free(&mp->inject_cache, packet);
		return NULL;
	}
	if (offload) {
		packet->csum = offload->csum;
		packet->gso_type = offload->gso_type;
		packet->gso_size = offload->gso_size;
		packet->csum_start = offload->csum_start;
		packet->csum_offset = offload->csum_offset;
	}
	return packet;
}

int port_mem_inject(struct port *port, unsigned int queue, const void *data, uint32_t len,
		    const struct port_mem_offload *offload)
{
	struct mem_port *mp = mem_port_from(port);
	struct packet *packet;
	int ret = -ENOBUFS;

	if (queue >= port->n_rxqs)
		return -EINVAL;
	if (len > PACKET_LEN_MAX)
		return -EMSGSIZE;
	mutex_lock(&mp->inject_lock);
	packet = make_packet(mp, data, len, offload);
	if (packet) {
		ret = mem_ring_put(mp->rxqs[queue].ring, &packet, 1) == 1 ? 0 : -ENOBUFS;
		if (ret)
			packet_free(&mp->inject_cache, packet);
	}
	mutex_unlock(&mp->inject_lock);
	return ret;
}

/* Copies a packet out and frees it. Returns its length. */
static int take_packet(struct mem_port *mp, struct packet *packet, void *buf, uint32_t size,
		       struct port_mem_offload *offload)
{
	int len = (int)packet->total_len;

	packet_read(packet, 0, buf, size);
	if (offload)
		*offload = (struct port_mem_offload){
			.csum = packet->csum,
			.gso_type = packet->gso_type,
			.gso_size = packet->gso_size,
			.csum_start = packet->csum_start,
			.csum_offset = packet->csum_offset,
		};
	mutex_lock(&mp->inject_lock);
	packet_free(&mp->inject_cache, packet);
	mutex_unlock(&mp->inject_lock);
	return len;
}

int port_mem_collect(struct port *port, void *buf, uint32_t size, struct port_mem_offload *offload,
		     unsigned int timeout_ms)
{
	struct mem_port *mp = mem_port_from(port);
	struct mem_end *far = &mp->wire->ends[!mp->side];
	uint64_t end = clock_now() + timeout_ms * CLOCK_NS_PER_MS;
	const struct timespec pause = {.tv_nsec = 200000};
	struct packet *packet;

	if (!mp->does_collect)
		return -EINVAL;
	for (;;) {
		bool is_last = clock_now() >= end;

		for (unsigned int i = 0; i < port->n_txqs; i++)
			if (mem_ring_take(far->rings[i], &packet, 1))
				return take_packet(mp, packet, buf, size, offload);
		if (is_last)
			return -EAGAIN;
		(void)nanosleep(&pause, NULL);
	}
}

int port_mem_flush(struct port *port)
{
	struct mem_port *mp = mem_port_from(port);

	return mp->recorder ? capture_writer_flush(mp->recorder) : 0;
}
