#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# vhost-user ports and somebody else's driver: dpdk-testpmd bounces frames between two virtio-user
# ports with every ring option that it has; either side is killed under load and comes back.

. "${top_srcdir:-.}/tests/lib.sh"
isolate "$@"
need dpdk-testpmd dpdk-dev

cpus=0-$(($(nproc) - 1))
mkfifo "$work/pmd.in"
exec 7<>"$work/pmd.in"

# start_pmd DEVICE-OPTIONS SOCKET-FOLDER ARGUMENT...: both ports; frames go round from then on
start_pmd()
{
	local options=$1 sockets=$2

	shift 2
	# what an earlier one did not read any more
	timeout 0.1 cat <&7 >/dev/null
	dpdk-testpmd --lcores "(0,1)@($cpus)" --no-huge -m 192 --single-file-segments --no-pci \
		--no-telemetry --file-prefix "t$$.$RANDOM" \
		--vdev "net_virtio_user0,path=$sockets/vm1.sock,$options" \
		--vdev "net_virtio_user1,path=$sockets/vm2.sock,$options" \
		-- -i --nb-cores=1 --forward-mode=io --total-num-mbufs=8192 "$@" \
		<&7 7>&- >"$work/pmd.log" 2>&1 &
	# checks run in subshells
	echo $! >"$work/pmd.pid"
	wait_for 30 both_are up || return 1
	echo "start tx_first 2" >&7
}

stop_pmd()
{
	echo stop >&7
	echo quit >&7
	wait_for 30 daemon_is_gone "$(cat "$work/pmd.pid")" || {
		kill_pmd
		return 1
	}
}

kill_pmd()
{
	kill -KILL "$(cat "$work/pmd.pid")"
}

# port_value PORT EXPRESSION: of what dump-ports says of it, as `p`
port_value()
{
	ctl --json dump-ports br0 "$1" |
		python3 -c "import json, sys; p = json.load(sys.stdin)['ports'][0]; print($2)"
}

both_are()
{
	[ "$(port_value vm1 "p['state']")" = "$1" ] && [ "$(port_value vm2 "p['state']")" = "$1" ]
}

received()
{
	[ "$(port_value "$1" "p['rx_packets']")" -gt "$2" ]
}

# Frames come in by both ports: 50,000 more each.
frames_flow()
{
	local port

	for port in vm1 vm2; do
		wait_for 10 received "$port" $(($(port_value "$port" "p['rx_packets']") + 50000)) ||
			return 1
	done
}

no_faults()
{
	[ "$(port_value vm1 "p['status'].get('faults')")" = None ] &&
		[ "$(port_value vm2 "p['status'].get('faults')")" = None ]
}

# add_ports SOCKET-FOLDER OPTION...: both, wired to each other
add_ports()
{
	local sockets=$1 vm

	shift
	ctl add-br br0 local=no || return
	for vm in vm1 vm2; do
		ctl add-port br0 "$vm" type=vhost-user "path=$sockets/$vm.sock" "$@" || return
	done
	ctl del-flows br0 && ctl add-flow br0 in_port=vm1,actions=vm2 &&
		ctl add-flow br0 in_port=vm2,actions=vm1
}

# bounce WHAT DEVICE-OPTIONS EXPECTED-FEATURE ARGUMENT...
bounce()
{
	local what=$1 options=$2 feature=$3

	shift 3
	if ! check "$what: the driver starts" start_pmd "$options" "$rundir/br0" "$@"; then
		tail -n 5 "$work/pmd.log"
		kill_pmd
		return
	fi
	check "$what: frames go round" frames_flow
	check_match "$what: it is what was negotiated" "$feature" port_value vm1 "p['status']"
	check "$what: the driver ends" stop_pmd
	check "$what: the ports notice" wait_for 10 both_are down
	check "$what: each frame is accounted for" balance
}

# ---- every kind of ring
start_daemon --workers 2 --cores none
mkdir "$rundir/br0"
check "ports" add_ports "$rundir/br0" queues=2
bounce "split" mrg_rxbuf=1,in_order=0 "mrg_rxbuf"
bounce "split, in order" mrg_rxbuf=1,in_order=1 "in_order"
bounce "split, one buffer each" mrg_rxbuf=0,in_order=0 "'rings': 'split'"
bounce "split, one buffer each, in order" mrg_rxbuf=0,in_order=1 "in_order"
bounce "split, vectorised" mrg_rxbuf=0,in_order=0,vectorized=1 "'rings': 'split'"
bounce "split, small" queue_size=64,in_order=0 "'rings': 'split'"
bounce "split, offloads" in_order=0 "csum,guest_csum.*host_tso4" --rx-offloads=0xc --tx-offloads=0x802c
bounce "packed" packed_vq=1,mrg_rxbuf=1,in_order=0 "ring_packed"
bounce "packed, in order" packed_vq=1,mrg_rxbuf=1,in_order=1 "ring_packed"
bounce "packed, one buffer each" packed_vq=1,mrg_rxbuf=0,in_order=0 "ring_packed"
bounce "packed, one buffer each, in order" packed_vq=1,mrg_rxbuf=0,in_order=1 "ring_packed"
bounce "packed, vectorised" packed_vq=1,mrg_rxbuf=0,in_order=1,vectorized=1 "ring_packed"
bounce "two queues" queues=2,in_order=0 "2 of 2" --rxq=2 --txq=2
bounce "two queues, packed" queues=2,packed_vq=1 "2 of 2" --rxq=2 --txq=2
check "nobody was thrown out" no_faults

# ---- the driver is killed under load
for round in 1 2 3; do
	check "round $round: a driver" start_pmd in_order=0 "$rundir/br0"
	check "round $round: frames go round" frames_flow
	kill_pmd
	check "round $round: the ports notice" wait_for 10 both_are down
	check "round $round: each frame is accounted for" balance
done
check "nobody was thrown out" no_faults

# ---- the switch is stopped, and is as it was when it comes again
stop_daemon || not_ok "the daemon stops cleanly"
start_daemon --workers 1 --cores none
bounce "after a restart" mrg_rxbuf=1,in_order=1 "in_order"
check "the bridge goes" ctl del-br br0
check "and the sockets with it" test ! -e "$rundir/br0"

# ---- the driver listens; the switch is killed under load and finds its rings again
sockets=$work/sockets
mkdir "$sockets"
check "ports that connect" add_ports "$sockets" mode=client
for options in in_order=0 packed_vq=1,in_order=0,mrg_rxbuf=0; do
	check "$options: a driver that listens" start_pmd "server=1,$options" "$sockets"
	check "$options: frames go round" frames_flow
	for round in 1 2 3; do
		kill_daemon
		start_daemon --workers 1 --cores none
		check "$options: killed, round $round: the driver is found again" \
			wait_for 20 both_are up
		# what was under way is lost with the old one; this may have been all there was
		echo "stop" >&7
		echo "start tx_first 2" >&7
		check "$options: killed, round $round: frames go round" frames_flow
	done
	check "nobody was thrown out" no_faults
	check "$options: the driver ends" stop_pmd
	check "$options: each frame is accounted for" balance
done
finish
