/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bpf/pin_dir.h"
#include "bpf/tc_prog.h"
#include "bpf/tier0_maps.h"
#include "bpf/xdp_prog.h"
#include "lib/util.h"

/* Flows for each bucket of eight places, on average, when all slots are taken: then one flow in
 * some thousand finds its bucket full. */
#define SLOTS_PER_BUCKET 2
#define DEVICES_NAME "tier0_devices"
#define GROUPS_NAME "tier0_groups"

/* A table that is mapped: where its members are in struct tier0_maps. */
struct table {
	const char *name;
	uint32_t value_size;
	size_t fd;
	size_t mapped;
	size_t n; /* a uint32_t; 0: there are TIER0_PORTS of them */
};

#define TABLE(NAME, N)                                                                             \
	{                                                                                          \
		.name = "tier0_" #NAME, .value_size = sizeof(*((struct tier0_maps *)0)->NAME),     \
		.fd = offsetof(struct tier0_maps, NAME##_fd),                                      \
		.mapped = offsetof(struct tier0_maps, NAME), .n = N                                \
	}

static const struct table tables[] = {
	TABLE(buckets, offsetof(struct tier0_maps, n_buckets)),
	TABLE(slots, offsetof(struct tier0_maps, n_slots)),
	TABLE(seen, offsetof(struct tier0_maps, n_slots)),
	TABLE(targets, 0),
	TABLE(names, 0),
};

static const struct table control_table = {
	.name = "tier0_control",
	.value_size = sizeof(struct tier0_control),
	.fd = offsetof(struct tier0_maps, control_fd),
	.mapped = offsetof(struct tier0_maps, control),
};

static int *get_fd(const struct tier0_maps *maps, const struct table *table)
{
	return (int *)((char *)(uintptr_t)maps + table->fd);
}

static void **get_mapped(struct tier0_maps *maps, const struct table *table)
{
	return (void **)((char *)maps + table->mapped);
}

static uint32_t get_n(const struct tier0_maps *maps, const struct table *table)
{
	if (table == &control_table)
		return 1;
	return table->n ? *(const uint32_t *)((const char *)maps + table->n) : TIER0_PORTS;
}

static void clear(struct tier0_maps *maps)
{
	memset(maps, 0, sizeof(*maps));
	maps->control_fd = maps->devices_fd = maps->groups_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		*get_fd(maps, &tables[i]) = -1;
	for (uint32_t i = 0; i < TIER0_GROUPS_MAX; i++)
		maps->group_fds[i] = -1;
}

/* Bytes of memory that a table is mapped in. */
static size_t mapped_size(const struct tier0_maps *maps, const struct table *table)
{
	return ROUND_UP((size_t)table->value_size * get_n(maps, table),
			(size_t)sysconf(_SC_PAGESIZE));
}

static int explain(struct error *err, const char *name)
{
	int ret = -errno;

	if (ret == -EPERM)
		return error_set(err, ret, "making map %s is not permitted; it takes CAP_BPF",
				 name);
	return error_set(err, ret, "making map %s: %m", name);
}

/* Maps the array `fd`, which is the maps' from then on. */
static int map_array(struct tier0_maps *maps, const struct table *table, int fd, struct error *err)
{
	void *mapped =
		mmap(NULL, mapped_size(maps, table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int ret;

	if (mapped == MAP_FAILED) {
		ret = explain(err, table->name);
		close(fd);
		return ret;
	}
	*get_fd(maps, table) = fd;
	*get_mapped(maps, table) = mapped;
	return 0;
}

static int make_array(struct tier0_maps *maps, const struct table *table, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, table->name, sizeof(uint32_t),
				table->value_size, get_n(maps, table), &opts);

	return fd < 0 ? explain(err, table->name) : map_array(maps, table, fd, err);
}

static void free_array(struct tier0_maps *maps, const struct table *table)
{
	int *fd = get_fd(maps, table);

	if (*fd < 0)
		return;
	munmap(*get_mapped(maps, table), mapped_size(maps, table));
	*get_mapped(maps, table) = NULL;
	close(*fd);
	*fd = -1;
}

static int make_device_map(const char *name, uint32_t n)
{
	return bpf_map_create(BPF_MAP_TYPE_DEVMAP, name, sizeof(uint32_t), sizeof(uint32_t), n,
			      NULL);
}

static void free_groups(struct tier0_maps *maps)
{
	for (uint32_t i = 0; i < TIER0_GROUPS_MAX; i++) {
		if (maps->group_fds[i] >= 0)
			close(maps->group_fds[i]);
		maps->group_fds[i] = -1;
	}
	if (maps->groups_fd >= 0)
		close(maps->groups_fd);
	maps->groups_fd = -1;
}

/* Makes all groups, empty. All at once they take one grace period, singly one each. */
static int make_groups(struct tier0_maps *maps, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	uint32_t numbers[TIER0_GROUPS_MAX - 1], n = ARRAY_SIZE(numbers);

	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++) {
		numbers[no - 1] = no;
		maps->group_fds[no] = make_device_map("tier0_group", TIER0_GROUP_PORTS);
		if (maps->group_fds[no] < 0)
			return explain(err, "tier0_group");
	}
	opts.inner_map_fd = (uint32_t)maps->group_fds[1];
	maps->groups_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, GROUPS_NAME, sizeof(uint32_t),
					 sizeof(uint32_t), TIER0_GROUPS_MAX, &opts);
	if (maps->groups_fd < 0 ||
	    bpf_map_update_batch(maps->groups_fd, numbers, &maps->group_fds[1], &n, NULL))
		return explain(err, GROUPS_NAME);
	return 0;
}

