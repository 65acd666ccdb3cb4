# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Words for test scripts (tests/daemon/*.sh, tests/system/*.sh). A script starts with
#
#	#!/bin/bash
#	. "${top_srcdir:-.}/tests/lib.sh"
#
# says what it needs, checks, and ends with `finish`:
#
#	isolate					# system tests: own namespaces, needs root
#	need iperf3 iperf3
#	start_daemon --workers 1
#	check "a bridge is listed" ctl add-br br0
#	check_output "it is the only one" br0 ctl list-br
#	finish
#
# Each check prints "ok - WHAT" or "not ok - WHAT" with what the command said; tests/summary counts
# these lines. Everything lives in $work, which is removed at the end; what was started is stopped, and
# a daemon that does not stop cleanly fails the test. Output of the daemon is shown when something
# failed.

set -u -o pipefail
: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${top_builddir:=$PWD}"
vswitchd=$top_builddir/vswitchd/vswitchd
vswitchctl=$top_builddir/ctl/vswitchctl

work=$(mktemp -d "${TMPDIR:-/tmp}/vswitch-test.XXXXXX")
rundir=$work/run
statedir=$work/state
mkdir "$rundir" "$statedir"

failed=0
daemon_pid=

cleanup()
{
	local status=$?

	trap - EXIT INT TERM
	if [ -n "$daemon_pid" ]; then
		kill -KILL "$daemon_pid" 2>/dev/null
		wait "$daemon_pid" 2>/dev/null
	fi
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ -f "$work/vswitchd.log" ]; then
		echo "--- the daemon's log (last 100 lines)"
		tail -n 100 "$work/vswitchd.log"
	fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# skip REASON: this machine cannot run the test; the reason is the last line of the log
skip()
{
	echo "skipped: $*"
	exit 77
}

# die WHAT: the test itself cannot go on
die()
{
	echo "not ok - $*"
	exit 1
}

