#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each example script loads, as a whole, and what dump-flows prints is the script again.

. "${top_srcdir:-.}/tests/lib.sh"
start_daemon --workers 1 --cores none
check "a bridge" ctl add-br br0 local=no

for script in "$top_srcdir"/examples/*.flows; do
	name=${script##*/}
	rules=$(grep -cv -e '^#' -e '^$' "$script")
	check "$name loads" ctl replace-flows br0 "$script"
	check_output "$name: nothing is missing, nothing is left from the one before" "" \
		ctl diff-flows br0 "$script"
	# the dump without counters is a script, too
	ctl dump-flows br0 |
		sed -E 's/(duration|n_packets|n_bytes|idle_age|hard_age|table)=[^ ,]*,? ?//g' \
		>"$work/dump.flows"
	check_output "$name: as many rules as lines" "$rules" grep -c . "$work/dump.flows"
	check_output "$name: the dump is the script" "" ctl diff-flows br0 "$work/dump.flows"
done

printf 'priority=1,actions=drop\n\npriority=2,icmp,tp_srk=1,actions=normal\n' >"$work/bad.flows"
check_refused "a bad line refuses the file, and says where" 1 "bad.flows:3:.*tp_src" \
	ctl add-flows br0 "$work/bad.flows"
check_output "and none of it was added" "" ctl diff-flows br0 "$work/dump.flows"
finish