/* What tells apart tables that other programs were made for. */
static uint64_t get_build(void)
{
	size_t xdp_size, tc_size;
	const void *xdp = xdp_prog_get_elf(&xdp_size), *tc = tc_prog_get_elf(&tc_size);

	return XXH3_64bits(xdp, xdp_size) ^ XXH3_64bits_withSeed(tc, tc_size, 1) ^
	       sizeof(struct tier0_seen) << 32 ^ sizeof(struct tier0_name);
}

/* The network namespace that we are in; 0: cannot be told. */
static uint64_t get_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

int tier0_maps_create(struct tier0_maps *maps, struct error *err)
{
	struct tier0_control *control;
	int ret;

	clear(maps);
	ret = make_array(maps, &control_table, err);
	if (ret)
		return ret;
	control = maps->control;
	if (getrandom(control->secret, sizeof(control->secret), 0) != sizeof(control->secret)) {
		ret = error_set(err, errno, "no random numbers: %m");
		tier0_maps_destroy(maps);
		return ret;
	}
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		control->secret[i] |= 1;
	control->build = get_build();
	control->netns = get_netns();
	return 0;
}

static int make_tables(struct tier0_maps *maps, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !ret; i++)
		ret = make_array(maps, &tables[i], err);
	if (ret)
		return ret;
	maps->devices_fd = make_device_map(DEVICES_NAME, TIER0_PORTS);
	return maps->devices_fd < 0 ? explain(err, DEVICES_NAME) : 0;
}

static void free_tables(struct tier0_maps *maps)
{
	free_groups(maps);
	if (maps->devices_fd >= 0)
		close(maps->devices_fd);
	maps->devices_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		free_array(maps, &tables[i]);
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
	if (make_groups(maps, &maps->why_no_groups))
		free_groups(maps);
	maps->control->bucket_mask = maps->n_buckets - 1;
	return 0;
}

/* ---- pinned -----------------------------------------------------------------------------------
 */

/* Maps what is pinned, if it is as we would have made it. `n`: entries, if not NULL. */
static int adopt_array(struct tier0_maps *maps, const struct pin_dir *pins,
		       const struct table *table, uint32_t *n, struct error *err)
{
	struct bpf_map_info info = {.type = 0};
	uint32_t len = sizeof(info);
	int fd = pin_dir_get(pins, 0, table->name);

	if (fd < 0)
		return error_set(err, fd, "%s: %s", table->name, strerror(-fd));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size != table->value_size || !(info.map_flags & BPF_F_MMAPABLE) ||
	    (n ? !IS_POW2(info.max_entries) : info.max_entries != get_n(maps, table))) {
		close(fd);
		return error_set(err, ESTALE, "%s has another layout", table->name);
	}
	if (n)
		*n = info.max_entries;
	return map_array(maps, table, fd, err);
}

static int adopt_tables(struct tier0_maps *maps, const struct pin_dir *pins, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !ret; i++) {
		/* The first of each size says how many. */
		uint32_t *n = i == 0 ? &maps->n_buckets : i == 1 ? &maps->n_slots : NULL;

		ret = adopt_array(maps, pins, &tables[i], n, err);
	}
	if (ret)
		return ret;
	maps->devices_fd = pin_dir_get(pins, 0, DEVICES_NAME);
	if (maps->devices_fd < 0)
		return error_set(err, maps->devices_fd, "%s: %s", DEVICES_NAME,
				 strerror(-maps->devices_fd));
	if (maps->control->bucket_mask != maps->n_buckets - 1)
		return error_set(err, ESTALE, "another number of buckets");
	return 0;
}