# need COMMAND PACKAGE
need()
{
	command -v "$1" >/dev/null || skip "there is no $1 (apt-get install $2)"
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# Run the rest of the script in network, mount and process namespaces of its own, with an empty /run
# and a bpffs: names are free, and all that the test makes vanishes with it.
isolate()
{
	need_root
	if [ -z "${VS_ISOLATED-}" ]; then
		need unshare util-linux
		unshare --net --mount --pid true 2>/dev/null ||
			skip "the kernel does not let us make namespaces"
		rm -rf "$work"
		trap - EXIT
		VS_ISOLATED=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc \
			bash "$0" "$@"
	fi
	mount -t tmpfs tmpfs /run && mkdir /run/netns || die "cannot mount an own /run"
	mount -t bpf bpf /sys/fs/bpf || echo "no bpffs here"
	ip link set lo up
}

# ns_add NAME...: network namespaces, with lo up
ns_add()
{
	local name

	for name in "$@"; do
		ip netns add "$name" || die "cannot make namespace $name"
		in_ns "$name" ip link set lo up
	done
}

# in_ns NAME COMMAND...: unlike `ip netns exec` it leaves /sys (and the bpffs in it) alone
in_ns()
{
	local name=$1

	shift
	nsenter --net="/run/netns/$name" -- "$@"
}

ctl()
{
	"$vswitchctl" --rundir "$rundir" "$@"
}

# make_station NAME ADDRESS [MTU]: a namespace, and a veth whose near end, v-NAME, may be a port
make_station()
{
	ns_add "$1"
	ip link add "v-$1" ${3:+mtu "$3"} type veth peer name eth0 ${3:+mtu "$3"} netns "$1"
	in_ns "$1" ip addr add "$2/24" dev eth0
	# a veth takes frames that XDP redirects to it when its peer polls
	in_ns "$1" ethtool -K eth0 gro on
	in_ns "$1" ip link set eth0 up
	ip link set "v-$1" up
}

# ---- what the daemon says of its packets; these need python3

# balance: what came in has gone out or was counted as dropped
balance()
{
	ctl --json drops | python3 -c "
import json, sys
d = json.load(sys.stdin)
left = d['rx_packets'] + d['copies'] - d['tx_packets'] - d['dropped']
print('in and out differ by', left)
sys.exit(left != 0)"
}

# rule_packets COOKIE: what rules of bridge br0 with that cookie have counted
rule_packets()
{
	ctl --json dump-flows br0 | python3 -c "
import json, sys
print(sum(r['n_packets'] for r in json.load(sys.stdin)['rules'] if int(str(r.get('cookie', 0)), 0) == $1))"
}

# hits: packets that tier 0 has carried
hits()
{
	ctl --json workers | python3 -c '
import json, sys
print(sum(w["hits_tier0"] for w in json.load(sys.stdin)["workers"]))'
}

# in_tier0 N: so many flows are there
in_tier0()
{
	[ "$(ctl --json dump-cache --tier 0 | python3 -c '
import json, sys
print(len(json.load(sys.stdin)["flows"]))')" -ge "$1" ]
}

# wait_for SECONDS COMMAND...: until it succeeds; polls ten times a second
wait_for()
{
	local tries=$(($1 * 10))

	shift
	while ! "$@" >/dev/null 2>&1; do
		((tries-- > 0)) || return 1
		sleep 0.1
	done
}

# start_daemon ARGUMENT...: in the foreground as our child; returns when it answers
start_daemon()
{
	"$vswitchd" --foreground --rundir "$rundir" --statedir "$statedir" --no-libvirt "$@" \
		>>"$work/vswitchd.log" 2>&1 &
	daemon_pid=$!
	# thirty seconds: sanitizer builds on a busy machine
	wait_for 30 daemon_answers_or_died
	daemon_answers || die "vswitchd does not answer"
}

daemon_answers()
{
	ctl list-br >/dev/null 2>&1
}

daemon_answers_or_died()
{
	daemon_answers || ! kill -0 "$daemon_pid" 2>/dev/null
}

# stop_daemon: SIGTERM, and its exit status
stop_daemon()
{
	local pid=$daemon_pid

	kill -TERM "$pid"
	wait_for 30 daemon_is_gone "$pid" || die "vswitchd does not stop on SIGTERM"
	daemon_pid=
	wait "$pid"
}

daemon_is_gone()
{
	[ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

# kill_daemon: as a crash would
kill_daemon()
{
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

ok()
{
	echo "ok - $*"
}

not_ok()
{
	failed=$((failed + 1))
	echo "not ok - $*"
	if [ -n "$daemon_pid" ] && daemon_is_gone "$daemon_pid"; then
		wait "$daemon_pid"
		echo "  vswitchd has died, exit status $?"
		daemon_pid=
		exit 1
	fi
}

# check WHAT COMMAND...: it succeeds
check()
{
	local what=$1 output status

	shift
	output=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq 0 ]; then
		ok "$what"
		return 0
	fi
	not_ok "$what"
	printf '  %s\n  exit status %d: %s\n' "$*" "$status" "$output"
	return 1
}

# check_refused WHAT STATUS PATTERN COMMAND...: it fails with that exit status and says PATTERN (extended
# regular expression)
check_refused()
{
	local what=$1 expected=$2 pattern=$3 output status

	shift 3
	output=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq "$expected" ] && grep -Eq -- "$pattern" <<<"$output"; then
		ok "$what"
		return 0
	fi
	not_ok "$what"
	printf '  %s\n  exit status %d, expected %d and /%s/: %s\n' "$*" "$status" "$expected" \
		"$pattern" "$output"
	return 1
}

# check_output WHAT TEXT COMMAND...: it succeeds and prints just TEXT
check_output()
{
	local what=$1 expected=$2 output status

	shift 2
	output=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq 0 ] && [ "$output" = "$expected" ]; then
		ok "$what"
		return 0
	fi
	not_ok "$what"
	printf '  %s\n  exit status %d\n' "$*" "$status"
	diff <(echo "$expected") <(echo "$output") | sed 's/^/  /'
	return 1
}

# check_match WHAT PATTERN COMMAND...: it succeeds and prints something that matches PATTERN (extended)
check_match()
{
	local what=$1 pattern=$2

	shift 2
	check_refused "$what" 0 "$pattern" "$@"
}

# finish: the last line of each script
finish()
{
	local status

	if [ -n "$daemon_pid" ]; then
		stop_daemon
		status=$?
		if [ "$status" -eq 0 ]; then
			ok "the daemon stops cleanly"
		else
			not_ok "the daemon stops cleanly (exit status $status)"
		fi
	fi
	[ "$failed" -eq 0 ]
	exit
}
