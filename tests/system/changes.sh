#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Changes under traffic are in force when the command returns: rules, ports, bridges; and every packet
# is accounted for.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need iperf3 iperf3
need ping iputils-ping

ns_add c1 c2 d1 d2
start_daemon --workers 2 --cores none

answers()
{
	in_ns c1 ping -q -c 1 -W 1 192.0.2.2
}

silent()
{
	! answers
}

# by no function: what is killed is to be the ping itself
start_flood()
{
	nsenter --net=/run/netns/c1 -- ping -q -f -w 60 192.0.2.2 >"$work/flood.log" 2>&1 &
	flood=$!
}

stop_flood()
{
	kill "$flood" 2>/dev/null
	wait "$flood" 2>/dev/null
}

for br in br0 br1; do
	check "bridge $br" ctl add-br "$br" local=no
	check "a rule for all" ctl add-flow "$br" priority=0,actions=normal
done
check "c1" ctl attach-container br0 c1 ip=192.0.2.1/24
check "c2" ctl attach-container br0 c2 ip=192.0.2.2/24
check "d1, the same address on another bridge" ctl attach-container br1 d1 ip=192.0.2.1/24
check "they talk" answers
check_refused "bridges do not" 1 "" in_ns d1 ping -q -c 2 -i 0.2 -W 1 192.0.2.2
check "d2" ctl attach-container br1 d2 ip=192.0.2.2/24
check "the other bridge talks, too" in_ns d1 ping -q -c 1 -W 2 192.0.2.2

# a flood in the background fills the caches and is there at each change
start_flood

for round in 1 2 3 4 5; do
	ctl add-flow br0 priority=9,icmp,icmp_type=8,actions=drop ||
		die "round $round: cannot add a rule"
	check "round $round: dropped as soon as the rule is there" silent
	ctl del-flows br0 --strict priority=9,icmp,icmp_type=8 ||
		die "round $round: cannot delete a rule"
	check "round $round: answered as soon as it is gone" answers
done

check "rules replaced by a script" ctl replace-flows br0 - <<<'priority=0,actions=drop'
check "nothing passes" silent
check "and back" ctl replace-flows br0 - <<<'priority=0,actions=normal'
check "all passes" answers
check "MAC addresses forgotten" ctl fdb-flush br0
check "and learned again" answers

stop_flood
check "every packet is accounted for" wait_for 5 balance

start_flood
for round in 1 2 3; do
	check "round $round: a port goes under traffic" ctl detach-container br0 c2
	check "round $round: and comes back" ctl attach-container br0 c2 ip=192.0.2.2/24
	check "round $round: answers" wait_for 5 answers
done

# a namespace goes with all that is on its way there, thirty times, and another one takes its place
port_is_gone()
{
	! ctl list-ports br0 | grep -qx br0-c2
}

renew_c2()
{
	ip netns del c2 && wait_for 10 port_is_gone && ip netns add c2 &&
		ctl attach-container br0 c2 ip=192.0.2.2/24 && wait_for 5 answers
}

renew_thirty_times()
{
	local i

	for ((i = 0; i < 30; i++)); do
		renew_c2 || return
	done
}
check "thirty times a namespace ends under traffic, and its successor answers" renew_thirty_times
stop_flood
check "every packet is accounted for" wait_for 5 balance

# TCP lives on while rules change under it
in_ns c2 timeout 30 iperf3 -s -1 >/dev/null 2>&1 &
server=$!
wait_for 5 in_ns c2 sh -c "ss -Htln 'sport = :5201' | grep -q ."
in_ns c1 timeout 20 iperf3 -c 192.0.2.2 -t 3 >"$work/tcp.log" 2>&1 &
client=$!
for i in $(seq 100); do
	ctl add-flow br0 "priority=$((i % 7 + 1)),tcp,tp_dst=$((i + 100)),actions=drop" ||
		die "cannot add a rule under TCP"
	kill -0 "$client" 2>/dev/null || break
done
wait "$client"
check "TCP lives on while rules change under it" [ $? -eq 0 ]
wait "$server"

finish
