#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Containers do not notice that the daemon is killed and started again, twice: neither their pings nor a
# TCP connection.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need ping iputils-ping
need iperf3 iperf3
need python3 python3
mountpoint -q /sys/fs/bpf || skip "there is no bpffs"

# seconds_without_data: of the stream's intervals, how many carried nothing
seconds_without_data()
{
	python3 -c '
import json, sys
print(sum(i["sum"]["bytes"] == 0 for i in json.load(sys.stdin)["intervals"]))' <"$work/stream"
}

ns_add c1 c2
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0
for i in 1 2; do
	check "container $i" ctl attach-container br0 "c$i" "ip=192.0.2.$i/24,2001:db8::$i/64"
done
in_ns c1 ping -q -i 0.002 -c 3000 -W 1 192.0.2.2 >"$work/ping" 2>&1 &
pinger=$!
in_ns c2 timeout 30 iperf3 -s -1 >"$work/server" 2>&1 &
server=$!
wait_for 5 in_ns c2 sh -c "ss -Htln 'sport = :5201' | grep -q ."
in_ns c1 timeout 20 iperf3 --json -c 2001:db8::2 -t 6 >"$work/stream" 2>&1 &
stream=$!
check "they are in the kernel" wait_for 5 in_tier0 2
for turn in first second; do
	kill_daemon
	sleep 1
	start_daemon --workers 1 --cores none
	check "they are taken over, the $turn time" in_tier0 2
done
wait "$pinger"
check_match "not one ping was lost" " 0% packet loss" cat "$work/ping"
check "the connection lives" wait "$stream"
wait "$server"
check_output "and never paused" 0 seconds_without_data
check "a container can go" ctl detach-container br0 c1
check "and come back" ctl attach-container br0 c1 ip=192.0.2.1/24
check "they talk" in_ns c1 ping -q -c 3 -i 0.1 -W 2 192.0.2.2
finish
