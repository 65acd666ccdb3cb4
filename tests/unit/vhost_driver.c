/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vhost_driver.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOAD(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define STORE(p, value) __atomic_store_n(p, value, __ATOMIC_RELAXED)

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const struct vhost_region regions[] = {
	{DRIVER_GPA_LOW, DRIVER_MIB, DRIVER_GPA_LOW + DRIVER_UVA_OFFSET, 0},
	{DRIVER_GPA_NEXT, DRIVER_MIB, DRIVER_GPA_NEXT + DRIVER_UVA_OFFSET + DRIVER_MIB,
	 2 * DRIVER_MIB},
	{DRIVER_GPA_HIGH, 12 * DRIVER_MIB, DRIVER_GPA_HIGH + DRIVER_UVA_OFFSET, 4 * DRIVER_MIB},
};

/* ---- the device's operations ------------------------------------------------------------ */

static void publish(void *aux, uint32_t rings)
{
	struct vhost_driver *d = aux;

	MUST(!(d->published & rings));
	d->published |= rings;
	d->n_publishes++;
}

static void withdraw(void *aux, uint32_t rings)
{
	struct vhost_driver *d = aux;

	MUST((d->published & rings) == rings);
	d->published &= ~rings;
	d->n_withdraws++;
}

static int set_mtu(void *aux, unsigned int mtu)
{
	struct vhost_driver *d = aux;

	if (!d->mtu_error)
		d->mtu = mtu;
	return d->mtu_error;
}

static void send_rarp(void *aux, const uint8_t mac[6])
{
	struct vhost_driver *d = aux;

	memcpy(d->mac, mac, 6);
}

static const struct vhost_dev_ops ops = {
	.publish = publish,
	.withdraw = withdraw,
	.set_mtu = set_mtu,
	.send_rarp = send_rarp,
};

/* A device in another process handles messages without being told to. */
static void run_elsewhere(void *aux UNUSED)
{
}

/* ---- life cycle ------------------------------------------------------------------------- */

static void set_path(struct sockaddr_un *address, const char *path)
{
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);

	address->sun_family = AF_UNIX;
	MUST(n < (int)sizeof(address->sun_path));
}

static void connect_to_path(struct vhost_driver *d)
{
	struct sockaddr_un address;

	set_path(&address, d->path);
	d->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(d->sock >= 0);
	MUST(connect(d->sock, (struct sockaddr *)&address, sizeof(address)) == 0);
	d->run(d->run_aux);
}

