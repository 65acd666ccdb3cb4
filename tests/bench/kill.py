# SPDX-License-Identifier: BSD-2-Clause
"""What the network notices when the switch's daemon is killed under load, and started again.

Frames of a few flows go from veth to veth at a moderate, steady rate; before it counts they are hot,
so the kernel carries them out where the contender has it do so. Then the daemon gets SIGKILL, and a
second later it is started again. All the time a probe is sent each millisecond, a frame of a flow
that was never there before, which only user space can answer. Figures:

    lost        frames of the hot flows, sent less received; once without a kill, to see that all else
                loses nothing, and once with it
    gap         the longest time in which no frame of a hot flow arrived; beside it the longest pause
                that the sender made, when something else had its core: what is no longer says nothing
    new flow    from the start of the new daemon until the first probe got through

Ours keeps its hot flows under a bpffs, one of its own here, and finds rules and ports in its store.
Open vSwitch on AF_XDP finds ports in its database, and has its rules from whoever gave them, as soon
as it takes them. The kernel's bridge has no daemon. At the end the daemon is stopped in the regular
way, after which nothing may be left in the bpffs.
"""

import contextlib
import json
import os
import time

import contenders
import kernel_tier
import report
from lab import BenchError, Lab, run, wait_for

RATE = 50000  # frames a second
FLOWS = 16
SIZE = 64
WARM_SECONDS = 1  # until hot flows have to be hot
STEADY_SECONDS = 2  # of a run without a kill, and before the kill
DOWN_SECONDS = 1
FLIGHT_NS = 20000000  # a probe takes no longer than this to arrive
AFTER_SECONDS = 3  # the new daemon has to be at work by then
PORTS = {"port_in": "g1", "port_out": "s0"}
RULES = (contenders.RULE,
         # Matches none of the flows, and to know that, all bits of the port have to be looked at: so
         # each flow needs an answer of its own.
         "priority=20,udp,in_port={port_in},tp_src=0/0x7fff,actions=drop")


class Ours(contenders.Vswitchd):
    """Ports of type afxdp."""

    name = "vswitchd-afxdp"
    sink = ()
    bpffs = None

    def start(self, lab):
        if "--bpffs" in run([lab.tools.vswitchd, "--help"]):
            self.bpffs = lab.mount("bpf", "bpffs")
            self.own_files = self.pinned()  # the kernel may have put some of its own there
            self.arguments = ("--bpffs", self.bpffs)
        self.start_ports(lab, ("g1", "s0"))
        for rule in RULES:
            self.ctl("add-flow", "br0", rule.format(**PORTS))

    def pinned(self):
        """What is in the bpffs, folders aside."""
        return {os.path.join(folder, name) for folder, _, names in os.walk(self.bpffs)
                for name in names}

    def check_hot(self):
        """Raise unless the kernel has all the hot flows."""
        wait_for(f"{FLOWS} flows in tier 0",
                 lambda: kernel_tier.tier0(self)["tier0"]["flows"] >= FLOWS)

    def recover(self):
        """The new daemon needs nobody's help."""

    def check_clean(self):
        """Stop in the regular way; raise if something stays pinned."""
        self.process.stop()
        left = self.pinned() - self.own_files if self.bpffs else ()
        if left:
            raise BenchError(f"still pinned after the end: {' '.join(left)}")


class OursVeth(Ours):
    """Ports of type veth. Frames come to the sink's side as a container gets them, past XDP."""

    name = "vswitchd-veth"
    port_type = "veth"
    sink = ("--sink-tc",)


class OvsAfxdp(contenders.OvsAfxdp):
    """All in user space; there is nothing to go on while it is away."""

    sink = ()

    def start(self, lab):
        self.start_ports(lab, ("g1", "s0"))
        self.add_rules()

    def add_rules(self):
        for rule in RULES:
            self.ofctl("add-flow", "br0", rule.format(**PORTS))

    def check_hot(self):
        """All flows are where they always are."""

    def recover(self):
        """Give it its rules, once it has its ports."""
        def is_taken():
            self.process.check()
            with contextlib.suppress(BenchError):
                self.add_rules()
                return True
            return False
        wait_for("rules for the new daemon", is_taken)

    def check_clean(self):
        """Nothing is meant to stay."""


