#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: build_guest.sh FOLDER
#
# Makes FOLDER/vmlinuz, FOLDER/initramfs and FOLDER/modules: the guest that the tests of tests/vm boot. The kernel is that
# of Debian's linux-image-cloud-amd64, downloaded and unpacked, not installed; the rest comes from
# packages that are installed here: busybox-static, iperf3 and ethtool with the libraries they need.
# Nothing is done if FOLDER has a guest of the same ingredients already. Exit status 77, and a line that
# says why, if an ingredient cannot be had.

set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
# in the order that they need each other
modules="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
	drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci net/core/failover
	drivers/net/net_failover drivers/net/virtio_net"
# kept in FOLDER/modules, for old_kernel.sh
more_modules="drivers/net/tun drivers/net/veth net/sched/sch_ingress net/sched/cls_bpf"
programs="/usr/bin/iperf3 /usr/sbin/ethtool"

skip()
{
	echo "skipped: $*"
	exit 77
}

# apt_download PACKAGE: into the current folder; a fresh system has no package lists yet
apt_download()
{
	apt-get -qq -o APT::Sandbox::User=root download "$1" && return
	apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download "$1"
}

# The package that linux-image-cloud-amd64 stands for today.
kernel_package()
{
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1
}

# copy FILE...: to the same place under root/
copy()
{
	local file

	for file in "$@"; do
		mkdir -p "root$(dirname "$file")"
		cp -L "$file" "root$file"
	done
}

# What the guest is made of, one a line.
ingredients()
{
	cat "$0" "$here/guest_init.sh" | sha256sum
	for file in /bin/busybox $programs; do
		[ -x "$file" ] || skip "there is no $file (apt-get install busybox-static iperf3 ethtool)"
		stat -c '%n %s %Y' "$file"
	done
}

unpack_kernel()
{
	local package module

	package=$(kernel_package)
	[ -n "$package" ] || { apt-get -qq update && package=$(kernel_package); }
	[ -n "$package" ] || skip "no package linux-image-cloud-amd64 is known (apt-get update)"
	apt_download "$package" || skip "$package cannot be downloaded"
	dpkg-deb -x "$package"_*.deb kernel
	mv kernel/boot/vmlinuz-* vmlinuz
	mkdir modules
	for module in $more_modules; do
		cp kernel/lib/modules/*/kernel/"$module.ko" modules/
		echo "${module##*/}"
	done >modules/order
}

make_initramfs()
{
	local module

	mkdir -p root/bin root/dev root/proc root/sys root/tmp root/lib/modules
	copy /bin/busybox $programs $(ldd $programs | grep -o '/[^ ]*\.so[^ ]*' | sort -u)
	cp "$here/guest_init.sh" root/init
	chmod 0755 root/init
	for module in $modules; do
		cp kernel/lib/modules/*/kernel/"$module.ko" root/lib/modules/
		echo "${module##*/}"
	done >root/lib/modules/order
	(cd root && find . | busybox cpio -o -H newc 2>/dev/null) >initramfs
}

[ "$(dpkg --print-architecture)" = amd64 ] || skip "the guest is made for amd64 alone"
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
now=$(ingredients) || { echo "$now"; exit 77; }
if [ -f "$folder/ingredients" ] && [ "$now" = "$(cat "$folder/ingredients")" ]; then
	exit 0
fi
rm -rf "$folder/work"
mkdir "$folder/work"
trap 'rm -rf "$folder/work"' EXIT
cd "$folder/work"
unpack_kernel
make_initramfs
rm -rf ../modules
mv vmlinuz initramfs modules ..
echo "$now" >../ingredients
