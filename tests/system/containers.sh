#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Containers on a bridge: attached with addresses of both families, they talk with every offload as the
# kernel sets it; they come and go, and nothing of them stays.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need iperf3 iperf3
need ping iputils-ping

ns_add c1 c2 c3
start_daemon --workers 1

links()
{
	ip -o link show | cut -d: -f2 | sort
}

ping_c2()
{
	in_ns c1 ping -q -c 3 -i 0.1 -W 2 "$@"
}

# tcp_between SERVER CLIENT ADDRESS [IPERF3-OPTION...]: a second of it arrives
stream()
{
	local server=$1 client=$2 address=$3 pid status

	shift 3
	in_ns "$server" timeout 20 iperf3 -s -1 >"$work/iperf3.log" 2>&1 &
	pid=$!
	wait_for 5 in_ns "$server" sh -c "ss -Htln 'sport = :5201' | grep -q ."
	in_ns "$client" timeout 15 iperf3 -c "$address" -t 1 "$@"
	status=$?
	[ "$status" -eq 0 ] || kill "$pid" 2>/dev/null
	wait "$pid"
	return "$status"
}

before=$(links)
check "a bridge" ctl add-br br0
check "the first container" ctl attach-container br0 c1 ip=192.0.2.1/24,2001:db8::1/64
check "the second container" ctl attach-container br0 c2 ip=192.0.2.2/24,2001:db8::2/64
check "a rule" ctl add-flow br0 priority=0,actions=normal
check "attached again, nothing changes" ctl attach-container br0 c1 ip=192.0.2.1/24,2001:db8::1/64
check_match "it is listed once" '^br0-c1$' ctl list-ports br0

check "ping, IPv4" ping_c2 192.0.2.2
check "ping, IPv6" ping_c2 2001:db8::2
check "ping, larger than the MTU" ping_c2 -s 4000 192.0.2.2
check "TCP, IPv4" stream c2 c1 192.0.2.2
check "TCP, IPv4, the other way round" stream c2 c1 192.0.2.2 -R
check "TCP, IPv6" stream c2 c1 2001:db8::2
check "UDP, IPv4" stream c2 c1 192.0.2.2 -u -b 20M
check "UDP, IPv6" stream c2 c1 2001:db8::2 -u -b 20M

check_match "its packets keep their offloads" 'hook=(tcx|clsact).*offloads=csum,tso4' \
	ctl dump-ports br0 br0-c1
check "an older kind of port instead" ctl attach-container br0 c1 type=afxdp \
	ip=192.0.2.1/24,2001:db8::1/64
check_match "is what it has now" 'br0-c1 .* afxdp ' ctl show
check "ping, through AF_XDP" ping_c2 192.0.2.2
check "TCP, between AF_XDP and veth" stream c2 c1 192.0.2.2
check "and the best again" ctl attach-container br0 c1 type=veth ip=192.0.2.1/24,2001:db8::1/64
check "ping again" ping_c2 192.0.2.2

check_refused "a namespace that is not there" 1 "nowhere" ctl attach-container br0 nowhere
check_refused "an address that is none" 1 "192.0.2.300" \
	ctl attach-container br0 c3 ip=192.0.2.300/24
check_refused "a gateway out of reach" 1 "gateway" \
	ctl attach-container br0 c3 ip=192.0.2.3/24 gateway=203.0.113.1
check_refused "and nothing of it stays" 1 "" ip link show dev br0-c3
check_refused "an interface name that is taken" 1 "lo" ctl attach-container br0 c3 ifname=lo

check "jumbo frames" ctl attach-container br0 c3 ifname=net0 mtu=9000 ip=192.0.2.3/24
check "the first one grows" ctl attach-container br0 c1 mtu=9000 \
	ip=192.0.2.1/24,2001:db8::1/64
check "a jumbo ping in one piece" ping_c2 -M do -s 8972 192.0.2.3
check "the second still fits" ping_c2 192.0.2.2
check "the third is detached" ctl detach-container br0 c3
check_refused "its interface is gone" 1 "" in_ns c3 ip link show dev net0
check_refused "twice is refused" 1 "c3" ctl detach-container br0 c3

# the namespace of a process
nsenter --net=/run/netns/c3 -- sleep 1000 &
pid=$!
wait_for 5 grep -qx sleep "/proc/$pid/comm"
check "by process" ctl attach-container br0 "$pid" ip=192.0.2.3/24
check "it answers" ping_c2 192.0.2.3
check "detached by process" ctl detach-container br0 "$pid"
kill "$pid"
wait "$pid" 2>/dev/null

# a namespace ends under traffic
in_ns c1 ping -q -f -w 5 192.0.2.2 >/dev/null 2>&1 &
flood=$!
sleep 0.5
ip netns del c2
port_is_gone()
{
	! ctl list-ports br0 | grep -qx br0-c2
}
check "the namespace goes, and so does its port" wait_for 10 port_is_gone
kill "$flood" 2>/dev/null
wait "$flood" 2>/dev/null
check "the others stay" ctl list-ports br0
check "and the daemon" ctl show
check "made anew" ip netns add c2
check "it is attached again" ctl attach-container br0 c2 ip=192.0.2.2/24
check "and answers" ping_c2 192.0.2.2

# the daemon is killed, and comes back to what it knew
kill_daemon
no_hook()
{
	! ip -o link show | grep -q vswt
}
check "killed, its TAP devices are gone" wait_for 10 no_hook
start_daemon --workers 1
check "it comes back, and so do the containers" wait_for 20 ping_c2 192.0.2.2

# there and back, under traffic of another one; rounds.sh does it a thousand times
in_ns c1 ping -q -f -w 60 192.0.2.2 >/dev/null 2>&1 &
flood=$!
rounds()
{
	local i

	for ((i = 0; i < 20; i++)); do
		ctl attach-container br0 c3 ip=192.0.2.3/24 && ctl detach-container br0 c3 || return 1
	done
}
before_rounds=$(links)
check "20 rounds" rounds
check_output "leave no interface behind" "$before_rounds" links
kill "$flood" 2>/dev/null
wait "$flood" 2>/dev/null

# a machine without TAP devices
check "no TAP devices" mount --bind /dev/null /dev/net/tun
check_match "the next best is taken, and why is said" "of type afxdp.*TAP" \
	ctl attach-container br0 c3 ip=192.0.2.3/24
check "it answers" ping_c2 192.0.2.3
check "TAP devices again" umount /dev/net/tun

check "the bridge goes" ctl del-br br0
check_output "nothing of it stays" "$before" links
finish
