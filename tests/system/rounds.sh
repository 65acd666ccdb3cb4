#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A thousand containers and some hundred AF_XDP ports come and go, and nothing of them stays: no device, no
# descriptor, no memory; no program, map or link that is nobody's. What takes time is waiting for the
# kernel's grace periods, so several switches do it at the same time, each in namespaces of its own.

. "${top_srcdir:-.}/tests/lib.sh"
switches=4
rounds=250

# ---- one of the switches

links()
{
	ip -o link show | cut -d: -f2 | sort
}

# Descriptors by kind; those of the control connection come and go.
descriptors()
{
	find "/proc/$daemon_pid/fd" -type l -printf '%l\n' | sed 's/\[[0-9]*\]//' | sort | uniq -c
}

resident_kib()
{
	awk '/^VmRSS:/ { print $2 }' "/proc/$daemon_pid/status"
}

pins()
{
	find /sys/fs/bpf -mindepth 1
}

all_rounds()
{
	local i

	for ((i = 0; i < $1; i++)); do
		ctl attach-container br0 c1 ip=192.0.2.1/24 && ctl detach-container br0 c1 || return
		((i % 4 == 0)) || continue
		ctl add-port br0 v0 type=afxdp && ctl del-port br0 v0 || return
	done
}

is_as_before()
{
	diff <(echo "$before") <("$1")
}

run_switch()
{
	local before resident

	ns_add c1
	ip link add v0 type veth peer name v1
	ip link set v0 up
	ip link set v1 up
	start_daemon --workers 1 --cores none
	check "a bridge" ctl add-br br0 local=no
	# memory is as it will be after some dozen
	check "first rounds" all_rounds 10
	resident=$(resident_kib)
	before=$(descriptors)
	before_links=$(links)
	before_pins=$(pins)
	check "$rounds rounds" all_rounds "$rounds"
	check_output "leave no device behind" "$before_links" links
	check_output "nor a pin" "$before_pins" pins
	check "nor a descriptor" wait_for 5 is_as_before descriptors
	echo "resident: $resident KiB, then $(resident_kib) KiB"
	check "nor memory" [ $(($(resident_kib) - resident)) -lt 1024 ]
	finish
}

if [ -n "${ROUNDS_SWITCH-}" ]; then
	isolate "$@"
	run_switch
fi

# ---- all of them

need_root
need bpftool bpftool
need python3 python3

# Programs, maps and links of ours that no process holds, one a line.
orphans()
{
	for kind in prog map link; do
		bpftool --json "$kind" list | KIND=$kind python3 -c '
import json, os, sys
OURS = ("vswitch", "tier0_", "xsks", "xdp_host")
for item in json.load(sys.stdin):
    named = item.get("name", "").startswith(OURS) or item.get("type") in ("xdp", "tcx")
    if named and not item.get("pids"):
        print(os.environ["KIND"], item["id"], item.get("name", item.get("type")))'
	done | sort
}

no_new_orphans()
{
	local now

	now=$(orphans)
	! comm -13 <(echo "$orphans_before") <(echo "$now") | grep .
}

orphans_before=$(orphans)
pids=()
for ((i = 0; i < switches; i++)); do
	ROUNDS_SWITCH=$i bash "$0" >"$work/switch$i.log" 2>&1 &
	pids+=($!)
done
for ((i = 0; i < switches; i++)); do
	wait "${pids[i]}" || not_ok "switch $i"
	cat "$work/switch$i.log"
done
check "no program, map or link is left that nobody has" wait_for 10 no_new_orphans
finish