/* Lets the device handle what came. Returns 0, or a negative errno when it has hung up. */
static int run_device(struct vhost_driver *d)
{
	ssize_t n;
	char c;

	if (d->dev)
		return vhost_dev_run(d->dev);
	d->run(d->run_aux);
	n = recv(d->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return -EPIPE;
	return 0;
}

void driver_connect(struct vhost_driver *d)
{
	int pair[2];

	if (!d->dev) {
		connect_to_path(d);
		return;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	d->sock = pair[0];
	vhost_dev_attach(d->dev, pair[1]);
}

/* The guest's memory, and no ring. */
static void init_guest(struct vhost_driver *d)
{
	memset(d, 0, sizeof(*d));
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++)
		d->rings[i].kick_fd = d->rings[i].call_fd = d->rings[i].err_fd = -1;
	d->mem_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(d->mem_fd >= 0 && ftruncate(d->mem_fd, DRIVER_FILE_SIZE) == 0);
	d->mem = mmap(NULL, DRIVER_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d->mem_fd, 0);
	MUST(d->mem != MAP_FAILED);
	d->next_alloc = DRIVER_GPA_HIGH;
}

void driver_init(struct vhost_driver *d, unsigned int n_queue_pairs)
{
	const struct vhost_dev_config config = {
		.name = "test",
		.features = VHOST_DEV_FEATURES,
		.protocol_features = VHOST_DEV_PROTOCOL_FEATURES,
		.n_queue_pairs = n_queue_pairs,
	};

	init_guest(d);
	MUST(vhost_dev_create(&config, &ops, d, &d->dev, NULL) == 0);
	driver_connect(d);
}

void driver_init_at(struct vhost_driver *d, const char *path, void (*run)(void *aux), void *aux)
{
	init_guest(d);
	d->path = path;
	d->run = run;
	d->run_aux = aux;
	driver_connect(d);
}

int driver_listen(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	set_path(&address, path);
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	MUST(listen(fd, 1) == 0);
	return fd;
}

void driver_init_accept(struct vhost_driver *d, int listener)
{
	init_guest(d);
	d->run = run_elsewhere;
	d->sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	MUST(d->sock >= 0);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void driver_hang_up(struct vhost_driver *d)
{
	close_fd(&d->sock);
	if (!d->dev) {
		d->run(d->run_aux);
		return;
	}
	for (int i = 0; i < 1000 && vhost_dev_get_fd(d->dev) >= 0; i++)
		(void)!vhost_dev_run(d->dev);
	MUST(vhost_dev_get_fd(d->dev) < 0);
}

void driver_uninit(struct vhost_driver *d)
{
	vhost_dev_destroy(d->dev);
	close_fd(&d->sock);
	close_fd(&d->mem_fd);
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++) {
		close_fd(&d->rings[i].kick_fd);
		close_fd(&d->rings[i].call_fd);
		close_fd(&d->rings[i].err_fd);
	}
	munmap(d->mem, DRIVER_FILE_SIZE);
}

void *driver_ptr(struct vhost_driver *d, uint64_t gpa)
{
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
		if (gpa - regions[i].gpa < regions[i].size)
			return d->mem + regions[i].offset + (gpa - regions[i].gpa);
	return NULL;
}

uint64_t driver_alloc(struct vhost_driver *d, uint64_t size)
{
	uint64_t gpa = ROUND_UP(d->next_alloc, size >= 4096 ? 4096u : 64u);

	d->next_alloc = gpa + size;
	MUST(d->next_alloc <= DRIVER_GPA_HIGH + 12 * DRIVER_MIB);
	return gpa;
}

/* ---- messages --------------------------------------------------------------------------- */

int driver_send_raw(struct vhost_driver *d, const void *data, size_t size, const int *fds,
		    unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds) {
		MUST(n_fds <= 64);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	n = sendmsg(d->sock, &header, MSG_NOSIGNAL);
	return n < 0 ? -errno : 0;
}

int driver_request(struct vhost_driver *d, uint32_t request, uint32_t flags, const void *payload,
		   uint32_t size, const int *fds, unsigned int n_fds)
{
	struct {
		struct vhost_header header;
		uint8_t payload[sizeof(union vhost_payload)];
	} PACKED msg = {.header = {request, VHOST_FLAG_VERSION | flags, size}};
	int ret;

	MUST(size <= sizeof(msg.payload));
	if (size)
		memcpy(msg.payload, payload, size);
	ret = driver_send_raw(d, &msg, sizeof(msg.header) + size, fds, n_fds);
	if (ret)
		return ret;
	return run_device(d);
}

/* Waits until a device in another process has answered; it has 10 seconds. */
static void wait_for_answer(struct vhost_driver *d)
{
	struct pollfd fd = {.fd = d->sock, .events = POLLIN};

	if (d->run == run_elsewhere)
		(void)poll(&fd, 1, 10000);
}

int driver_read_reply(struct vhost_driver *d, uint32_t request, void *payload, uint32_t size,
		      int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct vhost_header head;
	struct iovec iov = {.iov_base = &head, .iov_len = sizeof(head)};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int got = -1;
	ssize_t n;

	wait_for_answer(d);
	n = recvmsg(d->sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	MUST(n == sizeof(head));
	cmsg = CMSG_FIRSTHDR(&header);
	if (cmsg)
		memcpy(&got, CMSG_DATA(cmsg), sizeof(got));
	if (fd)
		*fd = got;
	else
		close_fd(&got);
	MUST(head.flags == (VHOST_FLAG_VERSION | VHOST_FLAG_REPLY) && head.request == request);
	MUST(head.size <= size);
	if (head.size)
		MUST(recv(d->sock, payload, head.size, MSG_DONTWAIT) == (ssize_t)head.size);
	return (int)head.size;
}

int driver_request_ack(struct vhost_driver *d, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned int n_fds)
{
	uint64_t answer;
	int ret = driver_request(d, request, VHOST_FLAG_NEED_REPLY, payload, size, fds, n_fds);
	int n = driver_read_reply(d, request, &answer, sizeof(answer), NULL);

	if (n == sizeof(answer))
		return (int)answer;
	return ret ? ret : n;
}

uint64_t driver_get_u64(struct vhost_driver *d, uint32_t request)
{
	uint64_t value;

	MUST(driver_request(d, request, 0, NULL, 0, NULL, 0) == 0);
	MUST(driver_read_reply(d, request, &value, sizeof(value), NULL) == sizeof(value));
	return value;
}

int driver_set_u64(struct vhost_driver *d, uint32_t request, uint64_t value)
{
	return driver_request(d, request, 0, &value, sizeof(value), NULL, 0);
}

int driver_set_state(struct vhost_driver *d, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_state state = {index, num};

	return driver_request(d, request, 0, &state, sizeof(state), NULL, 0);
}

uint32_t driver_get_base(struct vhost_driver *d, unsigned int index)
{
	struct vhost_state state;

	MUST(driver_set_state(d, VHOST_GET_VRING_BASE, index, 0) == 0);
	MUST(driver_read_reply(d, VHOST_GET_VRING_BASE, &state, sizeof(state), NULL) ==
	     sizeof(state));
	MUST(state.index == index);
	return state.num;
}

void driver_get_region(unsigned int i, struct vhost_region *region)
{
	*region = regions[i];
}

int driver_set_memory(struct vhost_driver *d, unsigned int n)
{
	struct vhost_mem_table table = {.n = n};
	int fds[] = {d->mem_fd, d->mem_fd, d->mem_fd};

	MUST(n <= ARRAY_SIZE(regions));
	memcpy(table.regions, regions, n * sizeof(regions[0]));
	return driver_request(
		d, VHOST_SET_MEM_TABLE, 0, &table,
		(uint32_t)(offsetof(struct vhost_mem_table, regions) + n * sizeof(regions[0])), fds,
		n);
}

void driver_negotiate(struct vhost_driver *d, uint64_t features)
{
	MUST((driver_get_u64(d, VHOST_GET_FEATURES) & features) == features);
	d->protocol_features = driver_get_u64(d, VHOST_GET_PROTOCOL_FEATURES);
	MUST(driver_set_u64(d, VHOST_SET_PROTOCOL_FEATURES, d->protocol_features) == 0);
	MUST(driver_request(d, VHOST_SET_OWNER, 0, NULL, 0, NULL, 0) == 0);
	MUST(driver_set_u64(d, VHOST_SET_FEATURES, features) == 0);
	d->features = features;
	MUST(driver_set_memory(d, ARRAY_SIZE(regions)) == 0);
}

void driver_ready(struct vhost_driver *d)
{
	const uint64_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	if (d->protocol_features & VHOST_BIT(VHOST_PROTOCOL_STATUS))
		MUST(driver_set_u64(d, VHOST_SET_STATUS, status) == 0);
}

/* ---- setting up a ring ------------------------------------------------------------------ */

struct driver_ring *driver_ring_make(struct vhost_driver *d, unsigned int index, uint32_t num)
{
	struct driver_ring *r = &d->rings[index];
	int kick_fd = r->kick_fd, call_fd = r->call_fd, err_fd = r->err_fd;

	MUST(num <= DRIVER_RING_MAX);
	memset(r, 0, sizeof(*r));
	r->kick_fd = kick_fd;
	r->call_fd = call_fd;
	r->err_fd = err_fd;
	r->driver = d;
	r->index = index;
	r->num = num;
	r->device_writes = index % 2 == 0;
	r->is_packed = d->features & VHOST_BIT(VIRTIO_F_RING_PACKED);
	r->event_idx = d->features & VHOST_BIT(VIRTIO_RING_F_EVENT_IDX);
	r->avail_wrap = r->used_wrap = true;
	r->n_free = r->n_free_ids = num;
	for (uint32_t i = 0; i < num; i++)
		r->free_ids[i] = (uint16_t)(num - 1 - i);
	r->desc_gpa = driver_alloc(d, num * sizeof(struct vring_slot));
	r->avail_gpa = driver_alloc(d, sizeof(struct vring_avail) + (num + 1) * sizeof(uint16_t));
	r->used_gpa =
		driver_alloc(d, sizeof(struct vring_used) + num * sizeof(struct vring_used_elem) +
					sizeof(uint16_t));
	r->desc = driver_ptr(d, r->desc_gpa);
	r->avail = driver_ptr(d, r->avail_gpa);
	r->used = driver_ptr(d, r->used_gpa);
	r->driver_event = driver_ptr(d, r->avail_gpa);
	r->device_event = driver_ptr(d, r->used_gpa);
	memset(r->desc, 0, num * sizeof(struct vring_slot));
	memset(r->avail, 0, sizeof(struct vring_avail) + (num + 1) * sizeof(uint16_t));
	memset(r->used, 0, sizeof(struct vring_used) + num * sizeof(struct vring_used_elem) + 2);
	return r;
}

int driver_ring_send_addr(struct driver_ring *r, uint32_t flags, uint64_t log)
{
	struct vhost_addr addr = {
		.index = r->index,
		.flags = flags,
		.desc = r->desc_gpa + DRIVER_UVA_OFFSET,
		.used = r->used_gpa + DRIVER_UVA_OFFSET,
		.avail = r->avail_gpa + DRIVER_UVA_OFFSET,
		.log = log,
	};

	return driver_request(r->driver, VHOST_SET_VRING_ADDR, 0, &addr, sizeof(addr), NULL, 0);
}

int driver_ring_send_fd(struct driver_ring *r, uint32_t request, int *keep)
{
	uint64_t value = r->index;

	close_fd(keep);
	*keep = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(*keep >= 0);
	return driver_request(r->driver, request, 0, &value, sizeof(value), keep, 1);
}

void driver_ring_start(struct driver_ring *r, uint32_t base)
{
	struct vhost_driver *d = r->driver;

	MUST(driver_ring_send_fd(r, VHOST_SET_VRING_CALL, &r->call_fd) == 0);
	MUST(driver_set_state(d, VHOST_SET_VRING_NUM, r->index, r->num) == 0);
	MUST(driver_set_state(d, VHOST_SET_VRING_BASE, r->index, base) == 0);
	MUST(driver_ring_send_addr(r, 0, 0) == 0);
	MUST(driver_ring_send_fd(r, VHOST_SET_VRING_KICK, &r->kick_fd) == 0);
	MUST(driver_set_state(d, VHOST_SET_VRING_ENABLE, r->index, 1) == 0);
	MUST(!d->dev || d->published & VHOST_BIT(r->index));
}

struct driver_ring *driver_ring_open(struct vhost_driver *d, unsigned int index, uint32_t num)
{
	struct driver_ring *r = driver_ring_make(d, index, num);

	driver_ring_start(r, r->is_packed ? VHOST_BASE_WRAP : 0);
	(void)driver_ring_take_calls(r); /* the one at its start */
	return r;
}

/* ---- lending ---------------------------------------------------------------------------- */

static uint16_t get_direction(const struct driver_ring *r)
{
	return r->device_writes ? VRING_DESC_F_WRITE : 0;
}

static uint64_t split_rest(uint32_t len, uint16_t flags, uint16_t next)
{
	return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

static uint64_t packed_rest(uint32_t len, uint16_t id, uint16_t flags)
{
	return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

static void write_table(struct driver_ring *r, const struct driver_piece *pieces, unsigned int n,
			uint64_t table)
{
	uint8_t *to = driver_ptr(r->driver, table);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t next = i + 1 < n ? (uint16_t)(i + 1) : 0;
		uint16_t flags = (uint16_t)(get_direction(r) | (next ? VRING_DESC_F_NEXT : 0));
		struct vring_slot entry = {
			.addr = pieces[i].gpa,
			.rest = r->is_packed ? packed_rest(pieces[i].size, 0, get_direction(r))
					     : split_rest(pieces[i].size, flags, next),
		};

		memcpy(to + i * sizeof(entry), &entry, sizeof(entry));
	}
}

/* Descriptors that the buffer takes; its indirect part is written to the table. */
static unsigned int lay_out(struct driver_ring *r, const struct driver_piece *pieces,
			    unsigned int n_pieces, enum driver_layout layout, uint64_t table)
{
	switch (layout) {
	case DRIVER_DIRECT:
		return n_pieces;
	case DRIVER_INDIRECT:
		write_table(r, pieces, n_pieces, table);
		return 1;
	case DRIVER_MIXED:
		write_table(r, pieces + 1, n_pieces - 1, table);
		return 2;
	}
	abort();
}

/* What descriptor `i` of the buffer says. */
static void get_descriptor(const struct driver_ring *r, const struct driver_piece *pieces,
			   unsigned int n_pieces, enum driver_layout layout, uint64_t table,
			   unsigned int i, struct driver_piece *piece, uint16_t *flags)
{
	bool is_table = layout == DRIVER_INDIRECT || (layout == DRIVER_MIXED && i == 1);
	unsigned int in_table = layout == DRIVER_INDIRECT ? n_pieces : n_pieces - 1;

	if (is_table) {
		piece->gpa = table;
		piece->size = in_table * (uint32_t)sizeof(struct vring_slot);
		*flags = VRING_DESC_F_INDIRECT;
	} else {
		*piece = pieces[i];
		*flags = get_direction(r);
	}
}

static int split_add(struct driver_ring *r, const struct driver_piece *pieces,
		     unsigned int n_pieces, enum driver_layout layout, uint64_t table,
		     unsigned int n)
{
	uint16_t ids[64];
	unsigned int slot = r->next_avail % r->num;

	for (unsigned int i = 0; i < n; i++)
		ids[i] = r->free_ids[--r->n_free_ids];
	for (unsigned int i = 0; i < n; i++) {
		struct vring_slot *desc = &r->desc[ids[i]];
		struct driver_piece piece;
		uint16_t flags;

		get_descriptor(r, pieces, n_pieces, layout, table, i, &piece, &flags);
		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		STORE(&desc->addr, piece.gpa);
		STORE(&desc->rest, split_rest(piece.size, flags, i + 1 < n ? ids[i + 1] : 0));
	}
	r->buffers[ids[0]].n = (uint16_t)n;
	memcpy(r->buffers[ids[0]].descs, ids, n * sizeof(ids[0]));
	STORE(&r->avail->ring[slot], ids[0]);
	__atomic_store_n(&r->avail->idx, ++r->next_avail, __ATOMIC_RELEASE);
	return ids[0];
}

static void packed_step(const struct driver_ring *r, uint16_t *slot, bool *wrap, unsigned int n)
{
	*slot = (uint16_t)(*slot + n);
	if (*slot >= r->num) {
		*slot = (uint16_t)(*slot - r->num);
		*wrap = !*wrap;
	}
}

static int packed_add(struct driver_ring *r, const struct driver_piece *pieces,
		      unsigned int n_pieces, enum driver_layout layout, uint64_t table,
		      unsigned int n)
{
	uint16_t id = r->free_ids[--r->n_free_ids];
	uint16_t first = r->next_avail;
	uint64_t first_rest = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct driver_piece piece;
		uint16_t flags;
		uint64_t rest;

		get_descriptor(r, pieces, n_pieces, layout, table, i, &piece, &flags);
		flags |= r->avail_wrap ? VRING_DESC_F_AVAIL : VRING_DESC_F_USED;
		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		rest = packed_rest(piece.size, id, flags);
		STORE(&r->desc[r->next_avail].addr, piece.gpa);
		if (i == 0)
			first_rest = rest;
		else
			STORE(&r->desc[r->next_avail].rest, rest);
		packed_step(r, &r->next_avail, &r->avail_wrap, 1);
	}
	r->buffers[id].n = (uint16_t)n;
	__atomic_store_n(&r->desc[first].rest, first_rest, __ATOMIC_RELEASE);
	return id;
}

int driver_ring_add(struct driver_ring *r, const struct driver_piece *pieces, unsigned int n_pieces,
		    enum driver_layout layout, uint64_t table)
{
	unsigned int n;

	MUST(n_pieces >= (layout == DRIVER_MIXED ? 2 : 1));
	n = lay_out(r, pieces, n_pieces, layout, table);
	MUST(n <= 64);
	if (n > r->n_free)
		return -ENOSPC;
	r->n_free -= n;
	return r->is_packed ? packed_add(r, pieces, n_pieces, layout, table, n)
			    : split_add(r, pieces, n_pieces, layout, table, n);
}

/* ---- taking back ------------------------------------------------------------------------ */

static int split_get(struct driver_ring *r, uint32_t *len)
{
	const struct vring_used_elem *elem = &r->used->ring[r->next_used % r->num];
	uint32_t id;

	if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->next_used)
		return -EAGAIN;
	id = LOAD(&elem->id);
	*len = LOAD(&elem->len);
	MUST(id < r->num && r->buffers[id].n);
	r->next_used++;
	r->n_free += r->buffers[id].n;
	for (unsigned int i = 0; i < r->buffers[id].n; i++)
		r->free_ids[r->n_free_ids++] = r->buffers[id].descs[i];
	r->buffers[id].n = 0;
	return (int)id;
}

static int packed_get(struct driver_ring *r, uint32_t *len)
{
	uint64_t rest = __atomic_load_n(&r->desc[r->next_used].rest, __ATOMIC_ACQUIRE);
	uint16_t flags = (uint16_t)(rest >> 48), id = (uint16_t)(rest >> 32);

	if (!!(flags & VRING_DESC_F_AVAIL) != r->used_wrap ||
	    !!(flags & VRING_DESC_F_USED) != r->used_wrap)
		return -EAGAIN;
	*len = (uint32_t)rest;
	MUST(id < r->num && r->buffers[id].n);
	packed_step(r, &r->next_used, &r->used_wrap, r->buffers[id].n);
	r->n_free += r->buffers[id].n;
	r->free_ids[r->n_free_ids++] = id;
	r->buffers[id].n = 0;
	return id;
}

int driver_ring_get(struct driver_ring *r, uint32_t *len)
{
	return r->is_packed ? packed_get(r, len) : split_get(r, len);
}

/* ---- notifications ---------------------------------------------------------------------- */

static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool driver_ring_wants_kick(struct driver_ring *r)
{
	uint16_t old = r->kicked, event, flags;

	r->kicked = r->next_avail;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!r->is_packed) {
		if (!r->event_idx)
			return !(LOAD(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
		event = LOAD((uint16_t *)(void *)&r->used->ring[r->num]);
		return passed(event, r->next_avail, old);
	}
	flags = LOAD(&r->device_event->flags);
	if (flags != VRING_EVENT_DESC)
		return flags != VRING_EVENT_DISABLE;
	event = LOAD(&r->device_event->off_wrap);
	if (!!(event & VRING_EVENT_WRAP) != r->avail_wrap)
		event = (uint16_t)((event & ~VRING_EVENT_WRAP) - r->num);
	else
		event &= (uint16_t)~VRING_EVENT_WRAP;
	if (r->next_avail <= old)
		old = (uint16_t)(old - r->num);
	return passed(event, r->next_avail, old);
}

void driver_ring_kick(struct driver_ring *r)
{
	if (driver_ring_wants_kick(r))
		MUST(eventfd_write(r->kick_fd, 1) == 0);
}

void driver_ring_arm(struct driver_ring *r)
{
	if (!r->is_packed) {
		STORE(&r->avail->flags, 0);
		if (r->event_idx)
			STORE(&r->avail->ring[r->num], r->next_used);
	} else {
		STORE(&r->driver_event->off_wrap,
		      (uint16_t)(r->next_used | (r->used_wrap ? VRING_EVENT_WRAP : 0)));
		STORE(&r->driver_event->flags,
		      (uint16_t)(r->event_idx ? VRING_EVENT_DESC : VRING_EVENT_ENABLE));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void driver_ring_disarm(struct driver_ring *r)
{
	if (r->is_packed)
		STORE(&r->driver_event->flags, VRING_EVENT_DISABLE);
	else if (r->event_idx)
		STORE(&r->avail->ring[r->num], (uint16_t)(r->next_used - 1));
	else
		STORE(&r->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t driver_ring_take_calls(struct driver_ring *r)
{
	eventfd_t count;

	return eventfd_read(r->call_fd, &count) ? 0 : count;
}

/* ---- censuses --------------------------------------------------------------------------- */

unsigned int driver_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	MUST(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the folder itself */
}

unsigned int driver_count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	char line[4096];

	MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	fclose(f);
	return n;
}
