# SPDX-License-Identifier: BSD-2-Clause
"""Container to container through each contender: TCP, ping, connections a second.

Containers are two namespaces with offloads as the kernel sets them; only OVS on AF_XDP, which sends
out bad checksums otherwise, gets them switched off ("ovs-afxdp, tx off"). The switch and OVS have a
rule for a TCP port beside normal switching, so that flows are told apart by ports; the bridge looks
at addresses only. "pair" is both namespaces on one veth pair: nobody can be faster.

Each round measures all contenders one after the other, moments apart, and ratios are taken within a
round. Kernel-side work is done on the cores of the containers, so processes are not pinned.
"""

import contextlib
import json
import re

import contenders
import report
from lab import Lab, BenchError, run, wait_for

RULES = ("priority=10,tcp,tp_dst=22,actions=drop", "priority=0,actions=normal")
PORT = 5201
PINGS = 5000


class Containers:
    """Two namespaces and what is between them."""

    process = None

    def __init__(self, lab):
        self.lab = lab
        self.one, self.two = (lab.add_netns(name) for name in ("c1", "c2"))

    def add_pair(self, number, netns):
        """A veth from the contender's namespace to a container; returns the near end's name."""
        near = f"p{number}"
        run(["ip", "link", "add", near, "netns", self.lab.inside, "type", "veth",
             "peer", "name", "eth0", "netns", netns])
        self.lab.inner(["ip", "link", "set", near, "up"])
        return near

    def configure(self):
        for number, netns in enumerate((self.one, self.two), 1):
            self.configure_one(netns, f"198.18.0.{number}/24")

    def configure_one(self, netns, address):
        run(["ip", "-n", netns, "addr", "add", address, "dev", "eth0"])
        run(["ip", "-n", netns, "link", "set", "eth0", "up"])

    def is_connected(self):
        """Whether two answers one."""
        try:
            self.within(self.one, ["ping", "-q", "-c", "1", "-W", "1", "198.18.0.2"])
        except BenchError:
            return False
        return True

    def within(self, netns, command, **kwargs):
        return run(self.lab.within(netns, command), **kwargs)

    def serve(self, command, test):
        """Start a server in container two; returns the process, once the port is open."""
        process = self.lab.start(["nsenter", f"--net=/run/netns/{self.two}", *command],
                                 pinned=False, name=test)
        wait_for(f"{test}: port {PORT}", lambda: process.check() and self.within(
            self.two, ["ss", "-Htln", f"sport = :{PORT}"]).strip())
        return process

    def tcp(self, seconds, *flags):
        """Gbit/s of one connection. flags: of iperf3's client."""
        server = self.serve(["iperf3", "-s", "-1", "-p", str(PORT)], "iperf3")
        try:
            result = json.loads(self.within(self.one, [
                "iperf3", "-J", "-c", "198.18.0.2", "-p", str(PORT), "-t", str(seconds), "-O", "1",
                "--connect-timeout", "2000", *flags], timeout=seconds + 10))
            if "sum_received" not in result["end"]:
                raise BenchError(f"iperf3: {result.get('error', 'no result')}")
            return result["end"]["sum_received"]["bits_per_second"] / 1e9
        finally:
            server.stop()

    def ping(self, _seconds):
        """Microseconds of a round trip, one after the other."""
        text = self.within(self.one, ["ping", "-q", "-f", "-c", str(PINGS), "198.18.0.2"])
        return float(re.search(r"= [0-9.]+/([0-9.]+)/", text).group(1)) * 1000

    def connects(self, seconds):
        """Thousands of connections a second."""
        server = self.serve([self.lab.tools.connect, "server", str(PORT)], "connect")
        try:
            return float(self.within(self.one, [
                self.lab.tools.connect, "client", "198.18.0.2", str(PORT), str(seconds)],
                timeout=seconds + 30)) / 1000
        finally:
            server.stop()


