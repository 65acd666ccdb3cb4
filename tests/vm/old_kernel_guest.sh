#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What old_kernel.sh runs inside its guest: the switch between containers and AF_XDP ports, on a kernel
# without tcx, XDP metadata, multi-buffer sockets and the list of XDP features.

. "${top_srcdir:-.}/tests/lib.sh"

# emulation is slow: what is hot here is cold elsewhere
ping_fast()
{
	in_ns "$1" ping -q -i 0.005 -c 100 -W 5 "$2"
}

# stream SERVER CLIENT ADDRESS SIZE
stream()
{
	in_ns "$1" iperf3 -s -1 >"$work/iperf3.log" 2>&1 &
	wait_for 10 in_ns "$1" sh -c "netstat -ltn | grep -q ':5201 '"
	in_ns "$2" timeout 40 iperf3 -c "$3" -n "$4" && wait $!
}

is_hot()
{
	ctl dump-cache | grep -Eq "yes .*output\($1\)"
}

has_filter()
{
	tc filter show dev br0-c1 ingress | grep -q vswitch_tc
}

make_station x1 192.0.2.11
make_station x2 192.0.2.12
ns_add c1 c2
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0 local=no
check "a rule" ctl add-flow br0 priority=0,actions=normal
check "c1" ctl attach-container br0 c1 ip=192.0.2.1/24
check "c2" ctl attach-container br0 c2 ip=192.0.2.2/24
check "x1" ctl add-port br0 v-x1 type=afxdp
check "x2" ctl add-port br0 v-x2 type=afxdp
check "containers talk" ping_fast c1 192.0.2.2
check "their hot flows are in the kernel" is_hot br0-c2
check "TCP between them" stream c2 c1 192.0.2.2 20M
check "AF_XDP ports talk" ping_fast x1 192.0.2.12
check "TCP between them" stream x2 x1 192.0.2.12 2M
check "both kinds talk" ping_fast c1 192.0.2.11
check "TCP between them" stream x1 c1 192.0.2.11 2M
check_match "no tcx" "hook=clsact; tcx was refused" ctl dump-ports br0 br0-c1
check_match "with all else that a container's port has" \
	"kernel tier in=yes kernel tier out=yes .*to-peer=redirect_peer" ctl dump-ports br0 br0-c1
check_match "no hints" "mode=native copy .*hints=none: " ctl dump-ports br0 v-x1
check_match "the program has tier 0" "kernel tier in=yes" ctl dump-ports br0 v-x1
check_match "no multi-buffer" "multi-buffer=no: " ctl dump-ports br0 v-x1
check_match "no redirect to a veth that might lose it" "Linux before 6.3 does not tell" \
	ctl dump-ports br0 v-x1
check_match "no checksums by request" "checksum=by the switch" ctl dump-ports br0 v-x1
check_match "tier 0 is on" "^tier 0: [1-9]" ctl workers

# what XDP can do there without a device to send to
drops_hot()
{
	ctl dump-cache | grep -Eq "yes .*in_port=v-x1.*drop"
}
check "a rule that drops" ctl add-flow br0 priority=9,in_port=v-x1,icmp,actions=drop
check_refused "is in force" 1 "100% packet loss" in_ns x1 ping -q -i 0.005 -c 200 -W 1 192.0.2.12
check "in the kernel" drops_hot

# a filter stays when the switch is killed; the next one replaces it
kill_daemon
check "killed, its filter stays" has_filter
start_daemon --workers 1 --cores none
check "started again, containers talk" wait_for 20 ping_fast c1 192.0.2.2
check "and hot flows are in the kernel" is_hot br0-c2
check "the bridge goes" ctl del-br br0
check_refused "and all that it made" 1 "" sh -c "ip -o link | grep -E 'br0|vswt'"
check_refused "no XDP program stays" 1 "" sh -c "ip -o link | grep prog/xdp"
finish
