/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_vhost.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_vhost_priv.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/strbuf.h"
#include "vhost/vhost_feature.h"

/* Bytes ahead of the MTU: Ethernet header and one tag. */
#define HEADERS_SIZE (14u + 4u)
/* Most segments that the longest packet has. */
#define SEGS_MAX UINT8_MAX

/*
 * Features offered unless features= says otherwise. Left out of what vhost/ has: UFO (packet.h),
 * the GSO of legacy devices (it would include UFO), and CTRL_GUEST_OFFLOADS, for nobody tells us
 * what the guest turns off by it.
 */
#define FEATURES_DEFAULT                                                                           \
	(VHOST_DEV_FEATURES &                                                                      \
	 ~(VHOST_BIT(VIRTIO_NET_F_GSO) | VHOST_BIT(VIRTIO_NET_F_GUEST_UFO) |                       \
	   VHOST_BIT(VIRTIO_NET_F_HOST_UFO) | VHOST_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)))
/* Those that give a guest's own header a meaning. */
#define FEATURES_OF_HEADER                                                                         \
	(VHOST_BIT(VIRTIO_NET_F_CSUM) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) |                        \
	 VHOST_BIT(VIRTIO_NET_F_HOST_TSO6) | VHOST_BIT(VHOST_NET_F_HOST_USO))

static const struct port_option_def vhost_options[] = {
	{"mode", "server|client", "server", "server: listen at the socket, client: connect to it"},
	{"path", "FILE", NULL, "the socket; RUNDIR/BRIDGE/PORT.sock when not given"},
	{"queues", "N", "1", "queue pairs that the guest may have, 1 to 16"},
	{"features", "MASK|NAME[,NAME...]", NULL, "virtio features to offer; all when not given"},
	{"mtu", "BYTES", NULL, "longest packet to the guest; what it asks for when not given"},
	{"access", "OCTAL", "0660", "server: permissions of the socket"},
	{"group", "GROUP", NULL,
	 "server: group of the socket; kvm, if there is one, when not given"},
	{NULL, NULL, NULL, NULL},
};

static struct vhost_port *vhost_port_from(const struct port *port)
{
	return (struct vhost_port *)container_of(port, struct vhost_port, port);
}

/* ---- rings: publish and withdraw ------------------------------------------------------- */

static bool has(uint64_t features, unsigned int feature)
{
	return features & VHOST_BIT(feature);
}

/* Lets the worker of queue `q` look for what is new. */
static void wake(struct vhost_rxq *q)
{
	(void)!eventfd_write(q->wake_fd, 1);
	atomic_store_explicit(&q->is_woken, true, memory_order_release);
}

static void watch_kick(struct vhost_rxq *q, int kick_fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	q->kick_fd = -1;
	if (kick_fd < 0)
		return;
	if (epoll_ctl(q->rxq.fd, EPOLL_CTL_ADD, kick_fd, &event))
		log_error_limited("port %s: cannot watch a guest's queue: %m", q->rxq.port->name);
	else
		q->kick_fd = kick_fd;
}

static void unwatch_kick(struct vhost_rxq *q)
{
	if (q->kick_fd >= 0)
		epoll_ctl(q->rxq.fd, EPOLL_CTL_DEL, q->kick_fd, NULL);
	q->kick_fd = -1;
}

static void publish_rxq(struct vhost_port *vp, unsigned int i)
{
	struct vring *ring = vhost_dev_get_ring(vp->dev, 2 * i + 1);
	struct vhost_rxq *q = &vp->rxqs[i];

	q->header_size = (uint8_t)vhost_dev_get_header_size(vp->dev);
	q->has_offloads = vhost_dev_get_features(vp->dev) & FEATURES_OF_HEADER;
	watch_kick(q, ring->kick_fd);
	rcu_set(&q->ring, ring);
	/* There may be something in it for which nobody will kick any more. */
	wake(q);
}

