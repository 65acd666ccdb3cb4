#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The guest's first process: brings the system up, then takes orders from the second serial line, on
# which it says "ready" until the first one comes, for the host may not be listening yet. An order is a
# line "NUMBER COMMAND"; the answer is a line "NUMBER STATUS OUTPUT", its output in base64. Orders are
# carried out one after the other; what takes long, the host orders into the background. An order that
# comes twice is carried out once and answered twice, for the host repeats one that it hears nothing of.

export PATH=/bin:/usr/bin:/sbin:/usr/sbin
/bin/busybox mkdir -p /usr/sbin /sbin
/bin/busybox --install -s
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
while read -r module; do
	insmod "/lib/modules/$module.ko"
done </lib/modules/order
# addresses serve at once
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
for device in /sys/class/net/*; do
	echo 0 >"/proc/sys/net/ipv6/conf/${device##*/}/accept_dad"
done
ip link set lo up

exec <>/dev/ttyS1 >&0
stty raw -echo 115200
while [ ! -e /tmp/ordered ]; do
	echo "ready"
	sleep 0.2
done &
last=
while IFS= read -r order; do
	: >/tmp/ordered
	number=${order%% *}
	if [ "$number" != "$last" ]; then
		output=$(eval "${order#* }" 2>&1 </dev/null)
		status=$?
		last=$number
	fi
	echo "$number $status $(printf '%s' "$output" | base64 | tr -d '\n')"
done
