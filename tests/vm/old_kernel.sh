#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The switch on Debian 12's own kernel, 6.1, in a guest that boots from memory: old_kernel_guest.sh says
# what is done there. The guest has no card; all that it needs lies in its initramfs.

. "${top_srcdir:-.}/tests/lib.sh"
guest=$top_builddir/tests/vm/guest
# the guest's busybox has words by these names that know less
programs=(ip tc bash nsenter ping iperf3 ethtool)
# seconds: it takes forty on an idle machine
patience=170

need_root
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need iperf3 iperf3
need ethtool ethtool
need ping iputils-ping
bash "$top_srcdir/tests/vm/build_guest.sh" "$guest" || exit

# copy FILE FOLDER: into the guest's FOLDER, and the libraries that it needs to their places
copy()
{
	local library

	mkdir -p "root/$2"
	cp -L "$1" "root/$2/"
	while read -r library; do
		mkdir -p "root$(dirname "$library")"
		cp -Lu "$library" "root$library"
	done < <(ldd "$1" | grep -o '/[^ ]*\.so[^ ]*' | sort -u)
}

make_initramfs()
{
	local program

	mkdir root
	cp "$top_srcdir/tests/vm/old_kernel_init.sh" root/init
	chmod 0755 root/init
	for program in "${programs[@]}"; do
		copy "$(command -v "$program")" programs
	done
	copy "$vswitchd" build/vswitchd
	copy "$vswitchctl" build/ctl
	strip root/build/*/*
	mkdir -p root/src/tests/vm
	cp "$top_srcdir/tests/lib.sh" root/src/tests/
	cp "$top_srcdir/tests/vm/old_kernel_guest.sh" root/src/tests/vm/
	cp -r "$guest/modules" root/
	# the kernel unpacks one archive after the other
	(cat "$guest/initramfs" && cd root && find . | busybox cpio -o -H newc 2>/dev/null) >initramfs
}

# no_timer_check: a busy host makes an emulated timer late, and the kernel gives up at its check
boot()
{
	timeout "$patience" qemu-system-x86_64 -machine accel=tcg -cpu max -smp 2 -m 512 -nodefaults \
		-no-user-config -display none -no-reboot -serial file:console -kernel "$guest/vmlinuz" \
		-initrd initramfs -append "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"
}

cd "$work" || die "there is no $work"
check "an initramfs" make_initramfs
boot
status=$?
tr -d '\r' <console
# what it says is counted; here is what is left to say
check "the guest has come to its end, status $status" grep -q '^ended 0' console
finish
