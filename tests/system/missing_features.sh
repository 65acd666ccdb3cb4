#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The switch on kernels that lack something, or do not let us have it: it works without that piece and
# says so in one line. missing.c plays the kernel.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need ping iputils-ping
need iperf3 iperf3
need ethtool ethtool
library=$top_builddir/tests/system/missing.so
# a sanitizer wants to be the first
sanitizer=$(ldd "$vswitchd" | awk '/lib[at]san/ { print $3 }')

# start_without FEATURES
start_without()
{
	: >"$work/vswitchd.log"
	LD_PRELOAD="${sanitizer:+$sanitizer:}$library" VSWITCH_MISSING=$1 \
		start_daemon --workers 1 --cores none
}

# each feature was asked for, or the test would show nothing
were_asked()
{
	local feature

	for feature in ${1//,/ }; do
		grep -qx "missing: $feature" "$work/vswitchd.log" || {
			echo "nobody asked for $feature"
			return 1
		}
	done
}

# pings that make a flow hot: all must be answered
ping_fast()
{
	in_ns "$1" timeout 5 ping -q -i 0.002 -c 100 -W 2 "$2"
}

# stream SERVER CLIENT ADDRESS
stream()
{
	local pid status

	in_ns "$1" timeout 20 iperf3 -s -1 >"$work/iperf3.log" 2>&1 &
	pid=$!
	wait_for 5 in_ns "$1" sh -c "ss -Htln 'sport = :5201' | grep -q ."
	in_ns "$2" timeout 10 iperf3 -c "$3" -n 20M
	status=$?
	[ "$status" -eq 0 ] || kill "$pid" 2>/dev/null
	wait "$pid"
	return "$status"
}

# what a user can see
tell()
{
	ctl show && ctl dump-ports br0 && ctl workers && ctl dump-cache
}

# Between two ports of type veth, or two of type afxdp.
talk()
{
	case $1 in
	veth) ping_fast c1 192.0.2.2 && stream c2 c1 192.0.2.2 ;;
	afxdp) ping_fast x1 192.0.2.12 ;;
	mixed) ping_fast c1 192.0.2.11 ;;
	esac
}

# is_hot KIND: the kernel carries what such ports say to each other
is_hot()
{
	case $1 in
	veth) tell | grep -Eq 'yes .*output\(br0-c2\)' ;;
	afxdp) tell | grep -Eq 'yes .*output\(v-x2\)' ;;
	esac
}

is_cold()
{
	! is_hot "$1"
}

stop_cleanly()
{
	if stop_daemon; then
		ok "$1: the daemon stops cleanly"
	else
		not_ok "$1: the daemon stops cleanly"
	fi
}

# without FEATURES TALK HOT PATTERN...: the daemon starts without them; ports of the kinds in TALK work,
# the kernel carries flows between those in HOT; each PATTERN is in a line of what is told
without()
{
	local features=$1 talk=$2 hot=$3 kind pattern what=${1:-BTF}

	shift 3
	start_without "$features"
	for kind in $talk; do
		check "without $what: $kind ports work" talk "$kind"
		if [[ " $hot " == *" $kind "* ]]; then
			check "without $what: their hot flows are in the kernel" is_hot "$kind"
		else
			check "without $what: their flows stay in user space" is_cold "$kind"
		fi
	done
	[ "$talk" != "veth afxdp" ] || check "without $what: they work together" talk mixed
	for pattern in "$@"; do
		check_match "without $what: it is told" "$pattern" tell
	done
	check "without $what: it was asked for" were_asked "$features"
	stop_cleanly "without $what"
}

# ---- the bed: two ports of each kind, which each start finds in the store
ns_add c1 c2
make_station x1 192.0.2.11
make_station x2 192.0.2.12
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0 local=no
check "a rule" ctl add-flow br0 priority=0,actions=normal
check "c1" ctl attach-container br0 c1 type=veth ip=192.0.2.1/24
check "c2" ctl attach-container br0 c2 type=veth ip=192.0.2.2/24
check "x1" ctl add-port br0 v-x1 type=afxdp busy-poll=20
check "x2" ctl add-port br0 v-x2 type=afxdp
check "veth ports work" talk veth
check "their hot flows are in the kernel" is_hot veth
check "afxdp ports work" talk afxdp
check "their hot flows are in the kernel" is_hot afxdp
check "they work together" talk mixed
check_match "nothing is missing" "hints=hash.* multi-buffer=yes .*checksum=left.* busy-poll=20" tell
stop_cleanly "with all features"

# ---- tier 0
tier0_off='^tier 0: off:'
without map-memory "veth afxdp" "" "$tier0_off making map tier0_slots: Cannot allocate memory"
without devmap "veth afxdp" "" "$tier0_off making map tier0_devices: Invalid argument"
without membarrier "veth afxdp" "" "$tier0_off membarrier, which .*: Function not implemented"
without prog-array "veth afxdp" "afxdp" "hook=tcx .*kernel tier in=no: .*CAP_BPF"
without tc-tier0 "veth afxdp" "afxdp" "hook=tcx .*kernel tier in=no: .*R1 invalid mem access"
without xdp-tier0 "veth afxdp" "veth" "mode=native.*kernel tier in=no: .*R1 invalid mem access"
without netdev-family "veth afxdp" "veth" "kernel tier out=from containers alone: Linux before 6.3"