KINDS = (Ours, OursVeth, OvsAfxdp)
COLUMNS = ("lost", "lost, killed", "gap", "gap, killed", "pause, killed", "new flow")


class Traffic:
    """A sender at work, for so many seconds."""

    def __init__(self, lab, sink, seconds):
        self.process = lab.start(lab.within(lab.outside, [
            lab.tools.trafficgen, "steady", "--tx", "g0", "--rx", "s1", "--core",
            str(lab.generator_core), "--flows", str(FLOWS), "--size", str(SIZE), "--rate", str(RATE),
            "--seconds", str(seconds), *sink]), pinned=False, name="sender")

    def result(self):
        status = self.process.child.wait(60)
        with open(self.process.log) as log:
            text = log.read()
        if status:
            raise BenchError(f"sender: {text.strip()}")
        return json.loads(text)


def kill_and_restart(contender):
    """When the old daemon was gone, and when the new one was started; CLOCK_MONOTONIC, ns."""
    contender.process.child.kill()
    contender.process.child.wait()
    gone = time.monotonic_ns()
    time.sleep(DOWN_SECONDS)
    started = time.monotonic_ns()
    contender.launch()
    contender.recover()
    return gone, started


def measure(tools, options, kind, problems):
    """A figure for each column."""
    with Lab(tools, options.cores) as lab:
        contender = kind()
        lab.add_traffic_pairs()
        contender.start(lab)
        Traffic(lab, kind.sink, WARM_SECONDS).result()
        contender.check_hot()
        steady = Traffic(lab, kind.sink, STEADY_SECONDS).result()
        traffic = Traffic(lab, kind.sink, STEADY_SECONDS + DOWN_SECONDS + AFTER_SECONDS)
        time.sleep(STEADY_SECONDS)
        contender.check_hot()
        gone, started = kill_and_restart(contender)
        killed = traffic.result()
        try:
            contender.check_clean()
        except BenchError as problem:
            problems[f"{kind.name}, at the end"] = str(problem)
    if any(gone + FLIGHT_NS < arrival < started for arrival in killed["probes"]):
        problems[f"{kind.name}, new flow"] = "probes get through while there is no daemon"
    later = [arrival for arrival in killed["probes"] if arrival > started]
    return {"lost": steady["sent"] - steady["received"],
            "lost, killed": killed["sent"] - killed["received"],
            "gap": steady["longest_gap_ms"], "gap, killed": killed["longest_gap_ms"],
            "pause, killed": killed["longest_pause_ms"],
            "new flow": (min(later) - started) / 1e6 if later else None}


def main(tools, options):
    kinds = [kind for kind in KINDS if not options.only or kind.name in options.only]
    figures = {kind.name: {column: [] for column in COLUMNS} for kind in kinds}
    problems = {}
    for number in range(options.rounds):
        for kind in kinds:
            try:
                result = measure(tools, options, kind, problems)
            except BenchError as problem:
                problems[kind.name] = str(problem)
                result = {}
            for column in COLUMNS:
                figures[kind.name][column].append(result.get(column))
        options.progress(f"kill: round {number + 1} of {options.rounds}")
    rows = [[kind.name, *(report.spread(figures[kind.name][column],
                                        0 if column.startswith("lost") else 1)
                          for column in COLUMNS)] for kind in kinds]
    report.table(f"kill -9 of the daemon and start after {DOWN_SECONDS} s, {RATE} frames a second, "
                 f"{options.rounds} rounds: min median max",
                 ["contender", "lost", "lost, killed", "gap, ms", "gap killed, ms",
                  "sender's pause, ms", "new flow, ms"], rows)
    report.problems(problems)
    return {"figures": figures, "problems": problems}