/* Fills in what transmit queues lead to; they do not yet. */
static void prepare_out(struct vhost_port *vp, unsigned int i)
{
	uint64_t features = vhost_dev_get_features(vp->dev);
	struct vring *ring = vhost_dev_get_ring(vp->dev, 2 * i);
	struct vhost_out *out = &vp->outs[i];

	/* Nobody waits for buffers: to be kicked for them would only cost the guest time. */
	vring_disarm(ring);
	out->ring = ring;
	out->header_size = (uint8_t)vhost_dev_get_header_size(vp->dev);
	out->is_merged = has(features, VIRTIO_NET_F_MRG_RXBUF);
	out->csum = has(features, VIRTIO_NET_F_GUEST_CSUM);
	out->gso_tcp4 = out->csum && has(features, VIRTIO_NET_F_GUEST_TSO4);
	out->gso_tcp6 = out->csum && has(features, VIRTIO_NET_F_GUEST_TSO6);
	out->gso_udp_l4 = out->csum && has(features, VHOST_NET_F_GUEST_USO4) &&
			  has(features, VHOST_NET_F_GUEST_USO6);
	out->gso_ecn = has(features, VIRTIO_NET_F_GUEST_ECN);
}

/* Workers make packets ready for what the guest takes now. */
static void set_caps(struct vhost_port *vp, const struct vhost_out *out)
{
	struct port_caps *caps = &vp->port.caps;

	port_cap_set(&caps->csum, out->csum);
	port_cap_set(&caps->gso_tcp4, out->gso_tcp4);
	port_cap_set(&caps->gso_tcp6, out->gso_tcp6);
	port_cap_set(&caps->gso_udp_l4, out->gso_udp_l4);
}

static bool is_open(const struct vhost_port *vp, unsigned int i)
{
	return vp->published & VHOST_BIT(2 * i) &&
	       vring_is_enabled(vhost_dev_get_ring(vp->dev, 2 * i));
}

/* Leads each transmit queue to a ring that is switched on: its own or, failing that, one of the
 * others in turn. */
static void map_txqs(struct vhost_port *vp)
{
	struct vhost_out *open[VHOST_QUEUE_PAIRS_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < vp->n_pairs; i++)
		if (is_open(vp, i))
			open[n++] = &vp->outs[i];
	if (n)
		set_caps(vp, open[0]);
	for (unsigned int i = 0; i < vp->n_pairs; i++) {
		struct vhost_out *out = n ? open[i % n] : NULL;

		rcu_set(&vp->txqs[i].out, is_open(vp, i) ? &vp->outs[i] : out);
	}
	port_set_link(&vp->port, n > 0);
}

static void publish(void *port, uint32_t rings)
{
	struct vhost_port *vp = port;

	vp->published |= rings;
	for (unsigned int i = 0; i < vp->n_pairs; i++) {
		if (rings & VHOST_BIT(2 * i))
			prepare_out(vp, i);
		if (rings & VHOST_BIT(2 * i + 1))
			publish_rxq(vp, i);
	}
	map_txqs(vp);
}

static void withdraw(void *port, uint32_t rings)
{
	struct vhost_port *vp = port;

	vp->published &= ~rings;
	for (unsigned int i = 0; i < vp->n_pairs; i++) {
		if (!(rings & VHOST_BIT(2 * i + 1)))
			continue;
		rcu_set(&vp->rxqs[i].ring, NULL);
		unwatch_kick(&vp->rxqs[i]);
	}
	map_txqs(vp);
	rcu_wait();
}

/* ---- what the front end asks for ------------------------------------------------------- */

/* The longest frame for an MTU; 0: none was told. */
static void set_mtu(struct vhost_port *vp, unsigned int mtu)
{
	port_set_max_len(&vp->port, mtu ? mtu + HEADERS_SIZE : PACKET_LEN_MAX);
}

