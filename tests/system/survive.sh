#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Hot flows outlive the daemon: killed, stopped with --keep-forwarding, started again; and everything
# that is pinned goes when it should. KIND: type of the ports.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
kind=${KIND:-afxdp}
option=${OPTION:-kernel-tier=on}
pins=/sys/fs/bpf/vswitch
need ping iputils-ping
need ethtool ethtool
need python3 python3
need bpftool bpftool
need sqlite3 sqlite3
mountpoint -q /sys/fs/bpf || skip "there is no bpffs"

# ping_fast N [ADDRESS]: quick pings, which make a flow hot: 500 a second
ping_fast()
{
	in_ns c1 ping -q -i 0.002 -c "$1" -W 1 "${2:-192.0.2.2}"
}

# our_programs: the numbers of the programs that are pinned; those of other switches on the machine
# are none of our business
our_programs()
{
	local link

	for link in $(find "$pins" -name '*_link'); do
		bpftool --json link show pinned "$link" | python3 -c '
import json, sys
print(json.load(sys.stdin)["prog_id"])'
	done
}

pinned_files()
{
	[ -e "$pins" ] && find "$pins" -type f
}

# nothing_is_left PROGRAM...: of these
nothing_is_left()
{
	local program files

	files=$(pinned_files)
	[ -z "$files" ] || { echo "pinned: $files"; return 1; }
	for program in "$@"; do
		# they go some milliseconds after the last reference to them
		wait_for 2 sh -c "! bpftool prog show id $program" && continue
		bpftool prog show id "$program"
		return 1
	done
}

# received NAME: frames that arrived there
received()
{
	in_ns "$1" ip --json -s link show dev eth0 | python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["stats64"]["rx"]["packets"])'
}

# flood: 100 frames from c1 to everybody; fails unless both others get each
flood()
{
	local two three

	two=$(received c2)
	three=$(received c3)
	in_ns c1 ping -q -b -i 0.002 -c "${1:-100}" -W 1 192.0.2.255 >"$work/flood" 2>&1
	[ $(($(received c2) - two)) -ge "${1:-100}" ] && [ $(($(received c3) - three)) -ge "${1:-100}" ]
}

make_station c1 192.0.2.1
make_station c2 192.0.2.2
make_station c3 192.0.2.3
start()
{
	start_daemon --workers 1 --cores none "$@"
}

start
check "a bridge" ctl add-br br0 local=no
for name in c3 c1 c2; do
	check "port $name" ctl add-port br0 "v-$name" type="$kind" "$option"
done
check "a port that goes, so that numbers are not in the order of names" ctl del-port br0 v-c3
check "and comes back" ctl add-port br0 v-c3 type="$kind" "$option"
check "a rule" ctl add-flow br0 cookie=7,priority=10,icmp,actions=normal
check "they talk" ping_fast 500
check "hot flows are in the kernel" in_tier0 2
check_match "it says where they are pinned" "pinned in $pins/" ctl workers
check_match "and that the port is" "pinned" ctl dump-ports br0 v-c1

# ---- killed
in_ns c1 ping -q -i 0.002 -c 2500 -W 1 192.0.2.2 >"$work/ping" 2>&1 &
pinger=$!
sleep 1
kill_daemon
sleep 1.5
start
check "it takes them over" in_tier0 2
wait "$pinger"
check_match "not one packet was lost" " 0% packet loss" cat "$work/ping"
# killed after 500, of which what came in the last second before was not told to the rule
counted=$(rule_packets 7)
check "what went by meanwhile was counted ($counted)" [ "$counted" -ge 3500 ]
check "in is out" balance
check "whom nobody knew is found" ping_fast 10 192.0.2.3
log=$(grep -c "2 hot flows go on, 0 were stale" "$work/vswitchd.log")
check "none was stale" [ "$log" = 1 ]
before=$(rule_packets 7)
check "they go on" ping_fast 500
check "each is counted" [ $(($(rule_packets 7) - before)) = 1000 ]

# ---- to several ports at once
check "a rule for all" ctl add-flow br0 priority=20,icmp,nw_dst=192.0.2.255,actions=flood
check "a flood" flood
check_match "in the kernel" "yes .*output\(v-c[23]\),output\(v-c[23]\)" ctl dump-cache --tier 0
kill_daemon
check "goes on without a daemon" flood
start
check "it is taken over" flood 20
check_match "and still in the kernel" "yes .*output\(v-c[23]\),output\(v-c[23]\)" \
	ctl dump-cache --tier 0
check "in is out" balance

# ---- what it does not know any more
check "they talk" ping_fast 500
check "hot flows are in the kernel" in_tier0 2
kill_daemon
check "and without a daemon" ping_fast 100
sqlite3 "$statedir/vswitch.db" "DELETE FROM rule; " 2>"$work/sql" || cat "$work/sql"
start
check_match "rules that vanished meanwhile" "0 hot flows go on, [1-9] were stale" \
	cat "$work/vswitchd.log"
check_refused "are in force" 1 "100% packet loss" ping_fast 100
check "rules come back" ctl add-flow br0 cookie=7,priority=10,actions=normal
check "they talk" ping_fast 500
check "hot again" in_tier0 2

# ---- a device goes meanwhile
kill_daemon
ip netns del c3
check "they talk" ping_fast 100
start
check "they talk on" ping_fast 500
check "in tier 0" in_tier0 2
check "its port can go" ctl del-port br0 v-c3
check "in is out" balance

# ---- stopped, and kept
programs=$(our_programs)
if [ "$option" != hook=clsact ]; then
	check "there are programs" [ "$(wc -w <<<"$programs")" -ge 2 ]
fi
stop_daemon || not_ok "the daemon stops cleanly"
# shellcheck disable=SC2086 # a list
check "a clean stop leaves nothing" nothing_is_left $programs
check_refused "and nobody forwards" 1 "100% packet loss" ping_fast 50
start --keep-forwarding
check "they talk" ping_fast 500
check "hot" in_tier0 2
stop_daemon || not_ok "the daemon stops cleanly"
check "they talk without a daemon" ping_fast 500
start --keep-forwarding
check "they are taken over" in_tier0 2
check "they talk" ping_fast 500
stop_daemon || not_ok "the daemon stops cleanly"
check "they talk without a daemon again" ping_fast 100
programs=$(our_programs)
check "all is taken away" "$vswitchd" --take-down --rundir "$rundir"
# shellcheck disable=SC2086 # a list
check "nothing is left" nothing_is_left $programs
check_refused "and nobody forwards" 1 "100% packet loss" ping_fast 50

# ---- killed, and not wanted any more
start
check "they talk" ping_fast 500
check "hot" in_tier0 2
check_refused "a running one is left alone" 1 "another vswitchd" \
	"$vswitchd" --take-down --rundir "$rundir"
kill_daemon
check "there is something" [ -n "$(pinned_files)" ]
start --kernel-tier off
check "nothing is left" nothing_is_left
stop_daemon || not_ok "the daemon stops cleanly"
start --bpffs none
check_match "not pinned" "ends with the daemon: not pinned" ctl workers
check "they talk" ping_fast 500
check "hot" in_tier0 2
programs=$(our_programs)
kill_daemon
if [ "$kind" = afxdp ]; then
	# shellcheck disable=SC2086 # a list
	check "nothing is left" nothing_is_left $programs
fi
start
finish
