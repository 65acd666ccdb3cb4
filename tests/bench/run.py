#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the benchmarks: `make bench`, or `make bench BENCH=forward`.

Needs root, and installs the peers' Debian packages (without starting their services) when they are
missing. Everything happens in namespaces made here, with addresses of 198.18.0.0/15, and is removed
at the end. Two cores are used: one makes packets, the other one is the contender's.
"""

import argparse
import contextlib
import json
import os
import sys
import time

import classify
import containers
import contenders
import control
import forward
import kernel_tier
import kill
import lab
import vhost
import vhost_contenders
import vm_container
import vm_qemu

BENCHES = {"forward": forward.main, "classify": classify.main, "rules": control.rules,
           "misses": control.misses, "idle": control.idle, "latency": control.latency, "memory": control.memory,
           "containers": containers.main,
           "vhost": vhost.bouncing, "vhost_stream": vhost.streaming,
           "vhost_afxdp": vhost.to_devices, "vhost_idle": vhost.idling,
           "vm_container": vm_container.main, "vm_qemu": vm_qemu.main,
           "tier0": kernel_tier.main, "kill": kill.main}
POLICY = "/usr/sbin/policy-rc.d"
# Debian packages of the tools that all benchmarks use.
TOOLS = ("ethtool", "iperf3", "iproute2", "iputils-ping", "procps", "util-linux")
NICE = -20  # contenders and generator alike: other work on the machine should not decide


class Tools:
    """Where the programs of the build are."""

    def __init__(self, build_dir):
        self.build_dir = build_dir
        self.connect = os.path.join(build_dir, "tests/bench/connect")
        self.classify = os.path.join(build_dir, "tests/bench/classify")
        self.vhost_forward = os.path.join(build_dir, "tests/bench/vhost_forward")
        self.vhost_guests = os.path.join(build_dir, "tests/bench/vhost_guests")
        self.vhost_tap = os.path.join(build_dir, "tests/bench/vhost_tap")
        self.tier0_cost = os.path.join(build_dir, "tests/bench/tier0_cost")
        self.trafficgen = os.path.join(build_dir, "tests/bench/trafficgen")
        self.vswitchd = os.path.join(build_dir, "vswitchd/vswitchd")
        self.vswitchctl = os.path.join(build_dir, "ctl/vswitchctl")


def installed(package):
    return "installed" in lab.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                                  check=False).split()


def install_peers():
    """apt-get what is missing; a policy file in the meantime keeps services from being started."""
    kinds = (*contenders.FORWARDING, contenders.OvsDpdk, vhost_contenders.OvsDpdk,
             vhost_contenders.Testpmd, vm_container.OvsDpdkAfPacket)
    wanted = sorted({*TOOLS, *vm_qemu.PACKAGES, *(package for kind in kinds for package in kind.peers)})
    missing = [package for package in wanted if not installed(package)]
    if not missing:
        return
    print(f"installing {' '.join(missing)}", file=sys.stderr)
    own_policy = not os.path.exists(POLICY)
    if own_policy:
        with open(POLICY, "w") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
        os.chmod(POLICY, 0o755)
    try:
        lab.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing],
                timeout=900)
    except lab.BenchError as problem:
        print(f"{problem}; benchmarks that need it are left out", file=sys.stderr)
    finally:
        if own_policy:
            os.unlink(POLICY)


@contextlib.contextmanager
def priority():
    """Precedence over whatever else the machine does. Where the scheduler groups tasks by session, a
    nice value means nothing outside of the session, but the group has one as well."""
    group = "/proc/self/autogroup"
    before = None
    os.nice(NICE)
    with contextlib.suppress(OSError, IndexError):
        with open(group) as text:
            before = text.read().split()[-1]
        with open(group, "w") as text:
            text.write(str(NICE))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if before is not None:
                with open(group, "w") as text:
                    text.write(before)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Benchmarks of the switch beside its peers.")
    parser.add_argument("bench", nargs="*", help=f"of: {' '.join(BENCHES)}; all when none is named")
    parser.add_argument("--builddir", default=".")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--only", type=lambda text: text.split(","), help="contenders, by comma")
    parser.add_argument("--ours", default=contenders.Vswitchd.name,
                        help="the contender whose ratios to the others are printed")
    parser.add_argument("--cores", type=lambda text: tuple(int(core) for core in text.split(",")),
                        default=(0, 1), help="the generator's and the contender's")
    parser.add_argument("--json", metavar="FILE", help="all figures of all rounds")
    options = parser.parse_args()
    for name in options.bench:
        if name not in BENCHES:
            parser.error(f"no benchmark '{name}'; there are: {' '.join(BENCHES)}")
    options.progress = lambda text: print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr)
    return options


def main():
    options = parse_arguments()
    if os.geteuid():
        sys.exit("bench: needs root, for network namespaces and BPF programs")
    lab.catch_signals()
    lab.sweep()
    install_peers()
    tools = Tools(os.path.abspath(options.builddir))
    results = {"date": time.strftime("%Y-%m-%dT%H:%M:%S"), "kernel": os.uname().release}
    with priority():
        for name in options.bench or BENCHES:
            results[name] = BENCHES[name](tools, options)
    if options.json:
        with open(options.json, "w") as output:
            json.dump(results, output, indent=1)


if __name__ == "__main__":
    main()