static int take_mtu(void *port, unsigned int mtu)
{
	struct vhost_port *vp = port;

	if (vp->mtu && mtu > vp->mtu)
		return -EINVAL;
	set_mtu(vp, mtu);
	return 0;
}

/* A RARP request of `mac` (RFC 903) goes through the switch as if the guest had sent it: bridges
 * learn where it is now. */
static void send_rarp(void *port, const uint8_t mac[6])
{
	struct vhost_port *vp = port;
	struct frame_cache *cache = datapath_get_control_cache(vp->port.dp);
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 3};
	struct packet *packet = packet_alloc(cache);
	uint8_t *frame;

	if (!packet)
		return;
	frame = packet->data;
	memset(frame, 0, 60);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = 0x80;
	frame[13] = 0x35;
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, mac, 6);
	memcpy(frame + 32, mac, 6);
	packet->len = packet->total_len = 60;
	packet = atomic_exchange_explicit(&vp->rxqs[0].injected, packet, memory_order_acq_rel);
	/* One that was not fetched yet; guests do not move that often. */
	packet_free(cache, packet);
	wake(&vp->rxqs[0]);
}

static const struct vhost_dev_ops vhost_ops = {
	.publish = publish,
	.withdraw = withdraw,
	.set_mtu = take_mtu,
	.send_rarp = send_rarp,
};

/* ---- options --------------------------------------------------------------------------- */

static int read_mode(struct vhost_port *vp, const struct port_config *config, struct error *err)
{
	const char *mode = port_config_get(&port_vhost_class, config, "mode");

	vp->is_client = strcmp(mode, "client") == 0;
	if (!vp->is_client && strcmp(mode, "server") != 0)
		return error_set(err, EINVAL, "mode=%s: must be server or client", mode);
	return 0;
}

/* Is the file right in that folder? */
static bool lies_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && path[length] == '/' &&
	       !strchr(path + length + 1, '/');
}

static int read_path(struct vhost_port *vp, const struct port_config *config, struct error *err)
{
	const char *path = port_config_get(&port_vhost_class, config, "path");
	int n;

	if (path && path[0] != '/')
		return error_set(err, EINVAL, "path=%s: must begin with a /", path);
	if (path) {
		if (config->folder && lies_in(path, config->folder))
			(void)!snprintf(vp->folder, sizeof(vp->folder), "%s", config->folder);
		n = snprintf(vp->path, sizeof(vp->path), "%s", path);
	} else if (config->folder) {
		(void)!snprintf(vp->folder, sizeof(vp->folder), "%s", config->folder);
		n = snprintf(vp->path, sizeof(vp->path), "%s/%s.sock", config->folder,
			     config->name);
	} else {
		return error_set(err, EINVAL, "path= is missing: where is the socket?");
	}
	if ((size_t)n >= sizeof(vp->path))
		return error_set(err, ENAMETOOLONG,
				 "a socket's path has at most %zu bytes, this one %d: choose a "
				 "shorter one with path=",
				 sizeof(vp->path) - 1, n);
	return 0;
}

static int read_features(struct vhost_port *vp, const struct port_config *config, struct error *err)
{
	const char *text = port_config_get(&port_vhost_class, config, "features");
	struct strbuf names = STRBUF_INIT;
	int ret;

	vp->features = FEATURES_DEFAULT;
	if (!text)
		return 0;
	ret = vhost_feature_parse(text, &vp->features, err);
	if (ret || !(vp->features & ~FEATURES_DEFAULT))
		return ret;
	vhost_feature_format(vp->features & ~FEATURES_DEFAULT, &names);
	ret = error_set(err, EINVAL, "features=: this switch does not have %s", strbuf_get(&names));
	strbuf_uninit(&names);
	return ret;
}

static int read_mtu(const struct port_config *config, unsigned int *mtu, struct error *err)
{
	*mtu = 0;
	if (!port_config_get(&port_vhost_class, config, "mtu"))
		return 0;
	return port_config_get_uint(&port_vhost_class, config, "mtu", VHOST_DEV_MTU_MIN,
				    VHOST_DEV_MTU_MAX, mtu, err);
}