/* The maps in `groups` are found through it. There may be none. */
static int adopt_groups(struct tier0_maps *maps, const struct pin_dir *pins, struct error *err)
{
	maps->groups_fd = pin_dir_get(pins, 0, GROUPS_NAME);
	if (maps->groups_fd < 0) {
		maps->groups_fd = -1;
		error_set(&maps->why_no_groups, ENOENT, "there were none in the last run");
		return 0;
	}
	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++) {
		uint32_t id;

		if (bpf_map_lookup_elem(maps->groups_fd, &no, &id))
			return error_set(err, ESTALE, "group %u of ports is missing", no);
		maps->group_fds[no] = bpf_map_get_fd_by_id(id);
		if (maps->group_fds[no] < 0)
			return error_set(err, errno, "group %u of ports: %m", no);
	}
	return 0;
}

int tier0_maps_adopt(struct tier0_maps *maps, const struct pin_dir *pins, struct error *err)
{
	int ret;

	clear(maps);
	ret = adopt_array(maps, pins, &control_table, NULL, err);
	if (!ret && maps->control->build != get_build())
		ret = error_set(err, ESTALE, "another build of the switch has made it");
	if (!ret && maps->control->netns != get_netns())
		ret = error_set(err, ESTALE, "it is of another network namespace");
	if (!ret)
		ret = adopt_tables(maps, pins, err);
	if (!ret)
		ret = adopt_groups(maps, pins, err);
	if (ret)
		tier0_maps_destroy(maps);
	return ret;
}

int tier0_maps_pin(const struct tier0_maps *maps, struct pin_dir *pins)
{
	int ret = pin_dir_put(pins, 0, control_table.name, maps->control_fd);

	if (!maps->n_slots)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(tables) && !ret; i++)
		ret = pin_dir_put(pins, 0, tables[i].name, *get_fd(maps, &tables[i]));
	if (!ret)
		ret = pin_dir_put(pins, 0, DEVICES_NAME, maps->devices_fd);
	if (!ret && maps->groups_fd >= 0)
		ret = pin_dir_put(pins, 0, GROUPS_NAME, maps->groups_fd);
	return ret;
}

void tier0_maps_destroy(struct tier0_maps *maps)
{
	tc_prog_forget(maps);
	free_tables(maps);
	free_array(maps, &control_table);
	clear(maps);
}

/* ---- used -------------------------------------------------------------------------------------
 */

int tier0_maps_share(const struct tier0_maps *maps, struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	if (!strcmp(name, DEVICES_NAME))
		return bpf_map__reuse_fd(map, maps->devices_fd);
	if (!strcmp(name, control_table.name))
		return bpf_map__reuse_fd(map, maps->control_fd);
	if (!strcmp(name, GROUPS_NAME))
		return maps->groups_fd < 0 ? bpf_map__set_autocreate(map, false)
					   : bpf_map__reuse_fd(map, maps->groups_fd);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strcmp(name, tables[i].name))
			return bpf_map__reuse_fd(map, *get_fd(maps, &tables[i]));
	return 0;
}

int tier0_maps_share_all(const struct tier0_maps *maps, struct bpf_object *obj)
{
	struct bpf_map *map;
	int ret = 0;

	bpf_object__for_each_map(map, obj)
	{
		if (ret)
			break;
		if (maps)
			ret = tier0_maps_share(maps, map);
		else if (!strncmp(bpf_map__name(map), "tier0_", strlen("tier0_")))
			ret = bpf_map__set_autocreate(map, false);
	}
	return ret;
}

/* Puts a device in its place in a map of devices; `ifindex` 0: none. */
static int set_device(int fd, uint32_t place, uint32_t ifindex)
{
	int ret = ifindex ? bpf_map_update_elem(fd, &place, &ifindex, BPF_ANY)
			  : bpf_map_delete_elem(fd, &place);

	return ret ? -errno : 0;
}

int tier0_maps_set_device(struct tier0_maps *maps, uint32_t port_no, uint32_t ifindex)
{
	return set_device(maps->devices_fd, port_no, ifindex);
}

int tier0_maps_set_group_device(const struct tier0_maps *maps, uint32_t group, uint32_t index,
				uint32_t ifindex)
{
	return set_device(maps->group_fds[group], index, ifindex);
}
