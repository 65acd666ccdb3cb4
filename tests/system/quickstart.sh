#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# quickstart run works twice, and quickstart down takes away all that it made and nothing else.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need iperf3 iperf3
need apt-get "a Debian system"
export VSWITCH_BUILD=$top_builddir
# quickstart calls make; ours is none of its business
unset MAKEFLAGS MAKELEVEL MFLAGS

everything()
{
	echo "links:" && ip -o link show | cut -d: -f2
	echo "namespaces:" && ip netns list
	echo "files:" && find /run -mindepth 1
	echo "processes:" && ps -eo stat=,comm= | grep -v '^Z' | grep -w vswitchd
	echo "tc:" && tc qdisc show
	echo "pins:" && find /sys/fs/bpf -mindepth 1
	return 0
}

# a neighbour's namespace and interface, which are none of its business
ns_add vsq_other
ip link add vsq_veth type veth peer name vsq_peer
before=$(everything)

check "nothing to take away" "$top_srcdir/quickstart" down
check_match "run" "It is left running" "$top_srcdir/quickstart" run
check "it runs" "$vswitchctl" --rundir /run/vswitch-quickstart list-br
check_match "run again" "It is left running" "$top_srcdir/quickstart" run
check_match "the rules counted" "n_packets=[1-9]" \
	"$vswitchctl" --rundir /run/vswitch-quickstart dump-flows br0
check "down" "$top_srcdir/quickstart" down
check_output "nothing stays, and nothing else is gone" "$before" everything
check "down again" "$top_srcdir/quickstart" down

# a crash in between leaves what down can still take away
check_match "run after that" "It is left running" "$top_srcdir/quickstart" run
kill -KILL "$(sed -n 's/^pid //p' /run/vswitch-quickstart/made)"
check "down after a crash" "$top_srcdir/quickstart" down
check_output "nothing stays after a crash" "$before" everything
finish
