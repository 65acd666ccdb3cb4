#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
#
# First process of old_kernel.sh's guest: brings the system up, runs the script that it was given, says
# with what status it ended, and switches off.

export PATH=/programs:/bin:/usr/bin:/sbin:/usr/sbin top_srcdir=/src top_builddir=/build
/bin/busybox mkdir -p /usr/sbin /sbin
/bin/busybox --install -s
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
mkdir -p /run
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/netns
while read -r module; do
	insmod "/modules/$module.ko"
done </modules/order
ip link set lo up
echo "kernel $(uname -r)"
bash /src/tests/vm/old_kernel_guest.sh
echo "ended $?"
poweroff -f
