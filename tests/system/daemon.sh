#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon among real devices: ports whose device comes and goes, the host's own port, privileges given
# up, a crash, and a stop that leaves nothing behind.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need ping iputils-ping
need getpcaps libcap2-bin

links()
{
	ip -o link show | cut -d: -f2 | sort
}

state_of()
{
	ctl --json show | python3 -c "
import json, sys
for bridge in json.load(sys.stdin)['bridges']:
    for port in bridge['ports']:
        if port['port'] == '$1':
            print(port['state'], end='')"
}

is_state()
{
	[ "$(state_of "$1")" = "$2" ]
}

xdp_programs()
{
	ip -o link show | grep -c 'prog/xdp' || true
}

ping_host()
{
	in_ns c1 ping -q -c 3 -i 0.1 -W 2 "$@"
}

ns_add c1
start_daemon --workers 1

check_match "capabilities that it needs are kept" \
	'cap_net_admin' getpcaps "$daemon_pid"
check_refused "those over other people's files and processes are gone" 1 '' \
	sh -c "getpcaps $daemon_pid 2>&1 | grep -E 'cap_(dac_override|kill|setuid|sys_module)'"

# ---- the host's own port
check "a bridge with an address for the host" ctl add-br br0 ip=192.0.2.100/24
check "a container" ctl attach-container br0 c1 ip=192.0.2.1/24
check "the host answers the container" ping_host 192.0.2.100
check "the container answers the host" ping -q -c 3 -i 0.1 -W 2 192.0.2.1
check "another address" ctl set-br br0 ip=192.0.2.101/24
check "answers" ping_host 192.0.2.101
check_refused "an address that is none" 1 '192.0.2.300' ctl set-br br0 ip=192.0.2.300/24
check "the old one still answers" ping_host 192.0.2.101

# ---- devices come and go
check_refused "a device that is not there" 1 'v0' ctl add-port br0 v0
ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up
check "when it is there" ctl add-port br0 v0
check "it is open" is_state v0 up
check "a rule that names it" ctl add-flow br0 priority=7,in_port=v0,actions=normal
ip link del v0
check "it vanishes, and that is noticed" wait_for 5 is_state v0 missing
check_match "the reason is shown" 'vanished' ctl show
check "the others work on" ping_host 192.0.2.101
ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up
check "it comes back, and is opened" wait_for 10 is_state v0 up
check "its rule is still there" ctl dump-flows br0 in_port=v0

# ---- a crash
kill_daemon
ip link del v0
start_daemon --workers 1
check "after a crash a device that is gone meanwhile is missing" is_state v0 missing
check "the container is as it was" wait_for 5 ping_host 192.0.2.101
ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up
check "the device comes, and is opened" wait_for 10 is_state v0 up
check_match "rules are there" 'in_port=v0' ctl dump-flows br0

# ---- a stop under traffic
in_ns c1 ping -q -f -w 3 192.0.2.101 >/dev/null 2>&1 &
ping_pid=$!
sleep 0.5
stop_daemon
ok "a stop under traffic"
wait "$ping_pid"
check_output "no XDP program is left" 0 xdp_programs
check_refused "nor the host's port" 1 'does not exist' ip link show br0
start_daemon --workers 1
check "started again" wait_for 10 ping_host 192.0.2.101
check "the bridge goes" ctl del-br br0
check_output "and all that it made" "$(printf ' lo\n v0@v1\n v1@v0')" links
finish