class Ours(Containers):
    """Ports of type veth, hot flows in the kernel."""

    name = "vswitchd"
    options = ()

    def start(self):
        switch = contenders.Vswitchd()
        switch.start_daemon(self.lab)
        self.process = switch.process
        switch.ctl("add-br", "br0", "local=no")
        for number, netns in enumerate((self.one, self.two), 1):
            switch.ctl("add-port", "br0", self.add_pair(number, netns), "type=veth", *self.options)
        for rule in RULES:
            switch.ctl("add-flow", "br0", rule)


class OursUser(Ours):
    """The same with every packet through user space."""

    name = "vswitchd, user space"
    options = ("kernel-tier=off",)


class Bridge(Containers):
    name = "bridge"

    def start(self):
        self.lab.inner(["ip", "link", "add", "br0", "type", "bridge"])
        self.lab.inner(["ip", "link", "set", "br0", "up"])
        for number, netns in enumerate((self.one, self.two), 1):
            self.lab.inner(["ip", "link", "set", self.add_pair(number, netns), "master", "br0"])


class Pair(Containers):
    name = "pair"

    def start(self):
        run(["ip", "link", "add", "eth0", "netns", self.one, "type", "veth",
             "peer", "name", "eth0", "netns", self.two])


class OvsAfxdp(Containers):
    name = "ovs-afxdp, tx off"

    def start(self):
        switch = contenders.OvsAfxdp()
        ports = [self.add_pair(number, netns)
                 for number, netns in enumerate((self.one, self.two), 1)]
        switch.start_ports(self.lab, ports)
        self.process = switch.process
        for netns in (self.one, self.two):
            self.within(netns, ["ethtool", "-K", "eth0", "tx", "off"])
        for rule in RULES:
            switch.ofctl("add-flow", "br0", rule)


KINDS = (Ours, OursUser, Bridge, OvsAfxdp, Pair)
# What is measured: method, unit, whether more is better.
TESTS = (("tcp", "Gbit/s", True), ("ping", "us", False), ("connects", "1000/s", True))


def set_up(stack, kind, tools, options):
    """The contender, ready and frozen."""
    with contextlib.ExitStack() as attempt:
        lab = attempt.enter_context(Lab(tools, options.cores))
        contender = kind(lab)
        contender.start()
        contender.configure()
        wait_for(f"{kind.name}: a first ping", contender.is_connected, timeout=20)
        if contender.process:
            contender.process.freeze(True)
        stack.push(attempt.pop_all())
        return contender


def measure(contender, test, *arguments):
    if contender.process:
        contender.process.freeze(False)
    try:
        return getattr(contender, test)(*arguments)
    finally:
        if contender.process:
            contender.process.freeze(True)


def run_round(tools, options, kinds, figures, problems):
    seconds = max(1, int(options.seconds * 4))
    with contextlib.ExitStack() as stack:
        ready = {}
        for kind in kinds:
            try:
                ready[kind.name] = set_up(stack, kind, tools, options)
            except BenchError as problem:
                problems[kind.name] = str(problem)
        for test, _, _ in TESTS:
            for kind in kinds:
                value = None
                try:
                    if kind.name in ready:
                        value = measure(ready[kind.name], test, seconds)
                except BenchError as problem:
                    problems[f"{kind.name}, {test}"] = str(problem)
                figures[kind.name][test].append(value)


def main(tools, options):
    kinds = [kind for kind in KINDS if not options.only or kind.name in options.only]
    figures = {kind.name: {test: [] for test, _, _ in TESTS} for kind in kinds}
    problems = {}
    for number in range(options.rounds):
        run_round(tools, options, kinds, figures, problems)
        options.progress(f"containers: round {number + 1} of {options.rounds}")
    rows = []
    ours = figures.get(options.ours)
    for test, unit, _ in TESTS:
        for kind in kinds:
            theirs = figures[kind.name][test]
            row = [f"{test}, {unit}", kind.name, report.spread(theirs)]
            if ours and kind.name != options.ours:
                row.append(report.spread(report.ratios(ours[test], theirs)))
            rows.append(row + [""] * (4 - len(row)))
    report.table(f"container to container, {options.rounds} rounds: min median max",
                 ["test", "contender", "figure", f"{options.ours} / theirs"], rows)
    report.problems(problems)
    return {"figures": figures, "problems": problems}
