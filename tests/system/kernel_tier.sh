#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's tier under the daemon: what it carries is shown, counted and kept alive like everything
# else, and gone when something changes. KIND: type of the ports.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
kind=${KIND:-afxdp}
need ping iputils-ping
need ethtool ethtool
need python3 python3

# quick pings, which make a flow hot: 500 a second
ping_fast()
{
	in_ns c1 ping -q -i 0.002 -c "$1" -W 1 192.0.2.2
}

# listens: somebody in c2 has UDP port 7000
listens()
{
	in_ns c2 grep -q ':1B58 ' /proc/net/udp /proc/net/udp6
}

# udp_echo PYTHON-FAMILY FROM TO: 2000 datagrams of all sizes there and back
udp_echo()
{
	in_ns c2 timeout 60 python3 -c "
import socket
s = socket.socket(socket.$1, socket.SOCK_DGRAM)
s.bind(('$3', 7000))
for i in range(2000):
    s.sendto(*s.recvfrom(2000))" &
	udp_server=$!
	wait_for 20 listens && in_ns c1 timeout 60 python3 -c "
import os, socket
s = socket.socket(socket.$1, socket.SOCK_DGRAM)
s.bind(('$2', 0))
s.settimeout(10)
for i in range(2000):
    data = os.urandom(i % 1400)
    s.sendto(data, ('$3', 7000))
    assert s.recv(2000) == data" && wait "$udp_server"
}

# csum_errors NAMESPACE: datagrams that its stack has thrown away
csum_errors()
{
	in_ns "$1" python3 -c "
for line in open('/proc/net/snmp6'):
    if line.startswith('Udp6InCsumErrors'):
        print(line.split()[1])
udp = [line.split() for line in open('/proc/net/snmp') if line.startswith('Udp:')]
print(dict(zip(*udp))['InCsumErrors'])"
}

none_in_tier0()
{
	! in_tier0 1
}

has_mac_at()
{
	ctl fdb-show br0 | grep -q "^$1 .*$2"
}

make_station c1 192.0.2.1
make_station c2 192.0.2.2
mac1=$(in_ns c1 ip -br link show dev eth0 | awk '{print $3}')
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0 local=no
check "its ports" ctl add-port br0 v-c1 type="$kind"
check "and another" ctl add-port br0 v-c2 type="$kind"
check_match "the port takes part" "kernel tier in" ctl dump-ports br0 v-c1
check_refused "only tier 0 can be asked for" 1 "only tier 0" ctl dump-cache --tier 2

# ---- counted to the packet
check "rules" ctl add-flow br0 cookie=7,priority=10,icmp,actions=normal
check "for the rest" ctl add-flow br0 cookie=8,priority=1,actions=normal
check "they talk" ping_fast 500
check "hot flows are in the kernel" in_tier0 2
check_match "which is shown" "yes .*icmp.*output\(v-c2\)" ctl dump-cache
check_match "and how many" "tier 0: 2 of" ctl workers
before=$(rule_packets 7)
tier0=$(hits)
check "they go on" ping_fast 1000
check "each packet is counted by its rule" [ $(($(rule_packets 7) - before)) = 2000 ]
check "most of them in tier 0" [ $(($(hits) - tier0)) -gt 1900 ]
check "in is out" balance

# ---- checksums that the sender leaves to a device
tier0=$(hits)
check "they talk by UDP" udp_echo AF_INET 192.0.2.1 192.0.2.2
in_ns c1 ip -6 addr add 2001:db8::1/64 dev eth0 nodad
in_ns c2 ip -6 addr add 2001:db8::2/64 dev eth0 nodad
check "and IPv6" udp_echo AF_INET6 2001:db8::1 2001:db8::2
check "most of it in tier 0" [ $(($(hits) - tier0)) -gt 7000 ]
check "no datagram was wrong" [ "$(csum_errors c1; csum_errors c2)" = "$(printf '0\n0\n0\n0')" ]
check "in is out" balance

# ---- a flow that only the kernel sees keeps its rule and its MAC addresses
check "addresses that age in 3 s" ctl set-br br0 mac-ageing=3
check "a rule that idles in 3 s" ctl add-flow br0 cookie=9,idle_timeout=3,priority=20,icmp,actions=normal
check "they talk for 8 s" ping_fast 4000
check_match "the rule is still there" "cookie=0x9" ctl dump-flows br0
check "so is the address" has_mac_at v-c1 "$mac1"
check "the rule ends" wait_for 10 sh -c "! '$vswitchctl' --rundir '$rundir' dump-flows br0 | grep -q cookie=0x9"
check "in is out" balance

# ---- changes are in force
check "they talk" ping_fast 500
check "hot flows are in the kernel" in_tier0 2
check "a rule that drops" ctl add-flow br0 priority=30,icmp,in_port=v-c1,actions=drop
check_refused "is in force" 1 "100% packet loss" ping_fast 200
check "goes" ctl del-flows br0 priority=30,icmp,in_port=v-c1 --strict
check "they talk" ping_fast 500
check "hot again" in_tier0 2
check "the port goes" ctl del-port br0 v-c2
check "and its flows" none_in_tier0
check_refused "nobody answers" 1 "100% packet loss" ping_fast 100
check "it comes back" ctl add-port br0 v-c2 type="$kind"
check "they talk" ping_fast 500
check "hot again" in_tier0 2
check "in is out" balance

# ---- an address moves
make_station c3 192.0.2.3
check "a third port" ctl add-port br0 v-c3 type="$kind"
check "they talk" ping_fast 500
in_ns c2 ip link set eth0 down
mac2=$(in_ns c2 ip -br link show dev eth0 | awk '{print $3}')
in_ns c3 ip link set eth0 down
in_ns c3 ip addr flush dev eth0
in_ns c3 ip link set eth0 address "$mac2"
in_ns c3 ip addr add 192.0.2.2/24 dev eth0
in_ns c3 ip link set eth0 up
check "whoever moves says so" in_ns c3 ping -q -c 1 -W 2 192.0.2.1
check "is found where he is" ping_fast 500
check "and known there" has_mac_at v-c3 "$mac2"

# ---- off
check "off for a port" ctl del-port br0 v-c1
check "by an option" ctl add-port br0 v-c1 type="$kind" kernel-tier=off
check_match "it says so" "kernel-tier=off" ctl dump-ports br0 v-c1
tier0=$(hits)
check "they talk" ping_fast 500
check_match "its flows say why not" "no: .*icmp" ctl dump-cache
check "a namespace goes under traffic" ip netns del c3
check "in is out" balance
stop_daemon || not_ok "the daemon stops cleanly"
start_daemon --workers 1 --cores none --kernel-tier off
check_match "off for the daemon" "tier 0: off: it is switched off" ctl workers
check_match "and its ports" "it is switched off" ctl dump-ports br0 v-c2
finish
