#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Jumbo frames in the kernel's tier: carried out there, of several buffers, and held to the MTU of
# where they go. KIND: type of the ports.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
kind=${KIND:-afxdp}
need ping iputils-ping
need ethtool ethtool
need python3 python3

# ping_fast N ADDRESS [SIZE]
ping_fast()
{
	in_ns c1 ping -q -i 0.002 -M do -c "$1" -W 1 -s "${3:-8972}" "$2"
}

dropped()
{
	ctl --json drops | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["dropped"])
sys.exit(d["rx_packets"] + d["copies"] != d["tx_packets"] + d["dropped"])'
}

make_station c1 192.0.2.1 9000
make_station c2 192.0.2.2 9000
make_station c3 192.0.2.3 1500
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0 local=no
for name in c1 c2 c3; do
	check "port $name" ctl add-port br0 "v-$name" type="$kind"
done
check "whole frames" ping_fast 500 192.0.2.2
before=$(hits)
check "and more" ping_fast 500 192.0.2.2
check "by the kernel" [ $(($(hits) - before)) -gt 900 ]
check "short ones to a small MTU" ping_fast 500 192.0.2.3 1000
before=$(hits)
check "by the kernel, too" ping_fast 500 192.0.2.3 1000
check "all of them" [ $(($(hits) - before)) -gt 900 ]
before=$(dropped)
check_refused "what is too long for it does not arrive" 1 "100% packet loss" \
	ping_fast 100 192.0.2.3
check "each is counted" [ $(($(dropped) - before)) -ge 100 ]
check "in is out" dropped
finish
