# SPDX-License-Identifier: BSD-2-Clause
"""Between a virtual machine and a container, TCP by iperf3, beside OVS-DPDK.

The container is a namespace on a veth. The guest is a stand-in for a virtual machine, the same for
all contenders: a namespace whose network card is a TAP device, joined by vhost_tap.c to the rings
of a vhost-user port, so that the kernel's TCP runs there with every offload that a guest's driver
would have, and at a speed that an emulated processor does not reach.

OVS-DPDK attaches the container's veth as it usually is, by AF_PACKET ("system" port), or by DPDK's
own driver for that (net_af_packet); the former also with userspace-tso. Offloads are as the kernel
sets them. Where TCP does not get through so, the table has a dash, and the figure after `ethtool -K
eth0 tx off` in the container has a line of its own, once a round; the other is not tried again.

Each round sets all contenders up and takes turns, one after the other, the next time in reverse;
ratios are taken within a turn. Switches have their polling thread on one core, whoever makes and takes the packets may run
on any.
"""

import contextlib
import os

import containers
import report
import vhost_contenders
from lab import BenchError, run

WAYS = (("guest to container", ()), ("container to guest", ("-R",)))
TX_OFF = ", tx off"
TURNS_A_SETUP = 2


class VmContainer(containers.Containers):
    """The guest is namespace one, the container namespace two. Their ports are p1 and p2."""

    def add_guest(self):
        """Make the guest, whose card listens for the switch; the socket's path."""
        path = os.path.join(self.lab.dir, "guest")
        card = self.lab.start(
            ["nsenter", f"--net=/run/netns/{self.one}", self.lab.tools.vhost_tap, path, "eth0"],
            pinned=False, name="guest")
        card.wait_log("ready")
        return path

    def set_checksums(self, by_device):
        """Whether the container leaves checksums and segments to its device, as it does by itself."""
        self.within(self.two, ["ethtool", "-K", "eth0", "tx", "on" if by_device else "off"])


class Ours(VmContainer):
    name = vhost_contenders.Vswitchd.name

    def start(self):
        switch = vhost_contenders.Vswitchd()
        switch.start_sockets(self.lab, [self.add_guest()])
        self.process = switch.process
        switch.ctl("add-port", "br0", self.add_pair(2, self.two), "type=veth")
        for rule in containers.RULES:
            switch.ctl("add-flow", "br0", rule)


class OvsDpdk(VmContainer):
    """The container's veth by AF_PACKET, Open vSwitch's own."""

    name = "ovs-dpdk"
    switch_kind = vhost_contenders.OvsDpdk
    peers = vhost_contenders.OvsDpdk.peers

    def start(self):
        switch = self.switch_kind()
        switch.start_ports(self.lab, [self.add_guest()])
        self.process = switch.process
        self.add_container(switch, self.add_pair(2, self.two))
        for rule in containers.RULES:
            switch.ofctl("add-flow", "br0", rule)

    def add_container(self, switch, device):
        switch.add_typed_port(device, "system")


class OvsDpdkTso(OvsDpdk):
    name = "ovs-dpdk-tso"
    switch_kind = vhost_contenders.OvsDpdkTso


class OvsDpdkAfPacket(OvsDpdk):
    """The container's veth by DPDK's driver for AF_PACKET."""

    name = "ovs-dpdk-af-packet"
    peers = (*OvsDpdk.peers, "librte-net-af-packet23")

    def add_container(self, switch, device):
        switch.add_typed_port("p2", "dpdk", f"options:dpdk-devargs=net_af_packet0,iface={device}")


KINDS = (Ours, OvsDpdk, OvsDpdkTso, OvsDpdkAfPacket)


class Match:
    """The contenders of one comparison. figures: by contender, with a name of its own for what needs
    help, and way; each turn adds one figure or None to each."""

    def __init__(self, tools, options, kinds):
        self.tools, self.options = tools, options
        self.kinds = [kind for kind in kinds if not options.only or kind.name in options.only]
        self.figures = {kind.name + suffix: {way: [] for way, _ in WAYS}
                        for kind in self.kinds for suffix in ("", TX_OFF)}
        self.problems = {}
        self.ready = {}
        self.broken = set()  # (contender, way) that did not work once as the kernel has it

    def run_round(self):
        """Set all up and take turns, in changing order."""
        with contextlib.ExitStack() as stack:
            self.ready = {}
            for kind in self.kinds:
                try:
                    self.ready[kind.name] = containers.set_up(stack, kind, self.tools, self.options)
                except BenchError as problem:
                    self.problems[kind.name] = str(problem)
            for turn in range(TURNS_A_SETUP):
                for way, flags in WAYS:
                    for kind in self.kinds[::(-1) ** turn]:
                        self._take(kind.name, way, flags, turn == 0)

    def _take(self, name, way, flags, may_help):
        value = helped = None
        if name in self.ready and (name, way) not in self.broken:
            value = self._measure(name, way, flags)
            if value is None:
                self.broken.add((name, way))
        if name in self.ready and (name, way) in self.broken and may_help:
            self.ready[name].set_checksums(False)
            helped = self._measure(name, way + TX_OFF, flags)
            self.ready[name].set_checksums(True)
        self.figures[name][way].append(value)
        self.figures[name + TX_OFF][way].append(helped)

    def _measure(self, name, way, flags):
        seconds = max(1, int(self.options.seconds * 2))
        try:
            return containers.measure(self.ready[name], "tcp", seconds, *flags)
        except BenchError as problem:
            self.problems[f"{name}, {way}"] = str(problem)
            return None


def compare(tools, options, kinds, rounds, title):
    """Measure and print; what run.py keeps."""
    match = Match(tools, options, kinds)
    for number in range(rounds):
        match.run_round()
        options.progress(f"{title}: round {number + 1} of {rounds}")
    figures = match.figures
    rows = []
    ours = figures.get(options.ours)
    for way, _ in WAYS:
        for name, ways in figures.items():
            theirs = ways[way]
            if name.endswith(TX_OFF) and not any(theirs):
                continue
            row = [way, name, report.spread(theirs)]
            if ours and name != options.ours:
                row.append(report.spread(report.ratios(ours[way], theirs)))
            rows.append(row + [""] * (4 - len(row)))
    report.table(f"{title}, TCP, {rounds} rounds of {TURNS_A_SETUP} turns: min median max",
                 ["way", "contender", "Gbit/s", f"{options.ours} / theirs"], rows)
    report.problems(match.problems)
    return {"figures": figures, "problems": match.problems}


def main(tools, options):
    return compare(tools, options, KINDS, options.rounds, "between guest and container")