static int read_access(const struct port_config *config, mode_t *access, struct error *err)
{
	const char *text = port_config_get(&port_vhost_class, config, "access");
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 8);
	if (end == text || *end || text[0] == '-' || value > 0777)
		return error_set(err, EINVAL, "access=%s: must be octal, such as 0660", text);
	*access = (mode_t)value;
	return 0;
}

/* *is_asked: a failure to give the socket to the group is one of the port. */
static int read_group(const struct port_config *config, gid_t *gid, bool *is_asked,
		      struct error *err)
{
	const char *name = port_config_get(&port_vhost_class, config, "group");
	const struct group *group = getgrnam(name ? name : PORT_GUESTS_GROUP);

	*is_asked = name;
	*gid = group ? group->gr_gid : (gid_t)-1;
	if (name && !group)
		return error_set(err, EINVAL, "group=%s: there is no such group", name);
	return 0;
}

/* ---- open and close -------------------------------------------------------------------- */

static int add_queue(struct vhost_port *vp, unsigned int i, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct vhost_rxq *q = &vp->rxqs[i];

	q->kick_fd = -1;
	q->rxq.fd = -1;
	q->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->wake_fd < 0)
		return error_set(err, errno, "cannot make an eventfd: %m");
	port_add_rxq(&vp->port, &q->rxq);
	q->rxq.fd = epoll_create1(EPOLL_CLOEXEC);
	if (q->rxq.fd < 0 || epoll_ctl(q->rxq.fd, EPOLL_CTL_ADD, q->wake_fd, &event))
		return error_set(err, errno, "cannot make an epoll instance: %m");
	spinlock_init(&vp->outs[i].lock);
	port_add_txq(&vp->port, &vp->txqs[i].txq);
	return 0;
}

static void *alloc_lines(size_t n, size_t size)
{
	void *p = aligned_alloc(CACHE_LINE, n * size);

	if (p)
		memset(p, 0, n * size);
	return p;
}

static int add_queues(struct vhost_port *vp, struct error *err)
{
	int ret = 0;

	vp->rxqs = alloc_lines(vp->n_pairs, sizeof(*vp->rxqs));
	vp->txqs = alloc_lines(vp->n_pairs, sizeof(*vp->txqs));
	vp->outs = alloc_lines(vp->n_pairs, sizeof(*vp->outs));
	if (!vp->rxqs || !vp->txqs || !vp->outs)
		return error_set(err, ENOMEM, "no memory for %u queues", vp->n_pairs);
	for (unsigned int i = 0; i < vp->n_pairs && !ret; i++)
		ret = add_queue(vp, i, err);
	return ret;
}

/*
 * Makes the folder that the socket is to lie in. Programs that run guests have to get through it;
 * where they are those who listen, they have to put their sockets there, for a group that we are
 * in: sticky, so that nobody takes away what is another's.
 */
static int make_folder(const struct vhost_port *vp, struct error *err)
{
	const struct group *group = getgrnam(PORT_GUESTS_GROUP);

	if (!vp->folder[0])
		return 0;
	if (mkdir(vp->folder, 0755) == 0) {
		if (chmod(vp->folder, 0755))
			return error_set(err, errno, "cannot open up %s: %m", vp->folder);
	} else if (errno != EEXIST) {
		return error_set(err, errno, "cannot make %s: %m", vp->folder);
	}
	if (vp->is_client && group &&
	    (chown(vp->folder, (uid_t)-1, group->gr_gid) || chmod(vp->folder, 03775)))
		log_debug("cannot give %s to group %s: %m", vp->folder, group->gr_name);
	return 0;
}

