/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "bpf/pin_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define PARENT "vswitch"
/* "/", an index, "/" and a file's name */
#define FILE_SIZE_MAX 64

struct pin_dir {
	bool is_kept;
	char path[]; /* of the folder */
};

static int check_bpffs(const char *bpffs, struct error *err)
{
	struct statfs fs;

	if (statfs(bpffs, &fs))
		return error_set(err, errno, "%s: %m", bpffs);
	if ((uint64_t)fs.f_type != BPF_FS_MAGIC)
		return error_set(err, ENOENT, "%s is no BPF file system: mount -t bpf bpf %s",
				 bpffs, bpffs);
	return 0;
}

/* A folder that somebody else can change is none of ours: what is in it is believed. */
static int make_folder(const char *path, struct error *err)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, errno, "cannot make %s: %m", path);
	if (lstat(path, &st))
		return error_set(err, errno, "%s: %m", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(err, EACCES, "%s is not a folder that is ours alone: remove it",
				 path);
	return 0;
}

int pin_dir_open(const char *bpffs, const char *name, struct pin_dir **dirp, struct error *err)
{
	size_t size = strlen(bpffs) + strlen(name) + sizeof("//" PARENT);
	struct pin_dir *dir;
	int ret;

	ret = check_bpffs(bpffs, err);
	if (ret)
		return ret;
	dir = calloc(1, sizeof(*dir) + size);
	if (!dir)
		return error_set(err, ENOMEM, "out of memory");
	snprintf(dir->path, size, "%s/" PARENT, bpffs);
	ret = make_folder(dir->path, err);
	snprintf(dir->path, size, "%s/" PARENT "/%s", bpffs, name);
	if (!ret)
		ret = make_folder(dir->path, err);
	if (ret) {
		free(dir);
		return ret;
	}
	*dirp = dir;
	return 0;
}

/* The number that a folder's name is; 0: it is none. */
static int parse_ifindex(const char *name)
{
	char *end;
	long number = strtol(name, &end, 10);

	return *end || number <= 0 || number > INT32_MAX ? 0 : (int)number;
}

/* Removes the files of a folder, but not folders in it. */
static void remove_files(const char *path)
{
	struct dirent *entry;
	DIR *folder = opendir(path);

	if (!folder)
		return;
	while ((entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
}

static void remove_port(void *aux, int ifindex)
{
	pin_dir_remove(aux, ifindex);
}

void pin_dir_close(struct pin_dir *dir)
{
	if (!dir)
		return;
	if (!dir->is_kept) {
		pin_dir_for_each(dir, remove_port, dir);
		remove_files(dir->path);
		(void)rmdir(dir->path);
		/* Succeeds for the last switch on the machine. */
		*strrchr(dir->path, '/') = '\0';
		(void)rmdir(dir->path);
	}
	free(dir);
}

void pin_dir_keep(struct pin_dir *dir)
{
	dir->is_kept = true;
}

bool pin_dir_is_kept(const struct pin_dir *dir)
{
	return dir && dir->is_kept;
}

const char *pin_dir_get_path(const struct pin_dir *dir)
{
	return dir->path;
}

/* The path of a file, or without one the folder's; to be freed. NULL: no memory. */
static char *make_path(const struct pin_dir *dir, int ifindex, const char *file)
{
	size_t size = strlen(dir->path) + FILE_SIZE_MAX;
	char *path = malloc(size);

	if (!path)
		return NULL;
	if (ifindex)
		snprintf(path, size, "%s/%d/%s", dir->path, ifindex, file ? file : "");
	else
		snprintf(path, size, "%s/%s", dir->path, file ? file : "");
	return path;
}

int pin_dir_put(struct pin_dir *dir, int ifindex, const char *file, int fd)
{
	char *folder = make_path(dir, ifindex, NULL);
	char *path = make_path(dir, ifindex, file);
	int ret = -ENOMEM;

	if (folder && path) {
		ret = make_folder(folder, NULL);
		(void)unlink(path);
		if (!ret && bpf_obj_pin(fd, path))
			ret = -errno;
	}
	free(folder);
	free(path);
	return ret;
}

int pin_dir_get(const struct pin_dir *dir, int ifindex, const char *file)
{
	char *path;
	int fd;

	if (!dir)
		return -ENOENT;
	path = make_path(dir, ifindex, file);
	if (!path)
		return -ENOMEM;
	fd = bpf_obj_get(path);
	if (fd < 0)
		fd = -errno;
	free(path);
	return fd;
}

int pin_dir_get_link(const struct pin_dir *dir, int ifindex, const char *file)
{
	struct bpf_link_info info = {.type = 0};
	uint32_t len = sizeof(info);
	int fd = pin_dir_get(dir, ifindex, file);

	if (fd < 0)
		return fd;
	/* Links of tcx have the index at the same place. */
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.xdp.ifindex == (uint32_t)ifindex)
		return fd;
	close(fd);
	return -ENODEV;
}

void pin_dir_remove(struct pin_dir *dir, int ifindex)
{
	char *path;

	if (!dir || dir->is_kept)
		return;
	path = make_path(dir, ifindex, NULL);
	if (!path)
		return;
	remove_files(path);
	if (ifindex)
		(void)rmdir(path);
	free(path);
}

void pin_dir_for_each(const struct pin_dir *dir, void (*cb)(void *aux, int ifindex), void *aux)
{
	struct dirent **entries;
	int n = scandir(dir->path, &entries, NULL, NULL);

	for (int i = 0; i < n; i++) {
		int ifindex = parse_ifindex(entries[i]->d_name);

		if (ifindex)
			cb(aux, ifindex);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}
