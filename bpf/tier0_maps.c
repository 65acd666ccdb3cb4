/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/tc_prog.h"
#include "bpf/tier0_maps.h"
#include "lib/util.h"

/* Flows for each bucket of eight places, on average, when all slots are taken: then one flow in
 * some thousand finds its bucket full. */
#define SLOTS_PER_BUCKET 2

static void clear(struct tier0_maps *maps)
{
	memset(maps, 0, sizeof(*maps));
	maps->control_fd = maps->buckets_fd = maps->slots_fd = -1;
	maps->targets_fd = maps->devices_fd = -1;
}

/* Bytes of memory that an array map is mapped in. */
static size_t mapped_size(size_t value_size, uint32_t n)
{
	return ROUND_UP(value_size * n, (size_t)sysconf(_SC_PAGESIZE));
}

static int explain(struct error *err, const char *name)
{
	int ret = -errno;

	if (ret == -EPERM)
		return error_set(err, ret, "making map %s is not permitted; it takes CAP_BPF",
				 name);
	return error_set(err, ret, "making map %s: %m", name);
}

/* Makes an array map and maps it. */
static int make_array(const char *name, uint32_t value_size, uint32_t n, int *fdp, void **mappedp,
		      struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, n, &opts);
	void *mapped;
	int ret;

	if (fd < 0)
		return explain(err, name);
	mapped = mmap(NULL, mapped_size(value_size, n), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) {
		ret = explain(err, name);
		close(fd);
		return ret;
	}
	*fdp = fd;
	*mappedp = mapped;
	return 0;
}

/* Undoes make_array(). */
static void free_array(uint32_t value_size, uint32_t n, int *fd, void *mapped)
{
	if (*fd < 0)
		return;
	munmap(mapped, mapped_size(value_size, n));
	close(*fd);
	*fd = -1;
}

int tier0_maps_create(struct tier0_maps *maps, struct error *err)
{
	int ret;

	clear(maps);
	ret = make_array("tier0_control", sizeof(*maps->control), 1, &maps->control_fd,
			 (void **)&maps->control, err);
	if (ret)
		return ret;
	if (getrandom(maps->control->secret, sizeof(maps->control->secret), 0) !=
	    sizeof(maps->control->secret)) {
		ret = error_set(err, errno, "no random numbers: %m");
		tier0_maps_destroy(maps);
		return ret;
	}
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		maps->control->secret[i] |= 1;
	return 0;
}

static int make_tables(struct tier0_maps *maps, struct error *err)
{
	int ret = make_array("tier0_buckets", sizeof(*maps->buckets), maps->n_buckets,
			     &maps->buckets_fd, (void **)&maps->buckets, err);

	if (!ret)
		ret = make_array("tier0_slots", sizeof(*maps->slots), maps->n_slots,
				 &maps->slots_fd, (void **)&maps->slots, err);
	if (!ret)
		ret = make_array("tier0_targets", sizeof(*maps->targets), TIER0_PORTS,
				 &maps->targets_fd, (void **)&maps->targets, err);
	if (ret)
		return ret;
	maps->devices_fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "tier0_devices", sizeof(uint32_t),
					  sizeof(uint32_t), TIER0_PORTS, NULL);
	return maps->devices_fd < 0 ? explain(err, "tier0_devices") : 0;
}

static void free_tables(struct tier0_maps *maps)
{
	if (maps->devices_fd >= 0)
		close(maps->devices_fd);
	maps->devices_fd = -1;
	free_array(sizeof(*maps->targets), TIER0_PORTS, &maps->targets_fd, maps->targets);
	free_array(sizeof(*maps->slots), maps->n_slots, &maps->slots_fd, maps->slots);
	free_array(sizeof(*maps->buckets), maps->n_buckets, &maps->buckets_fd, maps->buckets);
	maps->n_slots = maps->n_buckets = 0;
}

int tier0_maps_reserve(struct tier0_maps *maps, uint32_t n_slots, struct error *err)
{
	int ret;

	if (maps->n_slots)
		return 0;
	maps->n_slots = n_slots;
	maps->n_buckets = MAX(n_slots / SLOTS_PER_BUCKET, 1u);
	ret = make_tables(maps, err);
	if (ret) {
		free_tables(maps);
		return ret;
	}
	maps->control->bucket_mask = maps->n_buckets - 1;
	return 0;
}

void tier0_maps_destroy(struct tier0_maps *maps)
{
	tc_prog_forget(maps);
	free_tables(maps);
	free_array(sizeof(*maps->control), 1, &maps->control_fd, maps->control);
	clear(maps);
}

int tier0_maps_share(const struct tier0_maps *maps, struct bpf_map *map)
{
	const struct {
		const char *name;
		int fd;
	} ours[] = {
		{"tier0_control", maps->control_fd}, {"tier0_buckets", maps->buckets_fd},
		{"tier0_slots", maps->slots_fd},     {"tier0_targets", maps->targets_fd},
		{"tier0_devices", maps->devices_fd},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strcmp(bpf_map__name(map), ours[i].name))
			return bpf_map__reuse_fd(map, ours[i].fd);
	return 0;
}

int tier0_maps_set_device(struct tier0_maps *maps, uint32_t port_no, uint32_t ifindex)
{
	int ret;

	if (ifindex)
		ret = bpf_map_update_elem(maps->devices_fd, &port_no, &ifindex, BPF_ANY);
	else
		ret = bpf_map_delete_elem(maps->devices_fd, &port_no);
	return ret ? -errno : 0;
}