static int open_socket(struct vhost_port *vp, const struct port_config *config, struct error *err)
{
	struct vhost_socket_config socket = {.path = vp->path, .is_client = vp->is_client};
	bool is_asked;
	int ret;

	ret = read_access(config, &socket.access, err);
	if (!ret)
		ret = read_group(config, &socket.group, &is_asked, err);
	if (!ret)
		ret = make_folder(vp, err);
	if (ret)
		return ret;
	ret = vhost_socket_open(&socket, vp->dev, clock_now(), &vp->socket, err);
	if (ret != -EPERM || is_asked)
		return ret;
	/* Without the privilege to give files away, it stays our own group's. */
	socket.group = (gid_t)-1;
	return vhost_socket_open(&socket, vp->dev, clock_now(), &vp->socket, err);
}

/* The part of opening that vhost_close() can undo. */
static int start(struct vhost_port *vp, const struct port_config *config, struct error *err)
{
	struct vhost_dev_config device = {
		.name = vp->port.name,
		.protocol_features = VHOST_DEV_PROTOCOL_FEATURES,
	};
	int ret;

	ret = read_mode(vp, config, err);
	if (!ret)
		ret = read_path(vp, config, err);
	if (!ret)
		ret = read_features(vp, config, err);
	if (!ret)
		ret = read_mtu(config, &vp->mtu, err);
	if (!ret)
		ret = port_config_get_uint(&port_vhost_class, config, "queues", 1,
					   VHOST_QUEUE_PAIRS_MAX, &vp->n_pairs, err);
	if (!ret)
		ret = add_queues(vp, err);
	if (ret)
		return ret;
	set_mtu(vp, vp->mtu);
	vp->port.caps.max_segs = SEGS_MAX;
	device.features = vp->features;
	device.n_queue_pairs = vp->n_pairs;
	ret = vhost_dev_create(&device, &vhost_ops, vp, &vp->dev, err);
	if (!ret)
		ret = open_socket(vp, config, err);
	return ret;
}

static void close_queue(struct vhost_port *vp, unsigned int i)
{
	struct vhost_rxq *q = &vp->rxqs[i];

	packet_free(datapath_get_control_cache(vp->port.dp), atomic_load(&q->injected));
	close(q->wake_fd);
	if (q->rxq.fd >= 0)
		close(q->rxq.fd);
}

static void vhost_close(struct port *port)
{
	struct vhost_port *vp = vhost_port_from(port);

	vhost_socket_close(vp->socket);
	vhost_dev_destroy(vp->dev);
	for (unsigned int i = 0; i < port->n_rxqs; i++)
		close_queue(vp, i);
	/* It stays if it is not empty. */
	if (vp->folder[0])
		(void)rmdir(vp->folder);
	free(vp->rxqs);
	free(vp->txqs);
	free(vp->outs);
	port_uninit(port);
	free(vp);
}

/* A fault in guest memory is survived only by threads that do not block its signal. */
static void unblock_fault_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int vhost_open(struct datapath *dp, const struct port_config *config, struct port **portp,
		      struct error *err)
{
	struct vhost_port *vp = calloc(1, sizeof(*vp));
	int ret;

	if (!vp)
		return error_set(err, ENOMEM, "no memory for a port");
	ret = port_init(&vp->port, &port_vhost_class, dp, config);
	if (ret) {
		free(vp);
		return error_set(err, ret, "no memory for a port");
	}
	unblock_fault_signal();
	port_set_link(&vp->port, false);
	ret = start(vp, config, err);
	if (ret) {
		vhost_close(&vp->port);
		return ret;
	}
	*portp = &vp->port;
	return 0;
}

/* ---- the rest of the class ------------------------------------------------------------- */

static int vhost_set(struct port *port, const struct port_config *config, struct error *err)
{
	static const char *const keys[] = {"mtu", NULL};
	struct vhost_port *vp = vhost_port_from(port);
	struct vhost_dev_status status;
	unsigned int mtu;
	int ret;

	ret = port_check_changes(port, config, keys, err);
	if (!ret)
		ret = read_mtu(config, &mtu, err);
	if (!ret && port_set_options(port, config))
		ret = error_set(err, ENOMEM, "no memory for the options");
	if (ret)
		return ret;
	vhost_dev_get_status(vp->dev, &status);
	vp->mtu = mtu;
	set_mtu(vp, mtu ? mtu : status.mtu);
	return 0;
}

