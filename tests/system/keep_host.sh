#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The host and the switch share a NIC: nic is the host's, far lies in a namespace that plays the network.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need iperf3 iperf3
need ping iputils-ping

ns_add net c1
ip link add nic type veth peer name far netns net
ip link set nic up
in_ns net ip link set far up
ip addr add 192.0.2.1/24 dev nic
ip addr add 2001:db8::1/64 dev nic nodad
in_ns net ip addr add 192.0.2.2/24 dev far
in_ns net ip addr add 2001:db8::2/64 dev far nodad

# quick_ping ADDRESS: one answer within two seconds
quick_ping()
{
	ping -q -c 3 -i 0.1 -W 2 "$1"
}

net_pings()
{
	in_ns net ping -q -c 3 -i 0.1 -W 2 "$1"
}

net_cannot_ping()
{
	! in_ns net ping -q -c 2 -i 0.1 -W 1 "$1"
}

stream_to_host()
{
	timeout 20 iperf3 -s -1 >"$work/iperf3.log" 2>&1 &
	wait_for 10 sh -c "ss -Htln 'sport = :5201' | grep -q ."
	in_ns net timeout 15 iperf3 -c 192.0.2.1 -t 1 "$@" && wait $!
}

start_daemon --workers 1
check "a bridge" ctl add-br br0 local=no
check "all that normal switching takes" ctl add-flow br0 priority=0,actions=normal
check "a container" ctl attach-container br0 c1 ip=192.0.2.3/24,2001:db8::3/64
check "the host is in the network" quick_ping 192.0.2.2

check_refused "nobody cuts himself off unasked" 1 "192.0.2.1.*keep-host=on.*--force" \
	ctl add-port br0 nic
check "and nothing has changed" quick_ping 192.0.2.2
check "with the host's share" ctl add-port br0 nic keep-host=on
check_match "which is shown" "keep-host=on" ctl dump-ports br0 nic
check "the host pings, IPv4" quick_ping 192.0.2.2
check "the host pings, IPv6" quick_ping 2001:db8::2
check "the network pings the host, IPv4" net_pings 192.0.2.1
in_ns net ip neigh flush dev far
in_ns net ip -6 neigh flush dev far
check "and again, asking who it is" net_pings 192.0.2.1
check "the same, IPv6" net_pings 2001:db8::1
check "TCP to the host" stream_to_host
check "TCP from the host" stream_to_host -R
check "the network pings the container, IPv4" net_pings 192.0.2.3
check "the network pings the container, IPv6" net_pings 2001:db8::3
check "the container pings the network" in_ns c1 ping -q -c 3 -i 0.1 -W 2 192.0.2.2
mac_of()
{
	in_ns net ip neigh show "$1" | grep -o '..:..:..:..:..:..'
}
check_output "which knows it by its own address" "$(in_ns c1 cat /proc/net/arp >/dev/null &&
	in_ns c1 ip -o link show eth0 | grep -o 'ether [0-9a-f:]*' | cut -d' ' -f2)" mac_of 192.0.2.3

ip addr add 192.0.2.9/24 dev nic
check "an address that the host gets later" wait_for 10 net_pings 192.0.2.9
ip addr del 192.0.2.9/24 dev nic
check "and loses" wait_for 10 net_cannot_ping 192.0.2.9

check "the switch alone takes it" ctl set-port br0 nic keep-host=off
check "the host is cut off" net_cannot_ping 192.0.2.1
check "the container is not" net_pings 192.0.2.3
check "gone" ctl del-port br0 nic
check "the host has it back" wait_for 10 net_pings 192.0.2.1

check "by force" ctl add-port --force br0 nic
check "the host is cut off again" net_cannot_ping 192.0.2.1
check_match "as agreed to" "keep-host=off" ctl export
kill_daemon
check "without the daemon the host has it" wait_for 10 net_pings 192.0.2.1
start_daemon --workers 1
check "with it again, the port is as it was" wait_for 10 net_cannot_ping 192.0.2.1
check_match "and open" "nic .* afxdp +up" ctl show
ctl export >"$work/script"
check "a script that has it is taken" ctl apply "$work/script"
check "the bridge goes" ctl del-br br0
check "the host has all" net_pings 192.0.2.1
finish