without pins "veth afxdp" "veth afxdp" \
	"^tier 0 ends with the daemon: not pinned: pinning in .*: Operation not permitted"
without map-in-map "veth afxdp" "veth afxdp"
check_match "without map-in-map: it is told" "XDP programs send no copies: .*Invalid argument" \
	cat "$work/vswitchd.log"

# ---- tc
without tcx "veth afxdp" "veth afxdp" "hook=clsact; tcx was refused: .*Invalid argument"
without redirect-peer "veth afxdp" "afxdp" \
	"to-peer=through the veth: .*unknown func bpf_redirect_peer" "kernel tier in=no: .*unknown func"
without netnsid "veth afxdp" "veth afxdp" "to-peer=through the veth: the peer is not known"
without tun-uso "veth afxdp" "veth afxdp" "offloads=csum,tso4,tso6$"
without tcx,clsact "afxdp" "afxdp" "br0-c1 .*making the clsact queueing discipline of .*"
without tc "afxdp" "afxdp" "br0-c1 .*loading the tc programs for br0-c1: Invalid argument"
without tc-verifier "afxdp" "afxdp" "br0-c1 .*loading the tc programs.*R1 invalid mem access"

# ---- XDP and AF_XDP
without dev-bound "veth afxdp" "veth afxdp" "hints=none: .*Invalid argument"
without frags "veth afxdp" "veth afxdp" "multi-buffer=no: .*Invalid argument"
without xsk-sg "veth afxdp" "veth afxdp" "multi-buffer=no: .*Invalid argument"
without native-xdp "veth afxdp" "veth afxdp" "mode=generic copy .*native copy=refused: .*not supported"
without tx-metadata,tx-budget "veth afxdp" "veth afxdp" "checksum=by the switch"
without busy-poll "veth afxdp" "veth afxdp" "busy-poll=no: .*Protocol not available"
without af-xdp "veth" "veth" "v-x1 .*this kernel has no AF_XDP"
without xskmap "veth" "veth" "v-x1 .*map 'xsks': failed to create: Invalid argument"
without xdp "veth" "veth" "v-x1 .*loading the XDP program.*CAP_BPF"
without xdp-link "veth" "veth" "v-x1 .*it takes BPF links for XDP"
without xdp-verifier "veth" "veth" "v-x1 .*R1 invalid mem access"

# ---- all of that at once
without array-mmap "veth afxdp" "" "$tier0_off making map tier0_control: Invalid argument" \
	"to-peer=through the veth: .*before Linux 5.5"
without bpf "" "" "$tier0_off making map tier0_control is not permitted; it takes CAP_BPF" \
	"br0-c1 .*not permitted; it takes CAP_NET_ADMIN and CAP_BPF" \
	"v-x1 .*not permitted; it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"
without "tcx,dev-bound,xsk-sg,tun-uso,tx-metadata,tx-budget,netdev-family" "veth afxdp" "veth" \
	"hook=clsact" "kernel tier out=from containers alone"

# a kernel that was built without its types' description
check "no BTF" mount -t tmpfs tmpfs /sys/kernel/btf
without "" "veth" "veth" "v-x1 .*the kernel has no BTF"
check "BTF again" umount /sys/kernel/btf

# ---- what is opened while the kernel lacks something

# A port that cannot be opened makes its device promiscuous and lets it go again, of which the kernel
# tells: not a reason to try for ever. Hundredths of a second that the daemon ran.
ticks()
{
	awk '{ print $14 + $15 }' "/proc/$daemon_pid/stat"
}

start_without xdp-verifier
sleep 1
before=$(ticks)
sleep 2
check "a port that cannot be opened leaves the daemon at rest" [ $(($(ticks) - before)) -lt 100 ]
stop_cleanly "it"

# best_type PATTERN: what a container gets, and why
best_type()
{
	check_match "a container's port: $1" "$1" ctl attach-container br0 c3 ip=192.0.2.3/24
	check "it works" in_ns c3 ping -q -c 2 -i 0.1 -W 2 192.0.2.12
	check "it goes" ctl detach-container br0 c3
}

ns_add c3
start_without tc
best_type "of type afxdp.*loading the tc programs"
stop_cleanly "without tc"

# refused WHAT PATTERN PORT OPTION...: a port that cannot be had, and why
refused()
{
	local what=$1 pattern=$2

	shift 2
	check_refused "$what is refused" 1 "$pattern" ctl add-port br0 "$@"
}

make_station x3 192.0.2.13
start_without packet-fanout,tun-queues
refused "a packet port with queues" "cannot share the device by several queues: Prot" v-x3 type=packet queues=2
refused "a TAP device with queues" "tap0 of several queues: Invalid argument" tap0 type=tap queues=2
check "one that is in nobody's way" ctl add-port br0 tap0 type=tap
check "and the port with one queue" ctl add-port br0 v-x3 type=packet
check "works" in_ns x3 ping -q -c 2 -i 0.1 -W 2 192.0.2.12
check "both were asked for" were_asked packet-fanout,tun-queues
stop_cleanly "without packet-fanout,tun-queues"

finish