static int vhost_get_control_fd(const struct port *port)
{
	return vhost_socket_get_fd(vhost_port_from(port)->socket);
}

static uint64_t vhost_run_control(struct port *port, uint64_t now_ns)
{
	struct vhost_port *vp = vhost_port_from(port);

	vhost_socket_run(vp->socket, now_ns);
	/* What a guest asked for goes with it. */
	if (vhost_socket_get_state(vp->socket) != VHOST_SOCKET_CONNECTED)
		set_mtu(vp, vp->mtu);
	return vhost_socket_get_deadline(vp->socket);
}

static void PRINTF_FORMAT(4, 5)
	tell(port_status_cb *cb, void *aux, const char *name, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	cb(aux, name, text);
}

static void tell_features(port_status_cb *cb, void *aux, const char *name, uint64_t features,
			  void (*format)(uint64_t mask, struct strbuf *out))
{
	struct strbuf text = STRBUF_INIT;

	format(features, &text);
	if (!text.failed)
		cb(aux, name, strbuf_get(&text));
	strbuf_uninit(&text);
}

/* What guests did wrong so far, by name. */
static void tell_faults(port_status_cb *cb, void *aux, const struct vhost_dev_status *status)
{
	struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < VHOST_N_FAULTS; i++)
		if (status->faults[i])
			strbuf_printf(&text, "%s%s=%" PRIu64, text.length ? "," : "",
				      vhost_fault_name((enum vhost_fault)i), status->faults[i]);
	if (text.length && !text.failed)
		cb(aux, "faults", strbuf_get(&text));
	strbuf_uninit(&text);
}

static void tell_connection(port_status_cb *cb, void *aux, const struct vhost_dev_status *status,
			    const struct vhost_port *vp)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < vp->n_pairs; i++)
		n += is_open(vp, i);
	tell_features(cb, aux, "features", status->features, vhost_feature_format);
	tell_features(cb, aux, "protocol_features", status->protocol_features,
		      vhost_feature_format_protocol);
	tell(cb, aux, "rings", "%s",
	     has(status->features, VIRTIO_F_RING_PACKED) ? "packed" : "split");
	tell(cb, aux, "queues_enabled", "%u of %u", n, vp->n_pairs);
	tell(cb, aux, "guest_memory", "%" PRIu64 " MiB in %u regions", status->mem_size >> 20,
	     status->n_regions);
	if (status->mtu)
		tell(cb, aux, "guest_mtu", "%u", status->mtu);
}

static void vhost_get_status(const struct port *port, port_status_cb *cb, void *aux)
{
	const struct vhost_port *vp = vhost_port_from(port);
	struct vhost_dev_status status;

	vhost_dev_get_status(vp->dev, &status);
	cb(aux, "mode", vp->is_client ? "client" : "server");
	cb(aux, "socket", vp->path);
	cb(aux, "connection", vhost_socket_get_text(vp->socket));
	tell(cb, aux, "offered", "0x%" PRIx64, vp->features);
	if (status.is_attached)
		tell_connection(cb, aux, &status, vp);
	tell_faults(cb, aux, &status);
}

const struct port_class port_vhost_class = {
	.type = "vhost-user",
	.help = "the network card of a virtual machine, by a vhost-user socket",
	.options = vhost_options,
	.open = vhost_open,
	.close = vhost_close,
	.rx = port_vhost_rx,
	.tx = port_vhost_tx,
	.arm = port_vhost_arm,
	.get_status = vhost_get_status,
	.set = vhost_set,
	.get_control_fd = vhost_get_control_fd,
	.run_control = vhost_run_control,
};
