/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin_dir.h - where links and maps are kept that outlive their process: a folder of a BPF file
 * system.
 *
 * What is pinned there stays in the kernel when the process that made it ends, however it ends: a
 * program whose link is pinned goes on running. The next process of the same name finds it again.
 * Each switch has a folder of its own:
 *
 *	BPFFS/vswitch/NAME/control ...	maps that all ports share (tier0_maps.h)
 *	BPFFS/vswitch/NAME/IFINDEX/...	what one port has (xdp_prog.h, tc_prog.h)
 *
 * Names are known by index, not by the device's name, in which the file system allows no dots. A
 * file is named "X", or "IFINDEX/X".
 *
 * Life cycle: pin_dir_open(), and in the end pin_dir_close(), which takes the whole folder away;
 * after pin_dir_keep() it takes nothing away any more.
 *
 * Thread-safety: one control thread.
 */
#ifndef VSWITCH_BPF_PIN_DIR_H
#define VSWITCH_BPF_PIN_DIR_H

#include <stdbool.h>
#include "lib/error.h"

struct pin_dir;

/* Opens folder `name` of a mounted BPF file system `bpffs`, making it if there is none. Returns 0,
 * or a negative errno with `err` set: -ENOENT (no such file system there), -EACCES and others. */
int pin_dir_open(const char *bpffs, const char *name, struct pin_dir **dirp,
		 struct error *err) WARN_UNUSED;

/* Removes the folder and all that is in it, unless it is to be kept, and frees `dir`. NULL is
 * allowed. */
void pin_dir_close(struct pin_dir *dir);

/* From here on nothing is taken away. */
void pin_dir_keep(struct pin_dir *dir);

/* False for NULL. */
bool pin_dir_is_kept(const struct pin_dir *dir);

/* The folder, for people. */
const char *pin_dir_get_path(const struct pin_dir *dir);

/* Pins the map, program or link `fd` as `file`; one of that name is replaced. `ifindex` 0: what
 * ports share. Returns 0 or a negative errno. */
int pin_dir_put(struct pin_dir *dir, int ifindex, const char *file, int fd) WARN_UNUSED;

/* Returns a descriptor of what is pinned as `file`, or a negative errno; -ENOENT for NULL, too. */
int pin_dir_get(const struct pin_dir *dir, int ifindex, const char *file) WARN_UNUSED;

/* The same for a link; -ENODEV when it is not attached to device `ifindex` any more. */
int pin_dir_get_link(const struct pin_dir *dir, int ifindex, const char *file) WARN_UNUSED;

/* Forgets all that port `ifindex` has pinned (0: what ports share), unless it is to be kept. NULL
 * is allowed. */
void pin_dir_remove(struct pin_dir *dir, int ifindex);

/* Calls `cb` for each port that has something pinned. */
void pin_dir_for_each(const struct pin_dir *dir, void (*cb)(void *aux, int ifindex), void *aux);

#endif /* VSWITCH_BPF_PIN_DIR_H */
